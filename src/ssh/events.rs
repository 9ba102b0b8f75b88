//! Security events of this layer, as data for the record.
//!
//! The log contract's fields for names asked for too often and for host keys that were
//! refused, with their fingerprints. Called by [`crate::ssh::login`].

use crate::config::Host;
use crate::model::security_event::{EventValue, SecurityEvent};
use crate::ssh::error::{HostKeyProblem, ResolveFailure, SshError};
use crate::ssh::transport::resolve::LOOKUPS_PER_SECOND;

pub(crate) fn rate_limit_event(error: &SshError) -> Option<SecurityEvent> {
    let SshError::Resolve {
        name,
        why: ResolveFailure::RateLimit,
    } = error
    else {
        return None;
    };
    let limit = u64::try_from(LOOKUPS_PER_SECOND).unwrap_or(u64::MAX);
    Some(SecurityEvent {
        event_type: "dns_rate_limit_exceeded",
        extra: vec![
            ("hostname", EventValue::Text(name.clone())),
            ("max_per_second", EventValue::Number(limit)),
        ],
        ..SecurityEvent::default()
    })
}

pub(crate) fn host_key_event(host: &Host, error: &SshError) -> Option<SecurityEvent> {
    let SshError::HostKey(problem) = error else {
        return None;
    };
    let text = |value: &String| EventValue::Text(value.clone());
    let mut extra = vec![("alias", EventValue::Text(host.alias.to_string()))];
    let event_type = match problem {
        HostKeyProblem::Unknown { host, presented } => {
            extra.extend([("host", text(host)), ("presented_key", text(presented))]);
            "host_key_unknown"
        }
        HostKeyProblem::Mismatch {
            host,
            presented,
            recorded,
            line,
        } => {
            extra.extend([("host", text(host)), ("presented_key", text(presented))]);
            extra.extend([
                ("recorded_key", text(recorded)),
                ("known_hosts_line", number(*line)),
            ]);
            "host_key_mismatch"
        }
        HostKeyProblem::Certificate {
            host,
            presented,
            why,
        } => {
            extra.extend([("host", text(host)), ("presented_key", text(presented))]);
            extra.push(("reason", EventValue::Text((*why).to_owned())));
            "host_certificate_refused"
        }
        HostKeyProblem::Revoked {
            host,
            presented,
            line,
        } => {
            extra.extend([("host", text(host)), ("presented_key", text(presented))]);
            extra.push(("known_hosts_line", number(*line)));
            "host_key_revoked"
        }
    };
    Some(SecurityEvent {
        event_type,
        extra,
        ..SecurityEvent::default()
    })
}

fn number(value: usize) -> EventValue {
    EventValue::Number(u64::try_from(value).unwrap_or(u64::MAX))
}
