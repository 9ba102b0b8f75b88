//! What a log says of the session that a command ran on: at debug level of each, at any level
//! of one on which older algorithms are let in.
//!
//! Owns the fields of the trace `ssh_session`: which algorithms each hop agreed on, and
//! whether the session had been used before. Names of algorithms and a host's version
//! line, nothing of a credential. Called by `task`.

use serde::Serialize;

use crate::audit::record::{Record, display};
use crate::audit::timestamp::Ts;
use crate::model::names::{HostAlias, TaskId};

/// The fields of the trace `ssh_session`.
#[derive(Debug, Clone, Serialize)]
pub struct SessionTrace {
    op: &'static str,
    ts: Ts,
    #[serde(serialize_with = "display")]
    task_id: TaskId,
    #[serde(serialize_with = "display")]
    alias: HostAlias,
    /// The session was kept from an earlier command.
    reused: bool,
    /// First jump host first, the host itself last.
    hops: Vec<Hop>,
}

/// What one host and this server agreed on. `out` is towards the host.
#[derive(Debug, Clone, Serialize)]
pub struct Hop {
    #[serde(serialize_with = "display")]
    pub alias: HostAlias,
    /// The host's entry lets older algorithms in.
    #[serde(skip_serializing_if = "is_false")]
    pub legacy_algorithms: bool,
    pub kex: String,
    pub host_key: String,
    pub cipher_out: String,
    pub cipher_in: String,
    pub mac_out: String,
    pub mac_in: String,
    /// The version line that the host sent.
    pub server: String,
}

impl Record {
    pub fn ssh_session(task_id: &TaskId, alias: &HostAlias, reused: bool, hops: Vec<Hop>) -> Self {
        Self::Session(SessionTrace {
            op: "ssh_session",
            ts: Ts::now(),
            task_id: task_id.clone(),
            alias: alias.clone(),
            reused,
            hops,
        })
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl SessionTrace {
    /// The only text that a host chose.
    pub(crate) fn each_text(&mut self, clean: impl Fn(&mut String)) {
        self.hops.iter_mut().for_each(|hop| clean(&mut hop.server));
    }
}
