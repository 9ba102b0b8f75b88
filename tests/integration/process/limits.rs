//! Promise: what the system refuses is an error and a record, never a silent end, a torn
//! line, or a command that nobody sees.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use crate::common::{Fleet, Setup, run_cli};
use serde_json::{Value, json};

/// The server under a limit of the shell's `ulimit`.
pub(crate) fn limited(setup: &Setup, ulimit: &str, args: &[&str]) -> Child {
    let own = setup.command();
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(format!("ulimit {ulimit} && exec \"$0\" \"$@\""));
    command.arg(own.get_program()).args(args);
    command.env_clear();
    for (name, value) in own.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The answer to one call, and the log of a server that is ended after it.
pub(crate) fn ask(child: &mut Child, call: &Value) -> (Value, String) {
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}\n{call}", initialize()).unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut frames = answers.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let answer = frames.find(|frame| frame["id"] == call["id"]).unwrap();
    drop(input);
    let mut log = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    (answer, log)
}

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}}})
}

fn call(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
        "name": "ssh_run", "arguments": {"alias": "one", "command": "echo hello"}}})
}

/// RLIMIT_FSIZE: the write fails instead of the process, the record that was half written is
/// cut off again, and what cannot be recorded does not run.
#[test]
fn a_file_that_may_not_grow_refuses_commands_and_stays_sound() {
    let fleet = Fleet::of(&["one"]);
    let audit = fleet.setup.config.parent().unwrap().join("audit");
    std::fs::create_dir(&audit).unwrap();
    let own = Command::new("chmod").arg("777").arg(&audit).status();
    assert!(own.unwrap().success());
    let file = audit.join("audit.jsonl");
    let file = file.to_str().unwrap();
    // In blocks of 512 bytes.
    let mut child = limited(&fleet.setup, "-f 12", &["--audit-file", file]);
    let mut input = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let log = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let lines = BufReader::new(log).lines().map(Result::unwrap);
        lines.collect::<Vec<_>>()
    });
    writeln!(input, "{}", initialize()).unwrap();
    answers.next().unwrap().unwrap();
    let (mut ran, mut refused, mut last) = (0, 0, Value::Null);
    for id in 1..40 {
        writeln!(input, "{}", call(id)).unwrap();
        let answer = loop {
            let line = answers.next().expect("the server is there").unwrap();
            let frame: Value = serde_json::from_str(&line).unwrap();
            if frame["id"] == id {
                break frame;
            }
        };
        last = answer.clone();
        if answer.to_string().contains("cannot write its audit record") {
            refused += 1;
        } else {
            assert_eq!(
                refused, 0,
                "it ran after it could not be recorded: {answer}"
            );
            ran += 1;
        }
    }
    let length = std::fs::metadata(file).unwrap().len();
    assert!(
        ran > 0 && refused > 0,
        "{ran} ran, {refused} refused: {length} bytes, {last}"
    );
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for line in log.join().unwrap() {
        serde_json::from_str::<Value>(&line).unwrap();
    }
    let verified = run_cli(&fleet.setup, &["audit", "verify", file]);
    assert!(verified.status.success(), "{verified:?}");
}

/// RLIMIT_AS, from far too little to nearly enough: each line of the log is a record.
#[test]
fn without_memory_the_log_is_still_records() {
    let fleet = Fleet::of(&["one"]);
    let (mut failed, mut said) = (0, 0);
    for kib in (9_000..=60_000).step_by(1_500) {
        let mut child = limited(&fleet.setup, &format!("-v {kib}"), &[]);
        let mut input = child.stdin.take().unwrap();
        let _ = writeln!(input, "{}", initialize());
        // A line that takes memory, and a command that takes a thread.
        let long = "x".repeat(900_000);
        let _ = writeln!(
            input,
            "{}",
            json!({"jsonrpc": "2.0", "id": 7, "method": long})
        );
        let _ = writeln!(input, "{}", call(1));
        drop(input);
        let done = child.wait_with_output().unwrap();
        let log = String::from_utf8(done.stderr).unwrap();
        for line in log.lines() {
            let record = serde_json::from_str::<Value>(line);
            let record = record.unwrap_or_else(|_| panic!("{kib} KiB: no record: {line:?}"));
            said += usize::from(record["type"] == "out_of_memory");
        }
        failed += usize::from(!done.status.success());
    }
    assert!(failed > 0, "none of the limits was too small");
    // Which of them meets the allocator and which a thread is the system's matter.
    assert!(said <= failed);
}

/// A server that is started with stderr closed has nowhere to say what it runs: without an
/// audit file it runs nothing, with one it does.
#[test]
fn with_stderr_closed_only_an_audit_file_lets_commands_run() {
    let fleet = Fleet::of(&["one"]);
    let audit = fleet.setup.config.parent().unwrap().join("audit");
    std::fs::create_dir(&audit).unwrap();
    let own = Command::new("chmod").arg("777").arg(&audit).status();
    assert!(own.unwrap().success());
    let file = audit.join("audit.jsonl");
    let file = file.to_str().unwrap();
    let with_file: &[&str] = &["--audit-file", file];
    for (args, runs) in [(&[][..], false), (with_file, true)] {
        let mut child = limited(&fleet.setup, "-c 0 && exec 2>&-", args);
        let (answer, _) = ask(&mut child, &call(1));
        let answer = answer.to_string();
        assert_eq!(answer.contains("hello"), runs, "{answer}");
        let refused = answer.contains("cannot write its audit record");
        assert_eq!(refused, !runs, "{answer}");
    }
    let verified = run_cli(&fleet.setup, &["audit", "verify", file]);
    let verified = String::from_utf8(verified.stdout).unwrap();
    assert!(
        verified.contains("1 commands started, 1 ended"),
        "{verified}"
    );
}
