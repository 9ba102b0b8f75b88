//! Promise: the record can be joined. Each line has its moment; each line of a call says of
//! which call, client and user it is; what was only looked at is on record; the recipes of
//! the log contract find every kind of security event it names.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::{Era, Fleet, Launch, Scratch, Server, tool};
use mcp_ssh_orchestrator::testing::audit::{Audit, Grounds, Record};
use mcp_ssh_orchestrator::testing::model::names::{CommandHash, CommandText, HostAlias};
use mcp_ssh_orchestrator::testing::model::security_event::{EventValue, SecurityEvent};
use mcp_ssh_orchestrator::testing::policy::Code;
use mcp_ssh_orchestrator::testing::policy::decision::denial::{Bypass, Chain, ChainPart, Trail};

fn of_type<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|r| r["type"] == kind).collect()
}

#[test]
fn every_record_of_a_call_says_whose_it_is() {
    let fleet = Fleet::of(&["web1", "web2"]);
    fleet.allow(&["uptime", "false"]);
    let server = Server::start(&fleet.setup);
    let run = server.run_id("web1", "uptime");
    let failed = server.tool(
        "ssh_run_async",
        json!({"alias": "web2", "command": "false"}),
    );
    server.wait_record("the end of the second", |record| {
        record["type"] == "trace" && record["task_id"] == failed["task_id"]
    });
    server.run("web1", "id -u");
    let pid = server.pid;
    let done = server.finish();
    for record in &done.records {
        assert!(record["ts"].is_f64(), "without its moment: {record}");
        assert_eq!(record["boot"], done.records[0]["boot"], "{record}");
    }
    let user = std::fs::read_to_string("/etc/passwd").unwrap();
    let uid = nix::unistd::getuid().to_string();
    let user = user
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid));
    let user = user.and_then(|line| line.split(':').next()).unwrap();
    for (task, alias) in [(&run, "web1"), (&failed["task_id"], "web2")] {
        let of_task: Vec<&Value> = done
            .records
            .iter()
            .filter(|r| r["task_id"] == *task)
            .collect();
        for kind in ["policy_decision", "progress", "audit", "trace"] {
            assert!(
                of_task.iter().any(|r| r["type"] == kind),
                "{kind} of {task}"
            );
        }
        for record in of_task {
            assert_eq!(record["client"], "tests", "{record}");
            assert_eq!(record["client_version"], "1", "{record}");
            assert_eq!(record["protocol"], "2025-11-25", "{record}");
            assert_eq!(record["os_user"], user, "{record}");
            assert!(record["request_id"].is_u64(), "{record}");
            if record["type"] != "progress" {
                let found = record["alias"]
                    .as_str()
                    .or(record["payload"]["alias"].as_str());
                assert!(
                    found == Some(alias) || record["msg"] == "async_task_event",
                    "{record}"
                );
            }
        }
    }
    let denied = of_type(&done.records, "policy_decision");
    let denied = denied.iter().find(|r| r["allowed"] == false).unwrap();
    assert_eq!(denied["client"], "tests");
    assert_eq!(denied["code"], "no-rule", "{denied}");
    let allowed = of_type(&done.records, "policy_decision")[0];
    let sent = CommandHash::of("'uptime'").to_string();
    assert_eq!(allowed["canonical_hash"], sent, "{allowed}");
    assert!(allowed["rule"].is_u64() && pid > 0, "{allowed}");
}

/// A modern client says who it is with each request, and which trace it is of.
#[test]
fn a_request_brings_its_client_and_its_trace() {
    let fleet = Fleet::of(&["web1"]);
    let server = Launch::era(Era::V2026_07_28).start(&fleet.setup);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for trace in [trace, "nonsense"] {
        server.request(
            "tools/call",
            json!({
                "name": "ssh_list_hosts",
                "arguments": {},
                "_meta": {
                    "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "7"},
                    "traceparent": trace,
                },
            }),
        );
    }
    let done = server.finish();
    let calls = of_type(&done.records, "call");
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["traceparent"], trace);
    assert_eq!(calls[1]["traceparent"], Value::Null);
    for call in calls {
        assert_eq!(call["client"], "x");
        assert_eq!(call["client_version"], "7");
        assert_eq!(call["protocol"], "2026-07-28");
    }
}

#[test]
fn a_call_that_only_looked_is_on_record() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    let plan = json!({"alias": "web1", "command": "id -u"});
    server.tool("ssh_plan", plan);
    server.tool("ssh_list_hosts", json!({}));
    server.tool("ssh_describe_host", json!({"alias": "web1"}));
    let unknown = json!({"alias": "nosuch", "command": "uptime"});
    server.tool_error("ssh_run", unknown.clone());
    server.tool_error("ssh_run_async", unknown.clone());
    server.tool_error("ssh_plan", unknown);
    server.tool_error("ssh_run", json!({"alias": "web1", "cmd": "uptime"}));
    server.tool_error(
        "ssh_run_on_tag",
        json!({"tag": "nosuch", "command": "uptime"}),
    );
    server.tool_error("ssh_cancel", json!({"task_id": "web1:0:0"}));
    server.run("web1", "uptime");
    let done = server.finish();
    let calls: Vec<(&str, &str, &str)> = of_type(&done.records, "call")
        .into_iter()
        .map(|call| {
            let text = |name| call[name].as_str().unwrap_or("-");
            assert_eq!(call["client"], "tests", "{call}");
            (text("tool"), text("outcome"), text("alias"))
        })
        .collect();
    assert_eq!(
        calls,
        [
            ("ssh_plan", "answered", "web1"),
            ("ssh_list_hosts", "answered", "-"),
            ("ssh_describe_host", "answered", "web1"),
            ("ssh_run", "refused", "nosuch"),
            ("ssh_run_async", "refused", "nosuch"),
            ("ssh_plan", "refused", "nosuch"),
            ("ssh_run", "refused", "web1"),
            ("ssh_run_on_tag", "refused", "-"),
            ("ssh_cancel", "refused", "-"),
        ]
    );
    let plan = of_type(&done.records, "call")[0];
    assert_eq!(
        (&plan["verdict"], &plan["code"]),
        (&json!("deny"), &json!("no-rule"))
    );
    assert_eq!(plan["hash"], CommandHash::of("id -u").to_string());
    // Looking decides nothing: the one decision is that of the run.
    assert_eq!(of_type(&done.records, "policy_decision").len(), 1);
}

#[test]
fn a_network_denial_is_a_denial_with_its_reason_and_an_event() {
    let fleet = Fleet::of(&["web1"]);
    let policy = crate::common::policy_allowing(&["uptime"]);
    let elsewhere = policy.replace("[127.0.0.0/8]", "[192.0.2.0/24]");
    fleet.setup.write("policy.yml", &elsewhere);
    let server = Server::start(&fleet.setup);
    server.run("web1", "uptime");
    server.call(
        "ssh_run_async",
        json!({"alias": "web1", "command": "uptime"}),
    );
    let done = server.finish();
    let denied: Vec<&Value> = of_type(&done.records, "policy_decision")
        .into_iter()
        .filter(|r| r["allowed"] == false)
        .collect();
    assert_eq!(denied.len(), 2, "{:#?}", done.records);
    for decision in denied {
        assert_eq!(decision["code"], "network", "{decision}");
        assert!(
            decision["reason"]
                .as_str()
                .unwrap()
                .contains("policy.network")
        );
    }
    let events = of_type(&done.records, "security_event");
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event["event_type"], "network_denied", "{event}");
        assert_eq!(event["kind"], "security_audit");
        assert_eq!(event["alias"], "web1");
    }
}

/// The two recipes of the contract, over a log that holds every kind of event that it names
/// and what is none of them.
#[test]
fn the_recipes_find_every_security_event() {
    let scratch = Scratch::new("events");
    let path = scratch.path().join("log");
    let audit = Audit::to(File::create(&path).unwrap());
    let alias = HostAlias::parse("web1").unwrap();
    let hash = CommandHash::of("uptime && whoami");
    for event_type in [
        "path_traversal_attempt",
        "file_validation_failed",
        "file_size_limit_exceeded",
        "input_length_limit_exceeded",
        "invalid_secret_name",
        "dns_rate_limit_exceeded",
    ] {
        audit.emit(Record::security(SecurityEvent {
            event_type,
            attempted_path: Some("../etc/passwd".into()),
            reason: Some("contains_traversal_pattern"),
            extra: vec![("max_size", EventValue::Number(1))],
            ..SecurityEvent::default()
        }));
    }
    let part = |text: &str, position| ChainPart {
        hash: CommandHash::of(text),
        position,
        code: Code::Rule,
    };
    let trail = Trail {
        bypass: Some(Bypass {
            original_command: "r\\m -rf /".into(),
            normalized_command: "rm -rf /".into(),
            blocked_pattern: "rm -rf /".into(),
        }),
        chain: Some(Chain {
            parts: vec![part("uptime", 0), part("whoami", 10)],
            denied: None,
        }),
    };
    audit.trail(&alias, hash, &trail);
    audit.deny(&alias, hash, Grounds::default());
    audit.emit(Record::error("run_exception", "x"));
    drop(audit);
    let jq = |filter: &str| {
        let output = Command::new(tool("jq"))
            .args(["-r", filter])
            .arg(&path)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let found = jq(r#"select(.kind == "security_audit") | @json"#);
    let events: Vec<Value> = found
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: BTreeSet<&str> = events
        .iter()
        .map(|event| event["event_type"].as_str().unwrap())
        .collect();
    assert_eq!((events.len(), kinds.len()), (7, 7), "{found}");
    for event in &events {
        assert_eq!(event["type"], "security_event", "{event}");
        assert_eq!(event["level"], "error", "{event}");
        assert_eq!(event["timestamp"].as_str().unwrap().len(), 24, "{event}");
    }
    let alert = jq(
        r#"select(.event_type == "path_traversal_attempt") | "ALERT: \(.timestamp) - \(.reason) - \(.attempted_path)""#,
    );
    assert!(
        alert
            .trim()
            .ends_with("contains_traversal_pattern - ../etc/passwd"),
        "{alert}"
    );
    // A chain that was allowed is none.
    assert!(
        !jq(r#"select(.msg == "security_event")"#).contains("chain"),
        "{alert}"
    );
    assert!(CommandText::parse("uptime").is_ok());
}

/// What a reload meets, through the binary: each path event with its fields.
#[test]
fn path_events_have_their_fields() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    let keys = fleet.setup.keys.display().to_string();
    for (path, reason, resolved) in [
        (
            "../etc/passwd",
            "contains_traversal_pattern",
            format!("{keys}/../etc/passwd"),
        ),
        (
            "/etc/passwd",
            "absolute_path_rejected",
            "/etc/passwd".to_owned(),
        ),
    ] {
        let outside = fleet.credentials_yaml().replace("id_fleet", path);
        fleet.setup.write("credentials.yml", &outside);
        server.call("ssh_reload_config", json!({}));
        let event = server.wait_record("the event", |record| {
            record["event_type"] == "path_traversal_attempt" && record["attempted_path"] == path
        });
        assert_eq!(event["reason"], reason, "{event}");
        assert_eq!(event["resolved_path"], resolved, "{event}");
        assert_eq!(event["base_dir"], keys, "{event}");
    }
    server.finish();
}

/// What is recorded in words is in the file alone, and without secrets.
#[test]
fn commands_in_words_are_in_the_file_alone() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.secret("db", "correct-horse-battery");
    let policy = crate::common::policy_allowing(&["uptime", "echo *"]);
    for (mode, wanted) in [
        ("off", vec![]),
        ("denied", vec!["reboot  now"]),
        (
            "all",
            vec!["'uptime'", "reboot  now", "'echo' 'password=[redacted]'"],
        ),
    ] {
        let text = format!("record_commands: {mode}\n{policy}");
        fleet.setup.write("policy.yml", &text);
        let scratch = Scratch::new("words");
        let file = scratch.path().join("audit.jsonl");
        let args = ["--audit-file", file.to_str().unwrap()];
        let server = Launch::default().args(&args).start(&fleet.setup);
        server.run("web1", "uptime");
        server.run("web1", "reboot  now");
        server.run("web1", "echo password=hunter2hunter2");
        let done = server.finish();
        assert!(!done.log.contains("\"command\""), "{}", done.log);
        assert!(!done.log.contains("hunter2"), "{}", done.log);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let words: Vec<String> = text
            .lines()
            .filter_map(|line| {
                let record: Value = serde_json::from_str(line).unwrap();
                Some(record["command"].as_str()?.to_owned())
            })
            .collect();
        assert_eq!(words, wanted, "{mode}: {text}");
    }
}
