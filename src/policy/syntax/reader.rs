//! The place in a text up to which it was read, and what was found there.
//!
//! Owns the steps over blanks, comments and line breaks, the look at a keyword, and the
//! list of faults. Never stops at a fault: whoever reads notes it, makes the best of it
//! and goes on, so that all of them are told at once. Called by the files that read words
//! and commands, each of which adds its part of the grammar to [`Reader`].

use crate::policy::decision::reason::Code;
use crate::policy::syntax::command::{Fault, Input, Simple};

/// Most faults that are told of one text.
const FAULTS_MAX: usize = 24;
/// How deep groups, loops and substitutions may stand in each other.
const DEPTH_MAX: usize = 12;

pub(crate) struct Reader<'t> {
    pub(crate) text: &'t str,
    pub(crate) at: usize,
    /// Whether the policy lets the shell expand `*` and `?` in paths.
    pub(crate) globs: bool,
    /// Whether `sh -c 'TEXT'` is read as its text.
    pub(crate) shell_texts: bool,
    pub(crate) words: usize,
    pub(crate) commands: Vec<Simple<'t>>,
    pub(crate) faults: Vec<Fault>,
    /// What the command that is read next reads from.
    pub(crate) input: Input,
    /// The variables of the loops around this place, with their values of this round.
    pub(crate) variables: Vec<(&'t str, Value)>,
    /// How often a variable of a loop was replaced.
    pub(crate) replaced: usize,
    depth: usize,
}

/// What a variable of a loop stands for.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// This text.
    Known(String),
    /// One of those that the host makes of this, with byte offsets of what it expands.
    OfHost(String, Vec<usize>),
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str, globs: bool, shell_texts: bool) -> Self {
        Self {
            text,
            at: 0,
            globs,
            shell_texts,
            words: 0,
            commands: Vec::new(),
            faults: Vec::new(),
            input: Input::Login,
            variables: Vec::new(),
            replaced: 0,
            depth: 0,
        }
    }

    /// A reader of a text within this one, with what is used up of the bounds.
    pub(crate) fn inside<'i>(&self, text: &'i str) -> Reader<'i> {
        Reader {
            words: self.words,
            depth: self.depth,
            ..Reader::new(text, self.globs, self.shell_texts)
        }
    }

    pub(crate) fn fault(&mut self, code: Code, position: usize) {
        let fault = Fault { code, position };
        if self.faults.len() < FAULTS_MAX && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Whether anything more is worth reading: after an exceeded limit nothing is.
    pub(crate) fn is_over(&self) -> bool {
        self.faults.iter().any(|fault| fault.code == Code::Limit)
    }

    /// Reads something that may hold the like of itself.
    pub(crate) fn deeper<T: Default>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        if self.depth == DEPTH_MAX {
            self.fault(Code::Limit, self.at);
            self.at = self.text.len();
            return T::default();
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    pub(crate) fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    pub(crate) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes `token` if it stands here.
    pub(crate) fn takes(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Blanks, broken lines that a backslash joins, and a comment.
    pub(crate) fn blanks(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b' '), _) => self.at += 1,
                (Some(b'\\'), Some(b'\n')) => self.at += 2,
                _ => break,
            }
        }
        if self.byte(0) == Some(b'#') {
            let rest = self.rest();
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    /// The same, and line breaks.
    pub(crate) fn lines(&mut self) {
        self.blanks();
        while self.takes("\n") {
            self.blanks();
        }
    }

    /// Whether a word may not go on with this byte.
    pub(crate) fn ends_word(byte: Option<u8>) -> bool {
        matches!(
            byte,
            None | Some(b' ' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>')
        )
    }

    /// The bare letters that begin here, if they are a word of their own: where a command
    /// may begin, this is what a keyword looks like.
    pub(crate) fn keyword(&self) -> &'t str {
        let rest = self.rest();
        let end = rest
            .bytes()
            .position(|byte| Self::ends_word(Some(byte)))
            .unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Takes this keyword if it stands here.
    pub(crate) fn takes_keyword(&mut self, word: &str) -> bool {
        let found = self.keyword() == word;
        if found {
            self.at += word.len();
        }
        found
    }
}
