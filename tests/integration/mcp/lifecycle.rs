//! Both eras over one pair of streams: which revision is spoken, what each of them knows,
//! what is answered before a handshake, and what a client hears of changes and events.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Era, Fleet, Launch, Server, members};
use serde_json::{Value, json};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn modern_meta() -> Value {
    json!({VERSION: "2026-07-28", CAPABILITIES: {}})
}

fn initialize(server: &Server, version: &str) -> Value {
    let params = json!({
        "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}
    });
    server.ask("initialize", params)
}

#[test]
fn a_handshake_settles_on_a_version_that_has_one() {
    let fleet = Fleet::of(&["one"]);
    for (asked, settled) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let server = Launch::default().bare().start(&fleet.setup);
        let answer = initialize(&server, asked);
        assert_eq!(answer["result"]["protocolVersion"], settled, "{asked}");
        assert_eq!(
            answer["result"]["serverInfo"]["name"],
            "mcp-ssh-orchestrator"
        );
        assert!(
            !answer["result"]["instructions"]
                .as_str()
                .unwrap()
                .is_empty()
        );
        assert_eq!(initialize(&server, asked)["error"]["code"], -32600);
    }
}

#[test]
fn before_a_handshake_ping_is_answered_and_the_rest_says_what_is_missing() {
    let fleet = Fleet::of(&["one"]);
    let server = Launch::default().bare().start(&fleet.setup);
    assert_eq!(server.request("ping", json!({})), json!({}));
    for method in ["tools/list", "server/discover", "no/such", "tools/call"] {
        let answer = server.ask(method, json!({}));
        assert_eq!(answer["error"]["code"], -32602, "{method}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("initialize"), "{message}");
        assert!(
            message.contains(VERSION) && message.contains(CAPABILITIES),
            "{message}"
        );
    }
    // Nothing of it counts as a handshake.
    assert!(initialize(&server, "2025-11-25").get("result").is_some());
}

#[test]
fn a_tool_called_straight_after_initialize_is_answered() {
    let fleet = Fleet::of(&["one"]);
    let server = Launch::default().bare().start(&fleet.setup);
    initialize(&server, "2025-11-25");
    let ping = json!({"name": "ssh_ping", "arguments": {}});
    let result = server.request("tools/call", ping);
    assert_eq!(members(&result)["status"], "pong");
}

/// A server speaks up on its own once `notifications/initialized` came, and not because it
/// came before there was a handshake.
#[test]
fn nothing_is_told_unasked_before_the_client_is_ready() {
    let fleet = Fleet::of(&["one"]);
    let server = Launch::default().bare().start(&fleet.setup);
    server.notify("notifications/initialized", json!({}));
    initialize(&server, "2025-11-25");
    server.request("logging/setLevel", json!({"level": "info"}));
    server.run("one", "echo early");
    let told = |frames: Vec<Value>| frames.iter().filter(|f| f.get("method").is_some()).count();
    assert_eq!(told(server.frames()), 0);
    server.notify("notifications/initialized", json!({}));
    server.run("one", "echo late");
    server.wait_frame("an event", |frame| {
        frame["method"] == "notifications/message"
    });
}

#[test]
fn both_eras_share_a_connection() {
    let fleet = Fleet::of(&["one"]);
    let server = Launch::default().bare().start(&fleet.setup);
    let modern = |params: Value| {
        let mut params = params;
        params["_meta"] = modern_meta();
        params
    };
    let result = server.ask("tools/list", modern(json!({})))["result"].clone();
    assert_eq!(result["resultType"], "complete");
    initialize(&server, "2025-06-18");
    let result = server.request("tools/list", json!({}));
    assert!(result.get("resultType").is_none() && result.get("ttlMs").is_none());
    let result = server.ask("tools/list", modern(json!({})))["result"].clone();
    assert!(result["ttlMs"].is_u64());
    for method in [
        "ping",
        "initialize",
        "logging/setLevel",
        "resources/subscribe",
        "tasks/result",
    ] {
        let answer = server.ask(method, modern(json!({})));
        assert_eq!(answer["error"]["code"], -32601, "{method}");
    }
    assert_eq!(server.error_code("server/discover", json!({})), -32601);
    assert_eq!(
        server.error_code("tasks/list", json!({})),
        -32601,
        "not in 2025-06-18"
    );
}

#[test]
fn an_incomplete_claim_is_told_what_is_missing() {
    let fleet = Fleet::of(&["one"]);
    let server = Launch::era(Era::V2026_07_28).bare().start(&fleet.setup);
    let ask = |meta: Value| server.ask("tools/list", json!({"_meta": meta}))["error"].clone();
    let error = ask(json!({VERSION: "1900-01-01"}));
    assert_eq!(error["code"], -32022);
    assert_eq!(
        error["data"],
        json!({"supported": ["2026-07-28"], "requested": "1900-01-01"})
    );
    assert_eq!(ask(json!({VERSION: "2025-11-25"}))["code"], -32022);
    assert_eq!(ask(json!({VERSION: 2026}))["code"], -32602);
    assert_eq!(
        ask(json!({CAPABILITIES: [], VERSION: "2026-07-28"}))["code"],
        -32602
    );
    let level = "io.modelcontextprotocol/logLevel";
    assert_eq!(
        ask(json!({level: "loud", VERSION: "2026-07-28"}))["code"],
        -32602
    );
}

#[test]
fn each_revision_gets_the_fields_it_knows() {
    let fleet = Fleet::of(&["one"]);
    for era in Era::ALL {
        let server = Launch::era(era).start(&fleet.setup);
        let list = server.request("tools/list", json!({}));
        let size = list["tools"].to_string().len();
        assert!(size < 20_500, "{}: {size}", era.name());
        let run = list["tools"]
            .as_array()
            .unwrap()
            .iter()
            .find(|tool| tool["name"] == "ssh_run");
        let run = run.unwrap();
        let has = |member: &str| run.get(member).is_some();
        assert_eq!(
            has("annotations"),
            era >= Era::V2025_03_26,
            "{}",
            era.name()
        );
        assert_eq!(
            has("outputSchema"),
            era >= Era::V2025_06_18,
            "{}",
            era.name()
        );
        assert_eq!(has("title"), era >= Era::V2025_06_18, "{}", era.name());
        assert_eq!(has("execution"), era == Era::V2025_11_25, "{}", era.name());
        let result = server.call("ssh_list_hosts", json!({}));
        let structured = result.get("structuredContent").is_some();
        assert_eq!(structured, era >= Era::V2025_06_18, "{}", era.name());
        // A text to read where there is a structure for programs, else their members.
        let text = match structured {
            true => "1 host\none",
            false => "{\"hosts\":[\"one\"]}",
        };
        assert_eq!(result["content"][0]["text"], text);
        assert_eq!(result.get("resultType").is_some(), era.is_modern());
    }
}

#[test]
fn batches_are_answered_in_the_one_revision_that_has_them() {
    let fleet = Fleet::of(&["one"]);
    let batch = json!([
        {"jsonrpc": "2.0", "id": "a", "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/unknown"},
        {"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": {"name": "ssh_ping"}},
        {"jsonrpc": "2.0", "id": "c", "method": "initialize", "params": {}},
        {"jsonrpc": "1.0", "id": "d", "method": "ping"},
        7
    ]);
    let server = Launch::era(Era::V2025_03_26).start(&fleet.setup);
    server.send_raw(format!("{batch}\n[]\n[7]\n").as_bytes());
    assert_eq!(server.response(&json!("a"))["result"], json!({}));
    assert!(server.response(&json!("b"))["result"]["content"].is_array());
    assert_eq!(server.response(&json!("c"))["error"]["code"], -32600);
    assert_eq!(server.response(&json!("d"))["error"]["code"], -32600);
    let server = Launch::era(Era::V2025_06_18).start(&fleet.setup);
    server.send_raw(format!("{batch}\n").as_bytes());
    for id in ["a", "b", "c", "d"] {
        assert_eq!(server.response(&json!(id))["error"]["code"], -32600, "{id}");
    }
}

#[test]
fn events_reach_who_wants_them_and_hold_no_command() {
    let fleet = Fleet::of(&["one"]);
    let command = "echo secret-plan-4711";
    let event = |name: &'static str| {
        move |frame: &Value| {
            frame["method"] == "notifications/message"
                && frame["params"]["data"]
                    .as_str()
                    .is_some_and(|data| data.contains(name))
        }
    };
    let server = Server::start(&fleet.setup);
    server.run("one", command);
    let told = server
        .frames()
        .iter()
        .any(|frame| frame.get("method").is_some());
    assert!(!told, "who set no level hears nothing");
    server.request("logging/setLevel", json!({"level": "info"}));
    server.run("one", command);
    server.wait_frame("the end of the run", event("ssh_run_complete"));
    assert!(
        !server.frames().iter().any(event("ssh_run_start")),
        "debug was not asked for"
    );
    server.request("logging/setLevel", json!({"level": "debug"}));
    server.run("one", command);
    server.wait_frame("the start of the run", event("ssh_run_start"));
    server.request("logging/setLevel", json!({"level": "error"}));
    let before = server.frames().len();
    server.run("one", command);
    assert!(
        server.frames()[before..]
            .iter()
            .all(|frame| frame.get("method").is_none())
    );
    assert_eq!(
        server.error_code("logging/setLevel", json!({"level": "loud"})),
        -32602
    );
    let told = server
        .frames()
        .iter()
        .filter(|frame| frame.get("method").is_some())
        .cloned()
        .collect::<Vec<_>>();
    assert!(!json!(told).to_string().contains("secret-plan"), "{told:?}");

    let server = Launch::era(Era::V2026_07_28).start(&fleet.setup);
    server.run("one", command);
    assert!(
        server
            .frames()
            .iter()
            .all(|frame| frame.get("method").is_none()),
        "nobody asked"
    );
    let level = "io.modelcontextprotocol/logLevel";
    let call = json!({
        "name": "ssh_run", "arguments": {"alias": "one", "command": command}, "_meta": {level: "info"}
    });
    server.request("tools/call", call);
    server.wait_frame("the end of the run", event("ssh_run_complete"));
}

#[test]
fn a_reload_is_told_to_who_watches() {
    let fleet = Fleet::of(&["one"]);
    let legacy = Server::start(&fleet.setup);
    let watch = |uri: &str| legacy.request("resources/subscribe", json!({"uri": uri}));
    watch("ssh://hosts");
    watch("ssh://host/one/capabilities");
    assert_eq!(
        legacy.error_code("resources/subscribe", json!({"uri": "ssh://host/none"})),
        -32002
    );
    let modern = Launch::era(Era::V2026_07_28).start(&fleet.setup);
    let stream = modern.begin("subscriptions/listen", json!({"notifications": {
        "resourcesListChanged": true, "toolsListChanged": true, "resourceSubscriptions": ["ssh://hosts"]
    }}));
    let acknowledged = modern.wait_frame("the acknowledgement", |frame| {
        frame["method"] == "notifications/subscriptions/acknowledged"
    });
    assert_eq!(
        acknowledged["params"],
        json!({
            "_meta": {SUBSCRIPTION: stream},
            "notifications": {"resourcesListChanged": true, "resourceSubscriptions": ["ssh://hosts"]}
        })
    );

    let more = "  - alias: two\n    host: 127.0.0.1\n    credentials: fleet\n";
    let port = format!("    port: {}\n", fleet.host("one").port);
    fleet
        .setup
        .write("servers.yml", &(fleet.servers_yaml() + more + &port));
    for server in [&legacy, &modern] {
        assert_eq!(
            server.tool("ssh_reload_config", json!({}))["status"],
            "reloaded"
        );
        let list = server.wait_frame("a changed list", |frame| {
            frame["method"] == "notifications/resources/list_changed"
        });
        let updated = server.wait_frame("a changed resource", |frame| {
            frame["method"] == "notifications/resources/updated"
        });
        assert_eq!(updated["params"]["uri"], "ssh://hosts");
        if std::ptr::eq(server, &modern) {
            assert_eq!(list["params"]["_meta"][SUBSCRIPTION], stream);
            assert_eq!(updated["params"]["_meta"][SUBSCRIPTION], stream);
        }
        assert!(
            !server
                .frames()
                .iter()
                .any(|frame| frame["method"] == "notifications/tools/list_changed")
        );
    }
    // What a host's policy comes to is a change of that resource alone.
    let before = legacy.frames().len();
    fleet.allow(&["id"]);
    legacy.tool("ssh_reload_config", json!({}));
    let changed: Vec<Value> = legacy.frames()[before..]
        .iter()
        .filter(|frame| frame.get("method").is_some())
        .filter(|frame| frame["method"] != "notifications/message")
        .cloned()
        .collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0]["params"]["uri"], "ssh://host/one/capabilities");

    // What is gone is told of a last time, and can be given up.
    watch("ssh://host/two");
    fleet.setup.write("servers.yml", &fleet.servers_yaml());
    legacy.tool("ssh_reload_config", json!({}));
    legacy.wait_frame("the end of a host", |frame| {
        frame["params"]["uri"] == "ssh://host/two"
    });
    legacy.request("resources/unsubscribe", json!({"uri": "ssh://host/two"}));

    let end = modern.frames().len();
    // Clients fail on what comes after they have left, so nothing does.
    modern.close_stdin();
    modern.wait_exit();
    assert_eq!(modern.frames().len(), end);
}

#[test]
fn a_broken_file_changes_nothing_and_is_reported() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    fleet.setup.write(
        "policy.yml",
        "rules:\n  - action: allow\n    commands: [\"*\"]\n    surprise: 1\n",
    );
    let result = server.call("ssh_reload_config", json!({}));
    assert_eq!(result["isError"], true);
    assert_eq!(members(&result)["status"], "error");
    assert!(
        members(&result)["problems"][0]
            .as_str()
            .unwrap()
            .contains("policy.yml:4"),
        "{result}"
    );
    assert!(
        !result
            .to_string()
            .contains(fleet.setup.config.to_str().unwrap())
    );
    let plan = server.tool(
        "ssh_plan",
        json!({"alias": "one", "command": "systemctl poweroff"}),
    );
    assert_eq!(plan["allowed"], false);
    let record = server.wait_record("the reload", |record| record["type"] == "reload");
    assert_eq!(record["status"], "error");
    server.wait_record("the problem", |record| record["kind"] == "config_error");
}

#[test]
fn a_stream_ends_when_it_is_cancelled() {
    let fleet = Fleet::of(&["one"]);
    let server = Launch::era(Era::V2026_07_28).start(&fleet.setup);
    let stream = server.begin(
        "subscriptions/listen",
        json!({"notifications": {"resourcesListChanged": true}}),
    );
    server.wait_frame("the acknowledgement", |frame| frame.get("method").is_some());
    server.notify("notifications/cancelled", json!({"requestId": stream}));
    let more = format!(
        "  - alias: two\n    host: 127.0.0.1\n    port: {}\n    credentials: fleet\n",
        fleet.host("one").port
    );
    fleet
        .setup
        .write("servers.yml", &(fleet.servers_yaml() + &more));
    server.tool("ssh_reload_config", json!({}));
    let frames = server.frames();
    assert!(
        !frames
            .iter()
            .any(|frame| frame["method"] == "notifications/resources/list_changed")
    );
    assert!(!frames.iter().any(|frame| frame["id"] == stream));
    let wrong = json!({"notifications": {"taskIds": ["x"]}});
    assert_eq!(server.error_code("subscriptions/listen", wrong), -32021);
    let wrong = json!({"notifications": {"resourceSubscriptions": [7]}});
    assert_eq!(server.error_code("subscriptions/listen", wrong), -32602);
    assert_eq!(server.error_code("subscriptions/listen", json!({})), -32602);
}
