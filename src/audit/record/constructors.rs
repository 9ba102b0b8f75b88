//! How records are made: one constructor for each that others write, with its moment.
//!
//! Owns the fixed words of each record (`level`, `msg`, `kind`). Called by `task`, `mcp`
//! and `startup`; the records about security have theirs in [`crate::audit::record::security`].

use std::fmt::Display;

use crate::audit::record::{Decision, Deprecated, Fault, Grounds, Level, Phase, Record};
use crate::audit::timestamp::Ts;
use crate::config::secrets::env_file;
use crate::config::{Problem, Warning, WarningKind};
use crate::model::names::{CommandHash, HostAlias, TaskId};

impl Record {
    pub fn decision(alias: &HostAlias, hash: CommandHash, allowed: bool, grounds: Grounds) -> Self {
        Self::PolicyDecision(Decision {
            ts: Ts::now(),
            alias: alias.clone(),
            hash,
            allowed,
            grounds,
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
    pub fn run_done(alias: Option<&HostAlias>, elapsed_ms: u64) -> Self {
        Self::Trace {
            op: "run_done",
            elapsed_ms,
            ts: Ts::now(),
            alias: alias.cloned(),
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
            ts: Ts::now(),
        })
    }

    /// The head of the chained file after the record `seq`.
    pub(crate) fn audit_head(seq: u64, head: impl Display) -> Self {
        Self::AuditHead {
            ts: Ts::now(),
            seq,
            head: head.to_string(),
        }
    }

    /// What the assistant was told, beside what happened.
    pub fn error_details(
        alias: &HostAlias,
        sanitized: impl Display,
        original: impl Display,
    ) -> Self {
        Self::ErrorDetails {
            level: Level::Error,
            msg: "error_details",
            sanitized: sanitized.to_string(),
            original: original.to_string(),
            ts: Ts::now(),
            alias: alias.clone(),
        }
    }

    /// What keeps a configuration from being taken. `path` is the file as the operator
    /// knows it; `error` says the place in it.
    pub fn config_problem(problem: &Problem) -> Self {
        let kind = match problem.place.file {
            env_file::NAME => "env_file_parse_error",
            _ => "config_error",
        };
        Self::File {
            level: Level::Error,
            kind,
            path: problem.place.file.to_owned(),
            error: problem.for_operator(),
            ts: Ts::now(),
        }
    }

    /// What loads but surprises, with the record that its kind has.
    pub fn config_surprise(warning: &Warning) -> Self {
        match warning.kind {
            WarningKind::HostKeyPolicy => {
                let own = warning.key.strip_prefix("overrides.aliases.");
                let alias = own.and_then(|key| key.rsplit_once('.'));
                let alias = alias.and_then(|(alias, _)| HostAlias::parse(alias).ok());
                Self::host_key_policy_deprecated(warning, alias.as_ref())
            }
            WarningKind::UnknownHostKey if warning.place.at.is_none() => {
                Self::load_host_keys_failed(warning.place.file, warning)
            }
            _ => Self::config_warning(warning.place.file, warning),
        }
    }

    /// A configuration that loads but surprises.
    pub fn config_warning(path: impl Display, warning: impl Display) -> Self {
        Self::FileWarning {
            level: Level::Warn,
            msg: "config_warning",
            path: path.to_string(),
            error: warning.to_string(),
            ts: Ts::now(),
        }
    }

    pub fn load_host_keys_failed(path: impl Display, error: impl Display) -> Self {
        Self::FileWarning {
            level: Level::Warn,
            msg: "load_host_keys_failed",
            path: path.to_string(),
            error: error.to_string(),
            ts: Ts::now(),
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
            ts: Ts::now(),
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
            ts: Ts::now(),
        }
    }
}
