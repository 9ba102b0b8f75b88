//! For whom a command is judged: the host, its tags, and how it takes a command.
//!
//! Owns nothing but these types; says nothing of rules. Made by `config` from a host, and
//! by the command line.

use crate::model::names::{HostAlias, Tag};

/// How a host takes a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShellMode {
    /// Through `/bin/sh -c`, whatever the login shell is.
    #[default]
    Sh,
    /// To the login shell itself, quoted as every supported shell reads it.
    Login,
    /// As bare words: appliances, and forced commands that look at the text.
    Direct,
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
}
