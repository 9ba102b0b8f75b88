//! While a command runs: progress to who asked for it, an end for who takes it back, and
//! answers that stay within a frame however much a host says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{
    Era, Fleet, Gate, HostSpec, Launch, Server, members, processes_with, wait_until,
};
use serde_json::{Value, json};

fn run_with_token(server: &Server, token: &Value, command: &str) -> Value {
    server.begin("tools/call", json!({
        "name": "ssh_run", "arguments": {"alias": "one", "command": command}, "_meta": {"progressToken": token}
    }))
}

fn is_progress(frame: &Value) -> bool {
    frame["method"] == "notifications/progress"
}

fn slow_policy() -> String {
    crate::common::policy_allowing(&["sleep *", "seq *", "echo *", "printf *"]).replace(
        "max_seconds: 30",
        "max_seconds: 30\n  task_progress_interval: 1",
    )
}

#[test]
fn progress_goes_to_the_token_and_only_ever_grows() {
    let fleet = Fleet::of(&["one"]);
    fleet.setup.write("policy.yml", &slow_policy());
    for era in [Era::V2024_11_05, Era::V2025_11_25, Era::V2026_07_28] {
        let server = Launch::era(era).start(&fleet.setup);
        for token in [json!("t-1"), json!(7)] {
            let id = run_with_token(&server, &token, "sleep 2.5");
            server.response(&id);
            let frames = server.frames();
            let end = frames
                .iter()
                .position(|frame| frame["id"] == id && frame.get("method").is_none())
                .unwrap();
            let mine: Vec<&Value> = frames
                .iter()
                .filter(|frame| is_progress(frame) && frame["params"]["progressToken"] == token)
                .collect();
            assert!(mine.len() >= 3, "{}: {mine:?}", era.name());
            let values: Vec<f64> = mine
                .iter()
                .map(|frame| frame["params"]["progress"].as_f64().unwrap())
                .collect();
            assert!(
                values.windows(2).all(|pair| pair[0] < pair[1]),
                "{values:?}"
            );
            // The time limit is not the whole of the work.
            assert!(mine[0]["params"].get("total").is_none(), "{mine:?}");
            let told = mine.iter().any(|frame| {
                frame["params"]["message"]
                    .as_str()
                    .is_some_and(|text| text.contains("bytes"))
            });
            assert_eq!(told, era >= Era::V2025_03_26);
            assert!(
                !frames[end..].iter().any(is_progress),
                "progress after the answer"
            );
        }
        let before = server.frames().len();
        server.run("one", "sleep 1.2");
        assert!(
            !server.frames()[before..].iter().any(is_progress),
            "nobody asked"
        );
    }
}

#[test]
fn a_call_taken_back_ends_the_remote_command_and_is_never_answered() {
    let fleet = Fleet::of(&["one"]);
    for era in [Era::V2025_03_26, Era::V2026_07_28] {
        let server = Launch::era(era).start(&fleet.setup);
        let id = run_with_token(&server, &json!("t"), "sleep 26.5");
        wait_until("the command runs", || {
            !processes_with("sleep 26.5").is_empty()
        });
        server.notify(
            "notifications/cancelled",
            json!({"requestId": id, "reason": "enough"}),
        );
        wait_until("the command is gone", || {
            processes_with("sleep 26.5").is_empty()
        });
        let end = server.wait_record("the end", |record| record["type"] == "audit");
        assert_eq!(
            (&end["cancelled"], &end["exit_code"]),
            (&json!(true), &json!(-1))
        );
        let count = server.frames().len();
        server.tool("ssh_ping", json!({}));
        let after: Vec<Value> = server.frames()[count..]
            .iter()
            .filter(|frame| is_progress(frame))
            .cloned()
            .collect();
        assert!(after.is_empty(), "{after:?}");
        assert!(
            !server
                .frames()
                .iter()
                .any(|frame| frame["id"] == id && frame.get("method").is_none())
        );
    }
}

#[test]
fn ssh_cancel_ends_a_run_that_is_waited_for() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    let id = server.begin_call("ssh_run", json!({"alias": "one", "command": "sleep 26"}));
    let task =
        server.wait_record("a running task", |record| record["phase"] == "running")["task_id"]
            .clone();
    let cancelled = server.tool("ssh_cancel", json!({"task_id": task}));
    assert_eq!(
        cancelled,
        json!({"task_id": task, "cancelled": true, "message": "Cancellation signaled"})
    );
    let result = server.response(&id)["result"].clone();
    assert_eq!(members(&result)["cancelled"], true);
    assert_eq!(members(&result)["exit_code"], -1);
    assert_eq!(result["isError"], false);
    let again = server.tool("ssh_cancel", json!({"task_id": task}));
    assert_eq!(again["cancelled"], false);
    let status = server.tool("ssh_get_task_status", json!({"task_id": task}));
    assert_eq!(status["status"], "cancelled");
}

#[test]
fn a_tag_run_tells_of_each_host_and_ends_as_one() {
    let hosts = ["a", "b", "c"].map(|alias| HostSpec::new(alias).tags(&["all"]));
    let fleet = Fleet::with(hosts.into());
    let server = Server::start(&fleet.setup);
    let call = |command: &str| {
        json!({
            "name": "ssh_run_on_tag", "arguments": {"tag": "all", "command": command}, "_meta": {"progressToken": "tag"}
        })
    };
    let result = members(&server.request("tools/call", call("echo hello"))).clone();
    let aliases: Vec<&Value> = result["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["alias"])
        .collect();
    assert_eq!(aliases, ["a", "b", "c"]);
    assert!(
        result["results"]
            .as_array()
            .unwrap()
            .iter()
            .all(|entry| entry["output"] == "hello" && entry["exit_code"] == 0)
    );
    assert_eq!(result["summary"], json!({"total": 3, "succeeded": 3}));
    let steps: Vec<f64> = server
        .frames()
        .iter()
        .filter(|frame| is_progress(frame) && !told(frame).ends_with("lines)"))
        .map(|frame| frame["params"]["progress"].as_f64().unwrap())
        .collect();
    assert_eq!(steps, [1.0, 2.0, 3.0]);

    let grouped = server.tool(
        "ssh_run_on_tag",
        json!({"tag": "all", "command": "echo same", "group_identical": true}),
    );
    assert_eq!(
        grouped["groups"],
        json!([{"aliases": ["a", "b", "c"], "exit_code": 0, "hosts": 3, "output": "same"}])
    );

    let id = server.begin("tools/call", call("sleep 25.5"));
    wait_until("all hosts are at it", || {
        processes_with("sleep 25.5").len() >= 3
    });
    server.notify("notifications/cancelled", json!({"requestId": id}));
    wait_until("all are gone", || processes_with("sleep 25.5").is_empty());

    let nobody = json!({"tag": "nobody", "command": "id"});
    let said = server.tool_error("ssh_run_on_tag", nobody);
    assert!(said.contains("no host has the tag nobody"), "{said}");
    let denied = server.call("ssh_run_on_tag", json!({"tag": "all", "command": "reboot"}));
    assert_eq!(denied["isError"], true);
    let denied = &members(&denied);
    assert_eq!(
        (&denied["status"], &denied["reason"]),
        (&json!("denied"), &json!("policy"))
    );
    assert!(denied["hint"].as_str().unwrap().contains("ssh_plan"));
}

/// What a progress notification says.
fn told(frame: &Value) -> String {
    frame["params"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_tag_run_is_heard_of_before_the_first_host_ends() {
    let hosts = ["a", "b"].map(|alias| HostSpec::new(alias).tags(&["all"]));
    let fleet = Fleet::with(hosts.into());
    fleet.setup.write("policy.yml", &slow_policy());
    let server = Server::start(&fleet.setup);
    let params = json!({
        "name": "ssh_run_on_tag", "arguments": {"tag": "all", "command": "sleep 2.5"}, "_meta": {"progressToken": "tag"}
    });
    server.request("tools/call", params);
    let frames = server.frames();
    let steps: Vec<&Value> = frames.iter().filter(|frame| is_progress(frame)).collect();
    let first = told(steps[0]);
    assert!(
        first.starts_with("0 of 2 hosts done (a running: "),
        "{first}"
    );
    let values = steps
        .iter()
        .map(|frame| frame["params"]["progress"].as_f64().unwrap());
    assert!(values.is_sorted_by(|one, next| one < next), "{steps:?}");
    assert_eq!(steps.last().unwrap()["params"]["progress"], 2.0);
}

/// Who waits for an answer hears that its command waits for its turn.
#[test]
fn what_waits_for_its_turn_says_so() {
    let fleet = Fleet::with(vec![HostSpec::new("one").tags(&["all"])]);
    let gate = Gate::new();
    let held = format!("#!/bin/sh\n{}\n", gate.wait());
    fleet.host("one").stub("hostname", &held);
    let policy = slow_policy().replace("sleep *", "hostname") + "concurrency: {max_per_host: 1}\n";
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    let first = run_with_token(&server, &json!("first"), "hostname");
    let waits = |token: &str, begins: &str| {
        wait_until("it to say that it waits", || {
            server.frames().iter().any(|frame| {
                is_progress(frame)
                    && frame["params"]["progressToken"] == token
                    && told(frame).starts_with(begins)
            })
        });
    };
    server.wait_record("the first to run", |record| {
        record["type"] == "progress" && record["phase"] == "running"
    });
    let second = run_with_token(&server, &json!("second"), "echo mine");
    waits("second", "waiting for its turn behind other commands: ");
    let third = server.begin("tools/call", json!({
        "name": "ssh_run_on_tag", "arguments": {"tag": "all", "command": "echo mine"}, "_meta": {"progressToken": "third"}
    }));
    waits(
        "third",
        "0 of 1 hosts done (one waiting for its turn behind other commands: ",
    );
    gate.open();
    for id in [first, second, third] {
        server.response(&id);
    }
    let frames = server.frames();
    let values = frames
        .iter()
        .filter(|frame| is_progress(frame) && frame["params"]["progressToken"] == "second")
        .map(|frame| frame["params"]["progress"].as_f64().unwrap());
    assert!(values.is_sorted_by(|one, next| one < next), "{frames:?}");
}

#[test]
fn more_output_than_an_answer_holds_is_shown_in_part_and_can_be_read_whole() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    // Each line is costly in JSON: quotes and backslashes are escaped twice.
    let stub = "#!/bin/sh\nseq 1 60000 | sed 's/$/ \"\\\\/'\n";
    fleet.host("one").stub("hostname", stub);
    let result = server.call("ssh_run", json!({"alias": "one", "command": "hostname"}));
    assert!(
        result.to_string().len() < 80_000,
        "{}",
        result.to_string().len()
    );
    let run = &members(&result);
    assert_eq!(run["truncated"], true);
    let shown = run["output"].as_str().unwrap();
    let left_out = usize::try_from(run["omitted_bytes"].as_u64().unwrap()).unwrap();
    assert!(shown.starts_with("1 \"\\\n2 \"\\\n") && shown.len() > 14_000);
    let gap = shown.lines().find(|line| line.starts_with("[…")).unwrap();
    assert!(
        gap.contains("ssh_get_task_output") && gap.contains(run["task_id"].as_str().unwrap()),
        "{gap}"
    );
    let text = crate::common::text_of(&result);
    assert!(text.ends_with(shown), "the same in the text: {text}");
    assert!(
        result["_meta"]["io.github.mcp-ssh-orchestrator/untrusted"]["fields"]
            .to_string()
            .contains("output")
    );

    let mut whole = String::new();
    let mut offset = 0;
    loop {
        let page = server.tool(
            "ssh_get_task_output",
            json!({"task_id": run["task_id"], "offset": offset}),
        );
        whole.push_str(page["text"].as_str().unwrap());
        offset = page["next_offset"].as_u64().unwrap();
        if page["finished"] == true && page["next_offset"] == page["available"] {
            break;
        }
    }
    assert_eq!(whole.len(), shown.len() + 1 + left_out - (gap.len() + 1));
    assert!(whole.trim_end().ends_with("60000 \"\\"));
    let tail = server.tool(
        "ssh_get_task_output",
        json!({"task_id": run["task_id"], "max_lines": 3}),
    );
    assert_eq!(
        tail["output_lines"],
        json!(["59998 \"\\", "59999 \"\\", "60000 \"\\"])
    );
    assert_eq!(
        (&tail["total_lines"], &tail["has_more"]),
        (&json!(60000), &json!(true))
    );
}

#[test]
fn an_asynchronous_run_is_followed_by_its_id() {
    let fleet = Fleet::of(&["one"]);
    fleet.setup.write("policy.yml", &slow_policy());
    let server = Server::start(&fleet.setup);
    server.request("logging/setLevel", json!({"level": "info"}));
    let started = server.tool(
        "ssh_run_async",
        json!({"alias": "one", "command": "sleep 1.5"}),
    );
    assert_eq!(
        (
            &started["status"],
            &started["keepAlive"],
            &started["pollFrequency"]
        ),
        (&json!("pending"), &json!(3600), &json!(1))
    );
    assert_eq!(started["command"], "sleep 1.5");
    let id = &started["task_id"];
    let running = server.tool_error("ssh_get_task_result", json!({"task_id": id}));
    assert!(
        running.starts_with("Error: ") && running.contains("still running"),
        "{running}"
    );
    let said = |event: &str| {
        let text = format!("task {} {event} ", id.as_str().unwrap());
        server.wait_frame(event, |frame| {
            frame["params"]["data"]
                .as_str()
                .is_some_and(|data| data.starts_with(&text))
        })
    };
    assert!(!said("created").to_string().contains("sleep"));
    said("completed");
    let status = server.tool("ssh_get_task_status", json!({"task_id": id}));
    assert_eq!(
        (&status["status"], &status["progress_percent"]),
        (&json!("completed"), &json!(100))
    );
    let result = server.tool("ssh_get_task_result", json!({"task_id": id}));
    assert_eq!(
        (
            &result["exit_code"],
            &result["status"],
            &result["max_seconds"]
        ),
        (&json!(0), &json!("completed"), &json!(3600))
    );

    let started = server.tool(
        "ssh_run_async",
        json!({"alias": "one", "command": "sleep 24.5"}),
    );
    let ended = server.tool(
        "ssh_cancel_async_task",
        json!({"task_id": started["task_id"]}),
    );
    assert_eq!(ended["cancelled"], true);
    let denied = server.call(
        "ssh_run_async",
        json!({"alias": "one", "command": "reboot"}),
    );
    assert_eq!(denied["isError"], true);
    assert_eq!(members(&denied)["status"], "denied");
}

#[test]
fn an_asynchronous_run_taken_back_before_it_has_a_name_ends() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    let rounds = 10;
    for _ in 0..rounds {
        let id = server.begin_call(
            "ssh_run_async",
            json!({"alias": "one", "command": "sleep 27.5"}),
        );
        server.notify("notifications/cancelled", json!({"requestId": id}));
        // When this is answered, it is settled whether the call was.
        server.request("ping", json!({}));
        let frames = server.frames();
        if let Some(answer) = frames.iter().find(|frame| frame["id"] == id) {
            let task = &members(&answer["result"])["task_id"];
            server.tool("ssh_cancel", json!({"task_id": task}));
        }
    }
    wait_until("each of them was ended", || {
        let records = server.records();
        let ends = records.iter().filter(|record| record["type"] == "audit");
        ends.filter(|end| end["cancelled"] == true).count() == rounds
    });
    wait_until("nothing is left", || {
        processes_with("sleep 27.5").is_empty()
    });
}

#[test]
fn a_denial_by_the_network_policy_says_so_before_and_after_a_task() {
    let fleet = Fleet::of(&["one"]);
    let policy = crate::common::policy_allowing(&["id"])
        .replace("allow_cidrs: [127.0.0.0/8]", "block_cidrs: [127.0.0.0/8]");
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    for tool in ["ssh_run", "ssh_run_async"] {
        let result = server.call(tool, json!({"alias": "one", "command": "id"}));
        assert_eq!(result["isError"], true, "{result}");
        let denied = &members(&result);
        assert_eq!(
            (&denied["status"], &denied["reason"]),
            (&json!("denied"), &json!("network"))
        );
        assert_eq!(
            denied["detail"],
            "No resolved IPs allowed by policy.network"
        );
        assert!(denied["hint"].as_str().unwrap().contains("ssh_plan"));
    }
    // A name that leads nowhere is no matter of the policy.
    let named = format!(
        "  - alias: nowhere\n    host: nowhere.invalid\n    port: {}\n    credentials: fleet\n",
        fleet.host("one").port
    );
    fleet
        .setup
        .write("servers.yml", &(fleet.servers_yaml() + &named));
    server.tool("ssh_reload_config", json!({}));
    let result = server.call("ssh_run", json!({"alias": "nowhere", "command": "id"}));
    let denied = &members(&result);
    assert_eq!(denied["detail"], "DNS resolution failed", "{denied}");
    let hint = denied["hint"].as_str().unwrap();
    assert!(hint.contains("servers.yml") && hint.contains("ssh_plan"));
    let plan = server.tool("ssh_plan", json!({"alias": "one", "command": "id"}));
    assert_eq!(plan["network"]["verdict"], "deny");
    assert_eq!(plan["allowed"], true);
}
