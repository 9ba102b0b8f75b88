//! What a person browses: resources, their templates, prompts, completion, pages.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Era, Fleet, HostSpec, Launch, Server};
use serde_json::{Value, json};

fn fleet() -> Fleet {
    Fleet::with(vec![
        HostSpec::new("web-1").tags(&["web", "docker"]),
        HostSpec::new("db-1").tags(&["db"]),
    ])
}

fn read(server: &Server, uri: &str) -> Value {
    let result = server.request("resources/read", json!({"uri": uri}));
    assert_eq!(result["contents"][0]["mimeType"], "application/json");
    assert_eq!(result["contents"][0]["uri"], uri);
    serde_json::from_str(result["contents"][0]["text"].as_str().unwrap()).unwrap()
}

#[test]
fn the_resources_show_hosts_and_hide_credentials_and_policy() {
    let fleet = fleet();
    for era in Era::ALL {
        let server = Launch::era(era).start(&fleet.setup);
        let hosts = read(&server, "ssh://hosts");
        assert_eq!(hosts["count"], 2);
        let host = fleet.host("web-1");
        assert_eq!(
            hosts["hosts"][0],
            json!({
                "alias": "web-1", "host": host.address.to_string(), "port": host.port,
                "tags": ["web", "docker"], "description": "", "has_credentials_ref": true
            })
        );
        assert_eq!(read(&server, "ssh://host/web-1"), hosts["hosts"][0]);
        assert_eq!(
            read(&server, "ssh://host/db-1/tags"),
            json!({"alias": "db-1", "tags": ["db"]})
        );
        let summary = read(&server, "ssh://host/web-1/capabilities");
        assert_eq!(summary["limits"]["max_seconds"], 30);
        assert_eq!(summary["limits"]["require_known_host"], true);
        assert_eq!(summary["network"]["allowlist_enabled"], true);
        assert_eq!(summary["network"]["blocklist_enabled"], false);
        assert_eq!(
            summary["features"],
            json!({"supports_async": true, "supports_cancellation": true})
        );
        assert_eq!(summary["sandbox"]["seccomp"], true);
        assert_eq!(
            summary["policy_probes"],
            json!([
                {"probe": "basic_diagnostics", "command": "uptime", "allowed": true},
                {"probe": "filesystem_overview", "command": "df -h", "allowed": false},
                {"probe": "docker_status", "command": "docker ps", "allowed": false}
            ])
        );
        let plain = read(&server, "ssh://host/db-1/capabilities");
        assert_eq!(plain["policy_probes"].as_array().unwrap().len(), 2);
        let all = json!([hosts, summary, plain]).to_string();
        for hidden in [
            "\"fleet\"",
            "id_fleet",
            "credentials\"",
            "deny_substrings",
            "rules",
        ] {
            assert!(!all.contains(hidden), "{hidden} in {all}");
        }
        let missing = if era.is_modern() { -32602 } else { -32002 };
        for uri in [
            "ssh://host/none",
            "ssh://host/",
            "ssh://host/none/tags",
            "ssh://host/web-1/x",
            "file:///etc/passwd",
        ] {
            let answer = server.ask("resources/read", json!({"uri": uri}));
            assert_eq!(answer["error"]["code"], missing, "{uri}");
            assert_eq!(answer["error"]["data"]["uri"], uri);
        }
        assert_eq!(server.error_code("resources/read", json!({})), -32602);
    }
}

#[test]
fn probes_and_plans_leave_no_decision_on_the_record() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    read(&server, "ssh://host/web-1/capabilities");
    server.tool(
        "ssh_plan",
        json!({"alias": "web-1", "command": "uptime; id && $(x)"}),
    );
    let done = server.finish();
    let decided = done
        .records
        .iter()
        .any(|record| record["type"] == "policy_decision" || record["msg"] == "security_event");
    assert!(!decided, "{}", done.log);
}

#[test]
fn lists_name_what_there_is() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    let resources = server.request("resources/list", json!({}));
    let uris: Vec<&str> = resources["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["uri"].as_str().unwrap())
        .collect();
    let (hosts, skills): (Vec<&str>, Vec<&str>) =
        uris.iter().partition(|uri| uri.starts_with("ssh:"));
    assert_eq!(
        hosts,
        ["ssh://hosts", "ssh://host/web-1", "ssh://host/db-1"]
    );
    assert!(skills.iter().all(|uri| uri.starts_with("skill://")));
    let templates = server.request("resources/templates/list", json!({}));
    let uris: Vec<&str> = templates["resourceTemplates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["uriTemplate"].as_str().unwrap())
        .collect();
    assert_eq!(
        uris,
        [
            "ssh://host/{alias}",
            "ssh://host/{alias}/tags",
            "ssh://host/{alias}/capabilities"
        ]
    );
    let prompts = server.request("prompts/list", json!({}));
    let names: Vec<&str> = prompts["prompts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "ssh_orchestrator_usage",
            "ssh_policy_denied_guidance",
            "ssh_network_denied_guidance",
            "ssh_missing_host_guidance",
            "ssh_missing_credentials_guidance",
            "ssh_config_change_workflow"
        ]
    );
    for list in [
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
    ] {
        for cursor in [json!("bogus\u{2603}"), json!(""), json!(7)] {
            assert_eq!(
                server.error_code(list, json!({"cursor": cursor})),
                -32602,
                "{list}"
            );
        }
        // Some clients write out what they do not give.
        server.request(list, json!({"cursor": null, "_meta": null}));
    }
}

#[test]
fn the_snippets_of_the_prompts_load() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    let text = |name: &str| {
        let prompt = server.request("prompts/get", json!({"name": name}));
        prompt["messages"][0]["content"]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    // The YAML of a prompt: from a line that ends in a colon at the margin to the next blank line.
    let snippet = |text: &str, key: &str| {
        let lines = text.lines().skip_while(|line| *line != key);
        lines
            .take_while(|line| !line.is_empty())
            .fold(String::new(), |all, line| all + line + "\n")
    };
    let credentials = snippet(&text("ssh_missing_credentials_guidance"), "entries:");
    let hosts = snippet(&text("ssh_missing_host_guidance"), "hosts:");
    let rules = snippet(&text("ssh_policy_denied_guidance"), "rules:");
    let network = snippet(&text("ssh_network_denied_guidance"), "network:");
    assert!(
        [&credentials, &hosts, &rules, &network]
            .iter()
            .all(|part| part.lines().count() > 1)
    );
    // A new port needs a restart, so the sample host comes with the port of the fleet.
    let hosts = hosts.replace("port: 22", &format!("port: {}", fleet.host("one").port));
    fleet.setup.write("servers.yml", &hosts);
    fleet.setup.write("credentials.yml", &credentials);
    fleet.setup.write("policy.yml", &(rules + &network));
    let reloaded = server.tool("ssh_reload_config", json!({}));
    assert_eq!(reloaded["status"], "reloaded", "{reloaded}");
    assert_eq!(
        server.error_code("prompts/get", json!({"name": "none"})),
        -32602
    );
    assert_eq!(server.error_code("prompts/get", json!({})), -32602);
    let odd = json!({"name": "ssh_orchestrator_usage", "arguments": [1]});
    assert_eq!(server.error_code("prompts/get", odd), -32602);
}

#[test]
fn long_lists_come_in_pages_that_only_this_server_can_name() {
    let fleet = Fleet::of(&["one"]);
    let port = fleet.host("one").port;
    let hosts: String = (0..250)
        .map(|n| format!("  - alias: host-{n:03}\n    host: 127.0.0.1\n    port: {port}\n    credentials: fleet\n    tags: [t{n}]\n"))
        .collect();
    fleet
        .setup
        .write("servers.yml", &format!("hosts:\n{hosts}"));
    let server = Server::start(&fleet.setup);
    let mut uris: Vec<String> = Vec::new();
    let mut params = json!({});
    loop {
        let page = server.request("resources/list", params);
        let entries = page["resources"].as_array().unwrap();
        assert!(entries.len() <= 100);
        uris.extend(
            entries
                .iter()
                .map(|entry| entry["uri"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page.get("nextCursor") else {
            break;
        };
        // A cursor is good for its own list alone.
        assert_eq!(
            server.error_code("tools/list", json!({"cursor": cursor})),
            -32602
        );
        params = json!({"cursor": cursor});
    }
    uris.retain(|uri| uri.starts_with("ssh:"));
    assert_eq!(uris.len(), 251);
    assert_eq!(uris[250], "ssh://host/host-249");

    let complete = |name: &str, value: &str| {
        server.request(
            "completion/complete",
            json!({
                "ref": {"type": "ref/resource", "uri": "ssh://host/{alias}"},
                "argument": {"name": name, "value": value}
            }),
        )["completion"]
            .clone()
    };
    let all = complete("alias", "host-");
    assert_eq!(
        (
            all["values"].as_array().unwrap().len(),
            &all["total"],
            &all["hasMore"]
        ),
        (100, &json!(250), &json!(true))
    );
    let few = complete("alias", "host-24");
    assert_eq!(
        (few["values"].as_array().unwrap().len(), &few["hasMore"]),
        (10, &json!(false))
    );
    assert_eq!(complete("tag", "t249")["values"], json!(["t249"]));
    assert_eq!(complete("nothing", "")["values"], json!([]));
}

#[test]
fn task_ids_are_completed_and_references_are_checked() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    let id = server.run_id("one", "uptime");
    let by_prompt = json!({"ref": {"type": "ref/prompt", "name": "ssh_orchestrator_usage"}, "argument": {"name": "task_id", "value": "one:"}});
    let found = server.request("completion/complete", by_prompt);
    assert_eq!(found["completion"]["values"], json!([id]));
    for wrong in [
        json!({"ref": {"type": "ref/prompt", "name": "none"}, "argument": {"name": "a", "value": ""}}),
        json!({"ref": {"type": "ref/other"}, "argument": {"name": "a", "value": ""}}),
        json!({"ref": {"type": "ref/resource", "uri": "ssh://host/{alias}"}}),
        json!({"ref": {"type": "ref/resource", "uri": "ssh://host/{alias}/x"}, "argument": {"name": "alias", "value": ""}}),
        json!({}),
    ] {
        assert_eq!(server.error_code("completion/complete", wrong), -32602);
    }
}
