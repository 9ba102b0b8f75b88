//! `check` says everything that is wrong, to people and to scripts, with 0, 1 or 2;
//! `init` writes a set that `check` accepts, and never over something.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Output;

use crate::common::{Fleet, Scratch, Setup, run, run_cli};
use serde_json::Value;

const FILES: [&str; 3] = ["servers.yml", "credentials.yml", "policy.yml"];

#[test]
fn what_init_writes_is_accepted_and_is_the_folder_of_the_repository() {
    let setup = Setup::new();
    let scratch = Scratch::new("init");
    let dir = scratch.path().join("new/config");
    let shown = dir.to_str().unwrap();
    let output = run_cli(&setup, &["init", shown]);
    assert_eq!(code(&output), 0, "{output:?}");
    let text = stdout(&output);
    for (file, expected) in FILES.iter().zip([
        include_str!("../../../config/servers.yml"),
        include_str!("../../../config/credentials.yml"),
        include_str!("../../../config/policy.yml"),
    ]) {
        assert!(text.contains(dir.join(file).to_str().unwrap()), "{text}");
        assert_eq!(fs::read_to_string(dir.join(file)).unwrap(), expected);
        assert!(expected.starts_with("# "), "{file} begins with what it is");
    }
    assert!(text.contains("mcp-ssh-orchestrator check"), "{text}");

    let output = run_cli(&setup, &["check", "--json", "--config-dir", shown]);
    assert_eq!(code(&output), 0, "{output:?}");
    let report = json(&output);
    assert_eq!(report["problems"], serde_json::json!([]));
    // A starting set can't bring the key, or the hosts' keys.
    let kinds: Vec<&str> = report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["absent", "host_key_unknown"], "{report:#}");
}

#[test]
fn init_never_writes_over_something() {
    let setup = Setup::new();
    for (index, taken) in FILES.iter().enumerate() {
        let scratch = Scratch::new("init");
        let dir = scratch.path();
        if index == 1 {
            symlink("nowhere", dir.join(taken)).unwrap();
        } else {
            fs::write(dir.join(taken), "mine").unwrap();
        }
        let output = run_cli(&setup, &["init", dir.to_str().unwrap()]);
        assert_eq!(code(&output), 1, "{output:?}");
        let told = format!("{}{}", stdout(&output), stderr(&output));
        assert!(told.contains(dir.join(taken).to_str().unwrap()), "{told}");
        assert!(told.contains("nothing was written"), "{told}");
        let there: Vec<_> = fs::read_dir(dir).unwrap().collect();
        assert_eq!(there.len(), 1, "{there:?}");
        if index != 1 {
            assert_eq!(fs::read_to_string(dir.join(taken)).unwrap(), "mine");
        }
    }
    let scratch = Scratch::new("init");
    fs::write(scratch.path().join("file"), "").unwrap();
    let beneath_a_file = scratch.path().join("file/config");
    let output = run_cli(&setup, &["init", beneath_a_file.to_str().unwrap()]);
    assert_eq!(code(&output), 1, "{output:?}");
    assert_eq!(code(&run_cli(&setup, &["init"])), 2);
}

/// What this machine adds to a report: a server started by root that has to stay root,
/// since the harness's files are root's alone.
fn own_warnings() -> &'static str {
    if nix::unistd::geteuid().is_root() {
        "1 warning"
    } else {
        "0 warnings"
    }
}

/// What a login by a key would come upon is told before it is tried.
#[test]
fn keys_that_cannot_be_used_are_told() {
    let fleet = Fleet::of(&["web1"]);
    let keys = &fleet.setup.keys;
    let locked = keys.join("locked");
    let locked = locked.to_str().unwrap();
    let form = ["-q", "-t", "ed25519", "-N", "a passphrase", "-f", locked];
    run("ssh-keygen", &form);
    let warned = |key: &str, more: &str| {
        let entry = format!("{{name: fleet, username: u, key_path: {key}{more}}}");
        fleet
            .setup
            .write("credentials.yml", &format!("entries: [{entry}]\n"));
        let report = json(&run_cli(&fleet.setup, &["check", "--json"]));
        let warnings = report["warnings"].as_array().unwrap().clone();
        let about = |warning: &&Value| warning["file"] == "credentials.yml";
        let texts = warnings
            .iter()
            .filter(about)
            .map(|warning| warning["text"].clone());
        texts
            .map(|text| text.to_string())
            .collect::<Vec<_>>()
            .join("\n")
    };
    fleet.setup.secret("word", "a passphrase");
    assert_eq!(warned("id_fleet", ""), "");
    assert_eq!(warned("locked", ", key_passphrase_secret: word"), "");
    let told = warned("locked", "");
    assert!(told.contains("key_passphrase_secret"), "{told}");
    let told = warned("locked.pub", "");
    assert!(told.contains("not the .pub"), "{told}");
}

#[test]
fn a_good_configuration_of_known_hosts_has_no_finding() {
    let fleet = Fleet::of(&["web1", "web2"]);
    fleet.allow(&["uptime"]);
    let output = run_cli(&fleet.setup, &["check"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let text = stdout(&output);
    assert!(text.contains("2 hosts"), "{text}");
    assert!(text.contains("1 rule"), "{text}");
    let end = format!("0 errors, {}: the server would start.\n", own_warnings());
    assert!(text.ends_with(&end), "{text}");
    assert!(
        !text.contains('\x1b'),
        "colours without a terminal: {text:?}"
    );

    let report = json(&run_cli(&fleet.setup, &["check", "--json"]));
    assert_eq!(report["ok"], true);
    assert_eq!(report["configuration"]["hosts"], 2);
    assert_eq!(report["configuration"]["rules"], 1);
    assert!(report["configuration"]["deny_substrings"].as_u64().unwrap() > 10);
    assert_eq!(
        report["configuration"]["aliases"],
        serde_json::json!(["web1", "web2"])
    );
    assert_eq!(report["configuration"]["hash"].as_str().unwrap().len(), 64);

    fs::write(fleet.setup.keys.join("known_hosts"), "").unwrap();
    let report = json(&run_cli(&fleet.setup, &["check", "--json"]));
    assert_eq!(report["ok"], true);
    let unknown: Vec<&str> = report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|warning| warning["kind"] == "host_key_unknown")
        .map(|warning| warning["key"].as_str().unwrap())
        .collect();
    assert_eq!(unknown, ["web1", "web2"]);
}

#[test]
fn every_error_is_shown_with_its_line_and_none_with_a_secret() {
    let setup = Setup::new();
    setup.write(
        "servers.yml",
        "hosts:\n  - alias: web1\n    host: 10.0.0.1\n    prot: 22\n    credentials: opps\n",
    );
    setup.write(
        "credentials.yml",
        "entries:\n  - {name: ops, username: u, password: [correct-horse]}\n",
    );
    setup.write(
        "policy.yml",
        "rules:\n  - action: allow\n    commands: uptime\n",
    );
    let output = run_cli(&setup, &["check"]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    for part in [
        "error: hosts[0] (servers.yml:4:5)\n    4 |     prot: 22\n      |     ^\n    found the unknown key 'prot'\n    did you mean 'port'?\n",
        "error: hosts[0].credentials (servers.yml:5:18)\n    5 |     credentials: opps\n      |                  ^\n",
        "did you mean 'ops'?",
        "error: entries[0].password (credentials.yml:2:40)\n    found a list\n",
        "error: rules[0].commands (policy.yml:3:15)\n    3 |     commands: uptime\n",
        "4 errors, 0 warnings: the server would not start.\n",
    ] {
        assert!(text.contains(part), "{part:?} isn't in:\n{text}");
    }
    let machine = run_cli(&setup, &["check", "--json"]);
    assert_eq!(code(&machine), 1);
    let report = json(&machine);
    assert_eq!(report["ok"], false);
    assert_eq!(report["configuration"], Value::Null);
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 4);
    for problem in problems {
        for key in [
            "file", "line", "column", "key", "fault", "found", "accepted",
        ] {
            assert!(!problem[key].is_null(), "{key}: {problem}");
        }
    }
    assert_eq!(problems[0]["nearest"], "port");

    // A broken line of credentials.yml isn't quoted either.
    setup.write(
        "credentials.yml",
        "entries:\n  - {name: ops, password: 'correct-horse\n",
    );
    let broken = run_cli(&setup, &["check"]);
    assert_eq!(code(&broken), 1);
    assert!(stdout(&broken).contains("credentials.yml:"), "{broken:?}");
    for output in [&output, &machine, &broken] {
        let all = format!("{}{}", stdout(output), stderr(output));
        assert!(!all.contains("correct-horse"), "{all}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let setup = Setup::new();
    let output = run_cli(&setup, &["check"]);
    assert_eq!(code(&output), 1);
    for file in FILES {
        assert!(stdout(&output).contains(file), "{}", stdout(&output));
    }
    let none = setup.config.join("none");
    let output = run_cli(&setup, &["check", "--config-dir", none.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    assert!(
        text.contains("config directory") && text.contains("none"),
        "{text}"
    );
    assert!(text.contains("1 error, "), "{text}");
}

#[test]
fn other_words_are_usage() {
    let setup = Setup::new();
    for args in [
        &["check", "--jsno"][..],
        &["chek"],
        &["check", "extra"],
        &["init", "a", "b"],
    ] {
        let output = run_cli(&setup, args);
        assert_eq!(code(&output), 2, "{args:?} {output:?}");
    }
    let output = run_cli(&setup, &["check", "--jsno"]);
    assert!(stderr(&output).contains("--json"), "{output:?}");
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// What an editor on Windows adds is said before a host refuses it.
#[test]
fn keys_and_secrets_that_are_not_what_they_look_like_are_warned_of() {
    let fleet = Fleet::of(&["web1"]);
    let key = fs::read_to_string(fleet.setup.keys.join("id_fleet")).unwrap();
    let blank = key.replacen("-----\n", "----- \n", 1);
    let dsa = "-----BEGIN DSA PRIVATE KEY-----\nAA==\n-----END DSA PRIVATE KEY-----\n";
    fleet.setup.secret("marked", "\u{feff}secret-of-web1");
    let credentials = fleet.credentials_yaml();
    for (text, says) in [
        (format!("\u{feff}{key}"), "byte order mark"),
        (blank, "ends in blanks"),
        (dsa.to_owned(), "DSA key"),
        ("ssh-ed25519 AAAA me@here\n".to_owned(), "not the .pub"),
    ] {
        fleet.setup.key("id_odd", &text);
        let odd = credentials.replace("id_fleet", "id_odd");
        fleet.setup.write("credentials.yml", &odd);
        let page = stdout(&run_cli(&fleet.setup, &["check"]));
        assert!(page.contains("the key id_odd can't be used"), "{page}");
        assert!(page.contains(says), "{says}: {page}");
    }
    for line in ["password_secret", "key_passphrase_secret"] {
        let marked = format!("{credentials}    {line}: marked\n");
        fleet.setup.write("credentials.yml", &marked);
        let page = stdout(&run_cli(&fleet.setup, &["check"]));
        assert!(page.contains("begins with a byte order mark"), "{page}");
        assert!(!page.contains("secret-of-web1"), "{page}");
    }
}

/// The sandbox hides multicast DNS: said before a login waits for it.
#[test]
fn a_name_of_multicast_dns_is_warned_of() {
    let fleet = Fleet::of(&["web1"]);
    let servers = fs::read_to_string(fleet.setup.config.join("servers.yml")).unwrap();
    let address = fleet.host("web1").address.to_string();
    fleet
        .setup
        .write("servers.yml", &servers.replace(&address, "printer.local"));
    let said = run_cli(&fleet.setup, &["check"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(
        said.contains("printer.local is a name of multicast DNS"),
        "{said}"
    );
    assert!(said.contains("the server would start"), "{said}");
}
