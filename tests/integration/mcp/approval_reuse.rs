//! Promise: with `approval_reuse_seconds` a person may say yes for a while instead of once:
//! for what the same rule asks about on the hosts that were shown, and for nothing else. It
//! ends with its time and with any change of the configuration, and each use is on record.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Era, Fleet, Gate, HostSpec, Launch, Server, members};
use serde_json::{Value, json};

fn fleet(more: &str) -> Fleet {
    let hosts = ["one", "two"].map(|alias| HostSpec::new(alias).tags(&["all"]));
    let fleet = Fleet::with(hosts.into());
    let policy = crate::common::policy_allowing(&["uptime"])
        // On one line: a yes is for one entry, wherever the others stand.
        + "  - {action: ask, detach: true, commands: ['echo *', 'printf *']}\n";
    fleet.setup.write("policy.yml", &(policy + more));
    fleet
}

fn asking(era: Era, fleet: &Fleet) -> Server {
    Launch::era(era)
        .capabilities(json!({"elicitation": {}}))
        .start(&fleet.setup)
}

/// Puts a call that is asked about, and answers with this content.
fn asked(server: &Server, tool: &str, arguments: Value, content: Value) -> (Value, Value) {
    let before = server.frames().len();
    let id = server.begin_call(tool, arguments);
    let mut seen = 0;
    let question = server.wait_frame("a question", |frame| {
        seen += 1;
        seen > before && frame["method"] == "elicitation/create"
    });
    let answer = json!({"action": "accept", "content": content});
    server.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}));
    let result = server.response(&id)["result"].clone();
    (question["params"].clone(), result)
}

fn echo(word: &str) -> Value {
    json!({"alias": "one", "command": format!("echo {word}")})
}

fn outcomes(server: &Server) -> Vec<Value> {
    let records = server.records();
    let approvals = records.iter().filter(|record| record["type"] == "approval");
    approvals.map(|record| record["outcome"].clone()).collect()
}

#[test]
fn a_yes_for_a_while_stands_for_its_rule_and_host_alone() {
    let fleet = fleet("approval_reuse_seconds: 600\n");
    let server = asking(Era::V2025_11_25, &fleet);
    let (question, result) = asked(
        &server,
        "ssh_run",
        echo("first"),
        json!({"approve_for": "10 minutes"}),
    );
    let choice = &question["requestedSchema"]["properties"]["approve_for"];
    assert_eq!(choice["enum"], json!(["once", "10 minutes"]));
    assert_eq!(choice["default"], "once");
    assert!(question["message"].as_str().unwrap().contains("10 minutes"));
    assert_eq!(members(&result)["output"], "first");
    // Whoever asked now would wait for an answer that never comes.
    assert_eq!(server.run("one", "echo second")["output"], "second");
    assert_eq!(outcomes(&server), ["accepted_for_a_while", "standing"]);
    // Another host, another pattern, a job: each is asked about for itself.
    let once = || json!({"approve_for": "once"});
    let two = json!({"alias": "two", "command": "echo third"});
    asked(&server, "ssh_run", two, once());
    let printf = json!({"alias": "one", "command": "printf x"});
    asked(&server, "ssh_run", printf, once());
    let job = json!({"alias": "one", "command": "echo job", "detach": true});
    let (question, _) = asked(&server, "ssh_run_async", job, once());
    assert!(
        question["message"]
            .as_str()
            .unwrap()
            .contains("goes on by itself"),
        "{question}"
    );
    let both = json!({"alias": "one", "command": "echo x; printf x"});
    asked(&server, "ssh_run", both, once());
    // Of many hosts those are asked about that nobody said yes for.
    let tag = json!({"tag": "all", "command": "echo all"});
    let (question, result) = asked(&server, "ssh_run_on_tag", tag, once());
    let message = question["message"].as_str().unwrap();
    assert!(message.contains("Host: two"), "{message}");
    assert_eq!(members(&result)["summary"]["succeeded"], 2);
    // And a changed policy is another one.
    let text = std::fs::read_to_string(fleet.setup.config.join("policy.yml")).unwrap();
    fleet.setup.write("policy.yml", &(text + "# changed\n"));
    asked(&server, "ssh_run", echo("again"), once());
    server.finish();
}

#[test]
fn its_time_ends_it() {
    let fleet = fleet("approval_reuse_seconds: 1\n");
    let gate = Gate::new();
    let stub = format!("#!/bin/sh\n{}\n", gate.wait());
    fleet.host("two").stub("uptime", &stub);
    let server = asking(Era::V2025_11_25, &fleet);
    asked(
        &server,
        "ssh_run",
        echo("first"),
        json!({"approve_for": "1 second"}),
    );
    // A command that begins now and is ended after two seconds.
    let held = json!({"alias": "two", "command": "uptime", "timeout": 2});
    assert_eq!(server.tool("ssh_run", held)["timeout"], true);
    asked(&server, "ssh_run", echo("second"), json!({}));
    let all = outcomes(&server);
    assert_eq!(all, ["accepted_for_a_while", "accepted"]);
    server.finish();
}

#[test]
fn nobody_takes_more_than_the_policy_offers() {
    for (more, choice) in [
        ("", "10 minutes"),
        ("approval_reuse_seconds: 600\n", "for ever"),
    ] {
        let fleet = fleet(more);
        let server = asking(Era::V2025_06_18, &fleet);
        let content = json!({"approve_for": choice});
        let (question, _) = asked(&server, "ssh_run", echo("first"), content);
        let properties = &question["requestedSchema"]["properties"];
        assert_eq!(properties.get("approve_for").is_some(), !more.is_empty());
        asked(&server, "ssh_run", echo("second"), json!({}));
        assert_eq!(outcomes(&server), ["accepted", "accepted"]);
        server.finish();
    }
}

#[test]
fn a_modern_client_can_say_it_too() {
    let fleet = fleet("approval_reuse_seconds: 90\n");
    let server = asking(Era::V2026_07_28, &fleet);
    let params = json!({"name": "ssh_run", "arguments": echo("first")});
    let first = server.request("tools/call", params.clone());
    let request = &first["inputRequests"]["approval"]["params"]["requestedSchema"];
    let choice = &request["properties"]["approve_for"]["enum"][1];
    assert_eq!(choice, "90 seconds");
    let mut again = params;
    let yes = json!({"approval": {"action": "accept", "content": {"approve_for": choice}}});
    again["requestState"] = first["requestState"].clone();
    again["inputResponses"] = yes;
    let result = server.request("tools/call", again);
    assert_eq!(members(&result)["output"], "first", "{result}");
    assert_eq!(server.run("one", "echo second")["output"], "second");
    assert_eq!(outcomes(&server), ["accepted_for_a_while", "standing"]);
    server.finish();
}
