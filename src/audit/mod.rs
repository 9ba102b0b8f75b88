//! The record of everything: what was decided, what ran, how it ended, what went wrong.
//!
//! Owns every line on stderr and the chained file beside it. Two promises: a command
//! starts only with its decision and its start on the record ([`Decided::start`]), and
//! every start gets exactly one end, whatever happens ([`Started`]). Refuses to hold
//! anything secret: free text is redacted and bounded on its way out. Called by `task`
//! and `mcp` for what happens, and by `startup` for the beginning and the end.

mod record;
mod redact;
mod security;
mod stderr;
mod time;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub use record::{
    Approval, ApprovalOutcome, AuditEnd, Decision, End, Level, Phase, Record, Reload, Sandbox,
    ServerStart,
};
pub use redact::{Patterns, REDACTED, Redactor, SHORTEST};
pub use security::{ChainDenial, HostKeyFinding, HostKeyKind};
pub use time::Ts;

use crate::config::types::{CommandHash, HostAlias, OnAuditFailure, TaskId};

/// The way to the record. Cheap to clone; all clones write to the same place.
#[derive(Clone)]
pub struct Audit(Arc<Shared>);

struct Shared {
    stderr: Arc<stderr::Sink>,
    secrets: RwLock<Arc<Patterns>>,
    refuse: AtomicBool,
}

impl Audit {
    /// A record on stderr alone.
    pub fn to_stderr() -> Self {
        Self::to(stderr::Sink::stderr())
    }

    fn to(stderr: Arc<stderr::Sink>) -> Self {
        Self(Arc::new(Shared {
            stderr,
            secrets: RwLock::new(Patterns::none()),
            refuse: AtomicBool::new(true),
        }))
    }

    /// Takes over what a configuration says of the record. To be called at the start and
    /// at each reload, before anything is judged by that configuration.
    pub fn configure(&self, secrets: Arc<Patterns>, on_failure: OnAuditFailure) {
        *self
            .0
            .secrets
            .write()
            .unwrap_or_else(PoisonError::into_inner) = secrets;
        let refuse = on_failure == OnAuditFailure::Refuse;
        self.0.refuse.store(refuse, Ordering::Relaxed);
    }

    /// The secret values of the configuration in force, for redacting output.
    pub fn secrets(&self) -> Arc<Patterns> {
        let secrets = self.0.secrets.read();
        Arc::clone(&secrets.unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes one record. Never fails, never panics; may wait up to a second for a
    /// reader of stderr. What can't be written is counted and said later.
    pub fn emit(&self, record: Record) {
        let _ = self.write(record);
    }

    /// Puts a denial on the record.
    pub fn deny(&self, alias: &HostAlias, hash: CommandHash) {
        self.emit(Record::decision(alias, hash, false));
    }

    /// Puts an approval by the policy on the record. What is returned is the only way to
    /// start the command, so that each one has exactly one decision. Dropping it is
    /// right for a command that was never started and whose end needs no record.
    pub fn allow(&self, alias: &HostAlias, hash: CommandHash) -> Decided {
        let written = self.write(Record::decision(alias, hash, true));
        Decided {
            audit: self.clone(),
            alias: alias.clone(),
            hash,
            written,
        }
    }

    fn write(&self, mut record: Record) -> Result<(), AuditError> {
        record.redact(&self.secrets());
        let sent = self.0.stderr.write(record.to_json(), record.is_passing());
        sent.map_err(|_| AuditError::LogNotRead)
    }
}

/// An allowed command whose decision is on the record and that has not started.
pub struct Decided {
    audit: Audit,
    alias: HostAlias,
    hash: CommandHash,
    written: Result<(), AuditError>,
}

impl Decided {
    /// Puts the start on the record, durably (fdatasync) where there is a chained file,
    /// and returns when it is there. Only then may the command be sent.
    ///
    /// # Errors
    /// The decision or the start cannot be recorded and the configuration says `refuse`.
    /// The command must not run. Whatever could be written of it has been, and the cause
    /// is on stderr: the caller has nothing to add.
    pub fn start(self, _task: &TaskId) -> Result<Started, AuditError> {
        if let Err(error) = self.written
            && self.audit.0.refuse.load(Ordering::Relaxed)
        {
            return Err(error);
        }
        Ok(Started {
            audit: self.audit,
            alias: self.alias,
            hash: self.hash,
            ended: false,
        })
    }

    /// Records the end of a command that was allowed and never started, such as one that
    /// was cancelled while it waited in a queue. Waits for no disk.
    pub fn not_started(self, end: AuditEnd) {
        let (alias, hash) = (self.alias, self.hash);
        self.audit.emit(Record::Audit(End {
            ts: Ts::now(),
            alias,
            hash,
            end,
            interrupted: false,
        }));
    }
}

/// A command whose start is on the record. Has exactly one end: [`Started::finish`]
/// writes it, and dropping this without it writes one that says `interrupted`.
#[must_use = "dropping this records an interrupted command"]
pub struct Started {
    audit: Audit,
    alias: HostAlias,
    hash: CommandHash,
    ended: bool,
}

impl Started {
    /// Puts the end on the record. It has been handed to the operating system when this
    /// returns, and reaches the disk soon after.
    pub fn finish(mut self, end: AuditEnd) {
        self.end(end, false);
    }

    fn end(&mut self, end: AuditEnd, interrupted: bool) {
        self.ended = true;
        self.audit.emit(Record::Audit(End {
            ts: Ts::now(),
            alias: self.alias.clone(),
            hash: self.hash,
            end,
            interrupted,
        }));
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.ended {
            self.end(AuditEnd::unknown(), true);
        }
    }
}

/// Why nothing can be put on the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditError {
    /// stderr is closed or full, and has been for a second.
    LogNotRead,
}

impl AuditError {
    /// Says what is wrong without naming a file.
    pub fn for_assistant(&self) -> String {
        "The command was not run: the server cannot write its audit record. \
         Ask the operator to look at the server's log."
            .to_owned()
    }

    /// Says what is wrong and what mends it.
    pub fn for_operator(&self) -> String {
        match self {
            Self::LogNotRead => "stderr is closed or full and nobody reads it; \
                read the server's log, or set on_audit_failure: warn"
                .to_owned(),
        }
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.for_operator())
    }
}

impl std::error::Error for AuditError {}
