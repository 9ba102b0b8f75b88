//! A command runs on a real host under policy, and everything about it is on the record:
//! the conversation of an ordinary day, the five kinds of log record field by field, and
//! every recipe of the log contract over the log of a real run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::common::{
    Era, Fleet, HostSpec, Launch, Scratch, Server, members, task_of, text_of, tool,
};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

#[test]
fn uptime_runs_on_two_hosts() {
    let fleet = Fleet::of(&["web1", "web2"]);
    let server = Server::start(&fleet.setup);
    assert_eq!(server.tool("ssh_ping", json!({}))["status"], "pong");
    assert_eq!(
        server.tool("ssh_list_hosts", json!({}))["hosts"],
        json!(["web1", "web2"])
    );
    assert_eq!(
        server.tool("ssh_describe_host", json!({"alias": "web2"}))["alias"],
        "web2"
    );

    for alias in ["web1", "web2"] {
        let host = fleet.host(alias);
        let plan = server.tool("ssh_plan", json!({"alias": alias, "command": "uptime"}));
        assert_eq!(
            (&plan["allowed"], &plan["hash"]),
            (&json!(true), &json!("dd291cd6294b"))
        );
        let arguments = json!({"alias": alias, "command": "uptime"});
        let result = server.call("ssh_run", arguments);
        let run = members(&result);
        assert_eq!(run["hash"], plan["hash"]);
        assert_eq!(run["alias"], alias);
        assert_eq!(run["exit_code"], 0);
        // What is false is not said.
        assert!(run["cancelled"].is_null() && run["timeout"].is_null());
        assert_eq!(run["target_ip"], host.address.to_string());
        assert!(
            run["output"].as_str().unwrap().contains("load average"),
            "{run}"
        );
        assert!(run["duration_ms"].is_u64());
        // Nothing is left to be read with it: for programs alone.
        assert!(run["task_id"].is_null(), "{run}");
        let id = task_of(&result);
        let id = id.as_str().unwrap();
        let (name, secret) = id.rsplit_once(':').unwrap();
        assert_eq!(name, format!("{alias}:dd291cd6294b"));
        // 128 bits of a keyed hash: nobody guesses another's.
        assert!(
            secret.len() == 39 && secret.bytes().all(|b| b.is_ascii_digit()),
            "{id}"
        );
        host.wait_log("Accepted publickey");
    }
    let done = server.finish();
    assert_eq!(done.status.code(), Some(0));
}

#[test]
fn the_conversation_is_the_same_in_every_revision() {
    let fleet = Fleet::of(&["web1"]);
    for era in Era::ALL {
        let server = Launch::era(era).start(&fleet.setup);
        let listed: Vec<Value> = server.request("tools/list", json!({}))["tools"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(listed.len(), 17, "{}", era.name());
        assert_eq!(
            server.run("web1", "echo $HOME")["status"],
            "denied",
            "{}",
            era.name()
        );
        assert_eq!(
            server.run("web1", "echo hello")["output"],
            "hello",
            "{}",
            era.name()
        );
        assert_eq!(server.finish().status.code(), Some(0), "{}", era.name());
    }
}

#[test]
fn what_the_remote_command_says_comes_back() {
    let fleet = Fleet::with(vec![HostSpec::new("web1")]);
    fleet.host("web1").stub(
        "hostname",
        "#!/bin/sh\necho to stdout; echo to stderr >&2; exit 3\n",
    );
    let server = Server::start(&fleet.setup);
    let run = server.run("web1", "hostname");
    assert_eq!(run["exit_code"], 3);
    assert_eq!(run["output"], "to stdout");
    assert_eq!(run["stderr"], "to stderr");
    assert_eq!(server.run("web1", "echo 'a  b' \"c\"")["output"], "a  b c");
    // What the text shows is what the structured content says: some clients show only one.
    let result = server.call("ssh_run", json!({"alias": "web1", "command": "echo both"}));
    assert!(text_of(&result).ends_with(" ms\nboth"), "{result}");
    assert_eq!(result["structuredContent"]["output"], "both");
}

/// The keys of a JSON object in the order in which they stand.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Keys;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn keys(line: &str) -> String {
    serde_json::from_str::<Keys>(line).unwrap().0.join(" ")
}

/// A server with a history: allowed, denied, failed, timed out and cancelled runs, and a
/// reload of a credentials file that reaches outside its directory.
fn eventful_day() -> (Vec<Value>, String, String) {
    let fleet = Fleet::of(&["web1", "web2"]);
    let limits = "limits:\n  max_seconds: 2\n";
    let policy = crate::common::policy_allowing(&["uptime", "false", "sleep *"])
        .replace("limits:\n  max_seconds: 30\n", limits);
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    assert_eq!(server.run("web1", "uptime")["exit_code"], 0);
    assert_eq!(server.run("web2", "uptime")["exit_code"], 0);
    assert_eq!(server.run("web1", "false")["exit_code"], 1);
    for (alias, command) in [("web1", "reboot"), ("web1", "id"), ("web2", "reboot")] {
        assert_eq!(server.run(alias, command)["status"], "denied");
    }
    assert_eq!(server.run("web1", "sleep 60")["timeout"], true);

    let call = server.begin_call("ssh_run", json!({"alias": "web2", "command": "sleep 61"}));
    server.wait_record("the command running on web2", |record| {
        let id = record["task_id"].as_str().unwrap_or_default();
        record["phase"] == "running"
            && id.starts_with("web2:")
            && record["elapsed_ms"].as_u64() > Some(400)
    });
    server.notify(
        "notifications/cancelled",
        json!({"requestId": call, "reason": "changed my mind"}),
    );
    server.wait_record("the cancelled run", |record| {
        record["type"] == "audit" && record["cancelled"] == true
    });

    let outside = fleet
        .credentials_yaml()
        .replace("id_fleet", "../etc/passwd");
    fleet.setup.write("credentials.yml", &outside);
    server.call("ssh_reload_config", json!({}));
    server.wait_record("the traversal", |record| {
        record["event_type"] == "path_traversal_attempt"
    });

    // As `docker logs` shows them: both streams in one.
    let frames: String = server
        .frames()
        .iter()
        .map(|frame| format!("{frame}\n"))
        .collect();
    let done = server.finish();
    assert_eq!(done.status.code(), Some(0));
    (done.records, done.log, frames)
}

#[test]
fn each_kind_of_record_has_the_fields_of_the_contract() {
    let (records, log, _) = eventful_day();
    let expected = [
        ("policy_decision", "type ts alias hash allowed", 8),
        (
            "audit",
            "type ts alias hash exit_code duration_ms bytes_out bytes_err cancelled timeout target_ip canonical_hash",
            5,
        ),
        ("progress", "type ts task_id phase bytes_read elapsed_ms", 3),
        ("trace", "type op elapsed_ms", 5),
    ];
    for (kind, fields, at_least) in expected {
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.starts_with(&format!("{{\"type\":\"{kind}\"")))
            .collect();
        assert!(
            lines.len() >= at_least,
            "{} {kind} records in\n{log}",
            lines.len()
        );
        for line in lines {
            // They stay first; what joins records follows.
            let found = keys(line);
            assert!(found.starts_with(&format!("{fields} ")), "{line}");
            let joined = " os_user client client_version protocol request_id boot";
            assert!(found.ends_with(joined), "{line}");
        }
    }
    for record in &records {
        match record["type"].as_str() {
            Some("policy_decision") => {
                assert!(
                    record["ts"].is_f64() && record["allowed"].is_boolean(),
                    "{record}"
                );
                assert_eq!(record["hash"].as_str().unwrap().len(), 12);
            }
            Some("audit") => {
                assert!(
                    record["ts"].is_f64()
                        && record["exit_code"].is_i64()
                        && record["target_ip"].is_string()
                );
                for number in ["duration_ms", "bytes_out", "bytes_err"] {
                    assert!(record[number].is_u64(), "{number} in {record}");
                }
                assert!(record["cancelled"].is_boolean() && record["timeout"].is_boolean());
            }
            Some("progress") => {
                let phase = record["phase"].as_str().unwrap();
                assert!(
                    ["connecting", "connected", "running"].contains(&phase),
                    "{record}"
                );
                assert!(
                    record["bytes_read"].is_u64()
                        && record["elapsed_ms"].is_u64()
                        && record["ts"].is_f64()
                );
            }
            Some("trace") => assert!(
                record["op"] == "run_done" && record["elapsed_ms"].is_u64(),
                "{record}"
            ),
            _ => {}
        }
    }
    let security = log
        .lines()
        .find(|line| line.contains("path_traversal_attempt"))
        .unwrap();
    assert!(
        keys(security).starts_with("type level kind event_type ts timestamp attempted_path"),
        "{security}"
    );
    let security: Value = serde_json::from_str(security).unwrap();
    assert_eq!(
        (&security["level"], &security["kind"]),
        (&json!("error"), &json!("security_audit"))
    );
    assert_eq!(security["type"], "security_event");
}

#[test]
fn a_run_is_recorded_in_order() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    // Silent for over a second: progress comes all the same.
    let run = server.run_id("web1", "sleep 1.3");
    let done = server.finish();
    let of_run: Vec<String> = done
        .records
        .iter()
        .filter(|r| {
            r["task_id"] == run
                || ["policy_decision", "audit", "trace"]
                    .contains(&r["type"].as_str().unwrap_or_default())
        })
        .map(|r| {
            r["phase"]
                .as_str()
                .or(r["type"].as_str())
                .unwrap()
                .to_owned()
        })
        .collect();
    let mut short = of_run.clone();
    short.dedup();
    assert_eq!(
        short,
        [
            "policy_decision",
            "connecting",
            "connected",
            "running",
            "audit",
            "trace"
        ],
        "{of_run:?}"
    );
    assert!(
        of_run.iter().filter(|phase| *phase == "running").count() >= 2,
        "{of_run:?}"
    );
}

#[test]
fn every_recipe_of_the_log_contract_works() {
    let (_, log, frames) = eventful_day();
    let scratch = Scratch::new("recipes");
    let file = scratch.path().join("container.log");
    let mixed: String = frames
        .lines()
        .zip(log.lines())
        .flat_map(|(a, b)| [a, "\n", b, "\n"])
        .collect();
    let rest: Vec<&str> = log.lines().skip(frames.lines().count()).collect();
    std::fs::write(&file, mixed + &rest.join("\n") + "\n").unwrap();

    tool("jq");
    let recipes = include_str!("../../data/log_recipes.txt");
    let mut run = 0;
    for block in recipes
        .split("\n\n")
        .filter(|block| !block.starts_with('#'))
    {
        let mut lines = block.trim().lines();
        let (name, pipeline) = (lines.next().unwrap(), lines.next().unwrap());
        let expected = lines
            .next()
            .and_then(|line| line.strip_prefix("expect: "))
            .unwrap();
        let (source, rest) = pipeline.split_once(" 2>&1 ").unwrap();
        assert!(source.starts_with("docker logs"), "{name}");
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("cat '{}' {rest}", file.display())])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success() && err.is_empty(),
            "{name}: {pipeline}\n{err}"
        );
        if expected == "empty" {
            assert!(out.is_empty(), "{name} gave {out}");
        } else {
            assert!(out.contains(expected), "{name}: no {expected:?} in\n{out}");
        }
        run += 1;
    }
    assert_eq!(run, 22, "a recipe is missing");
}

/// `hash` is of the text as it was sent, `canonical_hash` of what goes to the host: the same
/// for every spelling, in plan, answer and record.
#[test]
fn a_command_goes_by_one_name_however_it_is_written() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    let (mut hashes, mut names) = (BTreeSet::new(), BTreeSet::new());
    for spelling in [
        "echo -n x",
        "echo  -n x",
        "echo '-n' \"x\"",
        "echo -n x # said",
    ] {
        let arguments = json!({"alias": "one", "command": spelling});
        let plan = server.tool("ssh_plan", arguments.clone());
        let run = server.call("ssh_run", arguments);
        hashes.insert(plan["hash"].to_string());
        assert_eq!(members(&run)["hash"], plan["hash"]);
        let answer = &run["_meta"]["io.github.mcp-ssh-orchestrator/canonical_hash"];
        assert_eq!(answer, &plan["canonical_hash"], "{run}");
        names.insert(answer.as_str().unwrap().to_owned());
    }
    assert_eq!((hashes.len(), names.len()), (4, 1));
    let records = server.finish().records;
    for kind in ["policy_decision", "audit"] {
        let of_kind = records.iter().filter(|record| record["type"] == kind);
        let recorded: Vec<&str> = of_kind
            .map(|record| record["canonical_hash"].as_str().unwrap())
            .collect();
        assert_eq!(recorded.len(), 4, "{kind}");
        assert!(recorded.iter().all(|name| names.contains(*name)), "{kind}");
    }
}

/// What needs quotes reaches a host without a shell of ours only in those that it reads.
#[test]
fn a_direct_host_gets_the_quotes_that_it_reads() {
    let hosts = [
        ("none", "quotes: none"),
        ("one", "quotes: single"),
        ("two", "quotes: double"),
    ];
    // A forced command finds the very text.
    let hosts = hosts.map(|(alias, quotes)| {
        HostSpec::new(alias)
            .yaml("shell: direct")
            .yaml(quotes)
            .force_command("printenv SSH_ORIGINAL_COMMAND")
    });
    let fleet = Fleet::with(hosts.into());
    let server = Server::start(&fleet.setup);
    let command = "echo \"a  b\" plain";
    let refused = server.tool_error("ssh_run", json!({"alias": "none", "command": command}));
    assert!(refused.contains("syntax:bare-words"), "{refused}");
    assert_eq!(server.run("one", command)["output"], "echo 'a  b' plain");
    assert_eq!(server.run("two", command)["output"], "echo \"a  b\" plain");
    assert_eq!(server.run("none", "echo  'plain'")["output"], "echo plain");
    server.finish();
}
