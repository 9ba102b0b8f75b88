//! How an operator's command finds the running servers of a user, and hears from them.
//!
//! Owns the runtime directory: one file a server, made and locked before the sandbox
//! closes, readable by that user alone, to which the server appends an answer whenever it
//! is asked by a signal. A file whose lock is free belongs to a server that is gone. The
//! sandbox grants nothing for it: the file is open, and no other is ever opened. Called by
//! the boot, and by the subcommands `reload` and `status`.

pub(crate) mod directory;
pub(crate) mod find;
pub(crate) mod own;

use serde::{Deserialize, Serialize};

use crate::audit::Ts;

/// The first line of a server's file: who it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identified {
    pub(crate) pid: u32,
    /// The namespace that the number counts in, as `/proc/self/ns/pid` names it.
    pub(crate) namespace: String,
    pub(crate) version: String,
    pub(crate) config_dir: String,
    /// Since when, as ISO 8601.
    pub(crate) since: String,
}

/// What a server was asked, by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// SIGHUP: read everything again.
    Reload,
    /// SIGUSR1: how do you do?
    Status,
}

/// Each line after the first: what a server did, or how it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) question: Question,
    /// When it was begun, in microseconds: what began before it was asked for is no answer.
    pub(crate) begun: u64,
    /// Whether the files as they are now are in force.
    pub(crate) in_force: bool,
    /// SHA-256 in hex of the configuration in force.
    pub(crate) config_hash: String,
    pub(crate) hosts: usize,
    /// Why the files are not in force, a sentence each.
    pub(crate) problems: Vec<String>,
    /// What keeps the audit file from being written, if anything does.
    pub(crate) audit: Option<String>,
}

/// This moment, in the unit of [`Answer::begun`].
pub(crate) fn moment() -> u64 {
    Ts::now().micros()
}
