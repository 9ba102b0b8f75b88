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
    for args in [&["--help"][..], &["-h"], &["help"], &["nonsense", "-h"]] {
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
fn each_subcommand_has_its_own_page() {
    let setup = Setup::new();
    for args in [&["plan", "--help"][..], &["help", "plan"], &["plan", "-h"]] {
        let output = run_cli(&setup, args);
        assert_code(&output, 0);
        let page = out(&output);
        assert!(
            page.starts_with("Usage: mcp-ssh-orchestrator plan"),
            "{page}"
        );
        assert!(page.contains("--json") && page.contains("df -h"), "{page}");
        assert!(!page.contains("--audit-file"), "{page}");
    }
    let output = run_cli(&setup, &["help", "policy"]);
    for word in ["policy sets", "policy test", "deny:no-rule db1 reboot"] {
        assert!(out(&output).contains(word), "{}", out(&output));
    }
    let output = run_cli(&setup, &["help", "chek"]);
    assert_code(&output, 2);
    assert!(
        err(&output).contains("did you mean 'check'"),
        "{}",
        err(&output)
    );
    let output = run_cli(&setup, &["version"]);
    assert_code(&output, 0);
    assert_eq!(out(&output), out(&run_cli(&setup, &["--version"])));
}

/// Scripts read the exit code: what looks like our option is the command's.
#[test]
fn a_plan_judges_all_words_of_the_command() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["df -h"]);
    let judged = |args: &[&str], code: i32| {
        let output = run_cli(&fleet.setup, &[&["plan"], args].concat());
        assert_code(&output, code);
        out(&output)
    };
    for args in [
        &["web1", "df", "-h"][..],
        &["web1", "df -h"],
        &["web1", "--", "df", "-h"],
    ] {
        let text = judged(args, 0);
        assert!(
            text.starts_with("allow") && text.contains("df -h"),
            "{text}"
        );
    }
    for args in [
        &["web1", "df", "--help"][..],
        &["web1", "df", "-h", "--version"],
    ] {
        assert!(judged(args, 1).starts_with("deny"));
    }
    let plan: Value = serde_json::from_str(&judged(&["--json", "web1", "df", "-h"], 0)).unwrap();
    assert_eq!(plan["command"], "df -h");
    let late = run_cli(&fleet.setup, &["plan", "web1", "df -h", "--json"]);
    assert_code(&late, 2);
    assert!(err(&late).contains("options come before"), "{}", err(&late));
}

#[test]
fn a_user_may_be_named_and_a_size_have_a_unit() {
    let fleet = Fleet::of(&["web1"]);
    let own = nix::unistd::geteuid();
    let name = nix::unistd::User::from_uid(own).unwrap().unwrap().name;
    let output = run_cli(
        &fleet.setup,
        &["check", "--user", &name, "--audit-rotate-bytes", "64 MiB"],
    );
    assert_code(&output, 0);
    assert!(
        out(&output).contains(&format!("uid {own}")),
        "{}",
        out(&output)
    );
    let output = run_cli(&fleet.setup, &["check", "--user", "nobody-has-this-name"]);
    assert_code(&output, 1);
    assert!(out(&output).contains("give its number"), "{}", out(&output));
}

/// A person who starts the server by hand is told what it is, and no client is.
#[test]
fn by_hand_on_a_terminal_there_is_a_hint() {
    let fleet = Fleet::of(&["web1"]);
    let under_terminal = |words: &str, term: &str| {
        let program = env!("CARGO_BIN_EXE_mcp-ssh-orchestrator");
        let output = std::process::Command::new("script")
            .args(["-qec", &format!("{program} {words}"), "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", term)
            .env("MCP_SSH_CONFIG_DIR", &fleet.setup.config)
            .env("MCP_SSH_KEYS_DIR", &fleet.setup.keys)
            .env("MCP_SSH_SECRETS_DIR", &fleet.setup.secrets)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("script: {error}; apt-get install bsdutils"));
        out(&output)
    };
    let text = under_terminal("serve", "xterm");
    assert!(text.contains("This is a server for MCP clients"), "{text}");
    assert!(under_terminal("check", "xterm").contains('\u{1b}'));
    assert!(!under_terminal("check", "dumb").contains('\u{1b}'));
    let output = run_cli(&fleet.setup, &["serve"]);
    assert!(
        !err(&output).contains("This is a server"),
        "{}",
        err(&output)
    );
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
        (&["policy"], "one of: explain, sets, suggest, test, tables"),
        (&["check", "--jsn"], "did you mean --json"),
        (&["check", "extra"], "takes no operands"),
        (&["init"], "takes DIR"),
        (&["plan", "web1"], "takes ALIAS COMMAND"),
        (&["trust"], "takes ALIAS..."),
        (&["audit", "verify"], "takes [FILE|DIR]..."),
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
    for args in [&["--snadbox=off"][..], &["serve", "now"], &["--user=1:2:3"]] {
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

    // The same line again ends as well as the first time.
    let again = ["trust", "web1", "--fingerprint", fingerprint];
    let output = run_cli(&fleet.setup, &again);
    assert_code(&output, 0);
    assert!(err(&output).contains("already"), "{}", err(&output));
    let other = ["trust", "web1", "--fingerprint", "SHA256:other"];
    assert_code(&run_cli(&fleet.setup, &other), 1);

    for (args, code) in [(&["trust", "web1"][..], 0), (&["trust", "web9"], 1)] {
        assert_code(&run_cli(&fleet.setup, args), code);
    }
}

#[test]
fn a_fleet_is_trusted_at_once_after_one_question() {
    let fleet = Fleet::with(vec![
        HostSpec::new("web1").tags(&["web"]),
        HostSpec::new("web2").tags(&["web"]),
        HostSpec::new("db1"),
    ]);
    let file = fleet.setup.keys.join("known_hosts");
    let known = fs::read_to_string(&file).unwrap();
    fs::write(&file, "").unwrap();
    let answered = |args: &[&str], answer: &str| {
        let mut child = fleet
            .setup
            .command()
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, answer.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    };
    let output = answered(&["trust", "--tag", "web"], "no\n");
    assert_code(&output, 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    assert!(
        out(&output).contains("Trust the 2 new ones?"),
        "{}",
        out(&output)
    );

    let output = answered(&["trust", "--tag", "web"], "yes\n");
    assert_code(&output, 0);
    let table = out(&output);
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("ALIAS") && lines[1].starts_with("web1"),
        "{table}"
    );
    assert!(
        lines[2].starts_with("web2") && lines[2].contains("SHA256:"),
        "{table}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);

    // What is on record is asked for no more; the rest is.
    let output = answered(&["trust", "--all"], "yes\n");
    assert_code(&output, 0);
    let table = out(&output);
    assert_eq!(table.matches("on record").count(), 2, "{table}");
    assert!(table.contains("Trust the 1 new ones?"), "{table}");
    let mut now: Vec<String> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let mut before: Vec<String> = known.lines().map(str::to_owned).collect();
    now.sort();
    before.sort();
    assert_eq!(now, before);
    // Nothing new: nobody is asked.
    assert_code(&answered(&["trust", "web1", "web2", "db1"], ""), 0);

    // One that cannot be had is named, and the others are added all the same.
    fs::write(&file, "").unwrap();
    fleet.host("web2").stop();
    let output = answered(&["trust", "--all"], "yes\n");
    assert_code(&output, 1);
    assert!(out(&output).contains("web2   FAILED"), "{}", out(&output));
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
    assert_code(
        &run_cli(&fleet.setup, &["trust", "--tag", "none-has-it"]),
        1,
    );
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
