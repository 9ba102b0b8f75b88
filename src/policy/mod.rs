//! What may run: a policy file, compiled, and the judgement of one command under it.
//!
//! Owns [`Policy`]. Refuses to look at anything but the words it is given: no network,
//! no file, no clock, no log; what others should know is returned as data. Called by
//! `config` (to compile at load), and by `mcp`, `task` and the command line (to judge).

pub(crate) mod compile;
pub(crate) mod decision;
pub(crate) mod deny;
pub(crate) mod files;
pub(crate) mod filter;
pub(crate) mod hazard;
pub(crate) mod identity;
pub(crate) mod limits;
pub(crate) mod network;
pub(crate) mod programs;
pub(crate) mod rule;
pub(crate) mod source;
pub(crate) mod syntax;

use crate::model::names::{CommandHash, CommandText, Tag};

pub use crate::policy::decision::denial::Denial;
pub(crate) use crate::policy::decision::denial::{ApprovalFailure, DenialFault};
pub use crate::policy::decision::judge::authorised::Authorised;
pub(crate) use crate::policy::decision::judge::authorised::question::Standing;
pub use crate::policy::decision::judge::authorised::question::{Approval, NeedsApproval, Shown};
pub(crate) use crate::policy::decision::judge::job_text::KEPT_DAYS;
pub use crate::policy::decision::judge::purpose::{Care, Purpose};
pub(crate) use crate::policy::decision::judge::sudo::{Marks, Raised};
pub use crate::policy::decision::reason::Code;
pub(crate) use crate::policy::decision::request::Request;
pub use crate::policy::decision::subject::{Quotes, ShellMode, Subject};
pub use crate::policy::decision::verdict::Verdict;
pub(crate) use crate::policy::files::script::{END, MARK};
pub(crate) use crate::policy::files::work::FileWork;
pub(crate) use crate::policy::files::work::{
    Doing, Fetching, FilePath, How, LocalName, Mode, Part, Sha256Hex, Writing,
};
use identity::PolicyId;
pub(crate) use limits::EffectiveLimits;
pub(crate) use network::NetworkPolicy;
use source::{Line, PolicySource};

/// A compiled policy: immutable, shared, and all that is needed to judge.
#[derive(Debug)]
pub struct Policy {
    id: PolicyId,
    limits: limits::Limits,
    network: NetworkPolicy,
    rules: rule::Rules,
    files: Vec<files::rules::FileRule>,
    options: syntax::lexer::Options,
}

/// A policy with what its author should know about it.
#[derive(Debug)]
pub struct Compiled {
    pub policy: Policy,
    pub warnings: Vec<Warning>,
}

/// Why a policy does not compile. All of them are found, not the first only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {found}; accepted: {accepted}")]
pub struct Problem {
    pub line: Option<Line>,
    /// Such as `rules[3].commands`.
    pub key: String,
    /// What stands there, or what is wrong with it.
    pub found: String,
    /// What would be accepted.
    pub accepted: String,
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
        compile::compile(source)
    }

    /// Whether any rule wants a person's approval.
    pub fn asks(&self) -> bool {
        let mut rules = self.rules.rules.iter();
        let mut files = self.files.iter();
        rules.any(|rule| rule.action == source::Action::Ask)
            || files.any(|rule| rule.action == source::Action::Ask)
    }

    /// Which policy this is: no two that were compiled are the same.
    pub fn id(&self) -> PolicyId {
        self.id
    }

    /// Decides what may become of a command on a host. Never touches the host.
    pub fn judge(&self, subject: &Subject<'_>, command: &CommandText) -> Verdict {
        self.verdict(subject, command.as_str())
    }

    /// The same for a text that no client sent: examples, expectations, operators.
    pub fn judge_text(&self, subject: &Subject<'_>, text: &str) -> Verdict {
        self.verdict(subject, text)
    }

    /// The same for bytes that may not even be text.
    pub fn judge_bytes(&self, subject: &Subject<'_>, bytes: &[u8]) -> Verdict {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.verdict(subject, text),
            Err(error) => {
                let hash = CommandHash::of_bytes(bytes);
                let position = Some(error.valid_up_to());
                Verdict::Deny(Denial::new(Code::NotUtf8, hash, position))
            }
        }
    }

    /// What a run on this host may use up.
    pub fn limits(&self, alias: &str, tags: &[Tag]) -> EffectiveLimits {
        self.limits.of(alias, tags)
    }

    pub fn network(&self) -> &NetworkPolicy {
        &self.network
    }
}
