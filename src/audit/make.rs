//! How records are made: one constructor for each that others write, with its moment.
//!
//! Owns the fixed words of each record (`level`, `msg`, `kind`). Called by `task`, `mcp`
//! and `startup`; the records about security have theirs in [`super::security`].

use std::fmt::Display;

use super::record::{Decision, Deprecated, Fault, Level, Phase, Record};
use super::time::Ts;
use crate::config::types::{CommandHash, HostAlias, TaskId};

impl Record {
    pub fn decision(alias: &HostAlias, hash: CommandHash, allowed: bool) -> Self {
        Self::PolicyDecision(Decision {
            ts: Ts::now(),
            alias: alias.clone(),
            hash,
            allowed,
        })
    }

    pub fn progress(task_id: &TaskId, phase: Phase, bytes_read: u64, elapsed_ms: u64) -> Self {
        Self::Progress {
            ts: Ts::now(),
            task_id: task_id.clone(),
            phase,
            bytes_read,
            elapsed_ms,
        }
    }

    /// The trace that ends every `ssh_run`, also one that was invalid or denied.
    pub fn run_done(elapsed_ms: u64) -> Self {
        Self::Trace {
            op: "run_done",
            elapsed_ms,
        }
    }

    /// `msg` is an identifier such as `run_exception`; `error` the unsoftened cause.
    pub fn error(msg: &'static str, error: impl Display) -> Self {
        Self::fault(Level::Error, msg, None, error)
    }

    pub fn warning(msg: &'static str, error: impl Display) -> Self {
        Self::fault(Level::Warn, msg, None, error)
    }

    /// An error that concerns one host (`run_on_tag_host_failed`).
    pub fn host_error(msg: &'static str, alias: &HostAlias, error: impl Display) -> Self {
        Self::fault(Level::Error, msg, Some(alias.clone()), error)
    }

    fn fault(
        level: Level,
        msg: &'static str,
        alias: Option<HostAlias>,
        error: impl Display,
    ) -> Self {
        Self::Error(Fault {
            level,
            msg,
            alias,
            error: error.to_string(),
        })
    }

    /// What the assistant was told, beside what happened.
    pub fn error_details(sanitized: impl Display, original: impl Display) -> Self {
        Self::ErrorDetails {
            level: Level::Error,
            msg: "error_details",
            sanitized: sanitized.to_string(),
            original: original.to_string(),
        }
    }

    pub fn config_error(path: impl Display, error: impl Display) -> Self {
        Self::File {
            level: Level::Error,
            kind: "config_error",
            path: path.to_string(),
            error: error.to_string(),
        }
    }

    pub fn env_file_parse_error(path: impl Display, error: impl Display) -> Self {
        Self::File {
            level: Level::Error,
            kind: "env_file_parse_error",
            path: path.to_string(),
            error: error.to_string(),
        }
    }

    /// A configuration that loads but surprises.
    pub fn config_warning(path: impl Display, warning: impl Display) -> Self {
        Self::FileWarning {
            level: Level::Warn,
            msg: "config_warning",
            path: path.to_string(),
            error: warning.to_string(),
        }
    }

    pub fn load_host_keys_failed(path: impl Display, error: impl Display) -> Self {
        Self::FileWarning {
            level: Level::Warn,
            msg: "load_host_keys_failed",
            path: path.to_string(),
            error: error.to_string(),
        }
    }

    /// `detail` names the setting that was ignored; `alias` the host, where it is one's.
    pub fn host_key_policy_deprecated(detail: impl Display, alias: Option<&HostAlias>) -> Self {
        Self::HostKeyPolicyDeprecated(Deprecated {
            level: Level::Warn,
            msg: "deprecation_warning",
            detail: detail.to_string(),
            alias: alias.cloned(),
            cwe: "CWE-295",
        })
    }

    /// An event of a task whose listener has no client to tell.
    pub fn async_task_event(
        event_type: &'static str,
        task_id: &TaskId,
        payload: serde_json::Value,
    ) -> Self {
        Self::AsyncTaskEvent {
            level: Level::Info,
            msg: "async_task_event",
            event_type,
            task_id: task_id.clone(),
            payload,
        }
    }
}
