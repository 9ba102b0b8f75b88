//! Promise: many servers keep their record in one directory, a chain for each run, also when
//! they are killed; what is old goes; a copy of the log is kept in a file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::{Fleet, Launch, Scratch, Server, copy_program, run_cli, tool, wait_until};
use crate::ledger::{family, records};

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn start(fleet: &Fleet, args: &[&str]) -> Server {
    Launch::default().args(args).start(&fleet.setup)
}

fn verify(fleet: &Fleet, path: &Path) -> (bool, String) {
    let output = run_cli(&fleet.setup, &["audit", "verify", path.to_str().unwrap()]);
    let report = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), report)
}

#[test]
fn ten_sessions_at_once_some_of_them_killed() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime", "sleep *"]);
    let scratch = Scratch::new("many");
    let place = scratch.path().to_str().unwrap().to_owned();
    let args = ["--audit-dir", place.as_str()];
    let servers: Vec<Server> = (0..10).map(|_| start(&fleet, &args)).collect();
    thread::scope(|scope| {
        for server in &servers {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert_eq!(server.run("web1", "uptime")["exit_code"], 0);
                }
            });
        }
    });
    assert_eq!(files(scratch.path()).len(), 10);
    let mut killed = Vec::new();
    for (number, server) in servers.into_iter().enumerate() {
        if number % 2 == 0 {
            server.finish();
            continue;
        }
        let call = json!({"alias": "web1", "command": "sleep 60"});
        let task = server.tool("ssh_run_async", call);
        server.wait_record("the command under way", |record| {
            record["task_id"] == task["task_id"] && record["phase"] == "running"
        });
        server.signal(Signal::SIGKILL);
        server.wait_exit();
        killed.push(task["task_id"].clone());
    }
    let (sound, report) = verify(&fleet, scratch.path());
    assert!(sound, "{report}");
    assert_eq!(report.matches("; not closed").count(), 5, "{report}");
    assert!(report.contains("10 of 10 chains are sound"), "{report}");

    // The next start closes what was left open, each in its own chain, and says so.
    let server = start(&fleet, &args);
    for task in &killed {
        let end = server.wait_record("the end of what was interrupted", |record| {
            record["type"] == "audit" && record["task_id"] == *task
        });
        assert_eq!(end["interrupted"], true);
    }
    server.finish();
    let (sound, report) = verify(&fleet, scratch.path());
    assert!(sound && !report.contains("not closed"), "{report}");
    assert!(report.contains("11 of 11 chains are sound"), "{report}");
    // Once: another start finds nothing to close.
    let before: Vec<u64> = files(scratch.path())
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .collect();
    start(&fleet, &args).finish();
    let after = files(scratch.path());
    let sizes: Vec<u64> = after
        .iter()
        .filter_map(|path| Some(path.metadata().ok()?.len()))
        .collect();
    assert!(before.iter().all(|size| sizes.contains(size)));

    // One changed byte is found, and where.
    let text = fs::read_to_string(&after[3]).unwrap();
    fs::write(&after[3], text.replace("\"web1\"", "\"web2\"")).unwrap();
    let (sound, report) = verify(&fleet, scratch.path());
    assert!(
        !sound && report.contains("11 of 12 chains are sound"),
        "{report}"
    );
    let name = after[3].file_name().unwrap().to_str().unwrap();
    assert!(report.contains(&format!("{name}: NOT SOUND")), "{report}");
}

#[test]
fn the_oldest_goes_and_what_lives_stays() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("old");
    let place = scratch.path().to_str().unwrap().to_owned();
    let living = start(&fleet, &["--audit-dir", &place]);
    let kept = files(scratch.path());
    for _ in 0..3 {
        start(&fleet, &["--audit-dir", &place]).finish();
    }
    assert_eq!(files(scratch.path()).len(), 4);
    let server = start(&fleet, &["--audit-dir", &place, "--audit-keep-bytes", "1"]);
    // Its own and that of the other one alone.
    wait_until("the ended ones are gone", || {
        files(scratch.path()).len() == 2
    });
    assert!(files(scratch.path()).contains(&kept[0]));
    server.run("web1", "uptime");
    living.run("web1", "uptime");
    server.finish();
    living.finish();
    assert!(verify(&fleet, scratch.path()).0);

    let refused = run_cli(&fleet.setup, &["check", "--audit-keep-days", "3"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("of --audit-dir"), "{text}");
    let both = ["check", "--audit-dir", &place, "--audit-file", "/tmp/x"];
    let refused = run_cli(&fleet.setup, &both);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("give one of them"), "{text}");
}

/// logrotate without its signal: what runs is in the file that the name stands for.
#[test]
fn a_file_that_was_moved_away_is_noticed() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("moved");
    let path = scratch.path().join("audit.jsonl");
    let server = start(&fleet, &["--audit-file", path.to_str().unwrap()]);
    server.run("web1", "uptime");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    for number in 1..=3 {
        let aside = scratch.path().join(format!("audit.jsonl.{number}"));
        fs::rename(&path, &aside).unwrap();
        if number == 2 {
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        }
        let run = server.run_id("web1", "uptime");
        let found = records(&path);
        let start = found.iter().find(|r| r["type"] == "audit_start").unwrap();
        assert_eq!(start["task_id"], run);
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if number >= 2 { 0o604 } else { 0o640 });
    }
    let done = server.finish();
    assert!(!done.log.contains("\"level\":\"error\""), "{}", done.log);
    let (sound, report) = verify(&fleet, scratch.path());
    assert!(sound && report.contains("1 of 1 chains"), "{report}");
    assert_eq!(family(&path).len(), 4);
}

#[test]
fn a_copy_of_the_log_is_rotated_and_followed() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("log");
    let path = scratch.path().join("server.log");
    let text = path.to_str().unwrap();
    let server = start(&fleet, &["--log-file", text, "--audit-rotate-bytes", "8K"]);
    for _ in 0..9 {
        server.run("web1", "uptime");
    }
    let moved = scratch.path().join("moved.log");
    fs::rename(&path, &moved).unwrap();
    server.run("web1", "uptime");
    let done = server.finish();
    let numbered = |number: u32| scratch.path().join(format!("server.log.{number}"));
    let mut all = String::new();
    let mut older: Vec<PathBuf> = (1..=5).map(numbered).filter(|path| path.exists()).collect();
    assert!(!older.is_empty());
    older.reverse();
    for path in older.iter().chain([&moved, &path]) {
        all.push_str(&fs::read_to_string(path).unwrap());
    }
    // As on stderr, line by line; what came before the file was there is not in it.
    let first = all.lines().next().unwrap();
    let from = done.log.find(first).unwrap();
    assert_eq!(
        done.log[from..].lines().collect::<Vec<_>>(),
        all.lines().collect::<Vec<_>>()
    );
    assert!(fs::read_to_string(&path).unwrap().contains("server_stop"));
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

/// Where the client buries stderr, the file says why there is no server; but for root, which
/// may become another user first.
#[test]
fn the_copy_also_says_why_a_server_did_not_start() {
    const USER: u32 = 4_243;
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", "rules: nonsense\n");
    let scratch = Scratch::new("why");
    let program = scratch.path().join("program");
    copy_program(fleet.setup.command().get_program(), &program);
    let owned = [
        scratch.path(),
        &fleet.setup.config,
        &fleet.setup.keys,
        &fleet.setup.secrets,
    ];
    for path in owned {
        chown(path, Some(USER), Some(USER)).unwrap();
    }
    let log = scratch.path().join("server.log");
    let mut command = Command::new(&program);
    command.args(["serve", "--log-file", log.to_str().unwrap()]);
    command
        .env("MCP_SSH_CONFIG_DIR", &fleet.setup.config)
        .env("MCP_SSH_KEYS_DIR", &fleet.setup.keys)
        .env("MCP_SSH_SECRETS_DIR", &fleet.setup.secrets);
    let ended = command
        .stdin(Stdio::null())
        .uid(USER)
        .gid(USER)
        .output()
        .unwrap();
    assert!(!ended.status.success());
    let said = String::from_utf8(ended.stderr).unwrap();
    let kept = fs::read_to_string(&log).unwrap();
    assert!(kept.contains("\"config_error\""), "{kept}");
    assert!(kept.contains("\"start_failed\""), "{kept}");
    assert_eq!(said, kept);
}

#[test]
fn compressed_files_pipes_and_standard_input_are_read() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("packed");
    let path = scratch.path().join("audit.jsonl");
    let args = [
        "--audit-file",
        path.to_str().unwrap(),
        "--audit-rotate-bytes",
        "4K",
    ];
    let server = start(&fleet, &args);
    for _ in 0..6 {
        server.run("web1", "uptime");
    }
    server.finish();
    let mut parts = family(&path);
    parts.sort();
    parts.rotate_left(1);
    assert!(parts.len() > 2, "{parts:?}");
    let plain: Vec<Vec<u8>> = parts.iter().map(|path| fs::read(path).unwrap()).collect();
    let quoted = |path: &PathBuf| format!("'{}'", path.display());
    let program = fleet.setup.command();
    let program = program.get_program().to_str().unwrap();
    let shell = |script: &str| {
        let output = Command::new(tool("bash"))
            .args(["-c", script])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    // Several pipes, each of which can be read once, in the wrong order.
    let pipes: Vec<String> = parts
        .iter()
        .rev()
        .map(|path| format!("<(cat {})", quoted(path)))
        .collect();
    let (sound, report) = shell(&format!("{program} audit verify {}", pipes.join(" ")));
    assert!(
        sound && report.contains("6 commands started, 6 ended"),
        "{report}"
    );
    let all: Vec<String> = parts.iter().map(quoted).collect();
    let (sound, report) = shell(&format!("cat {} | {program} audit verify -", all.join(" ")));
    assert!(sound, "{report}");
    for (level, part) in parts.iter().rev().skip(1).enumerate() {
        let level = format!("-{}", [1, 6, 9][level % 3]);
        let packed = Command::new(tool("gzip")).arg(&level).arg(part).status();
        assert!(packed.unwrap().success());
    }
    let (sound, report) = verify(&fleet, scratch.path());
    assert!(sound && report.contains("1 of 1 chains"), "{report}");
    // Stored, and two members in one file.
    let packed = scratch.path().join("two.jsonl.gz");
    let script = format!(
        "{{ head -c 3000 {0} | gzip -1; tail -c +3001 {0} | gzip -9; }} > '{1}' && {2} audit verify '{1}'",
        quoted(&parts[parts.len() - 1]),
        packed.display(),
        program
    );
    let (sound, report) = shell(&script);
    assert!(sound && report.contains("continues a file"), "{report}");
    // A byte of it changed is damage, and said.
    let mut bytes = fs::read(&packed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&packed, bytes).unwrap();
    let (sound, report) = shell(&format!("{program} audit verify '{}'", packed.display()));
    assert!(!sound, "{report}");
    assert!(plain.concat().len() > 4_000);
}

#[test]
fn a_directory_is_shown_by_time_as_lines_json_and_a_table() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("shown");
    let place = scratch.path().to_str().unwrap();
    let servers = [0, 1].map(|_| start(&fleet, &["--audit-dir", place]));
    let mut ran = Vec::new();
    for turn in 0..4 {
        ran.push(servers[turn % 2].run_id("web1", "uptime"));
    }
    servers[0].run("web1", "reboot");
    let show = |args: &[&str]| {
        let args = [&["audit", "show", place], args].concat();
        let output = run_cli(&fleet.setup, &args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let started: Vec<Value> = show(&["--json"])
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["type"] == "audit_start")
        .map(|record| record["task_id"].clone())
        .collect();
    assert_eq!(started, ran);
    assert_eq!(show(&["--denied"]).lines().count(), 1);
    let table = show(&["--csv"]);
    let columns = table.lines().next().unwrap().split(',').count();
    let read = "import csv,sys; rows=list(csv.reader(sys.stdin)); print(len(rows), {len(r) for r in rows})";
    let mut python = Command::new(tool("python3"))
        .args(["-c", read])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python
        .stdin
        .take()
        .unwrap()
        .write_all(table.as_bytes())
        .unwrap();
    let counted = python.wait_with_output().unwrap();
    let counted = String::from_utf8(counted.stdout).unwrap();
    let lines = table.lines().count();
    assert_eq!(counted.trim(), format!("{lines} {{{columns}}}"));

    // What is written later comes, too.
    let mut command = fleet.setup.command();
    command.args(["audit", "show", place, "--follow", "--denied"]);
    let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut heard = BufReader::new(following.stdout.take().unwrap()).lines();
    assert!(heard.next().unwrap().unwrap().contains("DENIED"));
    servers[1].run("web1", "poweroff");
    assert!(heard.next().unwrap().unwrap().contains("DENIED"));
    following.kill().unwrap();
    following.wait().unwrap();
}
