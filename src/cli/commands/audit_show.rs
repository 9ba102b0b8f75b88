//! `audit show`: the records of a file, one line each, for people.
//!
//! Owns the words and the filters. Proves nothing beyond each record's own seal (that is
//! `verify`), and marks what does not match it. Whatever a file holds, nothing but
//! printable text goes out. Called by `startup` for the subcommand.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use serde_json::{Map, Value};

use crate::audit::chain::line_reader::{self, Line};
use crate::audit::chain::seal::Sealed;
use crate::audit::timestamp::Ts;
use crate::cli::Outcome;
use crate::cli::commands::output::{self, say};
use crate::model::text::visible;

/// Which records to print.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only those of this host.
    pub alias: Option<String>,
    /// Only those from this moment on.
    pub since: Option<Since>,
    /// Only refusals: by the policy, by a person, of a disguised command.
    pub denied: bool,
}

/// A moment as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since(Ts);

impl Since {
    /// What [`Since::parse`] accepts.
    pub const FORMS: &'static str = "2025-11-02, 2025-11-02T14:36 or 2025-11-02T14:36:07 (UTC), Unix seconds, \
         or an age such as 90s, 30m, 2h, 7d";

    /// Reads one of [`Since::FORMS`]; an age counts back from `now`.
    pub fn parse(text: &str, now: Ts) -> Option<Self> {
        let text = text.trim();
        if let Some(ts) = Ts::parse_iso(text) {
            return Some(Self(ts));
        }
        let seconds = |digits: &str, unit: u64| digits.parse::<u64>().ok()?.checked_mul(unit);
        let unit = match text.chars().last()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => {
                let micros = seconds(text, 1)?.checked_mul(1_000_000)?;
                return Some(Self(Ts::from_micros(micros)));
            }
        };
        let age = seconds(text.get(..text.len() - 1)?, unit)?.checked_mul(1_000_000)?;
        Some(Self(Ts::from_micros(now.micros().saturating_sub(age))))
    }
}

/// Prints the records of a file, after reading what `--since` says.
pub(crate) fn run(
    file: &Path,
    alias: Option<String>,
    since: Option<&str>,
    denied: bool,
) -> Outcome {
    let since = match since
        .map(|text| Since::parse(text, Ts::now()).ok_or(text))
        .transpose()
    {
        Ok(since) => since,
        Err(text) => {
            say(&format!("--since: '{text}' is none of: {}", Since::FORMS));
            return Outcome::Usage;
        }
    };
    let filter = Filter {
        alias,
        since,
        denied,
    };
    output::print(|out| show(file, &filter, out))
}

/// Prints the records that the filter lets through. Says whether every line was a record
/// whose seal matches.
///
/// # Errors
/// The file can't be read or the report can't be written.
pub fn show(path: &Path, filter: &Filter, out: &mut dyn Write) -> io::Result<bool> {
    let of_the_file =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(of_the_file)?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut length, mut number, mut sound) = (Vec::new(), 0, 0_u64, true);
    loop {
        number += 1;
        let next = line_reader::next(&mut reader, &mut line, &mut length);
        let record = match next.map_err(of_the_file)? {
            Line::End => return Ok(sound),
            Line::Whole => read(&line),
            Line::Torn | Line::TooLong { .. } => None,
        };
        match record {
            None => {
                sound = false;
                writeln!(out, "!! line {number} is not a whole record")?;
            }
            Some((record, true)) if filter.accepts(&record) => {
                writeln!(out, "{}", describe(&record))?;
            }
            Some((_, true)) => {}
            // Shown whatever the filter says: a changed record may have been changed to
            // escape it.
            Some((record, false)) => {
                sound = false;
                writeln!(out, "!! changed: {}", describe(&record))?;
            }
        }
    }
}

fn read(line: &[u8]) -> Option<(Map<String, Value>, bool)> {
    let sealed = Sealed::parse(line)?;
    let intact = sealed.actual == sealed.stated;
    Some((serde_json::from_slice(line).ok()?, intact))
}

impl Filter {
    fn accepts(&self, record: &Map<String, Value>) -> bool {
        let text = |key| record.get(key).and_then(Value::as_str);
        let refusal = match text("type") {
            Some("policy_decision") => record.get("allowed") == Some(&Value::Bool(false)),
            Some("approval") => !matches!(
                text("outcome"),
                Some("accepted" | "accepted_for_a_while" | "standing")
            ),
            Some("command_chain_denied" | "command_bypass_attempt") => true,
            _ => false,
        };
        (!self.denied || refusal)
            && self
                .alias
                .as_deref()
                .is_none_or(|alias| text("alias") == Some(alias))
            && self
                .since
                .is_none_or(|Since(since)| moment(record) >= since)
    }
}

fn moment(record: &Map<String, Value>) -> Ts {
    let written = record.get("ts").map(ToString::to_string);
    written
        .and_then(|ts| Ts::parse_seconds(&ts))
        .unwrap_or(Ts::from_micros(0))
}

/// One line: when, what, whom, and the rest as `key=value`.
fn describe(record: &Map<String, Value>) -> String {
    let text = |key| record.get(key).and_then(Value::as_str).unwrap_or_default();
    let truth = |key| record.get(key) == Some(&Value::Bool(true));
    let what = match text("type") {
        "policy_decision" if truth("allowed") => "allowed",
        "policy_decision" => "DENIED",
        "audit_start" => "started",
        "audit" if truth("interrupted") => "INTERRUPTED",
        "audit" if truth("cancelled") => "cancelled",
        "audit" if truth("timeout") => "timed out",
        "audit" => "ended",
        "security_event" => text("event_type"),
        other => other,
    };
    let (when, alias) = (moment(record).iso(), text("alias"));
    let mut line = format!("{when}  {what:<12} {alias:<16}");
    for (key, value) in record {
        let told = matches!(
            key.as_str(),
            "type"
                | "ts"
                | "timestamp"
                | "alias"
                | "allowed"
                | "event_type"
                | "level"
                | "msg"
                | "kind"
                | "boot"
                | "prev"
                | "sha256"
        );
        let plain = matches!(value, Value::Bool(false)) || value.as_str() == Some("");
        if !told && !plain {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            line.push_str(&format!(" {key}={value}"));
        }
    }
    visible(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now = Ts::from_micros(1_762_094_167_000_000);
        let since = |text| Since::parse(text, now).map(|Since(ts)| ts.micros() / 1_000_000);
        assert_eq!(since("2025-11-02"), Some(1_762_041_600));
        assert_eq!(since("2025-11-02T14:36"), Some(1_762_094_160));
        assert_eq!(since("2025-11-02 14:36:07"), Some(1_762_094_167));
        assert_eq!(since("2025-11-02T14:36:07+0000"), Some(1_762_094_167));
        assert_eq!(since("2025-11-02T14:36:07Z"), Some(1_762_094_167));
        assert_eq!(since("1762094100"), Some(1_762_094_100));
        assert_eq!(since("2h"), Some(1_762_086_967));
        assert_eq!(since("7d"), Some(1_761_489_367));
        for wrong in ["", "h", "soon", "2025-13-01", "2025-02-30", "-5m", "9é"] {
            assert_eq!(since(wrong), None, "{wrong}");
        }
    }
}
