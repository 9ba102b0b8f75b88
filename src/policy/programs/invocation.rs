//! A command with all that it runs: `sudo timeout 5 grep x y` is three programs.
//!
//! Owns the chain from the program that stands first to the one that does the work, each
//! read by its description, and says for any word which of them it belongs to. Called by
//! the rules and the deny rules.

use std::ops::Range;

use crate::policy::programs::effects::Effects;
use crate::policy::programs::reading::{Argument, Reading, Role, What};
use crate::policy::programs::walk::read;
use crate::policy::syntax::lexer::Word;

/// Longest chain of programs that is followed.
const DEEPEST: usize = 8;

/// One program of the chain.
#[derive(Debug)]
pub(crate) struct Level<'w> {
    /// Its words among those of the command, its name first.
    pub(crate) range: Range<usize>,
    /// `None` if nothing is known about the program.
    pub(crate) reading: Option<Reading<'w>>,
}

/// The chain; never empty for a command that has words.
#[derive(Debug)]
pub(crate) struct Invocation<'w> {
    pub(crate) levels: Vec<Level<'w>>,
}

impl<'w> Invocation<'w> {
    pub(crate) fn of(arguments: &[Argument<'w>]) -> Self {
        let mut levels = Vec::new();
        let mut range = 0..arguments.len();
        while levels.len() < DEEPEST && !range.is_empty() {
            let reading = read(arguments.get(range.clone()).unwrap_or_default());
            let start = range.start;
            let inner = reading.as_ref().and_then(|reading| reading.inner.clone());
            levels.push(Level { range, reading });
            match inner {
                Some(inner) => range = start + inner.start..start + inner.end,
                None => break,
            }
        }
        Self { levels }
    }

    /// The innermost program: what is run in the end.
    pub(crate) fn innermost(&self) -> Option<&Level<'w>> {
        self.levels.last()
    }

    /// What a word is to the innermost program that it belongs to; the index of that level.
    /// `None` if nothing is known about that program.
    pub(crate) fn role(&self, word: usize) -> (usize, Option<Role<'w>>) {
        let mut levels = self.levels.iter().enumerate().rev();
        let found = levels.find(|(_, level)| level.range.contains(&word));
        let Some((at, level)) = found else {
            return (0, None);
        };
        let role = level
            .reading
            .as_ref()
            .and_then(|reading| reading.roles.get(word - level.range.start).copied());
        (at, role)
    }
}

impl Level<'_> {
    /// What it does, if all of its words are known and none is missing. What it runs is
    /// not counted: that has a level of its own.
    pub(crate) fn effects(&self) -> Option<Effects> {
        self.reading.as_ref()?.effects()
    }

    /// Whether what it runs gets words that nobody sees here, as behind `xargs`.
    pub(crate) fn feeds(&self) -> bool {
        self.reading
            .as_ref()
            .is_some_and(|reading| reading.description.feeds && !reading.replaces())
    }
}

impl Reading<'_> {
    /// Whether an option says where the words of the input go (`xargs -I{}`).
    fn replaces(&self) -> bool {
        self.roles
            .iter()
            .any(|role| matches!(role.what, What::Value { option: "-I", .. }))
    }
}

/// The words of a command as the reader takes them.
pub(crate) fn arguments<'a>(words: &'a [Word<'_>]) -> Vec<Argument<'a>> {
    words
        .iter()
        .map(|word| Argument {
            text: &word.text,
            spreads: !word.globs.is_empty(),
            open: false,
        })
        .collect()
}
