//! Promise: what a description calls harmless is harmless. Nobody believes a table, so it
//! is run.
//!
//! For each described program of this machine, invocations are made up from its description;
//! those that the reader calls `reads` (or follows, network, secrets) run in a throw-away
//! root under strace, and the trace shows no file opened for writing, nothing made, renamed,
//! removed or changed, no program started, no library loaded and nobody reached beyond what
//! the description names. The other way round, invocations that are refused on purpose are
//! shown to do what they are refused for (`tests/data/proof/left_out.txt`).
//!
//! `cargo test --test proof` runs a thousand invocations; `scripts/prove-programs` all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::exit,
    clippy::cast_possible_truncation,
    reason = "a failed step is a failed test, and its report is printed"
)]

mod cell;
mod families;
mod judge;
mod left_out;
mod sample;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mcp_ssh_orchestrator::testing::policy::programs::probe;

use crate::cell::{Job, PATH, Seen, Worker};
use crate::families::Program;
use crate::sample::{Amount, Dice, Maker};

/// How many invocations a short run has.
const SHORT: usize = 1000;

const LITTLE: Amount = Amount {
    values: 1,
    pairs: 4,
    more: 0,
};
const MUCH: Amount = Amount {
    values: 2,
    pairs: 24,
    more: 6,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["inside", place] => cell::inside(place),
        [] | ["short"] => prove(LITTLE, &[], Some(SHORT)),
        ["all"] => prove(MUCH, &[], None),
        ["programs", names @ ..] => prove(MUCH, names, None),
        // A filter for the tests of other binaries.
        _ => println!("proof: give `all`, or `programs NAME...`"),
    }
}

/// Programs that are parts of shells, and the shells.
const BUILTINS: &[&str] = &[
    ":", "cd", "command", "exit", "hash", "jobs", "times", "type", "ulimit", "umask", "wait",
];
const SHELLS: &[&str] = &["bash", "dash", "ksh93", "mksh", "zsh"];

/// Whether this machine has the program of this name.
fn is_here(name: &str) -> bool {
    BUILTINS.contains(&name) || is_file(name)
}

fn is_file(name: &str) -> bool {
    PATH.split(':')
        .any(|folder| Path::new(folder).join(name).exists())
}

struct Case<'p> {
    program: &'p Program,
    words: Vec<String>,
}

fn prove(amount: Amount, only: &[&str], most: Option<usize>) {
    let programs = families::programs(probe::families());
    let chosen: Vec<&Program> = programs
        .iter()
        .filter(|program| match only {
            // Without a login a cloud's program ends before it does anything: a run shows nothing.
            [] => !program.sets.contains(&"clouds"),
            _ => program.names.iter().any(|name| only.contains(name)),
        })
        .collect();
    let (here, missing): (Vec<&Program>, Vec<&Program>) = chosen
        .iter()
        .partition(|program| program.names.iter().any(|name| is_here(name)));
    let mut maker = Maker::new(amount);
    let mut cases = Vec::new();
    for program in &here {
        for name in program.names.iter().filter(|name| is_here(name)) {
            for words in maker.invocations(program, name) {
                if is_harmless(&words) {
                    cases.push(Case { program, words });
                }
            }
        }
    }
    if let Some(most) = most {
        cases = spread(cases, most);
    }
    assert!(
        cases.len() >= here.len(),
        "too few invocations are harmless"
    );
    println!("{} invocations", cases.len());
    let report = run(&programs, &cases);
    let left_out = left_out::run(only);
    print(&programs, &here, &missing, cases.len(), &report, left_out.0);
    for failure in &left_out.1 {
        println!("LEFT OUT FOR NOTHING  {failure}");
    }
    if !report.findings.is_empty() || !left_out.1.is_empty() {
        std::process::exit(1);
    }
}

/// Whether the reader grants it without `writes` or `executes`.
fn is_harmless(words: &[String]) -> bool {
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let look = probe::look(&texts);
    let effects = look.as_ref().and_then(|look| look.effects.as_deref());
    effects.is_some_and(|effects| !effects.contains("writes") && !effects.contains("executes"))
        && look
            .and_then(|look| look.inner)
            .is_none_or(|inner| is_harmless(&words[inner]))
}

/// So many of them, some of every program.
fn spread(cases: Vec<Case<'_>>, most: usize) -> Vec<Case<'_>> {
    let mut dice = Dice::new(7);
    let mut by_program: BTreeMap<&str, Vec<Case<'_>>> = BTreeMap::new();
    for case in cases {
        by_program
            .entry(case.program.names[0])
            .or_default()
            .push(case);
    }
    let mut chosen = Vec::new();
    while chosen.len() < most && !by_program.is_empty() {
        by_program.retain(|_, cases| {
            chosen.push(cases.swap_remove(dice.below(cases.len())));
            !cases.is_empty()
        });
    }
    chosen.truncate(most);
    chosen
}

#[derive(Default)]
struct Report {
    /// What was done, by program and deed: how often, and one example.
    findings: BTreeMap<(String, String), (usize, String)>,
    endless: Vec<String>,
}

fn run(programs: &[Program], cases: &[Case<'_>]) -> Report {
    let next = AtomicUsize::new(0);
    let report = Mutex::new(Report::default());
    // A third of them wait, for what follows or for a daemon: more workers than processors.
    let workers = 4 * thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for number in 0..workers {
            let (next, report) = (&next, &report);
            scope.spawn(move || {
                let mut worker = Worker::start(number);
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    if at > 0 && at.is_multiple_of(SHORT) {
                        println!("{at} done");
                    }
                    let seen = worker.ask(&job(&case.words));
                    note(programs, case, &seen, &mut report.lock().unwrap());
                }
            });
        }
    });
    report.into_inner().unwrap()
}

fn job(words: &[String]) -> Job {
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let effects = probe::look(&texts).and_then(|look| look.effects);
    let has = |effect| {
        effects
            .as_ref()
            .is_some_and(|effects| effects.contains(effect))
    };
    // What waits for a network that is not there has done by then what it does.
    let seconds = match (has("follows"), has("network")) {
        (true, _) => 1,
        (_, true) => 4,
        _ => 6,
    };
    let mut run = words.to_vec();
    if !is_file(&words[0]) {
        let shells: Vec<&&str> = SHELLS.iter().filter(|shell| is_file(shell)).collect();
        let shell = shells[words.concat().len() % shells.len()];
        let script = [*shell, "-c", "\"$@\"", *shell].map(str::to_owned);
        run = [script.as_slice(), words].concat();
    }
    Job {
        words: run,
        input: "/probe/text".to_owned(),
        seconds,
    }
}

fn note(programs: &[Program], case: &Case<'_>, seen: &Seen, report: &mut Report) {
    let texts: Vec<&str> = case.words.iter().map(String::as_str).collect();
    let look = probe::look(&texts).unwrap();
    let mut inner = Vec::new();
    let mut rest = look.inner.clone().map(|range| &case.words[range]);
    while let Some(words) = rest {
        inner.extend(
            programs
                .iter()
                .find(|one| one.names.contains(&words[0].as_str())),
        );
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        rest = probe::look(&texts)
            .and_then(|look| look.inner)
            .map(|range| &words[range]);
    }
    let command = case.words.join(" ");
    let findings = judge::findings(case.program, &inner, &look, &case.words, &seen.deeds);
    let unwritten = |file: &&String| !judge::may_write(case.program, &inner, file);
    let deeds = findings.iter().map(|deed| format!("{deed:?}")).chain(
        seen.changed
            .iter()
            .filter(unwritten)
            .map(|file| format!("Changed({file:?})")),
    );
    for deed in deeds {
        let key = (case.words[0].clone(), deed);
        if !report.findings.contains_key(&key) {
            println!("found, {}: {} in {command:?}", key.0, key.1);
        }
        let found = report.findings.entry(key).or_insert((0, command.clone()));
        found.0 += 1;
    }
    let follows = look
        .effects
        .is_some_and(|effects| effects.contains("follows"));
    if !seen.ended && !follows {
        report.endless.push(command);
    }
}

fn print(
    programs: &[Program],
    here: &[&Program],
    missing: &[&Program],
    cases: usize,
    report: &Report,
    left_out: usize,
) {
    let figures = families::figures(programs);
    println!("described: {figures:?}");
    let names: BTreeSet<&str> = missing.iter().map(|program| program.names[0]).collect();
    println!("not on this machine: {} ({names:?})", names.len());
    for command in &report.endless {
        println!("did not end in time: {command:?}");
    }
    for ((program, deed), (count, example)) in &report.findings {
        println!("FOUND  {program}: {deed}, {count} times, as in {example:?}");
    }
    println!(
        "proved: {} programs, {} options, {cases} invocations, {} findings; {left_out} left out and shown to do it",
        here.len(),
        here.iter().map(|program| program.options).sum::<usize>(),
        report.findings.len(),
    );
}
