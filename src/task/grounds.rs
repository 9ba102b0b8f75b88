//! What a decision was made by, for the record.
//!
//! Owns which parts of a judgement the record is told: its code, the line of the rule, the
//! hash of what is sent, and the command in words without what looks like a credential,
//! which [`crate::audit`] keeps for its file alone, and only where the policy wants that.
//! Called wherever `task` or a tool puts a decision on record.

use crate::audit::{Audit, Given, Grounds, Record};
use crate::model::names::{CommandText, HostAlias};
use crate::model::security_event::{EventValue, SecurityEvent};
use crate::policy::{Authorised, Denial};
use crate::ssh::NO_ADDRESS;
use crate::task::output::credentials;

/// Of a permit; the words are those that are sent.
pub(crate) fn of_permit(permit: &Authorised) -> Grounds {
    Grounds {
        code: Some(permit.code().as_str()),
        rule: permit.rules().first().copied(),
        canonical_hash: Some(permit.canonical_hash()),
        reason: None,
        given: Given::of(permit.stdin(), permit.file()),
        command: Some(match permit.file() {
            None => credentials::taken_out(permit.canonical()),
            Some(work) => work.described(),
        }),
    }
}

/// Of a denial; the words are those that came in.
pub(crate) fn of_denial(denial: &Denial, command: &CommandText) -> Grounds {
    Grounds {
        code: Some(denial.code().as_str()),
        rule: denial.rule(),
        command: Some(credentials::taken_out(command.as_str())),
        ..Grounds::default()
    }
}

/// Puts a denial by the network policy on record, in its words, and tells the security log.
/// A name that has no address is no event of that.
pub(crate) fn deny_network(
    audit: &Audit,
    alias: &HostAlias,
    command: &CommandText,
    reason: &'static str,
) {
    let grounds = Grounds {
        code: Some("network"),
        reason: Some(reason),
        command: Some(credentials::taken_out(command.as_str())),
        ..Grounds::default()
    };
    audit.deny(alias, command.hash(), grounds);
    if reason != NO_ADDRESS {
        audit.emit(Record::security(SecurityEvent {
            event_type: "network_denied",
            reason: Some(reason),
            extra: vec![
                ("alias", EventValue::Text(alias.to_string())),
                ("hash", EventValue::Text(command.hash().to_string())),
            ],
            ..SecurityEvent::default()
        }));
    }
}
