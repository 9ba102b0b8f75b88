//! The life of one command on the record, held by types.
//!
//! Owns the order: a decision, then a start, then one end. [`Decided`] is the only way
//! to a [`Started`], and a [`Started`] ends exactly once, also when it is dropped.
//! Called by `task`.

use crate::audit::Audit;
use crate::audit::chain::ledger::Entry;
use crate::audit::failure::AuditError;
use crate::audit::record::chain_mark::Mark;
use crate::audit::record::{AuditEnd, End, Grounds, Record};
use crate::audit::timestamp::Ts;
use crate::model::names::{CommandHash, HostAlias, TaskId};

/// An allowed command whose decision is on the record and that has not started.
pub struct Decided {
    audit: Audit,
    alias: HostAlias,
    hash: CommandHash,
    canonical: Option<CommandHash>,
    written: Result<(), AuditError>,
}

impl Decided {
    pub(crate) fn new(
        audit: &Audit,
        alias: &HostAlias,
        hash: CommandHash,
        grounds: Grounds,
    ) -> Self {
        Self {
            audit: audit.clone(),
            alias: alias.clone(),
            hash,
            canonical: grounds.canonical_hash,
            written: audit.write(Record::decision(alias, hash, true, grounds)),
        }
    }

    /// Puts the start on the record, durably (fdatasync) where there is a chained file,
    /// and returns when it is there. Only then may the command be sent. Waits as long as
    /// the disk does.
    ///
    /// # Errors
    /// The decision or the start cannot be recorded and the configuration says `refuse`, or
    /// the disk has less room than `refuse_below`.
    /// The command must not run. Whatever could be written of it has been, and the cause
    /// is on stderr: the caller has nothing to add.
    pub fn start(mut self, task: &TaskId) -> Result<Started, AuditError> {
        self.audit = self.audit.of_task(task);
        // With a file, the file is the record and stderr is its plain copy.
        let (recorded, recorded_as) = match self.audit.ledger() {
            Some(_) => match self.audit.room_to_start() {
                Ok(()) => self.record_start(task),
                Err(error) => (Err(error), None),
            },
            None => (self.written, None),
        };
        let started = |task| Started {
            audit: self.audit.clone(),
            alias: self.alias.clone(),
            hash: self.hash,
            canonical: self.canonical,
            task,
            ended: false,
        };
        match recorded {
            Ok(()) => Ok(started(recorded_as)),
            Err(error) => {
                let refuses = self.audit.refuses() || error.is_final();
                let msg = if refuses {
                    "audit_refused"
                } else {
                    "audit_unrecorded"
                };
                self.audit
                    .emit(Record::host_error(msg, &self.alias, &error));
                if !refuses {
                    return Ok(started(recorded_as));
                }
                if let Some(task) = &recorded_as {
                    self.audit.withdraw(task);
                }
                Err(error)
            }
        }
    }

    /// Whether the start is on disk, and under which id it is in the file at least.
    fn record_start(&self, task: &TaskId) -> (Result<(), AuditError>, Option<TaskId>) {
        let mark = Mark::Start {
            ts: Ts::now(),
            task_id: task,
            alias: &self.alias,
            hash: &self.hash,
            canonical_hash: self.canonical,
        };
        let mark = self.audit.joined(&mark.to_json(), true);
        match self.audit.append(Entry::start(mark, task)) {
            Ok(next) => (self.audit.reach_disk(next), Some(task.clone())),
            Err(error) => (Err(error), None),
        }
    }

    /// Takes the decision back for a denial: the command waited, and was judged anew by
    /// another configuration when its turn came. It has no start and no end.
    pub fn overruled(self, grounds: Grounds) {
        self.audit.deny(&self.alias, self.hash, grounds);
    }

    /// Records the end of a command that was allowed and never started, such as one that
    /// was cancelled while it waited in a queue. Waits for no disk.
    pub fn not_started(self, end: AuditEnd) {
        let end = Record::Audit(End {
            ts: Ts::now(),
            alias: self.alias,
            hash: self.hash,
            end,
            interrupted: false,
            start_unrecorded: true,
            canonical_hash: self.canonical,
        });
        self.audit.emit(end);
    }
}

/// A command whose start is on the record. Has exactly one end: [`Started::finish`]
/// writes it, and dropping this without it writes one that says `interrupted`.
#[must_use = "dropping this records an interrupted command"]
pub struct Started {
    audit: Audit,
    alias: HostAlias,
    hash: CommandHash,
    canonical: Option<CommandHash>,
    /// Under which id the start is in the file, if it is.
    task: Option<TaskId>,
    ended: bool,
}

impl Started {
    /// Puts the end on the record. It has been handed to the operating system when this
    /// returns, so that it survives the server; the disk follows within a tenth of a
    /// second. To be called before the client is told.
    pub fn finish(mut self, end: AuditEnd) {
        self.end(end, false);
    }

    fn end(&mut self, end: AuditEnd, interrupted: bool) {
        self.ended = true;
        let record = Record::Audit(End {
            ts: Ts::now(),
            alias: self.alias.clone(),
            hash: self.hash,
            end,
            interrupted,
            start_unrecorded: self.task.is_none() && self.audit.ledger().is_some(),
            canonical_hash: self.canonical,
        });
        self.audit.close_run(record, self.task.as_ref());
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.ended {
            self.end(AuditEnd::unknown(), true);
        }
    }
}
