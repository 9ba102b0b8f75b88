//! What happens before a host has let us in: turned away and tried again, or not; and why,
//! in words that lead to the cause.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, HostSpec, Proxy, Server};
use serde_json::{Value, json};

/// A fleet of one host behind a proxy, which is reached as `proxied`.
fn proxied() -> (Fleet, Proxy) {
    let fleet = Fleet::of(&["one"]);
    let proxy = Proxy::before(fleet.host("one"));
    let (entry, known) = proxy.entry("proxied", fleet.host("one"));
    let servers = fleet.servers_yaml() + &entry;
    fleet.setup.write("servers.yml", &servers);
    fleet.setup.key("known_hosts", &known);
    (fleet, proxy)
}

fn cause(records: &[Value]) -> String {
    let fault = records.iter().find(|r| r["msg"] == "run_exception");
    fault.unwrap()["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_connection_turned_away_before_the_login_is_tried_again() {
    let (fleet, proxy) = proxied();
    let server = Server::start(&fleet.setup);
    proxy.turn_away(2, "Exceeded MaxStartups\r\n");
    let ran = server.run("proxied", "echo hello");
    assert_eq!(ran["output"], "hello", "{ran}");
    assert_eq!((proxy.connections(), fleet.host("one").logins()), (3, 1));
    server.finish();
}

#[test]
fn a_host_that_bans_us_is_left_alone() {
    let (fleet, proxy) = proxied();
    let server = Server::start(&fleet.setup);
    proxy.turn_away(9, "Not allowed at this time\r\n");
    let ran = server.run("proxied", "echo hello");
    let text = ran.to_string();
    assert!(text.contains("do not try again soon"), "{text}");
    assert_eq!(proxy.connections(), 1);
    let records = server.finish().records;
    assert!(cause(&records).contains("Not allowed at this time"));
    // Where it was tried is on record, too.
    let end = records.iter().find(|r| r["type"] == "audit").unwrap();
    assert_eq!(end["target_ip"], "127.0.0.1");
}

/// dropbear takes five connections from one address that are not logged in, and drops others.
#[test]
fn ten_at_once_get_into_dropbear() {
    let fleet = Fleet::with(vec![HostSpec::new("one").dropbear()]);
    all_get_in(&fleet, 10);
}

/// What a stock sshd takes: from ten logins under way on, it drops some by chance.
#[test]
fn sixty_aliases_of_one_sshd_all_get_in() {
    let spec = HostSpec::new("one").sshd("MaxStartups 10:30:100");
    all_get_in(&Fleet::with(vec![spec]), 60);
}

fn all_get_in(fleet: &Fleet, count: usize) {
    let one = fleet.host("one");
    let (address, port) = (one.address, one.port);
    let entries = (0..count).map(|number| {
        format!(
            "  - {{alias: again{number}, host: {address}, port: {port}, credentials: fleet, tags: [all]}}\n"
        )
    });
    let servers: String = entries.collect();
    fleet
        .setup
        .write("servers.yml", &format!("hosts:\n{servers}"));
    let width = format!("concurrency: {{max_tasks: {count}, fan_out: {count}}}\n");
    let policy = crate::common::policy_allowing(&["echo *"]);
    fleet.setup.write("policy.yml", &(policy + &width));
    let server = Server::start(&fleet.setup);
    let answer = server.tool(
        "ssh_run_on_tag",
        json!({"tag": "all", "command": "echo hello"}),
    );
    assert_eq!(answer["summary"]["succeeded"], count, "{answer}");
    server.finish();
}

/// libssh2 takes packets of 35000 bytes, as RFC 4253 section 6.1 asks. One that is longer is
/// told at once, and nobody spins until the time is up.
#[test]
fn a_banner_is_taken_up_to_the_length_of_a_packet() {
    for (bytes, gets_in) in [(30_000, true), (38_000, false)] {
        let dir = crate::common::Scratch::new("banner");
        let file = dir.path().join("banner");
        let text = format!("{}\n", "x".repeat(79)).repeat(bytes / 80);
        std::fs::write(&file, text).unwrap();
        let banner = format!("Banner {}", file.display());
        let fleet = Fleet::with(vec![HostSpec::new("web1").sshd(&banner)]);
        let ran = crate::direct::Direct::of(&fleet.setup).run("web1", "echo hello");
        if gets_in {
            assert_eq!(ran.ok().out(), "hello\n");
        } else {
            let error = ran.error().for_operator();
            assert!(error.contains("more than 35000 bytes"), "{error}");
        }
    }
}

#[test]
fn a_throttled_host_loses_no_login() {
    let mut hosts = vec![
        HostSpec::new("one")
            .sshd("MaxStartups 2:100:2")
            .tags(&["all"]),
    ];
    hosts.push(HostSpec::new("unused"));
    let fleet = Fleet::with(hosts);
    let one = fleet.host("one");
    let mut servers = fleet.servers_yaml();
    for number in 0..20 {
        servers += &format!(
            "  - {{alias: again{number}, host: {}, port: {}, credentials: fleet, tags: [all]}}\n",
            one.address, one.port
        );
    }
    fleet.setup.write("servers.yml", &servers);
    let server = Server::start(&fleet.setup);
    let answer = server.tool(
        "ssh_run_on_tag",
        json!({"tag": "all", "command": "echo hello"}),
    );
    assert_eq!(answer["summary"]["succeeded"], 21, "{answer}");
    server.finish();
}

#[test]
fn without_a_common_algorithm_both_sides_are_named() {
    let kex = "diffie-hellman-group14-sha1";
    let fleet = Fleet::with(vec![
        HostSpec::new("one").sshd(&format!("KexAlgorithms {kex}")),
    ]);
    let server = Server::start(&fleet.setup);
    let ran = server.run("one", "echo hello").to_string();
    assert!(ran.contains("No algorithm in common"), "{ran}");
    let records = server.finish().records;
    let cause = cause(&records);
    assert!(
        cause.contains(&format!("no key exchange in common: the host has {kex}"))
            && cause.contains("curve25519-sha256"),
        "{cause}"
    );
}

#[test]
fn a_key_that_cannot_be_used_bothers_no_host() {
    let (fleet, proxy) = proxied();
    fleet.new_key("encrypted", &["-t", "ed25519", "-N", "a phrase"]);
    fleet
        .setup
        .key("broken", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n");
    fleet.setup.secret("wrong", "another phrase");
    for (key, says) in [
        ("encrypted", "requires passphrase"),
        (
            "encrypted, key_passphrase_secret: wrong",
            "passphrase wrong",
        ),
        ("broken", "format invalid"),
        ("missing", "not found"),
    ] {
        let key = key.replace(", ", "\n    ");
        let credentials = fleet.credentials_yaml().replace("id_fleet", &key);
        fleet.setup.write("credentials.yml", &credentials);
        let server = Server::start(&fleet.setup);
        let ran = server.run("proxied", "echo hello").to_string();
        assert!(ran.contains(says), "{key}: {ran}");
        server.finish();
    }
    assert_eq!(proxy.connections(), 0);
}
