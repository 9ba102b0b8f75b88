//! The protocol's own tasks in both forms: begun, looked at, waited for, cancelled, over.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Era, Fleet, HostSpec, Launch, Server, members, processes_with, wait_until};
use serde_json::{Value, json};

const RELATED: &str = "io.modelcontextprotocol/related-task";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

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
    assert_eq!(members(&result)["exit_code"], 0, "{result}");
    assert_eq!(result["_meta"][RELATED]["taskId"], *id);
    assert_eq!(
        server.request("tasks/get", json!({"taskId": id}))["status"],
        "completed"
    );
    server.wait_frame("the notice of its end", |frame| {
        frame["method"] == "notifications/tasks/status" && frame["params"]["status"] == "completed"
    });
    let again = server.request("tasks/result", json!({"taskId": id}));
    assert_eq!(members(&again), members(&result));
    let quick = run_as_task(&server, "echo quick");
    let result = server.request("tasks/result", json!({"taskId": quick["taskId"]}));
    assert_eq!(members(&result)["output"], "quick");
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
        (&result["isError"], &members(&result)["status"]),
        (&json!(true), &json!("denied"))
    );
    // Tools that cannot be tasks say so.
    let params = json!({"name": "ssh_ping", "arguments": {}, "task": {}});
    assert_eq!(server.error_code("tools/call", params), -32601);
}

#[test]
fn a_wish_for_a_task_is_read_strictly() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    let call = |task: Value| json!({"name": "ssh_run", "arguments": {"alias": "one", "command": "echo x"}, "task": task});
    for wrong in [
        json!(7),
        json!("x"),
        json!([]),
        json!({"ttl": "x"}),
        json!({"ttl": -1}),
        json!({"ttl": 1.5}),
    ] {
        assert_eq!(server.error_code("tools/call", call(wrong)), -32602);
    }
    let none = server.request("tools/call", json!({"name": "ssh_ping", "task": null}));
    assert_eq!(members(&none)["status"], "pong");
}

#[test]
fn a_task_says_how_long_it_is_kept_and_who_ended_it() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    let task = run_as_task(&server, "sleep 24.5");
    let (id, wanted) = (&task["taskId"], 60_000);
    assert_eq!(task["ttl"], wanted, "as its client wants it");
    let call = json!({"name": "ssh_run", "arguments": {"alias": "one", "command": "sleep 24.6"}, "task": {}});
    let other = server.request("tools/call", call)["task"].clone();
    let (most, keep) = (other["ttl"].as_u64().unwrap(), 3_600_000);
    assert_eq!(most, 30_000 + keep, "its full time, and then its result");
    server.tool("ssh_cancel", json!({"task_id": other["taskId"]}));
    wait_until("the command runs", || {
        !processes_with("sleep 24.5").is_empty()
    });
    let waiting = server.begin("tasks/result", json!({"taskId": id}));
    let given_up = server.begin("tasks/result", json!({"taskId": id}));
    server.notify("notifications/cancelled", json!({"requestId": given_up}));
    // Whichever name it is ended by, it was cancelled.
    server.tool("ssh_cancel", json!({"task_id": id}));
    let result = server.response(&waiting)["result"].clone();
    assert_eq!(members(&result)["cancelled"], true);
    let over = server.request("tasks/get", json!({"taskId": id}));
    assert_eq!(over["status"], "cancelled");
    assert_eq!(over["ttl"], wanted, "{over}");
    server.request("tasks/result", json!({"taskId": other["taskId"]}));
    let other = server.request("tasks/get", json!({"taskId": other["taskId"]}));
    let kept = other["ttl"].as_u64().unwrap();
    assert!((keep..most).contains(&kept), "{other}");
    assert!(!server.frames().iter().any(|frame| frame["id"] == given_up));
}

#[test]
fn progress_of_a_core_task_goes_on_after_it_was_begun() {
    let fleet = fleet();
    let slow = crate::common::policy_allowing(&["sleep *"]).replace(
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
fn a_cancelled_task_makes_no_more_progress() {
    let fleet = fleet();
    let deaf = "#!/bin/sh\ntrap '' TERM\necho deaf\nwhile :; do sleep 0.1; done\n";
    fleet.host("one").stub("uptime", deaf);
    let policy = crate::common::policy_allowing(&["uptime"]).replace(
        "max_seconds: 30",
        "max_seconds: 30\n  task_progress_interval: 1",
    );
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    let params = json!({
        "name": "ssh_run", "arguments": {"alias": "one", "command": "uptime"}, "task": {}, "_meta": {"progressToken": "p"}
    });
    let task = server.request("tools/call", params)["task"].clone();
    wait_until("it does not listen", || {
        let status = server.tool("ssh_get_task_status", json!({"task_id": task["taskId"]}));
        status["output_lines_available"] == 1
    });
    let cancel = server.begin("tasks/cancel", json!({"taskId": task["taskId"]}));
    // It takes longer than a progress interval to end what does not listen.
    server.wait_frame("the notice of its end", |frame| {
        frame["method"] == "notifications/tasks/status"
    });
    let frames = server.frames();
    let cancelled = frames.iter().position(|frame| frame["id"] == cancel);
    let after = &frames[cancelled.unwrap()..];
    assert!(
        after
            .iter()
            .all(|frame| frame["method"] != "notifications/progress"),
        "{after:?}"
    );
}

#[test]
fn a_tag_run_is_a_task_too() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    let call = |command: &str| json!({"name": "ssh_run_on_tag", "arguments": {"tag": "all", "command": command}, "task": {}});
    let task = server.request("tools/call", call("echo hello"))["task"].clone();
    let result = server.request("tasks/result", json!({"taskId": task["taskId"]}));
    assert_eq!(members(&result)["summary"]["succeeded"], 2);
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
    let policy = crate::common::policy_allowing(&["sleep *", "echo *"]).replace(
        "max_seconds: 30",
        "max_seconds: 30\n  task_progress_interval: 1",
    );
    fleet.setup.write("policy.yml", &policy);
    let server = with_extension().start(&fleet.setup);
    let run = |command: &str| {
        server.request(
            "tools/call",
            json!({"name": "ssh_run", "arguments": {"alias": "one", "command": command}}),
        )
    };
    // What ends soon is answered at once: a task would cost the client two more messages.
    let quick = run("echo quick");
    assert_eq!(quick["resultType"], "complete");
    assert_eq!(members(&quick)["output"], "quick");
    let task = run("sleep 4.5");
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
    wait_until("it is said how far it has come", || {
        let message = look(&id)["statusMessage"].clone();
        message
            .as_str()
            .is_some_and(|text| text.contains("running"))
    });
    wait_until("it is over", || look(&id)["status"] == "completed");
    let done = look(&id);
    assert_eq!(members(&done["result"])["exit_code"], 0, "{done}");
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
    let nothing = json!({"taskId": id, "inputResponses": []});
    assert_eq!(server.error_code("tasks/update", nothing), -32602);
    assert_eq!(server.error_code("tasks/list", json!({})), -32601);
    assert_eq!(
        server.error_code("tasks/result", json!({"taskId": id})),
        -32601
    );
}

#[test]
fn the_end_of_a_modern_task_is_told_to_who_listens() {
    let fleet = fleet();
    let server = with_extension().start(&fleet.setup);
    let run = |tool: &str, arguments: Value| {
        let task = server.request("tools/call", json!({"name": tool, "arguments": arguments}));
        task["taskId"].clone()
    };
    let listen = |ids: Value| {
        let id = server.begin(
            "subscriptions/listen",
            json!({"notifications": {"taskIds": ids}}),
        );
        let begun = server.wait_frame("the acknowledgement", |frame| {
            frame["method"] == "notifications/subscriptions/acknowledged"
                && frame["params"]["_meta"][SUBSCRIPTION] == id
        });
        (id, begun["params"]["notifications"].clone())
    };
    let told = |stream: &Value, task: &Value| {
        let notice = server.wait_frame("a notice of its end", |frame| {
            frame["method"] == "notifications/tasks"
                && frame["params"]["_meta"][SUBSCRIPTION] == *stream
                && frame["params"]["taskId"] == *task
        });
        notice["params"].clone()
    };

    let one = run("ssh_run", json!({"alias": "one", "command": "sleep 4.5"}));
    let all = run(
        "ssh_run_on_tag",
        json!({"tag": "all", "command": "sleep 20.5"}),
    );
    let (stream, agreed) = listen(json!([one, all, "none"]));
    let mut known = [one.clone(), all.clone()];
    known.sort_by_key(|id| id.as_str().map(str::to_owned));
    assert_eq!(agreed, json!({"taskIds": known}));
    let notice = told(&stream, &one);
    assert_eq!(notice["status"], "completed");
    assert_eq!(members(&notice["result"])["exit_code"], 0);
    let mut looked = server.request("tasks/get", json!({"taskId": one}));
    assert_eq!(notice["result"], looked["result"].take());

    // Who listens too late for the end is told at once.
    let (late, _) = listen(json!([one]));
    assert_eq!(told(&late, &one)["status"], "completed");

    server.request("tasks/cancel", json!({"taskId": all}));
    assert_eq!(told(&stream, &all)["status"], "cancelled");
    let frames = server.frames();
    let notices = frames
        .iter()
        .filter(|frame| frame["method"] == "notifications/tasks");
    assert_eq!(notices.count(), 3, "each end once to each that listens");
    let wrong = json!({"notifications": {"taskIds": "x"}});
    assert_eq!(server.error_code("subscriptions/listen", wrong), -32602);
}

#[test]
fn the_name_of_a_task_cannot_be_guessed() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    let names: Vec<String> = ["echo one", "echo one"]
        .map(|command| {
            run_as_task(&server, command)["taskId"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .into();
    let call = json!({"name": "ssh_run_on_tag", "arguments": {"tag": "all", "command": "echo one"}, "task": {}});
    let all = server.request("tools/call", call)["task"]["taskId"].clone();
    let all = all.as_str().unwrap();
    let mut tokens: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .chain([all])
        .map(|name| name.rsplit_once(':').unwrap().1)
        .collect();
    assert!(names[0].starts_with("one:") && all.starts_with("tag:all:"));
    // 128 bits in base64url.
    assert!(tokens.iter().all(|token| token.len() == 39), "{tokens:?}");
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 3);
}

#[test]
fn without_the_extension_there_are_no_modern_tasks() {
    let fleet = fleet();
    let server = Launch::era(Era::V2026_07_28).start(&fleet.setup);
    let run =
        json!({"name": "ssh_run", "arguments": {"alias": "one", "command": "echo x"}, "task": {}});
    assert_eq!(members(&server.request("tools/call", run))["output"], "x");
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
