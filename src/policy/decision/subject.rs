//! For whom a command is judged: the host, its tags, how it takes a command, and with what
//! to read.
//!
//! Owns nothing but these types; says nothing of rules. Made by `config` from a host, and
//! by the command line.

use crate::model::names::{HostAlias, Tag};
use crate::model::stdin::Stdin;

/// How a host takes a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShellMode {
    /// Through `/bin/sh -c`, whatever the login shell is.
    #[default]
    Sh,
    /// To the login shell itself, quoted as every supported shell reads it.
    Login,
    /// As bare words: appliances, and forced commands that look at the text.
    Direct(Quotes),
}

/// How a host without a shell of ours reads a word that holds a blank or the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quotes {
    /// Nobody said: such words are refused.
    #[default]
    None,
    /// Between `'`.
    Single,
    /// Between `"`.
    Double,
}

/// For whom a command is judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub alias: &'a HostAlias,
    /// In the order of `servers.yml`.
    pub tags: &'a [Tag],
    pub shell: ShellMode,
    /// Whether it is to go on when nobody waits for it any more: only rules with
    /// `detach: true` count then.
    pub detached: bool,
    /// What its standard input is to be; `None`: nothing.
    pub stdin: Option<&'a Stdin>,
}

impl<'a> Subject<'a> {
    /// The same, with this to read.
    #[must_use]
    pub fn fed<'b>(&self, stdin: Option<&'b Stdin>) -> Subject<'b>
    where
        'a: 'b,
    {
        Subject { stdin, ..*self }
    }
}
