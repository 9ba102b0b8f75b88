//! Promise: a client that can show links is pointed to the operator's page (`approval_url`).
//! What it answers is consent to open a page: the command runs by the operator's word alone.
//! The link holds the name of the question and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::operator_approvals::{Desk, OPERATOR, answer, call, fleet, policy, said};
use crate::common::{Era, Fleet, Launch, Scratch, Server, members, run_cli, tool, wait_until};
use crate::mcp::clients;

const PAGE: &str = "approval_url: https://ops.example/approvals/{id}\n";

fn links() -> Value {
    json!({"elicitation": {"url": {}}})
}

fn start(desk: &Desk, fleet: &Fleet, era: Era, capabilities: Value) -> Server {
    let args = ["--approvals-dir", desk.path()];
    let launch = Launch::era(era).args(&args).capabilities(capabilities);
    launch.start(&fleet.setup)
}

fn approve(desk: &Desk, question: &Value) {
    let (done, text) = desk.operator(&["approve", question["id"].as_str().unwrap(), "--yes"]);
    assert!(done, "{text}");
}

fn approval(server: &Server, question: &Value) -> Value {
    server.wait_record("the approval", |record| {
        record["type"] == "approval" && record["request"] == question["id"]
    })
}

/// The link to the page of this question, which holds its name and nothing else.
fn assert_link(params: &Value, question: &Value) {
    let id = question["id"].as_str().unwrap();
    let url = format!("https://ops.example/approvals/{id}");
    assert_eq!(
        (&params["mode"], &params["url"]),
        (&json!("url"), &json!(url))
    );
    let message = params["message"].as_str().unwrap();
    for words in [id, "Host: web1", "'echo' 'hello'", "approves nothing"] {
        assert!(message.contains(words), "{words} in {message}");
    }
}

fn methods(server: &Server) -> Vec<Value> {
    let frames = server.frames().into_iter();
    frames
        .filter_map(|frame| frame.get("method").cloned())
        .collect()
}

/// The link that a legacy client gets.
fn link(server: &Server) -> Value {
    server.wait_frame("a link", |frame| frame["method"] == "elicitation/create")
}

fn reply(server: &Server, link: &Value, result: Value) {
    server.send(&json!({"jsonrpc": "2.0", "id": link["id"], "result": result}));
}

#[test]
fn a_legacy_client_opens_the_page_and_the_operator_approves() {
    let fleet = fleet(PAGE);
    let desk = Desk::new(&fleet);
    let server = start(&desk, &fleet, Era::V2025_11_25, links());
    let running = server.begin_call("ssh_run", call());
    let link = link(&server);
    let question = desk.question();
    assert_link(&link["params"], &question);
    assert_eq!(link["params"]["elicitationId"], question["id"]);
    // A form's yes is none here.
    reply(
        &server,
        &link,
        json!({"action": "accept", "content": {"approve": true, "approve_for": "10 minutes"}}),
    );
    server.tool("ssh_ping", json!({}));
    assert_eq!((desk.requests(), fleet.machines[0].logins()), (1, 0));
    approve(&desk, &question);
    let ran = answer(&server, &running);
    assert_eq!(ran["output"], "hello", "{ran}");
    let complete = server.wait_frame("the end of the link", |frame| {
        frame["method"] == "notifications/elicitation/complete"
    });
    assert_eq!(complete["params"], json!({"elicitationId": question["id"]}));
    let record = approval(&server, &question);
    assert_eq!(
        (&record["outcome"], &record["way"], &record["by"]),
        (&json!("accepted"), &json!("operator"), &json!(OPERATOR))
    );
    assert!(!methods(&server).contains(&json!("notifications/cancelled")));

    // The operator is faster than the person at the client: the link is taken back.
    let running = server.begin_call("ssh_run", call());
    let second = server.wait_frame("another link", |frame| {
        frame["method"] == "elicitation/create" && frame["id"] != link["id"]
    });
    assert_ne!(second["params"]["url"], link["params"]["url"]);
    approve(&desk, &desk.question());
    assert_eq!(answer(&server, &running)["output"], "hello");
    server.wait_frame("the link taken back", |frame| {
        frame["method"] == "notifications/cancelled" && frame["params"]["requestId"] == second["id"]
    });

    // One that cannot show it after all says so by an error: the operator decides all the same.
    let running = server.begin_call("ssh_run", call());
    let third = server.wait_frame("a third link", |frame| {
        frame["method"] == "elicitation/create"
            && frame["id"] != link["id"]
            && frame["id"] != second["id"]
    });
    let error = json!({"code": -32602, "message": "no browser"});
    server.send(&json!({"jsonrpc": "2.0", "id": third["id"], "error": error}));
    let question = desk.question();
    assert!(desk.operator(&["deny", question["id"].as_str().unwrap()]).0);
    assert_eq!(answer(&server, &running)["code"], "approval:declined");
    assert_eq!(approval(&server, &question)["way"], "operator");
    assert_eq!(desk.requests(), 0);
    server.finish();
}

#[test]
fn consent_to_open_a_page_runs_nothing_and_a_no_ends_the_wait() {
    let fleet = fleet(&format!("{PAGE}approval_seconds: 2\n"));
    let desk = Desk::new(&fleet);
    let server = start(&desk, &fleet, Era::V2025_11_25, links());
    let answers = [
        ("accept", "approval:timeout", "timeout", "operator"),
        ("decline", "approval:declined", "declined", "url"),
        ("cancel", "approval:cancelled", "cancelled", "url"),
        // Neither: the operator is waited for.
        ("maybe", "approval:timeout", "timeout", "operator"),
    ];
    for (number, (action, code, outcome, way)) in answers.into_iter().enumerate() {
        let running = server.begin_call("ssh_run", call());
        let link = server.wait_frame("a link", |frame| {
            frame["method"] == "elicitation/create"
                && frame["id"]
                    .as_str()
                    .unwrap()
                    .ends_with(&format!("-{number}"))
        });
        let question = desk.question();
        assert_eq!(link["params"]["elicitationId"], question["id"]);
        reply(&server, &link, json!({"action": action}));
        let denied = answer(&server, &running);
        assert_eq!(denied["code"], code, "{action}: {denied}");
        let record = approval(&server, &question);
        assert_eq!(
            (&record["outcome"], &record["way"], record.get("by")),
            (&json!(outcome), &json!(way), None),
            "{action}"
        );
        assert_eq!(desk.requests(), 0, "{action}: nothing waits any more");
        let (done, text) = desk.operator(&["approve", question["id"].as_str().unwrap(), "--yes"]);
        assert!(!done && text.contains("no request"), "{text}");
    }
    assert_eq!(fleet.machines[0].logins(), 0);
    let complete = json!("notifications/elicitation/complete");
    assert!(!methods(&server).contains(&complete));
    server.finish();
}

#[test]
fn who_has_no_page_or_no_links_waits_as_ever() {
    for (head, era, capabilities) in [
        ("", Era::V2025_11_25, links()),
        (PAGE, Era::V2025_11_25, json!({})),
        (PAGE, Era::V2025_11_25, json!({"elicitation": {}})),
        (PAGE, Era::V2025_11_25, json!({"elicitation": {"form": {}}})),
        // It has no words for links, whatever the client declares.
        (PAGE, Era::V2025_06_18, links()),
        ("", Era::V2026_07_28, links()),
        (PAGE, Era::V2026_07_28, json!({"elicitation": {"form": {}}})),
    ] {
        let fleet = fleet(head);
        let desk = Desk::new(&fleet);
        let server = start(&desk, &fleet, era, capabilities);
        let running = server.begin_call("ssh_run", call());
        approve(&desk, &desk.question());
        assert_eq!(answer(&server, &running)["output"], "hello");
        assert!(!methods(&server).contains(&json!("elicitation/create")));
        server.finish();
    }
}

/// A call of the modern revision; what it brings back goes into its parameters.
fn attempt(server: &Server, back: Value) -> Value {
    let mut params = json!({"name": "ssh_run", "arguments": call()});
    let back = back.as_object().unwrap().clone();
    params.as_object_mut().unwrap().extend(back);
    server.begin("tools/call", params)
}

fn said_to(action: &str) -> Value {
    json!({"approval": {"action": action}})
}

/// The link that a modern client gets with a result, and the state to bring back.
fn result_link(server: &Server, id: &Value) -> (Value, Value) {
    let result = server.response(id)["result"].clone();
    assert_eq!(result["resultType"], "input_required", "{result}");
    let request = &result["inputRequests"]["approval"];
    assert_eq!(request["method"], "elicitation/create");
    // Links of this revision have no names: the state is one.
    assert!(request["params"].get("elicitationId").is_none());
    (request["params"].clone(), result["requestState"].clone())
}

#[test]
fn a_modern_client_opens_the_page_and_calls_again() {
    let fleet = fleet(PAGE);
    let desk = Desk::new(&fleet);
    let server = start(&desk, &fleet, Era::V2026_07_28, links());
    let (params, state) = result_link(&server, &attempt(&server, json!({})));
    let question = desk.question();
    assert_link(&params, &question);
    // Half of a second attempt: the same link, in a new state.
    let half = attempt(&server, json!({"requestState": state}));
    let (again, state) = result_link(&server, &half);
    assert_eq!((&again["url"], desk.requests()), (&params["url"], 1));
    // What is no answer, and a state of somebody else: errors of the call, and it waits on.
    for back in [
        json!({"requestState": state, "inputResponses": said_to("maybe")}),
        json!({"requestState": "AAAA", "inputResponses": said_to("accept")}),
    ] {
        let wrong = server.response(&attempt(&server, back));
        assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
    }
    let back = json!({"requestState": state, "inputResponses": said_to("accept")});
    let running = attempt(&server, back.clone());
    server.tool("ssh_ping", json!({}));
    assert_eq!((desk.requests(), fleet.machines[0].logins()), (1, 0));
    approve(&desk, &question);
    assert_eq!(answer(&server, &running)["output"], "hello");
    let record = approval(&server, &question);
    assert_eq!(
        (&record["outcome"], &record["way"]),
        (&json!("accepted"), &json!("operator"))
    );
    // Once.
    let replayed = server.response(&attempt(&server, back));
    assert_eq!(replayed["error"]["code"], -32602, "{replayed}");
    // There are no notifications for it in this revision.
    assert_eq!(methods(&server), Vec::<Value>::new());

    for (action, code) in [("decline", "declined"), ("cancel", "cancelled")] {
        let (_, state) = result_link(&server, &attempt(&server, json!({})));
        let question = desk.question();
        let back = json!({"requestState": state, "inputResponses": said_to(action)});
        let denied = answer(&server, &attempt(&server, back));
        assert_eq!(denied["code"], format!("approval:{code}"), "{denied}");
        let record = approval(&server, &question);
        assert_eq!(
            (&record["outcome"], &record["way"]),
            (&json!(code), &json!("url"))
        );
        assert_eq!(desk.requests(), 0);
    }
    // The client is gone with a state: nobody is left to answer to.
    result_link(&server, &attempt(&server, json!({})));
    assert_eq!(desk.requests(), 1);
    server.finish();
    assert_eq!(desk.requests(), 0);
    assert_eq!(fleet.machines[0].logins(), 1);
}

#[test]
fn a_modern_clients_consent_expires_and_is_none_under_another_policy() {
    let head = format!("{PAGE}approval_seconds: 2\n");
    let fleet = fleet(&head);
    let desk = Desk::new(&fleet);
    let both = json!({"elicitation": {"url": {}, "form": {}}});
    let server = start(&desk, &fleet, Era::V2026_07_28, both);
    let accept =
        |state: &Value| json!({"requestState": state, "inputResponses": said_to("accept")});
    let (_, state) = result_link(&server, &attempt(&server, json!({})));
    let timeout = answer(&server, &attempt(&server, accept(&state)));
    assert_eq!(timeout["code"], "approval:timeout", "{timeout}");
    assert_eq!(desk.requests(), 0);
    // Nobody brings this one back.
    let (_, late) = result_link(&server, &attempt(&server, json!({})));
    wait_until("the question is taken away", || desk.requests() == 0);
    let timeout = answer(&server, &attempt(&server, accept(&late)));
    assert_eq!(timeout["code"], "approval:timeout", "{timeout}");

    // Another policy, by which the operator is asked anew.
    fleet.setup.write("policy.yml", &policy(PAGE));
    server.call("ssh_reload_config", json!({}));
    let (_, state) = result_link(&server, &attempt(&server, json!({})));
    let before = desk.question();
    let other = policy(&format!("{PAGE}x-note: another\n"));
    fleet.setup.write("policy.yml", &other);
    server.call("ssh_reload_config", json!({}));
    let (params, state) = result_link(&server, &attempt(&server, accept(&state)));
    let question = desk.question();
    assert_ne!(question["id"], before["id"]);
    assert_link(&params, &question);
    // And one by which the client's person is: to open a page was no yes to the command.
    fleet.setup.write(
        "policy.yml",
        &other.replace("approval: operator", "approval: elicitation"),
    );
    server.call("ssh_reload_config", json!({}));
    let wrong = server.response(&attempt(&server, accept(&state)));
    assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
    assert_eq!((desk.requests(), fleet.machines[0].logins()), (0, 0));
    server.finish();
}

#[test]
fn an_address_that_may_not_be_opened_is_refused_at_load() {
    let fleet = fleet("");
    for (url, words) in [
        ("https://ops.example/approvals", "an address without {id}"),
        ("http://ops.example/{id}", "http to another machine"),
        ("https://op:secret@ops.example/{id}", "a login"),
        ("https://{id}.example/", "the name of the host"),
        ("javascript:alert(1)//{id}", "begin with https://"),
    ] {
        let text = policy(&format!("approval_url: \"{url}\"\n"));
        fleet.setup.write("policy.yml", &text);
        let (well, text) = said(&run_cli(&fleet.setup, &["check"]));
        assert!(!well, "{text}");
        for words in [words, "policy.yml:1:", "approval_url", "https://HOST/"] {
            assert!(text.contains(words), "{words} in {text}");
        }
    }
    fleet.setup.write(
        "policy.yml",
        &policy("approval_url: http://127.0.0.1:8080/?{id}\n"),
    );
    let (well, text) = said(&run_cli(&fleet.setup, &["check"]));
    assert!(well, "{text}");
    // A page of which nobody is told.
    assert!(text.contains("--approvals-dir"), "{text}");
}

/// Also in a run on a tag, where one question is for all hosts.
#[test]
fn one_link_is_for_all_hosts_of_a_run() {
    let fleet = Fleet::crowd(2);
    fleet.setup.write("policy.yml", &policy(PAGE));
    let desk = Desk::new(&fleet);
    let server = start(&desk, &fleet, Era::V2025_11_25, links());
    let arguments = json!({"tag": "crowd", "command": "echo  hello"});
    let running = server.begin_call("ssh_run_on_tag", arguments);
    let link = link(&server);
    assert!(
        link["params"]["message"]
            .as_str()
            .unwrap()
            .contains("2 hosts: node-000, node-001"),
        "{link}"
    );
    reply(&server, &link, json!({"action": "accept"}));
    approve(&desk, &desk.question());
    let ran = members(&server.response(&running)["result"]);
    assert_eq!(ran["summary"]["succeeded"], 2, "{ran}");
    server.finish();
}

#[test]
fn the_typescript_client_opens_the_page() {
    for mode in ["legacy", "2026-07-28"] {
        let mut client = Command::new(tool("node"));
        client
            .arg(clients::script("page.mjs"))
            .arg(clients::installed("node"))
            .arg(mode);
        opens_the_page(client, mode);
    }
}

#[test]
fn the_python_client_opens_the_page() {
    for mode in ["legacy", "2026-07-28"] {
        clients::installed_beside("python/lib", "mcp");
        let mut client = Command::new(clients::installed("python/bin/python"));
        client.arg(clients::script("page.py")).arg(mode);
        opens_the_page(client, mode);
    }
}

/// A client that others wrote shows the link, and its call ends by the operator's word.
fn opens_the_page(mut client: Command, mode: &str) {
    let fleet = fleet(PAGE);
    let desk = Desk::new(&fleet);
    let dir = Scratch::new("client");
    let log = dir.path().join("server.log");
    let running = client
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"))
        .arg(clients::environment(&fleet))
        .arg(desk.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let question = desk.question();
    approve(&desk, &question);
    let output = running.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["run"]["output"], "hello", "{mode}: {report}");
    let links = report["links"].as_array().unwrap();
    assert_eq!(links.len(), 1, "{mode}: {report}");
    assert_link(&links[0], &question);
    // The modern revision has no words for it.
    let complete = match mode {
        "legacy" => json!([question["id"]]),
        _ => json!([]),
    };
    assert_eq!(report["complete"], complete, "{mode}: {report}");
}
