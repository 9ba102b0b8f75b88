//! Bytes and text, written so that a person can trust what is seen.
//!
//! Owns the one way to write hex digits and the one way to write characters that a
//! terminal would obey or that show nothing. Decides nothing about where a text may go.
//! Called by whatever prints: messages, reports, questions to a person, records.

use std::fmt::Write as _;

use crate::model::invisible::{is_blank, is_invisible};

/// Lower-case hex digits, two a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The text on one line, with everything escaped that a terminal would obey, that shows
/// nothing, or that stands for no character: `\n`, `\t`, `\r`, else `\u{…}`. A backslash is
/// doubled, so that an escape can't be forged.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push_visible(c, &mut shown));
    shown
}

/// One character, as [`visible`] writes it.
pub(crate) fn push_visible(c: char, shown: &mut String) {
    match c {
        ' ' | '\'' | '"' => shown.push(c),
        _ if is_invisible(c) || is_blank(c) && !matches!(c, '\n' | '\t' | '\r') => {
            push_code(c, shown);
        }
        // Controls, backslashes, combining characters, and what is not assigned.
        _ => shown.extend(c.escape_debug()),
    }
}

/// The text with every character beyond ASCII as `\u{…}`, so that a letter that only looks
/// like another one shows. The ASCII part is left as it is.
pub(crate) fn ascii(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            shown.push(c);
        } else {
            push_code(c, &mut shown);
        }
    }
    shown
}

/// `\u{…}`
pub(crate) fn push_code(c: char, shown: &mut String) {
    let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_written_out() {
        assert_eq!(
            visible("a\u{1b}[31m\u{202e}b é\n"),
            "a\\u{1b}[31m\\u{202e}b é\\n"
        );
        assert_eq!(visible("\\u{41} '\"✓"), "\\\\u{41} '\"✓");
        assert_eq!(
            visible("\u{2800}\u{3000}\u{115f}"),
            "\\u{2800}\\u{3000}\\u{115f}"
        );
        assert_eq!(ascii("аpt \\x"), "\\u{430}pt \\x");
    }

    #[test]
    fn hex_has_two_digits_a_byte() {
        assert_eq!(hex(&[0, 0x0f, 0xff]), "000fff");
        assert_eq!(hex(&[]), "");
    }
}
