//! An idle session is used again, and only while everything its
//! login relied on still holds; a command on it behaves as on a new one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::time::Duration;

use crate::common::{Fleet, HostSpec, wait_until};
use crate::direct::{Direct, Event, Order, order};
use mcp_ssh_orchestrator::testing::ssh::error::HostKeyProblem;
use mcp_ssh_orchestrator::testing::ssh::{Ended, Exit, SshError};

#[test]
fn the_second_command_needs_no_login() {
    let fleet = Fleet::of(&["web1", "web2"]);
    let direct = Direct::of(&fleet.setup);
    for (n, alias) in ["web1", "web1", "web1", "web2", "web1"]
        .into_iter()
        .enumerate()
    {
        let ran = direct.run(alias, &format!("echo {n}"));
        assert_eq!(ran.ok().out(), format!("{n}\n"));
        assert_eq!(ran.report.reused, !matches!(n, 0 | 3), "{n}");
        assert!(ran.report.target_ip.is_some());
    }
    assert_eq!(fleet.host("web1").logins(), 1);
    assert_eq!(fleet.host("web2").logins(), 1);
    assert_eq!(direct.client.idle_sessions(), 2);
}

/// A host that has one channel at a time.
fn narrow() -> Fleet {
    Fleet::with(vec![HostSpec::new("web1").sshd("MaxSessions 1")])
}

#[test]
fn where_it_has_one_channel_it_carries_one_run() {
    let fleet = narrow();
    let direct = Direct::of(&fleet.setup);
    let runs: Vec<_> = (0..4)
        .map(|_| direct.begin(order("web1", "sleep 1")))
        .collect();
    for run in runs {
        assert!(!run.join().ok().report.reused);
    }
    assert_eq!(fleet.host("web1").logins(), 4);
    assert_eq!(direct.client.idle_sessions(), 4);
}

/// What idle sessions cost is bounded, also after many runs at once.
#[test]
fn eight_are_kept_for_a_host_at_most() {
    let fleet = narrow();
    let script = "#!/bin/sh\necho here\nwhile [ ! -e \"$1\" ]; do sleep 0.1; done\n";
    fleet.host("web1").stub("hold", script);
    let dir = crate::common::Scratch::new("hold");
    crate::common::run("chmod", &["755", dir.path().to_str().unwrap()]);
    let sign = dir.path().join("go-on");
    // In full: a wildcard grants no path to a program of which nothing is known.
    let command = format!("hold {}", sign.display());
    fleet.allow(&[&command]);
    let direct = Direct::of(&fleet.setup);
    let runs: Vec<_> = (0..10)
        .map(|_| direct.begin(order("web1", &command)))
        .collect();
    for run in &runs {
        run.wait(&Event::Output);
    }
    std::fs::write(&sign, "").unwrap();
    for run in runs {
        run.join().ok();
    }
    assert_eq!(fleet.host("web1").logins(), 10);
    assert_eq!(direct.client.idle_sessions(), 8);
}

#[test]
fn a_command_on_it_behaves_as_on_a_new_one() {
    let fleet = Fleet::of(&["web1"]);
    fleet.host("web1").stub(
        "show",
        "#!/bin/sh\npwd; umask; ulimit -n; env | sort | grep -v PORT; echo err >&2; exit 5\n",
    );
    fleet.host("web1").stub(
        "change",
        "#!/bin/sh\ncd /; umask 077; export LEFT=behind; exit 0\n",
    );
    fleet.allow(&["show", "change", "seq *"]);
    let direct = Direct::of(&fleet.setup);
    let first = direct.run("web1", "show");
    direct.run("web1", "change").ok();
    direct.run("web1", "seq 1 100000").ok();
    let last = direct.run("web1", "show");
    assert!(last.ok().report.reused);
    // sshd tells a session its own port numbers.
    let of = |text: String| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with("SSH_"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(of(first.out()), of(last.out()));
    assert_eq!(first.stderr, last.stderr);
    assert_eq!(last.report.exit, Some(Exit::Status(5)));
}

#[test]
fn a_session_that_died_is_replaced_without_a_word() {
    let fleet = Fleet::of(&["web1"]);
    let direct = Direct::of(&fleet.setup);
    direct.run("web1", "echo one").ok();
    fleet.host("web1").cut();
    let ran = direct.run("web1", "echo two");
    assert_eq!(ran.ok().out(), "two\n");
    assert!(!ran.report.reused);
}

#[test]
fn a_host_that_was_restarted_runs_the_next_command_once() {
    let fleet = Fleet::of(&["web1"]);
    fleet
        .host("web1")
        .stub("tally", "#!/bin/sh\necho \"$2\" >> \"$1\"\necho \"$2\"\n");
    let dir = crate::common::Scratch::new("tally");
    crate::common::run("chmod", &["777", dir.path().to_str().unwrap()]);
    let file = dir.path().join("ran");
    let command = |word: &str| format!("tally {} {word}", file.display());
    // In full: a wildcard grants no path to a program of which nothing is known.
    let all = ["one", "two", "three", "four", "five"].map(command);
    fleet.allow(&all.each_ref().map(String::as_str));
    let direct = Direct::of(&fleet.setup);
    let run = |word: &str| direct.run("web1", &command(word));
    run("one").ok();
    // Listener and sessions go at once, as with a machine that loses power and comes back.
    fleet.host("web1").stop();
    fleet.host("web1").start();
    assert_eq!(direct.client.idle_sessions(), 1);
    let ran = run("two");
    assert_eq!(ran.ok().out(), "two\n");
    assert!(!ran.report.reused);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\ntwo\n");
    assert_eq!(fleet.host("web1").logins(), 2);
    assert!(run("three").ok().report.reused);
    // While it is down a command fails and is not kept for later.
    fleet.host("web1").stop();
    let ran = run("four");
    assert_eq!(
        ran.error().for_assistant(),
        "SSH connection refused: Port may be closed or firewall blocking"
    );
    assert!(!ran.report.outcome_unknown);
    fleet.host("web1").start();
    run("five").ok();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "one\ntwo\nthree\nfive\n"
    );
}

/// A client that takes no earlier answer of a host for a proof that it is there.
fn unsure(fleet: &Fleet) -> Direct {
    let mut direct = Direct::of(&fleet.setup);
    direct.client = direct.client.with_fresh(Duration::ZERO);
    direct
}

#[test]
fn a_frozen_session_is_given_up_for_a_new_one() {
    let fleet = Fleet::of(&["web1"]);
    let direct = unsure(&fleet);
    direct.run("web1", "echo one").ok();
    fleet.host("web1").freeze();
    let running = direct.begin(Order {
        deadline: Duration::from_secs(4),
        ..order("web1", "echo two")
    });
    let ran = running.join();
    // The old session's silence did not use up the whole of the run's time.
    assert!(
        matches!(ran.report.ended, Ended::TimedOut(phase) if phase.as_str() == "handshake"),
        "{:?}",
        ran.report
    );
    fleet.host("web1").thaw();
    direct.run("web1", "echo three").ok();
}

/// One that does not answer is not asked again by its sisters, one after the other.
#[test]
fn many_frozen_sessions_cost_no_more_than_one() {
    let fleet = narrow();
    let direct = unsure(&fleet);
    let runs: Vec<_> = (0..4)
        .map(|_| direct.begin(order("web1", "sleep 1")))
        .collect();
    for run in runs {
        run.join().ok();
    }
    assert_eq!(direct.client.idle_sessions(), 4);
    fleet.host("web1").freeze();
    let ran = direct.order(Order {
        deadline: Duration::from_secs(8),
        ..order("web1", "echo two")
    });
    assert!(
        matches!(ran.report.ended, Ended::TimedOut(phase) if phase.as_str() == "handshake"),
        "{:?}",
        ran.report
    );
    assert_eq!(direct.client.idle_sessions(), 0);
    fleet.host("web1").thaw();
    direct.run("web1", "echo three").ok();
}

#[test]
fn it_is_not_kept_when_that_is_switched_off_or_over() {
    let fleet = Fleet::of(&["web1"]);
    let with = |seconds: u32| {
        let policy = crate::common::policy_allowing(&["echo *"]);
        let limit = format!("limits:\n  session_idle_seconds: {seconds}\n");
        fleet
            .setup
            .write("policy.yml", &policy.replacen("limits:\n", &limit, 1));
        Direct::of(&fleet.setup)
    };
    let off = with(0);
    off.run("web1", "echo one").ok();
    assert_eq!(off.client.idle_sessions(), 0);
    assert!(!off.run("web1", "echo two").ok().report.reused);
    let short = with(1);
    short.run("web1", "echo one").ok();
    assert_eq!(short.client.idle_sessions(), 1);
    wait_until("the idle session is dropped", || {
        short.client.idle_sessions() == 0
    });
    assert!(!short.run("web1", "echo two").ok().report.reused);
}

#[test]
fn a_reload_drops_it() {
    let fleet = Fleet::of(&["web1"]);
    let mut direct = Direct::of(&fleet.setup);
    direct.run("web1", "echo one").ok();
    let running = direct.begin(order("web1", "sleep 1"));
    running.wait(&Event::Stage(
        mcp_ssh_orchestrator::testing::ssh::Stage::Running,
    ));
    direct.reload(&fleet.setup);
    assert_eq!(direct.client.idle_sessions(), 0);
    // One in use then is not kept afterwards.
    running.join().ok();
    assert_eq!(direct.client.idle_sessions(), 0);
    assert!(!direct.run("web1", "echo two").ok().report.reused);
}

/// A run that a reload overtook goes by the configuration of before. The session that it
/// leaves was logged in to by that one's credentials, and is for no other.
#[test]
fn a_session_of_an_earlier_configuration_is_not_found() {
    let fleet = Fleet::of(&["web1"]);
    let old = Direct::of(&fleet.setup);
    let mut new = old.clone();
    new.reload(&fleet.setup);
    old.run("web1", "echo one").ok();
    assert_eq!(old.client.idle_sessions(), 1);
    assert!(!new.run("web1", "echo two").ok().report.reused);
    assert!(old.run("web1", "echo three").ok().report.reused);
    assert_eq!(fleet.host("web1").logins(), 2);
}

#[test]
fn a_changed_record_drops_it() {
    let fleet = Fleet::of(&["web1"]);
    let direct = Direct::of(&fleet.setup);
    let known = fleet.host("web1").known_hosts_line();
    direct.run("web1", "echo one").ok();
    // More entries: still the same key.
    fleet
        .setup
        .key("known_hosts", &format!("# a comment\n{known}"));
    assert!(direct.run("web1", "echo two").ok().report.reused);
    // The key revoked: the session is no longer good, and neither is a new one.
    fleet.setup.key(
        "known_hosts",
        &format!(
            "{known}@revoked * {}\n",
            fleet.host("web1").public_host_key()
        ),
    );
    let ran = direct.run("web1", "echo three");
    assert!(
        matches!(
            ran.error(),
            SshError::HostKey(HostKeyProblem::Revoked { .. })
        ),
        "{:?}",
        ran.report
    );
    assert_eq!(direct.client.idle_sessions(), 0);
}

#[test]
fn a_changed_key_drops_it() {
    let fleet = Fleet::of(&["web1"]);
    let direct = Direct::of(&fleet.setup);
    direct.run("web1", "echo one").ok();
    fleet.setup.key("id_fleet", "no longer a key\n");
    let ran = direct.run("web1", "echo two");
    assert!(matches!(ran.error(), SshError::Key(_)), "{:?}", ran.report);
}

#[test]
fn an_ended_run_leaves_no_session() {
    let fleet = Fleet::with(vec![HostSpec::new("web1")]);
    let direct = Direct::of(&fleet.setup);
    let running = direct.begin(order("web1", "sleep 86601"));
    running.wait(&Event::Stage(
        mcp_ssh_orchestrator::testing::ssh::Stage::Running,
    ));
    running.cancel.cancel();
    running.join();
    assert_eq!(direct.client.idle_sessions(), 0);
}
