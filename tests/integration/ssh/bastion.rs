//! Hosts behind one jump host share its login, and nothing else: each is judged, verified and
//! logged in to by itself, and one that does not answer is in nobody's way.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step is a failed test"
)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::common::{Fleet, HostSpec, wait_until};
use crate::direct::{Direct, order};
use mcp_ssh_orchestrator::testing::ssh::SshError;
use mcp_ssh_orchestrator::testing::ssh::error::HostKeyProblem;

const BEHIND: [&str; 4] = ["web1", "web2", "web3", "web4"];

fn fleet() -> Fleet {
    let bastion = HostSpec::new("bastion").sshd("AllowTcpForwarding yes");
    let behind = BEHIND.map(|alias| HostSpec::new(alias).yaml("jump: bastion"));
    let fleet = Fleet::with([bastion].into_iter().chain(behind).collect());
    fleet.allow(&["echo *", "seq *", "sleep *"]);
    fleet
}

#[test]
fn many_at_once_log_in_to_it_once() {
    let fleet = fleet();
    let direct = Direct::of(&fleet.setup);
    for round in 0..2 {
        let running: Vec<_> = BEHIND
            .iter()
            .map(|alias| direct.begin(order(alias, "seq 1 50000")))
            .collect();
        for run in running {
            let ran = run.join();
            assert_eq!(ran.ok().out().lines().count(), 50_000);
            assert_eq!(ran.report.reused, round > 0);
            assert_eq!(ran.report.negotiated.unwrap().len(), 2);
        }
    }
    assert_eq!(fleet.host("bastion").logins(), 1);
    for alias in BEHIND {
        assert_eq!(fleet.host(alias).logins(), 1, "{alias}");
    }
}

/// What is left of it is not used for anything new once its host is no longer believed.
#[test]
fn its_host_key_counts_for_each_of_them() {
    let fleet = fleet();
    let direct = Direct::of(&fleet.setup);
    direct.run("web1", "echo one").ok();
    let known = std::fs::read_to_string(fleet.setup.keys.join("known_hosts")).unwrap();
    let revoked = format!(
        "{known}@revoked * {}\n",
        fleet.host("bastion").public_host_key()
    );
    fleet.setup.key("known_hosts", &revoked);
    let ran = direct.run("web2", "echo two");
    let SshError::Hop { alias, error } = ran.error() else {
        panic!("{:?}", ran.report)
    };
    assert_eq!(alias, "bastion");
    assert!(matches!(
        **error,
        SshError::HostKey(HostKeyProblem::Revoked { .. })
    ));
    assert_eq!(fleet.host("web2").logins(), 0);
}

#[test]
fn a_reload_or_a_lost_connection_makes_a_new_one() {
    let fleet = fleet();
    let mut direct = Direct::of(&fleet.setup);
    direct.run("web1", "echo one").ok();
    // Another target, another kind of session: the same way in.
    direct.run("web2", "echo two").ok();
    assert_eq!(fleet.host("bastion").logins(), 1);
    direct.reload(&fleet.setup);
    direct.run("web1", "echo three").ok();
    assert_eq!(fleet.host("bastion").logins(), 2);
    // However soon after the loss: nothing is sent on what the network has told is over.
    for lost in 1..=20 {
        fleet.host("bastion").cut();
        let ran = direct.run("web1", "echo four");
        assert_eq!(ran.ok().out(), "four\n");
        assert_eq!(fleet.host("bastion").logins(), 2 + lost);
        assert_eq!(fleet.host("web1").logins(), 2 + lost);
    }
}

/// A run that goes on does not lose its way in to a reload.
#[test]
fn what_it_carries_is_carried_to_its_end() {
    let fleet = fleet();
    let mut direct = Direct::of(&fleet.setup);
    let running = direct.begin(order("web1", "sleep 2"));
    wait_until("it is logged in", || fleet.host("web1").logins() == 1);
    direct.reload(&fleet.setup);
    direct.run("web2", "echo two").ok();
    running.join().ok();
    assert_eq!(fleet.host("bastion").logins(), 2);
}

/// A port on which nobody takes connections in: its queue is full, so that the kernel drops
/// what else comes, as a firewall does.
fn silent() -> (Vec<TcpStream>, TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // A second listen(2) sets another backlog.
    let backlog = nix::sys::socket::Backlog::new(0).unwrap();
    nix::sys::socket::listen(&listener, backlog).unwrap();
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    ((0..4).filter_map(connect).collect(), listener, address)
}

#[test]
fn one_that_does_not_answer_is_in_nobodys_way() {
    let fleet = fleet();
    let (_held, _listener, address) = silent();
    let entry = format!(
        "  - {{alias: silent, host: 127.0.0.1, port: {}, credentials: fleet, jump: bastion}}\n",
        address.port()
    );
    let servers = fleet.servers_yaml() + &entry;
    fleet.setup.write("servers.yml", &servers);
    let direct = Direct::of(&fleet.setup);
    let stuck = direct.begin(order("silent", "echo never"));
    wait_until("the jump host is logged in to", || {
        fleet.host("bastion").logins() == 1
    });
    for alias in BEHIND {
        assert_eq!(direct.run(alias, "echo hello").ok().out(), "hello\n");
    }
    assert!(fleet.host("bastion").logins() <= 2);
    stuck.cancel.cancel();
    assert!(!stuck.join().report.outcome_unknown);
}
