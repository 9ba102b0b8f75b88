//! How grave a record is, in the words of syslog.
//!
//! Owns the mapping alone. Called by [`crate::audit::Audit`] where a record goes to syslog.

use crate::audit::record::{ApprovalOutcome, Level, Record};

/// The severities that are used, of RFC 5424, 6.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Somebody should look at it now: a security event.
    Critical,
    Error,
    Warning,
    /// Normal and yet worth a look: a refusal, a change of what is in force.
    Notice,
    Informational,
    /// How far something is.
    Debug,
}

impl Severity {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Informational => 6,
            Self::Debug => 7,
        }
    }

    fn of(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warning,
            Level::Info => Self::Informational,
        }
    }
}

impl Record {
    pub(crate) fn severity(&self) -> Severity {
        match self {
            Self::SecurityEvent(_)
            | Self::NullByteInjectionAttempt(_)
            | Self::ControlCharacterInjectionAttempt(_)
            | Self::CommandBypassAttempt(_) => Severity::Critical,
            Self::PolicyDecision(decision) if decision.allowed => Severity::Informational,
            Self::PolicyDecision(_) | Self::CommandChainDenied(_) => Severity::Notice,
            Self::Approval(approval) => match approval.outcome {
                ApprovalOutcome::Forged | ApprovalOutcome::Replayed => Severity::Critical,
                ApprovalOutcome::Accepted
                | ApprovalOutcome::AcceptedForAWhile
                | ApprovalOutcome::Standing => Severity::Informational,
                _ => Severity::Notice,
            },
            Self::Audit(end) if end.interrupted => Severity::Warning,
            Self::Reload(reload) if reload.problems > 0 => Severity::Error,
            Self::Reload(_) | Self::ServerStart(_) | Self::ServerStop { .. } => Severity::Notice,
            Self::LogGap { .. } | Self::HostKeyPolicyDeprecated(_) => Severity::Warning,
            Self::Error(fault) => Severity::of(fault.level),
            Self::ErrorDetails { level, .. }
            | Self::File { level, .. }
            | Self::FileWarning { level, .. }
            | Self::AsyncTaskEvent { level, .. } => Severity::of(*level),
            Self::Audit(_)
            | Self::CommandChainParsed(_)
            | Self::Call(_)
            | Self::AuditHead { .. } => Severity::Informational,
            Self::Progress { .. } | Self::Trace { .. } | Self::Session(_) => Severity::Debug,
        }
    }
}
