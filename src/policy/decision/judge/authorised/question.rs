//! The question whether a command may run, and the answer that makes a permit of it.
//!
//! Owns that a question becomes a permit by a person's [`Approval`] of what was [`Shown`],
//! or by a yes that stands for all that asks, and by nothing else. Made by `judge` alone;
//! put to people by `mcp`.

use std::sync::Arc;

use crate::model::names::{CommandHash, HostAlias};
use crate::model::text::{ascii, visible};
use crate::policy::decision::denial::{ApprovalFailure, Denial, Trail};
use crate::policy::decision::judge::authorised::{Authorised, Judged};
use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::ShellMode;
use crate::policy::identity::PolicyId;
use crate::policy::rule::asking::Asking;
use crate::policy::source::Line;

/// Characters shown to a person of what a command is given to read.
const STDIN_SHOWN: usize = 2_000;

/// A command that may run once a person has agreed.
#[derive(Debug)]
pub struct NeedsApproval {
    permit: Authorised,
    does: Arc<str>,
    /// All that asks.
    asking: Vec<Asking>,
    /// Whether a yes may count on for whatever else the same entries ask about.
    stands: bool,
}

impl NeedsApproval {
    pub(in crate::policy::decision::judge) fn new(
        judged: Judged,
        does: String,
        asking: Vec<Asking>,
        stands: bool,
    ) -> Self {
        Self {
            permit: Authorised::new(judged),
            does: does.into(),
            asking,
            stands,
        }
    }

    /// All that asks: who has to approve is what the strongest of these rules says.
    pub fn asking(&self) -> &[Asking] {
        &self.asking
    }

    pub(in crate::policy::decision) fn share_with(&mut self, other: &Self) {
        self.permit.share_with(&other.permit);
        if self.does == other.does {
            self.does = Arc::clone(&other.does);
        }
    }

    /// What the command does, in a few words, as far as it is known.
    pub fn does(&self) -> &str {
        &self.does
    }

    pub fn code(&self) -> Code {
        self.permit.what.code
    }

    pub fn alias(&self) -> &HostAlias {
        &self.permit.alias
    }

    pub fn hash(&self) -> CommandHash {
        self.permit.hash
    }

    pub fn canonical_hash(&self) -> CommandHash {
        self.permit.canonical_hash()
    }

    /// What would be sent, exactly.
    pub fn canonical(&self) -> &str {
        &self.permit.what.canonical
    }

    /// How the host's shell gets it.
    pub fn shell(&self) -> ShellMode {
        self.permit.what.shell
    }

    /// What a person is to read of it, and what their yes will be bound to: the two are made
    /// together, so that nothing can be approved that was not shown. Characters beyond ASCII
    /// are written as `\u{…}`, so that a letter that only looks like another one shows.
    pub fn show(&self) -> (String, Shown) {
        let shown = Shown {
            digest: self.permit.digest(),
            standing: Standing {
                policy: self.permit.policy,
                alias: self.permit.alias.clone(),
                asking: match self.stands {
                    true => self.asking.clone(),
                    false => Vec::new(),
                },
                is_job: self.permit.is_job(),
            },
        };
        let mut text = ascii(&self.shown_command());
        if let Some(given) = self.shown_given() {
            text.push_str(&format!("\nIt is given {}", ascii(&visible(&given))));
        }
        (text, shown)
    }

    /// What a person approves, in words: the command as it would be sent, or the work on a
    /// file. The script for that is the server's own; this is all that a call can say of it.
    pub fn shown_command(&self) -> String {
        let what = &self.permit.what;
        match &what.file {
            None => what.canonical.clone(),
            Some(work) => work.described(),
        }
    }

    /// What the command is given to read, or the file to hold: size, hash and its beginning, as
    /// it came.
    pub fn shown_given(&self) -> Option<String> {
        let stdin = self.permit.what.stdin.as_ref()?;
        if stdin.is_elsewhere() {
            return Some(format!(
                "{} bytes of the server's file (sha256 {})",
                stdin.size(),
                stdin.sha256_hex()
            ));
        }
        let beginning = stdin.beginning(STDIN_SHOWN);
        let all = beginning.len() == stdin.held().len();
        Some(format!(
            "{} bytes to read (sha256 {}){}: {}",
            stdin.size(),
            stdin.sha256_hex(),
            if all { "" } else { ", which begin with" },
            beginning,
        ))
    }

    /// Lines in `policy.yml` of the rules that ask or allow.
    pub fn rules(&self) -> &[Line] {
        &self.permit.what.rules
    }

    pub fn trail(&self) -> &Trail {
        &self.permit.what.trail
    }

    /// The permit, if the approval is for this very host and command.
    ///
    /// # Errors
    /// A denial with `approval:mismatch` if it is not.
    pub fn approve(mut self, approval: Approval) -> Result<Authorised, Denial> {
        if approval.0 == self.permit.digest() {
            self.permit.approved = true;
            Ok(self.permit)
        } else {
            Err(self.refuse(ApprovalFailure::Mismatch))
        }
    }

    /// The permit, if a person's yes stands for every entry that asks.
    ///
    /// # Errors
    /// The question itself, if there is one that was not answered so.
    pub fn approve_by<'s>(
        mut self,
        given: impl Iterator<Item = &'s Standing>,
    ) -> Result<Authorised, Self> {
        let mut answered: Vec<Asking> = Vec::new();
        for standing in given {
            let Standing {
                policy,
                alias,
                asking,
                is_job,
            } = standing;
            if *policy == self.permit.policy
                && *alias == self.permit.alias
                && *is_job == self.permit.is_job()
            {
                answered.extend(asking);
            }
        }
        let all = self.asking.iter().all(|each| answered.contains(each));
        match self.stands && !self.asking.is_empty() && all {
            true => {
                self.permit.approved = true;
                Ok(self.permit)
            }
            false => Err(self),
        }
    }

    /// The permit, if an older permit for this very host and command was approved.
    ///
    /// # Errors
    /// The question itself, if it was not.
    pub(in crate::policy::decision) fn approved_before(
        self,
        old: &Authorised,
    ) -> Result<Authorised, Self> {
        let permit = self.permit.with_approval_of(old);
        match permit.approved {
            true => Ok(permit),
            false => Err(Self {
                permit,
                does: self.does,
                asking: self.asking,
                stands: self.stands,
            }),
        }
    }

    /// The denial for a question that did not get its yes.
    pub fn refuse(self, failure: ApprovalFailure) -> Denial {
        let mut denial = Denial::new(failure.code(), self.permit.hash, None);
        denial.rule = self.permit.what.rules.first().copied();
        denial.trail = Box::new(self.permit.what.trail.clone());
        denial
    }
}

/// A host and command that were put before a person. Made by [`NeedsApproval::show`] alone.
#[derive(Debug)]
pub struct Shown {
    digest: [u8; 32],
    standing: Standing,
}

/// A person's yes to what asked, for any command that it asks about on this host,
/// as long as this policy is in force. How long it counts is for whoever keeps it to say.
#[derive(Debug)]
pub struct Standing {
    policy: PolicyId,
    alias: HostAlias,
    asking: Vec<Asking>,
    /// Given for a job, or for runs.
    is_job: bool,
}

impl Shown {
    /// For the record.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The person agreed to what was shown.
    pub fn accepted(self) -> Approval {
        Approval(self.digest)
    }

    /// The same, and to whatever else the same rules ask about on this host.
    pub fn accepted_for_a_while(self) -> (Approval, Standing) {
        (Approval(self.digest), self.standing)
    }
}

/// A person's yes to what was shown. Made of a [`Shown`] by the code that asked; consumed by
/// [`NeedsApproval::approve`], so that it counts once.
#[derive(Debug)]
pub struct Approval([u8; 32]);
