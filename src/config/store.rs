//! The current configuration, and the one way to change it.
//!
//! Owns the swap: a reload reads, validates, is admitted and is announced before it, and
//! what runs meanwhile keeps the snapshot it began with. Called by `startup`, which makes
//! it, and by the tools.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::config::files::directories::Dirs;
use crate::config::load::{LoadError, Loaded, load};
use crate::config::schema::problem::{Fault, Place, Problem};
use crate::config::secrets::environment::Environment;
use crate::config::snapshot::Snapshot;

/// What a reload asks before it takes a configuration: whether the process can still do
/// what it needs (a sandbox can't be widened). Each text says one thing that it can't.
pub(crate) type Admission = Box<dyn Fn(&Snapshot) -> Result<(), Vec<String>> + Send + Sync>;

/// Who has to know of a configuration before anything can run by it.
pub(crate) type Herald = Box<dyn Fn(&Arc<Snapshot>) + Send + Sync>;

/// The current configuration.
pub struct Store {
    dirs: Arc<Dirs>,
    environment: Environment,
    admission: Admission,
    herald: Option<Herald>,
    current: RwLock<Arc<Snapshot>>,
    /// One reload at a time, so that an older state of the files can't win.
    reloading: Mutex<()>,
}

impl Store {
    pub fn new(environment: Environment, first: Snapshot, admission: Admission) -> Self {
        Self {
            dirs: Arc::clone(first.dirs()),
            environment,
            admission,
            herald: None,
            current: RwLock::new(Arc::new(first)),
            reloading: Mutex::new(()),
        }
    }

    /// The same, with somebody who is told of each configuration just before it counts,
    /// and of the first one now.
    #[must_use]
    pub fn announcing(mut self, herald: Herald) -> Self {
        herald(&self.current());
        self.herald = Some(herald);
        self
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

    /// Reads everything again, secrets included, and swaps it in, whole or not at all.
    ///
    /// # Errors
    /// All problems of all files, or what the running process can't take in; the old
    /// configuration stays.
    pub fn reload(&self) -> Result<Reloaded, LoadError> {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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
        if let Some(herald) = &self.herald {
            herald(&snapshot);
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

/// What a reload has changed.
pub struct Reloaded {
    /// The configuration that counted until now.
    pub before: Arc<Snapshot>,
    pub snapshot: Arc<Snapshot>,
    pub events: Vec<crate::model::security_event::SecurityEvent>,
}
