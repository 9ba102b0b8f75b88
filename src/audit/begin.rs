//! How the record of a server begins.
//!
//! Owns the order: what an earlier server left is mended and closed, the chain is there and
//! on disk, and only then the first record is written. Refuses to begin where the file cannot
//! be used, whatever `on_audit_failure` says: that is for a disk that fails later, not for a
//! wrong path. Called by `startup`, once, confined and with the rights the server keeps.

use std::path::Path;
use std::sync::Arc;

use crate::audit::Audit;
use crate::audit::chain::archive::Archive;
use crate::audit::chain::directory::{Locked, Place};
use crate::audit::chain::ledger::{Begun, Entry, Ledger};
use crate::audit::chain::{committer, recover};
use crate::audit::failure::{AuditError, Failure};
use crate::audit::record::chain_mark::{Mark, Origin};
use crate::audit::record::{AuditEnd, End, Record, ServerStart};
use crate::audit::timestamp::Ts;
use crate::model::names::{CommandHash, HostAlias, TaskId};

/// Where records are kept beside the log.
pub enum Kept {
    /// One file, which goes on from run to run.
    File(Place),
    /// A directory with a chain for each run.
    Directory(Archive),
}

impl Kept {
    /// The directory, for the sandbox to grant.
    pub fn directory(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::File(place) => place.directory(),
            Self::Directory(archive) => archive.directory(),
        }
    }
}

impl Audit {
    /// Begins the record: `server_start` on stderr and, where one is kept, in the chained
    /// file. That is locked and read whole; a line that was torn is mended; commands that an
    /// earlier server left open are closed (`interrupted`), here and on stderr. Starts a
    /// thread.
    ///
    /// # Errors
    /// The file can't be used. The server must not start.
    pub fn begin(&self, kept: Option<Kept>, start: ServerStart) -> Result<(), AuditError> {
        match kept {
            None => {}
            Some(Kept::File(place)) => {
                let file = place.take().map_err(|failure| of(place.shown(), failure))?;
                self.begin_chain(place, file, None, &start)?;
            }
            Some(Kept::Directory(archive)) => {
                let own = archive.own(start.ts, &self.shared.boot);
                let place = own.map_err(|failure| of(archive.path(), failure))?;
                let file = place.make().map_err(|failure| of(place.shown(), failure))?;
                self.close_dead(&archive, &start);
                self.begin_chain(place, file, Some(archive), &start)?;
            }
        }
        self.emit(Record::ServerStart(start));
        // What it finds is on record; a command looks again.
        let _ = self.look_at_space();
        Ok(())
    }

    fn begin_chain(
        &self,
        place: Place,
        file: Locked,
        archive: Option<Archive>,
        start: &ServerStart,
    ) -> Result<(), AuditError> {
        let path = place.shown().to_owned();
        let failed = |failure| of(&path, failure);
        let origin = origin(start, &place);
        let boot = self.shared.boot.clone();
        let begun = Ledger::begin(place, file, &origin, boot).map_err(failed)?;
        let ledger = Arc::new(begun.ledger);
        let shared = Arc::downgrade(&self.shared);
        let say = move |record| {
            if let Some(shared) = shared.upgrade() {
                Audit::over(shared).emit(record);
            }
        };
        let shared = Arc::downgrade(&self.shared);
        let look = move || {
            if let Some(shared) = shared.upgrade() {
                let _ = Audit::over(shared).look_at_space();
            }
        };
        let wakeup = committer::start(&ledger, archive, say, look)
            .map_err(|error| of(&path, Failure::Thread(error)))?;
        // Set once, by the one call of begin(): a second one would find the file locked.
        let _ = self.shared.file.set((ledger, wakeup));
        for task in begun.interrupted {
            match interrupted(&task) {
                Some((task, end)) => self.of_task(&task).close_run(end, Some(&task)),
                // Sealed, so this server's like wrote it, and yet not one of its ids.
                None => self.emit(Record::error("audit_unknown_task", task)),
            }
        }
        Ok(())
    }

    /// Closes the chains of servers that were killed. What cannot be closed is no reason not
    /// to start: it is said, and stays as it is.
    fn close_dead(&self, archive: &Archive, start: &ServerStart) {
        let chains = match archive.chains() {
            Ok(chains) => chains,
            Err(failure) => return self.not_closed(archive.path(), &failure),
        };
        for place in chains {
            let path = place.shown().to_owned();
            let closed = match place.take_existing() {
                // Its server lives.
                Err(Failure::InUse) => Ok(()),
                Err(failure) => Err(failure),
                Ok(file) => match recover::is_closed(&file) {
                    Ok(true) => Ok(()),
                    Ok(false) => self.close_chain(place, file, start),
                    Err(error) => Err(Failure::Read(error)),
                },
            };
            if let Err(failure) = closed {
                self.not_closed(&path, &failure);
            }
        }
    }

    fn not_closed(&self, path: &Path, failure: &Failure) {
        let text = format!("{}: {failure}", path.display());
        self.emit(Record::warning("audit_not_closed", text));
    }

    fn close_chain(&self, place: Place, file: Locked, start: &ServerStart) -> Result<(), Failure> {
        let boot = &self.shared.boot;
        let origin = origin(start, &place);
        let Begun {
            ledger,
            interrupted: open,
        } = Ledger::begin(place, file, &origin, boot.clone())?;
        for (task, end) in open.iter().filter_map(|task| interrupted(task)) {
            let json = self.of_task(&task).joined(&end.to_json(), false);
            ledger.append(Entry::end(json.clone(), &task))?;
            let _ = self.send(&json, &end);
        }
        let ts = Ts::now();
        let closed = Mark::Closed { ts, by: boot };
        ledger.append(Entry::report(closed.to_json()))?;
        ledger.settle().map(drop)
    }
}

fn of(path: &Path, failure: Failure) -> AuditError {
    let path = path.to_owned();
    AuditError::File { path, failure }
}

fn origin(start: &ServerStart, place: &Place) -> Origin {
    Origin {
        ts: start.ts,
        timestamp: start.timestamp.clone(),
        version: start.version,
        binary_sha256: place.binary.to_string(),
        config_hash: start.config_hash.clone(),
        sandbox: start.sandbox.clone(),
    }
}

/// The end of a command that an earlier server left open. What it was is in the id:
/// `alias:hash:token`.
fn interrupted(task: &str) -> Option<(TaskId, Record)> {
    let mut parts = task.rsplitn(3, ':').skip(1);
    let hash = parts.next().and_then(CommandHash::parse)?;
    let alias = HostAlias::parse(parts.next()?).ok()?;
    let end = Record::Audit(End {
        ts: Ts::now(),
        alias,
        hash,
        end: AuditEnd::unknown(),
        interrupted: true,
        start_unrecorded: false,
        canonical_hash: None,
    });
    Some((TaskId::parse(task).ok()?, end))
}
