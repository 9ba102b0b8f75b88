//! Promise: the rsyslog configuration keeps denials, security events and errors, and nothing
//! else, of a record as the server writes it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::process::{Command, Stdio};

use super::read;
use crate::common::{Scratch, tool, wait_until};

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
