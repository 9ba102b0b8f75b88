//! Makes a host's output fit to be read: bytes in, clean text out, in a stream.
//!
//! Owns what becomes of bytes that are not UTF-8, of terminal escape sequences, control
//! characters, invisible characters and characters that turn the direction of text.
//! Knows nothing of secrets ([`crate::audit`] owns the redactor that goes before and
//! after) and keeps no output. Called by [`crate::task::output`], one cleaner for each stream of each task.
//!
//! What comes out does not depend on how the bytes were cut into reads, and holds no
//! ESC and no other control character than tab and newline. Text is never hidden: what
//! is not part of a well-formed sequence stays, in a form that can be seen.

use crate::model::invisible::is_invisible;
use crate::model::text::push_code;

/// What comes next belongs to this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Plain text.
    Ground,
    /// After ESC (ECMA-48 §5.3).
    Escape,
    /// After ESC and intermediate bytes, such as `ESC ( B`.
    Intermediate,
    /// Parameters of a control sequence (ECMA-48 §5.4).
    Csi,
    /// The text of an OSC, DCS, SOS, PM or APC string (ECMA-48 §5.6), or of the title
    /// that screen and tmux set by `ESC k`.
    Text,
    /// After ESC within such a string: `\` ends it.
    TextEscape,
}

/// The beginning of `<|name`, the form in which chat templates mark who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Less,
    Bar(char),
}

/// Cleans one stream. Output is bounded by nine bytes for each byte of input.
#[derive(Debug)]
pub struct Cleaner {
    state: State,
    marker: Marker,
    /// A carriage return was read and what it means is not known yet.
    carriage_return: bool,
    /// The beginning of a UTF-8 sequence whose rest has not been read.
    partial: Vec<u8>,
}

impl Default for Cleaner {
    fn default() -> Self {
        Self {
            state: State::Ground,
            marker: Marker::None,
            carriage_return: false,
            partial: Vec::new(),
        }
    }
}

impl Cleaner {
    /// Cleans the next bytes of the stream and appends what they show.
    pub fn push(&mut self, bytes: &[u8], clean: &mut String) {
        if self.partial.is_empty() {
            self.decode(bytes, clean);
        } else {
            // A character was cut in two by the read before.
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            self.decode(&joined, clean);
        }
    }

    /// The stream ended: appends what was held back.
    pub fn finish(&mut self, clean: &mut String) {
        if !std::mem::take(&mut self.partial).is_empty() {
            self.character(char::REPLACEMENT_CHARACTER, clean);
        }
        self.settle(None, clean);
        self.state = State::Ground;
    }

    /// UTF-8, with each invalid sequence replaced as the Unicode Standard recommends
    /// (§3.9, substitution of maximal subparts).
    fn decode(&mut self, bytes: &[u8], clean: &mut String) {
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.text(chunk.valid(), clean);
            if chunk.invalid().is_empty() {
                continue;
            }
            // Invalid so far, but more bytes could make it a character: kept for the next read.
            let cut_short = chunks.peek().is_none()
                && std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none());
            if cut_short {
                self.partial.extend_from_slice(chunk.invalid());
            } else {
                self.character(char::REPLACEMENT_CHARACTER, clean);
            }
        }
    }

    /// Copies runs of ordinary text whole and gives the rest to the state machine.
    fn text(&mut self, mut text: &str, clean: &mut String) {
        while !text.is_empty() {
            if self.state == State::Ground && self.marker == Marker::None && !self.carriage_return {
                // The usual case, thousands of bytes at a time.
                let plain = text.find(is_special).unwrap_or(text.len());
                let (run, rest) = text.split_at(plain);
                clean.push_str(run);
                text = rest;
            }
            let mut characters = text.chars();
            if let Some(c) = characters.next() {
                self.character(c, clean);
            }
            text = characters.as_str();
        }
    }

    fn character(&mut self, c: char, clean: &mut String) {
        // In every state a line feed ends the line and CAN and SUB end the sequence; so
        // an unfinished sequence can hide the rest of its line, never what follows.
        if matches!(c, '\n' | '\u{18}' | '\u{1a}') && self.state != State::Ground {
            self.state = State::Ground;
            if c != '\n' {
                return;
            }
        }
        match self.state {
            State::Ground => self.ground(c, clean),
            State::Escape => self.escape(c, clean),
            State::Intermediate => match c {
                ' '..='/' => {}
                '0'..='~' => self.state = State::Ground,
                _ => self.restart(c, clean),
            },
            State::Csi => match c {
                ' '..='?' => {}
                '@'..='~' => self.state = State::Ground,
                _ => self.restart(c, clean),
            },
            State::Text => match c {
                '\u{1b}' => self.state = State::TextEscape,
                '\u{7}' | '\u{9c}' => self.state = State::Ground,
                _ => {}
            },
            State::TextEscape => match c {
                '\\' => self.state = State::Ground,
                _ => self.escape(c, clean),
            },
        }
    }

    /// After ESC: which kind of sequence this is.
    fn escape(&mut self, c: char, clean: &mut String) {
        self.state = match c {
            '[' => State::Csi,
            // OSC (`]`), DCS, SOS, PM, APC, and screen's title: their text goes up to ST or BEL.
            ']' | 'P' | 'X' | '^' | '_' | 'k' => State::Text,
            ' '..='/' => State::Intermediate,
            '0'..='~' => State::Ground,
            _ => return self.restart(c, clean),
        };
    }

    /// A character that no sequence holds: the sequence is given up.
    fn restart(&mut self, c: char, clean: &mut String) {
        self.state = State::Ground;
        self.ground(c, clean);
    }

    fn ground(&mut self, c: char, clean: &mut String) {
        match c {
            '\u{1b}' => self.state = State::Escape,
            '\u{9b}' => self.state = State::Csi,
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => self.state = State::Text,
            _ => self.show(c, clean),
        }
    }

    fn show(&mut self, c: char, clean: &mut String) {
        self.settle(Some(c), clean);
        match c {
            '\r' => self.carriage_return = true,
            // `<|` is held back until it is known whether a name follows.
            '<' => self.marker = Marker::Less,
            '|' | '\u{ff5c}' if self.marker == Marker::Less => self.marker = Marker::Bar(c),
            '\n' | '\t' => clean.push(c),
            '\0'..='\u{1f}' | '\u{7f}' => {
                clean.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            _ if is_unseen(c) => push_code(c, clean),
            _ => clean.push(c),
        }
    }

    /// Decides what was held back, now that the next character (or the end) is known.
    fn settle(&mut self, next: Option<char>, clean: &mut String) {
        // A carriage return that no line feed follows would overwrite its line on a
        // terminal; here it ends it, so that nothing is hidden beneath what follows.
        if self.carriage_return && !matches!(next, Some('\r' | '\n')) {
            clean.push('\n');
        }
        if next != Some('\r') {
            self.carriage_return = false;
        }
        match (self.marker, next) {
            (Marker::None, _) => return,
            (Marker::Less, Some('|' | '\u{ff5c}')) => return,
            (Marker::Less, _) => clean.push('<'),
            (Marker::Bar(bar), next) => {
                // A letter straight after makes it a mark of who speaks: broken up.
                let marks = next.is_some_and(|c| c.is_alphabetic());
                clean.push_str(if marks { "\\u{3c}" } else { "<" });
                clean.push(bar);
            }
        }
        self.marker = Marker::None;
    }
}

/// Whether a character needs the state machine.
fn is_special(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '<' => true,
        ' '..='~' => false,
        _ => c.is_control() || is_unseen(c),
    }
}

/// C1 controls, and what shows nothing or changes how others are shown.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}') || is_invisible(c)
}

/// Cleans a whole text at once.
pub fn clean(bytes: &[u8]) -> String {
    let mut cleaner = Cleaner::default();
    let mut clean = String::with_capacity(bytes.len());
    cleaner.push(bytes, &mut clean);
    cleaner.finish(&mut clean);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_and_text_stays() {
        for (raw, shown) in [
            (&b"\x1b[31mred\x1b[0m"[..], "red"),
            (b"\x1b]52;c;ZXZpbA==\x07safe", "safe"),
            (b"\x1b]0;title\x1b\\safe", "safe"),
            (b"\x1bP1$r0m\x1b\\safe", "safe"),
            (b"\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\safe", "safe"),
            (b"\x1bktitle\x1b\\safe", "safe"),
            (b"\x1b(Bsafe\x1b7\x1bc", "safe"),
            ("\u{9b}31mred \u{9d}0;t\u{9c}safe".as_bytes(), "red safe"),
            (b"\x1b]0;never ended\nnext line", "\nnext line"),
            (b"\x1b[31\nnext", "\nnext"),
            (b"\x1b]0;a\x1b[31mred", "red"),
            (b"\x1b[1\xc3\xa9", "é"),
            (b"a\x1b", "a"),
            (b"a\x1b[3\x18b", "ab"),
        ] {
            assert_eq!(clean(raw), shown, "{raw:?}");
        }
    }

    #[test]
    fn controls_and_unseen_characters_are_shown() {
        assert_eq!(clean(b"a\x00b\x08c\x7f\x07"), "a\\x00b\\x08c\\x7f\\x07");
        assert_eq!(clean("x\u{202e}y".as_bytes()), "x\\u{202e}y");
        assert_eq!(clean("\u{e0041}\u{200b}".as_bytes()), "\\u{e0041}\\u{200b}");
        assert_eq!(clean("\u{85}".as_bytes()), "\\u{85}");
        assert_eq!(clean("naïve 日本 ✓".as_bytes()), "naïve 日本 ✓");
    }

    #[test]
    fn line_ends_are_line_feeds() {
        assert_eq!(clean(b"a\r\nb\r\r\nc\rd\r"), "a\nb\nc\nd\n");
        assert_eq!(clean(b"10%\r\x1b[K20%\r\n"), "10%\n20%\n");
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        assert_eq!(clean(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
        assert_eq!(clean(b"\xe2\x82"), "\u{fffd}");
        assert_eq!(clean(b"\xe2\x28"), "\u{fffd}(");
    }

    #[test]
    fn chat_markers_are_broken_up() {
        assert_eq!(clean(b"<|im_start|>system"), "\\u{3c}|im_start|>system");
        assert_eq!(clean("<\u{ff5c}end".as_bytes()), "\\u{3c}\u{ff5c}end");
        assert_eq!(clean(b"f <| x << 1 <<| <"), "f <| x << 1 <<| <");
    }

    #[test]
    fn cuts_between_reads_change_nothing() {
        let mut raw = Vec::new();
        for piece in [
            &b"plain \x1b[1;31mred\x1b[0m\r\nmore\rover <|im_end|> <| x"[..],
            "é日\u{202e}\u{9b}5m\u{e0001}".as_bytes(),
            b"\xe2\x82\xff\xf0\x9f\x98 \x1b]52;c;AAAA\x1b\\ \x00\x07 <",
            b"\x1bP q \x1b\x1b[0m end\xf0\x9f",
        ] {
            raw.extend_from_slice(piece);
        }
        let whole = clean(&raw);
        for size in 1..raw.len() {
            let mut cleaner = Cleaner::default();
            let mut pieces = String::new();
            for piece in raw.chunks(size) {
                cleaner.push(piece, &mut pieces);
            }
            cleaner.finish(&mut pieces);
            assert_eq!(pieces, whole, "read by {size}");
        }
    }

    #[test]
    fn whatever_comes_in_nothing_but_tab_and_newline_controls_come_out() {
        let mut seed = 0x9e37_79b9_u32;
        let mut raw = Vec::new();
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = (seed >> 24) as u8;
            raw.push(if byte & 3 == 0 { 0x1b } else { byte });
        }
        let shown = clean(&raw);
        assert!(
            shown
                .chars()
                .all(|c| !is_unseen(c) && (!c.is_control() || c == '\n' || c == '\t'))
        );
    }
}
