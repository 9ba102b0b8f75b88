//! What the words of one invocation are and do.
//!
//! Owns the words as they go in, and what comes out of `walk`. Decides nothing. Called by
//! the rules, the deny rules and `policy explain`.

use std::ops::Range;

use crate::policy::programs::description::{Description, Form};
use crate::policy::programs::effects::Effects;
use crate::policy::programs::kind::Kind;

/// One word of a command, as far as it is known before it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Argument<'w> {
    pub(crate) text: &'w str,
    /// The remote shell may make several words of it (`/var/log/*.log`).
    pub(crate) spreads: bool,
    /// It holds the name of some file, whichever the host has: one that spreads, or the variable
    /// of a loop over files, which is one word.
    pub(crate) wild: bool,
    /// Part of it is only known on the host (`"$(date +%F)"`).
    pub(crate) open: bool,
}

impl<'w> Argument<'w> {
    /// A word that is what it says.
    pub(crate) fn plain(text: &'w str) -> Self {
        Self {
            text,
            spreads: false,
            wild: false,
            open: false,
        }
    }
}

impl Argument<'_> {
    /// Words of the input, which nobody sees here.
    pub(crate) const FED: Argument<'static> = Argument {
        text: "",
        spreads: true,
        wild: true,
        open: true,
    };

    pub(crate) fn is_fed(&self) -> bool {
        self.open && self.spreads && self.text.is_empty()
    }
}

/// What one word is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What<'w> {
    Program,
    Verb(&'w str),
    /// One or more options without a value; the name of the last.
    Option(&'static str),
    /// A value, with the option that it belongs to; in the same word or the one behind it.
    Value {
        option: &'static str,
        kind: &'static Kind,
        text: &'w str,
    },
    Operand {
        kind: &'static Kind,
        text: &'w str,
    },
    /// `--`.
    End,
    /// A word of the command that this one runs.
    Inner,
    Unknown(Unknown),
}

/// Why a word is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Option,
    /// No subcommand of this name.
    Verb,
    /// One operand too many.
    Operand,
    /// Not of the form that the option or operand has.
    Form,
    /// The script does more than compute and print, or may.
    Script,
    /// The value that belongs to this option is missing.
    Value,
}

/// A word with what it does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Role<'w> {
    pub(crate) what: What<'w>,
    pub(crate) effects: Effects,
}

/// An invocation, read.
#[derive(Debug)]
pub(crate) struct Reading<'w> {
    pub(crate) description: &'static Description,
    /// Of the innermost subcommand.
    pub(crate) form: &'static Form,
    /// One for each word, and one more for words of the input.
    pub(crate) roles: Vec<Role<'w>>,
    /// The words of the command that this one runs.
    pub(crate) inner: Option<Range<usize>>,
    /// Nothing that must be there is missing.
    pub(crate) complete: bool,
    /// What the words do together, by what is there and what is not. The program's own role
    /// has it too, but who names a program has not named this.
    pub(crate) together: Effects,
    /// An option makes trees of the paths (`ls -R`).
    pub(crate) deep: bool,
    /// It reads where it stands, as this kind (`ls` without a path).
    pub(crate) here: Option<&'static Kind>,
}

impl Reading<'_> {
    /// What all words together do; `None` if one of them is unknown or something is missing.
    pub(crate) fn effects(&self) -> Option<Effects> {
        self.complete.then_some(())?;
        self.roles
            .iter()
            .try_fold(Effects::READS, |all, role| match role.what {
                What::Unknown(_) => None,
                _ => Some(all.and(role.effects)),
            })
    }

    /// The files that it reads, word by word; a directory with what is below it is a tree.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (usize, &'static Kind, &str)> {
        self.roles
            .iter()
            .enumerate()
            .filter_map(|(at, role)| match role.what {
                What::Value { kind, text, .. } | What::Operand { kind, text } if kind.is_read() => {
                    Some((at, if self.deep { &Kind::Tree } else { kind }, text))
                }
                _ => None,
            })
    }
}
