//! A command that is started and left alone: its states, its live progress, its result, how
//! it is cancelled, and that it has the same checks and the same records as one that is
//! waited for.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, Gate, Server, processes_with, wait_until};
use serde_json::{Value, json};

fn start(server: &Server, alias: &str, command: &str) -> Value {
    server.tool("ssh_run_async", json!({"alias": alias, "command": command}))
}

fn status(server: &Server, id: &Value) -> Value {
    server.tool("ssh_get_task_status", json!({"task_id": id}))
}

fn wait_status(server: &Server, id: &Value, state: &str) -> Value {
    let mut last = Value::Null;
    wait_until(&format!("{id} to be {state}"), || {
        last = status(server, id);
        last["status"] == state
    });
    last
}

#[test]
fn a_task_goes_from_pending_to_completed_and_its_result_stays() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    let task = start(&server, "web1", "echo done");
    let id = &task["task_id"];
    assert_eq!(task["status"], "pending");
    assert_eq!(
        (&task["keepAlive"], &task["pollFrequency"]),
        (&json!(3600), &json!(5))
    );
    assert_eq!(
        (&task["alias"], &task["command"]),
        (&json!("web1"), &json!("echo done"))
    );

    let ended = wait_status(&server, id, "completed");
    assert_eq!(ended["progress_percent"], 100);
    assert_eq!(ended["bytes_read"], 5);
    assert_eq!(ended["output_lines_available"], 1);
    assert!(ended["keepAlive"].as_u64().unwrap() <= 3600);
    // The clock of an ended task stands still.
    assert_eq!(status(&server, id)["elapsed_ms"], ended["elapsed_ms"]);

    let result = server.tool("ssh_get_task_result", json!({"task_id": id}));
    assert_eq!(result["status"], "completed");
    assert_eq!(
        (&result["exit_code"], &result["output"]),
        (&json!(0), &json!("done"))
    );
    assert_eq!(result["target_ip"], fleet.host("web1").address.to_string());
    assert_eq!(result["max_seconds"], 3600);
    assert_eq!(result["duration_ms"], ended["elapsed_ms"]);
    // Reading it takes nothing away.
    assert_eq!(
        server.tool("ssh_get_task_result", json!({"task_id": id})),
        result
    );
    server.finish();
}

#[test]
fn another_exit_status_is_a_failure_and_the_output_is_there() {
    let fleet = Fleet::of(&["web1"]);
    fleet
        .host("web1")
        .stub("hostname", "#!/bin/sh\necho no >&2\nexit 4\n");
    let server = Server::start(&fleet.setup);
    let task = start(&server, "web1", "hostname");
    wait_status(&server, &task["task_id"], "failed");
    let result = server.tool("ssh_get_task_result", json!({"task_id": task["task_id"]}));
    assert_eq!(
        (&result["exit_code"], &result["stderr"]),
        (&json!(4), &json!("no"))
    );
    server.finish();
}

#[test]
fn a_running_task_shows_how_far_it_is_and_has_no_result_yet() {
    let fleet = Fleet::of(&["web1"]);
    let host = fleet.host("web1");
    let gate = Gate::new();
    host.stub(
        "hostname",
        &format!(
            "#!/bin/sh\necho one; echo two\n{}\necho three\n",
            gate.wait()
        ),
    );
    let server = Server::start(&fleet.setup);
    let task = start(&server, "web1", "hostname");
    let id = &task["task_id"];
    wait_until("two lines", || {
        status(&server, id)["output_lines_available"] == 2
    });
    let running = status(&server, id);
    assert_eq!(running["status"], "running");
    assert_eq!(running["bytes_read"], 8);
    assert_eq!(running["keepAlive"], 3600);
    let live = server.tool("ssh_get_task_output", json!({"task_id": id}));
    assert_eq!(live["output_lines"], json!(["one", "two"]));
    let early = server.tool_error("ssh_get_task_result", json!({"task_id": id}));
    assert!(early.contains("still running"), "{early}");
    // Silent as it is, its progress is on record.
    server.wait_record("two progress records of a silent command", {
        let mut seen = 0;
        let id = id.clone();
        move |record| {
            let counts = record["type"] == "progress"
                && record["task_id"] == id
                && record["phase"] == "running"
                && record["bytes_read"] == 8;
            seen += usize::from(counts);
            seen == 2
        }
    });
    gate.open();
    wait_status(&server, id, "completed");
    let all = server.tool("ssh_get_task_output", json!({"task_id": id}));
    assert_eq!(all["output_lines"], json!(["one", "two", "three"]));
    server.finish();
}

#[test]
fn cancelling_ends_the_remote_command_and_the_task_stays_cancelled() {
    let fleet = Fleet::of(&["web1"]);
    for tool in ["ssh_cancel_async_task", "ssh_cancel"] {
        let server = Server::start(&fleet.setup);
        let task = start(&server, "web1", "sleep 4711");
        let id = &task["task_id"];
        wait_until("the remote command", || {
            !processes_with("sleep 4711").is_empty()
        });
        let cancelled = server.tool(tool, json!({"task_id": id}));
        assert_eq!(cancelled["cancelled"], true);
        assert_eq!(cancelled["message"], "Cancellation signaled");
        wait_status(&server, id, "cancelled");
        wait_until("the end of the remote command", || {
            processes_with("sleep 4711").is_empty()
        });
        let result = server.tool("ssh_get_task_result", json!({"task_id": id}));
        assert_eq!(
            (&result["exit_code"], &result["cancelled"]),
            (&json!(-1), &json!(true))
        );
        assert_eq!(
            (&result["timeout"], &result["terminated"]),
            (&json!(null), &json!("confirmed"))
        );
        let again = server.tool(tool, json!({"task_id": id}));
        assert_eq!(again["cancelled"], false);
        // Nothing overwrites the state afterwards.
        assert_eq!(status(&server, id)["status"], "cancelled");
        let log = server.finish().records;
        let audits: Vec<_> = log.iter().filter(|r| r["type"] == "audit").collect();
        assert_eq!(audits.len(), 1);
        assert_eq!(
            (&audits[0]["cancelled"], &audits[0]["exit_code"]),
            (&json!(true), &json!(-1))
        );
    }
}

#[test]
fn the_time_limit_ends_it_in_the_state_timeout() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write(
        "policy.yml",
        &crate::common::policy_allowing(&["hostname"])
            .replace("max_seconds: 30", "max_async_seconds: 1"),
    );
    fleet
        .host("web1")
        .stub("hostname", "#!/bin/sh\necho before\nexec sleep 4712\n");
    let server = Server::start(&fleet.setup);
    let task = start(&server, "web1", "hostname");
    wait_status(&server, &task["task_id"], "timeout");
    let result = server.tool("ssh_get_task_result", json!({"task_id": task["task_id"]}));
    assert_eq!(
        (&result["exit_code"], &result["timeout"]),
        (&json!(-1), &json!(true))
    );
    assert_eq!(
        (&result["cancelled"], &result["output"]),
        (&json!(null), &json!("before"))
    );
    assert!(processes_with("sleep 4712").is_empty());
    server.finish();
}

#[test]
fn the_same_checks_and_the_same_records_as_a_synchronous_run() {
    let fleet = Fleet::of(&["web1", "web2"]);
    fleet.setup.write(
        "policy.yml",
        &crate::common::policy_allowing(&["echo *"])
            .replace("127.0.0.0/8", &format!("{}/32", fleet.host("web1").address)),
    );
    let server = Server::start(&fleet.setup);
    let denied = start(&server, "web1", "id");
    assert_eq!(
        (&denied["status"], &denied["reason"]),
        (&json!("denied"), &json!("policy"))
    );
    // The address is judged for an asynchronous run as well: nothing connects.
    let refused = start(&server, "web2", "echo hi");
    if refused["status"] != "denied" {
        wait_status(&server, &refused["task_id"], "failed");
    }
    assert_eq!(fleet.host("web2").logins(), 0);

    let task = start(&server, "web1", "echo hi");
    wait_status(&server, &task["task_id"], "completed");
    let sync = server.run("web1", "echo hi");
    assert_eq!(sync["hash"], task["hash"]);
    let records = server.finish().records;
    let of = |kind: &str| -> Vec<Value> {
        let mine =
            |r: &&Value| r["type"] == kind && r["alias"] == "web1" && r["hash"] == task["hash"];
        let mut all: Vec<Value> = records.iter().filter(mine).cloned().collect();
        for record in &mut all {
            let record = record.as_object_mut().unwrap();
            for own in ["ts", "duration_ms", "task_id", "request_id"] {
                record.remove(own);
            }
        }
        all
    };
    for kind in ["policy_decision", "audit"] {
        let both = of(kind);
        assert_eq!(both.len(), 2, "{kind}");
        assert_eq!(both[0], both[1], "{kind}");
    }
}

/// What goes on until it is ended: `ssh_run` would wait for that, so it says how to start it,
/// and that only where a rule says `also: [follows]`.
#[test]
fn what_follows_a_file_is_started_read_and_ended() {
    let fleet = Fleet::of(&["web1"]);
    let scratch = crate::common::Scratch::new("follows");
    let log = scratch.path().join("app.log");
    std::fs::write(&log, "one\n").unwrap();
    let follow = format!("tail -n 5 -f {}", log.display());
    let policy = |also: &str| {
        let paths = format!("{}/**", scratch.path().display());
        let rule = format!("{{action: allow, reads: [text], paths: [{paths:?}]{also}}}");
        fleet.setup.write(
            "policy.yml",
            &format!("limits: {{max_seconds: 30}}\nrules:\n- {rule}\n"),
        );
    };
    policy("");
    let server = Server::start(&fleet.setup);
    let arguments = || json!({"alias": "web1", "command": follow});
    for tool in ["ssh_run", "ssh_run_async"] {
        let denial = server.tool_error(tool, arguments());
        assert!(denial.contains("also: [follows]"), "{tool}: {denial}");
    }
    policy(", also: [follows]");
    let denial = server.tool_error("ssh_run", arguments());
    let denial: Value = serde_json::from_str(&denial).unwrap();
    assert_eq!(
        (&denial["code"], &denial["kind"]),
        (&json!("follows"), &json!("rewrite"))
    );
    assert_eq!(
        denial["rewrite"],
        json!({"tool": "ssh_run_async", "command": follow})
    );
    let task = start(&server, "web1", &follow);
    let id = &task["task_id"];
    let lines = || {
        let output = json!({"task_id": id});
        server.tool("ssh_get_task_output", output)["output_lines"].clone()
    };
    wait_until("the line that was there", || lines() == json!(["one"]));
    let mut more = std::fs::File::options().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut more, b"two\n").unwrap();
    wait_until("the line that came", || lines() == json!(["one", "two"]));
    assert_eq!(
        server.tool("ssh_cancel", json!({"task_id": id}))["cancelled"],
        true
    );
    wait_status(&server, id, "cancelled");
    assert!(processes_with(&follow).is_empty());
    server.finish();
}
