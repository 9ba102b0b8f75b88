//! Results are there for `task_result_ttl` from their end, and afterwards nowhere.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::time::Instant;

use crate::common::{Fleet, Server, policy_allowing, wait_until};
use serde_json::json;

#[test]
fn after_its_time_nothing_of_a_task_can_be_read() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write(
        "policy.yml",
        &policy_allowing(&["echo *"])
            .replace("max_seconds: 30", "max_seconds: 30\n  task_result_ttl: 2"),
    );
    let server = Server::start(&fleet.setup);
    let task = server.tool(
        "ssh_run_async",
        json!({"alias": "web1", "command": "echo async"}),
    );
    assert_eq!(task["keepAlive"], 2);
    // Until it ends, the error would be that it is unfinished.
    wait_until("the asynchronous command to end", || {
        server.call("ssh_get_task_result", json!({"task_id": task["task_id"]}))["isError"] != true
    });
    let sync = server.run_id("web1", "echo sync");
    let ended = Instant::now();
    for (tool, text) in [
        ("ssh_get_task_result", "Task not found or expired"),
        ("ssh_get_task_status", "Task not found"),
        ("ssh_get_task_output", "Task not found"),
    ] {
        for id in [&task["task_id"], &sync] {
            let arguments = json!({"task_id": id});
            wait_until("the result to expire", || {
                server.call(tool, arguments.clone())["isError"] == true
            });
            assert!(server.tool_error(tool, arguments).contains(text), "{tool}");
        }
    }
    // Not before its time: the clock of the test began after that of the result.
    assert!(ended.elapsed().as_millis() >= 1_500);
    for tool in ["ssh_cancel", "ssh_cancel_async_task"] {
        let said = server.tool_error(tool, json!({"task_id": task["task_id"]}));
        assert!(said.contains("not found"), "{said}");
    }
    server.finish();
}

#[test]
fn an_id_that_never_was_is_not_found() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    let arguments = json!({"task_id": "web1.example:dd291cd6294b:1700000000000000"});
    for tool in [
        "ssh_get_task_result",
        "ssh_get_task_status",
        "ssh_get_task_output",
    ] {
        let error = server.tool_error(tool, arguments.clone());
        assert!(error.starts_with("Error: Task not found"), "{error}");
    }
    for (tool, says) in [
        ("ssh_cancel", "Error: Task not found: "),
        (
            "ssh_cancel_async_task",
            "Error: Task not found or not cancellable: ",
        ),
    ] {
        let said = server.tool_error(tool, arguments.clone());
        assert!(said.starts_with(says), "{said}");
    }
    server.finish();
}

#[test]
fn the_oldest_results_go_first_when_memory_is_needed_and_it_is_said() {
    let fleet = Fleet::of(&["web1"]);
    // One output of this size fits into the account of memory, two do not.
    fleet.setup.write(
        "policy.yml",
        &policy_allowing(&["seq *"]).replace(
            "max_seconds: 30",
            "max_seconds: 120\n  max_output_bytes: 60000000",
        ),
    );
    let server = Server::start(&fleet.setup);
    let ids: Vec<_> = (0..3)
        .map(|_| server.run("web1", "seq 6500000")["task_id"].clone())
        .collect();
    let gone = server.tool_error("ssh_get_task_output", json!({"task_id": ids[0]}));
    assert!(gone.contains("dropped early"), "{gone}");
    let last = server.tool("ssh_get_task_status", json!({"task_id": ids[2]}));
    assert_eq!(last["status"], "completed");
    server.finish();
}
