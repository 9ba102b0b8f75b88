//! Promise: the rsyslog configuration keeps denials, security events and errors, and nothing
//! else, of a record as the server writes it; Vector's own language makes of each line of a
//! server's log what its configuration says, and what Fluent Bit's says finds each line's time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::read;
use crate::common::{Fleet, Launch, Scratch, tool, wait_until};

#[test]
fn rsyslog_keeps_what_needs_attention() {
    let scratch = Scratch::new("rsyslog");
    let at = |name: &str| scratch.path().join(name);
    let place = scratch.path().display().to_string();
    let conf = read("deploy/logs/rsyslog.conf").replace("/var/log/mcp-ssh-orchestrator", &place);
    let global = format!("global(workDirectory=\"{place}\")\n");
    fs::write(at("rsyslog.conf"), format!("{global}{conf}")).unwrap();
    let lines = [
        r#"{"type":"policy_decision","ts":1.5,"alias":"web1","hash":"a","allowed":true}"#,
        r#"{"type":"policy_decision","ts":2.5,"alias":"web1","hash":"b","allowed":false}"#,
        r#"{"type":"audit","ts":3.5,"alias":"web1","hash":"a","exit_code":0}"#,
        r#"{"type":"security_event","ts":4.5,"event_type":"path_traversal_attempt"}"#,
        r#"{"level":"error","ts":5.5,"msg":"start_failed"}"#,
        r#"{"type":"policy_decision","ts":6.5,"alias":"last","hash":"c","allowed":false}"#,
    ];
    fs::write(at("server.log"), lines.join("\n") + "\n").unwrap();
    let mut rsyslog = Command::new(tool("rsyslogd"))
        .arg("-n")
        .arg("-f")
        .arg(at("rsyslog.conf"))
        .arg("-i")
        .arg(at("rsyslog.pid"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let attention = at("attention.log");
    let kept = || fs::read_to_string(&attention).unwrap_or_default();
    wait_until("the last record is kept", || kept().contains("\"last\""));
    rsyslog.kill().unwrap();
    rsyslog.wait().unwrap();
    let kept: Vec<String> = kept().lines().map(|line| line.trim().to_owned()).collect();
    assert_eq!(kept, [lines[1], lines[3], lines[4], lines[5]]);
}

/// The log of a real server: what was allowed, denied, disguised, and how it ended.
fn a_log() -> Vec<String> {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime", "echo *"]);
    let scratch = Scratch::new("shipped");
    let path = scratch.path().join("server.log");
    let args = ["--log-file", path.to_str().unwrap()];
    let server = Launch::default().args(&args).start(&fleet.setup);
    server.run("web1", "uptime");
    server.run("web1", "reboot");
    server.run("web1", "re''boot");
    server.run("web1", "echo '\"ts\":5.5}'");
    server.finish();
    let log = fs::read_to_string(&path).unwrap();
    let lines: Vec<String> = log.lines().map(str::to_owned).collect();
    assert!(lines.len() > 8, "{log}");
    lines
}

/// Runs a program over lines that it reads on its standard input.
fn over(program: &mut Command, lines: &[String]) -> Output {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    output
}

fn parsed(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A program of Vector's over these lines, each as its file source has them.
fn vector(program: &str, lines: &[String]) -> Output {
    let events: Vec<String> = lines
        .iter()
        .map(|line| json!({"message": line, "file": "server.log"}).to_string())
        .collect();
    over(Command::new(tool("vrl")).arg(program), &events)
}

#[test]
fn vector_reads_dates_and_sorts_each_line_of_a_server() {
    let configuration = read("deploy/logs/vector.yaml");
    let (_, source) = configuration.split_once("source: |\n").unwrap();
    let source: String = source
        .lines()
        .map_while(|line| line.strip_prefix("      "))
        .map(|line| format!("{line}\n"))
        .collect();
    let (_, condition) = configuration.split_once("condition: '").unwrap();
    let condition = condition.split('\'').next().unwrap();
    let lines = a_log();

    // A time has no form of its own in JSON.
    let dated = format!("{source}.timestamp = format_timestamp!(.timestamp, \"%s%6f\")\n.");
    let output = vector(&dated, &lines);
    let events = parsed(&output);
    assert!(output.stderr.is_empty(), "{output:?}");
    assert_eq!(events.len(), lines.len());
    let attention = parsed(&vector(&format!("{source}{condition}"), &lines));
    let mut kept = Vec::new();
    for ((line, mut event), attention) in lines.iter().zip(events).zip(attention) {
        let record: Value = serde_json::from_str(line).unwrap();
        let written = (record["ts"].as_f64().unwrap() * 1e6).round();
        let dated: f64 = event["timestamp"].as_str().unwrap().parse().unwrap();
        assert!((written - dated).abs() <= 1.0, "{line}: {dated}");
        let kind = record["type"].as_str().unwrap_or("other");
        assert_eq!(event["type"], kind);
        for name in ["timestamp", "type"] {
            match record.get(name) {
                Some(value) => event[name] = value.clone(),
                None => drop(event.as_object_mut().unwrap().remove(name)),
            }
        }
        assert_eq!(event, record);
        if attention == json!(true) {
            kept.push(kind.to_owned());
        }
    }
    kept.dedup();
    assert!(kept.len() < lines.len());
    for kind in ["policy_decision", "security_event"] {
        assert!(kept.iter().any(|kept| kept == kind), "{kept:?}");
    }
    assert!(!kept.iter().any(|kind| kind == "audit"), "{kept:?}");

    // `drop_on_error` sends these to the other output.
    for strange in ["a panic of another program", "[1]", "{\"ts\":\"x\"}"] {
        let output = vector(&source, &[strange.to_owned()]);
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{strange}: {output:?}"
        );
    }
}

/// Fluent Bit itself is in no registry. Its expression is run by jq, whose expressions are of
/// the same family (Oniguruma).
#[test]
fn fluent_bit_finds_the_time_of_each_line_of_a_server() {
    let configuration = read("deploy/logs/fluent-bit-parsers.conf");
    let expression = configuration
        .lines()
        .find_map(|line| line.trim().strip_prefix("Regex"))
        .unwrap()
        .trim();
    let lines = a_log();
    let found = |lines: &[String]| {
        let filter = "capture($expression) // {}";
        let mut jq = Command::new(tool("jq"));
        jq.args(["-Rc", "--arg", "expression", expression, filter]);
        parsed(&over(&mut jq, lines))
    };
    let captured = found(&lines);
    assert_eq!(captured.len(), lines.len());
    for (line, captured) in lines.iter().zip(captured) {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(captured["line"], **line);
        let time: f64 = captured["ts"].as_str().unwrap().parse().unwrap();
        assert_eq!(Some(time), record["ts"].as_f64(), "{line}");
    }
    for strange in ["a panic", "{\"ts\":\"1.5\"}", "x {\"ts\":1.5}"] {
        assert_eq!(found(&[strange.to_owned()]), [json!({})], "{strange}");
    }
}
