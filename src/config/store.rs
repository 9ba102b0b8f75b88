//! The current configuration, and the one way to change it.
//!
//! Owns the swap: a reload reads, validates, is admitted and is announced before it, and
//! what runs meanwhile keeps the snapshot it began with. The files are looked at before
//! each decision and every second, so an edit counts without anybody's asking for it; one
//! that does not load changes nothing and is remembered as such. Called by `startup`, which
//! makes it and has it look, by the tools, and by whoever decides what may run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::config::files::directories::{Dirs, FileStates};
use crate::config::load::{LoadError, Loaded, load};
use crate::config::schema::problem::{Fault, Place, Problem};
use crate::config::secrets::environment::Environment;
use crate::config::snapshot::Snapshot;
use crate::model::security_event::SecurityEvent;

/// What a reload asks before it takes a configuration: whether the process can still do
/// what it needs (a sandbox can't be widened). Each text says one thing that it can't.
pub(crate) type Admission = Box<dyn Fn(&Snapshot) -> Result<(), Vec<String>> + Send + Sync>;

/// Called with each configuration before anything can run by it.
pub(crate) type BeforeSwap = Box<dyn Fn(&Arc<Snapshot>) + Send + Sync>;

/// Called after each attempt, one at a time and in their order. Must not ask the store to
/// look or to reload.
pub(crate) type Observer = Box<dyn Fn(&Attempt<'_>) + Send + Sync>;

/// How long a file must have been left alone before it is read: whoever writes it in place
/// is not done before that, and half a policy can allow what the whole denies.
const REST: Duration = Duration::from_millis(200);
/// How long a decision waits for files that are written again and again.
const PATIENCE: Duration = Duration::from_secs(2);
/// Stack of the thread that reads the files where a decision found them changed: its own
/// thread has less than the parser may need.
const STACK: usize = 1024 * 1024;

/// Who wanted the files to be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// `ssh_reload_config`
    Client,
    /// SIGHUP
    Signal,
    /// The files are others than those that were read.
    FileChange,
}

impl Trigger {
    /// As records spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Signal => "signal",
            Self::FileChange => "file_change",
        }
    }
}

/// One attempt to put the files into force.
pub(crate) struct Attempt<'a> {
    pub(crate) trigger: Trigger,
    pub(crate) outcome: Result<&'a Reloaded, &'a LoadError>,
}

/// The current configuration.
pub struct Store {
    dirs: Arc<Dirs>,
    environment: Environment,
    admission: Admission,
    before_swap: Option<BeforeSwap>,
    observers: RwLock<Vec<Observer>>,
    current: RwLock<Arc<Snapshot>>,
    /// The files of the last attempt, whatever came of it.
    seen: Mutex<FileStates>,
    /// Why the files as they are now are not in force.
    rejected: Mutex<Option<Arc<str>>>,
    /// One reload at a time, so that an older state of the files can't win.
    reloading: Mutex<()>,
}

impl Store {
    pub fn new(environment: Environment, first: Snapshot, admission: Admission) -> Self {
        let dirs = Arc::clone(first.dirs());
        Self {
            seen: Mutex::new(first_seen(&first)),
            dirs,
            environment,
            admission,
            before_swap: None,
            observers: RwLock::default(),
            current: RwLock::new(Arc::new(first)),
            rejected: Mutex::default(),
            reloading: Mutex::new(()),
        }
    }

    /// The same, with somebody who is told of each configuration just before it counts,
    /// and of the first one now.
    #[must_use]
    pub fn announcing(mut self, before_swap: BeforeSwap) -> Self {
        before_swap(&self.current());
        self.before_swap = Some(before_swap);
        self
    }

    /// Adds somebody who is told of each attempt from now on.
    pub(crate) fn observe(&self, observer: Observer) {
        self.observers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(observer);
    }

    /// The configuration that counts now. Who runs a command takes it once, when its turn
    /// has come, and keeps it.
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does `act` if `snapshot` is in force, and keeps it so until that is done; `None` if
    /// it no longer was. A reload waits meanwhile, so `act` must be short and ask nothing of
    /// this store.
    pub fn while_current<T>(&self, snapshot: &Arc<Snapshot>, act: impl FnOnce() -> T) -> Option<T> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::ptr_eq(&current, snapshot).then(act)
    }

    /// The configuration to decide by: the files are looked at first, and read again if
    /// they are others than those that were read.
    pub(crate) fn up_to_date(&self) -> Arc<Snapshot> {
        if self.is_outdated() {
            let _one = self.lock();
            // Another thread may have read them while this one waited.
            if self.is_outdated() {
                self.wait_for_rest();
                thread::scope(|scope| {
                    let read = || drop(self.attempt(Trigger::FileChange));
                    let reader = thread::Builder::new().name("reload".to_owned());
                    // Without a thread the old policy would stay in force unnoticed.
                    if reader.stack_size(STACK).spawn_scoped(scope, read).is_err() {
                        read();
                    }
                });
            }
        }
        self.current()
    }

    /// Why the files as they are now are not in force, in words for an assistant; `None` if
    /// they are.
    pub(crate) fn rejected(&self) -> Option<Arc<str>> {
        self.rejected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads everything again, secrets included, and swaps it in, whole or not at all.
    ///
    /// # Errors
    /// All problems of all files, or what the running process can't take in; the old
    /// configuration stays.
    pub fn reload(&self) -> Result<Reloaded, LoadError> {
        self.reload_for(Trigger::Client)
    }

    /// As [`Self::reload`].
    ///
    /// # Errors
    /// The same.
    pub(crate) fn reload_for(&self, trigger: Trigger) -> Result<Reloaded, LoadError> {
        let _one = self.lock();
        self.attempt(trigger)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, FileStates> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_outdated(&self) -> bool {
        let now = self.dirs.file_states();
        *self.seen() != now
    }

    /// Waits until nobody has written the files for a moment.
    fn wait_for_rest(&self) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let now = SystemTime::now();
            let youngest = self
                .dirs
                .file_states()
                .into_iter()
                .flatten()
                .filter_map(|state| now.duration_since(state.modified_at()).ok())
                .min();
            match youngest.and_then(|age| REST.checked_sub(age)) {
                Some(left) => thread::sleep(left),
                None => return,
            }
        }
    }

    /// To be called by the holder of the lock.
    fn attempt(&self, trigger: Trigger) -> Result<Reloaded, LoadError> {
        // Taken before the files are read: a change in between is seen at the next look.
        *self.seen() = self.dirs.file_states();
        let outcome = self.read_again();
        let rejected = outcome
            .as_ref()
            .err()
            .map(|error| error.for_assistant().into());
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) = rejected;
        let observers = self
            .observers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        for observer in observers.iter() {
            observer(&Attempt {
                trigger,
                outcome: outcome.as_ref(),
            });
        }
        outcome
    }

    fn read_again(&self) -> Result<Reloaded, LoadError> {
        let Loaded { snapshot, events } = load(&self.dirs, &self.environment)?;
        if let Err(reasons) = (self.admission)(&snapshot) {
            let problems = reasons.into_iter().map(|found| Problem {
                place: Place::file("configuration"),
                key: String::new(),
                fault: Fault::NeedsRestart,
                found,
                accepted: "a restart of the server".to_owned(),
                nearest: None,
            });
            return Err(LoadError {
                problems: problems.collect(),
                warnings: snapshot.warnings,
                events,
            });
        }
        let snapshot = Arc::new(snapshot);
        if let Some(before_swap) = &self.before_swap {
            before_swap(&snapshot);
        }
        let before = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::clone(&snapshot))
        };
        Ok(Reloaded {
            before,
            snapshot,
            events,
        })
    }
}

/// The files that the first configuration was read from: they may be others by now, which
/// the first look finds. Those that this process may not open any more, since it became
/// another user, count as they are; that was told at the start.
fn first_seen(first: &Snapshot) -> FileStates {
    let mut seen = first.file_states();
    for (then, now) in seen.iter_mut().zip(first.dirs().file_states()) {
        *then = then.and(now.and(*then));
    }
    seen
}

/// What a reload has changed.
pub struct Reloaded {
    /// The configuration that counted until now.
    pub before: Arc<Snapshot>,
    pub snapshot: Arc<Snapshot>,
    pub events: Vec<SecurityEvent>,
}
