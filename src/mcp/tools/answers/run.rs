//! The answer to a run on one host that came to its end.
//!
//! Owns the members and the words that say how it ended, and how what is left out of an
//! output is read. What did not reach the host is an error and holds no output. Called when
//! a run ends, and by whoever asks for the result later.

use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::refusal::{denied, network_denied, unreached};
use crate::mcp::wire::json::Object;
use crate::model::names::TaskId;
use crate::ssh::Terminated;
use crate::task::{Excerpt, Facts, Outcome, Overruled, Shape, State, share};

/// What the members that a host wrote are called.
pub(crate) const UNTRUSTED: &[&str] = &["output", "stderr"];

/// As much of a run's output as an answer shows.
pub(crate) struct Shown<'a> {
    pub(crate) stdout: &'a Excerpt,
    pub(crate) stderr: &'a Excerpt,
}

impl Shown<'_> {
    fn is_whole(&self) -> bool {
        self.stdout.is_whole() && self.stderr.is_whole()
    }
}

/// The answer to a run. Exit code and flags say its state.
pub(crate) fn answer(outcome: &Outcome, shape: Shape) -> Answer {
    let alias = outcome.facts().alias.as_str();
    answer_from(Object::new().field("alias", alias), outcome, shape)
}

/// The answer to who asks for it by its id: with its state, and the limit that it ran under.
pub(crate) fn answer_by_id(outcome: &Outcome, shape: Shape) -> Answer {
    let facts = outcome.facts();
    let head = Object::new()
        .field("status", facts.state.as_str())
        .field("alias", facts.alias.as_str())
        .field("max_seconds", &facts.max_seconds);
    answer_from(head, outcome, shape)
}

fn answer_from(head: Object, outcome: &Outcome, shape: Shape) -> Answer {
    let facts = outcome.facts();
    if let Some(refusal) = not_run(facts) {
        return refusal;
    }
    let [mut stdout, mut stderr] = outcome.streams().map(|text| Excerpt::of(&text, shape));
    share([&mut stdout, &mut stderr].into_iter(), shape.chars);
    let shown = Shown {
        stdout: &stdout,
        stderr: &stderr,
    };
    let whole = shown.is_whole() && facts.truncated.is_none();
    let members = end_members(head, facts, &shown)
        // It costs a model more than all else here, and is good for reading the rest only.
        .maybe("task_id", (!whole).then_some(facts.id.as_str()))
        .maybe("target_ip", facts.target_ip.map(|ip| ip.to_string()))
        .field("hash", &facts.hash.to_string());
    let text = format!("{}: {}", facts.alias, in_words(facts, &shown));
    Answer::readable(text, members)
        .untrusted(UNTRUSTED)
        .canonical(facts.canonical)
        .task(&facts.id)
        .cancelled(facts.state == State::Cancelled)
}

/// The answer to a run of which nothing was sent.
pub(crate) fn not_run(facts: &Facts) -> Option<Answer> {
    if let Some(detail) = facts.network_denial() {
        let hostname = &facts.hostname;
        return Some(network_denied(&facts.alias, facts.hash, hostname, detail));
    }
    if let Some(Overruled { command, denial }) = facts.overruled.as_deref() {
        let command = command.as_str();
        return Some(denied(&facts.alias, facts.hash, command, denial));
    }
    facts.unreached().map(|why| unreached(facts, why))
}

/// The members that say how a run ended, in every answer that does.
pub(crate) fn end_members(head: Object, facts: &Facts, shown: &Shown<'_>) -> Object {
    let notes = notes(facts);
    let left_out = shown.stdout.bytes_left_out + shown.stderr.bytes_left_out;
    let omitted = facts
        .truncated
        .map_or(0, |cut| cut.bytes_left_out)
        .saturating_add(left_out as u64);
    let (stdout, stderr) = texts(&facts.id, shown);
    head.field("exit_code", &facts.exit_code)
        .maybe("exit_signal", facts.exit_signal.as_ref())
        .maybe("timeout", facts.timeout.then_some(true))
        .maybe("cancelled", facts.cancelled.then_some(true))
        .field("duration_ms", &facts.duration_ms)
        .when(omitted > 0, |end| {
            end.field("truncated", &true)
                .field("omitted_bytes", &omitted)
        })
        .maybe("terminated", facts.terminated.map(Terminated::as_str))
        .when(facts.outcome_unknown, |end| end.field("outcome", "unknown"))
        .maybe("left_running", facts.left_running.then_some(true))
        .when(!notes.is_empty(), |end| end.field("notes", &notes))
        .when(!shown.stdout.is_empty(), |end| end.field("output", &stdout))
        .when(!shown.stderr.is_empty(), |end| end.field("stderr", &stderr))
}

/// How it ended, then what it printed.
fn in_words(facts: &Facts, shown: &Shown<'_>) -> String {
    let mut lines = vec![headline(facts)];
    lines.extend(notes(facts).into_iter().map(|note| format!("note: {note}")));
    let (stdout, stderr) = texts(&facts.id, shown);
    if shown.stdout.is_empty() && shown.stderr.is_empty() {
        lines.push("(no output)".to_owned());
    }
    if !shown.stdout.is_empty() {
        lines.push(stdout);
    }
    if !shown.stderr.is_empty() {
        lines.push("--- stderr:".to_owned());
        lines.push(stderr);
    }
    lines.join("\n")
}

/// The end in a few words, with the time it took.
fn headline(facts: &Facts) -> String {
    format!("{}, {} ms", ending(facts), facts.duration_ms)
}

/// The end in a few words.
pub(crate) fn ending(facts: &Facts) -> String {
    match (&facts.exit_signal, facts.state) {
        (_, State::Cancelled) => "cancelled".to_owned(),
        (_, State::Timeout) => "time limit reached".to_owned(),
        (Some(signal), _) => format!("ended by signal {signal}"),
        (None, _) if facts.exit_code < 0 => "no exit status".to_owned(),
        (None, _) => format!("exit {}", facts.exit_code),
    }
}

pub(crate) fn notes(facts: &Facts) -> Vec<String> {
    facts.notes()
}

/// Both streams, with what is left out of them said in its place.
pub(crate) fn texts(id: &TaskId, shown: &Shown<'_>) -> (String, String) {
    // Lines are counted in the order of arrival where a stream is alone, else in its own.
    let both = !shown.stdout.is_empty() && !shown.stderr.is_empty();
    let gap = |stream: &str, excerpt: &Excerpt| {
        let stream = match both {
            true => format!(", stream \"{stream}\""),
            false => String::new(),
        };
        format!(
            "[… {} lines, {} bytes left out; to read them: ssh_get_task_output, task_id \"{id}\", from_line {}{stream}]",
            excerpt.lines_left_out,
            excerpt.bytes_left_out,
            excerpt.first_left_out(),
        )
    };
    (
        shown.stdout.text(|excerpt| gap("stdout", excerpt)),
        shown.stderr.text(|excerpt| gap("stderr", excerpt)),
    )
}
