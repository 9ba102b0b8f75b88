//! Threads for tasks: one each while it runs, kept a moment for the next.
//!
//! Owns starting them and how many wait idle. Knows nothing of tasks, and bounds nothing
//! but what is idle ([`crate::task::queue`] bounds what runs). Called by [`crate::task::registry`].
//!
//! A command on an open session takes about two milliseconds, most of them the host's. A
//! new thread for each would be placed behind everything else that is ready to run, and
//! libcrypto would set up its random numbers for it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

/// Stack of a task's thread, in bytes. Only what is touched is backed by memory.
const STACK: usize = 256 * 1024;
/// How long a thread waits for the next task.
const KEEP: Duration = Duration::from_secs(5);
/// How many wait at most.
const MOST_IDLE: usize = 16;

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(crate) struct Threads {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    idle: usize,
    /// For threads that are idle still: never more than those.
    work: VecDeque<Work>,
}

impl Threads {
    /// Does the work on a thread of its own.
    ///
    /// # Errors
    /// No thread is idle, and the system starts no other.
    pub(crate) fn start(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let work = Box::new(work);
        let mut state = self.lock();
        if state.idle > state.work.len() {
            state.work.push_back(work);
            drop(state);
            self.arrived.notify_one();
            return Ok(());
        }
        drop(state);
        let threads = Arc::clone(self);
        let thread = thread::Builder::new().name("task".into()).stack_size(STACK);
        let life = move || {
            let mut next: Option<Work> = Some(work);
            while let Some(work) = next {
                work();
                next = threads.next();
            }
        };
        thread.spawn(life).map(drop)
    }

    /// Waits for the next work; `None` if none came or enough others wait.
    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        if state.idle >= MOST_IDLE {
            return None;
        }
        state.idle += 1;
        let waited = self
            .arrived
            .wait_timeout_while(state, KEEP, |state| state.work.is_empty());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.work.pop_front()
    }

    /// A panic aborts the process, so a poisoned lock cannot be met.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::mpsc;

    #[test]
    fn work_that_waits_for_other_work_gets_it_done() {
        let threads = Arc::new(Threads::default());
        let (all_here, here) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..MOST_IDLE * 2 {
            let (all_here, gate) = (all_here.clone(), Arc::clone(&gate));
            threads
                .start(move || {
                    all_here.send(()).unwrap();
                    let _ = gate.lock().unwrap().recv();
                })
                .unwrap();
        }
        // Every one has begun although none has ended.
        for _ in 0..MOST_IDLE * 2 {
            here.recv().unwrap();
        }
        drop(go);
    }

    #[test]
    fn a_thread_is_used_again() {
        let threads = Arc::new(Threads::default());
        let (done, ids) = mpsc::channel();
        let mut seen = HashSet::new();
        for _ in 0..50 {
            let done = done.clone();
            threads
                .start(move || done.send(thread::current().id()).unwrap())
                .unwrap();
            seen.insert(ids.recv().unwrap());
            // What was sent last came from a thread that may not be idle yet.
            while threads.lock().idle < 1 {
                thread::yield_now();
            }
        }
        assert_eq!(seen.len(), 1);
    }
}
