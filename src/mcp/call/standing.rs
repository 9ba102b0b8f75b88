//! Approvals that stand for a while: what a person said yes to "for 10 minutes".
//!
//! Owns until when each counts, and the terms of a policy for asking. What it counts for is the policy's to say: the rules that
//! asked, on the very hosts that were shown, under the configuration of that moment. They go
//! with the connection. Called by `approval`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Snapshot;
use crate::policy::{Authorised, NeedsApproval, Standing};

/// Most that are kept; the oldest is given up for a new one.
const MAX_KEPT: usize = 4096;

/// How a policy has people asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How long an answer is waited for, and counts.
    pub(crate) wait: Duration,
    /// How long a yes may stand for more than what was asked; zero: not at all.
    pub(crate) reuse: Duration,
}

impl Terms {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            wait: snapshot.approval_wait(),
            reuse: snapshot.approval_reuse(),
        }
    }

    /// The choice beside "once", if the policy leaves one.
    pub(crate) fn choice(&self) -> Option<String> {
        let seconds = self.reuse.as_secs();
        match (seconds, seconds % 60) {
            (0, _) => None,
            (1, _) => Some("1 second".to_owned()),
            (60, _) => Some("1 minute".to_owned()),
            (_, 0) => Some(format!("{} minutes", seconds / 60)),
            _ => Some(format!("{seconds} seconds")),
        }
    }
}

#[derive(Default)]
pub(crate) struct StandingApprovals(Mutex<Vec<(Instant, Standing)>>);

impl StandingApprovals {
    pub(crate) fn keep(&self, given: Vec<Standing>, good_for: Duration) {
        let until = Instant::now() + good_for;
        let mut kept = self.lock();
        kept.extend(given.into_iter().map(|standing| (until, standing)));
        let too_many = kept.len().saturating_sub(MAX_KEPT);
        kept.drain(..too_many);
    }

    /// The permit, where an approval stands for all that asks.
    pub(crate) fn apply(&self, question: NeedsApproval) -> Result<Authorised, NeedsApproval> {
        let now = Instant::now();
        let mut kept = self.lock();
        kept.retain(|(until, _)| *until > now);
        question.approve_by(kept.iter().map(|(_, standing)| standing))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, Standing)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
