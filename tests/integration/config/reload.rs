//! `ssh_reload_config`: all or nothing, while commands run, from the files as they are
//! now; a broken file changes nothing and is told with its place, and what the sandbox
//! can't take in is said so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, Server, members, text_of};
use serde_json::{Value, json};

#[test]
fn a_reload_takes_in_hosts_credentials_and_rules() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    assert!(!allowed(&server, "hostname"));
    fleet.allow(&["uptime", "hostname"]);
    let servers = fleet.servers_yaml();
    let more = format!(
        "{servers}  - {{alias: later, host: 127.0.0.1, port: {}, credentials: {}}}\n",
        value_of(&servers, "port"),
        value_of(&servers, "credentials")
    );
    fleet.setup.write("servers.yml", &more);
    let answer = server.tool("ssh_reload_config", json!({}));
    assert_eq!(answer["status"], "reloaded", "{answer}");
    assert!(allowed(&server, "hostname"));
    assert_eq!(hosts(&server), ["web1", "later"]);
    let result = server.run("web1", "hostname");
    assert_eq!(result["exit_code"], 0, "{result}");
    server.finish();
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_with_its_place() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    let good = |name: &str| std::fs::read_to_string(fleet.setup.config.join(name)).unwrap();
    let broken = [
        (
            "servers.yml",
            format!("{}    prot: 22\n", good("servers.yml")),
        ),
        ("servers.yml", "hosts: [\n".to_owned()),
        ("credentials.yml", "entries:\n".to_owned()),
        (
            "policy.yml",
            "rules:\n  - {action: allow, commands: [hostname]}\nlimits: {max_seconds: 0}\n"
                .to_owned(),
        ),
        (
            "policy.yml",
            "rules:\n  - {action: allow, commands: [\"hostname; id\"]}\n".to_owned(),
        ),
        (
            "policy.yml",
            "network: {allow_cidrs: [10.0.0.300/8]}\n".to_owned(),
        ),
    ];
    for (file, text) in &broken {
        let before = good(file);
        fleet.setup.write(file, text);
        let told = reload_error(&server);
        assert!(told.contains(file), "{told}");
        // Of what the files say nothing reaches the assistant.
        for word in [
            "prot",
            "hostname",
            "10.0.0.300",
            fleet.setup.config.to_str().unwrap(),
        ] {
            assert!(!told.contains(word), "{told}");
        }
        let record = server.wait_record("the problem in the log", |record| {
            record["kind"] == "config_error" && record["path"] == *file
        });
        assert!(
            record["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty())
        );
        // The old configuration is in force, whole.
        assert!(allowed(&server, "uptime") && !allowed(&server, "hostname"));
        assert_eq!(hosts(&server), ["web1"]);
        fleet.setup.write(file, &before);
    }
    std::fs::remove_file(fleet.setup.config.join("policy.yml")).unwrap();
    assert!(reload_error(&server).contains("policy.yml"));
    assert_eq!(server.run("web1", "uptime")["exit_code"], 0);
    server.finish();
}

#[test]
fn what_may_surprise_is_told_with_its_place_and_once() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    fleet.setup.write(
        "policy.yml",
        "network: {allow_cidrs: [127.0.0.0/8]}\nrules:\n  - {action: allow, commands: [\"cat *\", \"tail *\"]}\n",
    );
    let answer = server.tool("ssh_reload_config", json!({}));
    assert_eq!(answer["status"], "reloaded", "{answer}");
    assert_eq!(
        answer["warnings"],
        json!(["policy.yml:3: rules[0] may not do what its author thinks"])
    );
}

/// Nothing is left out, however much there is of it.
#[test]
fn every_warning_is_told_with_its_rule() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    let bold = |number: usize| match number {
        150 => "  - {action: allow, commands: [\"uptime\"]}\n",
        _ => "  - {action: allow, commands: [\"cat *\"]}\n",
    };
    let rules: String = (0..300).map(bold).collect();
    let network = "network: {allow_cidrs: [127.0.0.0/8]}\n";
    fleet
        .setup
        .write("policy.yml", &format!("{network}rules:\n{rules}"));
    let answer = server.tool("ssh_reload_config", json!({}));
    let told = answer["warnings"].as_array().unwrap();
    assert!(
        told.contains(&json!(
            "policy.yml: rules[0-149,151-299] may not do what its author thinks"
        )),
        "{told:?}"
    );
}

/// The operator's change counts for the next decision, with nobody asking for it.
#[test]
fn a_changed_file_counts_at_the_next_decision() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime", "hostname"]);
    let server = Server::start(&fleet.setup);
    assert_eq!(server.run("web1", "hostname")["exit_code"], 0);
    fleet.allow(&["uptime"]);
    let denied = server.tool("ssh_run", json!({"alias": "web1", "command": "hostname"}));
    assert_eq!(denied["status"], "denied", "{denied}");
    assert!(allowed(&server, "uptime") && !allowed(&server, "hostname"));
    let record = server.wait_record("the reload in the log", |record| record["type"] == "reload");
    assert_eq!(record["status"], "reloaded", "{record}");
    assert_eq!(record["trigger"], "file_change", "{record}");
    // A file put in the place of another one, with the times of the old one.
    let policy = fleet.setup.config.join("policy.yml");
    let times = std::fs::metadata(&policy).unwrap().modified().unwrap();
    let new = fleet.setup.config.join("policy.new");
    let text = std::fs::read_to_string(&policy)
        .unwrap()
        .replace("uptime", "whoami");
    std::fs::write(&new, text).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&new)
        .unwrap()
        .set_modified(times)
        .unwrap();
    std::fs::rename(&new, &policy).unwrap();
    assert!(!allowed(&server, "uptime") && allowed(&server, "whoami"));
    server.finish();
}

#[test]
fn a_change_that_does_not_load_keeps_the_policy_and_every_plan_says_so() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    let good = std::fs::read_to_string(fleet.setup.config.join("policy.yml")).unwrap();
    fleet.setup.write(
        "policy.yml",
        "rules:\n  - {action: alow, commands: [hostname]}\n",
    );
    for _ in 0..2 {
        let plan = server.tool("ssh_plan", json!({"alias": "web1", "command": "uptime"}));
        assert_eq!(plan["allowed"], true, "{plan}");
        let warning = plan["config_warning"].as_str().unwrap_or_default();
        assert!(
            warning.contains("do not load") && warning.contains("policy.yml:2"),
            "{plan}"
        );
        assert!(!warning.contains("alow"), "{plan}");
    }
    let is_error = |record: &Value| record["type"] == "reload" && record["status"] == "error";
    let record = server.wait_record("the failed reload in the log", is_error);
    assert_eq!(record["trigger"], "file_change", "{record}");
    server.wait_record("the problem", |record| record["kind"] == "config_error");
    // Once for each state of the files, not once a second.
    let errors = server
        .records()
        .iter()
        .filter(|record| is_error(record))
        .count();
    assert_eq!(errors, 1);
    fleet.setup.write("policy.yml", &good);
    let plan = server.tool("ssh_plan", json!({"alias": "web1", "command": "uptime"}));
    assert!(plan.get("config_warning").is_none(), "{plan}");
    server.finish();
}

/// Also secrets and keys, which nobody looks at every second.
#[test]
fn a_hang_up_signal_reads_everything_again() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    assert!(allowed(&server, "uptime"));
    server.signal(nix::sys::signal::Signal::SIGHUP);
    let record = server.wait_record("the reload in the log", |record| record["type"] == "reload");
    assert_eq!(record["trigger"], "signal", "{record}");
    assert_eq!(record["status"], "reloaded", "{record}");
    server.finish();
}

#[test]
fn what_runs_is_ended_when_the_new_policy_denies_it_and_wants_that() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["sleep 61", "uptime"]);
    let server = Server::start(&fleet.setup);
    let running = server.begin_call("ssh_run", json!({"alias": "web1", "command": "sleep 61"}));
    server.wait_record("the running command", |record| {
        record["type"] == "progress" && record["phase"] == "running"
    });
    fleet.allow(&["uptime"]);
    let policy = std::fs::read_to_string(fleet.setup.config.join("policy.yml")).unwrap();
    fleet
        .setup
        .write("policy.yml", &format!("on_revoke: end\n{policy}"));
    // No decision is asked for: the watcher sees it.
    let frame = server.response(&running);
    let result = &frame["result"]["structuredContent"];
    assert_eq!(result["cancelled"], true, "{frame}");
    server.wait_record("why it was ended", |record| {
        record["msg"] == "command_revoked"
    });
    server.finish();
}

#[test]
fn a_command_that_runs_is_not_disturbed() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["sleep 1", "uptime"]);
    let server = Server::start(&fleet.setup);
    let running = server.begin_call("ssh_run", json!({"alias": "web1", "command": "sleep 1"}));
    server.wait_record("the running command", |record| {
        record["type"] == "progress" && record["phase"] == "running"
    });
    // The host goes, and the rule with it; what began before goes on.
    fleet.setup.write("servers.yml", "hosts: []\n");
    fleet.setup.write("policy.yml", "rules: []\n");
    assert_eq!(
        server.tool("ssh_reload_config", json!({}))["status"],
        "reloaded"
    );
    assert_eq!(hosts(&server), Vec::<String>::new());
    let frame = server.response(&running);
    let result = &members(&frame["result"]);
    assert_eq!(result["exit_code"], 0, "{frame}");
    server.finish();
}

#[test]
fn what_the_sandbox_cannot_take_in_needs_a_restart() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    let servers = fleet.servers_yaml();
    let port = value_of(&servers, "port");
    let other = if port == "1" { "2" } else { "1" };
    let more = format!(
        "{servers}  - {{alias: later, host: 127.0.0.1, port: {other}, credentials: {}}}\n",
        value_of(&servers, "credentials")
    );
    fleet.setup.write("servers.yml", &more);
    let told = reload_error(&server);
    assert!(told.contains("restart"), "{told}");
    assert_eq!(hosts(&server), ["web1"]);
    let record = server.wait_record("the reason in the log", |record| {
        record["kind"] == "config_error"
    });
    assert!(
        record["error"].as_str().unwrap().contains(other),
        "{record}"
    );
    server.finish();
}

fn reload_error(server: &Server) -> String {
    let result = server.call("ssh_reload_config", json!({}));
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(members(&result)["status"], "error", "{result}");
    format!("{}{}", text_of(&result), members(&result))
}

fn allowed(server: &Server, command: &str) -> bool {
    let plan = server.tool("ssh_plan", json!({"alias": "web1", "command": command}));
    plan["allowed"].as_bool().unwrap()
}

fn hosts(server: &Server) -> Vec<String> {
    let answer = server.tool("ssh_list_hosts", json!({}));
    let names = answer["hosts"].as_array().unwrap();
    names
        .iter()
        .map(|name: &Value| name.as_str().unwrap().to_owned())
        .collect()
}

/// The first value of a key, however the harness writes it.
fn value_of(yaml: &str, key: &str) -> String {
    let rest = yaml.split(&format!("{key}: ")).nth(1).unwrap();
    let end = rest
        .find(|c: char| c == ',' || c == '}' || c.is_whitespace())
        .unwrap();
    rest[..end].trim_matches('"').to_owned()
}
