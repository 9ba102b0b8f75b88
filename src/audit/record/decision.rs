//! What was decided, and what was only looked at.
//!
//! Owns the fields of `policy_decision` and of `call`. A command is its hash here; in words it
//! is in [`Grounds`] for the file alone. Made by `task` and by the tools.

use serde::Serialize;

use crate::audit::record::{display, display_some};
use crate::audit::timestamp::Ts;
use crate::model::names::{CommandHash, HostAlias};
use crate::model::stdin::Stdin;
use crate::policy::FileWork;

/// The fields of `policy_decision`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub ts: Ts,
    #[serde(serialize_with = "display")]
    pub alias: HostAlias,
    #[serde(serialize_with = "display")]
    pub hash: CommandHash,
    pub allowed: bool,
    #[serde(flatten)]
    pub grounds: Grounds,
}

/// What a decision was made by, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Grounds {
    /// The name of the reason, such as `no-rule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The line of policy.yml that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// Of what is sent: the same for every spelling of it.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "display_some"
    )]
    pub canonical_hash: Option<CommandHash>,
    /// The reason in words, where the network policy decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    #[serde(flatten)]
    pub given: Given,
    /// The command in words, for the file alone and only where that is wanted.
    #[serde(skip)]
    pub command: Option<String>,
}

/// What is given to a command beside its words. Nothing, for most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Given {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

/// A file that is read or written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// `read`, `fetch`, `write` or `send`.
    pub doing: &'static str,
    pub path: String,
    /// The server's file that it goes to or comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    pub sudo: bool,
}

/// Bytes, by what tells them from others. What they are is no record's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bytes {
    pub bytes: u64,
    pub sha256: String,
}

impl Given {
    /// What a request is given to read, and the file that it is about.
    pub(crate) fn of(stdin: Option<&Stdin>, file: Option<&FileWork>) -> Self {
        Self {
            stdin: stdin.map(|stdin| Bytes {
                bytes: stdin.size(),
                sha256: stdin.sha256_hex(),
            }),
            file: file.map(|work| File {
                doing: work.verb(),
                path: work.path.as_str().to_owned(),
                local: work.local().map(|name| name.as_str().to_owned()),
                sudo: work.sudo,
            }),
        }
    }
}

/// The fields of `call`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Looked {
    pub ts: Ts,
    pub tool: &'static str,
    /// `answered` or `refused`.
    pub outcome: &'static str,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "display_some"
    )]
    pub alias: Option<HostAlias>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "display_some"
    )]
    pub hash: Option<CommandHash>,
    /// What a plan came to: `allow`, `ask` or `deny`, and by what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}
