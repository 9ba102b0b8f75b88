//! What happens to a call that is not over after a moment.
//!
//! Owns that moment and one thread, which lives while something waits. Knows neither calls
//! nor tasks: it does what it was given. Called by [`crate::mcp::call::Call::began`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What ends sooner is answered at once: two more messages and a pause of the client cost
/// more than the wait.
const MOMENT: Duration = Duration::from_secs(2);
/// Stack of the thread, in bytes.
const STACK: usize = 256 * 1024;

type Work = Box<dyn FnOnce() + Send>;

/// What waits for its moment to be over. All moments are alike, so the first is due first.
#[derive(Default)]
pub(crate) struct Grace(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    due: VecDeque<(Instant, Work)>,
    /// A thread sees to it.
    attended: bool,
}

impl Grace {
    /// Does this in a moment; at once where there is no thread to wait on.
    pub(crate) fn after(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        let mut waiting = self.lock();
        waiting
            .due
            .push_back((Instant::now() + MOMENT, Box::new(work)));
        if waiting.attended {
            return;
        }
        let own = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("mcp-grace".to_owned())
            .stack_size(STACK);
        waiting.attended = thread.spawn(move || own.attend()).is_ok();
        if waiting.attended {
            return;
        }
        let due = std::mem::take(&mut waiting.due);
        drop(waiting);
        due.into_iter().for_each(|(_, work)| work());
    }

    fn attend(&self) {
        while let Some((at, work)) = self.next() {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            work();
        }
    }

    fn next(&self) -> Option<(Instant, Work)> {
        let mut waiting = self.lock();
        let next = waiting.due.pop_front();
        waiting.attended = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
