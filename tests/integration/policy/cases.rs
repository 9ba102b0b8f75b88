//! The Python project's policy cases, replayed whole: commands, limits, addresses, chains,
//! normalisation, host keys.
//!
//! Each case either gives what it expects, or is on the list of differences with the
//! decision that makes it differ; a listed case that agrees after all fails too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::policy::support::{Host, load};
use mcp_ssh_orchestrator::testing::config::WarningKind;
use mcp_ssh_orchestrator::testing::model::names::Port;
use mcp_ssh_orchestrator::testing::policy::Verdict;
use mcp_ssh_orchestrator::testing::policy::deny::substrings;
use mcp_ssh_orchestrator::testing::policy::syntax::lexer;
use serde_json::{Value, json};

/// Case, and the decision that makes it differ.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "pol-tst-069",
        "behind a pipe, a filter that reads standard input only needs no rule",
    ),
    (
        "pol-v2-015",
        "behind a pipe, a filter that reads standard input only needs no rule",
    ),
    (
        "pol-d63-115",
        "behind a pipe, a filter that reads standard input only needs no rule",
    ),
    (
        "pol-tst-109",
        "a pattern of one word with a * is exactly that program with any operands, never another program",
    ),
    (
        "pol-tst-111",
        "a pattern of one word with a * is exactly that program with any operands, never another program",
    ),
    (
        "pol-tst-113",
        "a pattern of one word with a * is exactly that program with any operands, never another program",
    ),
    (
        "pol-ex1-011",
        "a pattern of one word with a * is exactly that program with any operands, never another program",
    ),
    (
        "pol-ex1-037",
        "a pattern of one word with a * is exactly that program with any operands, never another program",
    ),
    (
        "pol-bug-022",
        "a pattern of one word with a * is exactly that program with any operands, never another program",
    ),
    (
        "pol-chn-009",
        "syntax that the lexer does not take apart is refused with its name, not split",
    ),
    (
        "pol-chn-011",
        "syntax that the lexer does not take apart is refused with its name, not split",
    ),
    (
        "pol-chn-015",
        "syntax that the lexer does not take apart is refused with its name, not split",
    ),
    (
        "pol-chn-017",
        "syntax that the lexer does not take apart is refused with its name, not split",
    ),
    (
        "pol-chn-019",
        "an escaped quote is a character, and the operator behind it splits",
    ),
    (
        "pol-sub-015",
        "words are judged, not strings: what is quoted is data; and echo is always allowed",
    ),
    (
        "pol-v2-059",
        "words are judged, not strings: what is quoted is data; and echo is always allowed",
    ),
    (
        "pol-d63-041",
        "words are judged, not strings: what is quoted is data; and echo is always allowed",
    ),
    (
        "pol-v2-043",
        "both forms of rules are accepted, globs in commands among them",
    ),
    (
        "pol-srv-035",
        "both forms of rules are accepted, globs in commands among them",
    ),
    (
        "pol-v2-045",
        "deny beats ask beats allow, in any order of the rules",
    ),
    ("pol-v2-051", "the program's name is never quoted"),
    (
        "pol-v2-061",
        "a structured rule names its program exactly, so that a path it spells is that path",
    ),
    (
        "pol-ex1-035",
        "a wildcard in a path takes one word, and nothing follows it",
    ),
    (
        "pol-d63-057",
        "after a wrapper such as sudo, a rule must spell the program out",
    ),
    ("pol-d63-175", "a command may not begin with NAME=value"),
    (
        "pol-d63-183",
        "an assignment before a command that changes only its form is accepted",
    ),
    (
        "pol-d63-015",
        "results are kept by bytes and time, an hour unless said otherwise",
    ),
    (
        "pol-lim-003",
        "max_seconds is 50, so that clients that give up after 60 s see the server's own answer",
    ),
    (
        "pol-d63-117",
        "programs of the built-in list count where a program stands, texts as whole words",
    ),
    (
        "pol-doc-009",
        "programs of the built-in list count where a program stands, texts as whole words",
    ),
    (
        "pol-doc-011",
        "programs of the built-in list count where a program stands, texts as whole words",
    ),
    (
        "pol-def-028",
        "denies are matched by meaning: whatever options, spelling or wrapper",
    ),
    (
        "pol-doc-111",
        "patterns match word by word: */var/log/* is one word",
    ),
    (
        "pol-net-011",
        "an address that does not parse is an error of the file: nothing is skipped",
    ),
];

#[test]
fn every_case() {
    let listed: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    assert_eq!(listed.len(), DIFFERENCES.len(), "a case is listed twice");
    let mut wrong = Vec::new();
    let mut known = 0;
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/cases/policy.jsonl"
    ));
    for line in text.unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        known += usize::from(listed.contains_key(id));
        match (replay(&case), listed.get(id)) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(_)) => wrong.push(format!("{id}: is listed and agrees")),
            (Err(found), None) => wrong.push(format!("{id}: {found}\n    {line}")),
        }
    }
    assert_eq!(known, listed.len(), "a listed case does not exist");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn replay(case: &Value) -> Result<(), String> {
    match case["kind"].as_str().unwrap() {
        "command" => command(case),
        "limits" => limits(case),
        "network" => network(case),
        "normalize" => {
            let text = case["command"].as_str().unwrap();
            expect("text", substrings::normalised(text).into(), &case["expect"])
        }
        "chain_split" => chain_split(case),
        "denied_in_chain" => denied_in_chain(case),
        "known_host" => known_host(case),
        other => Err(format!("unknown kind {other}")),
    }
}

fn host(case: &Value) -> Host {
    let tags = case["tags"].as_array().into_iter().flatten();
    Host::new(
        case["alias"].as_str().unwrap_or("h"),
        tags.filter_map(Value::as_str),
    )
}

/// A policy that does not load allows nothing.
fn verdict(case: &Value) -> Option<Verdict> {
    let host = host(case);
    let snapshot = load(&case["policy"].to_string()).ok()?;
    let text = case["command"].as_str().unwrap();
    Some(snapshot.policy().judge_text(&host.subject(), text))
}

fn command(case: &Value) -> Result<(), String> {
    let verdict = verdict(case);
    let name = verdict.as_ref().map_or("deny", Verdict::name);
    expect("verdict", name.into(), &case["expect"])?;
    let Some(plan) = case["plan"].as_object() else {
        return Ok(());
    };
    let denial = match &verdict {
        Some(Verdict::Deny(denial)) => Some(denial),
        _ => None,
    };
    expect("allowed", denial.is_none().into(), &plan["allowed"])?;
    expect("why", denial.is_some().into(), &plan["why_present"])?;
    if let Some(text) = plan.get("why_contains").and_then(Value::as_str) {
        let said = denial.is_some_and(|denial| denial.why().contains(text));
        expect("why contains", said.into(), &json!(true))?;
    }
    if let Some(text) = plan.get("hint_contains").and_then(Value::as_str) {
        let said = denial.is_some_and(|denial| denial.hint().contains(text));
        expect("hint contains", said.into(), &json!(true))?;
    }
    if let Some(part) = plan.get("denied_command") {
        let denied = denial.and_then(|denial| denial.denied_command());
        expect("denied command", denied.into(), part)?;
    }
    Ok(())
}

fn denied_in_chain(case: &Value) -> Result<(), String> {
    let denied = match verdict(case) {
        Some(Verdict::Deny(denial)) => denial.denied_command().map(str::to_owned),
        _ => None,
    };
    expect("denied command", denied.into(), &case["expect"])
}

fn limits(case: &Value) -> Result<(), String> {
    let host = host(case);
    let snapshot = load(&case["policy"].to_string())?;
    let limits = snapshot.policy().limits(host.alias.as_str(), &host.tags);
    for (key, expected) in case["expect"].as_object().unwrap() {
        let found = match key.as_str() {
            "max_seconds" => limits.max_seconds.into(),
            "max_output_bytes" => limits.max_output_bytes.into(),
            "task_result_ttl" => limits.task_result_ttl.into(),
            "task_progress_interval" => limits.task_progress_interval.into(),
            "deny_substrings" => json!(*limits.deny_substrings),
            // Not a choice any more.
            "require_known_host" => json!(true),
            "host_key_auto_add" => json!(false),
            other => return Err(format!("unknown limit {other}")),
        };
        expect(key, found, expected)?;
    }
    Ok(())
}

fn network(case: &Value) -> Result<(), String> {
    let found = match (
        load(&case["policy"].to_string()),
        case["ip"].as_str().unwrap().parse(),
    ) {
        (Ok(snapshot), Ok::<IpAddr, _>(address)) => {
            snapshot.policy().network().pin(address, Port::SSH).is_ok()
        }
        _ => false,
    };
    let found = if found { "allow" } else { "deny" };
    expect("address", found.into(), &case["expect"])
}

fn chain_split(case: &Value) -> Result<(), String> {
    let text = case["command"].as_str().unwrap();
    let parts = match lexer::parse(text, lexer::Options::default()) {
        Ok(parsed) => parsed
            .commands
            .iter()
            .map(|part| part.text.to_string())
            .collect(),
        Err(refusal) => vec![refusal.code.as_str().to_owned()],
    };
    expect("parts", parts.into(), &case["expect"])
}

fn known_host(case: &Value) -> Result<(), String> {
    let snapshot = load(&case["policy"].to_string())?;
    let warned = snapshot
        .warnings()
        .iter()
        .any(|warning| warning.kind == WarningKind::HostKeyPolicy);
    let expected = case["expect"]["warn_log"].is_object();
    expect("warning", warned.into(), &json!(expected))
}

fn expect(what: &str, found: Value, expected: &Value) -> Result<(), String> {
    if found == *expected {
        Ok(())
    } else {
        Err(format!("{what}: {found} instead of {expected}"))
    }
}
