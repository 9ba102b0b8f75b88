//! A client for benchmarks: the real binary over its standard input and output, with as
//! little work beside it as can be. Checks nothing; the tests do.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "each benchmark uses its part, and a failed step ends it"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::{Value, json};

use crate::common::{Setup, policy_allowing};

/// A running server.
pub(crate) struct Client {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<Value>,
    pub(crate) seen: Arc<Seen>,
    next: u64,
}

/// Log records, counted as they come.
#[derive(Default)]
pub(crate) struct Seen {
    audits: AtomicUsize,
    cancelled: AtomicUsize,
    running: AtomicUsize,
    lock: Mutex<()>,
    more: Condvar,
}

impl Client {
    pub(crate) fn start(setup: &Setup) -> Self {
        let mut command = setup.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (tell, answers) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let frame: Value = serde_json::from_str(&line).unwrap();
                if frame.get("id").is_some() && tell.send(frame).is_err() {
                    break;
                }
            }
        });
        let seen = Arc::new(Seen::default());
        let count = Arc::clone(&seen);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                count.line(&line);
            }
        });
        let stdin = child.stdin.take().unwrap();
        let mut client = Client {
            child,
            stdin,
            answers,
            seen,
            next: 0,
        };
        client.send(
            "initialize",
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}),
        );
        client.answer();
        client.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    /// Sends a call; answers come in any order.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.send("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    pub(crate) fn answer(&self) -> Value {
        self.answers.recv_timeout(Duration::from_secs(300)).unwrap()
    }

    /// The structured content of the next answer.
    pub(crate) fn result(&self) -> Value {
        let answer = self.answer();
        let result = &answer["result"];
        assert!(result["isError"] != true && result.is_object(), "{answer}");
        result["structuredContent"].clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes its input and waits for its end.
    pub(crate) fn finish(self) {
        let Client {
            mut child, stdin, ..
        } = self;
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    fn send(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}));
        self.next
    }

    fn write(&mut self, frame: &Value) {
        let mut line = frame.to_string();
        line.push('\n');
        self.stdin.write_all(line.as_bytes()).unwrap();
    }
}

impl Seen {
    fn line(&self, line: &str) {
        let counter = if line.starts_with("{\"type\":\"audit\"") {
            if line.contains("\"cancelled\":true") {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
            }
            &self.audits
        } else if line.contains("\"phase\":\"running\"") && line.contains("\"bytes_read\":0") {
            &self.running
        } else {
            return;
        };
        counter.fetch_add(1, Ordering::SeqCst);
        let _held = self.lock.lock().unwrap();
        self.more.notify_all();
    }

    /// Waits for so many ends of cancelled commands on record.
    pub(crate) fn wait_cancelled(&self, count: usize) {
        self.wait("cancelled commands", || {
            self.cancelled.load(Ordering::SeqCst) >= count
        });
    }

    fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let held = self.lock.lock().unwrap();
        let most = Duration::from_secs(300);
        let (_held, waited) = self
            .more
            .wait_timeout_while(held, most, |()| !holds())
            .unwrap();
        assert!(!waited.timed_out(), "waited too long for {what}");
    }
}

/// What a process takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    /// Resident bytes.
    pub(crate) rss: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: usize,
}

impl Use {
    pub(crate) fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Use {
            rss: field("VmRSS:") * 1024,
            threads: field("Threads:"),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
        }
    }
}

/// One figure against what it must reach, as a ratio: at most 1.00 is good.
pub(crate) fn figure(name: &str, value: f64, limit: f64, unit: &str) -> bool {
    let ratio = value / limit;
    let verdict = if ratio <= 1.0 { "reached" } else { "MISSED" };
    println!("{name:<58} {value:>9.2} {unit:<5} of {limit:>7.2}  ratio {ratio:.2}  {verdict}");
    ratio <= 1.0
}

pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

pub(crate) fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// A policy that allows `true`, for sessions that are kept so long.
pub(crate) fn allowing_true(idle_seconds: u32) -> String {
    let limit = format!("limits:\n  session_idle_seconds: {idle_seconds}\n");
    policy_allowing(&["true"]).replacen("limits:\n", &limit, 1)
}

/// Seconds for `true` on a host.
pub(crate) fn run_true(client: &mut Client, alias: &str) -> f64 {
    let begun = Instant::now();
    client.call("ssh_run", json!({"alias": alias, "command": "true"}));
    let result = client.result();
    let took = seconds(begun);
    assert_eq!(result["exit_code"], 0, "{result}");
    took
}

/// Seconds for the tag run of a server that has just been started.
pub(crate) fn tag_run(setup: &Setup, tag: &str, hosts: usize) -> f64 {
    let mut client = Client::start(setup);
    let begun = Instant::now();
    client.call("ssh_run_on_tag", json!({"tag": tag, "command": "true"}));
    let run = client.result();
    let took = seconds(begun);
    assert_eq!(run["summary"]["succeeded"], hosts, "{}", run["summary"]);
    client.finish();
    took
}

pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The arguments that are not for the harness of cargo.
pub(crate) fn arguments() -> Vec<String> {
    std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect()
}
