//! Why a question at a login has no answer.
//!
//! Owns the words for it, for the assistant and for the operator. Part of
//! [`crate::ssh::error::SshError`]; made by [`crate::ssh::answers`] and by whoever asks a person.

use std::fmt;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// No entry is for it.
    NoEntry,
    /// The operator is to be asked, and there is no way to.
    NoDesk,
    /// Nobody answered, in so many seconds.
    Silent(u64),
    /// The operator would not say.
    Declined,
    /// The way to the operator is not as it must be.
    Unusable(String),
}

impl Unanswered {
    /// For the assistant.
    pub(crate) fn told(&self) -> &'static str {
        match self {
            Self::NoEntry => {
                "SSH login asks for more: Name the answer in prompts of this credential"
            }
            Self::NoDesk => {
                "SSH login needs what the operator types: The server was started without --approvals-dir"
            }
            Self::Silent(_) => "SSH login needs what the operator types: Nobody answered in time",
            Self::Declined => "SSH login needs what the operator types: The operator declined",
            Self::Unusable(_) => {
                "SSH login needs what the operator types: The directory of approvals cannot be used"
            }
        }
    }
}

/// For the operator.
impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEntry => f.write_str("which no entry of prompts is for"),
            Self::NoDesk => f.write_str(
                "which the operator is to answer (ask: operator): start the server with \
                 --approvals-dir",
            ),
            Self::Silent(seconds) => write!(
                f,
                "which the operator is to answer, and nobody did in {seconds} s: run \
                 'mcp-ssh-orchestrator approvals --watch' with the server's --approvals-dir, as \
                 the user that owns grants, and type the answer when it is asked"
            ),
            Self::Declined => f.write_str("which the operator declined to answer"),
            Self::Unusable(why) => write!(f, "which the operator could not be asked: {why}"),
        }
    }
}
