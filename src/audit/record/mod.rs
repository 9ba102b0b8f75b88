//! Every line the server can write to its log, as one enum.
//!
//! Owns the names, the order and the types of the fields: they are a contract with log
//! pipelines, so `tests/integration/audit/records.rs` holds each of them byte for byte. `type` comes
//! first where a record has one. Decides nothing about where a record goes (that is
//! [`crate::audit::Audit`]) and holds no raw command, output or secret: a command is known here
//! by its hash, except in [`security::Bypass`], which is capped and redacted, and in what
//! [`Decision`] keeps for the file alone.

pub(crate) mod asked;
pub(crate) mod chain_mark;
pub(crate) mod command;
pub(crate) mod constructors;
pub(crate) mod decision;
pub(crate) mod panic;
pub(crate) mod security;
pub(crate) mod severity;
pub(crate) mod ssh_session;

use std::fmt::Display;
use std::net::IpAddr;

pub(crate) use crate::audit::record::decision::Bytes;
pub use crate::audit::record::decision::{Decision, Given, Grounds, Looked};
use crate::audit::record::security::{Bypass, Chain, ChainDenied, Injection, Noticed};
use crate::audit::record::ssh_session::SessionTrace;
use crate::audit::redact::Patterns;
use crate::audit::timestamp::Ts;
use crate::model::names::{CommandHash, HostAlias, TaskId};
use serde::{Serialize, Serializer};

/// Most bytes of a command that the file holds in words: more than one may have.
const COMMAND_MAX: usize = 64 * 1024;

/// One line of the log. Make it where the thing happens: `ts` is taken then.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// What the policy said, once per command and host, before anything else happens.
    PolicyDecision(Decision),
    /// How a command ended, once per command that was started.
    Audit(End),
    /// Written every 0.5 s while a command is under way, also while it is silent.
    Progress {
        ts: Ts,
        #[serde(serialize_with = "display")]
        task_id: TaskId,
        phase: Phase,
        /// Bytes of stdout and stderr together.
        bytes_read: u64,
        elapsed_ms: u64,
    },
    /// The end of an operation; `op` is `run_done`.
    Trace {
        op: &'static str,
        elapsed_ms: u64,
        ts: Ts,
        #[serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "display_some"
        )]
        alias: Option<HostAlias>,
    },
    /// The algorithms of a session; at debug level alone.
    #[serde(rename = "trace")]
    Session(SessionTrace),
    /// A path, file, name or size that broke a rule of the configuration.
    SecurityEvent(Noticed),
    NullByteInjectionAttempt(Injection),
    ControlCharacterInjectionAttempt(Injection),
    /// A `deny_substrings` entry matched only a normalised form of the command.
    #[serde(rename = "security_event")]
    CommandBypassAttempt(Bypass),
    CommandChainParsed(Chain),
    CommandChainDenied(ChainDenied),
    /// An old setting that weakens host key checks was found and ignored.
    HostKeyPolicyDeprecated(Deprecated),
    /// A call that ran nothing: something was looked at, or it was refused before a judgement.
    Call(Looked),
    /// How a request for a person's approval ended.
    Approval(Approval),
    /// A configuration was taken in, or refused as a whole.
    Reload(Reload),
    /// The first line of a server's log: what it is and how it is confined.
    ServerStart(ServerStart),
    /// The last line of a server that ended in order.
    ServerStop {
        ts: Ts,
        reason: &'static str,
    },
    /// The head of the chained file, handed out so that it can be kept elsewhere.
    AuditHead {
        ts: Ts,
        /// Sequence number of the record the head belongs to.
        seq: u64,
        /// SHA-256 of that record, in hex.
        head: String,
    },
    /// Lines that could not be written: nobody read stderr, or its buffer was full.
    LogGap {
        ts: Ts,
        lost: u64,
    },
    /// An error that the operator should see; `msg` says where (`run_exception`).
    #[serde(untagged)]
    Error(Fault),
    /// A failure whose text for the assistant differs from the cause.
    #[serde(untagged)]
    ErrorDetails {
        level: Level,
        msg: &'static str,
        sanitized: String,
        original: String,
        ts: Ts,
        #[serde(serialize_with = "display")]
        alias: HostAlias,
    },
    /// A file that could not be used: `config_error`, `env_file_parse_error`.
    #[serde(untagged)]
    File {
        level: Level,
        kind: &'static str,
        path: String,
        error: String,
        ts: Ts,
    },
    /// A file that was passed over: `load_host_keys_failed`, `config_warning`.
    #[serde(untagged)]
    FileWarning {
        level: Level,
        msg: &'static str,
        path: String,
        error: String,
        ts: Ts,
    },
    /// A task's event that no client could be told.
    #[serde(untagged)]
    AsyncTaskEvent {
        level: Level,
        msg: &'static str,
        event_type: &'static str,
        #[serde(serialize_with = "display")]
        task_id: TaskId,
        payload: serde_json::Value,
        ts: Ts,
    },
}

/// How grave an untyped record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    Info,
}

/// How far a command has come, as its progress records spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Connecting,
    Connected,
    Running,
}

/// The fields of `audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    pub ts: Ts,
    #[serde(serialize_with = "display")]
    pub alias: HostAlias,
    #[serde(serialize_with = "display")]
    pub hash: CommandHash,
    #[serde(flatten)]
    pub end: AuditEnd,
    /// True where the server ended before the command did: nobody knows how it went on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// True where no start is on record: it ended before its turn, or ran although the file
    /// could not be written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub start_unrecorded: bool,
    /// Of what was sent, as in its decision.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "display_some"
    )]
    pub canonical_hash: Option<CommandHash>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEnd {
    /// The remote exit status, 0 to 2^32-1, or -1 where none was had.
    pub exit_code: i64,
    pub duration_ms: u64,
    /// Bytes of stdout that were received.
    pub bytes_out: u64,
    /// Bytes of stderr that were received.
    pub bytes_err: u64,
    pub cancelled: bool,
    pub timeout: bool,
    /// The address that was connected to; empty on the record where there was none.
    #[serde(serialize_with = "address")]
    pub target_ip: Option<IpAddr>,
    /// The file that was transferred, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transferred: Option<Bytes>,
}

impl AuditEnd {
    /// The end of a run of which nothing is known.
    pub fn unknown() -> Self {
        Self {
            exit_code: -1,
            duration_ms: 0,
            bytes_out: 0,
            bytes_err: 0,
            cancelled: false,
            timeout: false,
            target_ip: None,
            transferred: None,
        }
    }
}

/// An error for the operator.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    pub level: Level,
    pub msg: &'static str,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "display_some"
    )]
    pub alias: Option<HostAlias>,
    pub error: String,
    pub ts: Ts,
}

/// The fields of a `deprecation_warning`.
#[derive(Debug, Clone, Serialize)]
pub struct Deprecated {
    pub(crate) level: Level,
    pub(crate) msg: &'static str,
    pub(crate) detail: String,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "display_some"
    )]
    pub(crate) alias: Option<HostAlias>,
    pub(crate) cwe: &'static str,
    pub(crate) ts: Ts,
}

/// The fields of `approval`. Who answered through a client cannot be known: it speaks for a
/// person, and nothing in the protocol proves that there was one. The operator's word is a
/// file of their own.
#[derive(Debug, Clone, Serialize)]
pub struct Approval {
    pub ts: Ts,
    #[serde(serialize_with = "display")]
    pub alias: HostAlias,
    #[serde(serialize_with = "display")]
    pub hash: CommandHash,
    /// SHA-256 in hex of what was asked: host and canonical command.
    pub digest: String,
    pub outcome: ApprovalOutcome,
    pub elapsed_ms: u64,
    /// `elicitation` or `operator`.
    pub way: &'static str,
    /// The operator's: the name of the question, and the user whose word it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<u32>,
}

/// How an approval ended. Only the first three let the command run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalOutcome {
    Accepted,
    /// And to whatever else the same rules ask about on this host, for a while.
    AcceptedForAWhile,
    /// Nobody was asked: an approval of before stands for it.
    Standing,
    Declined,
    Cancelled,
    /// The client's answer is none that the protocol knows.
    Malformed,
    Timeout,
    /// The client cannot ask a person.
    Unsupported,
    /// The client went away before it answered.
    ClientLost,
    /// The answer carried a state that this server did not make, or made for another
    /// request.
    Forged,
    /// The answer carried a state that had been used.
    Replayed,
    /// The answer carried a state that was too old.
    Expired,
}

/// The fields of `reload`.
#[derive(Debug, Clone, Serialize)]
pub struct Reload {
    pub ts: Ts,
    /// `reloaded` or `error`.
    pub status: &'static str,
    /// SHA-256 in hex of the configuration in force afterwards.
    pub config_hash: String,
    /// How many problems the refused files had.
    pub problems: usize,
    /// Who wanted it: `client`, `signal` or `file_change`.
    pub trigger: &'static str,
}

/// The fields of `server_start`.
#[derive(Debug, Clone, Serialize)]
pub struct ServerStart {
    pub ts: Ts,
    pub timestamp: String,
    pub version: &'static str,
    pub pid: u32,
    pub config_hash: String,
    /// How many hosts are configured.
    pub hosts: usize,
    pub sandbox: Sandbox,
    /// Whether there is a chained file beside stderr.
    pub audit_file: bool,
    pub linked: Linked,
}

/// The C libraries in the program, as they report themselves, and how it was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Linked {
    pub libssh2: String,
    pub openssl: String,
    pub zlib: String,
    /// `hardened`, or what the build lacks of that.
    pub build: &'static str,
}

/// What the confinement came to, as it was verified rather than as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sandbox {
    /// `strict`, `required`, `degraded` or `off`: what was asked for.
    pub level: &'static str,
    /// What is in force, by the names of `--sandbox-floor`.
    pub rights: Vec<&'static str>,
    /// The Landlock ABI in force; 0 is none.
    pub landlock_abi: u32,
    pub seccomp: bool,
    pub no_new_privs: bool,
    pub uid: u32,
    pub gid: u32,
    /// True if no capability is left.
    pub capabilities_dropped: bool,
    /// What is missing and how to mend it, a sentence each.
    pub missing: Vec<String>,
}

impl Record {
    /// Whether the record also belongs in the chained file: decisions, ends, security
    /// events, approvals, reloads.
    pub(crate) fn is_chained(&self) -> bool {
        match self {
            Self::Progress { .. }
            | Self::Trace { .. }
            | Self::Session(_)
            | Self::AuditHead { .. }
            | Self::Error(_)
            | Self::ErrorDetails { .. }
            | Self::File { .. }
            | Self::FileWarning { .. }
            | Self::AsyncTaskEvent { .. } => false,
            Self::PolicyDecision(_)
            | Self::Audit(_)
            | Self::SecurityEvent(_)
            | Self::NullByteInjectionAttempt(_)
            | Self::ControlCharacterInjectionAttempt(_)
            | Self::CommandBypassAttempt(_)
            | Self::CommandChainParsed(_)
            | Self::CommandChainDenied(_)
            | Self::HostKeyPolicyDeprecated(_)
            | Self::Call(_)
            | Self::Approval(_)
            | Self::Reload(_)
            | Self::ServerStart(_)
            | Self::ServerStop { .. }
            | Self::LogGap { .. } => true,
        }
    }

    /// Whether the record only says how far something is: the first to go when nobody
    /// reads the log.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Progress { .. } | Self::Trace { .. } | Self::Session(_)
        )
    }

    /// Whether the record names its task itself.
    pub(crate) fn names_its_task(&self) -> bool {
        matches!(
            self,
            Self::Progress { .. } | Self::Session(_) | Self::AsyncTaskEvent { .. }
        )
    }

    /// The command in words, for the file alone.
    pub(crate) fn command(&self) -> Option<&str> {
        match self {
            Self::PolicyDecision(decision) => decision.grounds.command.as_deref(),
            _ => None,
        }
    }

    /// Takes secret values out of every field that holds free text, and bounds it.
    pub(crate) fn redact(&mut self, secrets: &Patterns) {
        let clean = |text: &mut String| security::bound(text, secrets, security::TEXT_MAX);
        match self {
            Self::Error(fault) => clean(&mut fault.error),
            Self::ErrorDetails {
                sanitized,
                original,
                ..
            } => {
                clean(sanitized);
                clean(original);
            }
            Self::File { path, error, .. } | Self::FileWarning { path, error, .. } => {
                clean(path);
                clean(error);
            }
            Self::SecurityEvent(noticed) => noticed.each_text(clean),
            Self::Session(session) => session.each_text(clean),
            Self::CommandBypassAttempt(bypass) => bypass.redact(secrets),
            Self::HostKeyPolicyDeprecated(deprecated) => clean(&mut deprecated.detail),
            Self::PolicyDecision(decision) => {
                let command = decision.grounds.command.iter_mut();
                command.for_each(|text| security::bound(text, secrets, COMMAND_MAX));
                if let Some(file) = &mut decision.grounds.given.file {
                    clean(&mut file.path);
                }
            }
            _ => {}
        }
    }

    /// The record as one compact JSON object, without a newline.
    pub fn to_json(&self) -> String {
        // Serialising to memory fails only for maps with keys that are not text, and no
        // record holds one; an empty object would still be a whole line.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

pub(crate) fn display<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(crate) fn display_some<T: Display, S: Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

fn address<S: Serializer>(value: &Option<IpAddr>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(address) => to.collect_str(address),
        None => to.serialize_str(""),
    }
}
