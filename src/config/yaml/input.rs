//! The text of a file as the parser's input.
//!
//! Owns the size of the steps in which a plain text is read: one that fits into what the parser
//! sets aside for it from the start, so that a host's few words are not moved to more and more
//! room, ten thousand times. Called by `node`.

use saphyr_parser::Input;

/// Characters that are looked ahead at once. The parser begins a plain text with room for 32
/// bytes, puts one character there, and wants room for as many as these.
const STEP: usize = 31;

pub(crate) struct FileText<'t> {
    rest: &'t str,
    /// How far the parser has asked to look ahead.
    ahead: usize,
}

impl<'t> FileText<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            rest: text,
            ahead: 0,
        }
    }

    #[inline]
    fn first(&self) -> Option<char> {
        match self.rest.as_bytes().first() {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            _ => self.rest.chars().next(),
        }
    }
}

impl Input for FileText<'_> {
    #[inline]
    fn lookahead(&mut self, count: usize) {
        self.ahead = self.ahead.max(count);
    }

    #[inline]
    fn buflen(&self) -> usize {
        self.ahead
    }

    #[inline]
    fn bufmaxlen(&self) -> usize {
        STEP
    }

    #[inline]
    fn raw_read_ch(&mut self) -> char {
        let first = self.peek();
        self.skip();
        first
    }

    #[inline]
    fn raw_read_non_breakz_ch(&mut self) -> Option<char> {
        // YAML 1.2.2, production 27 (nb-char): no line break and no byte order mark.
        let first = self.first()?;
        if matches!(first, '\n' | '\r' | '\0' | '\u{feff}') {
            return None;
        }
        self.skip();
        Some(first)
    }

    #[inline]
    fn skip(&mut self) {
        let length = self.first().map_or(0, char::len_utf8);
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    #[inline]
    fn skip_n(&mut self, count: usize) {
        for _ in 0..count {
            self.skip();
        }
    }

    #[inline]
    fn peek(&self) -> char {
        self.first().unwrap_or('\0')
    }

    #[inline]
    fn peek_nth(&self, n: usize) -> char {
        self.rest.chars().nth(n).unwrap_or('\0')
    }

    #[inline]
    fn peek_opt(&self) -> Option<char> {
        self.first()
    }
}
