//! What a command is given to read: whole, only where a rule says so, part of what a person
//! approves, and on record by size and hash alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::common::{
    Era, Fleet, Gate, HostSpec, Launch, Server, members, policy_allowing, wait_until,
};

/// Rules beside which nothing may read.
fn policy(more: &str) -> String {
    policy_allowing(&["uptime", "head *", "true", "wc *"])
        + "  - action: allow\n    stdin: true\n    aliases: [\"*\"]\n    commands: [\"sha256sum\", \"cat\", \"rev\"]\n"
        + more
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text that no other text is like, of about this many bytes, with blanks at both ends.
fn long(bytes: usize) -> String {
    let lines = (0..bytes / 16).map(|number| format!("fed-line-{number:06}\n"));
    format!("  {}\n ", lines.collect::<String>())
}

#[test]
fn it_arrives_whole_also_through_another_host_and_is_on_record_by_its_hash() {
    let fleet = Fleet::with(vec![
        HostSpec::new("outer"),
        HostSpec::new("inner").yaml("jump: outer"),
    ]);
    fleet.setup.write("policy.yml", &policy(""));
    let server = Server::start(&fleet.setup);
    for (alias, text) in [
        ("outer", long(900_000)),
        ("inner", long(900_000)),
        ("outer", " \n".to_owned()),
    ] {
        let fed = json!({"alias": alias, "command": "sha256sum | head -c 64", "stdin": text});
        let ran = server.tool("ssh_run", fed);
        assert_eq!(ran["output"], hash(&text).as_str(), "{ran}");
        let decided = server.wait_record("a decision", |record| {
            record["type"] == "policy_decision" && record["stdin"]["bytes"] == text.len()
        });
        assert_eq!(decided["stdin"]["sha256"], hash(&text).as_str());
    }
    // The next command on the session reads nothing.
    let ran = server.run("outer", "cat");
    assert_eq!(
        (&ran["exit_code"], ran.get("output")),
        (&json!(0), None),
        "{ran}"
    );
    let done = server.finish();
    assert!(!done.log.contains("fed-line"), "{}", done.log);
    let plain = done
        .records
        .iter()
        .find(|record| record["type"] == "policy_decision" && record.get("stdin").is_none());
    assert!(plain.is_some());
}

#[test]
fn a_command_need_not_read_what_it_is_given() {
    let fleet = Fleet::of(&["web1"]);
    let rule = "  - action: allow\n    stdin: true\n    aliases: [\"*\"]\n    commands: [\"id\"]\n";
    fleet.setup.write("policy.yml", &policy(rule));
    let server = Server::start(&fleet.setup);
    for _ in 0..5 {
        let fed = json!({"alias": "web1", "command": "id", "stdin": long(900_000)});
        let ran = server.tool("ssh_run", fed);
        assert_eq!(ran["exit_code"], 0, "{ran}");
    }
    // What it says while it is being fed is read, too: both ways are full at once.
    let text = long(600_000);
    let fed = json!({"alias": "web1", "command": "cat", "stdin": text, "max_chars": 1000});
    let ran = server.tool("ssh_run", fed);
    assert_eq!(
        (&ran["exit_code"], &ran["truncated"]),
        (&json!(0), &json!(true)),
        "{ran}"
    );
    assert!(ran["output"].as_str().unwrap().contains("fed-line-000000"));
}

#[test]
fn only_a_rule_that_says_so_lets_a_command_read() {
    let fleet = Fleet::of(&["web1"]);
    let rule = "  - action: deny\n    aliases: [\"*\"]\n    commands: [\"rev\"]\n";
    fleet.setup.write("policy.yml", &policy(rule));
    let server = Server::start(&fleet.setup);
    for (command, code) in [
        ("uptime", "stdin"),
        ("sha256sum && head -c 1", "stdin"),
        ("head -n 1 | sha256sum", "stdin"),
        ("timeout 5 head -n 1", "stdin"),
        ("sh -c 'head -n 1'", "stdin"),
        ("{ true; head -n 1; }", "stdin"),
        ("rev", "deny-rule"),
        ("tac", "no-rule"),
    ] {
        let asked = json!({"alias": "web1", "command": command, "stdin": "x"});
        let result = server.call("ssh_run", asked.clone());
        assert_eq!(members(&result)["code"], code, "{command}: {result}");
        let plan = server.tool("ssh_plan", asked);
        assert_eq!(
            (&plan["code"], &plan["allowed"]),
            (&json!(code), &json!(false))
        );
    }
    // What reads something else is not asked, nor what never reads.
    for command in [
        "sha256sum | wc -c",
        "head -c 1 </dev/null",
        "echo a; sha256sum",
        "timeout 5 sha256sum",
        "true && cat",
    ] {
        let asked = json!({"alias": "web1", "command": command, "stdin": "x"});
        let ran = server.tool("ssh_run", asked);
        assert_eq!(ran["exit_code"], 0, "{command}: {ran}");
    }
    let answer = server.tool_error(
        "ssh_run",
        json!({"alias": "web1", "command": "cat", "stdin": ["x"]}),
    );
    assert!(answer.contains("stdin must be text"), "{answer}");
}

#[test]
fn a_person_sees_it_and_their_yes_is_for_it_alone() {
    let fleet = Fleet::of(&["web1"]);
    let rule = "  - action: ask\n    stdin: true\n    aliases: [\"*\"]\n    commands: [\"tac\"]\n";
    fleet.setup.write("policy.yml", &policy(rule));
    let asking = Launch::era(Era::V2025_11_25).capabilities(json!({"elicitation": {}}));
    let server = asking.start(&fleet.setup);
    let mut digests = Vec::new();
    for text in ["drop table\n", "\u{202e}second\n"] {
        let call = json!({"alias": "web1", "command": "tac", "stdin": text});
        let id = server.begin_call("ssh_run", call);
        let asked = server.wait_frame("a question", |frame| {
            frame["method"] == "elicitation/create"
                && frame["params"]["message"]
                    .as_str()
                    .unwrap()
                    .contains(&hash(text))
        });
        let message = asked["params"]["message"].as_str().unwrap();
        let shown = text.replace('\n', "\\n").replace('\u{202e}', "\\u{202e}");
        assert!(message.contains(&shown), "{message}");
        server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {}}}));
        assert_eq!(members(&server.response(&id)["result"])["exit_code"], 0);
        let record = server.wait_record("an approval", |record| {
            record["type"] == "approval" && !digests.contains(&record["digest"])
        });
        digests.push(record["digest"].clone());
    }
    assert_ne!(digests[0], digests[1]);
}

/// A fed command that waits for its turn is judged by the policy of the moment in which it
/// would run, together with what it is given.
#[test]
fn a_reload_while_it_waits_judges_it_anew() {
    let fleet = Fleet::of(&["web1"]);
    let rule = |stdin: bool| {
        let allowed = policy_allowing(&["seq 1"]);
        format!(
            "{allowed}  - action: allow\n    stdin: {stdin}\n    aliases: [\"*\"]\n    commands: [\"tac\"]\nconcurrency: {{max_per_host: 1}}\n"
        )
    };
    let gate = Gate::new();
    let held = format!("#!/bin/sh\n{}\n", gate.wait());
    fleet.host("web1").stub("seq", &held);
    for still in [false, true] {
        fleet.setup.write("policy.yml", &rule(true));
        let server = Server::start(&fleet.setup);
        let first = server.begin_call("ssh_run", json!({"alias": "web1", "command": "seq 1"}));
        server.wait_record("the first runs", |record| record["phase"] == "running");
        let fed = json!({"alias": "web1", "command": "tac", "stdin": "fed-line\n"});
        let second = server.begin_call("ssh_run", fed);
        wait_until("the second waits", || {
            let tasks = server.tool("ssh_list_tasks", json!({}));
            let tasks = tasks["tasks"].as_array().unwrap();
            tasks.iter().any(|task| task["status"] == "pending")
        });
        fleet
            .setup
            .write("policy.yml", &(rule(still) + "approval_seconds: 77\n"));
        let said = server.tool("ssh_reload_config", json!({}));
        assert_eq!(said["status"], "reloaded", "{said}");
        gate.open();
        server.response(&first);
        let ran = server.response(&second)["result"].clone();
        let ran = members(&ran);
        match still {
            true => assert_eq!(ran["output"], "fed-line", "{ran}"),
            false => assert_eq!(
                (&ran["status"], &ran["code"]),
                (&json!("denied"), &json!("stdin")),
                "{ran}"
            ),
        }
        let done = server.finish();
        assert!(!done.log.contains("fed-line"), "{}", done.log);
    }
}

#[test]
fn a_job_is_given_nothing_to_read() {
    let fleet = Fleet::of(&["web1"]);
    let rule = "  - action: allow\n    stdin: true\n    detach: true\n    aliases: [\"*\"]\n    commands: [\"tac\"]\n";
    fleet.setup.write("policy.yml", &policy(rule));
    let server = Server::start(&fleet.setup);
    let fed = json!({"alias": "web1", "command": "tac", "stdin": "x", "detach": true});
    let said = server.tool_error("ssh_run_async", fed);
    assert!(
        said.contains("stdin and detach do not go together"),
        "{said}"
    );
    assert_eq!(fleet.host("web1").logins(), 0);
}
