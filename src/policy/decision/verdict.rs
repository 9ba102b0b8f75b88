//! The outcome of a judgement: a permit to run, a question to a person, or a denial.
//!
//! Owns what becomes of a permit when the policy is another one by the time it is used.
//! Makes no permit itself; only `judge` does. Called by `task` with what may run, by
//! `mcp` for what must be asked or answered.

use crate::policy::decision::denial::{ApprovalFailure, Denial, Trail};
use crate::policy::decision::judge::authorised::Authorised;
use crate::policy::decision::judge::authorised::question::NeedsApproval;
use crate::policy::decision::reason::Code;

/// The outcome of `judge`.
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    Allow(Authorised),
    Ask(NeedsApproval),
    Deny(Denial),
}

impl Verdict {
    /// What the security log is to be told, whatever the outcome.
    pub fn trail(&self) -> &Trail {
        match self {
            Self::Allow(authorised) => authorised.trail(),
            Self::Ask(question) => question.trail(),
            Self::Deny(denial) => &denial.trail,
        }
    }

    /// `allow`, `ask` or `deny`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Ask(_) => "ask",
            Self::Deny(_) => "deny",
        }
    }

    pub fn code(&self) -> Code {
        match self {
            Self::Allow(authorised) => authorised.code(),
            Self::Ask(question) => question.code(),
            Self::Deny(denial) => denial.code,
        }
    }

    /// Holds what it has alike with the verdict for another host only once.
    pub fn share_with(&mut self, other: &Self) {
        match (self, other) {
            (Self::Allow(own), Self::Allow(other)) => own.share_with(other),
            (Self::Ask(own), Self::Ask(other)) => own.share_with(other),
            _ => {}
        }
    }

    /// What is left of an older permit, now that its command was judged anew for the same
    /// host: the new permit. A person's approval counts on, for what it was given for.
    ///
    /// # Errors
    /// The new denial, which says that it is one after a change.
    pub fn renewing(self, old: &Authorised) -> Result<Authorised, Denial> {
        match self {
            Self::Allow(new) => Ok(new.with_approval_of(old)),
            Self::Ask(question) => {
                let failure = match old.is_approved() {
                    true => ApprovalFailure::Mismatch,
                    false => ApprovalFailure::Missing,
                };
                question
                    .approved_before(old)
                    .map_err(|question| question.refuse(failure).after_a_change())
            }
            Self::Deny(denial) => Err(denial.after_a_change()),
        }
    }
}
