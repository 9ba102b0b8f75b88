//! The Python project's cases of limits, overrides, addresses and host key settings,
//! replayed whole through `policy.yml` as the loader reads it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use mcp_ssh_orchestrator::testing::config::{
    Dirs, Environment, Links, LoadError, Loaded, WarningKind, load_texts,
};
use mcp_ssh_orchestrator::testing::model::names::{Port, Tag};
use serde_json::{Value, json};

/// Case, and the decision that makes it differ.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "pol-d63-015",
        "results are kept by bytes and time, an hour unless said otherwise",
    ),
    (
        "pol-lim-003",
        "max_seconds is 50, so that clients that give up after 60 s see the server's own answer",
    ),
    (
        "pol-net-011",
        "nothing is skipped: an entry that doesn't parse is an error, whatever stands beside it",
    ),
];

#[test]
fn every_case_is_as_expected_or_differs_by_decision() {
    let mut differences: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    let mut seen = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in include_str!("../../data/cases/policy.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let replay = match case["kind"].as_str() {
            Some("limits") => limits,
            Some("network") => network,
            Some("known_host") => known_host,
            _ => continue,
        };
        let id = case["id"].as_str().unwrap();
        *seen
            .entry(case["kind"].as_str().unwrap().to_owned())
            .or_insert(0) += 1;
        match (replay(&case), differences.remove(id)) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(_)) => wrong.push(format!("{id} is listed, but agrees")),
            (Err(why), None) => wrong.push(format!("{id}: {why}")),
        }
    }
    assert!(
        seen["limits"] > 20 && seen["network"] > 20,
        "cut off: {seen:?}"
    );
    wrong.extend(
        differences
            .keys()
            .map(|id| format!("{id} is listed, but isn't a case")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn limits(case: &Value) -> Result<(), String> {
    // What a case says of rules is no part of it, and may be refused for its own reasons.
    let loaded = load(without_rules(case)).map_err(|error| error.for_operator())?;
    let tags: Vec<Tag> = case["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| Tag::parse(tag.as_str().unwrap()).unwrap())
        .collect();
    let policy = loaded.snapshot.policy();
    let limits = policy.limits(case["alias"].as_str().unwrap(), &tags);
    for (key, expected) in case["expect"].as_object().unwrap() {
        let actual = match key.as_str() {
            "max_seconds" => json!(limits.max_seconds),
            "max_output_bytes" => json!(limits.max_output_bytes),
            "task_result_ttl" => json!(limits.task_result_ttl),
            "task_progress_interval" => json!(limits.task_progress_interval),
            "deny_substrings" => json!(*limits.deny_substrings),
            // Host keys are always verified.
            "require_known_host" => json!(true),
            other => return Err(format!("unknown limit {other}")),
        };
        if actual != *expected {
            return Err(format!("{key}: {actual}, expected {expected}"));
        }
    }
    Ok(())
}

fn network(case: &Value) -> Result<(), String> {
    let allowed = match load(without_rules(case)) {
        // A policy that doesn't load connects nowhere.
        Err(_) => false,
        Ok(loaded) => case["ip"]
            .as_str()
            .unwrap()
            .parse::<IpAddr>()
            .is_ok_and(|ip| {
                loaded
                    .snapshot
                    .policy()
                    .network()
                    .pin(ip, Port::SSH)
                    .is_ok()
            }),
    };
    let expected = case["expect"] == "allow";
    if allowed == expected {
        Ok(())
    } else {
        Err(format!("allowed: {allowed}, expected {expected}"))
    }
}

fn known_host(case: &Value) -> Result<(), String> {
    let loaded = load(without_rules(case)).map_err(|error| error.for_operator())?;
    let warned = loaded
        .snapshot
        .warnings()
        .iter()
        .any(|warning| warning.kind == WarningKind::HostKeyPolicy);
    let expected = case["expect"]["warn_log"].is_object();
    if warned == expected {
        Ok(())
    } else {
        Err(format!("warned: {warned}, expected {expected}"))
    }
}

fn without_rules(case: &Value) -> Value {
    let mut policy = case["policy"].clone();
    policy.as_object_mut().unwrap().remove("rules");
    policy
}

fn load(policy: Value) -> Result<Loaded, LoadError> {
    let keys = Path::new("/app/keys");
    let nowhere = Path::new("/nowhere");
    let dirs = Arc::new(Dirs::open(nowhere, keys, nowhere, Links::Refused));
    let policy = policy.to_string();
    let texts: [&[u8]; 3] = [b"hosts: []", b"entries: []", policy.as_bytes()];
    load_texts(texts, &dirs, &Environment::default())
}
