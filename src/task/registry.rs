//! The one table of all tasks, waiting, running and finished, and what bounds it.
//!
//! Owns names, the queue, expiry and the memory budget. Starts and runs nothing itself
//! ([`crate::task::scheduler`] and [`crate::task::worker`] do). Called by
//! [`crate::task::Tasks`] for clients and by the threads of the tasks.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::audit::Audit;
use crate::config::{Snapshot, Store};
use crate::model::keys::TagKey;
use crate::model::names::{CommandHash, HostAlias, TaskId};
use crate::policy::Errand;
use crate::ssh::Client;
use crate::task::approvals::desk::Desk;
use crate::task::grounds;
use crate::task::output::{Budget, Output};
use crate::task::permit::{Overruled, Permit};
use crate::task::queue::{Bounds, MAX_WAITING, Queue};
use crate::task::retention::{MAX_KEPT, Results};
use crate::task::state::{Kind, Listener, Name, PendingRun, Task, Terms};
use crate::task::timer::Timer;

/// Bytes that the outputs of all tasks may hold together. Finished ones are given up for
/// running ones, oldest first; if that is not enough, what running commands say is counted
/// and not kept.
pub(crate) const OUTPUT_BUDGET: usize = 128 * 1024 * 1024;

/// Why a command was not taken on. The text is for the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may.
    QueueFull,
    ShuttingDown,
    /// The configuration has no such host.
    UnknownHost,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull => write!(
                f,
                "the queue is full: {MAX_WAITING} commands wait already; nothing was run, try again \
                 when some of them have ended"
            ),
            Self::ShuttingDown => f.write_str("the server is shutting down; nothing was run"),
            Self::UnknownHost => f.write_str("Host alias not found"),
        }
    }
}

impl std::error::Error for Refused {}

/// Why there is nothing to read of a task. The text is for the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Never was, or its result expired.
    Unknown,
    /// Its result went before its time, because memory was needed.
    Dropped,
    /// It has not ended yet, and was asked for its result.
    Unfinished,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Task not found or expired",
            Self::Dropped => {
                "Task result dropped early: the server's memory for results was needed, and the \
                 oldest go first"
            }
            Self::Unfinished => "Task still running: its result is there when it has ended",
        })
    }
}

impl std::error::Error for Missing {}

pub(crate) struct Registry {
    pub(crate) audit: Audit,
    pub(crate) client: Client,
    pub(crate) store: Arc<Store>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) timer: Arc<Timer>,
    pub(crate) desk: OnceLock<Desk>,
    tables: Mutex<Tables>,
    /// Somebody ended.
    released: Condvar,
}

struct Tables {
    tasks: HashMap<TaskId, Arc<Task>>,
    queue: Queue<TaskId>,
    results: Results,
    names: TagKey,
    last_id: u64,
    closing: bool,
}

/// What is to be run, judged already.
pub struct Order {
    pub permit: Permit,
    pub kind: Kind,
    /// A time limit below the policy's.
    pub seconds: Option<u32>,
    /// The way to the record of the call that orders it.
    pub audit: Audit,
}

/// Why there is no task.
#[derive(Debug)]
pub enum NotTaken {
    Refused(Refused),
    /// The configuration changed since it was judged, and denies it. Not on record.
    Denied(Box<Overruled>),
}

impl From<Refused> for NotTaken {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Registry {
    pub(crate) fn new(
        audit: Audit,
        client: Client,
        store: Arc<Store>,
        names: TagKey,
        budget: usize,
    ) -> Self {
        Self {
            audit,
            client,
            store,
            budget: Arc::new(Budget::new(budget)),
            timer: Arc::default(),
            desk: OnceLock::new(),
            tables: Mutex::new(Tables {
                tasks: HashMap::new(),
                queue: Queue::default(),
                results: Results::default(),
                names,
                last_id: 0,
                closing: false,
            }),
            released: Condvar::new(),
        }
    }

    /// Takes a command on: it waits from now on.
    ///
    /// # Errors
    /// The queue is full, the server ends, the host is not in the configuration, or the
    /// command is denied by one that is newer than its permit.
    pub(crate) fn enqueue(
        &self,
        order: Order,
        listener: Arc<dyn Listener>,
    ) -> Result<Arc<Task>, NotTaken> {
        let Order {
            permit,
            kind,
            seconds,
            audit,
        } = order;
        let renewed = permit.renew(&self.store, &audit);
        let runnable = renewed.map_err(NotTaken::Denied)?;
        let host = runnable.host().ok_or(Refused::UnknownHost)?;
        let terms = Terms::of(&runnable, host, kind, seconds);
        let (alias, hash) = (host.alias.clone(), runnable.command().hash());
        let name = Name {
            id: match runnable.errand() {
                // Its name is on its host from the start.
                Errand::Start(job) => job.task_id(&alias),
                Errand::Run | Errand::Care(_) => self.tables().name(&alias, hash),
            },
            alias,
            hash,
            kind,
            seconds,
        };
        let output = Output::new(Arc::clone(&self.budget), &self.audit.secrets());
        let audit = audit.of_task(&name.id);
        let pending = PendingRun {
            decided: audit.allow(&name.alias, hash, grounds::of_permit(runnable.command())),
            permit: runnable.into_permit(),
        };
        let task = Arc::new(Task::new(name, audit, terms, pending, output, listener));
        task.create(|| self.tables().insert(&task))?;
        Ok(task)
    }

    /// Takes the next task off the queue that may run by the bounds of the configuration in
    /// force; it takes up a place until [`Self::release`].
    pub(crate) fn admit(&self) -> Option<Arc<Task>> {
        let bounds = bounds(&self.store.current());
        self.tables().admit(bounds)
    }

    /// An admitted task no longer takes up a place.
    pub(crate) fn release(&self, task: &Task) {
        self.tables().queue.release(&task.alias);
        self.released.notify_all();
    }

    /// Keeps a finished task for its time, and gives up what there is no room for.
    pub(crate) fn keep(&self, task: &Task, expires: Instant) {
        let mut tables = self.tables();
        tables.results.keep(task.id.clone(), expires);
        tables.shrink(&self.budget);
        drop(tables);
        self.timer.wake_by(expires);
    }

    /// Gives up finished results until the budget is kept; false if that is not enough.
    pub(crate) fn make_room(&self) -> bool {
        self.tables().shrink(&self.budget);
        !self.budget.is_exceeded()
    }

    /// Forgets whatever expired; says when the next one does.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut tables = self.tables();
        while let Some(id) = tables.results.expire(now) {
            tables.remove(&id);
        }
        tables.results.next_expiry()
    }

    /// # Errors
    /// There is no such task (any more).
    pub(crate) fn find(&self, id: &TaskId) -> Result<Arc<Task>, Missing> {
        let tables = self.tables();
        let Some(task) = tables.tasks.get(id) else {
            return Err(if tables.results.was_dropped(id) {
                Missing::Dropped
            } else {
                Missing::Unknown
            });
        };
        // The timer may be a moment late; the clock is not.
        match task.view().expires {
            Some(expires) if expires <= Instant::now() => Err(Missing::Unknown),
            _ => Ok(Arc::clone(task)),
        }
    }

    /// All that can be found, in the order of their creation.
    pub(crate) fn all(&self) -> Vec<Arc<Task>> {
        let mut all: Vec<_> = self.tables().tasks.values().cloned().collect();
        all.sort_by_key(|task| task.created);
        all
    }

    /// Takes a task out of the queue, if it waits there.
    pub(crate) fn unqueue(&self, task: &Task) {
        self.tables().queue.remove(&task.alias, &task.id);
    }

    /// How many of the same host wait before it.
    pub(crate) fn ahead(&self, task: &Task) -> Option<usize> {
        self.tables().queue.ahead(&task.alias, &task.id)
    }

    pub(crate) fn token(&self) -> String {
        self.tables().token()
    }

    pub(crate) fn counts(&self) -> Counts {
        let tables = self.tables();
        Counts {
            waiting: tables.queue.waiting(),
            running: tables.queue.running(),
            finished: tables.results.len(),
        }
    }

    /// Takes nothing on from now on, and lets nothing that waits begin.
    pub(crate) fn close(&self) {
        let mut tables = self.tables();
        tables.closing = true;
        tables.queue.clear();
    }

    /// Waits until nothing runs; false if something still does then.
    pub(crate) fn wait_idle(&self, grace: Duration) -> bool {
        let waited = self
            .released
            .wait_timeout_while(self.tables(), grace, |tables| tables.queue.running() > 0);
        let (tables, _) = waited.unwrap_or_else(PoisonError::into_inner);
        tables.queue.running() == 0
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many tasks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub waiting: usize,
    pub running: usize,
    pub finished: usize,
}

impl Tables {
    /// A name that no other task has.
    fn name(&mut self, alias: &HostAlias, hash: CommandHash) -> TaskId {
        TaskId::new(alias, hash, self.token())
    }

    /// A part of a name that nobody can guess who has seen others.
    fn token(&mut self) -> String {
        self.last_id += 1;
        self.names.token(self.last_id)
    }

    fn insert(&mut self, task: &Arc<Task>) -> Result<(), Refused> {
        if self.closing {
            return Err(Refused::ShuttingDown);
        }
        let queued = self.queue.push(&task.alias, task.id.clone());
        queued.map_err(|_| Refused::QueueFull)?;
        self.tasks.insert(task.id.clone(), Arc::clone(task));
        Ok(())
    }

    fn admit(&mut self, bounds: Bounds) -> Option<Arc<Task>> {
        let id = self.queue.admit(bounds)?;
        self.tasks.get(&id).cloned()
    }

    /// Takes out finished tasks, oldest first, until their number and the budget are kept.
    fn shrink(&mut self, budget: &Budget) {
        while (self.results.len() > MAX_KEPT || budget.is_exceeded())
            && let Some(id) = self.results.evict()
        {
            self.remove(&id);
        }
    }

    /// A handle may outlive its task here; the memory of the output does not.
    fn remove(&mut self, id: &TaskId) {
        if let Some(task) = self.tasks.remove(id) {
            task.forget_output();
        }
    }
}

/// The bounds of `concurrency:`.
fn bounds(snapshot: &Snapshot) -> Bounds {
    let concurrency = snapshot.concurrency();
    let bound = |most: u32| usize::try_from(most).unwrap_or(usize::MAX);
    Bounds {
        tasks: bound(concurrency.max_tasks),
        per_host: bound(concurrency.max_per_host),
    }
}
