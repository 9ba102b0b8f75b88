//! How many hosts of a run did what, as words and as members.
//!
//! Owns the names of the counts; zeros are left out. Called by the answer of a run on many
//! hosts.

use crate::mcp::wire::json::{Json, Object};
use crate::task::TagOutcome;

/// For the first line of the text: `40 hosts, 39 succeeded, 1 failed`.
pub(crate) fn counts(outcome: &TagOutcome) -> String {
    let summary = &outcome.summary;
    let counts: Vec<String> = counted(outcome)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {}", name.replace('_', " ")))
        .collect();
    let hosts = match summary.total {
        1 => "1 host".to_owned(),
        total => format!("{total} hosts"),
    };
    match counts.is_empty() {
        true => hosts,
        false => format!("{hosts}, {}", counts.join(", ")),
    }
}

/// What there is of each, without the zeros.
pub(crate) fn summary(outcome: &TagOutcome) -> Json {
    counted(outcome)
        .into_iter()
        .filter(|(name, count)| *count > 0 || *name == "succeeded")
        .fold(
            Object::new().field("total", &outcome.summary.total),
            |object, (name, count)| object.field(name, &count),
        )
        .end()
}

fn counted(outcome: &TagOutcome) -> [(&'static str, usize); 6] {
    let summary = &outcome.summary;
    [
        ("succeeded", summary.succeeded),
        ("failed", summary.failed),
        ("denied", summary.denied),
        ("cancelled", summary.cancelled),
        ("timed_out", summary.timed_out),
        ("not_run", summary.not_run),
    ]
}
