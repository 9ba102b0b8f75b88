//! Promise: what one client makes the server hold is bounded in bytes. Beyond that a call is
//! refused and says what to wait for; what runs goes on. Descriptors are shared out likewise.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use serde_json::{Value, json};

use crate::common::{Fleet, Launch, Server, members, policy_allowing, text_of, wait_until};

/// The most that the server has had resident, in MiB.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid)).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() / 1024
}

/// A host that accepts connections and says nothing, and a command of about 8 KB.
fn hanging() -> (Fleet, String) {
    let fleet = Fleet::of(&["web1"]);
    fleet
        .setup
        .write("policy.yml", &policy_allowing(&["echo *"]));
    fleet.host("web1").freeze();
    (fleet, format!("echo {}", "x".repeat(8_000)))
}

#[test]
fn commands_that_wait_are_refused_when_they_would_take_too_much() {
    let (fleet, command) = hanging();
    let server = Server::start(&fleet.setup);
    let before = peak(&server);
    let (mut taken, mut refused) = (0_u32, String::new());
    for _ in 0..4_000 {
        let arguments = json!({"alias": "web1", "command": command});
        let result = server.call("ssh_run_async", arguments);
        if result["isError"] == true {
            refused = text_of(&result);
            break;
        }
        taken += 1;
    }
    assert!(taken > 1_000, "{taken}: {refused}");
    assert!(refused.contains("memory for calls"), "{refused}");
    assert!(refused.contains("wait until"), "{refused}");
    let grown = peak(&server) - before;
    assert!(grown <= 64, "{taken} commands took {grown} MiB");
    // What asks little is served, and what ends makes room.
    let tasks = server.tool("ssh_list_hosts", json!({}));
    assert!(tasks.to_string().contains("web1"));
    server.finish();
}

#[test]
fn open_questions_wait_on_one_thread() {
    let fleet = Fleet::of(&["web1"]);
    let ask =
        "  - {action: ask, trust_arguments: true, aliases: [\"*\"], commands: [\"echo *\"]}\n";
    let policy = policy_allowing(&["true"]) + ask;
    fleet.setup.write("policy.yml", &policy);
    let launch = Launch::default().capabilities(json!({"elicitation": {}}));
    let server = launch.start(&fleet.setup);
    let before = peak(&server);
    let many = 600;
    let calls: Vec<Value> = (0..many)
        .map(|number| {
            let asked = json!({"alias": "web1", "command": format!("echo {number}")});
            server.begin_call("ssh_run", asked)
        })
        .collect();
    let questions = || {
        let frames = server.frames().into_iter();
        let asked = frames.filter(|frame| frame["method"] == "elicitation/create");
        asked.collect::<Vec<_>>()
    };
    wait_until("all are asked", || questions().len() == many);
    let threads = || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid)).unwrap();
        threads.count()
    };
    assert!(threads() < 20, "{} threads", threads());
    let grown = peak(&server) - before;
    assert!(grown <= 16, "{grown} MiB");
    // Each answer is for its own question, and others go on waiting.
    let said = |number: usize| {
        let number = number.to_string();
        let asked = questions();
        let asked = asked.iter().find(|asked| {
            let shown = asked["params"]["message"].as_str().unwrap();
            let mut words = shown.split_whitespace();
            words.any(|word| word.trim_matches('\'') == number)
        });
        let yes = json!({"action": "accept", "content": {}});
        server.send(&json!({"jsonrpc": "2.0", "id": asked.unwrap()["id"], "result": yes}));
    };
    // None of them is the number of the rule's line, which is shown too.
    for number in [107, 590, 301] {
        said(number);
        let result = server.response(&calls[number])["result"].clone();
        assert_eq!(members(&result)["output"], number.to_string(), "{result}");
    }
    // Who is never answered is on record as that, each of them.
    server.close_stdin();
    let done = server.finish();
    let outcomes = |outcome: &str| {
        let records = done.records.iter();
        let of = records.filter(|r| r["type"] == "approval" && r["outcome"] == outcome);
        of.count()
    };
    assert_eq!(outcomes("accepted"), 3);
    assert_eq!(outcomes("client_lost"), many - 3, "{}", done.log);
    let ran = done.records.iter().filter(|r| r["type"] == "audit");
    assert_eq!(ran.count(), 3);
}

#[test]
fn a_line_that_would_become_a_hundred_times_its_size_is_refused() {
    let fleet = Fleet::of(&["web1"]);
    let server = Launch::default().start(&fleet.setup);
    let before = peak(&server);
    for bomb in ["{\"a\":1}", "[[1]]", "1,1", "{\"a\":[{\"b\":{}}]}"] {
        let members = vec![bomb; 900_000 / (bomb.len() + 1)].join(",");
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":\"bomb\",\"method\":\"ping\",\"params\":{{\"a\":[{members}]}}}}\n"
        );
        server.send_raw(line.as_bytes());
        let answer = server.wait_frame("an answer", |frame| {
            frame["id"] == "bomb" && frame["error"]["message"].is_string()
        });
        let said = answer["error"]["message"].as_str().unwrap();
        assert!(said.contains("in one message"), "{said}");
    }
    let grown = peak(&server) - before;
    assert!(grown <= 16, "{grown} MiB");
    server.finish();
}

/// A task of the protocol is given up when its client said, counted from its beginning.
#[test]
fn a_task_of_the_protocol_is_kept_as_long_as_its_client_wants() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    let call = json!({
        "name": "ssh_run",
        "arguments": {"alias": "web1", "command": "echo hello"},
        "task": {"ttl": 1},
    });
    let made = server.request("tools/call", call);
    let id = made["task"]["taskId"].clone();
    // It is there until its end, whatever its client wants, and not a moment longer.
    server.wait_frame("its end", |frame| {
        frame["method"] == "notifications/tasks/status" && frame["params"]["status"] == "completed"
    });
    let code = server.error_code("tasks/get", json!({"taskId": id}));
    assert_eq!(code, -32_602);
    server.finish();
}

/// With few descriptors hosts wait for one another, and the start says that they will.
#[test]
fn hosts_wait_where_descriptors_are_few() {
    let fleet = Fleet::of(&["web1"]);
    let first = fleet.servers_yaml();
    let entry = first.strip_prefix("hosts:\n").unwrap();
    let more: String = (1..24)
        .map(|n| entry.replace("web1", &format!("node{n}")))
        .collect();
    fleet.setup.write("servers.yml", &(first.clone() + &more));
    let mut child = super::limits::limited(&fleet.setup, "-n 40", &[]);
    let (answer, log) = super::limits::ask(
        &mut child,
        &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "ssh_run_on_tag",
            "arguments": {"aliases": names(24), "command": "echo hello"}}}),
    );
    let summary = &answer["result"]["structuredContent"]["summary"];
    assert_eq!(summary["succeeded"], 24, "{answer}\n{log}");
    assert!(log.contains("RLIMIT_NOFILE"), "{log}");
}

fn names(count: usize) -> Vec<Value> {
    let others = (1..count).map(|n| json!(format!("node{n}")));
    std::iter::once(json!("web1")).chain(others).collect()
}
