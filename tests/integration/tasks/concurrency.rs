//! How much goes on at once: bounded in all and for each host, fair between hosts, a full
//! queue refused, and never more logins than a default sshd takes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, Gate, HostSpec, Server, policy_allowing, wait_until};
use serde_json::{Value, json};

/// The usual policy with a `concurrency:` of its own.
fn bounded(fleet: &Fleet, concurrency: &str) {
    let policy = policy_allowing(&["hostname", "uptime *", "echo *"]);
    fleet.setup.write(
        "policy.yml",
        &format!("{policy}concurrency: {{{concurrency}}}\n"),
    );
}

fn start(server: &Server, alias: &str, command: &str) -> Value {
    let task = server.tool("ssh_run_async", json!({"alias": alias, "command": command}));
    task["task_id"].clone()
}

fn state(server: &Server, id: &Value) -> Value {
    server.tool("ssh_get_task_status", json!({"task_id": id}))["status"].clone()
}

#[test]
fn beyond_the_bound_of_a_host_tasks_wait_in_order_and_other_hosts_do_not() {
    let fleet = Fleet::of(&["busy", "idle"]);
    let gate = Gate::new();
    fleet
        .host("busy")
        .stub("uptime", &format!("#!/bin/sh\n{}\n", gate.wait()));
    bounded(&fleet, "max_per_host: 2");
    let server = Server::start(&fleet.setup);
    let runs = |id: &Value| wait_until("it to run", || state(&server, id) == "running");
    let ids: Vec<_> = (1..=5)
        .map(|n| {
            let id = start(&server, "busy", &format!("uptime {n}"));
            // Two that begin at the same time are on record in any order.
            if n <= 2 {
                runs(&id);
            }
            id
        })
        .collect();
    for id in &ids[2..] {
        assert_eq!(state(&server, id), "pending");
    }
    // Another host does not wait for this one.
    assert_eq!(server.run("idle", "echo now")["output"], "now");
    for id in &ids[2..] {
        gate.open();
        runs(id);
    }
    (0..2).for_each(|_| gate.open());
    for id in &ids {
        wait_until("its end", || state(&server, id) == "completed");
    }
    let records = server.finish().records;
    let begun: Vec<Value> = records
        .iter()
        .filter(|r| {
            r["type"] == "progress" && r["phase"] == "connecting" && ids.contains(&r["task_id"])
        })
        .map(|r| r["task_id"].clone())
        .collect();
    assert_eq!(
        begun, ids,
        "begun in the order in which they were asked for"
    );
}

#[test]
fn a_host_with_many_waiting_tasks_takes_turns_with_the_others() {
    let fleet = Fleet::of(&["a", "b", "c"]);
    let gate = Gate::new();
    fleet
        .host("a")
        .stub("hostname", &format!("#!/bin/sh\n{}\n", gate.wait()));
    bounded(&fleet, "max_tasks: 1, max_per_host: 1");
    let server = Server::start(&fleet.setup);
    let first = start(&server, "a", "hostname");
    let mut ids = vec![first];
    for (alias, count) in [("a", 3), ("b", 2), ("c", 1)] {
        ids.extend((0..count).map(|n| start(&server, alias, &format!("echo {n}"))));
    }
    wait_until("the first to run", || state(&server, &ids[0]) == "running");
    gate.open();
    for id in &ids {
        wait_until("its end", || state(&server, id) == "completed");
    }
    let records = server.finish().records;
    let ended: Vec<&str> = records
        .iter()
        .filter(|r| r["type"] == "audit")
        .map(|r| r["alias"].as_str().unwrap())
        .collect();
    assert_eq!(ended, ["a", "a", "b", "c", "a", "b", "a"]);
}

#[test]
fn a_full_queue_is_refused_and_nothing_waiting_is_lost() {
    let fleet = Fleet::of(&["web1"]);
    let gate = Gate::new();
    fleet
        .host("web1")
        .stub("hostname", &format!("#!/bin/sh\n{}\n", gate.wait()));
    bounded(&fleet, "max_tasks: 1, max_per_host: 1");
    let server = Server::start(&fleet.setup);
    let running = start(&server, "web1", "hostname");
    wait_until("it to run", || state(&server, &running) == "running");
    let calls: Vec<Value> = (0..4_096)
        .map(|n| {
            server.begin_call(
                "ssh_run_async",
                json!({"alias": "web1", "command": format!("echo {n}")}),
            )
        })
        .collect();
    // The last one may be answered before another is.
    let taken: Vec<Value> = calls.iter().map(|call| server.response(call)).collect();
    let last = taken.last().unwrap()["result"]["structuredContent"]["task_id"].clone();
    assert_eq!(state(&server, &last), "pending");
    for tool in ["ssh_run_async", "ssh_run"] {
        let error = server.tool_error(tool, json!({"alias": "web1", "command": "echo more"}));
        assert!(error.contains("queue is full"), "{error}");
    }
    // A place that becomes free can be taken.
    assert_eq!(
        server.tool("ssh_cancel", json!({"task_id": last}))["cancelled"],
        true
    );
    assert_eq!(state(&server, &last), "cancelled");
    let again = start(&server, "web1", "echo more");
    assert_eq!(state(&server, &again), "pending");
    server.finish();
}

#[test]
fn a_task_that_waits_is_cancelled_at_once_and_on_record() {
    let fleet = Fleet::of(&["web1"]);
    let gate = Gate::new();
    fleet
        .host("web1")
        .stub("hostname", &format!("#!/bin/sh\n{}\n", gate.wait()));
    bounded(&fleet, "max_per_host: 1");
    let server = Server::start(&fleet.setup);
    let running = start(&server, "web1", "hostname");
    wait_until("it to run", || state(&server, &running) == "running");
    let waiting = start(&server, "web1", "echo never");
    assert_eq!(
        server.tool("ssh_cancel", json!({"task_id": waiting}))["cancelled"],
        true
    );
    assert_eq!(state(&server, &waiting), "cancelled");
    gate.open();
    wait_until("its end", || state(&server, &running) == "completed");
    let records = server.finish().records;
    let count = |kind: &str| records.iter().filter(|r| r["type"] == kind).count();
    assert_eq!((count("policy_decision"), count("audit")), (2, 2));
    let cancelled = records
        .iter()
        .find(|r| r["type"] == "audit" && r["cancelled"] == true)
        .unwrap();
    assert_eq!(
        (&cancelled["duration_ms"], &cancelled["target_ip"]),
        (&json!(0), &json!(""))
    );
}

#[test]
fn a_default_sshd_never_refuses_what_the_server_itself_caused() {
    // The settings of sshd_config(5) where nothing is said, and no session to spare.
    let spec = HostSpec::new("web1")
        .sshd("MaxStartups 10:100:10")
        .sshd("MaxSessions 10");
    let mut fleet = Fleet::with(vec![spec]);
    // Many aliases for one and the same sshd: only the address tells.
    let one = fleet.servers_yaml();
    let entry = one.strip_prefix("hosts:\n").unwrap();
    let all: String = (0..40)
        .map(|n| {
            entry
                .replace("alias: web1", &format!("alias: same{n}"))
                .replace("tags: []", "tags: [same]")
        })
        .collect();
    fleet.setup.write("servers.yml", &format!("hosts:\n{all}"));
    fleet.setup.write(
        "policy.yml",
        &(policy_allowing(&["echo *"]).replace("max_seconds: 30", "max_seconds: 60")
            + "concurrency: {max_per_host: 64, fan_out: 64}\n"),
    );
    let server = Server::start(&fleet.setup);
    let run = server.tool(
        "ssh_run_on_tag",
        json!({"tag": "same", "command": "echo in"}),
    );
    assert_eq!(run["summary"]["succeeded"], 40, "{run}");
    // The same from one alias: as many logins at once as tasks may run there.
    let ids: Vec<_> = (0..40)
        .map(|n| start(&server, "same0", &format!("echo {n}")))
        .collect();
    for id in &ids {
        wait_until("its end", || {
            state(&server, id) != "pending" && state(&server, id) != "running"
        });
        assert_eq!(state(&server, id), "completed");
    }
    server.finish();
    let log = fleet.machines.remove(0).log().join("\n");
    assert!(
        !log.contains("MaxStartups") && !log.contains("drop connection"),
        "{log}"
    );
}
