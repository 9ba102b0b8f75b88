//! Promise: the command line does what `--help` says, names what it did not understand,
//! and exits with 0, 1 or 2.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Output, Stdio};

use crate::common::{Fleet, HostSpec, Setup, run_cli};
use serde_json::Value;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    let (out, err) = (out(output), err(output));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
}

#[test]
fn help_goes_to_stdout_and_names_everything() {
    let setup = Setup::new();
    for args in [
        &["--help"][..],
        &["-h"],
        &["serve", "--help"],
        &["nonsense", "-h"],
    ] {
        let output = run_cli(&setup, args);
        assert_code(&output, 0);
        assert!(err(&output).is_empty());
        for word in [
            "serve",
            "check",
            "init",
            "plan",
            "policy",
            "trust",
            "audit",
            "--sandbox",
        ] {
            assert!(out(&output).contains(word), "{word}");
        }
    }
}

#[test]
fn version_names_the_libraries_that_are_linked() {
    let output = run_cli(&Setup::new(), &["--version"]);
    assert_code(&output, 0);
    let text = out(&output);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        concat!("mcp-ssh-orchestrator ", env!("CARGO_PKG_VERSION"))
    );
    for (line, name) in lines[1..]
        .iter()
        .zip(["libssh2 1.", "OpenSSL 3.", "zlib 1."])
    {
        assert!(line.starts_with(name), "{text}");
    }
    assert!(lines[4].starts_with("build: "), "{text}");
    assert_eq!(lines.len(), 5);
}

#[test]
fn what_is_not_understood_is_a_usage_error() {
    let setup = Setup::new();
    let cases: [(&[&str], &str); 11] = [
        (&["audit", "verfy", "x"], "did you mean 'verify'"),
        (&["policy"], "one of: explain, sets, test, tables"),
        (&["check", "--jsn"], "did you mean --json"),
        (&["check", "extra"], "takes no operands"),
        (&["init"], "takes DIR"),
        (&["plan", "web1"], "takes ALIAS COMMAND"),
        (&["plan", "web1", "ls", "/"], "quote the command"),
        (&["audit", "verify"], "takes FILE..."),
        (&["audit", "show", "f", "--since", "soon"], "none of"),
        (&["trust", "web1", "--denied"], "does not belong"),
        (&["check", "--sandbox", "loose"], "required, degraded, off"),
    ];
    for (args, text) in cases {
        let output = run_cli(&setup, args);
        assert_code(&output, 2);
        assert!(out(&output).is_empty(), "{args:?}");
        assert!(err(&output).contains(text), "{args:?}: {}", err(&output));
    }
    // Without a known word the server is meant, whose client is told, too.
    let output = run_cli(&setup, &["chek"]);
    assert_code(&output, 2);
    let told: Value = serde_json::from_str(&out(&output)).unwrap();
    for text in [err(&output), told["error"]["message"].to_string()] {
        assert!(text.contains("did you mean 'check'"), "{text}");
    }
}

/// A server's stderr is a log of JSON lines, also when it was started with a wrong flag.
#[test]
fn a_server_complains_in_json() {
    for args in [&["--snadbox=off"][..], &["serve", "now"], &["--user=root"]] {
        let output = run_cli(&Setup::new(), args);
        assert_code(&output, 2);
        let record: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(record["msg"], "usage_error", "{record}");
    }
    // Whoever asks for something else reads a sentence.
    for args in [&["check", "--config=x"][..], &["--keys=x", "trust", "web1"]] {
        let output = run_cli(&Setup::new(), args);
        assert_code(&output, 2);
        assert!(err(&output).starts_with("unknown flag"), "{}", err(&output));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_problem() {
    let setup = Setup::new();
    let mut child = setup.command();
    let mut child = child
        .arg("--help")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 0);
    assert!(output.stderr.is_empty());
}

#[test]
fn init_writes_what_check_accepts_and_overwrites_nothing() {
    let setup = Setup::new();
    let dir = setup.config.join("new");
    let dir = dir.to_str().unwrap();
    assert_code(&run_cli(&setup, &["init", dir]), 0);
    let output = run_cli(&setup, &["check", "--config-dir", dir]);
    assert_code(&output, 0);
    let before = fs::read(setup.config.join("new/policy.yml")).unwrap();
    let output = run_cli(&setup, &["init", dir]);
    assert_code(&output, 1);
    assert!(err(&output).contains("policy.yml"), "{}", err(&output));
    assert_eq!(
        fs::read(setup.config.join("new/policy.yml")).unwrap(),
        before
    );
}

#[test]
fn check_exits_with_its_verdict_and_says_what_the_sandbox_came_to() {
    let fleet = Fleet::of(&["web1"]);
    let output = run_cli(&fleet.setup, &["check"]);
    assert_code(&output, 0);
    for word in [
        "landlock: ok",
        "seccomp: ok",
        "user: ",
        "the server would start",
    ] {
        assert!(out(&output).contains(word), "{}", out(&output));
    }
    let json = run_cli(&fleet.setup, &["check", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], true);
    let names: Vec<_> = json["machine"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fact| &fact["name"])
        .collect();
    assert_eq!(names, ["user", "landlock", "seccomp"]);
    assert_eq!(fleet.host("web1").logins(), 0);

    fleet.setup.write("servers.yml", "hosts: 3\n");
    let output = run_cli(&fleet.setup, &["check"]);
    assert_code(&output, 1);
    assert!(out(&output).contains("servers.yml:1"), "{}", out(&output));
}

#[test]
fn check_looks_at_the_audit_file_too() {
    let fleet = Fleet::of(&["web1"]);
    for (path, word) in [
        ("/nowhere/audit.jsonl", "No such"),
        ("/", "audit"),
        ("/etc", "not a regular file"),
    ] {
        let output = run_cli(&fleet.setup, &["check", "--audit-file", path]);
        assert_code(&output, 1);
        assert!(out(&output).contains(word), "{}", out(&output));
    }
    let path = fleet.setup.config.join("audit.jsonl");
    let output = run_cli(
        &fleet.setup,
        &["check", "--audit-file", path.to_str().unwrap()],
    );
    assert_code(&output, 0);
    assert!(!path.exists(), "check wrote something");
}

/// A misspelled variable would otherwise be a setting that is silently not made.
#[test]
fn a_variable_that_means_nothing_is_told() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.env("MCP_SSH_SANBOX", "off");
    let told = "MCP_SSH_SANBOX means nothing to this server; did you mean MCP_SSH_SANDBOX?";
    let output = run_cli(&fleet.setup, &["check"]);
    assert_code(&output, 0);
    assert!(out(&output).contains(told), "{}", out(&output));
    let output = run_cli(&fleet.setup, &["serve"]);
    assert!(err(&output).contains(told), "{}", err(&output));
}

#[test]
fn check_without_sandbox_says_so() {
    let fleet = Fleet::of(&["web1"]);
    let output = run_cli(&fleet.setup, &["check", "--sandbox=off"]);
    assert_code(&output, 0);
    assert!(
        out(&output).contains("the sandbox is off"),
        "{}",
        out(&output)
    );
}

#[test]
fn trust_adds_a_key_that_the_server_can_read() {
    let fleet = Fleet::with(vec![HostSpec::new("web1")]);
    let file = fleet.setup.keys.join("known_hosts");
    let known = fs::read_to_string(&file).unwrap();
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let before = fs::metadata(&file).unwrap();

    let output = run_cli(&fleet.setup, &["trust", "web1"]);
    assert_code(&output, 1);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "",
        "added without consent"
    );
    assert!(
        err(&output).contains("nothing was added"),
        "{}",
        err(&output)
    );
    let shown = out(&output);
    let fingerprint = shown
        .split_whitespace()
        .find(|word| word.starts_with("SHA256:"))
        .unwrap();

    let output = run_cli(
        &fleet.setup,
        &["trust", "web1", "--fingerprint", fingerprint],
    );
    assert_code(&output, 0);
    assert_eq!(err(&output), format!("added to {}\n", file.display()));
    assert_eq!(fs::read_to_string(&file).unwrap().trim(), known.trim());
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.uid(), after.mode()), (before.uid(), before.mode()));

    for (args, code) in [(&["trust", "web1"][..], 0), (&["trust", "web9"], 1)] {
        assert_code(&run_cli(&fleet.setup, args), code);
    }
}

#[test]
fn audit_commands_read_what_they_are_given() {
    let setup = Setup::new();
    let missing = run_cli(&setup, &["audit", "verify", "/nowhere"]);
    assert_code(&missing, 1);
    assert!(err(&missing).contains("/nowhere") || out(&missing).contains("/nowhere"));
    for file in ["/nowhere", "/etc"] {
        let shown = run_cli(&setup, &["audit", "show", file]);
        assert_code(&shown, 1);
        assert!(err(&shown).contains(file), "{}", err(&shown));
    }
}
