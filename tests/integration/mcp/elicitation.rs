//! A rule that asks gets a person's clear yes, once, for exactly what was shown, or the
//! command does not run; and how it ended is on the record.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Era, Fleet, HostSpec, Launch, Server, members};
use serde_json::{Value, json};

fn policy() -> String {
    crate::common::policy_allowing(&["uptime"])
        + "  - action: ask\n    trust_arguments: true\n    aliases: [\"*\"]\n    commands:\n      - \"touch *\"\n      - \"echo *\"\n      - \"sleep *\"\n"
}

fn fleet() -> Fleet {
    let hosts = ["one", "two"].map(|alias| HostSpec::new(alias).tags(&["all"]));
    let fleet = Fleet::with(hosts.into());
    fleet.setup.write("policy.yml", &policy());
    fleet
}

fn asking(era: Era) -> Launch {
    Launch::era(era).capabilities(json!({"elicitation": {}}))
}

fn question(server: &Server) -> Value {
    server.wait_frame("a question", |frame| {
        frame["method"] == "elicitation/create"
    })
}

fn outcome(server: &Server) -> Value {
    server.wait_record("an approval", |record| record["type"] == "approval")
}

fn nothing_ran(fleet: &Fleet, server: Server) {
    let done = server.finish();
    assert!(
        !done.records.iter().any(|record| record["type"] == "audit"),
        "{}",
        done.log
    );
    assert!(
        done.records
            .iter()
            .any(|record| record["type"] == "policy_decision" && record["allowed"] == false),
        "{}",
        done.log
    );
    assert!(fleet.machines.iter().all(|host| host.logins() == 0));
}

/// The call is an error of the protocol, whose words are these.
fn assert_invalid(answer: &Value, words: &str) {
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(words), "{message}");
}

fn assert_denied(result: &Value, code: &str) {
    assert_eq!(result["isError"], true, "{result}");
    let denied = &members(result);
    assert_eq!(
        (&denied["status"], &denied["code"]),
        (&json!("denied"), &json!(code)),
        "{denied}"
    );
    assert!(
        denied["hint"].as_str().unwrap().contains("ssh_plan"),
        "{denied}"
    );
    assert!(denied["why"].is_string());
    let text: Value = serde_json::from_str(&crate::common::text_of(result)).unwrap();
    assert_eq!(&text, denied);
}

#[test]
fn a_legacy_client_is_asked_and_its_yes_runs_the_command() {
    let fleet = fleet();
    for era in [Era::V2025_06_18, Era::V2025_11_25] {
        let server = asking(era).start(&fleet.setup);
        let id = server.begin_call(
            "ssh_run",
            json!({"alias": "one", "command": "echo 'a  b' é"}),
        );
        // 'é' outside quotes is refused, so this one never gets to a person.
        assert_eq!(server.response(&id)["result"]["isError"], true);
        let id = server.begin_call(
            "ssh_run",
            json!({"alias": "one", "command": "echo 'a é' b"}),
        );
        let asked = question(&server);
        let params = &asked["params"];
        assert_eq!(params.get("mode").is_some(), era == Era::V2025_11_25);
        let message = params["message"].as_str().unwrap();
        for part in ["one", "\\u{e9}", "policy.yml, line"] {
            assert!(message.contains(part), "{message}");
        }
        // Nothing to fill in, so nothing that is left unticked: to accept is to approve.
        assert_eq!(params["requestedSchema"]["properties"], json!({}));
        assert!(message.contains("Accept to run exactly this"), "{message}");
        server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"approve": true}}}));
        let result = server.response(&id)["result"].clone();
        assert_eq!(members(&result)["output"], "a é b", "{result}");
        let record = outcome(&server);
        assert_eq!(
            (&record["outcome"], &record["alias"]),
            (&json!("accepted"), &json!("one"))
        );
        assert!(
            !record.to_string().contains("a é"),
            "the record holds no command"
        );
        // The same answer again answers nothing.
        server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"approve": true}}}));
        server.tool("ssh_ping", json!({}));
    }
}

#[test]
fn whatever_is_not_a_clear_yes_is_a_no() {
    let fleet = fleet();
    let answers = [
        (
            json!({"result": {"action": "decline"}}),
            "declined",
            "approval:declined",
        ),
        (
            json!({"result": {"action": "cancel"}}),
            "cancelled",
            "approval:cancelled",
        ),
        (
            json!({"result": {"action": "accept", "content": {"approve": false}}}),
            "declined",
            "approval:declined",
        ),
        (
            json!({"result": {"action": "accept", "content": {"approve": "true"}}}),
            "malformed",
            "approval:malformed",
        ),
        (
            json!({"result": {"action": "yes", "content": {"approve": true}}}),
            "malformed",
            "approval:malformed",
        ),
        (
            json!({"error": {"code": -32601, "message": "cannot"}}),
            "unsupported",
            "approval:unavailable",
        ),
    ];
    for (answer, ended, code) in answers {
        let server = asking(Era::V2025_11_25).start(&fleet.setup);
        let id = server.begin_call("ssh_run", json!({"alias": "one", "command": "echo x"}));
        let asked = question(&server);
        let mut frame = json!({"jsonrpc": "2.0", "id": asked["id"]});
        frame
            .as_object_mut()
            .unwrap()
            .extend(answer.as_object().unwrap().clone());
        server.send(&frame);
        assert_denied(&server.response(&id)["result"], code);
        assert_eq!(outcome(&server)["outcome"], ended, "{answer}");
        nothing_ran(&fleet, server);
    }
}

#[test]
fn a_client_that_cannot_ask_is_told_so() {
    let fleet = fleet();
    let launches = [
        Launch::era(Era::V2025_11_25),
        Launch::era(Era::V2025_11_25).capabilities(json!({"elicitation": {"url": {}}})),
        Launch::era(Era::V2024_11_05),
        // It says that it can, but its revision has no words for it.
        Launch::era(Era::V2025_03_26).capabilities(json!({"elicitation": {}})),
        Launch::era(Era::V2026_07_28),
    ];
    for launch in launches {
        let server = launch.start(&fleet.setup);
        for (tool, arguments) in [
            ("ssh_run", json!({"alias": "one", "command": "echo x"})),
            (
                "ssh_run_async",
                json!({"alias": "one", "command": "echo x"}),
            ),
            ("ssh_run_on_tag", json!({"tag": "all", "command": "echo x"})),
        ] {
            let denied = crate::common::structured(&server.call(tool, arguments)).unwrap();
            assert_eq!(
                (&denied["status"], &denied["code"]),
                (&json!("denied"), &json!("approval:unavailable")),
                "{denied}"
            );
        }
        if !server.era().is_modern() {
            let start = server.response(&json!(1))["result"]["instructions"].clone();
            let says = start.as_str().unwrap().contains("cannot put a question");
            assert!(says, "{start}");
        }
        assert_eq!(outcome(&server)["outcome"], "unsupported");
        nothing_ran(&fleet, server);
    }
}

#[test]
fn a_question_ends_with_its_call_and_with_its_client() {
    let fleet = fleet();
    let server = asking(Era::V2025_11_25).start(&fleet.setup);
    let id = server.begin_call("ssh_run", json!({"alias": "one", "command": "echo x"}));
    let asked = question(&server);
    server.notify("notifications/cancelled", json!({"requestId": id}));
    let taken_back = server.wait_frame("the end of the question", |frame| {
        frame["method"] == "notifications/cancelled"
    });
    assert_eq!(taken_back["params"]["requestId"], asked["id"]);
    assert_eq!(outcome(&server)["outcome"], "cancelled");
    server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"approve": true}}}));
    server.tool("ssh_ping", json!({}));
    assert!(
        !server
            .frames()
            .iter()
            .any(|frame| frame["id"] == id && frame.get("method").is_none())
    );
    nothing_ran(&fleet, server);

    let server = asking(Era::V2025_11_25).start(&fleet.setup);
    server.begin_call("ssh_run", json!({"alias": "one", "command": "echo x"}));
    question(&server);
    server.close_stdin();
    assert_eq!(outcome(&server)["outcome"], "client_lost");
    nothing_ran(&fleet, server);
}

fn call(server: &Server, command: &str, more: Value) -> Value {
    let answer = attempt(server, command, more);
    answer.get("result").cloned().unwrap_or(answer)
}

/// The whole answer, be it a result or an error.
fn attempt(server: &Server, command: &str, more: Value) -> Value {
    let mut params = json!({"name": "ssh_run", "arguments": {"alias": "one", "command": command}});
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    server.ask("tools/call", params)
}

fn yes(state: &Value) -> Value {
    json!({"requestState": state, "inputResponses": {"approval": {"action": "accept", "content": {"approve": true}}}})
}

#[test]
fn a_modern_client_asks_and_calls_again() {
    let fleet = fleet();
    let server = asking(Era::V2026_07_28).start(&fleet.setup);
    let first = call(&server, "echo modern", json!({}));
    assert_eq!(first["resultType"], "input_required");
    let asked = &first["inputRequests"]["approval"];
    assert_eq!(asked["method"], "elicitation/create");
    assert!(asked["params"]["message"].as_str().unwrap().contains("one"));
    let state = &first["requestState"];
    assert!(
        !server
            .records()
            .iter()
            .any(|record| record["type"] == "policy_decision"),
        "not decided yet"
    );
    let second = call(&server, "echo modern", yes(state));
    assert_eq!(members(&second)["output"], "modern", "{second}");
    assert_eq!(outcome(&server)["outcome"], "accepted");

    assert_invalid(&attempt(&server, "echo modern", yes(state)), "used already");
    server.wait_record("the replay", |record| record["outcome"] == "replayed");
}

#[test]
fn a_state_is_good_for_its_own_request_alone() {
    let fleet = fleet();
    let server = asking(Era::V2026_07_28).start(&fleet.setup);
    let state = call(&server, "echo mine", json!({}))["requestState"].clone();
    // For another command, another host, another tool; altered; made up; none at all.
    assert_invalid(&attempt(&server, "echo other", yes(&state)), "not made");
    let mut params =
        json!({"name": "ssh_run", "arguments": {"alias": "two", "command": "echo mine"}});
    params
        .as_object_mut()
        .unwrap()
        .extend(yes(&state).as_object().unwrap().clone());
    assert_invalid(&server.ask("tools/call", params.clone()), "not made");
    params["name"] = json!("ssh_run_async");
    params["arguments"]["alias"] = json!("one");
    assert_invalid(&server.ask("tools/call", params), "not made");
    let text = state.as_str().unwrap();
    for forged in [
        format!("A{}", &text[1..]),
        text[..text.len() - 2].to_owned(),
        String::new(),
        "\u{2603}".into(),
    ] {
        if forged != text {
            let answer = attempt(&server, "echo mine", yes(&json!(forged)));
            assert_invalid(&answer, "not made");
        }
    }
    let stateless = json!({"inputResponses": yes(&state)["inputResponses"]});
    assert_invalid(&attempt(&server, "echo mine", stateless), "not made");
    for record in server
        .records()
        .iter()
        .filter(|record| record["type"] == "approval")
    {
        assert_eq!(record["outcome"], "forged");
    }
    // A no uses it up, too.
    let declined =
        json!({"requestState": state, "inputResponses": {"approval": {"action": "decline"}}});
    assert_denied(&call(&server, "echo mine", declined), "approval:declined");
    assert_invalid(&attempt(&server, "echo mine", yes(&state)), "used already");
    nothing_ran(&fleet, server);
}

/// Half of a second attempt is asked for again, and nonsense is no no.
#[test]
fn an_incomplete_second_attempt_can_be_completed() {
    let fleet = fleet();
    let server = asking(Era::V2026_07_28).start(&fleet.setup);
    let state = call(&server, "echo mine", json!({}))["requestState"].clone();
    for half in [
        json!({"requestState": state}),
        json!({"requestState": state, "inputResponses": {}}),
        json!({"requestState": state, "inputResponses": {"other": {"action": "accept"}}}),
        json!({"inputResponses": {"other": {"action": "accept"}}}),
    ] {
        let again = call(&server, "echo mine", half);
        assert_eq!(again["resultType"], "input_required", "{again}");
    }
    for nonsense in [
        json!({"approval": {"action": "maybe"}}),
        json!([1]),
        json!({"approval": 7}),
    ] {
        let more = json!({"requestState": state, "inputResponses": nonsense});
        assert_invalid(
            &attempt(&server, "echo mine", more),
            "inputResponses must hold",
        );
        assert_eq!(outcome(&server)["outcome"], "malformed");
    }
    let done = call(&server, "echo mine", yes(&state));
    assert_eq!(members(&done)["output"], "mine", "{done}");
}

/// The same call, and what it would do is not what was shown.
#[test]
fn a_state_is_good_for_what_was_shown_alone() {
    let fleet = fleet();
    let server = asking(Era::V2026_07_28).start(&fleet.setup);
    let state = call(&server, "echo mine", json!({}))["requestState"].clone();
    let servers = fleet.servers_yaml();
    let servers = servers.replace("alias: one", "alias: one\n    shell: direct");
    fleet.setup.write("servers.yml", &servers);
    server.tool("ssh_reload_config", json!({}));
    assert_invalid(&attempt(&server, "echo mine", yes(&state)), "not made");
    assert_eq!(outcome(&server)["outcome"], "forged");
    nothing_ran(&fleet, server);
}

#[test]
fn a_changed_policy_counts_at_the_second_attempt() {
    let fleet = fleet();
    let server = asking(Era::V2026_07_28).start(&fleet.setup);
    let state = call(&server, "touch x", json!({}))["requestState"].clone();
    fleet.allow(&["uptime"]);
    server.tool("ssh_reload_config", json!({}));
    assert_denied(&call(&server, "touch x", yes(&state)), "no-rule");
    nothing_ran(&fleet, server);
}

/// A person has a second.
fn hurried() -> Fleet {
    let fleet = fleet();
    let policy = policy().replace("max_seconds: 30", "max_seconds: 1");
    fleet
        .setup
        .write("policy.yml", &(policy + "approval_seconds: 1\n"));
    fleet
}

#[test]
fn who_does_not_answer_in_time_has_said_no_and_cannot_say_yes_later() {
    let fleet = hurried();
    for (tool, arguments) in [
        ("ssh_run", json!({"alias": "one", "command": "touch x"})),
        (
            "ssh_run_async",
            json!({"alias": "one", "command": "touch x"}),
        ),
        (
            "ssh_run_on_tag",
            json!({"tag": "all", "command": "touch x"}),
        ),
    ] {
        let server = asking(Era::V2025_11_25).start(&fleet.setup);
        let id = server.begin_call(tool, arguments);
        let asked = question(&server);
        let result = server.response(&id)["result"].clone();
        let denied = &members(&result);
        assert_eq!(
            (&denied["status"], &denied["code"]),
            (&json!("denied"), &json!("approval:timeout")),
            "{denied}"
        );
        // The client is told that it need not ask any more.
        let taken_back = server.wait_frame("the end of the question", |frame| {
            frame["method"] == "notifications/cancelled"
        });
        assert_eq!(taken_back["params"]["requestId"], asked["id"]);
        let record = outcome(&server);
        assert_eq!(record["outcome"], "timeout");
        assert!(record["elapsed_ms"].as_u64().unwrap() >= 1_000, "{record}");
        server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"approve": true}}}));
        server.tool("ssh_ping", json!({}));
        let answers = server
            .frames()
            .into_iter()
            .filter(|frame| frame["id"] == id);
        assert_eq!(answers.count(), 1);
        nothing_ran(&fleet, server);
    }
}

#[test]
fn a_state_that_comes_back_too_late_is_worth_nothing() {
    let fleet = hurried();
    let gate = crate::common::Gate::new();
    fleet
        .host("two")
        .stub("uptime", &format!("#!/bin/sh\n{}\n", gate.wait()));
    let server = asking(Era::V2026_07_28).start(&fleet.setup);
    let state = call(&server, "touch x", json!({}))["requestState"].clone();
    // A command that begins now and is ended after a second.
    assert_eq!(server.run("two", "uptime")["timeout"], true);
    assert_denied(&call(&server, "touch x", yes(&state)), "approval:timeout");
    assert_eq!(outcome(&server)["outcome"], "expired");
    assert_invalid(&attempt(&server, "touch x", yes(&state)), "used already");
    server.wait_record("the replay", |record| record["outcome"] == "replayed");
    let records = server.finish().records;
    let decisions = records.iter().filter(|r| r["type"] == "policy_decision");
    let allowed: Vec<&Value> = decisions.map(|record| &record["allowed"]).collect();
    assert_eq!(allowed, [true, false, false]);
    assert_eq!(fleet.host("one").logins(), 0);
}

#[test]
fn one_question_covers_a_tag_and_an_asynchronous_run_is_asked_about_too() {
    let fleet = fleet();
    let server = asking(Era::V2025_11_25).start(&fleet.setup);
    let id = server.begin_call(
        "ssh_run_on_tag",
        json!({"tag": "all", "command": "echo both"}),
    );
    let asked = question(&server);
    assert!(
        asked["params"]["message"]
            .as_str()
            .unwrap()
            .contains("one, two"),
        "{asked}"
    );
    server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"approve": true}}}));
    let result = members(&server.response(&id)["result"]).clone();
    assert_eq!(result["summary"]["succeeded"], 2, "{result}");
    let approvals = server
        .records()
        .iter()
        .filter(|record| record["type"] == "approval")
        .count();
    assert_eq!(approvals, 2, "one for each host");

    let before = server.frames().len();
    let id = server.begin_call(
        "ssh_run_async",
        json!({"alias": "two", "command": "echo later"}),
    );
    let asked = server.wait_frame("a second question", |frame| {
        frame["method"] == "elicitation/create" && frame["id"] != asked["id"]
    });
    assert!(server.frames().len() > before);
    server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}}));
    assert_denied(&server.response(&id)["result"], "approval:declined");
    let plan = server.tool("ssh_plan", json!({"alias": "one", "command": "echo x"}));
    assert_eq!(
        (&plan["verdict"], &plan["allowed"]),
        (&json!("ask"), &json!(false))
    );
    assert!(plan["canonical"].is_string() && plan["why"].is_string());
}
