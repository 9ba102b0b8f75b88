//! A list that threads append to and tests wait on: log lines, frames, exit codes.
//!
//! Owns waiting. A wait ends with the event, never with a nap; the deadline only bounds
//! a failure.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long any event may take before a test fails. Generous: two cores run everything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(45);

pub(crate) struct Feed<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    items: Vec<T>,
    ended: bool,
}

impl<T> Default for Feed<T> {
    fn default() -> Self {
        let state = Mutex::new(State {
            items: Vec::new(),
            ended: false,
        });
        Feed {
            state,
            changed: Condvar::new(),
        }
    }
}

impl<T> Feed<T> {
    pub(crate) fn push(&self, item: T) {
        self.state.lock().unwrap().items.push(item);
        self.changed.notify_all();
    }

    /// Nothing will come any more.
    pub(crate) fn end(&self) {
        self.state.lock().unwrap().ended = true;
        self.changed.notify_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().unwrap().items.len()
    }

    /// The first item at or after `from` that `pick` takes, as soon as it is there.
    /// `None` when the deadline passes, or the feed ends, without one.
    pub(crate) fn wait<R>(
        &self,
        from: usize,
        within: Duration,
        mut pick: impl FnMut(&T) -> Option<R>,
    ) -> Option<R> {
        let deadline = Instant::now() + within;
        let mut seen = from;
        let mut state = self.state.lock().unwrap();
        loop {
            while seen < state.items.len() {
                if let Some(found) = pick(&state.items[seen]) {
                    return Some(found);
                }
                seen += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for the end of the feed; false when the deadline passes first.
    pub(crate) fn wait_end(&self, within: Duration) -> bool {
        let state = self.state.lock().unwrap();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, within, |s| !s.ended)
            .unwrap();
        state.ended
    }
}

impl<T: Clone> Feed<T> {
    pub(crate) fn all(&self) -> Vec<T> {
        self.state.lock().unwrap().items.clone()
    }
}

/// For what the system gives no event of (another process's state in `/proc`): asks again
/// every few milliseconds until it holds. Fails the test, saying `what`, at the deadline.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(
            Instant::now() < deadline,
            "did not happen within {DEADLINE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(4));
    }
}
