//! What is said of one host of a run that came to its end, in members and in words.
//!
//! Owns the two forms, and that what a host printed in more than one line is indented: nothing
//! of it can pass for the entry of another host. Called by the answer of a run on many hosts.

use crate::mcp::tools::answers::run::{Shown, end_members, ending, notes, texts};
use crate::mcp::wire::json::Object;
use crate::ssh::Terminated;
use crate::task::{Ran, SharedOutput, State, Unmet};

/// The entry, after its head. A short one has no id where nothing of its output is left out.
pub(crate) fn ran_entry(head: Object, ran: &Ran, output: &SharedOutput, short: bool) -> Object {
    let facts = ran.facts.as_ref();
    let unmet = ran.unmet.map(Unmet::words);
    let shown = shown(output);
    let whole = output.stdout.is_whole() && output.stderr.is_whole();
    if short {
        let (stdout, stderr) = texts(&facts.id, &shown);
        let notes = notes(facts);
        return head
            .field("exit_code", &facts.exit_code)
            .maybe("unmet", unmet)
            .maybe("exit_signal", facts.exit_signal.as_ref())
            .maybe("timeout", facts.timeout.then_some(true))
            .maybe("cancelled", facts.cancelled.then_some(true))
            .maybe("terminated", facts.terminated.map(Terminated::as_str))
            .maybe("outcome", facts.outcome_unknown.then_some("unknown"))
            .maybe("left_running", facts.left_running.then_some(true))
            .when(!whole || facts.truncated.is_some(), |entry| {
                entry
                    .field("truncated", &true)
                    .field("task_id", facts.id.as_str())
            })
            .when(!notes.is_empty(), |entry| entry.field("notes", &notes))
            .when(!output.stdout.is_empty(), |entry| {
                entry.field("output", &stdout)
            })
            .when(!output.stderr.is_empty(), |entry| {
                entry.field("stderr", &stderr)
            });
    }
    end_members(head, facts, &shown)
        .maybe("unmet", unmet)
        .field("task_id", facts.id.as_str())
        .maybe("target_ip", facts.target_ip.map(|ip| ip.to_string()))
}

fn shown(output: &SharedOutput) -> Shown<'_> {
    Shown {
        stdout: &output.stdout,
        stderr: &output.stderr,
    }
}

/// What is said of a host beside its output.
pub(crate) fn notes_of(ran: &Ran) -> Vec<String> {
    let unmet = ran.unmet.map(Unmet::words);
    unmet.into_iter().chain(notes(&ran.facts)).collect()
}

pub(crate) fn ran_in_words(names: &str, ran: &Ran, output: &SharedOutput) -> String {
    let facts = ran.facts.as_ref();
    let (stdout, stderr) = texts(&facts.id, &shown(output));
    let notes = notes_of(ran);
    let plain = facts.state == State::Completed && notes.is_empty() && output.stderr.is_empty();
    if plain && !output.stdout.is_empty() && !stdout.contains('\n') {
        return format!("{names}: {stdout}");
    }
    let mut lines = vec![format!("{names}: {}", ending(facts))];
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    let indented = |text: &str| -> Vec<String> {
        let lines = text.split('\n');
        lines.map(|line| format!("  {line}")).collect()
    };
    if output.stdout.is_empty() && output.stderr.is_empty() {
        lines.push("  (no output)".to_owned());
    }
    if !output.stdout.is_empty() {
        lines.extend(indented(&stdout));
    }
    if !output.stderr.is_empty() {
        lines.push(" stderr:".to_owned());
        lines.extend(indented(&stderr));
    }
    lines.join("\n")
}
