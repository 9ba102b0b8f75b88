//! Promise: what Debian has for watching reads what the server writes: node_exporter and
//! promtool the figures, also those of several sessions; promtool and mtail what `deploy/` has
//! for them, over the log of a real server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::common::{Fleet, Launch, Scratch, Server, tool, wait_until};

use super::root;

/// Ends a program at the end of its test, also of one that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a node_exporter answers that reads this directory: its port is the system's choice.
fn scraped(directory: &str) -> String {
    let mut exporter = Command::new(tool("prometheus-node-exporter"))
        .args([
            "--web.listen-address=127.0.0.1:0",
            "--collector.disable-defaults",
        ])
        .args(["--collector.textfile", "--web.disable-exporter-metrics"])
        .arg(format!("--collector.textfile.directory={directory}"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(exporter.stderr.take().unwrap()).lines();
    let _running = Running(exporter);
    let address = said
        .find_map(|line| Some(line.unwrap().split_once("address=")?.1.trim().to_owned()))
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.0\r\nAccept: text/plain\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn node_exporter_tells_the_sessions_apart_that_share_a_name() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("exporter");
    let path = scratch.path().join("mcp.prom");
    let start = || {
        let args = ["--metrics-file", path.to_str().unwrap()];
        Launch::default().args(&args).start(&fleet.setup)
    };
    let servers: Vec<Server> = (0..2).map(|_| start()).collect();
    let second = scratch.path().join("mcp-2.prom");
    wait_until("both have written", || path.exists() && second.exists());
    for server in &servers {
        server.run("web1", "uptime");
        server.run("web1", "reboot");
    }
    let counted = |text: &str| text.matches("verdict=\"denied\"} 1\n").count();
    wait_until("both have counted", || {
        [&path, &second].map(|path| counted(&fs::read_to_string(path).unwrap())) == [1, 1]
    });
    let linted = Command::new(tool("promtool"))
        .args(["check", "metrics"])
        .stdin(File::open(&path).unwrap())
        .output()
        .unwrap();
    assert!(
        linted.status.success() && linted.stderr.is_empty(),
        "{linted:?}"
    );
    let answer = scraped(scratch.path().to_str().unwrap());
    assert!(
        answer.contains("node_textfile_scrape_error 0\n"),
        "{answer}"
    );
    for name in ["mcp", "mcp-2"] {
        let line = format!("mcp_ssh_decisions_total{{server=\"{name}\",verdict=\"denied\"}} 1\n");
        assert!(answer.contains(&line), "{line}{answer}");
    }
    // A name that is free again is taken again.
    for server in servers {
        server.finish();
    }
    let server = start();
    let began = |text: String| text.contains("verdict=\"denied\"} 0\n");
    wait_until("the first name is used", || {
        began(fs::read_to_string(&path).unwrap())
    });
    assert_eq!(counted(&fs::read_to_string(&second).unwrap()), 1);
    assert!(!scratch.path().join("mcp-3.prom").exists());
    server.finish();
}

#[test]
fn promtool_takes_the_alert_rules_and_each_fires_when_it_should() {
    let scratch = Scratch::new("rules");
    let rules = root().join("deploy/prometheus/rules.yaml");
    let text = fs::read_to_string(&rules).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    // Each rises at the third minute; the server writes until the twelfth.
    let series = [
        ("mcp_ssh_written_time_seconds", "0+60x12 720x20"),
        ("mcp_ssh_audit_failing", "0 0 0 1x30"),
        ("mcp_ssh_audit_space_low", "0 0 0 1x30"),
        ("mcp_ssh_security_events_total", "4 4 4 5x30"),
        ("mcp_ssh_decisions_total{verdict=\"denied\"}", "0 0 0 40x30"),
        ("mcp_ssh_policy_rejected", "0 0 0 1x30"),
        ("mcp_ssh_commands_waiting", "0 0 0 30x30"),
    ];
    let mut test = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series:\n",
        rules.display()
    );
    for (series, values) in series {
        test.push_str(&format!("  - {{series: '{series}', values: '{values}'}}\n"));
    }
    test.push_str("  promql_expr_test:\n");
    for (at, firing) in [("2m", 0), ("10m", names.len()), ("30m", 0)] {
        let samples: String = names
            .iter()
            .take(firing)
            .map(|name| format!("{{labels: '{{alertname=\"{name}\"}}', value: 1}}, "))
            .collect();
        test.push_str(&format!(
            "  - {{expr: 'count by (alertname) (ALERTS{{alertstate=\"firing\"}})', eval_time: {at}, \
             exp_samples: [{samples}]}}\n"
        ));
    }
    let path = scratch.path().join("test.yaml");
    fs::write(&path, &test).unwrap();
    let checked = Command::new(tool("promtool"))
        .args(["test", "rules", path.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{test}\n{checked:?}");
}

#[test]
fn mtail_counts_by_host_over_the_log_of_a_server() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime", "false", "sleep *"]);
    let scratch = Scratch::new("mtail");
    let log = scratch.path().join("server.log");
    let args = ["--log-file", log.to_str().unwrap()];
    let server = Launch::default().args(&args).start(&fleet.setup);
    server.run("web1", "uptime");
    server.run("web1", "false");
    server.run("web1", "reboot");
    server.tool(
        "ssh_run",
        serde_json::json!({"alias": "web1", "command": "sleep 60", "timeout": 1}),
    );
    server.finish();
    let counted = Command::new(tool("mtail"))
        .arg("--progs")
        .arg(root().join("deploy/logs/mcp-ssh.mtail"))
        .arg("--logs")
        .arg(&log)
        .args(["--one_shot", "--one_shot_format=prometheus", "--port=0"])
        .output()
        .unwrap();
    let text = String::from_utf8(counted.stdout).unwrap();
    for line in [
        "mcp_ssh_host_denied_total{alias=\"web1\",code=\"deny-substring\"",
        "mcp_ssh_host_ended_total{alias=\"web1\",outcome=\"succeeded\"",
        "mcp_ssh_host_ended_total{alias=\"web1\",outcome=\"failed\"",
        "mcp_ssh_host_ended_total{alias=\"web1\",outcome=\"timeout\"",
    ] {
        let found = text.lines().find(|found| found.starts_with(line));
        assert!(
            found.is_some_and(|found| found.ends_with(" 1")),
            "{line}\n{text}"
        );
    }
}
