//! What may run: a policy file, compiled, and the judgement of one command under it.
//!
//! Owns [`Policy`]. Refuses to look at anything but the words it is given: no network,
//! no file, no clock, no log; what others should know is returned as data. Called by
//! `config` (to compile at load), and by `mcp`, `task` and the command line (to judge).

pub mod code;
pub mod limits;
pub mod network;
mod render;
pub mod source;
pub mod verdict;

use std::fmt;

use crate::config::types::{CommandText, Tag};

pub use code::Code;
pub use limits::EffectiveLimits;
pub use network::{NetworkPolicy, PinnedAddress, Refused};
use source::{Line, PolicySource};
pub use verdict::{
    Approval, ApprovalFailure, Authorised, Denial, NeedsApproval, ShellMode, Subject, Verdict,
};

/// A compiled policy: immutable, shared, and all that is needed to judge.
#[derive(Debug)]
pub struct Policy {
    limits: limits::Limits,
    network: NetworkPolicy,
}

/// A policy with what its author should know about it.
#[derive(Debug)]
pub struct Compiled {
    pub policy: Policy,
    pub warnings: Vec<Warning>,
}

/// Why a policy does not compile. All of them are found, not the first only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub line: Option<Line>,
    /// Such as `rules[3].commands`.
    pub key: String,
    /// What stands there, or what is wrong with it.
    pub found: String,
    /// What would be accepted.
    pub accepted: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}; accepted: {}",
            self.key, self.found, self.accepted
        )
    }
}

/// What loads but surprises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub line: Option<Line>,
    /// Such as `rules[3].commands`.
    pub key: String,
    /// What it does, and what to write instead.
    pub message: String,
}

impl Policy {
    /// # Errors
    /// Every [`Problem`] of the source, in its order.
    pub fn compile(source: PolicySource) -> Result<Compiled, Vec<Problem>> {
        let limits =
            limits::Limits::compile(&source.limits, source.alias_overrides, source.tag_overrides);
        let policy = Self {
            limits,
            network: NetworkPolicy::compile(source.network),
        };
        Ok(Compiled {
            policy,
            warnings: Vec::new(),
        })
    }

    /// Decides what may become of a command on a host. Never touches the host.
    pub fn judge(&self, subject: &Subject<'_>, command: &CommandText) -> Verdict {
        let _ = subject;
        Verdict::Deny(Denial::new(Code::NoRule, command.hash(), None))
    }

    /// What a run on this host may use up.
    pub fn limits(&self, alias: &str, tags: &[Tag]) -> EffectiveLimits {
        self.limits.of(alias, tags)
    }

    pub fn network(&self) -> &NetworkPolicy {
        &self.network
    }
}
