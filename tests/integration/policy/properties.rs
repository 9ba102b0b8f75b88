//! Promise: three properties hold for whatever text comes: the canonical form is read
//! back as the same words and is its own canonical form (P4); adding a deny rule never
//! turns a denial into anything else (P5); nothing panics (P6).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a failed step is a failed test"
)]

use crate::policy::generate::{self, Random};
use crate::policy::support::{Host, canonical, cases, load};
use mcp_ssh_orchestrator::testing::policy::syntax::command::{Parsed, Redirect, Simple};
use mcp_ssh_orchestrator::testing::policy::syntax::lexer;
use mcp_ssh_orchestrator::testing::policy::{Policy, Verdict};

const PROGRAMS: &[&str] = &[
    "uptime", "rm", "sudo", "find", "sed", "awk", "grep", "ls", "cat", "sort", "env", "echo",
    "tar", "docker", "sh", "xargs",
];

/// Everything in the corpora, and as much again made from a grammar and from noise.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = cases("bypass.jsonl")
        .iter()
        .chain(&cases("benign.jsonl"))
        .filter_map(|case| case["command"].as_str().map(str::to_owned))
        .collect();
    let mut random = Random::new(7);
    let programs: Vec<String> = PROGRAMS.iter().map(|name| name.to_string()).collect();
    for _ in 0..3_000 {
        texts.push(generate::command(&mut random, &programs));
    }
    for _ in 0..1_000 {
        let length = random.below(60);
        let noise = "ab -'\"\\|;&<>$`(){}[]*?~#!^=%\t\n\u{1b}\u{a0}é😀/.:";
        texts.push((0..length).map(|_| random.char_of(noise)).collect());
    }
    texts
}

fn words<'p>(parsed: &'p Parsed<'_>) -> Vec<Vec<&'p str>> {
    let commands = parsed.commands.iter();
    commands
        .map(|command| command.words.iter().map(|word| &*word.text).collect())
        .collect()
}

/// P4. The canonical form quotes programs, which the lexer refuses in what comes in; so
/// each quoted word is read as an operand.
#[test]
fn the_canonical_form_gives_the_same_words() {
    let snapshot =
        load("{limits: {deny_substrings: []}, rules: [{action: allow, commands: ['*']}]}").unwrap();
    let host = Host::new("h", []);
    let mut accepted = 0;
    for text in texts() {
        let Ok(parsed) = lexer::parse(&text, lexer::Options::default()) else {
            continue;
        };
        accepted += 1;
        for command in &parsed.commands {
            let one = snapshot.policy().judge_text(&host.subject(), &command.text);
            let Verdict::Allow(authorised) = &one else {
                panic!("{text}: {one:?}");
            };
            let again = format!("x {}", authorised.canonical());
            let Ok(reread) = lexer::parse(&again, lexer::Options::default()) else {
                // Twice the size may be over a limit; nothing else may be wrong with it.
                assert!(again.len() > lexer::MAX_BYTES, "{again}");
                continue;
            };
            let mut expected = vec!["x"];
            expected.extend(command.words.iter().map(|word| &*word.text));
            assert_eq!(words(&reread), [expected.clone()], "{text}");
            let redirects = |command: &Simple<'_>| -> Vec<String> {
                let texts = command.redirects.iter().map(|each| match each {
                    Redirect::InputFrom(file) => format!("<{}", file.text),
                    other => format!("{other:?}"),
                });
                texts.collect()
            };
            assert_eq!(redirects(&reread.commands[0]), redirects(command));
            let twice = snapshot.policy().judge_text(&host.subject(), &again);
            let twice = canonical(&twice).unwrap().to_owned();
            assert_eq!(twice, format!("'x' {}", authorised.canonical()), "{text}");
        }
    }
    assert!(accepted > 1_000, "only {accepted} texts were accepted");
}

/// P5.
#[test]
fn a_deny_rule_never_allows_more() {
    let rules = "{action: allow, commands: ['uptime*', 'rm *', 'sudo ls *', 'find / *', 'ls*', \
                 'sed -n *', 'grep *']}, {action: ask, commands: ['cat *', 'tar *']}";
    let before = load(&format!("rules: [{rules}]")).unwrap();
    let host = Host::new("h", ["t"]);
    for deny in [
        "{action: deny, commands: ['rm *']}",
        "{action: deny, commands: ['*x*', '[a-l]*', 'sudo*']}",
        "{action: deny, simple_binaries: [uptime, cat]}",
        "{action: deny, binary: find, arg_prefix: [/]}",
        "{action: deny, tags: [other], commands: ['*']}",
        "{action: deny, commands: ['*']}",
    ] {
        for rules in [format!("{rules}, {deny}"), format!("{deny}, {rules}")] {
            let after = load(&format!("rules: [{rules}]")).unwrap();
            for text in texts() {
                let rank = |policy: &Policy| match policy.judge_text(&host.subject(), &text) {
                    Verdict::Deny(_) => 0,
                    Verdict::Ask(_) => 1,
                    Verdict::Allow(_) => 2,
                };
                assert!(
                    rank(after.policy()) <= rank(before.policy()),
                    "{deny}: {text}"
                );
            }
        }
    }
}

/// What the shell would expand needs a rule, behind `echo` too: it lists directories.
#[test]
fn nothing_is_expanded_without_a_rule() {
    let snapshot = load("{shell: {globs: true}, rules: [{action: allow, commands: ['ls *']}]}");
    let snapshot = snapshot.unwrap();
    let host = Host::new("h", []);
    for (command, allowed) in [
        ("ls /root/*", true),
        ("echo '/root/*'", true),
        ("echo /root/*", false),
        ("true /root/*", false),
        ("ls /root/* | grep /root/*", false),
    ] {
        let verdict = snapshot.policy().judge_text(&host.subject(), command);
        assert_eq!(matches!(verdict, Verdict::Allow(_)), allowed, "{command}");
    }
}

/// P6: every prefix of every text, and every explanation.
#[test]
fn nothing_panics() {
    let snapshot = load("{shell: {globs: true}, rules: [{action: allow, commands: ['ls *']}]}");
    let snapshot = snapshot.unwrap();
    let host = Host::new("h", []);
    for text in texts() {
        let _ = snapshot.policy().explain(&host.subject(), &text);
        for (end, _) in text.char_indices().take(80) {
            let _ = snapshot.policy().judge_text(&host.subject(), &text[..end]);
        }
        for cut in 0..text.len().min(40) {
            let _ = snapshot
                .policy()
                .judge_bytes(&host.subject(), &text.as_bytes()[cut..]);
        }
    }
}
