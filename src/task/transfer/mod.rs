//! Larger files between a host and one local directory, past the client.
//!
//! Owns what a transfer adds to a run: where the bytes of a fetched file go, where those of
//! a sent one come from, how far it has come, and what it came to. Memory is bounded by a
//! buffer, whatever the size of the file. Judges nothing: what may be transferred, the policy
//! said. `directory` is the local side, `incoming` and `outgoing` are the two directions.
//! Called by [`crate::task::worker`] and, for a hash before the judgement, by the tools.

pub(crate) mod directory;
pub(crate) mod incoming;
pub(crate) mod outgoing;
pub(crate) mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::policy::{Authorised, Doing};
use crate::task::transfer::directory::TransferDir;
use crate::task::transfer::incoming::Incoming;
use crate::task::transfer::outgoing::Outgoing;
use crate::task::transfer::trouble::Trouble;

/// How far a transfer has come, in bytes.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    done: AtomicU64,
    /// 0 where it is not known yet.
    total: AtomicU64,
}

impl Counter {
    pub(crate) fn expect(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    pub(crate) fn reach(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// So many bytes of so many; nothing where the size is not known.
    pub(crate) fn now(&self) -> Option<(u64, u64)> {
        let total = self.total.load(Ordering::Relaxed);
        (total > 0).then(|| (self.done.load(Ordering::Relaxed), total))
    }
}

/// A file that is where it was to be, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
    /// The local file took another one's place.
    pub replaced: bool,
}

/// The local end of a run's transfer, where it is one.
pub(crate) enum Transfer {
    None,
    Fetch(Incoming),
    Send(Outgoing),
}

impl Transfer {
    /// What this command needs; at most `most` bytes.
    ///
    /// # Errors
    /// There is no directory, or the file to send is not what it was.
    pub(crate) fn of(
        command: &Authorised,
        directory: Option<&Arc<TransferDir>>,
        most: u64,
        counter: &Arc<Counter>,
    ) -> Result<Self, Trouble> {
        let Some(work) = command.file() else {
            return Ok(Self::None);
        };
        let Some(name) = work.local() else {
            return Ok(Self::None);
        };
        let directory = directory.ok_or(Trouble::NoDirectory)?;
        match (&work.doing, command.stdin()) {
            (Doing::Fetch(fetching), _) => Ok(Self::Fetch(Incoming::new(
                directory, fetching, most, counter,
            ))),
            (_, Some(content)) => {
                Outgoing::open(directory, name, content, most, counter).map(Self::Send)
            }
            (_, None) => Err(Trouble::Changed),
        }
    }
}
