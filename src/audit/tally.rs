//! Records counted as they are written, for whoever watches many servers.
//!
//! Owns the counters and their names as Prometheus reads them. Counts what goes on record, and
//! nothing else, so that the figures and the record agree. Read by `startup`, which writes
//! them to `--metrics-file`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::record::{ApprovalOutcome, End, Record};

/// Upper bounds of the durations told apart, in milliseconds.
const BOUNDS: [u64; 8] = [10, 50, 250, 1_000, 5_000, 30_000, 120_000, 600_000];

#[derive(Default)]
pub(crate) struct Tally {
    allowed: AtomicU64,
    denied: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    timeouts: AtomicU64,
    cancelled: AtomicU64,
    interrupted: AtomicU64,
    security_events: AtomicU64,
    approved: AtomicU64,
    not_approved: AtomicU64,
    looked: AtomicU64,
    milliseconds: AtomicU64,
    ended: AtomicU64,
    within: [AtomicU64; BOUNDS.len()],
}

fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub(crate) fn count(&self, record: &Record) {
        match record {
            Record::PolicyDecision(decision) => one(match decision.allowed {
                true => &self.allowed,
                false => &self.denied,
            }),
            Record::Audit(end) => self.end(end),
            Record::SecurityEvent(_)
            | Record::NullByteInjectionAttempt(_)
            | Record::ControlCharacterInjectionAttempt(_)
            | Record::CommandBypassAttempt(_) => one(&self.security_events),
            Record::Approval(approval) => one(match approval.outcome {
                ApprovalOutcome::Accepted => &self.approved,
                _ => &self.not_approved,
            }),
            Record::Call(_) => one(&self.looked),
            _ => {}
        }
    }

    fn end(&self, record: &End) {
        let end = &record.end;
        one(match (record.interrupted, end.cancelled, end.timeout) {
            (true, ..) => &self.interrupted,
            (_, true, _) => &self.cancelled,
            (.., true) => &self.timeouts,
            _ if end.exit_code == 0 => &self.succeeded,
            _ => &self.failed,
        });
        one(&self.ended);
        self.milliseconds
            .fetch_add(end.duration_ms, Ordering::Relaxed);
        for (bound, counter) in BOUNDS.iter().zip(&self.within) {
            if end.duration_ms <= *bound {
                one(counter);
            }
        }
    }

    /// All of it, as a scrape gets it.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut family =
            |name: &str, kind: &str, help: &str, label: &str, values: &[(&str, &AtomicU64)]| {
                let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
                for (value, counter) in values {
                    let _ = match label {
                        "" => writeln!(out, "{name} {}", read(counter)),
                        label => writeln!(out, "{name}{{{label}=\"{value}\"}} {}", read(counter)),
                    };
                }
            };
        family(
            "mcp_ssh_decisions_total",
            "counter",
            "Decisions of the policy.",
            "verdict",
            &[("allowed", &self.allowed), ("denied", &self.denied)],
        );
        family(
            "mcp_ssh_runs_total",
            "counter",
            "Commands that ended, by how.",
            "outcome",
            &[
                ("succeeded", &self.succeeded),
                ("failed", &self.failed),
                ("timeout", &self.timeouts),
                ("cancelled", &self.cancelled),
                ("interrupted", &self.interrupted),
            ],
        );
        family(
            "mcp_ssh_approvals_total",
            "counter",
            "Questions to a person, by how they ended.",
            "outcome",
            &[("accepted", &self.approved), ("other", &self.not_approved)],
        );
        family(
            "mcp_ssh_security_events_total",
            "counter",
            "Security events on record.",
            "",
            &[("", &self.security_events)],
        );
        family(
            "mcp_ssh_calls_total",
            "counter",
            "Calls that only looked, or were refused before a judgement.",
            "",
            &[("", &self.looked)],
        );
        let name = "mcp_ssh_run_duration_seconds";
        let _ = writeln!(
            out,
            "# HELP {name} How long commands took.\n# TYPE {name} histogram"
        );
        for (bound, counter) in BOUNDS.iter().zip(&self.within) {
            let le = seconds(*bound);
            let _ = writeln!(out, "{name}_bucket{{le=\"{le}\"}} {}", read(counter));
        }
        let (ended, sum) = (read(&self.ended), seconds(read(&self.milliseconds)));
        let _ = writeln!(
            out,
            "{name}_bucket{{le=\"+Inf\"}} {ended}\n{name}_sum {sum}\n{name}_count {ended}"
        );
        out
    }
}

/// Milliseconds as seconds, without a binary fraction on the way.
fn seconds(milliseconds: u64) -> String {
    match milliseconds % 1_000 {
        0 => format!("{}", milliseconds / 1_000),
        rest => format!("{}.{rest:03}", milliseconds / 1_000)
            .trim_end_matches('0')
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_people_write_them() {
        assert_eq!(seconds(10), "0.01");
        assert_eq!(seconds(30_000), "30");
        assert_eq!(seconds(1_250), "1.25");
    }
}
