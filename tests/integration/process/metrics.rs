//! Promise: figures for Prometheus' textfile collector, in its format, that agree with what ran.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::{Fleet, Launch, Scratch, wait_until};

#[test]
fn figures_agree_with_what_ran() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime", "false"]);
    let scratch = Scratch::new("metrics");
    let path = scratch.path().join("web.figures.prom");
    let args = ["--metrics-file", path.to_str().unwrap()];
    let server = Launch::default().args(&args).start(&fleet.setup);
    server.run("web1", "uptime");
    server.run("web1", "false");
    server.run("web1", "reboot");
    let read = || fs::read_to_string(&path).unwrap_or_default();
    wait_until("the figures are those of now", || {
        read().contains("mcp_ssh_runs_total{server=\"web.figures\",outcome=\"failed\"} 1")
    });
    let text = read();
    let text = text.replace("server=\"web.figures\",", "");
    let text = text.replace("{server=\"web.figures\"}", "");
    assert!(!text.contains("server="), "{text}");
    for line in [
        "mcp_ssh_decisions_total{verdict=\"allowed\"} 2",
        "mcp_ssh_decisions_total{verdict=\"denied\"} 1",
        "mcp_ssh_runs_total{outcome=\"succeeded\"} 1",
        "mcp_ssh_run_duration_seconds_count 2",
        "mcp_ssh_run_duration_seconds_bucket{le=\"+Inf\"} 2",
        "mcp_ssh_commands_running 0",
        "mcp_ssh_policy_rejected 0",
        "mcp_ssh_audit_failing 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // Every family has its two lines before its values, and no line is anything else.
    let mut named = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            named = rest.split(' ').next().unwrap().to_owned();
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&named) && !named.is_empty(), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
    server.finish();
}
