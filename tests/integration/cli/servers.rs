//! Promise: an operator's `reload` and `status` find the running servers of a user, and
//! say what each did; they find no server that is gone, and signal no other process.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Output;

use crate::common::{Fleet, Launch, Scratch, Server, run_cli, wait_until};
use serde_json::json;

/// A runtime directory of this test alone, which the server's user may use.
fn runtime(fleet: &Fleet) -> Scratch {
    let scratch = Scratch::new("runtime");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    fleet
        .setup
        .env("MCP_SSH_RUNTIME_DIR", scratch.path().to_str().unwrap());
    scratch
}

fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[track_caller]
fn ask(fleet: &Fleet, word: &str, code: i32) -> String {
    let output = run_cli(&fleet.setup, &[word]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn allowed(server: &Server, command: &str) -> bool {
    let plan = server.tool("ssh_plan", json!({"alias": "web1", "command": command}));
    plan["allowed"].as_bool().unwrap()
}

fn files(runtime: &Scratch) -> Vec<PathBuf> {
    let directories = fs::read_dir(runtime.path()).unwrap();
    let directories = directories.map(|entry| entry.unwrap().path());
    let files = directories.flat_map(|directory| fs::read_dir(directory).unwrap());
    files.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_reload_says_what_each_server_did() {
    let fleet = Fleet::of(&["web1"]);
    let runtime = runtime(&fleet);
    fleet.allow(&["uptime"]);
    let (one, two) = (Server::start(&fleet.setup), Server::start(&fleet.setup));
    fleet.allow(&["uptime", "hostname"]);
    let text = ask(&fleet, "reload", 0);
    for server in [&one, &two] {
        let line = text
            .lines()
            .find(|line| line.contains(&format!("server {} ", server.pid)))
            .unwrap_or_else(|| panic!("{text}"));
        assert!(line.contains("reloaded; 1 hosts, configuration "), "{text}");
        server.wait_record("the reload in the log", |record| {
            record["type"] == "reload" && record["trigger"] == "signal"
        });
        assert!(allowed(server, "hostname"));
    }
    // The files tell nobody else anything.
    for file in files(&runtime) {
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let directory = fs::metadata(file.parent().unwrap()).unwrap();
        assert_eq!(directory.mode() & 0o777, 0o700);
    }
    one.finish();
    two.finish();
}

#[test]
fn a_change_that_does_not_load_is_told_and_ends_with_one() {
    let fleet = Fleet::of(&["web1"]);
    let _runtime = runtime(&fleet);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    let good = fs::read_to_string(fleet.setup.config.join("policy.yml")).unwrap();
    fleet
        .setup
        .write("policy.yml", "rules:\n  - {action: alow, commands: [id]}\n");
    let text = ask(&fleet, "reload", 1);
    assert!(text.contains("REFUSED"), "{text}");
    assert!(
        text.contains("policy.yml:2") && text.contains("alow"),
        "{text}"
    );
    // A server that goes on with what it has is well enough, and says so.
    let text = ask(&fleet, "status", 0);
    assert!(text.contains("do not load"), "{text}");
    assert!(allowed(&server, "uptime"));
    fleet.setup.write("policy.yml", &good);
    ask(&fleet, "reload", 0);
    let text = ask(&fleet, "status", 0);
    assert!(text.contains(": well; 1 hosts"), "{text}");
    server.finish();
}

#[test]
fn a_server_that_is_gone_is_not_found_and_its_file_goes() {
    let fleet = Fleet::of(&["web1"]);
    let runtime = runtime(&fleet);
    fleet.allow(&["uptime"]);
    assert!(ask(&fleet, "reload", 1).contains("no server"));
    let server = Server::start(&fleet.setup);
    server.signal(nix::sys::signal::Signal::SIGKILL);
    server.finish();
    let left = files(&runtime);
    assert_eq!(left.len(), 1);
    for word in ["reload", "status"] {
        assert!(ask(&fleet, word, 1).contains("no server"));
    }
    let server = Server::start(&fleet.setup);
    wait_until("the old file to go", || !left[0].exists());
    ask(&fleet, "status", 0);
    server.finish();
}

/// A file that names another process does not make it one of ours: nobody holds its lock.
#[test]
fn no_other_process_is_signalled() {
    let fleet = Fleet::of(&["web1"]);
    let runtime = runtime(&fleet);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    let own = files(&runtime).remove(0);
    // A SIGHUP would end it.
    let mut other = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let text = fs::read_to_string(&own).unwrap();
    let forged = text.replace(&server.pid.to_string(), &other.id().to_string());
    fs::write(own.with_file_name("1-1.server"), forged).unwrap();
    let text = ask(&fleet, "reload", 0);
    assert!(!text.contains(&format!("server {} ", other.id())), "{text}");
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
    server.finish();
}

#[test]
fn a_directory_that_is_open_to_others_is_not_used() {
    let fleet = Fleet::of(&["web1"]);
    let runtime = runtime(&fleet);
    fleet.allow(&["uptime"]);
    Server::start(&fleet.setup).finish();
    let file = files(&runtime).remove(0);
    let directory = file.parent().unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
    let server = Launch::default().bare().start(&fleet.setup);
    let record = server.wait_record("why there is no server", |record| {
        record["msg"] == "start_failed"
    });
    let error = record["error"].as_str().unwrap();
    assert!(
        error.contains("--runtime-dir") && error.contains("chmod 700"),
        "{error}"
    );
    assert!(ask(&fleet, "status", 1).contains("chmod 700"));
}

/// A full disk is no reason to end a server, and one to say so.
#[test]
fn status_tells_that_records_cannot_be_written() {
    let fleet = Fleet::of(&["web1"]);
    let _runtime = runtime(&fleet);
    fleet.allow(&["uptime"]);
    let audit = Scratch::new("audit");
    let file = audit.path().join("audit.jsonl");
    let server = Launch::default()
        .args(&["--audit-file", file.to_str().unwrap()])
        .start(&fleet.setup);
    assert_eq!(server.run("web1", "uptime")["exit_code"], 0);
    ask(&fleet, "status", 0);
    // Somebody else's bytes: nothing is appended behind them.
    let mut foreign = fs::File::options().append(true).open(&file).unwrap();
    std::io::Write::write_all(&mut foreign, b"x\n").unwrap();
    server.call("ssh_run", json!({"alias": "web1", "command": "uptime"}));
    let text = ask(&fleet, "status", 1);
    assert!(
        text.contains("IN TROUBLE") && text.contains("cannot be written"),
        "{text}"
    );
    server.finish();
}
