//! A channel that was opened behind an answer carries the next command at once, and nothing
//! else, and not where that is not wanted.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::time::Duration;

use crate::common::{Fleet, HostSpec, Proxy, Scratch, run, wait_until};
use crate::direct::{Direct, order};

/// A host behind a proxy, with a command that leaves a word in a file.
struct Tally {
    fleet: Fleet,
    proxy: Proxy,
    dir: Scratch,
}

impl Tally {
    fn new() -> Self {
        let fleet = Fleet::of(&["web1"]);
        let machine = fleet.host("web1");
        machine.stub("tally", "#!/bin/sh\necho \"$2\" >> \"$1\"\necho \"$2\"\n");
        let proxy = Proxy::before(machine);
        let (entry, known) = proxy.entry("proxied", machine);
        fleet
            .setup
            .write("servers.yml", &format!("hosts:\n{entry}"));
        fleet.setup.key("known_hosts", &known);
        let dir = Scratch::new("spare");
        run("chmod", &["777", dir.path().to_str().unwrap()]);
        let this = Self { fleet, proxy, dir };
        // In full: a wildcard grants no path to a program of which nothing is known.
        let all = ["one", "two", "three"].map(|word| this.command(word));
        this.fleet.allow(&all.each_ref().map(String::as_str));
        this
    }

    fn command(&self, word: &str) -> String {
        format!("tally {} {word}", self.dir.path().join("ran").display())
    }

    fn ran(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("ran")).unwrap_or_default()
    }
}

fn warm(direct: &Direct) {
    wait_until("the host has granted a channel", || {
        direct.client.warm_sessions() == 1
    });
}

#[test]
fn the_next_command_waits_for_no_word_of_the_host() {
    let tally = Tally::new();
    let direct = Direct::of(&tally.fleet.setup);
    direct.run("proxied", &tally.command("one")).ok();
    warm(&direct);
    tally.proxy.mute();
    let running = direct.begin(order("proxied", &tally.command("two")));
    // It runs although nothing that the host says has arrived since.
    wait_until("it has run", || tally.ran() == "one\ntwo\n");
    tally.proxy.release();
    assert!(running.join().ok().report.reused);
    // Once more, on a channel that was opened behind that answer.
    assert!(
        direct
            .run("proxied", &tally.command("three"))
            .ok()
            .report
            .reused
    );
    assert_eq!(tally.ran(), "one\ntwo\nthree\n");
    assert_eq!(tally.proxy.connections(), 1);
}

#[test]
fn an_old_proof_of_life_is_asked_for_anew() {
    let tally = Tally::new();
    let mut direct = Direct::of(&tally.fleet.setup);
    direct.client = direct.client.with_fresh(Duration::ZERO);
    direct.run("proxied", &tally.command("one")).ok();
    warm(&direct);
    tally.proxy.mute();
    let running = direct.begin(crate::direct::Order {
        deadline: Duration::from_secs(2),
        ..order("proxied", &tally.command("two"))
    });
    // The host does not answer, so it is not asked to run anything.
    let ran = running.join();
    assert!(!ran.report.outcome_unknown, "{:?}", ran.report);
    assert_eq!(tally.ran(), "one\n");
    tally.proxy.release();
    direct.run("proxied", &tally.command("three")).ok();
    assert_eq!(tally.ran(), "one\nthree\n");
}

/// A host that has one channel at a time is as good as without any of this.
#[test]
fn a_host_that_refuses_it_keeps_its_session() {
    let spec = HostSpec::new("web1").sshd("MaxSessions 1");
    let fleet = Fleet::with(vec![spec]);
    let direct = Direct::of(&fleet.setup);
    for (n, word) in ["one", "two", "three", "four"].into_iter().enumerate() {
        let ran = direct.run("web1", &format!("echo {word}"));
        assert_eq!(ran.ok().out(), format!("{word}\n"));
        let log = || fleet.host("web1").log().join("\n");
        assert_eq!(ran.report.reused, n > 0, "{n}: {}", log());
    }
    assert_eq!(fleet.host("web1").logins(), 1);
}

/// dropbear has as many as one likes.
#[test]
fn dropbear_grants_one() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").dropbear()]);
    let direct = Direct::of(&fleet.setup);
    for n in 0..4 {
        let ran = direct.run("web1", &format!("echo {n}"));
        assert_eq!(ran.ok().out(), format!("{n}\n"));
        assert_eq!(ran.report.reused, n > 0);
        warm(&direct);
    }
    assert_eq!(fleet.host("web1").logins(), 1);
}

/// One a session: as many commands as one likes leave one channel open.
#[test]
fn there_is_one_a_session() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").sshd("LogLevel DEBUG2")]);
    let direct = Direct::of(&fleet.setup);
    for n in 0..6 {
        direct.run("web1", &format!("echo {n}")).ok();
        warm(&direct);
    }
    // sshd numbers its sessions from zero and takes the lowest free number.
    let log = fleet.host("web1").log();
    let third = log
        .iter()
        .find(|line| line.contains("session_new: session 2"));
    assert_eq!(third, None);
    assert!(
        log.iter()
            .any(|line| line.contains("session_new: session 0")),
        "{log:#?}"
    );
}

/// A reload that takes the host away, or denies the command, closes the spare with its session.
#[test]
fn it_is_not_used_after_a_reload() {
    let tally = Tally::new();
    let mut direct = Direct::of(&tally.fleet.setup);
    let before = direct.clone();
    direct.run("proxied", &tally.command("one")).ok();
    warm(&direct);
    direct.reload(&tally.fleet.setup);
    assert_eq!(direct.client.idle_sessions(), 0);
    tally.fleet.host("web1").wait_log("Received disconnect");
    // What was still under way for the old configuration finds none of it either.
    assert!(
        !before
            .run("proxied", &tally.command("two"))
            .ok()
            .report
            .reused
    );
    assert!(
        !direct
            .run("proxied", &tally.command("three"))
            .ok()
            .report
            .reused
    );
    assert_eq!(tally.ran(), "one\ntwo\nthree\n");
}

/// What a reload overtakes in the last moment is not sent on it.
#[test]
fn it_carries_nothing_that_is_not_cleared() {
    let tally = Tally::new();
    let direct = Direct::of(&tally.fleet.setup);
    direct.run("proxied", &tally.command("one")).ok();
    warm(&direct);
    let ran = direct.refused("proxied", &tally.command("two"));
    assert!(!ran.report.outcome_unknown);
    direct.run("proxied", &tally.command("three")).ok();
    assert_eq!(tally.ran(), "one\nthree\n");
}
