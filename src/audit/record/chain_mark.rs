//! The records that only the audit file has: where a chain begins, goes on, or lacks
//! something, and the start of each command.
//!
//! Owns their fields. stderr never sees them: its records are a contract that predates
//! the file. Called by the ledger.

use serde::Serialize;

use crate::audit::record::{Sandbox, display};
use crate::audit::timestamp::Ts;
use crate::model::names::{CommandHash, HostAlias, TaskId};

/// Most open commands named in one `audit_open` record, so that no line grows without
/// bound.
pub(crate) const OPEN_PER_RECORD: usize = 100;

/// A record of the file about the file.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(crate) enum Mark<'a> {
    /// The first record of a chain.
    #[serde(rename = "audit_genesis")]
    Genesis(&'a Origin),
    /// A server started and goes on with a chain.
    #[serde(rename = "audit_boot")]
    Boot {
        #[serde(flatten)]
        origin: &'a Origin,
        /// Commands of an earlier run that were closed here as interrupted.
        closed: usize,
        /// Bytes of a line that was torn when an earlier run ended, and were cut off.
        mended_bytes: u64,
    },
    /// The first record of a file that continues another.
    #[serde(rename = "audit_rotate")]
    Rotate {
        ts: Ts,
        reason: &'static str,
        /// How many commands were under way; `audit_open` records name them.
        open: usize,
    },
    /// The last record of a chain whose server was killed: a later one closed it.
    #[serde(rename = "audit_closed")]
    Closed {
        ts: Ts,
        /// The run of the server that did.
        by: &'a str,
    },
    /// Commands that were under way when the file began.
    #[serde(rename = "audit_open")]
    Open { ts: Ts, tasks: &'a [String] },
    /// Records that could not be written here. stderr has them.
    #[serde(rename = "audit_gap")]
    Gap { ts: Ts, lost: u64 },
    /// A command is about to be sent.
    #[serde(rename = "audit_start")]
    Start {
        ts: Ts,
        #[serde(serialize_with = "display")]
        task_id: &'a TaskId,
        #[serde(serialize_with = "display")]
        alias: &'a HostAlias,
        #[serde(serialize_with = "display")]
        hash: &'a CommandHash,
    },
    /// The start before could not be brought to disk: the command was not sent.
    #[serde(rename = "audit_withdrawn")]
    Withdrawn {
        ts: Ts,
        #[serde(serialize_with = "display")]
        task_id: &'a TaskId,
    },
}

/// Which program, with which configuration, in which confinement.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Origin {
    pub(crate) ts: Ts,
    pub(crate) timestamp: String,
    pub(crate) version: &'static str,
    /// SHA-256 of the program's file, in hex.
    pub(crate) binary_sha256: String,
    pub(crate) config_hash: String,
    pub(crate) sandbox: Sandbox,
}

impl Mark<'_> {
    pub(crate) fn to_json(&self) -> String {
        // As for records: no map here has keys that are not text.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}
