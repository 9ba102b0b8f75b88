//! Whatever comes in, and however little is read: the server answers who can be answered,
//! stays within its memory, keeps its record, and ends only when its client does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::{DEADLINE, Era, Fleet, Launch, Server, processes_with, wait_until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const MAX_LINE: usize = 1 << 20;

fn alive(server: &Server) {
    assert_eq!(server.request("ping", json!({})), json!({}));
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    let padded = |id: &str, bytes: usize| {
        let frame = json!({"jsonrpc": "2.0", "id": id, "method": "ping", "params": {"pad": ""}})
            .to_string();
        frame.replace(
            "\"pad\":\"\"",
            &format!("\"pad\":\"{}\"", "x".repeat(bytes - frame.len())),
        )
    };
    server.send_raw(format!("{}\n", padded("fits", MAX_LINE)).as_bytes());
    server.send_raw(format!("{}\n", padded("over", MAX_LINE + 1)).as_bytes());
    server.send_raw(&vec![b'['; 8 * MAX_LINE]);
    server.send_raw(b"\n");
    alive(&server);
    assert!(server.frames().iter().any(|frame| frame["id"] == "fits"));
    assert!(!server.frames().iter().any(|frame| frame["id"] == "over"));
    server.wait_record("the long line", |record| {
        record["msg"] == "unreadable_message"
    });
}

#[test]
fn what_cannot_be_answered_is_logged_and_nothing_is_sent() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    let before = server.frames().len();
    let deep = "[".repeat(300_000);
    let lines: Vec<Vec<u8>> = vec![
        b"{bad json".to_vec(),
        b"\"text\"".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        b"{\"jsonrpc\":\"2.0\",\"method\":\"x\xff\"}".to_vec(),
        br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":"stray","result":{}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":77,"error":{"code":1,"message":"x"}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","method":"notifications/unknown","params":{"a":[1]}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":424242}}"#
            .to_vec(),
        br#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#.to_vec(),
        deep.into_bytes(),
    ];
    for line in &lines {
        server.send_raw(line);
        server.send_raw(b"\n");
    }
    server.send_raw(b"\n   \n\r\n");
    alive(&server);
    assert_eq!(
        server.frames().len(),
        before + 1,
        "{:?}",
        &server.frames()[before..]
    );
    for record in server.records() {
        assert!(
            !record.to_string().contains("bad json"),
            "the log repeats a line: {record}"
        );
    }
}

#[test]
fn what_has_an_id_is_told_what_is_wrong() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let cases = [
        ("jsonrpc 1.0", r#"{"jsonrpc":"1.0","id":"ID","method":"ping"}"#.to_owned(), -32600),
        ("no jsonrpc", r#"{"id":"ID","method":"ping"}"#.to_owned(), -32600),
        ("no method", r#"{"jsonrpc":"2.0","id":"ID"}"#.to_owned(), -32600),
        ("odd method", r#"{"jsonrpc":"2.0","id":"ID","method":7}"#.to_owned(), -32600),
        ("list of params", r#"{"jsonrpc":"2.0","id":"ID","method":"ping","params":[1]}"#.to_owned(), -32600),
        ("deep", format!(r#"{{"jsonrpc":"2.0","id":"ID","method":"ping","params":{{"a":{deep}}}}}"#), -32600),
        ("huge number", r#"{"jsonrpc":"2.0","id":"ID","method":"ping","params":{"a":1e400}}"#.to_owned(), -32602),
        ("lone surrogate", r#"{"jsonrpc":"2.0","id":"ID","method":"ping","params":{"a":"\ud800"}}"#.to_owned(), -32602),
        ("meta", r#"{"jsonrpc":"2.0","id":"ID","method":"ping","params":{"_meta":7}}"#.to_owned(), -32602),
        ("no name", r#"{"jsonrpc":"2.0","id":"ID","method":"tools/call","params":{}}"#.to_owned(), -32602),
        ("unknown tool", r#"{"jsonrpc":"2.0","id":"ID","method":"tools/call","params":{"name":"rm"}}"#.to_owned(), -32602),
        ("odd arguments", r#"{"jsonrpc":"2.0","id":"ID","method":"tools/call","params":{"name":"ssh_ping","arguments":[]}}"#.to_owned(), -32602),
        ("unknown method", r#"{"jsonrpc":"2.0","id":"ID","method":"no/such"}"#.to_owned(), -32601),
    ];
    for (name, frame, code) in cases {
        server.send_raw(format!("{}\n", frame.replace("ID", name)).as_bytes());
        assert_eq!(
            server.response(&json!(name))["error"]["code"],
            code,
            "{name}"
        );
    }
}

#[test]
fn odd_bytes_around_a_frame_do_not_matter() {
    let fleet = Fleet::of(&["one"]);
    let server = Launch::default().bare().start(&fleet.setup);
    server
        .send_raw(b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":\"bom\",\"method\":\"ping\"}\r\n\r\n");
    assert_eq!(server.response(&json!("bom"))["result"], json!({}));
    for part in [
        &b"{\"jsonrpc\":\"2.0\",\"id\":\"spl"[..],
        b"it\",\"meth",
        b"od\":\"ping\"}",
        b"\n",
    ] {
        server.send_raw(part);
    }
    assert_eq!(server.response(&json!("split"))["result"], json!({}));
    for id in [
        json!(0),
        json!(-7),
        json!(9_007_199_254_740_991_i64),
        json!(u64::MAX),
        json!("1"),
        json!(1),
        json!("é\u{1f600}"),
    ] {
        server.send(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}));
        assert_eq!(server.response(&id)["id"], id);
    }
    let huge = "123456789012345678901234567890123456789";
    server.send_raw(
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{huge},\"method\":\"ping\"}}\n").as_bytes(),
    );
    alive(&server);
}

#[test]
fn an_id_in_flight_is_refused_and_ping_and_cancel_are_served_meanwhile() {
    let fleet = Fleet::of(&["one"]);
    let server = Server::start(&fleet.setup);
    let call = |id: Value| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "ssh_run", "arguments": {"alias": "one", "command": "sleep 29"}}})
    };
    server.send(&call(json!(900)));
    server.send(&call(json!("900")));
    server.wait_record("a running command", |record| record["phase"] == "running");
    server.send(&json!({"jsonrpc": "2.0", "id": 900, "method": "ping"}));
    let refused = server.wait_frame("a refusal", |frame| frame["error"]["code"] == -32600);
    assert_eq!(refused["id"], 900);
    alive(&server);
    server.notify("notifications/cancelled", json!({"requestId": 900}));
    server.notify("notifications/cancelled", json!({"requestId": "900"}));
    for _ in 0..2 {
        server.wait_record("an end", |record| {
            record["type"] == "audit" && record["cancelled"] == true
        });
    }
    // The id is free again.
    server.send(&json!({"jsonrpc": "2.0", "id": 900, "method": "ping"}));
    server.wait_frame("the answer to a used id", |frame| {
        frame["id"] == 900 && frame.get("result").is_some()
    });
}

/// A server whose standard output nobody reads.
struct Unread {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Unread {
    fn start(fleet: &Fleet) -> Self {
        let mut command = fleet.setup.command();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut unread = Self { child, log };
        unread.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}));
        unread
    }

    fn send(&mut self, frame: &Value) {
        let line = format!("{frame}\n");
        self.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
    }

    fn wait_record(&mut self, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the log ended");
            let record: Value = serde_json::from_str(&line).unwrap();
            if is_it(&record) {
                return record;
            }
        }
    }

    /// The most memory the process ever had, in KiB.
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn wait_exit(&mut self) -> Option<i32> {
        // What stderr still holds must not keep the process from ending.
        let mut log = std::mem::replace(
            &mut self.log,
            BufReader::new(self.child.stderr.take().unwrap_or_else(null)),
        );
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn null() -> std::process::ChildStderr {
    let mut child = std::process::Command::new("true")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    child.wait().unwrap();
    stderr
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes requests until the server takes no more; how many it took.
fn flood(server: &mut Unread, most: usize) -> usize {
    let stdin = server.child.stdin.as_ref().unwrap();
    nix::fcntl::fcntl(
        stdin,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
    )
    .unwrap();
    let mut silent_since = Instant::now();
    let mut count = 0;
    let mut rest: Vec<u8> = Vec::new();
    while count < most {
        if rest.is_empty() {
            count += 1;
            let frame = json!({"jsonrpc": "2.0", "id": count, "method": "tools/list"});
            rest = format!("{frame}\n").into_bytes();
        }
        match server.child.stdin.as_mut().unwrap().write(&rest) {
            Ok(written) => {
                rest.drain(..written);
                silent_since = Instant::now();
            }
            // Nothing was taken for a while: the server has stopped reading.
            Err(_) if silent_since.elapsed() > Duration::from_millis(1500) => break,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    count
}

#[test]
fn a_client_that_does_not_read_costs_little_and_holds_up_no_command() {
    let fleet = Fleet::of(&["one"]);
    let mut server = Unread::start(&fleet);
    for id in ["a", "b", "c"] {
        server.send(
            &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "ssh_run", "arguments": {"alias": "one", "command": "sleep 3"}}}),
        );
    }
    // Answers of some 13 KB each: as many as are sent, were they all kept, are 260 MB.
    let taken = flood(&mut server, 20_000);
    assert!(taken < 20_000, "input was read on and on");
    let mut ended = 0;
    server.wait_record(|record| {
        ended += usize::from(record["type"] == "audit" && record["exit_code"] == 0);
        ended == 3
    });
    assert!(server.peak() < 64 * 1024, "{} KiB", server.peak());
    // The end of input is noticed though the input before it was not read.
    drop(server.child.stdin.take());
    assert_eq!(server.wait_exit(), Some(0));
}

#[test]
fn a_call_holds_no_more_of_its_frame_than_it_needs() {
    let fleet = Fleet::of(&["one"]);
    let mut server = Unread::start(&fleet);
    let blanks = " ".repeat(1_000_000);
    for id in 0..150 {
        server.send(
            &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "ssh_run", "arguments": {"alias": "one", "command": format!("sleep 29.5{blanks}")}}}),
        );
    }
    let mut taken = 0;
    server.wait_record(|record| {
        taken += usize::from(record["type"] == "policy_decision");
        taken == 150
    });
    assert!(server.peak() < 64 * 1024, "{} KiB", server.peak());
    drop(server.child.stdin.take());
    assert_eq!(server.wait_exit(), Some(0));
}

#[test]
fn a_slow_reader_gets_every_answer() {
    let fleet = Fleet::of(&["one"]);
    let mut server = Unread::start(&fleet);
    let taken = flood(&mut server, 3000);
    let mut stdout = BufReader::new(server.child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut lines = 0;
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).unwrap() > 0 {
            let frame: Value = serde_json::from_slice(&line).unwrap();
            assert!(frame.get("result").is_some(), "{frame}");
            lines += 1;
            line.clear();
            if lines > taken {
                break;
            }
        }
        lines
    });
    // The last request may have been cut off; the one for the handshake comes on top.
    let stdin = server.child.stdin.as_mut().unwrap();
    nix::fcntl::fcntl(
        &*stdin,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()),
    )
    .unwrap();
    stdin.write_all(b"\n").unwrap();
    for id in 0..3 {
        let frame = json!({"jsonrpc": "2.0", "id": format!("more-{id}"), "method": "tools/list"});
        stdin.write_all(format!("{frame}\n").as_bytes()).unwrap();
    }
    assert!(reader.join().unwrap() > taken);
}

#[test]
fn the_end_of_input_ends_commands_and_then_the_server() {
    let fleet = Fleet::of(&["one", "two"]);
    for end in ["input", "signal"] {
        let server = Server::start(&fleet.setup);
        let marker = if end == "input" {
            "sleep 27.25"
        } else {
            "sleep 27.75"
        };
        server.begin_call("ssh_run", json!({"alias": "one", "command": marker}));
        server.begin_call("ssh_run_async", json!({"alias": "two", "command": marker}));
        wait_until("both commands run", || processes_with(marker).len() >= 2);
        let begun = Instant::now();
        match end {
            "input" => server.close_stdin(),
            _ => server.signal(Signal::SIGTERM),
        }
        let status = server.wait_exit();
        assert_eq!(status.code(), Some(0), "{end}");
        // What a client waits before it signals, twice over: the machine is busy.
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{end}: {:?}",
            begun.elapsed()
        );
        wait_until("the commands are gone", || {
            processes_with(marker).is_empty()
        });
        let ends: Vec<Value> = server
            .records()
            .into_iter()
            .filter(|record| record["type"] == "audit")
            .collect();
        assert_eq!(ends.len(), 2, "{end}: {ends:?}");
        assert!(
            ends.iter().all(|record| record["cancelled"] == true),
            "{ends:?}"
        );
    }
}

#[test]
fn requests_before_the_end_of_input_are_answered() {
    let fleet = Fleet::of(&["one"]);
    let mut child = fleet
        .setup
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "ssh_ping"}}),
    ];
    // The last line has no newline: the end of input ends it.
    let text = lines.map(|line| line.to_string()).join("\n");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let answers: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 2, "{said}");
    assert!(
        answers[1]["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("pong")
    );
}

#[test]
fn a_client_that_is_gone_ends_the_server() {
    let fleet = Fleet::of(&["one"]);
    let mut server = Unread::start(&fleet);
    server.send(
        &json!({"jsonrpc": "2.0", "id": "run", "method": "tools/call", "params": {
        "name": "ssh_run", "arguments": {"alias": "one", "command": "sleep 28.5"}}}),
    );
    server.wait_record(|record| record["phase"] == "running");
    drop(server.child.stdout.take());
    server.send(&json!({"jsonrpc": "2.0", "id": "ping", "method": "ping"}));
    server.wait_record(|record| record["type"] == "audit" && record["cancelled"] == true);
    assert_eq!(server.wait_exit(), Some(0));
    wait_until("the command is gone", || {
        processes_with("sleep 28.5").is_empty()
    });
}

#[test]
fn arguments_are_checked_and_named() {
    let fleet = Fleet::of(&["one"]);
    for era in [Era::V2024_11_05, Era::V2026_07_28] {
        let server = Launch::era(era).start(&fleet.setup);
        let error = |tool: &str, arguments: Value| server.tool_error(tool, arguments);
        assert_eq!(error("ssh_run", json!({})), "Error: alias is required");
        assert_eq!(
            error("ssh_plan", json!({"alias": "one"})),
            "Error: command is required"
        );
        assert_eq!(
            error("ssh_run_on_tag", json!({"command": "id"})),
            "Error: tag is required"
        );
        assert_eq!(
            error("ssh_describe_host", json!({"alias": "none"})),
            "Error: Host alias not found: none (nearest: one)"
        );
        assert_eq!(
            error("ssh_run", json!({"alias": "none", "command": "id"})),
            "Run error: Host alias not found: none (nearest: one)"
        );
        assert_eq!(
            error("ssh_run_async", json!({"alias": "none", "command": "id"})),
            "Async run error: Host alias not found: none (nearest: one)"
        );
        assert_eq!(
            error("ssh_plan", json!({"alias": 7, "command": "id"})),
            "Error: alias must be text"
        );
        assert!(error("ssh_ping", json!({"host": "one"})).contains("unknown argument 'host'"));
        let id = "one:dd291cd6294b:1700000000000000";
        assert_eq!(
            error("ssh_get_task_status", json!({"task_id": id})),
            format!("Error: Task not found: {id}")
        );
        assert_eq!(
            error("ssh_get_task_result", json!({"task_id": id})),
            format!("Error: Task not found or expired: {id}")
        );
        assert_eq!(
            error("ssh_get_task_output", json!({"task_id": id})),
            format!("Error: Task not found or no output available: {id}")
        );
        for lines in [json!(0), json!(1001), json!(-1), json!(2.5)] {
            let text = error(
                "ssh_get_task_output",
                json!({"task_id": id, "max_lines": lines}),
            );
            assert_eq!(text, "Error: max_lines must be between 1 and 1000");
        }
        // A whole number, to JSON Schema and to clients that know no others.
        assert!(
            error(
                "ssh_get_task_output",
                json!({"task_id": id, "max_lines": 50.0})
            )
            .contains("not found")
        );
        let text = error("ssh_cancel", json!({"task_id": id}));
        assert_eq!(text, format!("Error: Task not found: {id}"));
        error("ssh_run", json!({"alias": "one", "command": "a\u{0}b"}));
        server.wait_type("null_byte_injection_attempt");
    }
}
