//! One thread for all that happens by the clock.
//!
//! Owns the half-second progress records of running tasks, the progress events of these and
//! of those that wait, and the moment at which results expire. Sleeps until the next of
//! these is due. Ends no command (its own deadline does, in [`crate::ssh`]) and forgets no
//! result: whoever starts it says how. Started once by [`crate::task::Tasks::new`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::audit::Record;
use crate::task::state::{Task, TaskEvent};

/// Time between two progress records of a task, as the log's contract has it.
const EVERY: Duration = Duration::from_millis(500);

/// Stack of the thread.
const STACK: usize = 256 * 1024;

/// What is due when.
#[derive(Default)]
pub(crate) struct Timer {
    due: Mutex<Due>,
    changed: Condvar,
}

#[derive(Default)]
struct Due {
    ticks: BinaryHeap<Reverse<Tick>>,
    expiry: Option<Instant>,
    stopped: bool,
}

struct Tick {
    at: Instant,
    /// It is for as long as the task waits, not for as long as it runs.
    waiting: bool,
    /// When the listener gets the next progress event.
    notify_at: Instant,
    task: Weak<Task>,
}

impl Timer {
    /// From now on its listener gets an event now and then that this task waits, until its
    /// turn comes.
    pub(crate) fn follow_waiting(&self, task: &Arc<Task>) {
        let at = Instant::now() + interval(task);
        self.push(Tick {
            at,
            waiting: true,
            notify_at: at,
            task: Arc::downgrade(task),
        });
    }

    /// From now on this task's progress is on record, until it ends.
    pub(crate) fn follow_running(&self, task: &Arc<Task>) {
        let now = Instant::now();
        self.push(Tick {
            at: now + EVERY,
            waiting: false,
            notify_at: now + interval(task),
            task: Arc::downgrade(task),
        });
    }

    /// Something expires at this time.
    pub(crate) fn wake_by(&self, at: Instant) {
        let mut due = self.due();
        if due.expiry.is_none_or(|earlier| at < earlier) {
            due.expiry = Some(at);
            self.changed.notify_one();
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.due().stopped = true;
        self.changed.notify_one();
    }

    fn push(&self, tick: Tick) {
        let mut due = self.due();
        let first = due
            .ticks
            .peek()
            .is_none_or(|Reverse(next)| tick.at < next.at);
        due.ticks.push(Reverse(tick));
        if first {
            self.changed.notify_one();
        }
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until something is due. `None` when stopped.
    fn next(&self) -> Option<(Vec<Tick>, bool)> {
        let mut due = self.due();
        loop {
            if due.stopped {
                return None;
            }
            let now = Instant::now();
            let mut ticks = Vec::new();
            while due.ticks.peek().is_some_and(|Reverse(tick)| tick.at <= now) {
                ticks.extend(due.ticks.pop().map(|Reverse(tick)| tick));
            }
            let expired = due.expiry.take_if(|at| *at <= now).is_some();
            if expired || !ticks.is_empty() {
                return Some((ticks, expired));
            }
            let tick = due.ticks.peek().map(|Reverse(tick)| tick.at);
            due = match tick.into_iter().chain(due.expiry).min() {
                None => self
                    .changed
                    .wait(due)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = at.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(due, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// Starts the thread; [`Timer::stop`] ends it. `expire` gives up the results whose time is
/// up and says when the next one's is.
///
/// # Errors
/// The system has no thread to give.
pub(crate) fn start(
    timer: &Arc<Timer>,
    expire: impl Fn(Instant) -> Option<Instant> + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    let timer = Arc::clone(timer);
    let builder = thread::Builder::new()
        .name("clock".into())
        .stack_size(STACK);
    builder.spawn(move || {
        while let Some((ticks, expired)) = timer.next() {
            for tick in ticks {
                report(&timer, tick);
            }
            if expired && let Some(next) = expire(Instant::now()) {
                timer.wake_by(next);
            }
        }
    })
}

/// Puts a running task's progress on record, or sends the event of one that waits, and asks
/// for the next time.
fn report(timer: &Timer, tick: Tick) {
    let Some(task) = tick.task.upgrade() else {
        return;
    };
    if tick.waiting {
        if let Some(waiting) = task.waiting() {
            task.notify(&TaskEvent::Waiting(waiting));
            timer.follow_waiting(&task);
        }
        return;
    }
    let Some(progress) = task.progress() else {
        return;
    };
    task.audit.emit(Record::progress(
        &task.id,
        progress.phase,
        progress.bytes_read,
        progress.elapsed_ms,
    ));
    let now = Instant::now();
    let mut notify_at = tick.notify_at;
    if notify_at <= now {
        task.notify(&TaskEvent::Progress(progress));
        notify_at = now + interval(&task);
    }
    // Half a second after the last time it was due, unless that has passed as well.
    let at = (tick.at + EVERY).max(now);
    timer.push(Tick {
        at,
        waiting: false,
        notify_at,
        task: tick.task,
    });
}

fn interval(task: &Task) -> Duration {
    Duration::from_secs(task.terms().limits.task_progress_interval.into())
}

impl PartialEq for Tick {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Tick {}

impl PartialOrd for Tick {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tick {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
