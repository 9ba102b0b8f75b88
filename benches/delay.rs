//! How many round trips a command takes, and how long many hosts behind one jump host, over a
//! line with delay.
//!
//! The delay is made in user space (containers have no netem): a proxy before the host that
//! hands each piece on after half a round trip. What it cannot delay is TCP's own handshake,
//! one round trip of a cold command. A figure is the slope between two delays, interleaved,
//! in which the machine's own time falls out. `cargo bench --bench delay`, or
//! `-- ROUNDS HOSTS` (15, 50). Exits 1 if one is not reached.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed step ends the benchmark"
)]

#[path = "../tests/common/mod.rs"]
mod common;
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use common::{Fleet, HostSpec, Machine};
use serde_json::json;
use support::{Client, arguments, figure, seconds};

/// The two round-trip times.
const NEAR: Duration = Duration::from_millis(20);
const FAR: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let arguments = arguments();
    let number = |at: usize, default: usize| {
        arguments
            .get(at)
            .map_or(default, |text| text.parse().unwrap())
    };
    let (rounds, hosts) = (number(0, 15), number(1, 50));
    let reached = [
        figure(
            "a command on an open session",
            slope(rounds, &kept()),
            1.2,
            "trips",
        ),
        figure(
            "a cold command, without TCP's handshake",
            slope(rounds, &cold()),
            9.0,
            "trips",
        ),
        figure(
            "hosts behind one jump host, cold, at 100 ms",
            behind(hosts),
            2.5,
            "s",
        ),
    ];
    for delay in [50, 100, 200].map(Duration::from_millis) {
        let (own, theirs) = throughput(delay);
        println!("64 MiB at {delay:?}: {own:.1} MiB/s, `ssh` {theirs:.1} MiB/s");
    }
    println!(
        "beside it: `ssh` with a master, on an open connection: {:.2} trips",
        slope(rounds, &master())
    );
    match reached.iter().all(|reached| *reached) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

type Timed = Box<dyn FnMut() -> f64>;

/// One command near and one far.
struct Pair(Box<dyn Fn(Duration) -> Timed>);

/// Round trips: the difference of the medians, by that of the delays.
fn slope(rounds: usize, pair: &Pair) -> f64 {
    let (mut near, mut far) = ((pair.0)(NEAR), (pair.0)(FAR));
    let (mut nears, mut fars) = (Vec::new(), Vec::new());
    // The first of each is not counted.
    for round in 0..=rounds {
        let times = (near(), far());
        if round > 0 {
            nears.push(times.0);
            fars.push(times.1);
        }
    }
    (median(fars) - median(nears)) / (FAR - NEAR).as_secs_f64()
}

fn kept() -> Pair {
    Pair(Box::new(|delay| commands(delay, 60)))
}

fn cold() -> Pair {
    Pair(Box::new(|delay| commands(delay, 0)))
}

fn commands(delay: Duration, idle: u32) -> Timed {
    let fleet = Fleet::of(&["web1"]);
    let port = delayed(fleet.host("web1"), delay);
    point_at(&fleet, port, "");
    let policy = common::policy_allowing(&["true"]);
    let limit = format!("limits:\n  session_idle_seconds: {idle}\n");
    let policy = policy.replacen("limits:\n", &limit, 1);
    fleet.setup.write("policy.yml", &policy);
    let mut client = Client::start(&fleet.setup);
    Box::new(move || {
        let _kept = &fleet;
        let begun = Instant::now();
        client.call("ssh_run", json!({"alias": "far", "command": "true"}));
        client.result();
        let took = seconds(begun);
        // What is opened behind an answer has the time that a reader takes.
        thread::sleep(delay * 2);
        took
    })
}

fn master() -> Pair {
    Pair(Box::new(|delay| {
        let fleet = Fleet::of(&["web1"]);
        let port = delayed(fleet.host("web1"), delay);
        point_at(&fleet, port, "");
        Box::new(move || ssh(&fleet, port, &["true"]))
    }))
}

/// Seconds of a command by `ssh` with a master connection.
fn ssh(fleet: &Fleet, port: u16, command: &[&str]) -> f64 {
    let keys = &fleet.setup.keys;
    let begun = Instant::now();
    let status = Command::new(common::tool("ssh"))
        .args(["-F", "/dev/null", "-o", "ControlMaster=auto", "-o"])
        .arg(format!("ControlPath={}/master", keys.display()))
        .args(["-o", "ControlPersist=60", "-o"])
        .arg(format!("UserKnownHostsFile={}/known_hosts", keys.display()))
        .arg("-i")
        .arg(keys.join("id_fleet"))
        .args(["-p", &port.to_string()])
        .arg(format!("{}@127.0.0.1", common::login().name))
        .args(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    seconds(begun)
}

/// MiB in a second of a long output on an open session, here and by `ssh`: medians of three.
fn throughput(delay: Duration) -> (f64, f64) {
    const BYTES: u32 = 64 * 1024 * 1024;
    let fleet = Fleet::of(&["web1"]);
    let port = delayed(fleet.host("web1"), delay);
    point_at(&fleet, port, "");
    let policy = common::policy_allowing(&["true", "head *"]);
    // What is kept would be cleaned and answered, which is not the line's time.
    let limit = "limits:\n  max_output_bytes: 65536\n  on_output_cap: discard\n";
    let policy = policy.replacen("limits:\n", limit, 1);
    fleet.setup.write("policy.yml", &policy);
    let mut client = Client::start(&fleet.setup);
    let mut own = |command: &str| {
        let begun = Instant::now();
        client.call("ssh_run", json!({"alias": "far", "command": command}));
        let result = client.result();
        assert_eq!(result["exit_code"], 0, "{result}");
        seconds(begun)
    };
    let long = format!("head -c {BYTES} /dev/zero");
    let words: Vec<&str> = long.split(' ').collect();
    own("true");
    ssh(&fleet, port, &["true"]);
    let (mut times, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        times.push(own(&long));
        theirs.push(ssh(&fleet, port, &words));
    }
    let rate = |times| f64::from(BYTES >> 20) / median(times);
    (rate(times), rate(theirs))
}

/// Seconds for one cold command on each of many hosts behind one, which is far.
fn behind(hosts: usize) -> f64 {
    let bastion = HostSpec::new("bastion").sshd("AllowTcpForwarding yes");
    let names: Vec<String> = (0..hosts).map(|number| format!("node-{number}")).collect();
    let behind = names
        .iter()
        .map(|name| HostSpec::new(name).yaml("jump: far").tags(&["behind"]));
    let fleet = Fleet::with([bastion].into_iter().chain(behind).collect());
    let port = delayed(fleet.host("bastion"), FAR);
    point_at(&fleet, port, &fleet.servers_yaml()["hosts:\n".len()..]);
    let policy = common::policy_allowing(&["true"]);
    let width = format!("concurrency: {{max_tasks: {hosts}, fan_out: {hosts}}}\n");
    fleet.setup.write("policy.yml", &(policy + &width));
    let times = (0..3).map(|_| {
        let mut client = Client::start(&fleet.setup);
        let begun = Instant::now();
        client.call(
            "ssh_run_on_tag",
            json!({"tag": "behind", "command": "true"}),
        );
        let run = client.result();
        let took = seconds(begun);
        assert_eq!(run["summary"]["succeeded"], hosts, "{}", run["summary"]);
        client.finish();
        took
    });
    let median = median(times.collect());
    println!(
        "logins at the jump host, in three runs over {hosts} hosts: {}",
        fleet.host("bastion").logins()
    );
    median
}

/// Adds the host behind the proxy, by the name `far`.
fn point_at(fleet: &Fleet, port: u16, others: &str) {
    let machine = &fleet.machines[0];
    let entry =
        format!("hosts:\n  - {{alias: far, host: 127.0.0.1, port: {port}, credentials: fleet}}\n");
    fleet.setup.write("servers.yml", &(entry + others));
    let mut known = std::fs::read_to_string(fleet.setup.keys.join("known_hosts")).unwrap();
    known += &format!("[127.0.0.1]:{port} {}\n", machine.public_host_key());
    fleet.setup.key("known_hosts", &known);
}

/// The port of a proxy that delays all that passes by half of `round_trip`.
fn delayed(machine: &Machine, round_trip: Duration) -> u16 {
    let target = SocketAddr::from((machine.address, machine.port));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let host = TcpStream::connect(target).unwrap();
            pass(
                client.try_clone().unwrap(),
                host.try_clone().unwrap(),
                round_trip / 2,
            );
            pass(host, client, round_trip / 2);
        }
    });
    port
}

fn pass(mut from: TcpStream, mut to: TcpStream, after: Duration) {
    let _ = to.set_nodelay(true);
    let (send, pieces) = channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + after;
            if send.send((due, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
