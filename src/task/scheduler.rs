//! Starts whatever may run, a thread each, and the next one whenever one ends.
//!
//! Owns the way from the queue to a thread and back. Knows nothing of what a task does
//! ([`crate::task::worker`]) or in which order they come ([`crate::task::queue`]). Called by
//! [`crate::task::Tasks`] when a task was taken on or the bounds changed.

use std::sync::Arc;
use std::time::Instant;

use crate::model::memory::Held;
use crate::task::Tasks;
use crate::task::registry::{Expire, Refused, Registry};
use crate::task::worker;
use crate::task::worker_threads::Threads;

/// Cheap to clone; all clones share their threads.
#[derive(Clone)]
pub(crate) struct Scheduler {
    registry: Arc<Registry>,
    threads: Arc<Threads>,
}

impl Scheduler {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        Self {
            registry: Arc::clone(registry),
            threads: Arc::default(),
        }
    }

    /// Starts all that the bounds of `concurrency:` allow now.
    pub(crate) fn admit(&self) {
        while let Some((task, held)) = self.registry.admit() {
            let spawned = self.threads.start({
                let (scheduler, task) = (self.clone(), Arc::clone(&task));
                move || {
                    worker::run(&scheduler.registry, &task);
                    drop(held);
                    // The place that is free now is the next one's.
                    scheduler.registry.release(&task);
                    scheduler.admit();
                }
            });
            if let Err(error) = spawned {
                // Where others run, it waits for a thread of theirs.
                if self.registry.put_back(&task) {
                    return;
                }
                worker::fail_unstarted(&self.registry, &task, "start a thread", &error);
                self.registry.release(&task);
            }
        }
    }
}

/// What others ask of the registry: memory, the clock, names.
impl Tasks {
    /// Takes memory for a call, beside what its commands take.
    ///
    /// # Errors
    /// Calls hold as much as they may.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Held, Refused> {
        self.registry.reserve(bytes)
    }

    /// From now on this is done too when results expire; it says when it is due next.
    pub(crate) fn also_expire(&self, expire: Expire) {
        self.registry.also_expire(expire);
    }

    /// Something expires at this time.
    pub(crate) fn wake_by(&self, at: Instant) {
        self.registry.timer.wake_by(at);
    }

    /// A part for the name of work that is more than one task, which nobody can guess.
    pub(crate) fn token(&self) -> String {
        self.registry.token()
    }

    /// How many SSH sessions are kept for the next command.
    pub(crate) fn idle_sessions(&self) -> usize {
        self.registry.client.idle_sessions()
    }
}
