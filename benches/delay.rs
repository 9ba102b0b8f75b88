//! How many round trips a command takes, and how long many hosts behind one jump host, over a
//! line with delay; beside `ssh` and, where `scripts/bench` has installed them, two libraries.
//!
//! The delay is made in user space (containers have no netem): a proxy before the host that
//! hands each piece on after half a round trip. What it cannot delay is TCP's own handshake,
//! one round trip of a cold command. A figure is the slope between two delays, interleaved,
//! and with those of the others, in which the machine's own time falls out.
//! `cargo bench --bench delay`, or `-- ROUNDS HOSTS` (15, 50). Exits 1 if one is not reached.
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

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use common::{Fleet, HostSpec, Machine};
use serde_json::json;
use support::{Client, allowing_true, arguments, figure, median, run_true, seconds, tag_run};

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
    let mut warm = vec![
        Subject::new("ours", |delay| commands(delay, 60)),
        Subject::new("ssh with a master", |delay| openssh(delay, true)),
    ];
    let mut cold = vec![
        Subject::new("ours", |delay| commands(delay, 0)),
        Subject::new("ssh", |delay| openssh(delay, false)),
    ];
    for (library, cold_too) in [("asyncssh", true), ("parallel-ssh", false)] {
        match peers() {
            None => println!("{library}: not measured, scripts/bench installs it"),
            Some(python) => {
                let kept = |delay| worker(&python, library, delay, false);
                warm.push(Subject::new(library, kept));
                if cold_too {
                    cold.push(Subject::new(library, |delay| {
                        worker(&python, library, delay, true)
                    }));
                }
            }
        }
    }
    let reached = [
        slopes("a command on an open session", warm, rounds, 1.2),
        slopes("a cold command, without TCP's handshake", cold, rounds, 9.0),
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
    match reached.iter().all(|reached| *reached) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Does it once and says how many seconds that took.
type Timed = Box<dyn FnMut() -> f64>;

/// Somebody who runs one command near and one far.
struct Subject {
    name: &'static str,
    near: (Timed, Vec<f64>),
    far: (Timed, Vec<f64>),
}

impl Subject {
    fn new(name: &'static str, at: impl Fn(Duration) -> Timed) -> Self {
        Subject {
            name,
            near: (at(NEAR), Vec::new()),
            far: (at(FAR), Vec::new()),
        }
    }
}

/// Round trips: the difference of the medians, by that of the delays. The first of them is ours.
fn slopes(what: &str, mut subjects: Vec<Subject>, rounds: usize, limit: f64) -> bool {
    // The first of each is not counted.
    for round in 0..=rounds {
        for subject in &mut subjects {
            for (timed, times) in [&mut subject.near, &mut subject.far] {
                let took = timed();
                if round > 0 {
                    times.push(took);
                }
            }
        }
    }
    let trips = subjects.into_iter().map(|subject| {
        let far = median(subject.far.1) - median(subject.near.1);
        (subject.name, far / (FAR - NEAR).as_secs_f64())
    });
    let trips: Vec<_> = trips.collect();
    for (name, trips) in &trips[1..] {
        println!("{what}: {name} {trips:.2} trips");
    }
    figure(what, trips[0].1, limit, "trips")
}

fn commands(delay: Duration, idle: u32) -> Timed {
    let fleet = Fleet::of(&["web1"]);
    let port = delayed(fleet.host("web1"), delay);
    point_at(&fleet, port, "");
    fleet.setup.write("policy.yml", &allowing_true(idle));
    let mut client = Client::start(&fleet.setup);
    Box::new(move || {
        let _kept = &fleet;
        let took = run_true(&mut client, "far");
        // What is opened behind an answer has the time that a reader takes.
        thread::sleep(delay * 2);
        took
    })
}

fn openssh(delay: Duration, master: bool) -> Timed {
    let fleet = Fleet::of(&["web1"]);
    let port = delayed(fleet.host("web1"), delay);
    point_at(&fleet, port, "");
    Box::new(move || ssh(&fleet, port, master, &["true"]))
}

/// The interpreter that the libraries are installed for.
fn peers() -> Option<PathBuf> {
    let python = Path::new("target/bench/peers/venv/bin/python").to_owned();
    python.exists().then_some(python)
}

/// One of the libraries, in a process of its own (benches/compare/library_worker.py), which ends
/// with its input.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.stdin.take();
        let _ = self.0.wait();
    }
}

fn worker(python: &Path, library: &str, delay: Duration, cold: bool) -> Timed {
    let fleet = Fleet::of(&["web1"]);
    let port = delayed(fleet.host("web1"), delay);
    point_at(&fleet, port, "");
    let keys = &fleet.setup.keys;
    let options = json!({
        "hosts": ["127.0.0.1"], "port": port, "user": common::login().name, "cold": cold,
        "key": keys.join("id_fleet"), "known_hosts": keys.join("known_hosts"),
    });
    let child = Command::new(python)
        .args(["benches/compare/library_worker.py", library])
        .arg(options.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut worker = Worker(child.unwrap());
    let mut answers = BufReader::new(worker.0.stdout.take().unwrap()).lines();
    assert_eq!(answers.next().unwrap().unwrap(), "ready");
    Box::new(move || {
        let _kept = &fleet;
        writeln!(worker.0.stdin.as_mut().unwrap(), "true").unwrap();
        // Milliseconds.
        answers.next().unwrap().unwrap().parse::<f64>().unwrap() / 1000.0
    })
}

/// Seconds of a command by `ssh`, on a master connection that stays or on one of its own.
fn ssh(fleet: &Fleet, port: u16, master: bool, command: &[&str]) -> f64 {
    let keys = &fleet.setup.keys;
    let control = match master {
        true => format!("ControlPath={}/master", keys.display()),
        false => "ControlPath=none".into(),
    };
    let begun = Instant::now();
    let status = Command::new(common::tool("ssh"))
        .args(["-F", "/dev/null", "-o", "ControlMaster=auto"])
        .args(["-o", &control, "-o", "ControlPersist=60", "-o"])
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
    ssh(&fleet, port, true, &["true"]);
    let (mut times, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        times.push(own(&long));
        theirs.push(ssh(&fleet, port, true, &words));
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
    let times = (0..3).map(|_| tag_run(&fleet.setup, "behind", hosts));
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
