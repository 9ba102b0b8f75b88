//! Taking in a changed configuration.
//!
//! Owns `ssh_reload_config`: whole or not at all. The record of it, and what the client is
//! told of the change, are the store's observers', as for a change that nobody asked for.
//! The assistant learns where the problems are, not what the files say. Called by [`crate::mcp::tools::serve`] on a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{LoadError, Reloaded, Warning};
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::tools::input::arguments::Args;
use crate::mcp::wire::json::Object;

/// Most problems that an answer lists, and most warnings that it lists one by one.
const MOST: usize = 100;

/// `ssh_reload_config`.
pub(crate) fn reload(call: &Arc<Call>) {
    if let Err(answer) = Args::of(call) {
        return call.reply.end(answer);
    }
    let answer = match call.session.server.store.reload() {
        Ok(reloaded) => taken_in(call, &reloaded),
        Err(error) => refused(call, &error),
    };
    call.reply.end(answer);
}

fn taken_in(call: &Call, reloaded: &Reloaded) -> Answer {
    let snapshot = &reloaded.snapshot;
    call.reply
        .tell(&Event::new(Level::Info, "ssh_reload_config", |fields| {
            fields.field("status", "reloaded")
        }));
    let warnings = told(snapshot.warnings());
    Answer::of(
        Object::new()
            .field("status", "reloaded")
            .when(!warnings.is_empty(), |answer| {
                answer.field("warnings", &warnings)
            }),
    )
}

/// Every warning with its rule: one by one, or, where they are too many to be read, those of
/// one kind together.
fn told(warnings: &[Warning]) -> Vec<String> {
    let mut each: Vec<String> = warnings.iter().map(Warning::for_assistant).collect();
    // A line can hold many patterns.
    each.dedup();
    match each.len() > MOST {
        true => by_kind(warnings),
        false => each,
    }
}

/// `policy.yml: rules[0-37,40] may not do what its author thinks`.
fn by_kind(warnings: &[Warning]) -> Vec<String> {
    let mut entries: BTreeMap<(&str, &str, &str), BTreeSet<usize>> = BTreeMap::new();
    let mut others: BTreeSet<String> = BTreeSet::new();
    for warning in warnings {
        match warning.entry() {
            Some((list, number)) => {
                let kind = (warning.place.file, list, warning.kind.for_assistant());
                entries.entry(kind).or_default().insert(number);
            }
            // Of the files, directories and keys that there are once.
            None => {
                others.insert(warning.for_assistant());
            }
        }
    }
    let entries = entries
        .into_iter()
        .map(|((file, list, what), numbers)| format!("{file}: {list}[{}] {what}", spans(&numbers)));
    entries.chain(others).collect()
}

/// Numbers that follow each other as the first and the last of them.
fn spans(numbers: &BTreeSet<usize>) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for number in numbers.iter().copied() {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    let texts: Vec<String> = spans
        .into_iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    texts.join(",")
}

fn refused(call: &Call, error: &LoadError) -> Answer {
    let text = error.for_assistant();
    call.reply.tell(&Event::new(
        Level::Debug,
        "ssh_reload_config_error",
        |fields| fields.field("error", &text),
    ));
    let problems: Vec<String> = error
        .problems
        .iter()
        .take(MOST)
        .map(|problem| problem.for_assistant())
        .collect();
    let text = format!("Nothing was changed, the configuration in force stays. {text}");
    Answer::refusal(
        Object::new()
            .field("status", "error")
            .field("error", &text)
            .field("problems", &problems),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_a_span() {
        let of = |numbers: &[usize]| spans(&numbers.iter().copied().collect());
        assert_eq!(of(&[]), "");
        assert_eq!(of(&[7]), "7");
        assert_eq!(of(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
    }
}
