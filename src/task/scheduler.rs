//! Starts whatever may run, a thread each, and the next one whenever one ends.
//!
//! Owns the way from the queue to a thread and back. Knows nothing of what a task does
//! ([`crate::task::worker`]) or in which order they come ([`crate::task::queue`]). Called by
//! [`crate::task::Tasks`] when a task was taken on or the bounds changed.

use std::sync::Arc;

use crate::task::registry::Registry;
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
