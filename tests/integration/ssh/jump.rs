//! A host behind others is reached through them, each with its own address rules, host
//! key and login, and with nothing less than a direct connection gives.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::time::Duration;

use crate::common::{Fleet, HostSpec, processes_with};
use crate::direct::{Direct, Event, Order, order};
use mcp_ssh_orchestrator::testing::ssh::error::HostKeyProblem;
use mcp_ssh_orchestrator::testing::ssh::{Ended, Exit, Phase, SshError, Terminated};

/// `a` is reached directly, `b` through `a`, `c` through `b`, `d` through `c`.
fn chain() -> Fleet {
    let hop = |alias: &str| HostSpec::new(alias).sshd("AllowTcpForwarding yes");
    Fleet::with(vec![
        hop("a"),
        hop("b").yaml("jump: a"),
        hop("c").yaml("jump: b"),
        hop("d").yaml("jump: c"),
    ])
}

#[test]
fn a_chain_of_three_carries_a_command() {
    let fleet = chain();
    let direct = Direct::of(&fleet.setup);
    let ran = direct.run("d", "echo hello");
    assert_eq!(ran.ok().out(), "hello\n");
    assert_eq!(
        ran.report.target_ip.unwrap().to_string(),
        fleet.host("d").address.to_string()
    );
    for alias in ["a", "b", "c", "d"] {
        assert_eq!(
            fleet.host(alias).logins(),
            1,
            "{alias}: {}",
            fleet.host(alias).log().join("\n")
        );
    }
    assert_eq!(ran.report.negotiated.unwrap().len(), 4);
    // And again over the same four sessions.
    let ran = direct.run("d", "echo again");
    assert!(ran.ok().report.reused);
    assert_eq!(fleet.host("a").logins(), 1);
}

#[test]
fn much_output_and_rekeys_on_every_hop() {
    let hop = |alias: &str| {
        HostSpec::new(alias)
            .sshd("AllowTcpForwarding yes")
            .sshd("RekeyLimit 512K none")
    };
    let fleet = Fleet::with(vec![
        hop("a"),
        hop("b").yaml("jump: a"),
        hop("c").yaml("jump: b"),
    ]);
    let ran = Direct::of(&fleet.setup).run("c", "seq 1 600000");
    let expected: String = (1..=600_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(ran.ok().out(), expected);
    assert_eq!(ran.report.exit, Some(Exit::Status(0)));
}

#[test]
fn it_ends_over_there_too() {
    let fleet = chain();
    let running = Direct::of(&fleet.setup).begin(order("c", "sleep 86701"));
    running.wait(&Event::Stage(
        mcp_ssh_orchestrator::testing::ssh::Stage::Running,
    ));
    crate::common::wait_until("the command runs", || {
        !processes_with("sleep 86701").is_empty()
    });
    running.cancel.cancel();
    let ran = running.join();
    assert_eq!(ran.report.terminated, Some(Terminated::Confirmed));
    assert_eq!(processes_with("sleep 86701"), Vec::<i32>::new());
}

#[test]
fn every_hop_is_verified() {
    let fleet = chain();
    fleet.host("b").change_host_key();
    let ran = Direct::of(&fleet.setup).run("d", "echo hello");
    let SshError::Hop { alias, error } = ran.error() else {
        panic!("{:?}", ran.report)
    };
    assert_eq!(alias, "b");
    assert!(matches!(
        **error,
        SshError::HostKey(HostKeyProblem::Mismatch { .. })
    ));
    assert_eq!(ran.report.events[0].event_type, "host_key_mismatch");
    assert_eq!(
        ran.error().for_assistant(),
        "SSH host key verification failed: Host key mismatch"
    );
    assert_eq!((fleet.host("b").logins(), fleet.host("c").logins()), (0, 0));
}

#[test]
fn every_hop_is_judged() {
    let fleet = chain();
    let policy = crate::common::policy_allowing(&["echo *"]);
    let block = format!("network:\n  block_ips: [{}]\n", fleet.host("c").address);
    fleet
        .setup
        .write("policy.yml", &policy.replacen("network:\n", &block, 1));
    let ran = Direct::of(&fleet.setup).run("d", "echo hello");
    let SshError::Hop { alias, error } = ran.error() else {
        panic!("{:?}", ran.report)
    };
    assert_eq!(alias, "c");
    assert!(matches!(**error, SshError::NoAddressAllowed { .. }));
    assert_eq!(fleet.host("c").logins(), 0);
}

#[test]
fn a_hop_that_forwards_nothing_says_so() {
    let fleet = Fleet::with(vec![
        HostSpec::new("a").sshd("AllowTcpForwarding no"),
        HostSpec::new("b").yaml("jump: a"),
    ]);
    let ran = Direct::of(&fleet.setup).run("b", "echo hello");
    assert_eq!(ran.error().phase(), Some(Phase::Connect));
    assert!(
        ran.error().for_operator().contains("prohibited"),
        "{}",
        ran.error().for_operator()
    );
    // And one that cannot reach the next.
    let fleet = chain();
    fleet.host("b").stop();
    let ran = Direct::of(&fleet.setup).run("b", "echo hello");
    assert_eq!(
        ran.error().phase(),
        Some(Phase::Connect),
        "{:?}",
        ran.report
    );
}

#[test]
fn a_deadline_holds_behind_hops() {
    let fleet = chain();
    fleet.host("c").freeze();
    let ran = Direct::of(&fleet.setup).order(Order {
        deadline: Duration::from_secs(8),
        ..order("d", "echo hello")
    });
    assert_eq!(
        ran.report.ended,
        Ended::TimedOut(Phase::Handshake),
        "{:?}",
        ran.report
    );
    assert!(matches!(ran.error(), SshError::Hop { alias, .. } if alias == "c"));
    fleet.host("c").thaw();
}

/// Logins to one address take turns; those that hold a turn and wait for the next hop's must
/// not wait for each other. Here a host is its own way in, and two are each other's.
#[test]
fn hosts_that_are_each_others_way_in_let_everybody_through() {
    let hop = |alias: &str| HostSpec::new(alias).sshd("AllowTcpForwarding yes");
    let fleet = Fleet::with(vec![hop("east"), hop("west")]);
    let mut servers = std::fs::read_to_string(fleet.setup.config.join("servers.yml")).unwrap();
    let ways = [("east", "east"), ("east", "west"), ("west", "east")];
    let mut aliases = Vec::new();
    for (number, (jump, to)) in ways.iter().cycle().take(45).enumerate() {
        let (alias, to) = (format!("inner-{number}"), fleet.host(to));
        servers += &format!(
            "  - alias: {alias}\n    host: {}\n    port: {}\n    credentials: fleet\n    jump: {jump}\n",
            to.address, to.port
        );
        aliases.push(alias);
    }
    fleet.setup.write("servers.yml", &servers);
    let direct = Direct::of(&fleet.setup);
    let begin = |alias: &String| direct.begin(order(alias, "echo through"));
    let running: Vec<_> = aliases.iter().map(begin).collect();
    for one in running {
        assert_eq!(one.join().ok().out(), "through\n");
    }
}
