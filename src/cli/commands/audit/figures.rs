//! What a record comes to: commands, denials, failures, counted by host, by rule and by time.
//!
//! Owns the counting, in the memory of the lists that are shown: each has a bound, and what is
//! beyond it goes under `others`. Called by `report`, shown by `html`.

use std::collections::BTreeMap;

use crate::audit::timestamp::Ts;
use crate::cli::commands::audit::records::Record;

/// Rows of each list.
const ROWS: usize = 25;
/// Most hosts, rules and clients that are told apart.
const KEYS: usize = 500;
/// Most commands whose words are kept, and most characters of each.
const COMMANDS: usize = 5_000;
const CHARACTERS: usize = 200;

/// What was counted.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) records: u64,
    /// Lines that are no record, or do not match their seal.
    pub(crate) damaged: u64,
    pub(crate) first: Option<Ts>,
    pub(crate) last: Option<Ts>,
    pub(crate) servers: u64,
    pub(crate) looked: u64,
    pub(crate) total: Counts,
    pub(crate) hosts: BTreeMap<String, Counts>,
    pub(crate) rules: BTreeMap<String, u64>,
    pub(crate) codes: BTreeMap<String, u64>,
    pub(crate) clients: BTreeMap<String, u64>,
    /// Moments of commands that were allowed, and of those that were denied, by the minute.
    pub(crate) minutes: BTreeMap<u64, (u64, u64)>,
    /// Words of commands by their hash, where the record has them (`record_commands`).
    pub(crate) commands: BTreeMap<String, String>,
    pub(crate) denials: Vec<Row>,
    pub(crate) slowest: Vec<Row>,
    pub(crate) failures: Vec<Row>,
    pub(crate) events: Vec<Row>,
    pub(crate) approvals: Vec<Row>,
    pub(crate) event_count: u64,
    pub(crate) approval_count: u64,
}

/// Commands of one host, or of all.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    pub(crate) ended: u64,
    pub(crate) failed: u64,
    pub(crate) timeouts: u64,
    pub(crate) cancelled: u64,
    pub(crate) interrupted: u64,
    pub(crate) milliseconds: u64,
    pub(crate) longest: u64,
}

/// A line of a list.
pub(crate) struct Row {
    pub(crate) at: Ts,
    pub(crate) alias: String,
    pub(crate) what: String,
    /// Of the command, where it is about one.
    pub(crate) hash: String,
    pub(crate) milliseconds: u64,
}

fn number(record: &Record, key: &str) -> u64 {
    let value = record.members.get(key);
    value
        .and_then(serde_json::Value::as_u64)
        .unwrap_or_default()
}

/// Counts under a name, or under that of all others.
fn add(map: &mut BTreeMap<String, u64>, key: &str) {
    let key = match map.len() < KEYS || map.contains_key(key) {
        true => key,
        false => "others",
    };
    *map.entry(key.to_owned()).or_default() += 1;
}

/// Keeps the last rows.
fn push(rows: &mut Vec<Row>, row: Row) {
    if rows.len() == ROWS {
        rows.remove(0);
    }
    rows.push(row);
}

impl Report {
    pub(crate) fn take(&mut self, record: &Record) {
        let at = record.moment();
        self.records += 1;
        self.damaged += u64::from(!record.intact);
        self.first.get_or_insert(at);
        self.last = self.last.max(Some(at));
        match record.text("type") {
            "server_start" => self.servers += 1,
            "call" => self.looked += 1,
            "policy_decision" => self.decision(record, at),
            "audit" => self.end(record, at),
            "security_event" => {
                self.event_count += 1;
                let reason = record.text("reason");
                let path = record.text("attempted_path");
                let what = format!("{} {reason} {path}", record.text("event_type"));
                push(&mut self.events, row(record, at, what.trim().to_owned()));
            }
            "approval" => {
                self.approval_count += 1;
                let (outcome, way) = (record.text("outcome"), record.text("way"));
                let what = format!("{outcome} ({way})");
                push(&mut self.approvals, row(record, at, what));
            }
            _ => {}
        }
    }

    fn decision(&mut self, record: &Record, at: Ts) {
        let allowed = record.is("allowed");
        let minute = self.minutes.entry(at.micros() / 60_000_000).or_default();
        match allowed {
            true => minute.0 += 1,
            false => minute.1 += 1,
        }
        for counts in self.counts(record.text("alias")) {
            match allowed {
                true => counts.allowed += 1,
                false => counts.denied += 1,
            }
        }
        let command = record.text("command");
        if !command.is_empty() && self.commands.len() < COMMANDS {
            let mut words: String = command.chars().take(CHARACTERS).collect();
            if words.len() < command.len() {
                words.push('…');
            }
            self.commands.insert(record.text("hash").to_owned(), words);
        }
        let client = record.text("client");
        if !client.is_empty() {
            add(&mut self.clients, client);
        }
        if allowed {
            let rule = number(record, "rule");
            let rule = match rule {
                0 => "without a rule".to_owned(),
                rule => format!("policy.yml, line {rule}"),
            };
            add(&mut self.rules, &rule);
        } else {
            let code = record.text("code");
            add(&mut self.codes, code);
            push(&mut self.denials, row(record, at, code.to_owned()));
        }
    }

    fn end(&mut self, record: &Record, at: Ts) {
        let milliseconds = number(record, "duration_ms");
        let exit = record.members.get("exit_code");
        let exit = exit.and_then(serde_json::Value::as_i64).unwrap_or(-1);
        let (timeout, cancelled) = (record.is("timeout"), record.is("cancelled"));
        let interrupted = record.is("interrupted");
        for counts in self.counts(record.text("alias")) {
            counts.ended += 1;
            counts.failed += u64::from(exit != 0);
            counts.timeouts += u64::from(timeout);
            counts.cancelled += u64::from(cancelled);
            counts.interrupted += u64::from(interrupted);
            counts.milliseconds += milliseconds;
            counts.longest = counts.longest.max(milliseconds);
        }
        let how = match (timeout, cancelled, interrupted) {
            (true, ..) => "timed out".to_owned(),
            (_, true, _) => "cancelled".to_owned(),
            (.., true) => "interrupted".to_owned(),
            _ => format!("exit {exit}"),
        };
        let one = || Row {
            milliseconds,
            ..row(record, at, how.clone())
        };
        if exit != 0 {
            push(&mut self.failures, one());
        }
        let place = self
            .slowest
            .partition_point(|row| row.milliseconds >= milliseconds);
        if place < ROWS {
            self.slowest.insert(place, one());
            self.slowest.truncate(ROWS);
        }
    }

    /// Those of all hosts, and those of this one.
    fn counts(&mut self, alias: &str) -> [&mut Counts; 2] {
        let alias = match self.hosts.len() < KEYS || self.hosts.contains_key(alias) {
            true => alias,
            false => "others",
        };
        let own = self.hosts.entry(alias.to_owned()).or_default();
        [&mut self.total, own]
    }
}

fn row(record: &Record, at: Ts, what: String) -> Row {
    Row {
        at,
        alias: record.text("alias").to_owned(),
        what,
        hash: record.text("hash").to_owned(),
        milliseconds: 0,
    }
}
