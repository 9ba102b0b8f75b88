//! What a wildcard lets through, what it refuses, and what a short policy of sets does for
//! the commands that assistants write: three corpora, replayed whole.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use serde_json::{Value, json};

use super::support::{Host, load};
use mcp_ssh_orchestrator::testing::policy::Verdict;

/// The lines of a file of cases; an empty one fails.
fn cases(file: &str) -> Vec<Value> {
    more_cases_than(40, file)
}

fn more_cases_than(least: usize, file: &str) -> Vec<Value> {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let cases: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{path}: {error}")))
        .collect();
    assert!(cases.len() > least, "{file} holds {} cases", cases.len());
    cases
}

fn text<'v>(case: &'v Value, key: &str) -> &'v str {
    case[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} of {case}"))
}

/// A pattern, a rule or several, as `policy.yml` with no other denial.
fn policy_of(what: &Value) -> String {
    let rules = match what {
        Value::String(pattern) => json!([{"action": "allow", "commands": [pattern]}]),
        Value::Array(_) => what.clone(),
        rule => json!([rule]),
    };
    json!({"limits": {"deny_substrings": []}, "rules": rules}).to_string()
}

fn verdict(policy: &str, command: &str) -> &'static str {
    let snapshot = load(policy).unwrap_or_else(|error| panic!("{policy}: {error}"));
    let host = Host::new("web1", []);
    match snapshot.policy().judge_text(&host.subject(), command) {
        Verdict::Allow(_) => "allow",
        Verdict::Ask(_) => "ask",
        Verdict::Deny(_) => "deny",
    }
}

#[test]
fn no_known_way_through_a_wildcard_is_left() {
    let mut through = Vec::new();
    for case in cases("bypass/wildcard_bypass.jsonl") {
        let command = text(&case, "command");
        if verdict(&policy_of(&case["policy"]), command) != "deny" {
            through.push(format!("{} {command}", text(&case, "id")));
        }
    }
    assert!(through.is_empty(), "{}", through.join("\n"));
}

/// Sets with folders to read in, of an operator who grants nothing beside reading.
const CAREFUL_SETS: &str = r#"{"limits": {"deny_substrings": []}, "rules": [{"action": "allow",
    "sudo": true, "reads": ["linux", "text", "systemd", "network", "packages", "docker",
    "kubernetes", "storage", "git", "web", "database", "security", "clouds"],
    "paths": ["/var/**", "/proc/**"]}]}"#;

/// Each case stands beside a command that differs in what makes it harmful alone.
#[test]
fn no_known_way_through_a_set_is_left() {
    let mut wrong = Vec::new();
    for case in more_cases_than(20, "bypass/sets.jsonl") {
        for (name, expected) in [("command", "deny"), ("near", "allow")] {
            let command = text(&case, name);
            let found = verdict(CAREFUL_SETS, command);
            if found != expected {
                wrong.push(format!("{} {command}: {found}", text(&case, "id")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every set, as an operator would write it who wants to follow and to ask other hosts.
const ALL_SETS: &str = r#"{"limits": {"deny_substrings": []}, "rules": [{"action": "allow",
    "reads": ["linux", "text", "systemd", "network", "packages", "docker", "kubernetes",
              "storage", "git", "web", "database", "security", "clouds"],
    "also": ["follows", "network"], "paths": ["/**"]}]}"#;

/// Those that stay refused, each with the reason.
const STAY_REFUSED: &[(&str, &str)] = &[
    (
        "f041",
        "-f takes addresses as well, and -o yaml shows the secrets it names",
    ),
    (
        "f099",
        "without -readonly it makes the file that is not there",
    ),
];

#[test]
fn what_only_reads_is_allowed() {
    let cases = cases("denials/false_denials.jsonl");
    let mut refused = Vec::new();
    for case in &cases {
        let command = text(case, "command");
        let allowed = verdict(&policy_of(&case["policy"]), command) == "allow"
            || verdict(ALL_SETS, command) == "allow";
        if !allowed {
            refused.push(text(case, "id").to_owned());
        }
    }
    let expected: Vec<&str> = STAY_REFUSED.iter().map(|(id, _)| *id).collect();
    assert_eq!(refused, expected);
    assert!(refused.len() * 10 <= cases.len(), "{refused:?}");
}

#[test]
fn a_short_policy_serves_an_assistant() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/assistant/policy.yml"
    );
    let policy = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(policy.lines().count() <= 25, "a short policy");
    let cases = cases("assistant/assistant.jsonl");
    let (mut wanted, mut refused, mut unwanted) = (0, Vec::new(), Vec::new());
    for case in &cases {
        let command = text(case, "command");
        let found = verdict(&policy, command);
        match text(case, "should_be") {
            "deny" if found != "deny" => unwanted.push(command),
            "deny" => {}
            // What a person should be asked about is not to run without.
            "ask" if found == "allow" => unwanted.push(command),
            _ => {
                wanted += 1;
                if found == "deny" {
                    refused.push(command);
                }
            }
        }
    }
    assert!(unwanted.is_empty(), "{}", unwanted.join("\n"));
    assert!(
        refused.len() * 10 <= wanted,
        "{wanted}: {}",
        refused.join("\n")
    );
}
