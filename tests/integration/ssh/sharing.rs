//! Commands that run on a host at the same time share its connection, each with a channel of its
//! own: none of them hears of the others, and what ends the connection ends each as it is told.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::common::{
    Fleet, HostSpec, Proxy, Scratch, Server, policy_allowing, processes_with, run, wait_until,
};
use crate::direct::{Always, Direct, Event, Order, Running, order};
use mcp_ssh_orchestrator::testing::model::names::HostAlias;
use mcp_ssh_orchestrator::testing::ssh::{
    Cancel, Control, Deadline, Ended, Exit, Flow, Job, Sink, SshError, Stage, Terminated,
};

/// A host with a command that says its name, and ends when it is told to.
struct Holding {
    fleet: Fleet,
    dir: Scratch,
}

impl Holding {
    fn new(spec: HostSpec) -> Self {
        let fleet = Fleet::with(vec![spec]);
        let script =
            "#!/bin/sh\necho \"$1\"\nwhile [ ! -e \"$2\" ]; do sleep 0.05; done\necho end\n";
        fleet.host("web1").stub("hold", script);
        let dir = Scratch::new("hold");
        run("chmod", &["755", dir.path().to_str().unwrap()]);
        let this = Self { fleet, dir };
        // In full: a wildcard grants no path to a program of which nothing is known.
        let all: Vec<_> = (0..12).map(|n| this.command(n)).collect();
        let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
        all.extend(["echo *", "seq *", "sleep *"]);
        this.fleet.allow(&all);
        this
    }

    fn command(&self, number: usize) -> String {
        format!("hold {number} {}", self.dir.path().join("go-on").display())
    }

    /// So many that run now.
    fn begin(&self, direct: &Direct, numbers: std::ops::Range<usize>) -> Vec<Running> {
        let runs: Vec<_> = numbers
            .map(|n| direct.begin(order("web1", &self.command(n))))
            .collect();
        for run in &runs {
            run.wait(&Event::Output);
        }
        runs
    }

    fn release(&self) {
        fs::write(self.dir.path().join("go-on"), "").unwrap();
    }

    fn logins(&self) -> usize {
        self.fleet.host("web1").logins()
    }
}

fn all_end(runs: Vec<Running>) {
    for (n, run) in runs.into_iter().enumerate() {
        assert_eq!(run.join().ok().out(), format!("{n}\nend\n"));
    }
}

#[test]
fn eight_at_once_take_one_login() {
    let hosts = Holding::new(HostSpec::new("web1"));
    let direct = Direct::of(&hosts.fleet.setup);
    let runs = hosts.begin(&direct, 0..8);
    assert_eq!(hosts.logins(), 1);
    hosts.release();
    all_end(runs);
    assert_eq!(direct.client.idle_sessions(), 1);
    // What is left of it is an idle session like others, with its spare channel.
    wait_until("the host has granted a channel", || {
        direct.client.warm_sessions() == 1
    });
    assert!(direct.run("web1", "echo more").ok().report.reused);
    assert_eq!(hosts.logins(), 1);
}

/// An idle session is shared as a new one is, by those who come while it is in use.
#[test]
fn who_comes_later_finds_the_one_in_use() {
    let hosts = Holding::new(HostSpec::new("web1"));
    let direct = Direct::of(&hosts.fleet.setup);
    direct.run("web1", "echo first").ok();
    let runs = hosts.begin(&direct, 0..3);
    for n in 0..4 {
        let ran = direct.run("web1", &format!("echo {n}"));
        assert_eq!(ran.ok().out(), format!("{n}\n"));
        assert!(ran.report.reused && ran.report.negotiated.is_some());
        assert!(ran.report.target_ip.is_some());
    }
    assert_eq!(direct.client.idle_sessions(), 0);
    hosts.release();
    all_end(runs);
    assert_eq!(hosts.logins(), 1);
}

#[test]
fn as_many_as_the_host_permits() {
    for (permitted, logins) in [(2, 4), (1, 8)] {
        let spec = HostSpec::new("web1").sshd(&format!("MaxSessions {permitted}"));
        let hosts = Holding::new(spec);
        let direct = Direct::of(&hosts.fleet.setup);
        let runs = hosts.begin(&direct, 0..8);
        assert_eq!(hosts.logins(), logins);
        hosts.release();
        all_end(runs);
        assert_eq!(direct.client.idle_sessions(), logins);
    }
}

#[test]
fn dropbear_carries_eight() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").dropbear()]);
    let direct = Direct::of(&fleet.setup);
    let runs: Vec<_> = (0..8)
        .map(|n| direct.begin(order("web1", &format!("sleep 1; echo {n}"))))
        .collect();
    for (n, run) in runs.into_iter().enumerate() {
        assert_eq!(run.join().ok().out(), format!("{n}\n"));
    }
    assert_eq!(fleet.host("web1").logins(), 1);
}

/// Of other hosts it is not known that a second command does the first no harm.
#[test]
fn an_unknown_host_has_a_connection_for_each() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").tiny()]);
    let direct = Direct::of(&fleet.setup);
    let runs: Vec<_> = (0..4)
        .map(|n| direct.begin(order("web1", &format!("sleep 1; echo {n}"))))
        .collect();
    for (n, run) in runs.into_iter().enumerate() {
        let ran = run.join();
        assert_eq!(ran.ok().out(), format!("{n}\n"));
        assert!(!ran.report.reused);
    }
}

fn numbers(first: usize) -> String {
    (first..first + 150_000).map(|n| format!("{n}\n")).collect()
}

/// A MiB each, in many key exchanges that all of them go through.
#[test]
fn the_output_of_each_is_whole() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").sshd("RekeyLimit 256K")]);
    fleet.allow(&["seq *"]);
    let direct = Direct::of(&fleet.setup);
    let first = |n: usize| 1_000_000 + n * 150_000;
    let runs: Vec<_> = (0..8)
        .map(|n| {
            let command = format!("seq {} {}", first(n), first(n) + 149_999);
            direct.begin(order("web1", &command))
        })
        .collect();
    for (n, run) in runs.into_iter().enumerate() {
        let ran = run.join();
        assert!(ran.ok().out() == numbers(first(n)), "{n}");
        assert_eq!(ran.report.exit, Some(Exit::Status(0)));
    }
    assert_eq!(fleet.host("web1").logins(), 1);
}

/// Small commands come and go in the midst of it.
#[test]
fn what_comes_and_goes_meanwhile_keeps_apart() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").sshd("RekeyLimit 256K")]);
    fleet.allow(&["seq *", "echo *"]);
    let direct = Direct::of(&fleet.setup);
    let long = direct.begin(order("web1", "seq 1000000 1600000"));
    long.wait(&Event::Output);
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let direct = direct.clone();
            thread::spawn(move || {
                for n in 0..25 {
                    let ran = direct.run("web1", &format!("echo {worker} {n}"));
                    assert_eq!(ran.ok().out(), format!("{worker} {n}\n"));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let whole: String = (1_000_000..=1_600_000).map(|n| format!("{n}\n")).collect();
    assert!(long.join().ok().out() == whole);
}

#[test]
fn the_end_of_one_is_not_the_others() {
    let hosts = Holding::new(HostSpec::new("web1"));
    let direct = Direct::of(&hosts.fleet.setup);
    let runs = hosts.begin(&direct, 0..2);
    let cancelled = direct.begin(order("web1", "sleep 86901"));
    let timed_out = direct.begin(Order {
        deadline: Duration::from_secs(5),
        ..order("web1", "sleep 86902")
    });
    let enough = direct.begin(Order {
        cap: 1000,
        ..order("web1", "seq 1 100000000")
    });
    for trace in ["sleep 86901", "sleep 86902"] {
        wait_until(trace, || processes_with(trace).len() == 1);
    }
    cancelled.cancel.cancel();
    for (run, how) in [(cancelled, "cancelled"), (timed_out, "timed out")] {
        let ran = run.join();
        let as_told = match ran.report.ended {
            Ended::Cancelled(_) => "cancelled",
            Ended::TimedOut(_) => "timed out",
            _ => "otherwise",
        };
        assert_eq!(as_told, how, "{:?}", ran.report);
        assert_eq!(ran.report.terminated, Some(Terminated::Confirmed), "{how}");
    }
    for trace in ["sleep 86901", "sleep 86902"] {
        assert_eq!(processes_with(trace), Vec::<i32>::new());
    }
    let ran = enough.join();
    assert_eq!(ran.report.ended, Ended::Stopped);
    assert_eq!(ran.report.terminated, Some(Terminated::Confirmed));
    hosts.release();
    all_end(runs);
}

/// The request of each was sent, so of none is it known what became of it.
#[test]
fn a_connection_that_breaks_ends_all_on_it() {
    let hosts = Holding::new(HostSpec::new("web1"));
    let direct = Direct::of(&hosts.fleet.setup);
    let runs = hosts.begin(&direct, 0..4);
    assert_eq!(hosts.logins(), 1);
    hosts.fleet.host("web1").cut();
    for run in runs {
        let ran = run.join();
        assert!(
            matches!(ran.error(), SshError::LinkLost { .. }),
            "{:?}",
            ran.report
        );
        assert!(ran.report.outcome_unknown);
    }
    assert_eq!(direct.client.idle_sessions(), 0);
    assert_eq!(direct.run("web1", "echo after").ok().out(), "after\n");
}

/// What had come before the end is not lost with it.
#[test]
fn a_command_whose_end_had_come_has_ended() {
    let hosts = Holding::new(HostSpec::new("web1"));
    let direct = Direct::of(&hosts.fleet.setup);
    let runs = hosts.begin(&direct, 0..1);
    let (mut slow, release) = Slow::new();
    let (told, done) = channel();
    let own = direct.clone();
    let reader = thread::spawn(move || {
        let report = with_sink(&own, "echo one", &mut slow);
        told.send(()).unwrap();
        (report, slow.taken)
    });
    release.wait_stuck();
    // Another command's coming and going shows that what was said before it has come.
    direct.run("web1", "echo two").ok();
    hosts.fleet.host("web1").cut();
    for run in runs {
        assert!(run.join().report.outcome_unknown);
    }
    release.go_on();
    done.recv_timeout(Duration::from_secs(20)).unwrap();
    let (report, taken) = reader.join().unwrap();
    assert_eq!(
        (report.ended, report.exit),
        (Ended::Exited, Some(Exit::Status(0)))
    );
    assert_eq!(taken, b"one\n");
}

#[test]
fn nothing_new_is_let_on_it_after_a_reload() {
    let hosts = Holding::new(HostSpec::new("web1"));
    let mut direct = Direct::of(&hosts.fleet.setup);
    let before = direct.clone();
    let runs = hosts.begin(&direct, 0..2);
    direct.reload(&hosts.fleet.setup);
    // Neither for the new configuration nor for what is still under way for the old one.
    assert!(!before.run("web1", "echo old").ok().report.reused);
    assert!(!direct.run("web1", "echo new").ok().report.reused);
    assert_eq!(hosts.logins(), 3);
    hosts.release();
    all_end(runs);
    assert!(direct.run("web1", "echo again").ok().report.reused);
    assert_eq!(hosts.logins(), 3);
    hosts.fleet.host("web1").wait_log("Received disconnect");
}

/// What a reload overtakes in the last moment is not sent on it.
#[test]
fn what_is_not_cleared_is_not_sent_and_harms_nobody() {
    let hosts = Holding::new(HostSpec::new("web1"));
    let direct = Direct::of(&hosts.fleet.setup);
    let runs = hosts.begin(&direct, 0..2);
    let ran = direct.refused("web1", "echo never");
    assert_eq!(ran.report.ended, Ended::Superseded);
    assert!(!ran.report.outcome_unknown);
    hosts.release();
    all_end(runs);
}

/// A connection that does not answer is passed over; nothing was asked of it.
#[test]
fn a_frozen_one_takes_nobody_new() {
    let hosts = Holding::new(HostSpec::new("web1"));
    let proxy = Proxy::before(hosts.fleet.host("web1"));
    let (entry, known) = proxy.entry("web1", hosts.fleet.host("web1"));
    hosts
        .fleet
        .setup
        .write("servers.yml", &format!("hosts:\n{entry}"));
    hosts.fleet.setup.key("known_hosts", &known);
    let direct = Direct::of(&hosts.fleet.setup);
    let runs = hosts.begin(&direct, 0..2);
    proxy.mute();
    let late = direct.begin(order("web1", "echo late"));
    wait_until("it has logged in anew", || proxy.connections() == 2);
    proxy.release();
    let ran = late.join();
    assert_eq!(ran.ok().out(), "late\n");
    assert!(!ran.report.reused);
    hosts.release();
    all_end(runs);
}

/// One login that fails is the answer for all who waited for it.
#[test]
fn a_login_that_fails_fails_for_each() {
    let hosts = Holding::new(HostSpec::new("web1"));
    hosts.fleet.host("web1").change_host_key();
    let direct = Direct::of(&hosts.fleet.setup);
    let runs: Vec<_> = (0..4)
        .map(|n| direct.begin(order("web1", &format!("echo {n}"))))
        .collect();
    for run in runs {
        let ran = run.join();
        assert!(matches!(ran.error(), SshError::HostKey(_)));
        assert!(!ran.report.outcome_unknown && ran.report.target_ip.is_some());
    }
    assert_eq!(hosts.logins(), 0);
}

/// A sink that is stuck with the first bytes that it is given.
struct Slow {
    taken: Vec<u8>,
    stuck: Option<(Sender<()>, Receiver<()>)>,
}

struct Release {
    stuck: Receiver<()>,
    go_on: Sender<()>,
}

impl Slow {
    fn new() -> (Self, Release) {
        let ((tell, stuck), (go_on, told)) = (channel(), channel());
        let slow = Self {
            taken: Vec::new(),
            stuck: Some((tell, told)),
        };
        (slow, Release { stuck, go_on })
    }
}

impl Release {
    fn wait_stuck(&self) {
        self.stuck.recv_timeout(Duration::from_secs(20)).unwrap();
    }

    fn go_on(&self) {
        self.go_on.send(()).unwrap();
    }
}

impl Sink for Slow {
    fn stage(&mut self, _: Stage) {}

    fn stdout(&mut self, bytes: &[u8]) -> Flow {
        self.taken.extend_from_slice(bytes);
        if let Some((tell, told)) = self.stuck.take() {
            tell.send(()).unwrap();
            told.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        Flow::Continue
    }

    fn stderr(&mut self, bytes: &[u8]) -> Flow {
        self.stdout(bytes)
    }
}

fn with_sink(
    direct: &Direct,
    command: &str,
    sink: &mut dyn Sink,
) -> mcp_ssh_orchestrator::testing::ssh::RunReport {
    let command = direct.authorise("web1", command);
    let host = direct.snapshot.host(&HostAlias::parse("web1").unwrap());
    let job = Job {
        snapshot: &direct.snapshot,
        host: host.unwrap(),
        command: &command,
        source: None,
        clearance: &Always,
    };
    let control = Control::new(
        Deadline::after(Duration::from_secs(60)),
        Cancel::new().unwrap(),
    );
    direct.client.run(&job, &control, sink)
}

/// Whoever does not take its output holds up its own command alone.
#[test]
fn a_stuck_reader_holds_up_nobody_else() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["seq *", "echo *"]);
    let direct = Direct::of(&fleet.setup);
    let (mut slow, release) = Slow::new();
    let own = direct.clone();
    let reader = thread::spawn(move || {
        let report = with_sink(&own, "seq 1000000 2000000", &mut slow);
        (report, slow.taken)
    });
    release.wait_stuck();
    for n in 0..3 {
        let ran = direct.run("web1", &format!("seq {n} 150000"));
        let whole: String = (n..=150_000).map(|n| format!("{n}\n")).collect();
        assert!(ran.ok().out() == whole);
        assert!(ran.report.reused);
    }
    release.go_on();
    let (report, taken) = reader.join().unwrap();
    assert_eq!(report.exit, Some(Exit::Status(0)));
    let whole: String = (1_000_000..=2_000_000).map(|n| format!("{n}\n")).collect();
    assert!(taken == whole.as_bytes());
    assert_eq!(fleet.host("web1").logins(), 1);
}

/// What each is given to read is its own.
#[test]
fn each_is_fed_what_is_meant_for_it() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").sshd("RekeyLimit 256K")]);
    let rule =
        "  - action: allow\n    stdin: true\n    aliases: [\"*\"]\n    commands: [\"sha256sum\"]\n";
    let policy = policy_allowing(&["uptime"]) + rule;
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    let text = |n: usize| format!("fed-{n}-of-the-feeds\n").repeat(30_000);
    let begun: Vec<_> = (0..6)
        .map(|n| {
            let fed = json!({"alias": "web1", "command": "sha256sum", "stdin": text(n)});
            server.begin_call("ssh_run", fed)
        })
        .collect();
    for (n, id) in begun.iter().enumerate() {
        let digest = Sha256::digest(text(n).as_bytes());
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let ran = server.response(id).to_string();
        assert!(ran.contains(&hash), "{ran}");
    }
    assert!(server.finish().status.success());
}

/// Through a jump host, too, where the connection lies in a tunnel.
#[test]
fn behind_a_jump_host_they_share_as_well() {
    let fleet = Fleet::with(vec![
        HostSpec::new("bastion"),
        HostSpec::new("web1").yaml("jump: bastion"),
    ]);
    fleet.allow(&["seq *"]);
    let direct = Direct::of(&fleet.setup);
    let runs: Vec<_> = (0..6)
        .map(|n| direct.begin(order("web1", &format!("seq {n} 150000"))))
        .collect();
    for (n, run) in runs.into_iter().enumerate() {
        let whole: String = (n..=150_000).map(|n| format!("{n}\n")).collect();
        assert!(run.join().ok().out() == whole, "{n}");
    }
    assert_eq!(fleet.host("web1").logins(), 1);
    assert_eq!(fleet.host("bastion").logins(), 1);
}
