//! Promise: the log goes to the machine's syslog too, as a real rsyslog reads it, also after
//! that was started anew, with the sandbox closed; one that is full or gone holds nothing up
//! and costs no record of the file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::common::{Fleet, Launch, Scratch, Server, run_cli, task_of, tool, wait_until};
use crate::ledger::{assert_sound, records};

/// A syslog of this test's own.
struct Rsyslog {
    process: Child,
    out: PathBuf,
}

impl Rsyslog {
    fn start(directory: &Path, socket: &Path) -> Self {
        let (config, out) = (directory.join("rsyslog.conf"), directory.join("out"));
        let (work, pid) = (directory.display(), directory.join("pid"));
        let text = format!(
            "global(workDirectory=\"{work}\")\n\
             module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             input(type=\"imuxsock\" Socket=\"{}\" CreatePath=\"off\")\n\
             template(name=\"t\" type=\"string\" string=\"%syslogfacility-text% %syslogseverity-text% %programname%%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{}\" template=\"t\")\n",
            socket.display(),
            out.display()
        );
        fs::write(&config, text).unwrap();
        let _ = fs::remove_file(socket);
        let process = Command::new(tool("rsyslogd"))
            .args([
                "-n",
                "-f",
                config.to_str().unwrap(),
                "-i",
                pid.to_str().unwrap(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("rsyslog listens", || socket.exists());
        Self { process, out }
    }

    /// What it wrote: facility, severity, program, and the record.
    fn written(&self) -> Vec<(String, String, Value)> {
        let text = fs::read_to_string(&self.out).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let line = |line: &str| {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().unwrap().to_owned();
            let (facility, severity, program) = (word(), word(), word());
            assert_eq!(program, "mcp-ssh-orchestrator", "{line}");
            (facility, severity, serde_json::from_str(&word()).unwrap())
        };
        whole.lines().map(line).collect()
    }

    fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> (String, String, Value) {
        let find = || {
            self.written()
                .into_iter()
                .find(|(_, _, record)| wanted(record))
        };
        wait_until(what, || find().is_some());
        find().unwrap()
    }

    fn stop(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn start(fleet: &Fleet, socket: &Path, more: &[&str]) -> Server {
    let syslog = format!("local3:{}", socket.display());
    let args = [&["--log-syslog", &syslog], more].concat();
    Launch::default().args(&args).start(&fleet.setup)
}

#[test]
fn a_real_rsyslog_gets_every_line_also_after_it_was_started_anew() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("syslog");
    let socket = scratch.path().join("log");
    let rsyslog = Rsyslog::start(scratch.path(), &socket);
    let server = start(&fleet, &socket, &[]);
    let run = server.run_id("web1", "uptime");
    let ended = |record: &Value| record["type"] == "audit" && record["task_id"] == run;
    let (facility, severity, record) = rsyslog.wait("the end of the command", ended);
    assert_eq!((facility.as_str(), severity.as_str()), ("local3", "info"));
    assert!(
        record["boot"].is_string() && record["ts"].is_number(),
        "{record}"
    );
    server.run("web1", "reboot");
    let (_, severity, _) = rsyslog.wait("the denial", |record| record["allowed"] == false);
    assert_eq!(severity, "notice");
    let starts = rsyslog.written();
    assert_eq!(starts[0].2["type"], "server_start", "{starts:?}");
    rsyslog.stop();

    // Another daemon at the same path: another socket. Nothing is lost, nothing is said.
    let rsyslog = Rsyslog::start(scratch.path(), &socket);
    let run = server.run_id("web1", "uptime");
    rsyslog.wait("the end after the start", |record| {
        record["type"] == "audit" && record["task_id"] == run
    });
    let done = server.finish();
    rsyslog.wait("the end of the server", |record| {
        record["type"] == "server_stop"
    });
    assert!(!done.log.contains("syslog_"), "{}", done.log);
    // What only says how far something is stays out; everything else is there, in order.
    let sent: Vec<Value> = rsyslog
        .written()
        .into_iter()
        .map(|(_, _, record)| record)
        .collect();
    let logged: Vec<Value> = done
        .log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["type"] != "progress" && record["type"] != "trace")
        .collect();
    assert_eq!(sent, logged);
    rsyslog.stop();
}

#[test]
fn a_syslog_that_is_gone_costs_nothing_and_is_told_once() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("gone");
    let socket = scratch.path().join("log");
    let path = scratch.path().join("audit.jsonl");
    let place = ["--audit-file", path.to_str().unwrap()];
    let server = start(&fleet, &socket, &place);
    let told = server.wait_record("the failure", |record| record["msg"] == "syslog_failed");
    assert_eq!(told["level"], "warn");
    let arguments = json!({"alias": "web1", "command": "uptime"});
    let run = server.call("ssh_run", arguments);
    assert_eq!(run["structuredContent"]["exit_code"], 0);
    let ends = records(&path);
    assert!(
        ends.iter()
            .any(|r| r["type"] == "audit" && r["task_id"] == task_of(&run))
    );
    // It comes: what waited goes out, the first line first.
    let listening = UnixDatagram::bind(&socket).unwrap();
    let mut bytes = [0; 65_536];
    let count = listening.recv(&mut bytes).unwrap();
    let first = String::from_utf8_lossy(&bytes[..count]).into_owned();
    assert!(first.starts_with("<157>mcp-ssh-orchestrator["), "{first}");
    assert!(first.contains("]: {\"type\":\"server_start\""), "{first}");
    server.wait_record("the recovery", |record| record["msg"] == "syslog_recovered");
    let done = server.finish();
    assert_eq!(done.log.matches("syslog_failed").count(), 1, "{}", done.log);
    assert_sound(&[&path]);

    let syslog = format!("local3:{}", scratch.path().join("none").display());
    let checked = run_cli(&fleet.setup, &["check", "--log-syslog", &syslog]);
    let report = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.status.success() && report.contains("log_syslog"),
        "{report}"
    );
    let checked = run_cli(&fleet.setup, &["check", "--log-syslog", "kern"]);
    let told = String::from_utf8(checked.stderr).unwrap();
    assert!(told.contains("authpriv"), "{told}");
}

#[test]
fn a_syslog_that_does_not_read_holds_no_command_up() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("full");
    let socket = scratch.path().join("log");
    let path = scratch.path().join("audit.jsonl");
    let listening = UnixDatagram::bind(&socket).unwrap();
    let server = start(&fleet, &socket, &["--audit-file", path.to_str().unwrap()]);
    // More lines than the kernel keeps for a socket that nobody reads.
    let most = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let most: usize = most.trim().parse().unwrap();
    let mut runs = Vec::new();
    for _ in 0..most / 4 + 4 {
        runs.push(server.run_id("web1", "uptime"));
    }
    server.wait_record("the failure", |record| record["msg"] == "syslog_failed");
    let ended: Vec<Value> = records(&path)
        .into_iter()
        .filter(|record| record["type"] == "audit")
        .map(|record| record["task_id"].clone())
        .collect();
    assert_eq!(ended, runs);
    // Read again: none of them is missing.
    let reading = std::thread::spawn(move || {
        let (mut bytes, mut ends) = ([0; 65_536], Vec::new());
        while ends.len() < runs.len() {
            let count = listening.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let (_, record) = text.split_once("]: ").unwrap();
            let record: Value = serde_json::from_str(record).unwrap();
            if record["type"] == "audit" {
                ends.push(record["task_id"].clone());
            }
        }
        assert_eq!(ends, runs);
    });
    reading.join().unwrap();
    server.finish();
    assert_sound(&[&path]);
}

/// Where the client buries stderr, syslog is where the operator looks.
#[test]
fn a_server_that_does_not_start_says_why_there_too() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", "rules: nonsense\n");
    let scratch = Scratch::new("early");
    let socket = scratch.path().join("log");
    let listening = UnixDatagram::bind(&socket).unwrap();
    let syslog = format!("authpriv:{}", socket.display());
    let ended = run_cli(&fleet.setup, &["serve", "--log-syslog", &syslog]);
    assert!(!ended.status.success());
    let mut bytes = [0; 65_536];
    let mut heard = Vec::new();
    while !heard
        .iter()
        .any(|line: &String| line.contains("start_failed"))
    {
        let count = listening.recv(&mut bytes).unwrap();
        heard.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
    }
    assert!(
        heard.len() > 1 && heard[0].contains("config_error"),
        "{heard:?}"
    );
    assert!(
        heard.iter().all(|line| line.starts_with("<83>")),
        "{heard:?}"
    );
}
