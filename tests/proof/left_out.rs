//! What is refused on purpose, shown to do what it is refused for.
//!
//! Each line of the file says what must be seen, and the command: the reader must not call
//! it harmless, and the run must show it.

use mcp_ssh_orchestrator::testing::policy::programs::probe;

use crate::cell::{Job, Worker};
use crate::is_here;
use crate::trace::Deed;

const CASES: &str = include_str!("../data/proof/left_out.txt");

/// How many were shown, and which were not.
pub(crate) fn run(only: &[&str]) -> (usize, Vec<String>) {
    let mut shown = 0;
    let mut failures = Vec::new();
    let lines = CASES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for (number, line) in lines.enumerate() {
        let (wanted, command) = line.split_once(" | ").unwrap();
        let words: Vec<String> = command
            .split(' ')
            .map(|word| word.replace('~', " "))
            .collect();
        if !is_here(&words[0]) || (!only.is_empty() && !only.contains(&words[0].as_str())) {
            continue;
        }
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let look = probe::look(&texts);
        assert!(look.is_some(), "{command}: not described");
        if look.and_then(|look| look.effects).as_deref() == Some("reads") {
            failures.push(format!("{command}: read as harmless"));
            continue;
        }
        // Each has a root of its own: what one changes is not there for the next.
        let seen = Worker::start(1000 + number).ask(&Job {
            words,
            input: "/probe/text".to_owned(),
            seconds: 3,
        });
        let (what, detail) = wanted.split_once(' ').unwrap_or((wanted, ""));
        let done = match what {
            "writes" => seen.deeds.iter().any(|deed| {
                matches!(deed, Deed::Writes(file) | Deed::Changes(file) if file.contains(detail))
            }),
            "starts" => seen
                .deeds
                .iter()
                .any(|deed| matches!(deed, Deed::Starts(file) if file.ends_with(detail))),
            "loads" => seen.deeds.iter().any(|deed| matches!(deed, Deed::Loads(_))),
            "calls" => seen
                .deeds
                .iter()
                .any(|deed| matches!(deed, Deed::Calls(call) if call.starts_with(detail))),
            "shows" => seen.output.contains(detail),
            "stays" => !seen.ended,
            _ => panic!("{line}"),
        };
        if done {
            shown += 1;
        } else {
            failures.push(format!(
                "{command}: not seen: {wanted}; {:?} {:?}",
                seen.deeds, seen.output
            ));
        }
    }
    (shown, failures)
}
