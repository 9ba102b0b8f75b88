//! Promise: what the language of the policy says of hostile commands and of everyday ones
//! is what the program decides, with the same code and the same canonical form.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::HashMap;

use crate::policy::support::{Host, canonical, cases, data, load};
use base64::Engine as _;
use mcp_ssh_orchestrator::testing::policy::{Policy, Verdict};
use serde_json::Value;

#[test]
fn hostile_commands() {
    let snapshot = load(&data("policy.yml")).unwrap();
    let only = load("rules: [{action: allow, commands: ['uptime*']}]").unwrap();
    let host = Host::new("stg-web-1", ["linux", "staging"]);
    let mut wrong = Vec::new();
    for case in cases("bypass.jsonl") {
        let verdict = judge(snapshot.policy(), &host, &case);
        compare(&case, "expected", "expected_code", &verdict, &mut wrong);
        let under_one_rule = judge(only.policy(), &host, &case);
        if let Some(expected) = case["also_under"]["uptime_only"].as_str()
            && expected != under_one_rule.name()
        {
            wrong.push(format!(
                "{} under uptime_only: {}",
                case["id"],
                under_one_rule.name()
            ));
        }
        // What would have run something unlisted must never be let through.
        if case["raw_ran_unlisted_program_in"] != serde_json::json!([])
            && matches!(verdict, Verdict::Allow(_))
        {
            wrong.push(format!("{}: runs an unlisted program", case["id"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn everyday_commands() {
    let snapshot = load(&data("benign_policy.yml")).unwrap();
    let host = Host::new("stg-web-1", ["linux", "staging"]);
    let mut wrong = Vec::new();
    for case in cases("benign.jsonl") {
        let verdict = judge(snapshot.policy(), &host, &case);
        compare(&case, "verdict", "code", &verdict, &mut wrong);
        if canonical(&verdict) != case["canonical"].as_str() {
            wrong.push(format!(
                "{}: canonical {:?}",
                case["id"],
                canonical(&verdict)
            ));
        }
        if let Some(rewrite) = case["rewrite"].as_str() {
            let verdict = snapshot.policy().judge_text(&host.subject(), rewrite);
            if matches!(verdict, Verdict::Deny(_)) {
                wrong.push(format!(
                    "{}: the rewrite {rewrite} is {verdict:?}",
                    case["id"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Siblings of the two lists above, written by review: no reader of the lists, but of the
/// language, should find them decided otherwise.
#[test]
fn reviewed_commands() {
    let host = Host::new("stg-web-1", ["linux", "staging"]);
    let policies: HashMap<&str, _> = ["policy.yml", "benign_policy.yml"]
        .map(|name| (name, load(&data(name)).unwrap()))
        .into();
    let mut wrong = Vec::new();
    for case in cases("reviewed.jsonl") {
        let snapshot = &policies[case["policy"].as_str().unwrap()];
        let verdict = judge(snapshot.policy(), &host, &case);
        compare(&case, "expected", "expected_code", &verdict, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn judge(policy: &Policy, host: &Host, case: &Value) -> Verdict {
    match case["command"].as_str() {
        Some(text) => policy.judge_text(&host.subject(), text),
        None => {
            let encoded = case["command_b64"].as_str().unwrap();
            let bytes = base64::prelude::BASE64_STANDARD.decode(encoded).unwrap();
            policy.judge_bytes(&host.subject(), &bytes)
        }
    }
}

fn compare(case: &Value, verdict: &str, code: &str, found: &Verdict, wrong: &mut Vec<String>) {
    let expected = (case[verdict].as_str(), case[code].as_str());
    let found = (Some(found.name()), Some(found.code().as_str()));
    if expected != found {
        wrong.push(format!(
            "{} {:?}: expected {expected:?}, found {found:?}",
            case["id"].as_str().unwrap_or("reviewed"),
            case["command"].as_str().unwrap_or_default()
        ));
    }
}
