//! The record of everything: what was decided, what ran, how it ended, what went wrong.
//!
//! Owns every line on stderr and the chained file beside it. Two promises: a command
//! starts only with its decision and its start on the record ([`Decided::start`]), and
//! every start gets exactly one end, whatever happens ([`Started`]). Refuses to hold
//! anything secret: free text is redacted and bounded on its way out. Called by `task`
//! and `mcp` for what happens, and by `startup` for the beginning and the end.

pub(crate) mod begin;
pub(crate) mod chain;
pub(crate) mod failure;
pub(crate) mod health;
pub(crate) mod log_file;
pub(crate) mod record;
pub(crate) mod redact;
pub(crate) mod space;
pub(crate) mod stderr;
pub(crate) mod syslog;
pub(crate) mod tally;
pub(crate) mod timestamp;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

pub use crate::audit::begin::Kept;
pub use crate::audit::chain::archive::{Archive, Keep};
pub use crate::audit::chain::directory::{Place, ROTATE_BYTES};
pub(crate) use crate::audit::record::command::Decided;
pub use crate::audit::record::command::Started;
pub use crate::audit::record::panic::install_panic_hook;
pub use crate::audit::record::ssh_session::Hop;
pub use crate::audit::timestamp::Ts;
pub use failure::AuditError;
pub use log_file::LogFile;
pub use record::asked::Asked;
pub use record::{
    Approval, ApprovalOutcome, AuditEnd, Decision, End, Given, Grounds, Linked, Looked, Phase,
    Record, Reload, Sandbox, ServerStart,
};
pub(crate) use record::{Bytes, Level};
pub use redact::{Patterns, REDACTED, Redactor, SHORTEST};
pub(crate) use syslog::{FACILITIES, Syslog, Target};

use crate::audit::chain::committer::Wakeup;
use crate::audit::chain::ledger::{Entry, Ledger};
use crate::audit::chain::seal::with_members;
use crate::audit::failure::Failure;
use crate::audit::record::asked::{Scope, with_boot};
use crate::audit::record::chain_mark::Mark;
use crate::audit::space::Space;
use crate::audit::tally::Tally;
use crate::config::Snapshot;
use crate::model::names::{CommandHash, HostAlias, OnAuditFailure, RecordCommands, TaskId};
use crate::model::room::AuditSpace;
use crate::policy::decision::denial::Trail;
use serde::Serialize;
use stderr::Sink;

/// How long the last lines wait for a reader of stderr.
const LAST_FLUSH: Duration = Duration::from_millis(200);

/// The way to the record. Cheap to clone; all clones write to the same place.
#[derive(Clone)]
pub struct Audit {
    shared: Arc<Shared>,
    /// What the records that go this way have in common.
    scope: Scope,
}

struct Shared {
    stderr: Arc<Sink>,
    /// A name for this run of the server.
    boot: String,
    /// Who started it.
    os_user: OnceLock<String>,
    /// A copy of the plain log.
    log_file: OnceLock<Arc<LogFile>>,
    /// The machine's, which gets a copy too.
    syslog: OnceLock<Arc<Syslog>>,
    /// The last line did not get into the file.
    log_file_failing: AtomicBool,
    file: OnceLock<(Arc<Ledger>, Wakeup)>,
    secrets: RwLock<Arc<Patterns>>,
    /// The configurations that something may still run by.
    configurations: Mutex<Vec<Weak<Snapshot>>>,
    refuse: AtomicBool,
    debug: AtomicBool,
    commands: RwLock<RecordCommands>,
    tally: Tally,
    /// The last append to the file failed.
    failing: AtomicBool,
    space: Space,
}

impl Audit {
    /// A record on stderr alone, until [`Audit::begin`] adds the file.
    pub fn to_stderr() -> Self {
        Self::to(std::io::stderr())
    }

    /// The same on another descriptor.
    pub fn to(descriptor: impl AsFd + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            stderr: Sink::new(descriptor),
            boot: boot_id(),
            os_user: OnceLock::new(),
            log_file: OnceLock::new(),
            syslog: OnceLock::new(),
            log_file_failing: AtomicBool::new(false),
            file: OnceLock::new(),
            secrets: RwLock::new(Patterns::none()),
            configurations: Mutex::default(),
            refuse: AtomicBool::new(true),
            debug: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            commands: RwLock::default(),
            tally: Tally::default(),
            space: Space::default(),
        });
        Self::over(shared)
    }

    fn over(shared: Arc<Shared>) -> Self {
        let scope = Scope::default();
        Self { shared, scope }
    }

    /// The way to the record for one call: each record says who asked.
    pub fn asked_by(&self, asked: Asked) -> Self {
        let mut own = self.clone();
        own.scope.asked = Some(Arc::new(asked.tidied(&self.secrets())));
        own
    }

    /// What was counted of the record, as Prometheus reads it.
    pub(crate) fn figures(&self) -> String {
        self.shared.tally.text()
    }

    /// What the client of this way says that it is.
    pub(crate) fn client(&self) -> Option<String> {
        let asked = self.scope.asked.as_ref()?;
        let version = asked.client_version.as_deref().unwrap_or_default();
        Some(
            format!("{} {version}", asked.client.as_deref()?)
                .trim()
                .to_owned(),
        )
    }

    /// Who started the server.
    pub(crate) fn os_user(&self) -> Option<String> {
        self.shared.os_user.get().cloned()
    }

    /// The same for one task: each record names it.
    pub fn of_task(&self, task: &TaskId) -> Self {
        let mut own = self.clone();
        own.scope.task = Some(task.clone());
        own
    }

    /// From now on, each line of the plain log goes to this file too; the first time counts.
    pub fn copy_to(&self, file: Arc<LogFile>) {
        let _ = self.shared.log_file.set(file);
    }

    /// From now on, each line of the plain log is kept for syslog too, but those that only say
    /// how far something is; the first time counts.
    pub(crate) fn keep_for(&self, syslog: Arc<Syslog>) {
        let _ = self.shared.syslog.set(syslog);
    }

    /// Sends what is kept for syslog, from now on as it comes. Starts a thread: to be called
    /// with the sandbox closed.
    ///
    /// # Errors
    /// There can be no thread.
    pub(crate) fn send_to_syslog(&self) -> std::io::Result<()> {
        let Some(syslog) = self.shared.syslog.get() else {
            return Ok(());
        };
        let shared = Arc::downgrade(&self.shared);
        syslog.start(move |record| {
            if let Some(shared) = shared.upgrade() {
                Self::over(shared).emit(record);
            }
        })
    }

    /// The last lines of a server that did not start.
    pub(crate) fn give_up(&self) {
        if let Some(syslog) = self.shared.syslog.get() {
            syslog.flush(LAST_FLUSH);
        }
    }

    /// Says who started the server; the first time counts.
    pub fn started_by(&self, os_user: String) {
        let _ = self.shared.os_user.set(os_user);
    }

    /// From now on, what is only there to find a fault is written too.
    pub fn show_debug(&self) {
        self.shared.debug.store(true, Ordering::Relaxed);
    }

    /// Writes what is only there to find a fault, where that is wanted; nothing is made
    /// where it is not.
    pub fn debug(&self, record: impl FnOnce() -> Record) {
        if self.shared.debug.load(Ordering::Relaxed) {
            self.emit(record());
        }
    }

    /// Takes over what a configuration says of the record. To be called with each one
    /// before it is in force ([`crate::config::Store::announcing`]). The secrets of
    /// earlier ones stay among those that are looked for while something runs by them.
    pub fn follow(&self, snapshot: &Arc<Snapshot>) {
        let mut known = self.shared.configurations.lock();
        let known = known.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut());
        known.push(Arc::downgrade(snapshot));
        known.retain(|each| each.strong_count() > 0);
        let living: Vec<_> = known.iter().filter_map(Weak::upgrade).collect();
        let secrets: Vec<_> = living.iter().flat_map(|each| each.secrets()).collect();
        let patterns = Patterns::new(secrets.iter().map(|secret| secret.expose()));
        self.configure(patterns, snapshot.on_audit_failure());
        self.mind_space(snapshot.audit_space());
        let mut commands = self.shared.commands.write();
        **commands
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut()) = snapshot.record_commands();
    }

    /// Sets what is looked for in records and outputs, and what a failure to record means.
    pub fn configure(&self, secrets: Arc<Patterns>, on_failure: OnAuditFailure) {
        let mut place = self.shared.secrets.write();
        **place.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut()) = secrets;
        let refuse = on_failure == OnAuditFailure::Refuse;
        self.shared.refuse.store(refuse, Ordering::Relaxed);
    }

    /// Sets what low space on the file's disk means.
    pub fn mind_space(&self, bounds: AuditSpace) {
        self.shared.space.follow(bounds);
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

    /// What keeps commands from being put into the audit file, as far as is known.
    pub fn trouble(&self) -> Option<String> {
        let ledger = self.ledger()?;
        let path = ledger.place().shown().display();
        let failing = self.shared.failing.load(Ordering::Relaxed);
        if failing {
            return Some(format!(
                "audit file {path} cannot be written; the log says why"
            ));
        }
        let no_room = self.room_to_start().err();
        no_room.map(|error| error.for_operator())
    }

    /// Ends the record of a server in order: `server_stop`, everything on disk, the
    /// chain's head on stderr. `reason` is an identifier such as `end_of_input`.
    pub fn close(&self, reason: &'static str) {
        let ts = Ts::now();
        self.emit(Record::ServerStop { ts, reason });
        if let Some(ledger) = self.ledger() {
            match ledger.settle() {
                Ok(tip) => self.emit(Record::audit_head(tip.next.saturating_sub(1), tip.head)),
                Err(failure) => self.emit(Record::error("audit_failed", failure)),
            }
        }
        self.shared.stderr.flush(LAST_FLUSH);
        if let Some(syslog) = self.shared.syslog.get() {
            syslog.flush(LAST_FLUSH);
        }
    }

    /// The secret values of the configuration in force, and of earlier ones that something
    /// ran by when it came, for redacting output.
    pub fn secrets(&self) -> Arc<Patterns> {
        let secrets = self.shared.secrets.read();
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
    pub fn deny(&self, alias: &HostAlias, hash: CommandHash, mut grounds: Grounds) {
        if self.commands() == RecordCommands::Off {
            grounds.command = None;
        }
        self.emit(Record::decision(alias, hash, false, grounds));
    }

    /// Puts an approval by the policy on the record. What is returned is the only way to
    /// start the command, so that each one has exactly one decision. Dropping it is
    /// right for a command that was never started and whose end needs no record.
    pub fn allow(&self, alias: &HostAlias, hash: CommandHash, mut grounds: Grounds) -> Decided {
        if self.commands() != RecordCommands::All {
            grounds.command = None;
        }
        Decided::new(self, alias, hash, grounds)
    }

    fn commands(&self) -> RecordCommands {
        let commands = self.shared.commands.read();
        *commands.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut record: Record) -> Result<(), AuditError> {
        record.redact(&self.secrets());
        self.shared.tally.count(&record);
        let json = self.joined(&record.to_json(), record.names_its_task());
        if record.is_chained() && self.ledger().is_some() {
            let body = match record.command() {
                Some(command) => with_members(&json, &InWords { command }),
                None => json.clone(),
            };
            // A failure is noted by append(); the record is kept for a better time.
            let _ = self.append(Entry::report(body));
        }
        self.send(&json, &record)
    }

    /// A record with the members of its call. `named`: it names its task itself.
    pub(crate) fn joined(&self, record: &str, named: bool) -> String {
        let os_user = self.shared.os_user.get().map(String::as_str);
        self.scope.join(record, named, os_user)
    }

    /// Writes the line `json` of `record` to the log and its copies.
    pub(crate) fn send(&self, json: &str, record: &Record) -> Result<(), AuditError> {
        let line = with_boot(json, &self.shared.boot);
        let passing = record.is_passing();
        let copied = self.copy(&line);
        if let Some(syslog) = self.shared.syslog.get().filter(|_| !passing) {
            syslog.send(record.severity(), &line);
        }
        let sent = self.shared.stderr.write(line, passing);
        // One of the two is enough for somebody to read it.
        match copied {
            true => Ok(()),
            false => sent.map_err(|_| AuditError::LogNotRead),
        }
    }

    /// Writes a line to the copy of the log; whether it is there. The first failure of a row
    /// and the recovery from it are noted on stderr.
    fn copy(&self, line: &str) -> bool {
        let Some(file) = self.shared.log_file.get() else {
            return false;
        };
        let written = file.write(line);
        let failing = written.is_err();
        if self
            .shared
            .log_file_failing
            .swap(failing, Ordering::Relaxed)
            != failing
        {
            let path = file.shown().display();
            let note = match written {
                Err(failure) => Record::error("log_file_failed", format!("{path}: {failure}")),
                Ok(()) => Record::warning("log_file_recovered", format!("{path}: written again")),
            };
            let note = with_boot(&note.to_json(), &self.shared.boot);
            let _ = self.shared.stderr.write(note, false);
        }
        !failing
    }

    /// Writes the end of a run, to the file with its task.
    pub(crate) fn close_run(&self, end: Record, task: Option<&TaskId>) {
        self.shared.tally.count(&end);
        let json = self.joined(&end.to_json(), false);
        if let Some((_, wakeup)) = self.shared.file.get() {
            let entry = match task {
                Some(task) => Entry::end(json.clone(), task),
                None => Entry::report(json.clone()),
            };
            let _ = self.append(entry);
            wakeup.send();
        }
        let _ = self.send(&json, &end);
    }

    /// Closes a start whose command was not sent.
    fn withdraw(&self, task: &TaskId) {
        let ts = Ts::now();
        let body = Mark::Withdrawn { ts, task_id: task }.to_json();
        let body = self.joined(&body, true);
        let _ = self.append(Entry::withdrawal(body, task));
    }

    fn ledger(&self) -> Option<&Arc<Ledger>> {
        self.shared.file.get().map(|(ledger, _)| ledger)
    }

    fn refuses(&self) -> bool {
        self.shared.refuse.load(Ordering::Relaxed)
    }

    /// Hands an entry to the file, if there is one. The first failure of a row and the
    /// recovery from it are noted on stderr.
    fn append(&self, entry: Entry) -> Result<u64, AuditError> {
        let Some(ledger) = self.ledger() else {
            return Ok(0);
        };
        let appended = self.judge(ledger, ledger.append(entry));
        let failing = appended.is_err();
        if self.shared.failing.swap(failing, Ordering::Relaxed) != failing {
            let note = match &appended {
                Err(error) => Record::error("audit_failed", error),
                Ok(_) => Record::warning("audit_recovered", "the audit file is written again"),
            };
            let _ = self.send(&note.to_json(), &note);
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

/// What only the file says.
#[derive(Serialize)]
struct InWords<'a> {
    command: &'a str,
}

/// A name for this run of the server, 32 hex digits. It has to be unique, not secret;
/// the standard library's hash keys come from the kernel's random numbers.
fn boot_id() -> String {
    let half = || RandomState::new().hash_one(Ts::now().micros());
    format!("{:016x}{:016x}", half(), half())
}
