//! What did not reach the host is an error that says why and who has to do what; it is
//! never in the output, and never marked as the host's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{
    Fleet, HostSpec, Proxy, Scratch, Server, policy_allowing, run, task_of, text_of,
};
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
    for member in ["status", "reason", "code", "why", "hint"] {
        let text = said[member].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{member}: {said}");
    }
    assert!(said.get("output").is_none(), "{said}");
    // The result by its id is the same error.
    let again = server.call("ssh_get_task_result", json!({"task_id": task_of(&result)}));
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

/// What the host said, and what each side offered: whole to the operator, to the assistant
/// without who and where.
#[test]
fn what_the_host_said_is_told() {
    let fleet = Fleet::with(vec![
        HostSpec::new("tries").sshd("MaxAuthTries 1"),
        HostSpec::new("kex").sshd("KexAlgorithms diffie-hellman-group14-sha1"),
        HostSpec::new("method")
            .sshd("PubkeyAuthentication no")
            .sshd("PasswordAuthentication yes"),
        HostSpec::new("away"),
    ]);
    let proxies = ["banned", "busy"].map(|alias| {
        let proxy = Proxy::before(fleet.host("away"));
        let (entry, known) = proxy.entry(alias, fleet.host("away"));
        (proxy, entry, known)
    });
    let mut servers = fleet.servers_yaml();
    let mut known: String = fleet
        .machines
        .iter()
        .map(|host| host.known_hosts_line() + "\n")
        .collect();
    for (_, entry, line) in &proxies {
        servers += entry;
        known += line;
    }
    // "tries" takes another key than this one.
    let dir = Scratch::new("other");
    let file = dir.path().join("id");
    let path = file.to_str().unwrap();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path]);
    fleet
        .setup
        .key("id_other", &std::fs::read_to_string(&file).unwrap());
    let credentials = fleet.credentials_yaml();
    let other = credentials.strip_prefix("entries:\n").unwrap();
    let other = other
        .replace("name: fleet", "name: other")
        .replace("id_fleet", "id_other");
    let (before, after) = servers.split_once("alias: tries").unwrap();
    let after = after.replacen("credentials: fleet", "credentials: other", 1);
    fleet
        .setup
        .write("servers.yml", &format!("{before}alias: tries{after}"));
    fleet
        .setup
        .write("credentials.yml", &(credentials.clone() + &other));
    fleet.setup.key("known_hosts", &known);
    fleet.allow(&["hostname"]);
    proxies[0].0.turn_away(9, "Not allowed at this time\r\n");
    proxies[1]
        .0
        .turn_away(99, "Exceeded MaxStartups, 192.0.2.7, see /etc/motd\r\n");
    let server = Server::start(&fleet.setup);
    for (alias, code, detail, logged) in [
        (
            "tries",
            "login:refused",
            "the host said: protocol error (2): Too many authentication failures",
            "Too many authentication failures",
        ),
        (
            "method",
            "login:other-method",
            "the host takes: password",
            "the host wants another login (password)",
        ),
        (
            "banned",
            "connection:turned-away",
            "the host said: Not allowed at this time",
            "Not allowed at this time",
        ),
        (
            "busy",
            "connection:closed",
            "the host said: Exceeded MaxStartups, … see …",
            "Exceeded MaxStartups, 192.0.2.7, see /etc/motd",
        ),
    ] {
        let said = error(&server, alias);
        assert_eq!(
            (&said["code"], &said["detail"]),
            (&json!(code), &json!(detail)),
            "{said}"
        );
        server.wait_record(logged, |record| {
            let cause = record["error"].as_str().unwrap_or_default();
            record["msg"] == "run_exception" && cause.contains(logged)
        });
    }
    let said = error(&server, "kex");
    let detail = said["detail"].as_str().unwrap();
    assert_eq!(said["code"], "connection:no-common-algorithm");
    assert!(
        detail.starts_with("no key exchange in common; the host has: diffie-hellman-group14-sha1")
            && detail.contains("; this server: ")
            && detail.contains("curve25519-sha256"),
        "{said}"
    );
    server.finish();
}
