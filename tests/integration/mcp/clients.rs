//! Clients that others wrote get along with the server: the official Python and TypeScript
//! ones, in each way they begin a session, list tools, run a command on a real host, hear
//! of its progress, take it back, approve one in time and one too late, follow a job and a
//! task to their end, and leave while a command runs. `scripts/clients` has more of them, and
//! older ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{Fleet, Scratch, tool};
use serde_json::{Value, json};

#[test]
fn the_python_client_in_its_own_choice_of_era() {
    let report = python("auto");
    assert_eq!(report["protocol"], "2026-07-28");
    assert_eq!(report["task_seen"], json!(["working", "completed"]));
}

#[test]
fn the_python_client_with_a_handshake() {
    let report = python("legacy");
    assert_eq!(report["protocol"], "2025-11-25");
    assert_eq!(report["task_seen"], json!([]));
}

#[test]
fn the_python_client_in_the_modern_revision() {
    let report = python("2026-07-28");
    assert_eq!(report["protocol"], "2026-07-28");
    assert_eq!(report["task_seen"], json!(["working", "completed"]));
}

#[test]
fn the_typescript_client_with_a_handshake() {
    assert_eq!(typescript("legacy")["protocol"], "2025-11-25");
}

#[test]
fn the_typescript_client_in_its_own_choice_of_era() {
    assert_eq!(typescript("auto")["protocol"], "2026-07-28");
}

#[test]
fn the_typescript_client_in_the_modern_revision() {
    assert_eq!(typescript("2026-07-28")["protocol"], "2026-07-28");
}

#[test]
fn the_python_client_leaves_in_mid_run() {
    let mut client = Command::new(installed("python/bin/python"));
    client.arg(script("leave.py")).arg("client");
    leave(client);
}

#[test]
fn the_typescript_client_leaves_in_mid_run() {
    let mut client = Command::new(tool("node"));
    client
        .arg(script("leave.mjs"))
        .arg(installed("node"))
        .arg("client-js");
    leave(client);
}

/// A client that goes while a command runs ends well, and so does all that it left.
fn leave(mut client: Command) {
    let fleet = Fleet::of(&["one"]);
    fleet.allow(&["echo *", "sleep *"]);
    let dir = Scratch::new("leaving");
    let log = dir.path().join("server.log");
    std::fs::write(&log, "").unwrap();
    let output = client
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"))
        .arg(environment(&fleet))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{}\n{complaints}",
        output.status
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["tools"], &report["run"]["output"]),
        (&json!(17), &json!("hello"))
    );
    let log = std::fs::read_to_string(&log).unwrap();
    let records: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ended = |record: &&Value| record["type"] == "audit" && record["cancelled"] == true;
    assert_eq!(records.iter().filter(ended).count(), 1, "{log}");
    assert_eq!(records.last().unwrap()["type"], "server_stop", "{log}");
}

/// What a vendor's package cannot convert, its users cannot call.
#[test]
fn every_vendors_converter_takes_the_tools() {
    let interpreter = installed("python/bin/python");
    installed_beside("python/lib", "pydantic_ai");
    let fleet = Fleet::of(&["one"]);
    let output = Command::new(interpreter)
        .arg(script("convert.py"))
        .arg(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"))
        .arg(environment(&fleet))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let taken: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = [
        "google-genai",
        "openai",
        "openai-strict",
        "anthropic",
        "langchain",
        "pydantic-ai",
    ];
    for package in all {
        assert_eq!(taken[package], 17, "{taken}");
    }
}

fn python(mode: &str) -> Value {
    let interpreter = installed("python/bin/python");
    installed_beside("python/lib", "mcp");
    let mut client = Command::new(interpreter);
    client.arg(script("drive.py")).arg(mode);
    drive(client)
}

fn typescript(mode: &str) -> Value {
    for package in ["client", "ext-tasks"] {
        installed(&format!(
            "node/node_modules/@modelcontextprotocol/{package}/package.json"
        ));
    }
    let mut client = Command::new(tool("node"));
    client
        .arg(script("drive.mjs"))
        .arg(installed("node"))
        .arg(mode);
    let report = drive(client);
    assert_eq!(report["task_seen"], json!(["task", "completed"]));
    report
}

/// Lets a client drive the server; asserts what holds of every client, and returns its report.
fn drive(mut client: Command) -> Value {
    let fleet = Fleet::of(&["one"]);
    let policy = crate::common::policy_allowing(&["echo *", "sleep *"]).replace(
        "max_seconds: 30",
        "max_seconds: 30\n  task_progress_interval: 1",
    );
    let ask = "  - action: ask\n    aliases: [\"*\"]\n    commands:\n      - \"seq *\"\n";
    fleet.setup.write("policy.yml", &(policy + ask));
    let dir = Scratch::new("client");
    let log = dir.path().join("server.log");
    std::fs::write(&log, "").unwrap();
    let output = client
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"))
        .arg(environment(&fleet))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, complaints, log) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        std::fs::read_to_string(&log).unwrap(),
    );
    assert!(
        output.status.success(),
        "{}\n{said}\n{complaints}\nthe server's log:\n{log}",
        output.status
    );
    let report: Value =
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    check(&report);
    check_log(&log);
    report
}

fn check(report: &Value) {
    assert_eq!(report["tools"].as_array().unwrap().len(), 17, "{report}");
    assert_eq!(
        (&report["run"]["output"], &report["run"]["exit_code"]),
        (&json!("hello"), &json!(0))
    );
    assert_eq!(report["slow"]["exit_code"], 0, "{report}");
    let progress = report["progress"].as_array().unwrap();
    let steps: Vec<f64> = progress
        .iter()
        .map(|step| step["progress"].as_f64().unwrap())
        .collect();
    assert!(steps.len() >= 2, "{report}");
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
    assert!(progress.iter().all(|step| step["total"].is_null()));
    assert_eq!(report["gave_up"], true, "{report}");
    assert_eq!(report["cancelled"]["exit_code"], -1, "{report}");
    let asked = report["asked"].as_array().unwrap();
    assert_eq!(asked.len(), 2, "{report}");
    assert!(asked[0].as_str().unwrap().contains("'seq' '3'"), "{report}");
    assert_eq!(report["approved"]["output"], "1\n2\n3", "{report}");
    assert!(asked[1].as_str().unwrap().contains("'seq' '4'"), "{report}");
    assert_eq!(report["late"]["code"], "approval:timeout", "{report}");
    assert_eq!(report["job_status"]["status"], "completed", "{report}");
    assert_eq!(report["job"]["output"], "job", "{report}");
    assert_eq!(report["task"]["exit_code"], 0, "{report}");
}

fn check_log(log: &str) {
    let records: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let of = |kind: &str| {
        records
            .iter()
            .filter(|record| record["type"] == kind)
            .collect::<Vec<_>>()
    };
    let approvals = of("approval");
    assert_eq!(approvals.len(), 2, "{log}");
    assert_eq!(approvals[0]["outcome"], "accepted");
    // Noticed by who waits, or when the answer comes.
    let late = &approvals[1]["outcome"];
    assert!(late == "timeout" || late == "expired", "{late}");
    let last = of("policy_decision").pop().unwrap();
    assert_eq!(
        (&last["hash"], &last["allowed"]),
        (&approvals[1]["hash"], &json!(false))
    );
    let cancelled = of("audit")
        .iter()
        .filter(|record| record["cancelled"] == true)
        .count();
    assert_eq!(cancelled, 1, "{log}");
    assert!(of("error").is_empty(), "{log}");
}

/// The environment of the server as a client's configuration gives it.
pub(crate) fn environment(fleet: &Fleet) -> String {
    let setup = fleet.setup.command();
    let variables: serde_json::Map<String, Value> = setup
        .get_envs()
        .filter_map(|(name, value)| {
            let value = value?.to_str().unwrap();
            Some((name.to_str().unwrap().to_owned(), json!(value)))
        })
        .collect();
    Value::Object(variables).to_string()
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/clients")
        .join(name)
}

/// A path among the installed clients.
pub(crate) fn installed(path: &str) -> PathBuf {
    let full = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/clients")
        .join(path);
    assert!(full.exists(), "{} is missing; {HOW}", full.display());
    full
}

/// A Python package, in whatever version's directory it was installed.
pub(crate) fn installed_beside(libraries: &str, package: &str) {
    let found = std::fs::read_dir(installed(libraries))
        .unwrap()
        .flatten()
        .any(|version| version.path().join("site-packages").join(package).is_dir());
    assert!(found, "the Python package {package} is missing; {HOW}");
}

const HOW: &str = "run scripts/test, or install the clients as its install_clients does: \
    python3 -m venv target/clients/python; \
    target/clients/python/bin/pip install -r tests/data/clients/requirements.txt; \
    mkdir -p target/clients/node; cp tests/data/clients/package.json target/clients/node/; \
    (cd target/clients/node && npm install)";
