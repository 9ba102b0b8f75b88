//! Promise: where a rule says `detach: true`, a command may be started as a job that goes on
//! when client and server have gone: found again by its name or on its host after a restart,
//! with state, output, exit status and an end that reaches all of it. What a policy or a host
//! cannot have is said before anything runs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, Gate, HostSpec, Scratch, Server, processes_with, wait_until};
use serde_json::{Value, json};

/// `detached` may go on by itself, `waited` may only be run.
fn policy(fleet: &Fleet, detached: &[&str], waited: &[&str]) {
    fleet.setup.write(
        "policy.yml",
        &format!(
            "limits: {{max_seconds: 30, max_output_bytes: 8192, deny_substrings: []}}\nrules:\n\
             - {{action: allow, commands: {detached:?}, detach: true}}\n\
             - {{action: allow, commands: {waited:?}}}\n"
        ),
    );
}

fn start(server: &Server, command: &str) -> Value {
    let arguments = json!({"alias": "web1", "command": command, "detach": true});
    server.tool("ssh_run_async", arguments)
}

fn refused(server: &Server, command: &str) -> Value {
    let arguments = json!({"alias": "web1", "command": command, "detach": true});
    let text = server.tool_error("ssh_run_async", arguments);
    serde_json::from_str(&text).unwrap()
}

fn status(server: &Server, id: &Value, seconds: u32) -> Value {
    let arguments = json!({"task_id": id, "wait_seconds": seconds});
    server.tool("ssh_get_task_status", arguments)
}

fn listed(server: &Server, id: &Value) -> Value {
    let list = server.tool("ssh_list_tasks", json!({"alias": "web1"}));
    let tasks = list["tasks"].as_array().unwrap();
    let found: Vec<&Value> = tasks.iter().filter(|task| task["task_id"] == *id).collect();
    assert_eq!(found.len(), 1, "{list}");
    found[0].clone()
}

#[test]
fn it_outlives_its_server_and_is_found_again() {
    let fleet = Fleet::of(&["web1"]);
    policy(&fleet, &["hostname"], &["uptime"]);
    let gate = Gate::new();
    fleet.host("web1").stub(
        "hostname",
        &format!(
            "#!/bin/sh\necho begun; umask >&2\n{}\necho over\nexit 3\n",
            gate.wait()
        ),
    );
    let server = Server::start(&fleet.setup);
    let task = start(&server, "hostname");
    let id = &task["task_id"];
    assert_eq!(
        (&task["status"], &task["detached"]),
        (&json!("running"), &json!(true))
    );
    assert_eq!(task["max_seconds"], Value::Null, "nothing ends it: {task}");
    let records = server.finish().records;
    assert!(
        records.iter().any(|record| record["task_id"] == *id),
        "its name is on record: {records:#?}"
    );

    let server = Server::start(&fleet.setup);
    let found = listed(&server, id);
    assert_eq!(
        (&found["status"], &found["command"]),
        (&json!("running"), &json!("'hostname'"))
    );
    let own = server.tool("ssh_list_tasks", json!({}));
    assert_eq!(own["tasks"], json!([]), "it is on its host");
    wait_until("its first lines", || {
        status(&server, id, 0)["output_lines_available"] == 2
    });
    let output = json!({"task_id": id, "max_lines": 5});
    let output = server.tool("ssh_get_task_output", output);
    // Files that it makes are as they would be without a job around it.
    assert_eq!(output["output_lines"], json!(["begun", "0022"]));
    assert_eq!(output["finished"], false);
    let early = server.tool_error("ssh_get_task_result", json!({"task_id": id}));
    assert!(early.contains("still running"), "{early}");
    gate.open();
    let ended = status(&server, id, 30);
    assert_eq!(
        (&ended["status"], &ended["exit_code"]),
        (&json!("failed"), &json!(3))
    );
    let result = server.tool("ssh_get_task_result", json!({"task_id": id}));
    assert_eq!(result["output"], "begun\n0022\nover");
    assert_eq!(result["exit_code"], 3);
    let found = json!({"task_id": id, "find": "OVER", "ignore_case": true});
    let found = server.tool("ssh_get_task_output", found);
    assert_eq!(
        (&found["matches"], &found["finished"]),
        (&json!(1), &json!(true))
    );
    // Too late, and said so.
    let cancel = server.tool("ssh_cancel", json!({"task_id": id}));
    assert_eq!(cancel["cancelled"], false, "{cancel}");
    server.finish();
}

#[test]
fn an_end_reaches_all_of_it_and_stays_known() {
    let fleet = Fleet::of(&["web1"]);
    policy(&fleet, &["hostname"], &["uptime"]);
    // The first one outlives TERM, so that only KILL ends it.
    fleet.host("web1").stub(
        "hostname",
        "#!/bin/sh\ntrap '' TERM\nsleep 4723 &\necho begun\nwhile :; do sleep 4724; done\n",
    );
    let server = Server::start(&fleet.setup);
    let task = start(&server, "hostname");
    let id = &task["task_id"];
    wait_until("the job", || {
        !processes_with("sleep 4723").is_empty() && !processes_with("sleep 4724").is_empty()
    });
    for tool in ["ssh_cancel", "ssh_cancel_async_task"] {
        let cancel = server.tool(tool, json!({"task_id": id}));
        assert_eq!(cancel["cancelled"], true, "{cancel}");
    }
    wait_until("the end of its processes", || {
        processes_with("sleep 4723").is_empty() && processes_with("sleep 4724").is_empty()
    });
    let ended = status(&server, id, 0);
    assert_eq!(
        (&ended["status"], &ended["exit_code"]),
        (&json!("cancelled"), &json!(-1))
    );
    let result = server.tool("ssh_get_task_result", json!({"task_id": id}));
    assert!(
        result["output"].as_str().unwrap().starts_with("begun"),
        "{result}"
    );
    server.finish();
}

#[test]
fn without_a_rule_for_it_nothing_runs() {
    let fleet = Fleet::of(&["web1"]);
    policy(&fleet, &["hostname"], &["uptime"]);
    fleet
        .host("web1")
        .stub("uptime", "#!/bin/sh\nexec sleep 4725\n");
    let server = Server::start(&fleet.setup);
    for command in ["uptime", "hostname; uptime", "echo only"] {
        let denial = refused(&server, command);
        assert_eq!(
            (&denial["code"], &denial["kind"]),
            (&json!("detach"), &json!("narrow")),
            "{command}: {denial}"
        );
    }
    // What may not run at all is denied for that.
    assert_eq!(refused(&server, "reboot")["code"], "no-rule");
    assert!(processes_with("sleep 4725").is_empty());
    let both = json!({"alias": "web1", "command": "hostname", "detach": true, "timeout": 5});
    let both = server.tool_error("ssh_run_async", both);
    assert!(both.contains("do not go together"), "{both}");
    // Jobs of a host whose rules know none are nobody's to look at.
    policy(&fleet, &["nothing"], &["uptime"]);
    let name = "web1:dd291cd6294b:job.AAAAAAAAAAAAAAAAAAAAAA";
    let unknown = server.tool_error("ssh_get_task_status", json!({"task_id": name}));
    assert!(unknown.contains("not found"), "{unknown}");
    fleet.allow(&["hostname"]);
    for (tool, arguments) in [
        ("ssh_get_task_status", json!({"task_id": name})),
        ("ssh_get_task_output", json!({"task_id": name})),
        ("ssh_cancel", json!({"task_id": name})),
        ("ssh_list_tasks", json!({"alias": "web1"})),
    ] {
        let denial = server.tool_error(tool, arguments);
        assert!(denial.contains("\"code\":\"detach\""), "{tool}: {denial}");
    }
    server.finish();
}

#[test]
fn what_the_host_lacks_is_said_before_anything_runs() {
    let tools = Scratch::new("no-setsid");
    for tool in [
        "sh", "mkdir", "chmod", "rm", "cat", "date", "mv", "find", "tr", "grep",
    ] {
        let found = crate::common::tool(tool);
        std::os::unix::fs::symlink(found, tools.path().join(tool)).unwrap();
    }
    let path = tools.path().display().to_string();
    for (name, value, code) in [
        ("PATH", path.as_str(), "setsid"),
        ("HOME", "/proc", "home"),
        ("HOME", "relative", "home"),
    ] {
        // Whatever else the session has, this it has not.
        let lacking = format!("env {name}={value} /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"");
        let fleet = Fleet::with(vec![HostSpec::new("web1").force_command(&lacking)]);
        policy(&fleet, &["/bin/sleep 4726"], &["uptime"]);
        let server = Server::start(&fleet.setup);
        let refusal = refused(&server, "/bin/sleep 4726");
        assert_eq!(
            (&refusal["reason"], &refusal["code"]),
            (&json!("detach"), &json!(code)),
            "{name}={value}: {refusal}"
        );
        assert!(processes_with("sleep 4726").is_empty());
        server.finish();
    }
    let fleet = Fleet::with(vec![HostSpec::new("web1").yaml("shell: login")]);
    policy(&fleet, &["hostname"], &["uptime"]);
    let server = Server::start(&fleet.setup);
    let refusal = refused(&server, "hostname");
    assert_eq!(refusal["code"], "detach");
    assert!(
        refusal["why"].as_str().unwrap().contains("shell: login"),
        "{refusal}"
    );
    server.finish();
}

#[test]
fn its_output_on_the_host_is_bounded() {
    let fleet = Fleet::of(&["web1"]);
    policy(&fleet, &["seq *"], &["uptime"]);
    for (cap, state) in [("stop", "failed"), ("discard", "completed")] {
        let text = std::fs::read_to_string(fleet.setup.config.join("policy.yml")).unwrap();
        let text = text.replace(
            "max_seconds: 30",
            &format!("max_seconds: 30, on_output_cap: {cap}"),
        );
        fleet.setup.write("policy.yml", &text);
        let server = Server::start(&fleet.setup);
        let task = start(&server, "seq 1000000");
        let ended = status(&server, &task["task_id"], 30);
        assert_eq!(ended["status"], state, "{ended}");
        let bytes = ended["bytes_read"].as_u64().unwrap();
        assert!((7000..=8192).contains(&bytes), "{ended}");
        let all = json!({"task_id": task["task_id"], "from_line": 1});
        let all = server.tool("ssh_get_task_output", all);
        assert_eq!(all["output_lines"][0], "1");
        server.finish();
        fleet.setup.write(
            "policy.yml",
            &text.replace(&format!(", on_output_cap: {cap}"), ""),
        );
    }
}
