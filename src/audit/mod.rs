//! The record of everything: what was decided, what ran, how it ended, what went wrong.
//!
//! Owns every line on stderr and the chained file beside it. Two promises: a command
//! starts only with its decision and its start on the record ([`Decided::start`]), and
//! every start gets exactly one end, whatever happens ([`Started`]). Refuses to hold
//! anything secret: free text is redacted and bounded on its way out. Called by `task`
//! and `mcp` for what happens, and by `startup` for the beginning and the end.

pub(crate) mod chain;
pub(crate) mod failure;
pub(crate) mod record;
pub(crate) mod redact;
pub(crate) mod stderr;
pub(crate) mod timestamp;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

pub use crate::audit::chain::directory::{Place, ROTATE_BYTES};
pub use crate::audit::chain::verify::{verify, verify_reader};
pub(crate) use crate::audit::record::command::Decided;
pub use crate::audit::record::command::Started;
pub use crate::audit::record::panic::install_panic_hook;
pub use crate::audit::record::ssh_session::Hop;
pub use crate::audit::timestamp::Ts;
pub use failure::AuditError;
pub(crate) use failure::Failure;
pub(crate) use record::Level;
pub use record::{
    Approval, ApprovalOutcome, AuditEnd, Decision, End, Linked, Phase, Record, Reload, Sandbox,
    ServerStart,
};
pub use redact::{Patterns, REDACTED, Redactor, SHORTEST};

use crate::audit::chain::committer::Wakeup;
use crate::audit::chain::ledger::{Entry, Ledger};
use crate::audit::record::chain_mark::{Mark, Origin};
use crate::config::Snapshot;
use crate::model::names::{CommandHash, HostAlias, OnAuditFailure, TaskId};
use crate::policy::decision::denial::Trail;
use stderr::Sink;

/// How long the last lines wait for a reader of stderr.
const LAST_FLUSH: Duration = Duration::from_millis(200);

/// The way to the record. Cheap to clone; all clones write to the same place.
#[derive(Clone)]
pub struct Audit(Arc<Shared>);

struct Shared {
    stderr: Arc<Sink>,
    file: OnceLock<(Arc<Ledger>, Wakeup)>,
    secrets: RwLock<Arc<Patterns>>,
    /// The configurations that something may still run by.
    configurations: Mutex<Vec<Weak<Snapshot>>>,
    refuse: AtomicBool,
    debug: AtomicBool,
    /// The last append to the file failed.
    failing: AtomicBool,
}

impl Audit {
    /// A record on stderr alone, until [`Audit::begin`] adds the file.
    pub fn to_stderr() -> Self {
        Self::to(std::io::stderr())
    }

    /// The same on another descriptor.
    pub fn to(descriptor: impl AsFd + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            stderr: Sink::new(descriptor),
            file: OnceLock::new(),
            secrets: RwLock::new(Patterns::none()),
            configurations: Mutex::default(),
            refuse: AtomicBool::new(true),
            debug: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        }))
    }

    /// From now on, what is only there to find a fault is written too.
    pub fn show_debug(&self) {
        self.0.debug.store(true, Ordering::Relaxed);
    }

    /// Writes what is only there to find a fault, where that is wanted; nothing is made
    /// where it is not.
    pub fn debug(&self, record: impl FnOnce() -> Record) {
        if self.0.debug.load(Ordering::Relaxed) {
            self.emit(record());
        }
    }

    /// Takes over what a configuration says of the record. To be called with each one
    /// before it is in force ([`crate::config::Store::announcing`]). The secrets of
    /// earlier ones stay among those that are looked for while something runs by them.
    pub fn follow(&self, snapshot: &Arc<Snapshot>) {
        let mut known = self.0.configurations.lock();
        let known = known.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut());
        known.push(Arc::downgrade(snapshot));
        known.retain(|each| each.strong_count() > 0);
        let living: Vec<_> = known.iter().filter_map(Weak::upgrade).collect();
        let secrets: Vec<_> = living.iter().flat_map(|each| each.secrets()).collect();
        let patterns = Patterns::new(secrets.iter().map(|secret| secret.expose()));
        self.configure(patterns, snapshot.on_audit_failure());
    }

    /// Sets what is looked for in records and outputs, and what a failure to record means.
    pub fn configure(&self, secrets: Arc<Patterns>, on_failure: OnAuditFailure) {
        let mut place = self.0.secrets.write();
        **place.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut()) = secrets;
        let refuse = on_failure == OnAuditFailure::Refuse;
        self.0.refuse.store(refuse, Ordering::Relaxed);
    }

    /// Begins the record of a server: `server_start` on stderr and, where there is a
    /// place for one, the chained file. The file is locked and read whole; a line that
    /// was torn is mended; commands that an earlier server left open are closed
    /// (`interrupted`), here and on stderr. To be called once, confined and with the
    /// rights the server keeps; starts a thread.
    ///
    /// # Errors
    /// The file can't be used. The server must not start, whatever `on_audit_failure`
    /// says: that is for a disk that fails later, not for a wrong path.
    pub fn begin(&self, place: Option<Place>, start: ServerStart) -> Result<(), AuditError> {
        if let Some(place) = place {
            self.begin_file(place, &start)?;
        }
        self.emit(Record::ServerStart(start));
        Ok(())
    }

    fn begin_file(&self, place: Place, start: &ServerStart) -> Result<(), AuditError> {
        let path = place.shown().to_owned();
        let failed = |failure| {
            let path = path.clone();
            AuditError::File { path, failure }
        };
        let origin = Origin {
            ts: start.ts,
            timestamp: start.timestamp.clone(),
            version: start.version,
            binary_sha256: place.binary.to_string(),
            config_hash: start.config_hash.clone(),
            sandbox: start.sandbox.clone(),
        };
        let begun = Ledger::begin(place, &origin, boot_id()).map_err(failed)?;
        let ledger = Arc::new(begun.ledger);
        let wakeup = chain::committer::start(&ledger, &self.0.stderr)
            .map_err(|error| failed(Failure::Thread(error)))?;
        // Set once, by the one call of begin(): a second one would find the file locked.
        let _ = self.0.file.set((ledger, wakeup));
        for task in begun.interrupted {
            self.close_interrupted(&task);
        }
        Ok(())
    }

    /// Closes a command that an earlier server left open. What it was is in the id:
    /// `alias:hash:microseconds`.
    fn close_interrupted(&self, task: &str) {
        let mut parts = task.rsplitn(3, ':').skip(1);
        let hash = parts.next().and_then(CommandHash::parse);
        let alias = parts.next().and_then(|alias| HostAlias::parse(alias).ok());
        let (Some(hash), Some(alias), Ok(task)) = (hash, alias, TaskId::parse(task)) else {
            // Sealed, so this server's like wrote it, and yet not one of its ids.
            self.emit(Record::error("audit_unknown_task", task));
            return;
        };
        let end = Record::Audit(End {
            ts: Ts::now(),
            alias,
            hash,
            end: AuditEnd::unknown(),
            interrupted: true,
            canonical_hash: None,
        });
        self.close_run(end, Some(&task));
    }

    /// Goes on in a new file, if the current one was renamed (SIGHUP after a rotation).
    /// What goes wrong is on stderr, and returned; the file in use stays in use then.
    pub fn reopen(&self) -> Option<String> {
        let ledger = self.ledger()?;
        let failure = ledger.reopen().err()?;
        let path = ledger.place().shown().display();
        let text = format!("audit file {path}: {failure}");
        self.emit(Record::error("audit_not_reopened", &text));
        Some(text)
    }

    /// What keeps the audit file from being written, as far as is known.
    pub fn trouble(&self) -> Option<String> {
        let ledger = self.ledger()?;
        let path = ledger.place().shown().display();
        let failing = self.0.failing.load(Ordering::Relaxed);
        failing.then(|| format!("audit file {path} cannot be written; the log says why"))
    }

    /// Ends the record of a server in order: `server_stop`, everything on disk, the
    /// chain's head on stderr. `reason` is an identifier such as `end_of_input`.
    pub fn close(&self, reason: &'static str) {
        let ts = Ts::now();
        self.emit(Record::ServerStop { ts, reason });
        if let Some(ledger) = self.ledger() {
            match ledger.settle() {
                Ok(tip) => chain::committer::announce(tip, &self.0.stderr),
                Err(failure) => self.emit(Record::error("audit_failed", failure)),
            }
        }
        self.0.stderr.flush(LAST_FLUSH);
    }

    /// The secret values of the configuration in force, and of earlier ones that something
    /// ran by when it came, for redacting output.
    pub fn secrets(&self) -> Arc<Patterns> {
        let secrets = self.0.secrets.read();
        Arc::clone(&secrets.unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes one record. Never fails, never panics; may wait up to a second for a
    /// reader of stderr, and for the disk where there is a file. What can't be written
    /// is counted and said later.
    pub fn emit(&self, record: Record) {
        let _ = self.write(record);
    }

    /// Writes what a judgement leaves for the security log: `command_bypass_attempt`,
    /// `command_chain_parsed`, `command_chain_denied`, as due. For real decisions only,
    /// not for plans.
    pub fn trail(&self, alias: &HostAlias, hash: CommandHash, trail: &Trail) {
        for record in Record::trail(alias, hash, trail) {
            self.emit(record);
        }
    }

    /// Puts a denial on the record.
    pub fn deny(&self, alias: &HostAlias, hash: CommandHash) {
        self.emit(Record::denial(alias, hash));
    }

    /// Puts an approval by the policy on the record. What is returned is the only way to
    /// start the command, so that each one has exactly one decision. Dropping it is
    /// right for a command that was never started and whose end needs no record.
    /// `hash` is of the command as it was asked for, `canonical` of what would be sent.
    pub fn allow(&self, alias: &HostAlias, hash: CommandHash, canonical: CommandHash) -> Decided {
        Decided::new(self, alias, hash, canonical)
    }

    fn write(&self, mut record: Record) -> Result<(), AuditError> {
        record.redact(&self.secrets());
        let json = record.to_json();
        if record.is_chained() && self.ledger().is_some() {
            // A failure is noted by append(); the record is kept for a better time.
            let _ = self.append(Entry::report(json.clone()));
        }
        self.send(json, record.is_passing())
    }

    fn send(&self, json: String, passing: bool) -> Result<(), AuditError> {
        let sent = self.0.stderr.write(json, passing);
        sent.map_err(|_| AuditError::LogNotRead)
    }

    /// Writes the end of a run, to the file with its task.
    fn close_run(&self, end: Record, task: Option<&TaskId>) {
        let json = end.to_json();
        if let Some((_, wakeup)) = self.0.file.get() {
            let entry = match task {
                Some(task) => Entry::end(&json, task.as_str()),
                None => Entry::report(json.clone()),
            };
            let _ = self.append(entry);
            wakeup.send();
        }
        let _ = self.send(json, false);
    }

    /// Closes a start whose command was not sent.
    fn withdraw(&self, task: &TaskId) {
        let ts = Ts::now();
        let body = Mark::Withdrawn { ts, task_id: task }.to_json();
        let _ = self.append(Entry::withdrawal(body, task));
    }

    fn ledger(&self) -> Option<&Arc<Ledger>> {
        self.0.file.get().map(|(ledger, _)| ledger)
    }

    fn refuses(&self) -> bool {
        self.0.refuse.load(Ordering::Relaxed)
    }

    /// Hands an entry to the file, if there is one. The first failure of a row and the
    /// recovery from it are noted on stderr.
    fn append(&self, entry: Entry) -> Result<u64, AuditError> {
        let Some(ledger) = self.ledger() else {
            return Ok(0);
        };
        let appended = self.judge(ledger, ledger.append(entry));
        let failing = appended.is_err();
        if self.0.failing.swap(failing, Ordering::Relaxed) != failing {
            let note = match &appended {
                Err(error) => Record::error("audit_failed", error),
                Ok(_) => Record::warning("audit_recovered", "the audit file is written again"),
            };
            let _ = self.send(note.to_json(), false);
        }
        appended
    }

    fn reach_disk(&self, next: u64) -> Result<(), AuditError> {
        match self.ledger() {
            Some(ledger) => self.judge(ledger, ledger.reach_disk(next)),
            None => Ok(()),
        }
    }

    fn judge<T>(&self, ledger: &Ledger, result: Result<T, Failure>) -> Result<T, AuditError> {
        result.map_err(|failure| AuditError::File {
            path: ledger.place().shown().to_owned(),
            failure,
        })
    }
}

/// A name for this run of the server, 32 hex digits. It has to be unique, not secret;
/// the standard library's hash keys come from the kernel's random numbers.
fn boot_id() -> String {
    let half = || RandomState::new().hash_one(Ts::now().micros());
    format!("{:016x}{:016x}", half(), half())
}
