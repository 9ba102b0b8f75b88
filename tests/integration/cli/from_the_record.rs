//! Promise: what the record holds becomes rules to paste and a page to read. A suggestion
//! allows what it says, nothing that a deny refuses, and changes nothing by itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;

use serde_json::{Value, json};

use crate::common::{Fleet, Launch, Scratch, run_cli};

const ASSISTANT: &str = include_str!("../../data/assistant/assistant.jsonl");

fn cases(should_be: &str) -> Vec<String> {
    let cases = ASSISTANT
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    cases
        .filter(|case| case["should_be"] == should_be)
        .map(|case| case["command"].as_str().unwrap().to_owned())
        .collect()
}

fn policy(rules: &str) -> String {
    format!(
        "record_commands: denied\nnetwork:\n  allow_cidrs: [127.0.0.0/8]\nrules:\n  \
         - action: deny\n    commands: [\"systemctl stop *\"]\n  \
         - action: allow\n    commands: [\"nosuch\"]\n{rules}"
    )
}

#[test]
fn rules_are_proposed_for_what_was_denied() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(""));
    let scratch = Scratch::new("suggest");
    let place = scratch.path().to_str().unwrap();
    let server = Launch::default()
        .args(&["--audit-dir", place])
        .start(&fleet.setup);
    let learned: Vec<String> = cases("allow").into_iter().step_by(2).collect();
    for command in learned
        .iter()
        .map(String::as_str)
        .chain(["systemctl stop nginx"])
    {
        server.call("ssh_run", json!({"alias": "web1", "command": command}));
    }
    server.finish();
    let before = fs::read_to_string(fleet.setup.config.join("policy.yml")).unwrap();
    let output = run_cli(&fleet.setup, &["policy", "suggest", place]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("would be allowed by these"), "{text}");
    assert!(text.contains("nothing is proposed for them"), "{text}");
    assert!(!text.contains("systemctl stop"), "{text}");
    let after = fs::read_to_string(fleet.setup.config.join("policy.yml")).unwrap();
    assert_eq!(before, after, "nothing was changed");

    // As a person pastes it.
    let (_, rules) = text.split_once("rules:\n").unwrap();
    fleet.setup.write("policy.yml", &policy(rules));
    let plan = |command: &str| {
        let output = run_cli(&fleet.setup, &["plan", "--json", "web1", command]);
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str::<Value>(&text).unwrap_or_else(|_| panic!("{command}: {text}"))
    };
    let still: Vec<&String> = learned
        .iter()
        .filter(|command| {
            let planned = plan(command);
            let code = planned["code"].as_str().unwrap_or_default().to_owned();
            planned["verdict"] != "allow" && (code == "no-rule" || code.starts_with("hazard:"))
        })
        .collect();
    assert!(still.len() * 10 <= learned.len(), "{still:#?}\n{text}");
    // What is forbidden stays so, whatever was pasted.
    for command in cases("deny")
        .iter()
        .map(String::as_str)
        .chain(["systemctl stop nginx"])
    {
        assert_ne!(plan(command)["verdict"], "allow", "{command}\n{text}");
    }
    // Nothing is proposed twice.
    let server = Launch::default()
        .args(&["--audit-dir", place])
        .start(&fleet.setup);
    server.finish();
    let output = run_cli(&fleet.setup, &["policy", "suggest", place]);
    let again = String::from_utf8(output.stdout).unwrap();
    assert!(
        again.contains("are allowed by the policy as it is now"),
        "{again}"
    );
}

#[test]
fn a_page_holds_what_happened_and_obeys_none_of_it() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime", "false"]);
    let scratch = Scratch::new("report");
    let place = scratch.path().join("records");
    fs::create_dir(&place).unwrap();
    let place = place.to_str().unwrap();
    let server = Launch::default()
        .args(&["--audit-dir", place])
        .bare()
        .start(&fleet.setup);
    server.request(
        "initialize",
        json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "<script>alert(1)</script>", "version": "1"},
        }),
    );
    server.run("web1", "uptime");
    server.run("web1", "false");
    server.run("web1", "id -u");
    server.finish();
    let page = scratch.path().join("page.html");
    let args = ["audit", "report", place, "--html", page.to_str().unwrap()];
    let output = run_cli(&fleet.setup, &args);
    assert!(output.status.success(), "{output:?}");
    let page = fs::read_to_string(page).unwrap();
    for words in [
        "<b>2</b><span>allowed</span>",
        "<b>1</b><span>denied</span>",
        "<b>1</b><span>failed</span>",
        "By host",
        "policy.yml, line",
        "no-rule",
        "exit 1",
        "<svg",
        "&lt;script&gt;",
        "@media print",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    for never in ["<script", "http://", "https://", " src="] {
        assert!(!page.contains(never), "{never}");
    }
    let missing = run_cli(&fleet.setup, &["audit", "report", place]);
    let text = String::from_utf8(missing.stderr).unwrap();
    assert!(text.contains("--html"), "{text}");
}
