//! A command for all hosts of a tag, judged whole before any of it runs.
//!
//! Owns the list of hosts in the file's order with the verdict for each, and the options
//! that a run on them takes. Starts nothing
//! ([`crate::task::tag::fanout`] does) and asks nobody: the tools settle what needs a person's
//! approval. Made by [`crate::task::Tasks::plan`].

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::audit::Audit;
use crate::config::Snapshot;
use crate::model::names::{CommandHash, HostAlias};
use crate::policy::{Authorised, Denial, NeedsApproval, Request, Verdict};
use crate::task::output::excerpt::Shape;
use crate::task::tag::batch::Batch;
use crate::task::tag::expected::Expected;

/// How a tag run goes about it.
#[derive(Debug, Clone)]
pub struct TagOptions {
    /// Which hosts go together; at a time never more than `concurrency: fan_out`.
    pub batch: Batch,
    /// After so many failures and timeouts no further host is begun. In steps one is enough
    /// where nothing is said.
    pub max_failures: Option<NonZeroUsize>,
    /// What a host has to do to count as succeeded.
    pub expected: Expected,
    /// What of each output is wanted; all together have no more characters than one.
    pub shape: Shape,
    /// A time limit below the policy's.
    pub seconds: Option<u32>,
    /// How many seconds the whole run may take, where somebody waits for its answer.
    pub within: Option<u32>,
}

/// Who is to run what, and who is not.
pub struct TagPlan {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) request: Request,
    /// The way to the record of the call that asks.
    pub(crate) audit: Audit,
    /// In the order of the file.
    pub(crate) hosts: Vec<(HostAlias, Verdict)>,
}

impl TagPlan {
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    pub fn hash(&self) -> CommandHash {
        self.request.hash()
    }

    /// What needs a person's approval, in the order of the file.
    pub fn asks(&self) -> Vec<&NeedsApproval> {
        let verdicts = self.hosts.iter();
        verdicts
            .filter_map(|(_, verdict)| match verdict {
                Verdict::Ask(needs) => Some(needs),
                Verdict::Allow(_) | Verdict::Deny(_) => None,
            })
            .collect()
    }

    /// Lets those run for which there is an approval already; the others are asked on.
    #[must_use]
    pub fn approve(
        mut self,
        mut approve: impl FnMut(NeedsApproval) -> Result<Authorised, NeedsApproval>,
    ) -> Self {
        let approved = |(alias, verdict)| match verdict {
            Verdict::Ask(needs) => match approve(needs) {
                Ok(authorised) => (alias, Verdict::Allow(authorised)),
                Err(needs) => (alias, Verdict::Ask(needs)),
            },
            Verdict::Allow(_) | Verdict::Deny(_) => (alias, verdict),
        };
        self.hosts = self.hosts.into_iter().map(approved).collect();
        self
    }

    /// Decides for each host that needs approval. What is not settled when the plan is
    /// run is denied.
    #[must_use]
    pub fn settle(
        mut self,
        mut decide: impl FnMut(NeedsApproval) -> Result<Authorised, Denial>,
    ) -> Self {
        let settled = |(alias, verdict)| match verdict {
            Verdict::Ask(needs) => match decide(needs) {
                Ok(authorised) => (alias, Verdict::Allow(authorised)),
                Err(denial) => (alias, Verdict::Deny(denial)),
            },
            Verdict::Allow(_) | Verdict::Deny(_) => (alias, verdict),
        };
        self.hosts = self.hosts.into_iter().map(settled).collect();
        self
    }
}
