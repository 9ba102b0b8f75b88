//! The answer to a run on one host that came to its end.
//!
//! Owns the members that say how it ended, and how much of the output one answer shows.
//! Called when a run ends, and by whoever asks for the result later.

use crate::mcp::call::answer::{Answer, OUTPUT_BUDGET, fit};
use crate::mcp::tools::answers::refusal::{denied, network_denied};
use crate::mcp::wire::json::Object;
use crate::ssh::Terminated;
use crate::task::{Facts, Outcome, Overruled, State};

/// What the members that a host wrote are called.
pub(crate) const UNTRUSTED: &[&str] = &["output"];

/// The answer to a run that came to its end, however that looks.
pub(crate) fn answer(outcome: &Outcome) -> Answer {
    let facts = outcome.facts();
    if let Some(detail) = facts.network_denial() {
        return network_denied(&facts.alias, facts.hash, &facts.hostname, detail);
    }
    if let Some(Overruled { command, denial }) = facts.overruled.as_deref() {
        return denied(&facts.alias, facts.hash, command.as_str(), denial);
    }
    let (shown, left_out) = shown(outcome);
    let head = Object::new()
        .field("task_id", facts.id.as_str())
        .field("alias", facts.alias.as_str())
        .field("hash", &facts.hash.to_string());
    Answer::of(result_fields(head, facts, &shown, left_out))
        .untrusted(UNTRUSTED)
        .cancelled(facts.state == State::Cancelled)
}

/// As much of the output as an answer holds, and the bytes left out.
pub(crate) fn shown(outcome: &Outcome) -> (String, usize) {
    // Every byte costs at least two.
    let (mut output, beyond) = outcome.output(OUTPUT_BUDGET / 2);
    let (kept, left_out) = fit(&output, OUTPUT_BUDGET);
    let kept = kept.len();
    output.truncate(kept);
    (output, left_out + beyond)
}

/// The members that say how a run ended, in every answer that does.
pub(crate) fn result_fields(head: Object, facts: &Facts, output: &str, left_out: usize) -> Object {
    let mut notes = facts.notes();
    if left_out > 0 {
        notes.push(format!(
            "Output shown in part: its last {left_out} bytes did not fit into this answer. Read all of it with \
             ssh_get_task_output, task_id '{}', offset 0.",
            facts.id
        ));
    }
    let omitted = facts.truncated.map_or(0, |cut| cut.bytes_left_out);
    let omitted = omitted.saturating_add(left_out as u64);
    let target_ip = facts.target_ip.map(|address| address.to_string());
    head.field("exit_code", &facts.exit_code)
        .maybe("exit_signal", facts.exit_signal.as_ref())
        .field("duration_ms", &facts.duration_ms)
        .field("cancelled", &facts.cancelled)
        .field("timeout", &facts.timeout)
        .field("target_ip", &target_ip.unwrap_or_default())
        .field("output", output)
        .field("truncated", &(facts.truncated.is_some() || left_out > 0))
        .when(omitted > 0, |result| {
            result.field("omitted_bytes", &omitted)
        })
        .maybe("terminated", facts.terminated.map(Terminated::as_str))
        .when(facts.outcome_unknown, |result| {
            result.field("outcome", "unknown")
        })
        .when(!notes.is_empty(), |result| result.field("notes", &notes))
}
