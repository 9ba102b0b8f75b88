//! A record in the form that its reader wants: a line for people, JSON, CSV.
//!
//! Owns the words, the columns and the colours. Whatever a file holds, nothing but printable
//! text goes out, and no cell that a spreadsheet would take for a formula. Called by `show`.

use serde_json::{Map, Value};

use crate::cli::commands::audit::records::{Record, is_a_yes};
use crate::model::text::visible;

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Lines { colour: bool },
    Json,
    Csv,
}

/// The columns; what else a record has is in the last one, as JSON.
const COLUMNS: &[&str] = &[
    "timestamp",
    "ts",
    "type",
    "event_type",
    "alias",
    "task_id",
    "hash",
    "allowed",
    "code",
    "rule",
    "reason",
    "outcome",
    "verdict",
    "exit_code",
    "duration_ms",
    "bytes_out",
    "bytes_err",
    "cancelled",
    "timeout",
    "interrupted",
    "target_ip",
    "client",
    "client_version",
    "protocol",
    "request_id",
    "traceparent",
    "os_user",
    "command",
    "boot",
    "seq",
];

/// Members that say nothing to a reader of lines, or that the line says otherwise.
const TOLD: &[&str] = &[
    "type",
    "ts",
    "timestamp",
    "alias",
    "allowed",
    "event_type",
    "level",
    "msg",
    "kind",
    "boot",
    "prev",
    "sha256",
    "client",
    "client_version",
    "protocol",
    "request_id",
    "os_user",
];

impl Form {
    /// What comes before the records.
    pub(crate) fn head(self) -> Option<String> {
        (self == Self::Csv).then(|| {
            let mut columns = COLUMNS.to_vec();
            columns.push("more");
            columns.join(",")
        })
    }

    pub(crate) fn write(self, record: &Record) -> String {
        match self {
            Self::Lines { colour } => {
                let line = line(record);
                let line = match record.intact {
                    true => line,
                    false => format!("!! changed: {line}"),
                };
                match tint(record).filter(|_| colour) {
                    Some(code) => format!("\x1b[{code}m{line}\x1b[0m"),
                    None => line,
                }
            }
            Self::Json => {
                let mut members = record.members.clone();
                if !record.intact {
                    members.insert("changed".to_owned(), Value::Bool(true));
                }
                serde_json::to_string(&members).unwrap_or_default()
            }
            Self::Csv => csv(record),
        }
    }
}

/// Red for what was refused or went wrong, yellow for what was ended, green for what ran.
fn tint(record: &Record) -> Option<&'static str> {
    let failed = record
        .members
        .get("exit_code")
        .is_some_and(|code| *code != 0);
    match record.text("type") {
        _ if !record.intact => Some("1;31"),
        "policy_decision" if !record.is("allowed") => Some("31"),
        "security_event" => Some("1;31"),
        "audit" if record.is("interrupted") || record.is("cancelled") || record.is("timeout") => {
            Some("33")
        }
        "audit" if failed => Some("31"),
        "audit" => Some("32"),
        "approval" if !is_a_yes(record.text("outcome")) => Some("33"),
        "call" | "audit_start" => Some("2"),
        _ => None,
    }
}

/// One line: when, what, whom, and the rest as `key=value`.
fn line(record: &Record) -> String {
    let what = match record.text("type") {
        "policy_decision" if record.is("allowed") => "allowed",
        "policy_decision" => "DENIED",
        "audit_start" => "started",
        "audit" if record.is("interrupted") => "INTERRUPTED",
        "audit" if record.is("cancelled") => "cancelled",
        "audit" if record.is("timeout") => "timed out",
        "audit" => "ended",
        "security_event" => record.text("event_type"),
        "call" => "looked",
        other => other,
    };
    let (when, alias) = (record.moment().iso(), record.text("alias"));
    let mut line = format!("{when}  {what:<12} {alias:<16}");
    let who = [record.text("os_user"), record.text("client")];
    let who = who.map(|name| name.replace(char::is_whitespace, "_"));
    match &who {
        [user, client] if user.is_empty() && client.is_empty() => {}
        [user, client] => line.push_str(&format!(" by={user}/{client}")),
    }
    for (key, value) in &record.members {
        let plain = matches!(value, Value::Bool(false)) || value.as_str() == Some("");
        if !TOLD.contains(&key.as_str()) && !plain {
            line.push_str(&format!(" {key}={}", bare(value)));
        }
    }
    visible(&line)
}

fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn csv(record: &Record) -> String {
    let moment = record.moment().iso();
    let mut cells: Vec<String> = COLUMNS
        .iter()
        .map(|column| match record.members.get(*column) {
            None if *column == "timestamp" => cell(&moment),
            None => String::new(),
            Some(value @ Value::Number(_)) => value.to_string(),
            Some(value) => cell(&bare(value)),
        })
        .collect();
    let more: Map<String, Value> = record
        .members
        .iter()
        .filter(|(key, _)| {
            !COLUMNS.contains(&key.as_str()) && !["prev", "sha256"].contains(&key.as_str())
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let more = match more.is_empty() {
        true => String::new(),
        false => cell(&serde_json::to_string(&more).unwrap_or_default()),
    };
    cells.push(more);
    cells.join(",")
}

/// RFC 4180, and a quote before what a spreadsheet would compute.
fn cell(text: &str) -> String {
    let text = visible(text);
    let text = match text.starts_with(['=', '+', '-', '@']) {
        true => format!("'{text}"),
        false => text,
    };
    match text.contains(['"', ',', '\n', '\r', ' ']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}
