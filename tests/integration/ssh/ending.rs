//! Whatever ends a run ends the command over there, all of its pipeline, and keeps what it
//! said until then; and the result says whether that is certain.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::time::Duration;

use crate::common::{
    Fleet, HostSpec, Server, members, policy_allowing, processes_with, wait_until,
};
use crate::direct::{Direct, Event, Order, order};
use mcp_ssh_orchestrator::testing::ssh::{Ended, Exit, Phase, RunReport, Terminated};
use serde_json::json;

/// Says something and then stays for a day; `$1` finds it in the list of processes.
const STAYS: &str = "#!/bin/sh\necho \"$1 is here\"\nexec sleep \"$1\"\n";
/// As `stays`, and does not go when it is asked to.
const STUBBORN: &str =
    "#!/bin/sh\ntrap '' TERM\necho \"$1 is here\"\nwhile :; do sleep \"$1\"; done\n";
/// Hands on what it reads, and is found by its own name.
const PIPE: &str = "#!/bin/sh\nwhile read -r line; do echo \"$line\"; done\n";
const FLOOD: &str = "#!/bin/sh\nexec yes \"$1\"\n";
/// Says something more when it is told to go.
const POLITE: &str =
    "#!/bin/sh\ntrap 'echo \"last words\"; exit 7' TERM\necho ready\nwhile :; do sleep 0.1; done\n";

fn fleet() -> Fleet {
    with_host(HostSpec::new("web1"))
}

fn with_host(spec: HostSpec) -> Fleet {
    let fleet = Fleet::with(vec![spec]);
    let stubs = [
        ("stays", STAYS),
        ("stubborn", STUBBORN),
        // A name for each test that looks for it: they run at the same time.
        ("hand-on", PIPE),
        ("hand-over", PIPE),
        ("hand-down", PIPE),
        ("flood", FLOOD),
        ("polite", POLITE),
    ];
    for (name, script) in stubs {
        fleet.host("web1").stub(name, script);
    }
    fleet.allow(&[
        "stays *",
        "stubborn *",
        "hand-on",
        "hand-over",
        "hand-down",
        "flood *",
        "polite",
        "echo *",
        "sleep *",
    ]);
    fleet
}

fn within(command: &str, seconds: u64) -> Order {
    Order {
        deadline: Duration::from_secs(seconds),
        ..order("web1", command)
    }
}

#[track_caller]
fn is_gone(report: &RunReport, traces: &[&str]) {
    assert_eq!(report.terminated, Some(Terminated::Confirmed), "{report:?}");
    for trace in traces {
        assert_eq!(processes_with(trace), Vec::<i32>::new(), "{trace}");
    }
}

#[test]
fn a_deadline_ends_it_and_keeps_the_output() {
    let fleet = fleet();
    let ran = Direct::of(&fleet.setup).order(within("stays 86401", 6));
    assert_eq!(ran.report.ended, Ended::TimedOut(Phase::Run));
    assert_eq!(ran.out(), "86401 is here\n");
    assert_eq!(ran.report.exit, Some(Exit::Signal("TERM".into())));
    assert!(!ran.report.outcome_unknown);
    is_gone(&ran.report, &["sleep 86401"]);
}

#[test]
fn a_cancel_ends_a_whole_pipeline() {
    let fleet = fleet();
    let running = Direct::of(&fleet.setup).begin(order("web1", "stays 86402 | hand-on | hand-on"));
    running.wait(&Event::Output);
    // The interpreter's command line has the path, the wrapper's only the name.
    wait_until("all of it runs", || {
        processes_with("sleep 86402").len() == 1 && processes_with("bin/hand-on").len() == 2
    });
    running.cancel.cancel();
    let ran = running.join();
    assert_eq!(ran.report.ended, Ended::Cancelled(Phase::Run));
    assert_eq!(ran.out(), "86402 is here\n");
    is_gone(&ran.report, &["sleep 86402", "bin/hand-on"]);
}

/// sshd says yes to a request before its child can be signalled: a single TERM would be
/// lost now and then, and the command run on until it is killed.
#[test]
fn a_cancel_at_once_needs_no_kill() {
    let fleet = fleet();
    fleet.host("web1").stub(
        "mark",
        "#!/bin/sh\necho started >> \"$1\"\nexec sleep 86412\n",
    );
    let dir = crate::common::Scratch::new("mark");
    crate::common::run("chmod", &["777", dir.path().to_str().unwrap()]);
    let file = dir.path().join("starts");
    let starts = || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.lines().count()
    };
    // In full: a wildcard grants no path to a program of which nothing is known.
    let command = format!("mark {}", file.display());
    fleet.allow(&[&command]);
    let direct = Direct::of(&fleet.setup);
    cancel_at_once(&direct, &command, starts);
    assert_eq!(processes_with("sleep 86412"), Vec::<i32>::new());
}

#[test]
fn a_cancel_at_once_needs_no_kill_on_dropbear_either() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").dropbear()]);
    let command = "tail -n 86419 -f /dev/null";
    fleet.allow(&[command]);
    cancel_at_once(&Direct::of(&fleet.setup), command, || 0);
    assert_eq!(processes_with(command), Vec::<i32>::new());
}

/// Cancels a command again and again, a little later each time: it goes when it is asked
/// to, or has not begun. `starts` counts how often it has begun.
fn cancel_at_once(direct: &Direct, command: &str, starts: impl Fn() -> usize) {
    let mut sent = 0;
    for turn in 0..60 {
        let before = starts();
        let running = direct.begin(order("web1", command));
        running.wait(&Event::Stage(
            mcp_ssh_orchestrator::testing::ssh::Stage::Running,
        ));
        let spin = std::time::Instant::now();
        while spin.elapsed() < Duration::from_micros(turn * 100) {
            std::hint::spin_loop();
        }
        running.cancel.cancel();
        let ran = running.join();
        assert_eq!(ran.report.ended, Ended::Cancelled(Phase::Run));
        match ran.report.terminated {
            // It came before the request was sent.
            None => assert_eq!(starts(), before, "{:?}", ran.report),
            Some(_) => {
                sent += 1;
                let signal = ran.report.exit.clone();
                assert_eq!(signal, Some(Exit::Signal("TERM".into())), "turn {turn}");
            }
        }
    }
    assert!(
        sent >= 20,
        "only {sent} of 60 were cancelled after the request"
    );
}

#[test]
fn enough_output_ends_it() {
    let fleet = fleet();
    let ran = Direct::of(&fleet.setup).order(Order {
        cap: 100_000,
        ..order("web1", "flood 86403")
    });
    assert_eq!(ran.report.ended, Ended::Stopped);
    assert!(ran.stdout.len() >= 100_000 && ran.stdout.len() < 100_000 + 64 * 1024);
    is_gone(&ran.report, &["yes 86403"]);
}

#[test]
fn what_does_not_go_when_asked_is_killed() {
    let fleet = fleet();
    let running = Direct::of(&fleet.setup).begin(order("web1", "stubborn 86404"));
    running.wait(&Event::Output);
    running.cancel.cancel_within(Duration::from_millis(300));
    let ran = running.join();
    assert_eq!(ran.report.exit, Some(Exit::Signal("KILL".into())));
    is_gone(&ran.report, &["sleep 86404"]);
}

/// To some programs the second `TERM` means 'drop everything'.
#[test]
fn what_has_begun_is_asked_once() {
    let fleet = fleet();
    fleet.host("web1").stub(
        "tallies",
        "#!/bin/sh\ntrap 'echo asked' TERM\necho ready\nwhile :; do sleep 0.1; done\n",
    );
    fleet.allow(&["tallies"]);
    let running = Direct::of(&fleet.setup).begin(order("web1", "tallies"));
    running.wait(&Event::Output);
    running.cancel.cancel_within(Duration::from_millis(500));
    let ran = running.join();
    assert_eq!(ran.out(), "ready\nasked\n");
    assert_eq!(ran.report.exit, Some(Exit::Signal("KILL".into())));
    is_gone(&ran.report, &["bin/tallies"]);
}

#[test]
fn last_words_are_kept() {
    let fleet = fleet();
    let running = Direct::of(&fleet.setup).begin(order("web1", "polite"));
    running.wait(&Event::Output);
    running.cancel.cancel();
    let ran = running.join();
    assert_eq!(ran.out(), "ready\nlast words\n");
    is_gone(&ran.report, &["bin/polite"]);
}

/// What the sink does not want any more is read all the same: behind it is the host's word
/// that the command is gone.
#[test]
fn last_words_without_end_do_not_hide_the_end() {
    let fleet = fleet();
    fleet.host("web1").stub(
        "verbose",
        "#!/bin/sh\ntrap 'for i in $(seq 60); do head -c 8000 /dev/zero; head -c 8000 /dev/zero >&2; done; exit 7' TERM\n\
         echo ready\nwhile :; do sleep 0.1; done\n",
    );
    fleet.allow(&["verbose"]);
    let running = Direct::of(&fleet.setup).begin(Order {
        cap: 100_000,
        ..order("web1", "verbose")
    });
    running.wait(&Event::Output);
    running.cancel.cancel();
    let ran = running.join();
    assert_eq!(ran.report.ended, Ended::Cancelled(Phase::Run));
    let kept = u64::try_from(ran.stdout.len() + ran.stderr.len()).unwrap();
    // The shell may add that its `sleep` was ended.
    assert!(kept + ran.report.bytes_not_given >= 960_006, "{kept}");
    assert!(kept < 100_000 + 64 * 1024, "{kept} bytes were kept");
    is_gone(&ran.report, &["bin/verbose"]);
}

#[test]
fn a_host_that_takes_no_signals_leaves_it_unconfirmed() {
    // sshd refuses signals to a forced command.
    let spec = HostSpec::new("web1").force_command("sh -c \"$SSH_ORIGINAL_COMMAND\"");
    let fleet = with_host(spec);
    let running = Direct::of(&fleet.setup).begin(order("web1", "stays 86406"));
    running.wait(&Event::Output);
    running.cancel.cancel_within(Duration::from_millis(100));
    let ran = running.join();
    assert_eq!(ran.report.terminated, Some(Terminated::Unconfirmed));
    assert_eq!(ran.report.ended, Ended::Cancelled(Phase::Run));
    fleet.host("web1").stop();
}

/// OpenSSH takes no signals for a login of root; a version that did would be believed. The
/// end of the connection ends it all the same.
#[test]
fn what_is_said_of_a_root_login_is_true() {
    let spec = HostSpec::new("web1")
        .sshd("PermitRootLogin prohibit-password")
        .sshd("AllowUsers root");
    let fleet = with_host(spec);
    fleet.setup.write(
        "credentials.yml",
        "entries:\n  - name: fleet\n    username: root\n    key_path: id_fleet\n",
    );
    let running = Direct::of(&fleet.setup).begin(order("web1", "stays 86413"));
    running.wait(&Event::Output);
    running.cancel.cancel_within(Duration::from_millis(100));
    let ran = running.join();
    assert_eq!(ran.out(), "86413 is here\n");
    match ran.report.terminated.unwrap() {
        Terminated::Confirmed => is_gone(&ran.report, &["sleep 86413"]),
        // No signal reaches it, so that nothing is promised; its leash ends it.
        Terminated::Unconfirmed => wait_until("the leash has ended it", || {
            processes_with("sleep 86413").is_empty()
        }),
    }
    fleet.host("web1").stop();
}

#[test]
fn dropbear_ends_one_process_and_is_not_believed_about_more() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").dropbear()]);
    // Not a builtin of any shell, so that it is the session's own process.
    fleet.allow(&["tail -n 86407 -f /dev/null"]);
    let direct = Direct::of(&fleet.setup);
    let running = direct.begin(order("web1", "tail -n 86407 -f /dev/null"));
    // Not the shell that is about to become it.
    let sleeps = || {
        let of = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm"));
        let all = processes_with("tail -n 86407 -f /dev/null");
        all.iter()
            .any(|pid| of(pid).is_ok_and(|name| name == "tail\n"))
    };
    wait_until("the command runs", sleeps);
    running.cancel.cancel();
    let ran = running.join();
    wait_until("it is gone", || {
        processes_with("tail -n 86407 -f /dev/null").is_empty()
    });
    assert_eq!(ran.report.terminated, Some(Terminated::Unconfirmed));
}

#[test]
fn tinyssh_ends_it_with_the_connection() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").tiny()]);
    fleet.allow(&["tail -n 86418 -f /dev/null"]);
    let direct = Direct::of(&fleet.setup);
    let running = direct.begin(order("web1", "tail -n 86418 -f /dev/null"));
    wait_until("the command runs", || {
        !processes_with("tail -n 86418 -f /dev/null").is_empty()
    });
    running.cancel.cancel_within(Duration::from_millis(100));
    let ran = running.join();
    // It takes no signals, and hangs up on its command when we do.
    assert_eq!(ran.report.terminated, Some(Terminated::Unconfirmed));
    wait_until("it is gone", || {
        processes_with("tail -n 86418 -f /dev/null").is_empty()
    });
}

#[test]
fn a_cut_link_leaves_the_outcome_unknown_and_is_not_tried_again() {
    let fleet = fleet();
    fleet.host("web1").stub(
        "tally",
        "#!/bin/sh\necho started >> \"$1\"\necho going\nexec sleep 86408\n",
    );
    let file = crate::common::Scratch::new("tally");
    crate::common::run("chmod", &["777", file.path().to_str().unwrap()]);
    let file = file.path().join("starts");
    let command = format!("tally {}", file.display());
    fleet.allow(&[&command]);
    let running = Direct::of(&fleet.setup).begin(order("web1", &command));
    running.wait(&Event::Output);
    fleet.host("web1").cut();
    let ran = running.join();
    assert!(ran.report.outcome_unknown, "{:?}", ran.report);
    assert_eq!(ran.report.ended, Ended::Failed);
    assert_eq!(ran.error().phase(), Some(Phase::Run));
    assert_eq!(ran.out(), "going\n");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "started\n");
}

#[test]
fn through_the_server_too() {
    let fleet = fleet();
    let policy = policy_allowing(&["stays *", "stubborn *"]);
    fleet.setup.write(
        "policy.yml",
        &policy.replace("max_seconds: 30", "max_seconds: 6"),
    );
    let server = Server::start(&fleet.setup);
    let ran = server.run("web1", "stays 86409");
    assert_eq!(
        (&ran["timeout"], &ran["exit_code"]),
        (&json!(true), &json!(-1))
    );
    assert_eq!(ran["terminated"], "confirmed", "{ran}");
    assert!(
        ran["output"].as_str().unwrap().contains("86409 is here"),
        "{ran}"
    );
    assert_eq!(processes_with("sleep 86409"), Vec::<i32>::new());
    server.finish();
}

#[test]
fn a_client_that_goes_away_leaves_nothing_running() {
    for killed in [false, true] {
        let fleet = fleet();
        let server = Server::start(&fleet.setup);
        let trace = format!("sleep 8641{}", u8::from(killed));
        let command = trace.replace("sleep", "stubborn");
        server.begin_call("ssh_run", json!({"alias": "web1", "command": command}));
        wait_until("the command runs", || !processes_with(&trace).is_empty());
        if killed {
            server.signal(nix::sys::signal::SIGTERM);
        } else {
            server.close_stdin();
        }
        server.wait_exit();
        wait_until("it is gone", || processes_with(&trace).is_empty());
    }
}

/// Through the protocol, by both of its ways to take a call back.
#[test]
fn a_cancel_by_the_client_ends_a_whole_pipeline() {
    let fleet = fleet();
    let server = Server::start(&fleet.setup);
    for (by_tool, trace) in [(false, "sleep 86414"), (true, "sleep 86415")] {
        let command = trace.replace("sleep", "stays") + " | hand-over | hand-over";
        let id = server.begin_call("ssh_run", json!({"alias": "web1", "command": command}));
        wait_until("the pipeline runs", || {
            processes_with(trace).len() == 1 && processes_with("bin/hand-over").len() == 2
        });
        if by_tool {
            let running = |record: &serde_json::Value| record["phase"] == "running";
            let records = server.records();
            let task = &records.iter().rev().find(|r| running(r)).unwrap()["task_id"];
            server.tool("ssh_cancel", json!({"task_id": task}));
            let ran = members(&server.response(&id)["result"]).clone();
            assert_eq!(ran["terminated"], "confirmed", "{ran}");
        } else {
            let why = json!({"requestId": id, "reason": "enough"});
            server.notify("notifications/cancelled", why);
        }
        wait_until("the pipeline is gone", || {
            processes_with(trace).is_empty() && processes_with("bin/hand-over").is_empty()
        });
    }
    server.finish();
}

/// The server's parent, which holds its pipes, and nothing else.
const CLIENT: &str = r#"
cd "$1" && mkfifo in out || exit 1
"$2" <in >out 2>log &
exec 3>in 4<out
cat frames >&3
while read -r line <&4; do :; done
"#;

#[test]
fn a_client_that_is_killed_leaves_no_pipeline_running() {
    let fleet = fleet();
    let dir = crate::common::Scratch::new("client");
    let frames = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "client", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "ssh_run", "arguments": {
                "alias": "web1", "command": "stubborn 86416 | hand-down | hand-down"}}}),
    ];
    let lines: String = frames.iter().map(|frame| format!("{frame}\n")).collect();
    std::fs::write(dir.path().join("frames"), lines).unwrap();
    let server = fleet.setup.command();
    let mut client = std::process::Command::new("/bin/sh");
    client.args(["-c", CLIENT, "client"]).arg(dir.path());
    client.arg(server.get_program()).env_clear();
    client.envs(server.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let mut client = client.spawn().unwrap();
    wait_until("the pipeline runs", || {
        processes_with("sleep 86416").len() == 1 && processes_with("bin/hand-down").len() == 2
    });
    client.kill().unwrap();
    client.wait().unwrap();
    wait_until("the pipeline is gone", || {
        processes_with("86416").is_empty() && processes_with("bin/hand-down").is_empty()
    });
    let log = || std::fs::read_to_string(dir.path().join("log")).unwrap();
    wait_until("the server ends", || log().contains("\"server_stop\""));
    let records: Vec<serde_json::Value> = log()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ends: Vec<_> = records.iter().filter(|r| r["type"] == "audit").collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0]["cancelled"], true);
}

/// What a command leaves behind may hold its output for ever; its own end counts.
#[test]
fn a_status_counts_although_a_child_holds_the_output() {
    let fleet = with_host(HostSpec::new("web1"));
    let sleep = "sleep 4783";
    let script = format!("#!/bin/sh\n{sleep} &\necho hello\nexit 3\n");
    fleet.machines[0].stub("hostname", &script);
    fleet
        .setup
        .write("policy.yml", &policy_allowing(&["hostname"]));
    let direct = Direct::of(&fleet.setup);
    let ran = direct.order(within("hostname", 30));
    for pid in processes_with(sleep) {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
    }
    assert_eq!(ran.report.ended, Ended::Exited, "{:?}", ran.report);
    assert_eq!(ran.report.exit, Some(Exit::Status(3)));
    assert!(ran.report.left_running);
    assert_eq!(ran.out(), "hello\n");
}
