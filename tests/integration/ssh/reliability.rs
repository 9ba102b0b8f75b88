//! What OpenSSH's own regression tests hold for its client holds here, line by line:
//! yes-head, stderr-after-eof, stderr-data, exit-status, exit-status-signal, rekey,
//! transfer, connection-timeout, login-timeout, and the key types of hostkey-agent.
//! (broken-pipe is in ssh_ending.rs, integrity in ssh_hostile.rs, knownhosts in
//! host_keys.rs, dropbear, tinyssh and ciphers at the end.)
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::common::{Fleet, HostSpec};
use crate::direct::{Direct, Event, Order, order};
use mcp_ssh_orchestrator::testing::model::names::HostAlias;
use mcp_ssh_orchestrator::testing::ssh::{
    Cancel, Control, Deadline, Ended, Exit, Flow, Job, Phase, Sink, SshError, Stage,
};

const STUBS: &[(&str, &str)] = &[
    ("status", "#!/bin/sh\nexit \"$1\"\n"),
    ("die", "#!/bin/sh\nulimit -c 0\nkill -s \"$1\" $$\n"),
    (
        "late-stderr",
        "#!/bin/sh\necho out\nexec 1>&-\nseq 1 \"$1\" >&2\n",
    ),
    (
        "both",
        "#!/bin/sh\nseq 1 \"$1\" &\nseq 1 \"$1\" >&2\nwait\n",
    ),
    ("zeros", "#!/bin/sh\nexec head -c \"$1\" /dev/zero\n"),
    ("endless", "#!/bin/sh\nexec yes\n"),
    ("read-all", "#!/bin/sh\nexec wc -c\n"),
];

fn fleet(specs: Vec<HostSpec>) -> Fleet {
    let fleet = Fleet::with(specs);
    for machine in &fleet.machines {
        for (name, script) in STUBS {
            machine.stub(name, script);
        }
    }
    fleet.allow(&[
        "status *",
        "die *",
        "late-stderr *",
        "both *",
        "zeros *",
        "endless",
        "read-all",
        "echo *",
        "seq *",
        "head *",
    ]);
    fleet
}

fn one() -> Fleet {
    fleet(vec![HostSpec::new("web1")])
}

fn numbers(to: usize) -> String {
    (1..=to).map(|n| format!("{n}\n")).collect()
}

#[test]
fn exit_status_every_one_of_them() {
    let fleet = one();
    let direct = Direct::of(&fleet.setup);
    for status in 0..=255 {
        let ran = direct.run("web1", &format!("status {status}"));
        assert_eq!(ran.ok().report.exit, Some(Exit::Status(status)));
        assert_eq!(ran.report.ended, Ended::Exited);
    }
}

#[test]
fn exit_signals_are_told_apart_from_statuses() {
    let fleet = one();
    let direct = Direct::of(&fleet.setup);
    for signal in [
        "TERM", "KILL", "INT", "HUP", "ABRT", "SEGV", "USR1", "USR2", "ALRM", "FPE", "ILL",
    ] {
        let ran = direct.run("web1", &format!("die {signal}"));
        assert_eq!(ran.ok().report.exit, Some(Exit::Signal(signal.into())));
    }
    let ran = direct.run("web1", "status 137");
    assert_eq!(ran.ok().report.exit, Some(Exit::Status(137)));
}

#[test]
fn late_stderr_is_whole() {
    let fleet = one();
    let ran = Direct::of(&fleet.setup).run("web1", "late-stderr 200000");
    assert_eq!(ran.ok().out(), "out\n");
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), numbers(200_000));
}

#[test]
fn both_streams_are_whole() {
    let fleet = one();
    // Far more than a window on each: neither may stall the other.
    let ran = Direct::of(&fleet.setup).run("web1", "both 400000");
    ran.ok();
    let expected = numbers(400_000);
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), expected);
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), expected);
}

#[test]
fn stdin_is_at_its_end() {
    let fleet = one();
    let ran = Direct::of(&fleet.setup).run("web1", "read-all");
    assert_eq!(ran.ok().out().trim(), "0");
}

#[test]
fn sizes_around_every_boundary() {
    let fleet = one();
    let direct = Direct::of(&fleet.setup);
    let boundaries = [
        1,
        2,
        1024,
        16 * 1024,
        32 * 1024,
        35_000,
        64 * 1024,
        1024 * 1024,
        2 * 1024 * 1024,
    ];
    for boundary in boundaries {
        for size in [boundary - 1, boundary, boundary + 1] {
            let ran = direct.run("web1", &format!("zeros {size}"));
            assert_eq!(ran.ok().stdout.len(), size);
            assert!(ran.stdout.iter().all(|&byte| byte == 0));
        }
    }
}

#[test]
fn results_survive_a_rekey() {
    let fleet = fleet(vec![
        HostSpec::new("data").sshd("RekeyLimit 256K none"),
        HostSpec::new("time").sshd("RekeyLimit default 1"),
        HostSpec::new("wide").sshd("RekeyLimit 1M none"),
    ]);
    let direct = Direct::of(&fleet.setup);
    // Long enough for the window to be widened again and again, in key exchanges too.
    let ran = direct.run("wide", "seq 1 4000000");
    assert_eq!(ran.ok().out(), numbers(4_000_000));
    let ran = direct.run("data", "seq 1 900000");
    assert_eq!(ran.ok().out(), numbers(900_000));
    assert!(fleet.host("data").log().len() > 1);
    let ran = direct.run("data", "echo again");
    assert_eq!(
        (ran.ok().out().as_str(), ran.report.reused),
        ("again\n", true)
    );
    // By time: the rekey comes while nothing is said, and between commands.
    fleet.host("time").stub(
        "endless",
        "#!/bin/sh\nfor i in 1 2 3; do echo $i; sleep 1.2; done\n",
    );
    let ran = direct.run("time", "endless");
    assert_eq!(ran.ok().out(), "1\n2\n3\n");
}

#[test]
fn endless_output_stops_at_the_cap() {
    let fleet = one();
    let ran = Direct::of(&fleet.setup).order(Order {
        cap: 1_000_000,
        ..order("web1", "endless")
    });
    assert_eq!(ran.report.ended, Ended::Stopped);
    assert!(ran.stdout.len() >= 1_000_000);
    assert!(
        ran.stdout
            .chunks(2)
            .all(|line| line == b"y\n" || line == b"y")
    );
}

/// A listener that takes connections and says nothing, in place of a host.
struct Silent {
    _listener: TcpListener,
    port: u16,
}

impl Silent {
    fn listen() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        Silent {
            _listener: listener,
            port,
        }
    }

    /// A port whose queue is full: a connection attempt gets no answer at all.
    fn deaf() -> (Self, Vec<TcpStream>) {
        let silent = Self::listen();
        // The backlog of a listening socket can be changed by listening again.
        nix::sys::socket::listen(
            &silent._listener,
            nix::sys::socket::Backlog::new(0).unwrap(),
        )
        .unwrap();
        let mut waiting = Vec::new();
        let address = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, silent.port));
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            waiting.push(stream);
            assert!(waiting.len() < 64, "the queue never fills");
        }
        assert!(silent._listener.as_raw_fd() >= 0);
        (silent, waiting)
    }
}

fn point_at(fleet: &Fleet, port: u16) {
    fleet.setup.write(
        "servers.yml",
        &format!("hosts:\n  - alias: web1\n    host: 127.0.0.1\n    port: {port}\n    credentials: fleet\n"),
    );
}

#[test]
fn every_phase_has_its_deadline_and_names_it() {
    let fleet = one();
    let within = |millis| Order {
        deadline: Duration::from_millis(millis),
        ..order("web1", "echo hello")
    };
    let (deaf, _waiting) = Silent::deaf();
    point_at(&fleet, deaf.port);
    let ran = Direct::of(&fleet.setup).order(within(300));
    assert_eq!(
        ran.report.ended,
        Ended::TimedOut(Phase::Connect),
        "{:?}",
        ran.report
    );
    assert_eq!(
        ran.error().for_assistant(),
        "SSH connection timeout: Host did not respond"
    );

    let silent = Silent::listen();
    point_at(&fleet, silent.port);
    let ran = Direct::of(&fleet.setup).order(within(300));
    assert_eq!(
        ran.report.ended,
        Ended::TimedOut(Phase::Handshake),
        "{:?}",
        ran.report
    );
    assert_eq!(
        ran.error().for_assistant(),
        "SSH connection timeout: Host did not respond"
    );

    fleet.write_all();
    fleet.allow(&["sleep *"]);
    let ran = Direct::of(&fleet.setup).order(Order {
        deadline: Duration::from_secs(6),
        ..order("web1", "sleep 86501")
    });
    assert_eq!(ran.report.ended, Ended::TimedOut(Phase::Run));
}

#[test]
fn a_cancel_takes_effect_in_every_phase() {
    let fleet = one();
    let (deaf, _waiting) = Silent::deaf();
    let silent = Silent::listen();
    for (port, phase) in [(deaf.port, Phase::Connect), (silent.port, Phase::Handshake)] {
        point_at(&fleet, port);
        let running = Direct::of(&fleet.setup).begin(order("web1", "echo hello"));
        running.wait(&Event::Stage(Stage::Connecting));
        running.cancel.cancel();
        let ran = running.join();
        // It may have come before the phase was reached.
        assert!(
            matches!(ran.error(), SshError::Cancelled(at) if *at <= phase),
            "{:?}",
            ran.report
        );
        assert!(matches!(ran.report.ended, Ended::Cancelled(_)));
    }
}

#[test]
fn what_cannot_be_reached_says_so() {
    let fleet = one();
    let text = |port: u16, host: &str| {
        fleet.setup.write(
            "servers.yml",
            &format!("hosts:\n  - alias: web1\n    host: {host}\n    port: {port}\n    credentials: fleet\n"),
        );
        let ran = Direct::of(&fleet.setup).run("web1", "echo hello");
        assert!(ran.report.target_ip.is_none());
        ran.error().for_assistant()
    };
    assert_eq!(
        text(1, "127.0.0.1"),
        "SSH connection refused: Port may be closed or firewall blocking"
    );
    assert_eq!(
        text(22, "10.0.0.1"),
        "No resolved IPs allowed by policy.network"
    );
    assert_eq!(
        text(22, "no-such-name.invalid"),
        "SSH hostname resolution failed: DNS lookup failed"
    );
}

#[test]
fn every_cipher_and_key_exchange_works() {
    let ciphers = [
        "chacha20-poly1305@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
    ];
    let exchanges = [
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group14-sha256",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group-exchange-sha256",
    ];
    let macs = [
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    ];
    let lines = [
        ("Ciphers", &ciphers[..]),
        ("KexAlgorithms", &exchanges),
        ("MACs", &macs),
    ];
    for (key, names) in lines {
        for name in names {
            let mut spec = HostSpec::new("web1").sshd(&format!("{key} {name}"));
            if key == "MACs" {
                spec = spec.sshd("Ciphers aes128-ctr");
            }
            let fleet = fleet(vec![spec]);
            let ran = Direct::of(&fleet.setup).run("web1", "seq 1 50000");
            assert_eq!(ran.ok().out(), numbers(50_000), "{name}");
            let agreed = ran.report.negotiated.unwrap()[0].to_string();
            assert!(agreed.contains(name), "{name}: {agreed}");
        }
    }
}

#[test]
fn what_is_old_is_refused_unless_the_host_says_legacy() {
    for line in [
        "Ciphers aes128-cbc",
        "KexAlgorithms diffie-hellman-group14-sha1",
        "KexAlgorithms diffie-hellman-group1-sha1",
        "HostKeyAlgorithms ssh-rsa",
    ] {
        let fleet = fleet(vec![
            HostSpec::new("web1")
                .sshd(line)
                .sshd("PubkeyAcceptedAlgorithms +ssh-rsa"),
        ]);
        let ran = Direct::of(&fleet.setup).run("web1", "echo hello");
        assert_eq!(
            ran.error().phase(),
            Some(Phase::Handshake),
            "{line}: {:?}",
            ran.report
        );
    }
    for (macs, works) in [("hmac-sha1-96", false), ("hmac-sha2-256", true)] {
        let spec = HostSpec::new("web1")
            .sshd("Ciphers aes256-cbc")
            .sshd(&format!("MACs {macs}"));
        let fleet = fleet(vec![spec.yaml("legacy_algorithms: true")]);
        let ran = Direct::of(&fleet.setup).run("web1", "echo hello");
        assert_eq!(
            ran.report.error.is_none(),
            works,
            "{macs}: {:?}",
            ran.report
        );
    }
}

#[test]
fn dropbear_says_the_same() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").dropbear()]);
    fleet.allow(&["seq *", "true", "false", "id"]);
    let direct = Direct::of(&fleet.setup);
    assert_eq!(
        direct.run("web1", "seq 1 100000").ok().out(),
        numbers(100_000)
    );
    assert_eq!(
        direct.run("web1", "false").ok().report.exit,
        Some(Exit::Status(1))
    );
    let ran = direct.run("web1", "true");
    assert_eq!(ran.ok().report.exit, Some(Exit::Status(0)));
    assert!(ran.report.reused);
}

#[test]
fn tinyssh_says_the_same() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").tiny()]);
    fleet.allow(&["seq *", "true", "false", "id", "cat"]);
    let direct = Direct::of(&fleet.setup);
    let ran = direct.run("web1", "seq 1 100000");
    assert_eq!(ran.ok().out(), numbers(100_000));
    let agreed = ran.report.negotiated.unwrap()[0].to_string();
    assert!(
        agreed.contains("chacha20-poly1305@openssh.com mac=implicit/implicit"),
        "{agreed}"
    );
    let ran = direct.run("web1", "false");
    assert_eq!(ran.ok().report.exit, Some(Exit::Status(1)));
    assert_eq!(
        direct.run("web1", "true").ok().report.exit,
        Some(Exit::Status(0))
    );
    assert_eq!(direct.run("web1", "cat").ok().out(), "");
    // It ends a connection with its command: the next one logs in again, without a word.
    assert!(!direct.run("web1", "true").ok().report.reused);
}

#[test]
fn what_a_host_says_before_the_login_is_not_output() {
    let banner = crate::common::Scratch::new("banner");
    let file = banner.path().join("banner");
    std::fs::write(&file, "Authorised use only. Call 555-0100.\n").unwrap();
    crate::common::run("chmod", &["644", file.to_str().unwrap()]);
    let fleet = fleet(vec![
        HostSpec::new("web1").sshd(&format!("Banner {}", file.display())),
    ]);
    let ran = Direct::of(&fleet.setup).run("web1", "echo hello");
    assert_eq!(ran.ok().out(), "hello\n");
    assert!(ran.stderr.is_empty());
}

struct Deaf;

impl Sink for Deaf {
    fn stage(&mut self, _: Stage) {}

    fn stdout(&mut self, _: &[u8]) -> Flow {
        Flow::Continue
    }

    fn stderr(&mut self, _: &[u8]) -> Flow {
        Flow::Continue
    }
}

/// A judgement is for the host that it was made for.
#[test]
fn a_command_judged_for_another_host_is_not_sent() {
    let fleet = Fleet::of(&["web1", "web2"]);
    let direct = Direct::of(&fleet.setup);
    let command = direct.authorise("web1", "echo hello");
    let host = direct.snapshot.host(&HostAlias::parse("web2").unwrap());
    let job = Job {
        source: None,
        snapshot: &direct.snapshot,
        host: host.unwrap(),
        command: &command,
        clearance: &crate::direct::Always,
    };
    let control = Control::new(
        Deadline::after(Duration::from_secs(30)),
        Cancel::new().unwrap(),
    );
    let report = direct.client.run(&job, &control, &mut Deaf);
    let refused = matches!(&report.error, Some(SshError::Local { cause, .. }) if cause.contains("another host"));
    assert!(refused, "{report:?}");
    assert_eq!((report.ended, report.exit), (Ended::Failed, None));
    for alias in ["web1", "web2"] {
        assert_eq!(fleet.host(alias).logins(), 0);
    }
}
