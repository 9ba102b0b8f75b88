//! A group of servers.yml is chosen wherever a tag is, and no rule goes by it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use serde_json::json;

use crate::common::{Fleet, HostSpec, Server, policy_allowing, run_cli};

const GROUPS: &str = "groups:\n  - name: safe\n    of: web and not (canary or other)\n  \
    - name: other\n    of: alias:web4\n  - name: nobody\n    of: web and db\n";

fn fleet() -> Fleet {
    let fleet = Fleet::with(vec![
        HostSpec::new("web1").tags(&["web", "canary"]),
        HostSpec::new("web2").tags(&["web"]),
        HostSpec::new("web3").tags(&["web"]),
        HostSpec::new("web4").tags(&["web"]),
        HostSpec::new("db1").tags(&["db"]),
    ]);
    let servers = fleet.servers_yaml() + GROUPS;
    fleet.setup.write("servers.yml", &servers);
    fleet
}

#[test]
fn a_group_is_chosen_like_a_tag() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    for (words, hosts) in [
        ("safe", &["web2", "web3"][..]),
        ("safe or db", &["web2", "web3", "db1"]),
        ("all and not safe", &["web1", "web4", "db1"]),
        ("other", &["web4"]),
    ] {
        let listed = server.tool("ssh_list_hosts", json!({"tag": words}));
        assert_eq!(listed["hosts"], json!(hosts), "{words}");
        let arguments = json!({"tag": words, "command": "true", "group_identical": false});
        let run = server.tool("ssh_run_on_tag", arguments);
        assert_eq!(run["summary"]["succeeded"], hosts.len(), "{run}");
        assert_eq!(run["tag"], words);
    }
    let listed = server.tool("ssh_list_hosts", json!({}));
    let groups = json!({"other": ["web4"], "safe": ["web2", "web3"]});
    assert_eq!(listed["groups"], groups);
    let said = server.tool_error(
        "ssh_run_on_tag",
        json!({"tag": "nobody", "command": "true"}),
    );
    assert!(said.contains("no host is in the group nobody"), "{said}");
    let said = server.tool_error("ssh_run_on_tag", json!({"tag": "saef", "command": "true"}));
    assert!(said.contains("nearest: safe"), "{said}");
}

#[test]
fn a_rule_that_names_a_group_does_not_load() {
    let fleet = fleet();
    let allowed = policy_allowing(&["hostname"]);
    let denies = "  - action: deny\n    tags: [safe]\n    commands: [\"true\"]\n";
    for (policy, key) in [
        (format!("{allowed}{denies}"), "rules[1].tags"),
        (
            format!(
                "{allowed}files:\n  - action: allow\n    tags: [safe]\n    read: [/etc/hosts]\n"
            ),
            "files[0].tags",
        ),
        (
            format!("{allowed}overrides:\n  tags:\n    safe:\n      max_seconds: 5\n"),
            "overrides.tags",
        ),
    ] {
        fleet.setup.write("policy.yml", &policy);
        let checked = run_cli(&fleet.setup, &["check"]);
        assert!(!checked.status.success());
        let said = String::from_utf8(checked.stdout).unwrap();
        assert!(said.contains(key), "{said}");
        assert!(
            said.contains("'safe', which is a group of servers.yml"),
            "{said}"
        );
    }
    // A group grants nothing: its hosts are judged by their own tags.
    let own = allowed.replace("aliases: [\"*\"]", "tags: [canary]");
    fleet.setup.write("policy.yml", &own);
    let server = Server::start(&fleet.setup);
    let asked = json!({"tag": "safe", "command": "hostname"});
    let result = server.call("ssh_run_on_tag", asked);
    assert_eq!(result["isError"], true, "{result}");
}
