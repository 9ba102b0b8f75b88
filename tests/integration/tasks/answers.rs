//! Answers that a model can read: recorded ones for one host, 5, 40 and 300, in both forms,
//! and the bounds of each. What varies from run to run is written as a word in brackets.
//!
//! The recorded answers are `tests/data/answers/`; `WRITE_ANSWERS=1` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::PathBuf;

use crate::common::{Fleet, Server, policy_allowing, text_of};
use serde_json::{Value, json};

/// The text and the structure of a result, without what varies.
fn steady(result: &Value, fleet: &Fleet) -> (String, String) {
    let structure = result.get("structuredContent").cloned().unwrap_or_default();
    let mut text = text_of(result);
    let mut members = serde_json::to_string_pretty(&structure).unwrap() + "\n";
    let mut ids = Vec::new();
    collect(&structure, "task_id", &mut ids);
    for id in ids {
        let alias = id.split(':').next().unwrap().to_owned();
        for all in [&mut text, &mut members] {
            *all = all.replace(&id, &format!("[id of {alias}]"));
        }
    }
    for machine in &fleet.machines {
        let address = machine.address.to_string();
        members = members.replace(&address, "[address]");
    }
    let mut durations = Vec::new();
    numbers(&structure, "duration_ms", &mut durations);
    for duration in durations {
        text = text.replace(&format!("{duration} ms"), "[time] ms");
        let member = format!("\"duration_ms\": {duration}");
        members = members.replace(&member, "\"duration_ms\": [time]");
    }
    (text + "\n", members)
}

fn collect(value: &Value, key: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get(key).and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect(value, key, into));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, key, into)),
        _ => {}
    }
}

fn numbers(value: &Value, key: &str, into: &mut Vec<u64>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get(key).and_then(Value::as_u64));
            members.values().for_each(|value| numbers(value, key, into));
        }
        Value::Array(values) => values.iter().for_each(|value| numbers(value, key, into)),
        _ => {}
    }
}

fn compare(name: &str, result: &Value, fleet: &Fleet) {
    let (text, members) = steady(result, fleet);
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/answers");
    for (kind, found) in [("txt", text), ("json", members)] {
        let path = dir.join(format!("{name}.{kind}"));
        if std::env::var_os("WRITE_ANSWERS").is_some() {
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == expected, "{}:\n{found}", path.display());
    }
}

/// `uptime` as each host of a crowd says it: its own line, or the same everywhere.
fn uptime(fleet: &Fleet, own: bool) {
    let cases: String = fleet
        .machines
        .iter()
        .enumerate()
        .map(|(n, machine)| {
            let n = if own { n } else { 0 };
            let line = format!(
                " 10:{:02}:07 up {} days,  3:12,  1 user,  load average: 0.{:02}, 0.05, 0.01",
                n % 60,
                n + 10,
                n
            );
            format!("{}) echo '{line}';;\n", machine.address)
        })
        .collect();
    let script = format!("#!/bin/sh\nset -- $SSH_CONNECTION\ncase $3 in\n{cases}esac\n");
    for machine in &fleet.machines {
        machine.stub("uptime", &script);
    }
    fleet.allow(&["uptime"]);
}

fn on_crowd(server: &Server) -> Value {
    let arguments = json!({"tag": "crowd", "command": "uptime"});
    server.call("ssh_run_on_tag", arguments)
}

#[test]
fn one_host() {
    let fleet = Fleet::of(&["web1"]);
    fleet.host("web1").stub(
        "uptime",
        "#!/bin/sh\necho '  10:00:07 up 10 days,  3:12'\necho 'second line'\n",
    );
    fleet
        .host("web1")
        .stub("hostname", "#!/bin/sh\necho out\necho oops >&2\nexit 3\n");
    let server = Server::start(&fleet.setup);
    let run = |command: &str| {
        let arguments = json!({"alias": "web1", "command": command});
        server.call("ssh_run", arguments)
    };
    compare("one", &run("uptime"), &fleet);
    compare("one-failed", &run("hostname"), &fleet);
    compare("one-silent", &run("true"), &fleet);
    server.finish();
}

#[test]
fn five_hosts() {
    let fleet = Fleet::crowd(5);
    uptime(&fleet, true);
    // The last is another's address: its key is not known there, and nothing is sent.
    let servers = fleet.servers_yaml();
    let (before, last) = servers.rsplit_once("port: ").unwrap();
    let rest: String = last.chars().skip_while(char::is_ascii_digit).collect();
    fleet
        .setup
        .write("servers.yml", &format!("{before}port: 9{rest}"));
    let server = Server::start(&fleet.setup);
    compare("five", &on_crowd(&server), &fleet);
    server.finish();
}

#[test]
fn forty_hosts() {
    let fleet = Fleet::crowd(40);
    uptime(&fleet, true);
    let server = Server::start(&fleet.setup);
    compare("forty", &on_crowd(&server), &fleet);
    server.finish();
}

/// Three hundred names of twenty hosts, which all say the same.
#[test]
fn three_hundred_hosts() {
    let fleet = Fleet::crowd(20);
    uptime(&fleet, false);
    let yaml = fleet.servers_yaml();
    let entries = yaml.strip_prefix("hosts:\n").unwrap();
    let mut all = "hosts:\n".to_owned();
    for round in 0..15 {
        let mut entries = entries.to_owned();
        for n in 0..20 {
            let new = format!("alias: web{:03}\n", round * 20 + n);
            entries = entries.replace(&format!("alias: node-{n:03}\n"), &new);
        }
        all += &entries;
    }
    fleet.setup.write("servers.yml", &all);
    let policy = policy_allowing(&["uptime"]);
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    compare("three-hundred", &on_crowd(&server), &fleet);
    server.finish();
}

#[test]
fn what_does_not_fit_is_shown_in_part_and_read_on() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["seq *"]);
    let server = Server::start(&fleet.setup);
    let arguments = json!({"alias": "web1", "command": "seq 100000"});
    let result = server.call("ssh_run", arguments);
    let text = text_of(&result);
    assert!(text.chars().count() < 17_000, "{}", text.len());
    assert!(text.contains("\n1\n2\n") && text.ends_with("\n99999\n100000"));
    let run = &result["structuredContent"];
    assert_eq!(run["truncated"], true);
    let shown = run["output"].as_str().unwrap();
    let gap = shown.lines().find(|line| line.starts_with("[…")).unwrap();
    let from = gap
        .split("from_line ")
        .nth(1)
        .unwrap()
        .trim_end_matches(']');
    let from: u64 = from.parse().unwrap();
    // The call that the line names gives the next lines.
    let next = server.tool(
        "ssh_get_task_output",
        json!({"task_id": run["task_id"], "from_line": from, "lines": 3}),
    );
    let expected: Vec<String> = (from..from + 3).map(|n| n.to_string()).collect();
    assert_eq!(next["output_lines"], json!(expected));
    assert_eq!(next["has_more"], true);
    // So many lines as were asked for, and no more characters than were asked for.
    let arguments = json!({"alias": "web1", "command": "seq 100000", "head": 2, "tail": "1"});
    let few = server.tool("ssh_run", arguments);
    let lines: Vec<&str> = few["output"].as_str().unwrap().lines().collect();
    assert_eq!((lines[0], lines[1], lines[3]), ("1", "2", "100000"));
    let arguments = json!({"alias": "web1", "command": "seq 100000", "max_chars": 500});
    let little = server.tool("ssh_run", arguments);
    assert!(little["output"].as_str().unwrap().len() < 750);
    server.finish();
}

#[test]
fn an_output_is_searched_and_arguments_that_do_not_go_together_are_refused() {
    let fleet = Fleet::of(&["web1"]);
    fleet.host("web1").stub(
        "hostname",
        "#!/bin/sh\nseq 1000\necho 'Warning: late' >&2\n",
    );
    let server = Server::start(&fleet.setup);
    let id = server.run_id("web1", "hostname");
    let read = |more: Value| {
        let mut arguments = json!({"task_id": id});
        let more = more.as_object().unwrap().clone();
        arguments.as_object_mut().unwrap().extend(more);
        server.call("ssh_get_task_output", arguments)
    };
    let found = read(json!({"find": "500", "context": 1}));
    let found = &found["structuredContent"];
    assert_eq!(
        found["output_lines"],
        json!(["499- 499", "500: 500", "501- 501"])
    );
    assert_eq!(
        (&found["matches"], &found["has_more"]),
        (&json!(1), &json!(false))
    );
    let any = read(json!({"find": "warning", "ignore_case": true, "stream": "stderr"}));
    assert_eq!(
        any["structuredContent"]["output_lines"],
        json!(["1: Warning: late"])
    );
    let stdout = read(json!({"max_lines": 1, "stream": "stdout"}));
    assert_eq!(stdout["structuredContent"]["output_lines"], json!(["1000"]));
    let bounded = read(json!({"find": "1", "max_chars": 200}));
    assert_eq!(bounded["structuredContent"]["has_more"], true);
    assert!(text_of(&bounded).len() < 400);
    for wrong in [
        json!({"offset": 1, "find": "x"}),
        json!({"max_lines": 1, "from_line": 2}),
        json!({"context": 1}),
        json!({"lines": 5}),
        json!({"limit": 5}),
        json!({"stream": "both ways"}),
    ] {
        assert_eq!(read(wrong.clone())["isError"], true, "{wrong}");
    }
    server.finish();
}

#[test]
fn a_line_that_is_too_long_says_where_its_rest_is() {
    let fleet = Fleet::of(&["web1"]);
    fleet.host("web1").stub(
        "hostname",
        "#!/bin/sh\necho '  first'\nhead -c 5000 /dev/zero | tr '\\0' x\necho y\n",
    );
    let server = Server::start(&fleet.setup);
    let run = server.run("web1", "hostname");
    let shown = run["output"].as_str().unwrap();
    // Indented as it came, and the long line with a mark.
    assert!(shown.starts_with("  first\nxxx"), "{shown}");
    let offset = shown.split("offset ").nth(1).unwrap().trim_end_matches(']');
    let offset: u64 = offset.parse().unwrap();
    let rest = server.tool(
        "ssh_get_task_output",
        json!({"task_id": run["task_id"], "offset": offset}),
    );
    assert_eq!(rest["text"].as_str().unwrap(), "x".repeat(3000) + "y\n");
    server.finish();
}

#[test]
fn one_call_waits_in_place_of_many_that_ask() {
    let fleet = Fleet::of(&["web1"]);
    fleet
        .host("web1")
        .stub("hostname", "#!/bin/sh\nsleep 1\necho done\n");
    let server = Server::start(&fleet.setup);
    let arguments = json!({"alias": "web1", "command": "hostname"});
    let task = server.tool("ssh_run_async", arguments);
    assert_eq!(
        task["max_seconds"], 3600,
        "the limit of what is not waited for"
    );
    let id = &task["task_id"];
    let status = server.tool("ssh_get_task_status", json!({"task_id": id}));
    assert!(status.get("progress_percent").is_none(), "{status}");
    let result = server.tool(
        "ssh_get_task_result",
        json!({"task_id": id, "wait_seconds": 45}),
    );
    assert_eq!(result["output"], "done");
    let arguments = json!({"alias": "web1", "command": "hostname", "timeout": 31});
    let said = server.tool_error("ssh_run", arguments);
    assert!(said.contains("at most 30 s"), "{said}");
    let arguments = json!({"alias": "web1", "command": "hostname", "timeout": 1});
    let short = server.tool("ssh_run_async", arguments);
    assert_eq!(short["max_seconds"], 1);
    server.finish();
}

#[test]
fn hosts_are_found_by_tags_texts_and_expressions() {
    let fleet = Fleet::crowd(6);
    let mut servers = fleet.servers_yaml();
    for n in 0..3 {
        let alias = format!("alias: node-{n:03}\n");
        servers = servers.replace(&alias, &format!("{alias}    description: Web front\n"));
    }
    let (first, rest) = servers.split_once("alias: node-001").unwrap();
    let first = first.replace("[crowd]", "[crowd, canary]");
    fleet
        .setup
        .write("servers.yml", &format!("{first}alias: node-001{rest}"));
    fleet.allow(&["hostname"]);
    for machine in &fleet.machines {
        machine.stub("hostname", "#!/bin/sh\necho same\n");
    }
    let server = Server::start(&fleet.setup);
    let listed = server.call("ssh_list_hosts", json!({}));
    let text = text_of(&listed);
    assert!(
        text.contains("node-000 [crowd, canary] Web front\n"),
        "{text}"
    );
    assert!(
        text.contains("node-001, node-002 [crowd] Web front\n"),
        "{text}"
    );
    assert!(text.contains("node-[003-005] [crowd]"), "{text}");
    let few = server.tool(
        "ssh_list_hosts",
        json!({"text": "front", "tag": "crowd and not canary"}),
    );
    assert_eq!(few["hosts"], json!(["node-001", "node-002"]));
    let hosts = |arguments: Value| {
        let mut all = json!({"command": "hostname", "group_identical": false});
        let more = arguments.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(more);
        let run = server.tool("ssh_run_on_tag", all);
        let results = run["results"].as_array().unwrap();
        results
            .iter()
            .map(|one| one["alias"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(hosts(json!({"tag": "not (canary or crowd)"})).len(), 0);
    assert_eq!(hosts(json!({"tag": "canary"})), ["node-000"]);
    assert_eq!(hosts(json!({"tag": "all"})).len(), 6);
    let named = json!({"aliases": ["node-005", "node-002"]});
    assert_eq!(hosts(named), ["node-002", "node-005"]);
    for (wrong, says) in [
        (
            json!({"tag": "crowed"}),
            "nearest: crowd; there are: canary, crowd",
        ),
        (json!({"tag": "crowd and"}), "cannot be read"),
        (
            json!({"tag": "crowd", "aliases": ["node-001"]}),
            "do not go together",
        ),
        (json!({"aliases": ["node-0O1"]}), "not found"),
    ] {
        let mut arguments = json!({"command": "hostname"});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(wrong.as_object().unwrap().clone());
        let said = server.tool_error("ssh_run_on_tag", arguments);
        assert!(said.contains(says), "{said}");
    }
    server.finish();
}

/// What models write is taken where nobody can mean anything else by it.
#[test]
fn numbers_and_booleans_as_text_are_taken_and_made_up_arguments_where_there_are_none() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    assert_eq!(
        server.tool("ssh_ping", json!({"random_string": "x"}))["status"],
        "pong"
    );
    let id = server.run_id("web1", "seq 9");
    let tail = json!({"task_id": id, "max_lines": "2", "offset": "", "find": ""});
    let tail = server.tool("ssh_get_task_output", tail);
    assert_eq!(tail["output_lines"], json!(["8", "9"]));
    let said = server.tool_error(
        "ssh_run",
        json!({"alias": "web1", "command": "x", "random_string": 1}),
    );
    assert!(said.contains("unknown argument"), "{said}");
    server.finish();
}
