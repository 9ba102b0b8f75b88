//! What did not reach the host is an error that says why and who has to do what; it is
//! never in the output, and never marked as the host's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, HostSpec, Scratch, Server, policy_allowing, run, text_of};
use serde_json::{Value, json};

/// The error of a run, as data; checked for what every such error has.
fn error(server: &Server, alias: &str) -> Value {
    let arguments = json!({"alias": alias, "command": "hostname"});
    let result = server.call("ssh_run", arguments);
    assert_eq!(result["isError"], true, "{result}");
    assert!(
        result.get("structuredContent").is_none(),
        "said once: {result}"
    );
    assert!(!result.to_string().contains("untrusted"), "{result}");
    let said: Value = serde_json::from_str(&text_of(&result)).unwrap();
    for member in ["status", "reason", "code", "why", "hint", "task_id"] {
        let text = said[member].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{member}: {said}");
    }
    assert!(said.get("output").is_none(), "{said}");
    // The result by its id is the same error.
    let again = server.call("ssh_get_task_result", json!({"task_id": said["task_id"]}));
    assert_eq!(again["isError"], true);
    assert!(text_of(&again).contains(said["code"].as_str().unwrap()));
    said
}

fn every_error(kind: fn(HostSpec) -> HostSpec) {
    let names = ["down", "changed", "unknown", "stranger", "frozen"];
    let fleet = Fleet::with(names.map(|name| kind(HostSpec::new(name))).into());
    let policy = policy_allowing(&["hostname"]).replace("max_seconds: 30", "max_seconds: 5");
    fleet.setup.write("policy.yml", &policy);
    let known = |name: &&str| fleet.host(name).known_hosts_line();
    let known: Vec<String> = names
        .iter()
        .filter(|name| **name != "unknown")
        .map(known)
        .collect();
    fleet.setup.key("known_hosts", &known.join("\n"));
    // Somebody whom the host does not know.
    let dir = Scratch::new("stranger");
    let file = dir.path().join("id");
    let path = file.to_str().unwrap();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path]);
    let key = std::fs::read_to_string(&file).unwrap();
    fleet.setup.key("id_stranger", &key);
    let credentials = fleet.credentials_yaml();
    let stranger = credentials
        .strip_prefix("entries:\n")
        .unwrap()
        .replace("name: fleet", "name: stranger")
        .replace("id_fleet", "id_stranger");
    fleet
        .setup
        .write("credentials.yml", &(credentials + &stranger));
    let servers = fleet.servers_yaml();
    let (before, after) = servers.split_once("alias: stranger").unwrap();
    let after = after.replacen("credentials: fleet", "credentials: stranger", 1);
    fleet
        .setup
        .write("servers.yml", &format!("{before}alias: stranger{after}"));
    fleet.host("down").stop();
    fleet.host("changed").change_host_key();
    fleet.host("frozen").freeze();
    let server = Server::start(&fleet.setup);
    for (alias, status, reason, code) in [
        ("down", "failed", "connection", "connection:refused"),
        ("changed", "failed", "host_key", "host_key:changed"),
        ("unknown", "failed", "host_key", "host_key:unknown"),
        ("stranger", "failed", "login", "login:refused"),
        ("frozen", "timeout", "timeout", "timeout:handshake"),
    ] {
        let said = error(&server, alias);
        let found = (&said["status"], &said["reason"], &said["code"]);
        assert_eq!(
            found,
            (&json!(status), &json!(reason), &json!(code)),
            "{said}"
        );
    }
    fleet.host("frozen").thaw();
    server.finish();
}

#[test]
fn every_error_of_openssh() {
    every_error(|spec| spec);
}

#[test]
fn every_error_of_dropbear() {
    every_error(HostSpec::dropbear);
}

#[test]
fn a_tag_run_in_which_every_host_failed_is_an_error() {
    let fleet = Fleet::with(
        ["web1", "web2"]
            .map(|name| HostSpec::new(name).tags(&["web"]))
            .into(),
    );
    fleet.host("web1").stop();
    fleet.host("web2").stub("hostname", "#!/bin/sh\nexit 1\n");
    let server = Server::start(&fleet.setup);
    let arguments = json!({"tag": "web", "command": "hostname"});
    let result = server.call("ssh_run_on_tag", arguments.clone());
    assert_eq!(result["isError"], true);
    let run: Value = serde_json::from_str(&text_of(&result)).unwrap();
    assert_eq!(run["results"][0]["code"], "connection:refused");
    assert_eq!(run["results"][1]["exit_code"], 1);
    // One that went well is enough.
    fleet
        .host("web2")
        .stub("hostname", "#!/bin/sh\necho here\n");
    let result = server.call("ssh_run_on_tag", arguments);
    assert_eq!(result["isError"], false);
    assert_eq!(result["structuredContent"]["results"][1]["output"], "here");
    server.finish();
}
