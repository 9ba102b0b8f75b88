//! A name is looked up, every address it has is judged, and an allowed one is connected to
//! as an address; the next one if that fails. (Times, sharing and the rate of look-ups are
//! held beside the code, where a look-up can be counted.)
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, HostSpec, Setup};
use crate::direct::Direct;
use mcp_ssh_orchestrator::testing::ssh::{Cancel, Control, Deadline, SshError};

/// One sshd that also listens on these addresses; `localhost` is the one name that every
/// machine resolves without a name server.
fn listening(addresses: &[&str]) -> (Fleet, u16) {
    // Picked by the system and let go: nothing else here asks for a port of these.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut spec = HostSpec::new("web1");
    for address in addresses {
        let address = if address.contains(':') {
            format!("[{address}]")
        } else {
            (*address).to_owned()
        };
        spec = spec.sshd(&format!("ListenAddress {address}:{port}"));
    }
    let fleet = Fleet::with(vec![spec]);
    for address in addresses {
        let line = format!("Server listening on {address} port {port}");
        fleet.host("web1").wait_log(&line);
    }
    (fleet, port)
}

fn reach(fleet: &Fleet, host: &str, port: u16, network: &str, more: &str) -> Direct {
    let setup: &Setup = &fleet.setup;
    setup.write(
        "servers.yml",
        &format!("hosts:\n  - alias: web1\n    host: \"{host}\"\n    port: {port}\n    credentials: fleet\n{more}"),
    );
    let key = fleet.host("web1").public_host_key();
    setup.key("known_hosts", &format!("[{host}]:{port} {key}\n"));
    let policy = crate::common::policy_allowing(&["echo *"]);
    setup.write(
        "policy.yml",
        &policy.replace("network:\n  allow_cidrs: [127.0.0.0/8]\n", network),
    );
    Direct::of(setup)
}

#[test]
fn a_name_is_known_by_its_name_and_reached_by_an_address() {
    let (fleet, port) = listening(&["127.0.0.1"]);
    let direct = reach(
        &fleet,
        "localhost",
        port,
        "network:\n  allow_cidrs: [127.0.0.0/8]\n",
        "",
    );
    let ran = direct.run("web1", "echo hello");
    assert_eq!(ran.ok().out(), "hello\n");
    assert_eq!(ran.report.target_ip.unwrap().to_string(), "127.0.0.1");
}

#[test]
fn every_address_is_judged() {
    let (fleet, port) = listening(&["127.0.0.1"]);
    let direct = reach(
        &fleet,
        "localhost",
        port,
        "network:\n  block_cidrs: [127.0.0.0/8, \"::1/128\"]\n",
        "",
    );
    let ran = direct.run("web1", "echo hello");
    assert!(
        matches!(ran.error(), SshError::NoAddressAllowed { refused } if !refused.is_empty()),
        "{:?}",
        ran.report
    );
    assert_eq!(
        ran.error().for_assistant(),
        "No resolved IPs allowed by policy.network"
    );
    assert!(
        !fleet
            .host("web1")
            .log()
            .iter()
            .any(|line| line.contains("Connection from"))
    );
}

#[test]
fn ipv6_literals() {
    let (fleet, port) = listening(&["::1"]);
    let direct = reach(
        &fleet,
        "::1",
        port,
        "network:\n  allow_cidrs: [\"::1/128\"]\n",
        "",
    );
    let ran = direct.run("web1", "echo hello");
    assert_eq!(ran.ok().report.target_ip.unwrap().to_string(), "::1");
    let direct = reach(
        &fleet,
        "::1",
        port,
        "network:\n  allow_cidrs: [127.0.0.0/8]\n",
        "",
    );
    let ran = direct.run("web1", "echo hello");
    assert!(matches!(ran.error(), SshError::NoAddressAllowed { .. }));
}

/// The answer to a call that only asks, and the run itself: both put it on record.
#[test]
fn names_asked_for_too_often_are_an_event() {
    let (fleet, port) = listening(&["127.0.0.1"]);
    let network = "network:\n  allow_cidrs: [127.0.0.0/8]\n";
    let direct = reach(&fleet, "localhost", port, network, "");
    let host = &direct.snapshot.hosts()[0];
    let ask = || {
        // As a reload does: what was answered is forgotten, what was asked is not.
        direct.client.drop_sessions();
        let control = Control::new(Deadline::Never, Cancel::new().unwrap());
        let mut events = Vec::new();
        let client = &direct.client;
        let asked = client.check_network(&direct.snapshot, host, &control, &mut events);
        (asked, events)
    };
    let until_refused = || {
        let mut asked = std::iter::repeat_with(ask).take(2000);
        asked.find(|(asked, _)| asked.is_err()).unwrap()
    };
    let (asked, events) = until_refused();
    assert_eq!(
        asked.unwrap_err().network_denial(),
        Some("DNS resolution failed")
    );
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_type, "dns_rate_limit_exceeded");
    // Ten within this second, and this is the eleventh; or the second is over, and it is not.
    let ran = (0..200).find_map(|_| {
        drop(until_refused());
        let ran = direct.run("web1", "echo hello");
        ran.report.error.is_some().then_some(ran)
    });
    let ran = ran.unwrap();
    let events = &ran.report.events;
    assert_eq!(events.len(), 1, "{:?}", ran.report);
    assert_eq!(events[0].event_type, "dns_rate_limit_exceeded");
}

#[test]
fn resolve_static_looks_nothing_up() {
    let (fleet, port) = listening(&["127.0.0.1"]);
    let network = "network:\n  allow_cidrs: [127.0.0.0/8]\n";
    // (With a name it does not even load: config::errors.)
    let direct = reach(&fleet, "127.0.0.1", port, network, "    resolve: static\n");
    assert_eq!(direct.run("web1", "echo hello").ok().out(), "hello\n");
}
