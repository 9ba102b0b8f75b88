//! Questions to people that are open: all of a connection wait on one thread.
//!
//! Owns that thread, which lives while something is open, and whose turn it is: that of what
//! was told something, of what is due, and of everything once the connection ends. Knows
//! nothing of what is asked; what goes on after an answer may not wait for a host there. Used
//! by `approval`; told by `connection`, through [`crate::mcp::call::server_requests`].

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

/// A client's answer to a request of ours; `Err` for an error.
pub(crate) type Reply = Result<Value, Value>;

/// Stack of the thread, in bytes.
const STACK: usize = 512 * 1024;

/// Something that is open.
pub(crate) trait Open: Send {
    /// Its turn: itself, and when its next one is due at the latest, unless it is over.
    /// `number` is its own; `said` what its client answered, if that is why.
    fn turn(self: Box<Self>, number: u64, said: Option<Reply>) -> Option<(Instant, Box<dyn Open>)>;
}

/// What is open.
#[derive(Default)]
pub(crate) struct Waiting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Waits>,
    due: BTreeSet<(Instant, u64)>,
    /// Whose turn is now, with what was said to it.
    told: VecDeque<(u64, Option<Reply>)>,
    last: u64,
    /// What has its turn.
    at_it: Option<u64>,
    /// A thread sees to it.
    attended: bool,
}

struct Waits {
    what: Box<dyn Open>,
    due: Instant,
}

impl Waiting {
    /// Opens this: its first turn comes at once, on the thread.
    ///
    /// # Errors
    /// There can be no thread.
    pub(crate) fn add(self: &Arc<Self>, what: Box<dyn Open>) -> io::Result<()> {
        let mut state = self.lock();
        if !state.attended {
            let own = Arc::clone(self);
            let thread = std::thread::Builder::new()
                .name("mcp-questions".to_owned())
                .stack_size(STACK);
            thread.spawn(move || own.attend())?;
            state.attended = true;
        }
        state.last += 1;
        let number = state.last;
        state.put(number, what, Instant::now());
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Gives it a turn now. Nothing happens if it is over.
    pub(crate) fn tell(&self, number: u64, said: Option<Reply>) {
        let mut state = self.lock();
        // Without a thread nothing is open. What has its turn just now gets another one.
        if state.attended {
            state.told.push_back((number, said));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Gives everything a turn now: the connection ends.
    pub(crate) fn tell_all(&self) {
        let mut state = self.lock();
        let open = state.open.keys().copied().chain(state.at_it);
        let all: Vec<_> = open.map(|number| (number, None)).collect();
        state.told.extend(all);
        drop(state);
        self.changed.notify_one();
    }

    fn attend(&self) {
        while let Some((number, what, said)) = self.next() {
            // Without the lock: others are told meanwhile.
            let goes_on = what.turn(number, said);
            let mut state = self.lock();
            state.at_it = None;
            if let Some((due, what)) = goes_on {
                state.put(number, what, due);
            }
        }
    }

    /// Whose turn is next; `None` if nothing is open.
    fn next(&self) -> Option<(u64, Box<dyn Open>, Option<Reply>)> {
        let mut state = self.lock();
        loop {
            while let Some((number, said)) = state.told.pop_front() {
                if let Some(what) = state.take(number) {
                    return Some((number, what, said));
                }
            }
            let Some((due, number)) = state.due.first().copied() else {
                state.attended = false;
                return None;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let what = state.take(number)?;
                return Some((number, what, None));
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, number: u64, what: Box<dyn Open>, due: Instant) {
        self.due.insert((due, number));
        self.open.insert(number, Waits { what, due });
    }

    fn take(&mut self, number: u64) -> Option<Box<dyn Open>> {
        let Waits { what, due } = self.open.remove(&number)?;
        self.due.remove(&(due, number));
        self.at_it = Some(number);
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::*;

    /// Says what it was told, and is over after an answer.
    struct Listens(Sender<(u64, Option<Reply>)>, Duration);

    impl Open for Listens {
        fn turn(
            self: Box<Self>,
            number: u64,
            said: Option<Reply>,
        ) -> Option<(Instant, Box<dyn Open>)> {
            let over = said.is_some();
            self.0.send((number, said)).unwrap();
            let due = Instant::now() + self.1;
            (!over).then_some((due, self as Box<dyn Open>))
        }
    }

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn many_wait_on_one_thread_and_each_hears_what_is_its_own() {
        let waiting = Arc::new(Waiting::default());
        let (said, heard) = channel();
        for _ in 0..1_000 {
            let listens = Box::new(Listens(said.clone(), LONG));
            waiting.add(listens).unwrap();
        }
        for number in 1..=1_000 {
            assert_eq!(heard.recv().unwrap(), (number, None));
        }
        waiting.tell(7, Some(Ok(Value::from(1))));
        assert_eq!(heard.recv().unwrap(), (7, Some(Ok(Value::from(1)))));
        // It is over.
        waiting.tell(7, Some(Ok(Value::from(2))));
        waiting.tell(8, None);
        assert_eq!(heard.recv().unwrap(), (8, None));
        waiting.tell_all();
        let mut all: Vec<u64> = (0..999).map(|_| heard.recv().unwrap().0).collect();
        all.sort_unstable();
        assert_eq!(all.len(), 999);
        assert!(!all.contains(&7));
        for number in all {
            waiting.tell(number, Some(Err(Value::Null)));
        }
        drop(said);
        // The thread has let go of each of them.
        assert_eq!(heard.iter().count(), 999);
    }

    #[test]
    fn what_is_due_gets_its_turn_and_a_new_thread_comes_for_what_is_new() {
        let waiting = Arc::new(Waiting::default());
        for _ in 0..2 {
            let (said, heard) = channel();
            let listens = Box::new(Listens(said, Duration::from_millis(1)));
            waiting.add(listens).unwrap();
            let number = heard.recv().unwrap().0;
            assert_eq!(heard.recv().unwrap(), (number, None));
            waiting.tell(number, Some(Ok(Value::Null)));
            assert!(heard.iter().last().unwrap().1.is_some());
            while waiting.lock().attended {
                std::thread::yield_now();
            }
        }
    }
}
