//! Text → simple commands made of words, or a refusal with its place.
//!
//! Owns the grammar: a small part of the shell language that every POSIX shell reads
//! alike. Refuses everything else, by name and byte offset, and guesses nothing.
//!
//! ```text
//! list     := pipeline { (";" | "&&" | "||") pipeline }
//! pipeline := simple { "|" simple }
//! simple   := program { SP word } { SP redirect }
//! redirect := 2>&1 | [1|2]> /dev/null | < /dev/null     exact, after the words
//! word     := ( bare | 'quoted' | "quoted" | \punctuation )+
//! ```
//!
//! One pass over the bytes for the characters, one for the words, one over the programs;
//! time and memory are linear in the text, which is at most [`MAX_BYTES`]. Called by
//! `judge`, by the compiler for examples, and by the fuzz targets.

use std::borrow::Cow;

use crate::policy::decision::reason::Code;
use crate::policy::syntax::{chars, program_name};

/// Longest text, in bytes.
pub const MAX_BYTES: usize = 8 * 1024;
/// Most simple commands in one text.
pub const MAX_COMMANDS: usize = 32;
/// Most words in one text, programs included.
pub const MAX_WORDS: usize = 256;

/// What the policy file may switch on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Accept unquoted `*` and `?` in operands that start with `/` or `./`.
    pub globs: bool,
}

/// A text that was understood whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<'t> {
    /// In order, at least one.
    pub commands: Vec<Simple<'t>>,
}

/// One program with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simple<'t> {
    /// The program first; at least one.
    pub words: Vec<Word<'t>>,
    pub redirects: Vec<Redirect>,
    /// How it hangs on the command before it.
    pub joint: Joint,
    /// Byte offset of its first word.
    pub start: usize,
    /// Its text as it was written, redirections included.
    pub text: &'t str,
}

/// The operator before a simple command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    First,
    Then,
    And,
    Or,
    Pipe,
}

impl Joint {
    /// As the canonical form writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "",
            Self::Then => " ; ",
            Self::And => " && ",
            Self::Or => " || ",
            Self::Pipe => " | ",
        }
    }
}

/// The redirections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    ErrorsToOutput,
    OutputToNull,
    FirstToNull,
    ErrorsToNull,
    InputFromNull,
}

impl Redirect {
    /// As the canonical form writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorsToOutput => "2>&1",
            Self::OutputToNull => ">/dev/null",
            Self::FirstToNull => "1>/dev/null",
            Self::ErrorsToNull => "2>/dev/null",
            Self::InputFromNull => "</dev/null",
        }
    }
}

/// A word with its quotes taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<'t> {
    pub text: Cow<'t, str>,
    /// Byte offset of its first byte, quotes included, into the judged text.
    pub start: usize,
    /// Byte offsets into `text` of the wildcards that the shell will expand, in order.
    /// Empty unless [`Options::globs`].
    pub globs: Vec<usize>,
    /// Whether any part of it was quoted or escaped.
    pub quoted: bool,
}

/// Why a text was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// Byte offset into the text.
    pub position: usize,
}

/// Reads bytes that may not be text.
///
/// # Errors
/// `syntax:not-utf8`, or what [`parse`] refuses.
pub fn parse_bytes(bytes: &[u8], options: Options) -> Result<Parsed<'_>, Refusal> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text, options),
        Err(error) => Err(Refusal {
            code: Code::NotUtf8,
            position: error.valid_up_to(),
        }),
    }
}

/// Reads a text whole.
///
/// # Errors
/// The first thing that is not in the grammar: of the characters, then of the words, then
/// of the programs.
pub fn parse(text: &str, options: Options) -> Result<Parsed<'_>, Refusal> {
    screen(text)?;
    let mut lexer = Lexer {
        text,
        at: 0,
        options,
        words: 0,
        commands: Vec::new(),
    };
    lexer.list()?;
    for command in &lexer.commands {
        if let Some((code, position)) = program_name::refusal(&command.words) {
            return Err(Refusal { code, position });
        }
    }
    Ok(Parsed {
        commands: lexer.commands,
    })
}

/// Size and characters, before anything is taken apart.
fn screen(text: &str) -> Result<(), Refusal> {
    let refuse = |code, position| Err(Refusal { code, position });
    if text.len() > MAX_BYTES {
        return refuse(Code::Limit, MAX_BYTES);
    }
    if text.bytes().all(|byte| byte == b' ') {
        return refuse(Code::Empty, 0);
    }
    for (position, c) in text.char_indices() {
        if let Some(code) = chars::refusal(c) {
            return refuse(code, position);
        }
    }
    Ok(())
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    options: Options,
    words: usize,
    commands: Vec<Simple<'t>>,
}

impl<'t> Lexer<'t> {
    fn list(&mut self) -> Result<(), Refusal> {
        let mut joint = Joint::First;
        loop {
            self.simple(joint)?;
            match self.operator()? {
                Some(next) => joint = next,
                None => return Ok(()),
            }
            if self.commands.len() == MAX_COMMANDS {
                return self.refuse(Code::Limit, self.at);
            }
        }
    }

    /// One program with words and redirections, up to an operator or the end.
    fn simple(&mut self, joint: Joint) -> Result<(), Refusal> {
        let mut words = Vec::new();
        let mut redirects = Vec::new();
        self.blanks();
        let start = self.at;
        let mut end = start;
        loop {
            self.blanks();
            match self.byte(0) {
                None | Some(b';' | b'&' | b'|') => break,
                Some(_) => {}
            }
            if let Some(redirect) = self.redirect() {
                if words.is_empty() {
                    return self.refuse(Code::RedirectFirst, start);
                }
                redirects.push(redirect);
            } else if redirects.is_empty() || matches!(self.byte(0), Some(b'<' | b'>')) {
                words.push(self.word(words.is_empty())?);
            } else {
                return self.refuse(Code::Redirect, self.at);
            }
            end = self.at;
        }
        if words.is_empty() {
            // What stands here may be refused for its own sake, a lone & above all.
            let position = self.at;
            self.operator()?;
            return self.refuse(Code::EmptyCommand, position);
        }
        self.commands.push(Simple {
            words,
            redirects,
            joint,
            start,
            text: self.text.get(start..end).unwrap_or_default(),
        });
        Ok(())
    }

    /// The operator at this place; `None` at the end of the text.
    fn operator(&mut self) -> Result<Option<Joint>, Refusal> {
        let (joint, length) = match (self.byte(0), self.byte(1)) {
            (None, _) => return Ok(None),
            (Some(b'&'), Some(b'&')) => (Joint::And, 2),
            (Some(b'|'), Some(b'|')) => (Joint::Or, 2),
            (Some(b'&'), Some(b'>')) => return self.refuse(Code::Redirect, self.at),
            (Some(b'&'), _) => return self.refuse(Code::Background, self.at),
            (Some(b'|'), Some(b'&')) => return self.refuse(Code::Background, self.at + 1),
            (Some(b'|'), _) => (Joint::Pipe, 1),
            _ => (Joint::Then, 1),
        };
        self.at += length;
        Ok(Some(joint))
    }

    /// One of the exact redirections, consumed; anything else is left alone.
    fn redirect(&mut self) -> Option<Redirect> {
        let rest = self.text.get(self.at..)?;
        let (redirect, after) = if let Some(after) = rest.strip_prefix("2>&1") {
            (Redirect::ErrorsToOutput, after)
        } else {
            let (redirect, after) = [
                (">", Redirect::OutputToNull),
                ("1>", Redirect::FirstToNull),
                ("2>", Redirect::ErrorsToNull),
                ("<", Redirect::InputFromNull),
            ]
            .into_iter()
            .find_map(|(sign, redirect)| Some((redirect, rest.strip_prefix(sign)?)))?;
            let after = after.trim_start_matches(' ').strip_prefix("/dev/null")?;
            (redirect, after)
        };
        if !matches!(after.bytes().next(), None | Some(b' ' | b';' | b'&' | b'|')) {
            return None;
        }
        self.at = self.text.len() - after.len();
        Some(redirect)
    }

    /// One word, which starts here.
    fn word(&mut self, is_program: bool) -> Result<Word<'t>, Refusal> {
        self.words += 1;
        if self.words > MAX_WORDS {
            return self.refuse(Code::Limit, self.at);
        }
        let start = self.at;
        // Borrowed as long as nothing was quoted.
        let mut unquoted: Option<String> = None;
        let mut globs = Vec::new();
        while let Some(byte) = self.byte(0) {
            match byte {
                b' ' | b';' | b'&' | b'|' => break,
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => self.keep(&mut unquoted, 1),
                // zsh expands ''=x as it does =x; inside quotes both are plain.
                b'=' | b'%' if unquoted.as_ref().map_or(self.at == start, String::is_empty) => {
                    let percent = byte == b'%';
                    let code = if percent {
                        Code::PercentStart
                    } else {
                        Code::EqualsStart
                    };
                    return self.refuse(code, start);
                }
                b'_' | b'.' | b'/' | b':' | b',' | b'+' | b'@' | b'%' | b'=' | b'-' => {
                    self.keep(&mut unquoted, 1);
                }
                b'\'' => {
                    let open = self.at;
                    self.own(&mut unquoted, start);
                    self.at += 1;
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    let Some(length) = rest.find('\'') else {
                        return self.refuse(Code::UnterminatedQuote, open);
                    };
                    self.keep(&mut unquoted, length);
                    self.at += 1;
                }
                b'"' => {
                    self.own(&mut unquoted, start);
                    self.double_quoted(&mut unquoted)?;
                }
                b'\\' => {
                    self.own(&mut unquoted, start);
                    match self.byte(1) {
                        Some(next) if next == b' ' || next.is_ascii_punctuation() => {
                            self.at += 1;
                            self.keep(&mut unquoted, 1);
                        }
                        _ => return self.refuse(Code::Backslash, self.at),
                    }
                }
                b'!' if self.at == start
                    && !is_program
                    && matches!(self.byte(1), None | Some(b' ' | b';' | b'&' | b'|')) =>
                {
                    self.keep(&mut unquoted, 1);
                }
                b'*' | b'?' if self.options.globs && !is_program => {
                    globs.push(unquoted.as_ref().map_or(self.at - start, String::len));
                    self.keep(&mut unquoted, 1);
                }
                other => return self.refuse(unquoted_refusal(other), self.at),
            }
        }
        let quoted = unquoted.is_some();
        let text = match unquoted {
            Some(text) => Cow::Owned(text),
            None => Cow::Borrowed(self.text.get(start..self.at).unwrap_or_default()),
        };
        let word = Word {
            text,
            start,
            globs,
            quoted,
        };
        if word.globs_are_plain() {
            Ok(word)
        } else {
            self.refuse(Code::Glob, start)
        }
    }

    /// The inside of `"…"`: `\"`, `\\` and `\$` are escapes, any other `\` stays (POSIX
    /// 2.2.3). A backquote is refused even if escaped: shells differ.
    fn double_quoted(&mut self, unquoted: &mut Option<String>) -> Result<(), Refusal> {
        let open = self.at;
        self.at += 1;
        loop {
            match (self.byte(0), self.byte(1)) {
                (None, _) => return self.refuse(Code::UnterminatedQuote, open),
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(());
                }
                (Some(b'$'), _) => return self.refuse(Code::Dollar, self.at),
                (Some(b'`'), _) => return self.refuse(Code::Backtick, self.at),
                (Some(b'\\'), Some(b'"' | b'\\' | b'$')) => {
                    self.at += 1;
                    self.keep(unquoted, 1);
                }
                _ => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.keep(unquoted, rest.chars().next().map_or(1, char::len_utf8));
                }
            }
        }
    }

    /// Takes the next `length` bytes as part of the word.
    fn keep(&mut self, unquoted: &mut Option<String>, length: usize) {
        if let Some(word) = unquoted {
            let kept = self.text.get(self.at..self.at + length);
            word.push_str(kept.unwrap_or_default());
        }
        self.at += length;
    }

    /// From here on the word is not a slice of the text any more.
    fn own(&self, unquoted: &mut Option<String>, start: usize) {
        unquoted.get_or_insert_with(|| {
            let mut word = String::with_capacity(32);
            word.push_str(self.text.get(start..self.at).unwrap_or_default());
            word
        });
    }

    fn blanks(&mut self) {
        while self.byte(0) == Some(b' ') {
            self.at += 1;
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn refuse<T>(&self, code: Code, position: usize) -> Result<T, Refusal> {
        Err(Refusal { code, position })
    }
}

impl Word<'_> {
    /// The text with the wildcards that the shell will expand as
    /// [`crate::policy::rule::glob::EXPANDED`], so that only a `*` of a pattern takes them.
    pub(crate) fn expanded(&self) -> Cow<'_, str> {
        if self.globs.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        let mark = |(at, c)| {
            if self.globs.contains(&at) {
                crate::policy::rule::glob::EXPANDED
            } else {
                c
            }
        };
        Cow::Owned(self.text.char_indices().map(mark).collect())
    }

    /// Wildcards only in a path that starts with `/` or `./` (so that no result is an
    /// option), without `..`, and not in a component that starts with a dot (so that none
    /// becomes `..`).
    fn globs_are_plain(&self) -> bool {
        if self.globs.is_empty() {
            return true;
        }
        let text = &*self.text;
        let mut offset = 0;
        (text.starts_with('/') || text.starts_with("./"))
            && text.split('/').all(|component| {
                let range = offset..=offset + component.len();
                offset += component.len() + 1;
                let globbed = self.globs.iter().any(|at| range.contains(at));
                component != ".." && !(globbed && component.starts_with('.'))
            })
    }
}

/// The name of a byte that may not stand outside quotes.
fn unquoted_refusal(byte: u8) -> Code {
    match byte {
        b'$' => Code::Dollar,
        b'`' => Code::Backtick,
        b'(' | b')' => Code::Paren,
        b'{' | b'}' => Code::Brace,
        b'[' | b']' => Code::Bracket,
        b'*' | b'?' => Code::Glob,
        b'~' => Code::Tilde,
        b'#' => Code::Hash,
        b'!' => Code::Bang,
        b'^' => Code::Caret,
        b'<' | b'>' => Code::Redirect,
        _ => Code::NonAsciiUnquoted,
    }
}
