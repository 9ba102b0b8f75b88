//! The record of the real server, whatever its client and its disk do: each command has
//! exactly one decision and, if it ran, exactly one audit record, on stderr and in the
//! audit file alike, and the file is one sound chain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{Fleet, HostSpec, Launch, Scratch, Server, record_types, run_cli, wait_until};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A directory that the server's user can write in, whoever that is.
fn place(scratch: &Scratch) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let directory = scratch.path().join("audit");
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    directory.join("audit.jsonl")
}

fn server(fleet: &Fleet, path: &Path, args: &[&str]) -> Server {
    let mut all = vec!["--audit-file", path.to_str().unwrap()];
    all.extend(args);
    Launch::default().args(&all).start(&fleet.setup)
}

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every file of a chain whose current one is `path`.
fn family(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Lets the program itself prove the chain. Returns its report.
fn verify(fleet: &Fleet, files: &[PathBuf], head: Option<&str>) -> String {
    let mut args = vec!["audit", "verify"];
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    if let Some(head) = head {
        args.extend(["--head", head]);
    }
    let output = run_cli(&fleet.setup, &args);
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    report
}

/// How often each line of the log contract was written, by what identifies it: decisions
/// by host, command and verdict; ends by everything they say.
fn tally(records: &[Value], kind: &str, keys: &[&str]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in records.iter().filter(|record| record["type"] == kind) {
        let name: Vec<String> = keys.iter().map(|key| record[key].to_string()).collect();
        *counts.entry(name.join(" ")).or_insert(0) += 1;
    }
    counts
}

const DECISION: &[&str] = &["alias", "hash", "allowed"];
const END: &[&str] = &[
    "ts",
    "alias",
    "hash",
    "exit_code",
    "bytes_out",
    "duration_ms",
];

/// stderr and the file say the same, and each start has one end.
fn agree(log: &[Value], file: &[Value]) {
    assert_eq!(
        tally(log, "policy_decision", DECISION),
        tally(file, "policy_decision", DECISION)
    );
    assert_eq!(tally(log, "audit", END), tally(file, "audit", END));
    let starts = tally(file, "audit_start", &["task_id"]);
    assert!(starts.values().all(|count| *count == 1));
    let started: Vec<Value> = file
        .iter()
        .filter(|record| record["type"] == "audit" && record.get("start_unrecorded").is_none())
        .cloned()
        .collect();
    assert_eq!(starts, tally(&started, "audit", &["task_id"]));
}

#[test]
fn many_clients_requests_at_once_leave_one_decision_and_one_end_each() {
    let tagged = |alias| HostSpec::new(alias).tags(&["web"]);
    let fleet = Fleet::with(vec![tagged("web1"), tagged("web2")]);
    fleet.allow(&["uptime", "hostname", "hostname -f"]);
    let scratch = Scratch::new("load");
    let path = place(&scratch);
    let server = server(&fleet, &path, &[]);
    let mut waiting = Vec::new();
    for number in 0..20 {
        let alias = ["web1", "web2"][number % 2];
        let call = |tool, arguments| server.begin_call(tool, arguments);
        waiting.push(call(
            "ssh_run",
            json!({"alias": alias, "command": "uptime"}),
        ));
        waiting.push(call(
            "ssh_run",
            json!({"alias": alias, "command": "whoami"}),
        ));
        waiting.push(call(
            "ssh_run_async",
            json!({"alias": alias, "command": "hostname"}),
        ));
        if number % 5 == 0 {
            waiting.push(call(
                "ssh_run_on_tag",
                json!({"tag": "web", "command": "hostname -f"}),
            ));
        }
    }
    for id in &waiting {
        server.response(id);
    }
    let ends = || {
        let file = records(&path);
        file.iter()
            .filter(|record| record["type"] == "audit")
            .count()
    };
    wait_until("the asynchronous commands to end", || ends() == 48);
    let finished = server.finish();
    assert!(finished.status.success());
    let file = records(&path);
    agree(&finished.records, &file);
    let decisions = tally(&file, "policy_decision", &["hash", "allowed"]);
    let hash = |text| mcp_ssh_orchestrator::testing::model::names::CommandHash::of(text);
    let decided = |text, verdict: bool| decisions[&format!("\"{}\" {verdict}", hash(text))];
    assert_eq!(decided("uptime", true), 20);
    assert_eq!(decided("whoami", false), 20);
    assert_eq!(decided("hostname", true), 20);
    assert_eq!(decided("hostname -f", true), 8);

    // stderr begins with what the server is and ends with the head of the chain.
    let kinds = record_types(&finished.records);
    assert_eq!(kinds.first().unwrap(), "server_start");
    let last = finished.records.last().unwrap();
    assert_eq!(last["type"], "audit_head");
    assert_eq!(file.last().unwrap()["type"], "server_stop");
    let head = last["head"].as_str().unwrap();
    let report = verify(&fleet, std::slice::from_ref(&path), Some(head));
    assert!(report.contains("; 0 came after it"), "{report}");
    let cut = fs::read_to_string(&path).unwrap();
    let (kept, _) = cut.trim_end().rsplit_once('\n').unwrap();
    fs::write(&path, format!("{kept}\n")).unwrap();
    let args = ["audit", "verify", path.to_str().unwrap(), "--head", head];
    assert_eq!(run_cli(&fleet.setup, &args).status.code(), Some(1));
    let shown = run_cli(
        &fleet.setup,
        &["audit", "show", path.to_str().unwrap(), "--denied"],
    );
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.lines().count(), 20, "{shown}");
}

#[test]
fn a_client_that_goes_away_leaves_a_whole_record() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["hostname"]);
    fleet.host("web1").stub("hostname", "#!/bin/sh\nsleep 60\n");
    let scratch = Scratch::new("gone");
    let path = place(&scratch);
    let server = server(&fleet, &path, &[]);
    for _ in 0..4 {
        server.begin_call("ssh_run", json!({"alias": "web1", "command": "hostname"}));
    }
    let running = || {
        let file = records(&path);
        file.iter().filter(|r| r["type"] == "audit_start").count()
    };
    wait_until("the commands to start", || running() == 4);
    let finished = server.finish();
    let file = records(&path);
    agree(&finished.records, &file);
    assert_eq!(running(), 4);
    assert_eq!(file.last().unwrap()["type"], "server_stop");
    verify(&fleet, &[path], None);
}

#[test]
fn a_client_that_does_not_read_does_not_stop_the_record() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["hostname"]);
    fleet.host("web1").stub(
        "hostname",
        "#!/bin/sh\nhead -c 3000 /dev/zero | tr '\\0' x\n",
    );
    let scratch = Scratch::new("unread");
    let path = place(&scratch);
    let mut child = fleet
        .setup
        .command()
        .args(["--audit-file", path.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut send = |frame: Value| writeln!(stdin, "{frame}").unwrap();
    send(
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "unread", "version": "1"}}}),
    );
    send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    // More than a pipe holds, in answers.
    for id in 1..=40 {
        send(
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "ssh_run", "arguments": {"alias": "web1", "command": "hostname"}}}),
        );
    }
    let ends = || {
        let file = fs::read_to_string(&path).unwrap_or_default();
        file.matches("{\"type\":\"audit\",").count()
    };
    wait_until("every command to end on the record", || ends() == 40);
    drop(stdin);
    drop(child.stdout.take());
    child.wait().unwrap();
    let report = verify(&fleet, &[path], None);
    assert!(
        report.contains("40 commands started, 40 ended (0 interrupted)"),
        "{report}"
    );
}

#[test]
fn a_killed_server_is_followed_by_one_that_closes_its_commands() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["hostname", "uptime"]);
    fleet.host("web1").stub("hostname", "#!/bin/sh\nsleep 60\n");
    let scratch = Scratch::new("killed");
    let path = place(&scratch);
    let first = server(&fleet, &path, &[]);
    first.run("web1", "uptime");
    first.begin_call("ssh_run", json!({"alias": "web1", "command": "hostname"}));
    first.wait_record("the command to run", |record| {
        record["type"] == "progress"
            && record["phase"] == "running"
            && record["task_id"]
                .as_str()
                .unwrap()
                .contains(":7063dece7ccc:")
    });
    first.signal(Signal::SIGKILL);
    first.wait_exit();
    let second = server(&fleet, &path, &[]);
    let closed = second.wait_record("the interrupted command to be closed", |record| {
        record["interrupted"] == true
    });
    assert_eq!(
        (&closed["type"], &closed["exit_code"]),
        (&json!("audit"), &json!(-1))
    );
    assert_eq!(closed["hash"], "7063dece7ccc");
    second.run("web1", "uptime");
    assert!(second.finish().status.success());
    let report = verify(&fleet, &[path], None);
    assert!(
        report.contains("3 commands started, 3 ended (1 interrupted)"),
        "{report}"
    );
}

#[test]
fn a_server_killed_again_and_again_loses_nothing_it_had_answered() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime", "hostname"]);
    let scratch = Scratch::new("again");
    let path = place(&scratch);
    let mut answered = Vec::new();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..12 {
        let server = server(&fleet, &path, &["--audit-rotate-bytes", "6000"]);
        for number in 0..12 {
            let command = ["uptime", "hostname"][number % 2];
            server.begin_call("ssh_run", json!({"alias": "web1", "command": command}));
        }
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // Somewhere between the first record and the last.
        let records = usize::try_from(seed % 70).unwrap();
        server.wait_record("a number of records", {
            let mut seen = 0;
            move |_| {
                seen += 1;
                seen > records.min(40)
            }
        });
        server.signal(Signal::SIGKILL);
        server.wait_exit();
        answered.extend(
            server
                .frames()
                .iter()
                .filter_map(|frame| {
                    frame["result"]["_meta"]["io.github.mcp-ssh-orchestrator/task_id"].as_str()
                })
                .map(str::to_owned),
        );
    }
    assert!(server(&fleet, &path, &[]).finish().status.success());
    let files = family(&path);
    verify(&fleet, &files, None);
    let all: Vec<Value> = files.iter().flat_map(|file| records(file)).collect();
    let starts = tally(&all, "audit_start", &["task_id"]);
    let ends = tally(&all, "audit", &["task_id"]);
    assert_eq!(starts, ends);
    assert!(starts.values().all(|count| *count == 1) && starts.len() > 12);
    assert!(!answered.is_empty());
    for task in answered {
        let end = all
            .iter()
            .find(|record| record["type"] == "audit" && record["task_id"] == task.as_str());
        let end = end.unwrap_or_else(|| panic!("{task} was answered and has no end"));
        assert!(end.get("interrupted").is_none(), "{end}");
    }
}

#[test]
fn rotation_by_size_and_by_rename_keeps_one_chain() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("rotation");
    let path = place(&scratch);
    let server = server(&fleet, &path, &["--audit-rotate-bytes", "4000"]);
    for _ in 0..12 {
        server.run("web1", "uptime");
    }
    assert!(family(&path).len() > 1, "no rotation by size");
    let aside = path.with_file_name("renamed.jsonl");
    fs::rename(&path, &aside).unwrap();
    server.signal(Signal::SIGHUP);
    wait_until("the next file", || path.exists());
    server.run("web1", "uptime");
    assert!(server.finish().status.success());
    let report = verify(&fleet, &family(&path), None);
    assert!(report.contains("13 commands started, 13 ended"), "{report}");
    // Nothing else was left in the directory.
    assert!(
        family(&path)
            .iter()
            .all(|file| !file.ends_with("audit.jsonl.next"))
    );
}

#[test]
fn on_a_full_disk_nothing_is_sent_to_the_host() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["hostname"]);
    let scratch = Scratch::new("full");
    let path = place(&scratch);
    // After what removes the directory at the end was started: it must not see the mount.
    let own = unshare(CloneFlags::CLONE_NEWNS);
    own.expect("a mount namespace: run the tests as root");
    let directory = path.parent().unwrap();
    let sh = |script: &str| {
        let mut command = Command::new("/bin/sh");
        let status = command
            .args(["-ec", script])
            .current_dir(directory)
            .status();
        assert!(status.unwrap().success(), "{script}");
    };
    sh("mount --make-rprivate / && mount -t tmpfs -o size=64k,mode=777 none \"$PWD\"");
    let touched = scratch.path().join("audit-touched");
    fs::write(&touched, "").unwrap();
    fs::set_permissions(
        &touched,
        std::os::unix::fs::PermissionsExt::from_mode(0o666),
    )
    .unwrap();
    let script = format!("#!/bin/sh\necho ran >> {}\n", touched.display());
    fleet.host("web1").stub("hostname", &script);
    let ran = || fs::read_to_string(&touched).unwrap().lines().count();
    let server = server(&fleet, &path, &[]);
    server.run("web1", "hostname");
    sh("dd if=/dev/zero of=filler bs=4096 2>/dev/null || true");
    let mut refused = 0;
    for _ in 0..60 {
        let before = ran();
        let result = server.call("ssh_run", json!({"alias": "web1", "command": "hostname"}));
        let text = result.to_string();
        if text.contains("cannot write its audit record") {
            refused += 1;
            assert_eq!(ran(), before, "a refused command ran");
            assert!(!text.contains("audit.jsonl"), "{text}");
        } else {
            assert_eq!(refused, 0, "a command ran on a full disk: {text}");
        }
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5);
    let ran_before = ran();
    sh("rm filler");
    server.run("web1", "hostname");
    assert_eq!(ran(), ran_before + 1);
    let finished = server.finish();
    let says = |msg: &str| finished.records.iter().filter(|r| r["msg"] == msg).count();
    assert_eq!((says("audit_failed"), says("audit_recovered")), (1, 1));
    assert_eq!(says("audit_refused"), 5);
    agree(&finished.records, &records(&path));
    let report = verify(&fleet, std::slice::from_ref(&path), None);
    let counted = format!("{0} commands started, {0} ended", ran());
    assert!(report.contains(&counted), "{report}");
}

#[test]
fn a_file_that_cannot_be_used_stops_the_start_and_says_why() {
    let fleet = Fleet::of(&["web1"]);
    let scratch = Scratch::new("unusable");
    let path = place(&scratch);
    let refused = |path: &Path, expected: &str| {
        let args = ["--audit-file", path.to_str().unwrap()];
        let output = run_cli(&fleet.setup, &args);
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(expected), "{log}");
        log.lines()
            .for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap()));
    };
    refused(
        &scratch.path().join("absent/audit.jsonl"),
        "cannot open its directory",
    );
    fs::create_dir(path.with_file_name("directory")).unwrap();
    refused(&path.with_file_name("directory"), "audit file");
    let running = server(&fleet, &path, &[]);
    refused(&path, "another server is writing it");
    running.finish();
    fs::write(&path, "nothing of ours\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    refused(&path, "line 1 is not a record");
    assert_eq!(fs::read_to_string(&path).unwrap(), "nothing of ours\n");
}
