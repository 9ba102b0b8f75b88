//! The one table of all tasks, waiting, running and finished, and what bounds it.
//!
//! Owns names, the queue, expiry and what gives way to it when memory is short. Starts and runs nothing itself
//! ([`crate::task::scheduler`] and [`crate::task::worker`] do). Called by
//! [`crate::task::Tasks`] for clients and by the threads of the tasks.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::audit::Audit;
use crate::config::{Snapshot, Store};
use crate::model::keys::TagKey;
use crate::model::memory::{Account, Held, Resources};
use crate::model::names::{CommandHash, CommandText, HostAlias, TaskId};
use crate::policy::Purpose;
use crate::ssh::Client;
use crate::task::approvals::desk::Desk;
use crate::task::approvals::login::AtDesk;
use crate::task::grounds;
use crate::task::outcome::State;
use crate::task::output::Output;
use crate::task::permit::{Overruled, Permit};
use crate::task::queue::{Bounds, MAX_WAITING, Queue};
use crate::task::retention::{MAX_KEPT, Results};
use crate::task::state::{Kind, Listener, Name, PendingRun, Phase, Task, Terms};
use crate::task::timer::Timer;
use crate::task::transfer::directory::TransferDir;

/// Bytes that a command takes while it waits, beside twice its text: as it is to be sent, and
/// as it was judged.
const WAITING: usize = 10 * 1024;
/// Bytes that a running command takes: its thread and its session.
const RUNNING: usize = 128 * 1024;
/// Bytes that a task takes beside its output and its text, until its result expires.
const KEPT: usize = 3 * 1024;

/// Why a command was not taken on. The text is for the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may.
    QueueFull,
    /// Calls hold as many MiB as they may.
    Memory(usize),
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
            Self::Memory(mib) => write!(
                f,
                "the server's memory for calls is used up ({mib} MiB); nothing was run: wait until \
                 some of the commands that wait or run have ended, or cancel some, then try again"
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

/// Gives up what has expired by then, and says when the next of it does.
pub(crate) type Expire = Box<dyn Fn(Instant) -> Option<Instant> + Send>;

pub(crate) struct Registry {
    pub(crate) audit: Audit,
    pub(crate) client: Client,
    pub(crate) store: Arc<Store>,
    pub(crate) memory: Arc<Account>,
    pub(crate) timer: Arc<Timer>,
    pub(crate) desk: OnceLock<Arc<Desk>>,
    pub(crate) transfers: OnceLock<Arc<TransferDir>>,
    /// What else expires by the same clock.
    others: Mutex<Vec<Expire>>,
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

/// What can be said of a task at any time.
#[derive(Debug, Clone)]
pub struct Status {
    pub id: TaskId,
    pub alias: HostAlias,
    pub hash: CommandHash,
    pub kind: Kind,
    pub command: CommandText,
    pub purpose: Purpose,
    pub state: State,
    /// How far it has come, while it runs.
    pub phase: Option<Phase>,
    pub created: SystemTime,
    /// When its state last changed.
    pub updated: SystemTime,
    /// Since it began to run; stands still when it has ended.
    pub elapsed_ms: u64,
    /// Of stdout and stderr together, as read from the host.
    pub bytes_read: u64,
    pub output_lines: u64,
    pub max_seconds: u32,
    /// How long its result is kept from its end, in seconds; after the end, what is left.
    pub keep_alive_seconds: u64,
    /// How often it is worth asking, in seconds.
    pub poll_seconds: u32,
    /// How many of the same host wait before it, while it waits.
    pub ahead: Option<usize>,
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
    pub(crate) fn new(audit: Audit, client: Client, store: Arc<Store>, names: TagKey) -> Self {
        Self {
            audit,
            memory: Arc::clone(&client.resources().memory),
            client,
            store,
            timer: Arc::default(),
            desk: OnceLock::new(),
            transfers: OnceLock::new(),
            others: Mutex::default(),
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

    /// Lets the operator approve out of band, and type what logins ask.
    pub(crate) fn approve_at(&self, desk: Arc<Desk>) {
        self.client.ask(Arc::new(AtDesk {
            desk: Arc::clone(&desk),
            audit: self.audit.clone(),
        }));
        let _ = self.desk.set(desk);
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
            id: match runnable.purpose() {
                // Its name is on its host from the start.
                Purpose::Start(job) => job.task_id(&alias),
                Purpose::Run | Purpose::Care(_) => self.tables().name(&alias, hash),
            },
            alias,
            hash,
            kind,
            seconds,
        };
        let request = runnable.request();
        let stdin = request.stdin().map_or(0, |stdin| stdin.held().len());
        let text = request.text().as_str().len().saturating_add(stdin);
        // The hosts of a run on a tag were counted with it.
        let reserved = match kind {
            Kind::Tag => None,
            Kind::Sync | Kind::Transfer | Kind::Async => Some(self.reserve(WAITING + 2 * text)?),
        };
        let output = Output::new(&self.memory, &self.audit.secrets(), KEPT + text);
        let audit = audit.of_task(&name.id);
        let pending = PendingRun {
            _reserved: reserved,
            decided: audit.allow(&name.alias, hash, grounds::of_permit(runnable.command())),
            permit: runnable.into_permit(),
        };
        let task = Arc::new(Task::new(name, audit, terms, pending, output, listener));
        task.create(|| self.tables().insert(&task))?;
        Ok(task)
    }

    /// Takes the next task off the queue that may run by the bounds of the configuration in
    /// force, and for which there are descriptors and memory; it takes up a place until
    /// [`Self::release`], and memory while what is returned with it is held.
    pub(crate) fn admit(&self) -> Option<(Arc<Task>, Held)> {
        let bounds = bounds(&self.store.current(), self.client.resources());
        if !self.memory.has_room_to_run(RUNNING) {
            self.give_way(RUNNING);
        }
        let mut tables = self.tables();
        // One always runs: nothing else would ever make room.
        if tables.queue.running() > 0 && !self.memory.has_room_to_run(RUNNING) {
            return None;
        }
        let task = tables.admit(bounds)?;
        Some((task, self.memory.hold(RUNNING)))
    }

    /// Puts an admitted task back to the head of its host's line, because there is no thread
    /// for it; false if nothing runs whose end would make it its turn again.
    pub(crate) fn put_back(&self, task: &Task) -> bool {
        let mut tables = self.tables();
        let others = tables.queue.running() > 1;
        if others {
            tables.queue.put_back(&task.alias, task.id.clone());
        }
        others
    }

    /// Takes memory for a call.
    ///
    /// # Errors
    /// Calls hold as much as they may.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Held, Refused> {
        let full = || Refused::Memory(self.memory.most_for_calls() >> 20);
        self.memory.reserve(bytes).ok_or_else(full)
    }

    /// An admitted task no longer takes up a place.
    pub(crate) fn release(&self, task: &Task) {
        self.tables().queue.release(&task.alias);
        self.released.notify_all();
    }

    /// Keeps a finished task for its time, and gives up what there is no room for.
    pub(crate) fn keep(&self, task: &Task, expires: Instant) {
        self.tables().results.keep(task.id.clone(), expires);
        self.give_way(0);
        self.timer.wake_by(expires);
    }

    /// Gives up idle sessions, then finished results, until the account is kept; false if
    /// that is not enough.
    pub(crate) fn make_room(&self) -> bool {
        self.give_way(0);
        !self.memory.is_exceeded()
    }

    /// Until so much more can be held.
    fn give_way(&self, bytes: usize) {
        self.client.drop_idle_sessions(bytes);
        self.tables().shrink(&self.memory, bytes);
    }

    /// Forgets whatever expired; says when the next one does.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut tables = self.tables();
        while let Some(id) = tables.results.expire(now) {
            tables.remove(&id);
        }
        let next = tables.results.next_expiry();
        drop(tables);
        let others = self.others.lock();
        let others = others.unwrap_or_else(PoisonError::into_inner);
        let theirs = others.iter().filter_map(|expire| expire(now));
        next.into_iter().chain(theirs).min()
    }

    /// From now on this is done too when results expire; it says when it is due next.
    pub(crate) fn also_expire(&self, expire: Expire) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.push(expire);
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

    /// Takes out finished tasks, oldest first, until their number and the account are kept.
    fn shrink(&mut self, memory: &Account, bytes: usize) {
        while (self.results.len() > MAX_KEPT || memory.lacks(bytes))
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

/// The bounds of `concurrency:`, as far as there are descriptors for it.
fn bounds(snapshot: &Snapshot, resources: &Resources) -> Bounds {
    let concurrency = snapshot.concurrency();
    let bound = |most: u32| usize::try_from(most).unwrap_or(usize::MAX);
    Bounds {
        tasks: resources.tasks_at_a_time(bound(concurrency.max_tasks)),
        per_host: bound(concurrency.max_per_host),
    }
}
