//! What is heard of a run on a tag while it goes on.
//!
//! Owns the events alone; `fanout` makes them, and `mcp` turns them into progress.

use std::sync::Arc;

use crate::model::names::{HostAlias, TaskId};
use crate::task::state::{self, Waiting};
use crate::task::tag::report::TagOutcome;

/// What a listener hears of a tag run; `done` only grows.
#[derive(Debug, Clone)]
pub enum TagEvent {
    HostStarted {
        alias: HostAlias,
        task_id: TaskId,
    },
    /// How it is with the first of the hosts that were begun: one speaks for all, however
    /// many.
    HostGoesOn {
        alias: HostAlias,
        at: Moment,
        done: usize,
        total: usize,
    },
    /// One host more has ended, or will not be begun.
    HostFinished {
        alias: HostAlias,
        done: usize,
        total: usize,
    },
    /// A step of a run in steps is over, so many seconds before the next.
    StepEnded {
        step: usize,
        steps: usize,
        done: usize,
        total: usize,
        pause: u64,
    },
    /// Nothing follows.
    Finished(Arc<TagOutcome>),
}

/// A moment of a host that was begun and has not ended.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    Waits(Waiting),
    Runs(state::Progress),
}

/// Hears of a tag run, one call at a time. An implementation must not block and must not
/// use the run's handle in the call (except in `Finished`).
pub trait TagListener: Send + Sync {
    fn on_event(&self, event: &TagEvent);
}

impl TagListener for () {
    fn on_event(&self, _: &TagEvent) {}
}
