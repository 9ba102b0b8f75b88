//! How the record does: whether it is written, and how much room its disk has.
//!
//! Owns when the disk is looked at, and what less room than `refuse_below` means for a command
//! that is to begin. Called at each start, by the thread that looks after the file, and by
//! whoever is asked.

use std::sync::atomic::Ordering;

use nix::errno::Errno;

use crate::audit::Audit;
use crate::audit::failure::{AuditError, Failure};
use crate::audit::space::{Free, Standing};

/// How the record does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Health {
    pub(crate) has_file: bool,
    pub(crate) is_written: bool,
    pub(crate) space: Standing,
    /// Bytes, where it is known.
    pub(crate) free: Option<u64>,
}

impl Audit {
    /// Looks at the disk, and puts a change on record. Without an audit file there is none to
    /// look at.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn look_at_space(&self) -> Result<(Standing, Option<Free>), Errno> {
        let Some(ledger) = self.ledger() else {
            return Ok((Standing::Enough, None));
        };
        let free = ledger.free();
        let (standing, record) = self.shared.space.judge(free);
        if let Some(record) = record {
            self.emit(record);
        }
        Ok((standing?, free.ok()))
    }

    /// Whether there is room for another command to begin.
    ///
    /// # Errors
    /// There is less than `refuse_below`, or that cannot be told.
    pub(crate) fn room_to_start(&self) -> Result<(), AuditError> {
        let looked = self.look_at_space();
        let Some(ledger) = self.ledger().filter(|_| self.shared.space.refuses_below()) else {
            return Ok(());
        };
        let failure = match looked {
            Ok((Standing::Refusing, Some(free))) => Failure::NoRoom { free: free.bytes },
            Ok(_) => return Ok(()),
            Err(errno) => Failure::Space(errno),
        };
        let path = ledger.place().shown().to_owned();
        Err(AuditError::File { path, failure })
    }

    /// How the record does, for whoever is asked: whether there is a file, whether it is
    /// written, how much room is left.
    pub(crate) fn health(&self) -> Health {
        let looked = self.look_at_space().unwrap_or_default();
        Health {
            has_file: self.ledger().is_some(),
            is_written: !self.shared.failing.load(Ordering::Relaxed),
            space: looked.0,
            free: looked.1.map(|free| free.bytes),
        }
    }
}
