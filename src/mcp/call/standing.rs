//! Approvals that stand for a while: what a person said yes to "for 10 minutes".
//!
//! Owns until when each counts. What it counts for is the policy's to say: the rules that
//! asked, on the very hosts that were shown, under the configuration of that moment. They go
//! with the connection. Called by `approval`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::policy::{Authorised, NeedsApproval, Standing};

/// Most that are kept; the oldest is given up for a new one.
const MAX_KEPT: usize = 4096;

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
    #[expect(
        clippy::result_large_err,
        reason = "the question goes on to be asked: it is the value, not a failure"
    )]
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
