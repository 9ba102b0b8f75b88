//! The protocol's own tasks in both forms: begun, looked at, waited for, cancelled, over.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

mod common;

use common::{Era, Fleet, HostSpec, Launch, Server, processes_with, wait_until};
use serde_json::{Value, json};

const RELATED: &str = "io.modelcontextprotocol/related-task";

fn fleet() -> Fleet {
    let hosts = ["one", "two"].map(|alias| HostSpec::new(alias).tags(&["all"]));
    Fleet::with(hosts.into())
}

fn run_as_task(server: &Server, command: &str) -> Value {
    let params = json!({"name": "ssh_run", "arguments": {"alias": "one", "command": command}, "task": {"ttl": 60000}});
    server.request("tools/call", params)["task"].clone()
}

#[test]
fn a_core_task_is_begun_waited_for_and_listed() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    let task = run_as_task(&server, "sleep 1.5");
    assert_eq!(task["status"], "working");
    assert!(
        task["ttl"].is_u64()
            && task["pollInterval"].is_u64()
            && task["createdAt"].as_str().unwrap().ends_with('Z')
    );
    let id = &task["taskId"];
    assert_eq!(
        server.request("tasks/get", json!({"taskId": id}))["status"],
        "working"
    );
    // The job-handle tools know it by the same name.
    assert_eq!(
        server.tool("ssh_get_task_status", json!({"task_id": id}))["task_id"],
        *id
    );
    let result = server.request("tasks/result", json!({"taskId": id}));
    assert_eq!(result["structuredContent"]["exit_code"], 0, "{result}");
    assert_eq!(result["_meta"][RELATED]["taskId"], *id);
    assert_eq!(
        server.request("tasks/get", json!({"taskId": id}))["status"],
        "completed"
    );
    server.wait_frame("the notice of its end", |frame| {
        frame["method"] == "notifications/tasks/status" && frame["params"]["status"] == "completed"
    });
    let again = server.request("tasks/result", json!({"taskId": id}));
    assert_eq!(again["structuredContent"], result["structuredContent"]);
    let quick = run_as_task(&server, "echo quick");
    let result = server.request("tasks/result", json!({"taskId": quick["taskId"]}));
    assert_eq!(result["structuredContent"]["output"], "quick");
    let listed = server.request("tasks/list", json!({}));
    let ids: Vec<&Value> = listed["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| &task["taskId"])
        .collect();
    assert_eq!(ids, [id, &quick["taskId"]]);
}

#[test]
fn a_core_task_is_cancelled_once() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    let task = run_as_task(&server, "sleep 23.5");
    wait_until("the command runs", || {
        !processes_with("sleep 23.5").is_empty()
    });
    let ended = server.request("tasks/cancel", json!({"taskId": task["taskId"]}));
    assert_eq!(ended["status"], "cancelled");
    wait_until("the command is gone", || {
        processes_with("sleep 23.5").is_empty()
    });
    assert_eq!(
        server.error_code("tasks/cancel", json!({"taskId": task["taskId"]})),
        -32602
    );
    assert_eq!(
        server.request("tasks/get", json!({"taskId": task["taskId"]}))["status"],
        "cancelled"
    );
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        assert_eq!(server.error_code(method, json!({"taskId": "none"})), -32602);
        assert_eq!(server.error_code(method, json!({})), -32602);
    }
}

#[test]
fn a_core_task_that_was_denied_has_failed() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    let task = run_as_task(&server, "reboot");
    assert_eq!(task["status"], "failed");
    let result = server.request("tasks/result", json!({"taskId": task["taskId"]}));
    assert_eq!(
        (&result["isError"], &result["structuredContent"]["status"]),
        (&json!(true), &json!("denied"))
    );
    // Tools that cannot be tasks say so.
    let params = json!({"name": "ssh_ping", "arguments": {}, "task": {}});
    assert_eq!(server.error_code("tools/call", params), -32601);
}

#[test]
fn progress_of_a_core_task_goes_on_after_it_was_begun() {
    let fleet = fleet();
    let slow = common::policy_allowing(&["sleep *"]).replace(
        "max_seconds: 30",
        "max_seconds: 30\n  task_progress_interval: 1",
    );
    fleet.setup.write("policy.yml", &slow);
    let server = Server::start(&fleet.setup);
    let params = json!({
        "name": "ssh_run", "arguments": {"alias": "one", "command": "sleep 2.5"}, "task": {}, "_meta": {"progressToken": "p"}
    });
    let id = server.begin("tools/call", params);
    let task = server.response(&id)["result"]["task"].clone();
    server.request("tasks/result", json!({"taskId": task["taskId"]}));
    let frames = server.frames();
    let begun = frames.iter().position(|frame| frame["id"] == id).unwrap();
    assert!(
        frames[begun..]
            .iter()
            .any(|frame| frame["method"] == "notifications/progress")
    );
}

#[test]
fn a_tag_run_is_a_task_too() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    let call = |command: &str| json!({"name": "ssh_run_on_tag", "arguments": {"tag": "all", "command": command}, "task": {}});
    let task = server.request("tools/call", call("echo hello"))["task"].clone();
    let result = server.request("tasks/result", json!({"taskId": task["taskId"]}));
    assert_eq!(result["structuredContent"]["summary"]["succeeded"], 2);
    assert_eq!(
        server.request("tasks/get", json!({"taskId": task["taskId"]}))["status"],
        "completed"
    );
    let task = server.request("tools/call", call("sleep 22.5"))["task"].clone();
    wait_until("both hosts are at it", || {
        processes_with("sleep 22.5").len() >= 2
    });
    let ended = server.tool("ssh_cancel", json!({"task_id": task["taskId"]}));
    assert_eq!(ended["cancelled"], true);
    wait_until("both are gone", || processes_with("sleep 22.5").is_empty());
    let denied = server.request("tools/call", call("reboot"))["task"].clone();
    let result = server.request("tasks/result", json!({"taskId": denied["taskId"]}));
    assert_eq!(result["isError"], true);
    assert_eq!(
        server.request("tasks/get", json!({"taskId": denied["taskId"]}))["status"],
        "failed"
    );
}

fn with_extension() -> Launch {
    let extension = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    Launch::era(Era::V2026_07_28).capabilities(extension)
}

#[test]
fn a_modern_task_carries_its_result() {
    let fleet = fleet();
    let server = with_extension().start(&fleet.setup);
    let run = |command: &str| {
        server.request(
            "tools/call",
            json!({"name": "ssh_run", "arguments": {"alias": "one", "command": command}}),
        )
    };
    let task = run("sleep 1.5");
    assert_eq!(
        (&task["resultType"], &task["status"]),
        (&json!("task"), &json!("working"))
    );
    assert!(task["ttlMs"].is_u64() && task["pollIntervalMs"].is_u64());
    let look = |id: &Value| server.request("tasks/get", json!({"taskId": id}));
    let id = task["taskId"].clone();
    assert_eq!(
        (&look(&id)["resultType"], &look(&id)["status"]),
        (&json!("complete"), &json!("working"))
    );
    wait_until("it is over", || look(&id)["status"] == "completed");
    let done = look(&id);
    assert_eq!(
        done["result"]["structuredContent"]["exit_code"], 0,
        "{done}"
    );
    assert_eq!(done["result"]["resultType"], "complete");
    assert_eq!(
        server.request("tasks/update", json!({"taskId": id, "inputResponses": {}}))["resultType"],
        "complete"
    );
    assert_eq!(
        server.request("tasks/cancel", json!({"taskId": id}))["resultType"],
        "complete"
    );

    let task = run("sleep 21.5");
    wait_until("the command runs", || {
        !processes_with("sleep 21.5").is_empty()
    });
    server.request("tasks/cancel", json!({"taskId": task["taskId"]}));
    wait_until("the command is gone", || {
        processes_with("sleep 21.5").is_empty()
    });
    assert_eq!(look(&task["taskId"])["status"], "cancelled");

    // A denial is a result like any other: it is there at once.
    let denied = run("reboot");
    assert_eq!(
        (&denied["resultType"], &denied["isError"]),
        (&json!("complete"), &json!(true))
    );
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        assert_eq!(server.error_code(method, json!({"taskId": "none"})), -32602);
    }
    assert_eq!(server.error_code("tasks/list", json!({})), -32601);
    assert_eq!(
        server.error_code("tasks/result", json!({"taskId": id})),
        -32601
    );
}

#[test]
fn without_the_extension_there_are_no_modern_tasks() {
    let fleet = fleet();
    let server = Launch::era(Era::V2026_07_28).start(&fleet.setup);
    let run =
        json!({"name": "ssh_run", "arguments": {"alias": "one", "command": "echo x"}, "task": {}});
    assert_eq!(
        server.request("tools/call", run)["structuredContent"]["output"],
        "x"
    );
    let answer = server.ask("tasks/get", json!({"taskId": "x"}));
    assert_eq!(answer["error"]["code"], -32021);
    assert_eq!(
        answer["error"]["data"],
        json!({"requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}})
    );
    let older = Launch::era(Era::V2025_06_18).start(&fleet.setup);
    assert_eq!(
        older.error_code("tasks/get", json!({"taskId": "x"})),
        -32601
    );
}
