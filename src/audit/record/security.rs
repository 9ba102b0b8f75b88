//! The records of what should not have happened: injections, bypasses, wrong paths,
//! wrong host keys.
//!
//! Owns their fields and what they may say of a command: a hash, a code, a position;
//! only [`Bypass`] quotes, capped and without secrets, because the trick is the news.
//! Called by `task`, `mcp` and `startup` with what `config`, `policy` and `ssh` noticed.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::audit::record::{Level, Record, display};
use crate::audit::redact::Patterns;
use crate::audit::timestamp::Ts;
use crate::model::names::{CommandHash, Field, HostAlias, InputError};
use crate::model::security_event::{EventValue, SecurityEvent};
use crate::policy::decision::denial::{self, Trail};

/// Most bytes of a command that a record quotes.
pub(crate) const COMMAND_QUOTE_MAX: usize = 1_024;
/// Most bytes of any other free text of a record.
pub(crate) const TEXT_MAX: usize = 4_096;

const MSG: &str = "security_event";
const KIND: &str = "security_audit";

/// A `security_event`: something `config` or `ssh` noticed, with its moment. Keys of hosts
/// appear as fingerprints in OpenSSH's form.
#[derive(Debug, Clone)]
pub struct Noticed {
    ts: Ts,
    event: SecurityEvent,
}

impl Noticed {
    pub(crate) fn each_text(&mut self, clean: impl Fn(&mut String)) {
        let event = &mut self.event;
        event.attempted_path.iter_mut().for_each(&clean);
        event.resolved_path.iter_mut().for_each(&clean);
        for (_, value) in &mut event.extra {
            if let EventValue::Text(text) = value {
                clean(text);
            }
        }
    }
}

impl Serialize for Noticed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = &self.event;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("level", "error")?;
        map.serialize_entry("kind", KIND)?;
        map.serialize_entry("event_type", event.event_type)?;
        map.serialize_entry("ts", &self.ts)?;
        map.serialize_entry("timestamp", &self.ts.iso())?;
        details(event, &mut map)?;
        map.end()
    }
}

fn details<M: SerializeMap>(event: &SecurityEvent, map: &mut M) -> Result<(), M::Error> {
    if let Some(path) = &event.attempted_path {
        map.serialize_entry("attempted_path", path)?;
    }
    if let Some(path) = &event.resolved_path {
        map.serialize_entry("resolved_path", path)?;
    }
    if let Some(reason) = event.reason {
        map.serialize_entry("reason", reason)?;
    }
    for (key, value) in &event.extra {
        match value {
            EventValue::Text(text) => map.serialize_entry(key, text)?,
            EventValue::Number(number) => map.serialize_entry(key, number)?,
        }
    }
    Ok(())
}

/// A character in an argument that has no business there.
#[derive(Debug, Clone, Serialize)]
pub struct Injection {
    level: Level,
    msg: &'static str,
    ts: Ts,
    field: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    char_code: Option<u32>,
    kind: &'static str,
    event_type: &'static str,
    timestamp: String,
}

/// The fields of the event `command_bypass_attempt`.
#[derive(Debug, Clone, Serialize)]
pub struct Bypass {
    level: Level,
    kind: &'static str,
    event_type: &'static str,
    ts: Ts,
    timestamp: String,
    #[serde(serialize_with = "display")]
    alias: HostAlias,
    original_command: String,
    normalized_command: String,
    blocked_pattern: String,
}

impl Bypass {
    pub(crate) fn redact(&mut self, secrets: &Patterns) {
        for text in [
            &mut self.original_command,
            &mut self.normalized_command,
            &mut self.blocked_pattern,
        ] {
            bound(text, secrets, COMMAND_QUOTE_MAX);
        }
    }
}

/// The fields of `command_chain_parsed`. The documented names hold hashes: what was
/// asked must not be readable from a log.
#[derive(Debug, Clone, Serialize)]
pub struct Chain {
    level: Level,
    msg: &'static str,
    ts: Ts,
    #[serde(serialize_with = "display")]
    alias: HostAlias,
    #[serde(serialize_with = "display")]
    original_command: CommandHash,
    parsed_commands: Vec<String>,
    command_count: usize,
}

/// The fields of `command_chain_denied`, with hashes for commands as in [`Chain`].
#[derive(Debug, Clone, Serialize)]
pub struct ChainDenied {
    level: Level,
    msg: &'static str,
    ts: Ts,
    #[serde(serialize_with = "display")]
    alias: HostAlias,
    #[serde(serialize_with = "display")]
    original_command: CommandHash,
    #[serde(serialize_with = "display")]
    denied_command: CommandHash,
    parsed_commands: Vec<String>,
    /// Counted from 0.
    denied_index: usize,
    /// The denial's code, such as `no-rule`.
    code: &'static str,
    /// The byte of the original command at which the denied one begins.
    position: usize,
}

impl Record {
    /// The record of an event that `config` or `ssh` noticed.
    pub fn security(event: SecurityEvent) -> Self {
        let ts = Ts::now();
        Self::SecurityEvent(Noticed { ts, event })
    }

    /// The record of a rejected argument, where its rejection is an event at all.
    pub fn injection(error: &InputError) -> Option<Self> {
        let ts = Ts::now();
        let injection = |field: Field, char_code, event_type| Injection {
            level: Level::Error,
            msg: MSG,
            ts,
            field: field.name(),
            char_code,
            kind: KIND,
            event_type,
            timestamp: ts.iso(),
        };
        match error {
            InputError::NullByte(field) => Some(Self::NullByteInjectionAttempt(injection(
                *field,
                None,
                "null_byte_injection_attempt",
            ))),
            InputError::ControlCharacter { field, code } => {
                Some(Self::ControlCharacterInjectionAttempt(injection(
                    *field,
                    Some(*code),
                    "control_character_injection_attempt",
                )))
            }
            _ => None,
        }
    }

    /// Everything a judgement leaves for the security log: whether a command was
    /// disguised, and what became of a chain.
    pub fn trail(alias: &HostAlias, hash: CommandHash, trail: &Trail) -> Vec<Self> {
        let bypass = trail
            .bypass
            .as_ref()
            .map(|bypass| Self::bypass(alias, bypass));
        let chain = trail.chain.as_ref().map(|chain| {
            let parts = chain.parts.iter().map(|part| part.hash.to_string());
            let (ts, alias, parts) = (Ts::now(), alias.clone(), parts.collect::<Vec<_>>());
            match chain.denied.and_then(|at| Some((at, chain.parts.get(at)?))) {
                Some((denied_index, part)) => Self::CommandChainDenied(ChainDenied {
                    level: Level::Warn,
                    msg: MSG,
                    ts,
                    alias,
                    original_command: hash,
                    denied_command: part.hash,
                    parsed_commands: parts,
                    denied_index,
                    code: part.code.as_str(),
                    position: part.position,
                }),
                None => Self::CommandChainParsed(Chain {
                    level: Level::Info,
                    // What was allowed is no security event.
                    msg: "command_chain",
                    ts,
                    alias,
                    original_command: hash,
                    command_count: parts.len(),
                    parsed_commands: parts,
                }),
            }
        });
        bypass.into_iter().chain(chain).collect()
    }

    /// Texts are redacted and cut to [`COMMAND_QUOTE_MAX`] when the record is written.
    fn bypass(alias: &HostAlias, bypass: &denial::Bypass) -> Self {
        let ts = Ts::now();
        Self::CommandBypassAttempt(Bypass {
            level: Level::Error,
            kind: KIND,
            event_type: "command_bypass_attempt",
            ts,
            timestamp: ts.iso(),
            alias: alias.clone(),
            original_command: bypass.original_command.clone(),
            normalized_command: bypass.normalized_command.clone(),
            blocked_pattern: bypass.blocked_pattern.clone(),
        })
    }
}

/// Redacts, then cuts to `max` bytes at a character's edge and says that it did. In this
/// order, so that the cut never leaves the first half of a secret.
pub(crate) fn bound(text: &mut String, secrets: &Patterns, max: usize) {
    if let Some(redacted) = secrets.redact(text) {
        *text = redacted;
    }
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
    }
}
