//! Promise: whoever starts the server, it serves without capabilities, without what it
//! inherited, and as the least user that can do the work; and it says so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::process::{Command, Output, Stdio};

use crate::common::{Fleet, Launch, Server, Setup, copy_program, run_cli, tool};
use base64::Engine;
use nix::unistd::Uid;
use serde_json::Value;

const PLAIN: u32 = 10_001;

/// Gives a setup to a user, as a container's volumes belong to one.
fn hand_over(setup: &Setup, uid: u32) {
    let root = setup.config.parent().unwrap();
    for path in [root, &setup.config, &setup.keys, &setup.secrets] {
        lchown(path, Some(uid), Some(uid)).unwrap();
        if path != root {
            for entry in fs::read_dir(path).unwrap() {
                lchown(entry.unwrap().path(), Some(uid), Some(uid)).unwrap();
            }
        }
    }
}

fn sandbox(server: &Server) -> Value {
    server.wait_type("server_start")["sandbox"].clone()
}

/// A line of /proc/PID/status, for each thread.
fn status(server: &Server, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid)).unwrap();
    let read = |task: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    tasks.map(read).collect()
}

#[track_caller]
fn assert_status(server: &Server, name: &str, expected: &str) {
    for value in status(server, name) {
        assert_eq!(value, expected, "{name}");
    }
}

#[track_caller]
fn assert_confined(server: &Server, uid: u32) {
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_status(server, set, "0000000000000000");
    }
    if Uid::effective().is_root() {
        assert_status(server, "CapBnd", "0000000000000000");
    }
    assert_status(server, "Uid", &format!("{uid} {uid} {uid} {uid}"));
    assert_status(server, "NoNewPrivs", "1");
    assert_status(server, "Seccomp", "2");
    assert_status(server, "Umask", "0077");
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid)).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert!(
        core.split_whitespace().filter(|word| *word == "0").count() == 2,
        "{core}"
    );
    // The files of a process that may not be dumped belong to root.
    let environ = fs::metadata(format!("/proc/{}/environ", server.pid)).unwrap();
    assert_eq!(environ.uid(), 0);
}

#[test]
fn root_becomes_the_user_that_can_read_everything() {
    needs_root();
    let fleet = Fleet::of(&["web1"]);
    hand_over(&fleet.setup, PLAIN);
    let server = Server::start(&fleet.setup);
    let sandbox = sandbox(&server);
    assert_eq!(
        (&sandbox["uid"], &sandbox["gid"]),
        (&PLAIN.into(), &PLAIN.into()),
        "{sandbox}"
    );
    assert_eq!(sandbox["missing"], serde_json::json!([]));
    assert_eq!(server.run("web1", "id")["exit_code"], 0);
    assert_confined(&server, PLAIN);
    assert_status(&server, "Groups", "");
    assert!(server.finish().status.success());
}

/// One key that only root can read, and the server stays root: a login that fails later
/// would be worse. Without capabilities, and saying how to mend it.
#[test]
fn root_stays_where_a_file_is_roots() {
    needs_root();
    let fleet = Fleet::of(&["web1"]);
    hand_over(&fleet.setup, PLAIN);
    lchown(fleet.setup.keys.join("id_fleet"), Some(0), Some(0)).unwrap();
    // Root without capabilities has the rights of any other user.
    for directory in [&fleet.setup.config, &fleet.setup.keys, &fleet.setup.secrets] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(
        fleet.setup.config.parent().unwrap(),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    fs::set_permissions(
        fleet.setup.keys.join("known_hosts"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let server = Server::start(&fleet.setup);
    let sandbox = sandbox(&server);
    assert_eq!(sandbox["uid"], 0, "{sandbox}");
    let missing = sandbox["missing"][0].as_str().unwrap();
    assert!(
        missing.contains("chown") && missing.contains("--user"),
        "{missing}"
    );
    assert_eq!(server.run("web1", "id")["exit_code"], 0);
    assert_confined(&server, 0);
}

#[test]
fn a_user_that_is_asked_for_is_taken() {
    needs_root();
    let fleet = Fleet::of(&["web1"]);
    hand_over(&fleet.setup, 12_345);
    for (args, gid) in [
        (&["--user", "12345"][..], 12_345),
        (&["--user", "12345:54321"], 54_321),
    ] {
        let server = Launch::default().args(args).start(&fleet.setup);
        assert_eq!(sandbox(&server)["gid"], gid);
        assert_eq!(server.run("web1", "id")["exit_code"], 0);
        assert_confined(&server, 12_345);
        assert_status(&server, "Gid", &format!("{gid} {gid} {gid} {gid}"));
    }
    hand_over(&fleet.setup, 0);
    let server = Launch::default().args(&["--user=0"]).start(&fleet.setup);
    assert!(
        sandbox(&server)["missing"][0]
            .as_str()
            .unwrap()
            .contains("--user asks")
    );
    assert_confined(&server, 0);
}

/// What root read at the start and the server cannot read again is told at once, not at
/// the first reload.
#[test]
fn a_file_that_the_user_cannot_read_again_is_told() {
    needs_root();
    let fleet = Fleet::of(&["web1"]);
    hand_over(&fleet.setup, PLAIN);
    let policy = fleet.setup.config.join("policy.yml");
    lchown(&policy, Some(0), Some(0)).unwrap();
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o600)).unwrap();
    let user = format!("--user={PLAIN}");
    let output = run_cli(&fleet.setup, &["check", &user]);
    let report = String::from_utf8(output.stdout).unwrap();
    let told = format!("uid {PLAIN} cannot read {}", policy.display());
    assert!(report.contains(&told), "{report}");
}

#[test]
fn a_plain_user_stays_what_it_is() {
    needs_root();
    let fleet = Fleet::of(&["web1"]);
    hand_over(&fleet.setup, 4_242);
    let refused = as_user(&fleet.setup, 4_242, &["--user=10001"]);
    assert_eq!(refused.status.code(), Some(1));
    let log = String::from_utf8(refused.stderr).unwrap();
    assert!(log.contains("start it as root"), "{log}");
    let served = as_user(&fleet.setup, 4_242, &[]);
    let log = String::from_utf8(served.stderr).unwrap();
    assert!(served.status.success(), "{log}");
    assert!(
        log.contains(r#""uid":4242"#) && log.contains(r#""missing":[]"#),
        "{log}"
    );
}

/// A container that was started as root without the right to change its user.
#[test]
fn root_that_may_not_change_says_so() {
    needs_root();
    let fleet = Fleet::of(&["web1"]);
    // Without any of the rights, and with that for groups alone.
    for (bounding, inherited) in [
        ("--bounding-set=-all", "--inh-caps=-all"),
        ("--bounding-set=-setuid", "--inh-caps=-setuid"),
    ] {
        let mut command = wrapped(&fleet.setup, "setpriv", &[bounding, inherited]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        assert!(log.contains("may not become uid 10001"), "{log}");
    }
    let mut command = wrapped(
        &fleet.setup,
        "setpriv",
        &["--bounding-set=-all", "--inh-caps=-all"],
    );
    let output = command
        .arg("--user=10001")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("CAP_SETUID"), "{log}");
}

/// The environment is gone, also the copy on the stack that /proc shows.
#[test]
fn the_environment_is_wiped() {
    needs_root();
    let fleet = Fleet::of(&["web1"]);
    fleet
        .setup
        .env("SOME_PASSWORD", "canary-in-the-environment");
    let server = Server::start(&fleet.setup);
    server.wait_type("server_start");
    let environ = fs::read(format!("/proc/{}/environ", server.pid)).unwrap();
    assert!(
        environ.iter().all(|byte| *byte == 0),
        "{}",
        String::from_utf8_lossy(&environ)
    );
}

#[test]
fn inherited_descriptors_are_closed_and_the_protocol_is_private() {
    let fleet = Fleet::of(&["web1"]);
    let script = "exec 7</etc/passwd 9>/dev/null; exec \"$0\" \"$@\"";
    let mut command = wrapped(&fleet.setup, "sh", &["-c", script]);
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("server_start") {
        line.clear();
        assert!(
            std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0,
            "no server_start"
        );
    }
    let link = |path: String| fs::read_link(path).unwrap().display().to_string();
    let own = |number: u32| link(format!("/proc/{}/fd/{number}", child.id()));
    let ours = |descriptor: &dyn std::os::fd::AsRawFd| {
        link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
    };
    let (client_in, client_out) = (
        ours(child.stdin.as_ref().unwrap()),
        ours(child.stdout.as_ref().unwrap()),
    );
    assert_ne!(own(0), client_in);
    assert_eq!(own(1), own(2));
    let all: Vec<_> = fs::read_dir(format!("/proc/{}/fd", child.id()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_owned(),
                link(path.display().to_string()),
            )
        })
        .collect();
    for (number, target) in &all {
        assert!(
            !target.contains("passwd") && !target.contains("null"),
            "{number:?} is {target}"
        );
    }
    // The input once to read, and soon once more to see that the client is gone.
    let count = |client: &str| all.iter().filter(|(_, target)| target == client).count();
    assert!(
        matches!((count(&client_in), count(&client_out)), (1 | 2, 1)),
        "{all:?}"
    );
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// After a login nothing of the key is left anywhere in the process's memory.
#[test]
fn keys_are_gone_after_the_login() {
    needs_root();
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    assert_eq!(server.run("web1", "id")["exit_code"], 0);
    let key = fs::read_to_string(fleet.setup.keys.join("id_fleet")).unwrap();
    // The public half stands at the beginning, the private one further down.
    let lines: Vec<_> = key.lines().filter(|line| !line.starts_with('-')).collect();
    let text = lines[2].as_bytes().chunks_exact(24);
    // OpenSSH's PROTOCOL.key: among others 32 bytes of public key, then 64 of which the
    // first 32 are the secret.
    let raw = base64::engine::general_purpose::STANDARD
        .decode(lines.concat())
        .unwrap();
    let at = raw.windows(4).rposition(|window| window == [0, 0, 0, 64]);
    let secret = &raw[at.unwrap() + 4..][..32];
    let memory = memory(server.pid);
    assert!(memory.len() > 1 << 20, "the memory was not read");
    assert!(find(&memory, b"ssh_list_hosts"), "the search finds nothing");
    for half in secret.chunks_exact(16) {
        assert!(!find(&memory, half), "the key itself is in memory");
    }
    for part in text {
        assert!(!find(&memory, part), "{}", String::from_utf8_lossy(part));
    }
}

fn find(memory: &[u8], wanted: &[u8]) -> bool {
    memory.windows(wanted.len()).any(|window| window == wanted)
}

/// Everything readable of a process's memory but files.
fn memory(pid: u32) -> Vec<u8> {
    use std::io::{Read, Seek, SeekFrom};
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut file = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps
        .lines()
        .filter(|line| line.split(' ').nth(1).unwrap().starts_with('r'))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut part = vec![0; usize::try_from(to - from).unwrap()];
        if file.seek(SeekFrom::Start(from)).is_ok() && file.read_exact(&mut part).is_ok() {
            all.extend(part);
        }
    }
    all
}

/// The server, started by another program with these arguments before its name.
fn wrapped(setup: &Setup, program: &str, args: &[&str]) -> Command {
    let server = setup.command();
    let mut command = Command::new(tool(program));
    command.args(args).arg(server.get_program()).env_clear();
    for (name, value) in server.get_envs() {
        command.env(name, value.unwrap());
    }
    command
}

fn as_user(setup: &Setup, uid: u32, args: &[&str]) -> Output {
    let id = uid.to_string();
    let mut command = wrapped(
        setup,
        "setpriv",
        &["--reuid", &id, "--regid", &id, "--clear-groups"],
    );
    // The binary lies where only root may go.
    let copy = setup.secrets.join("server");
    copy_program(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"), &copy);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let mut all: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    *all.last_mut().unwrap() = copy.into();
    let mut again = Command::new(tool("setpriv"));
    again.args(all).args(args).env_clear();
    for (name, value) in command.get_envs() {
        again.env(name, value.unwrap());
    }
    command = again;
    command.stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn needs_root() {
    assert!(
        Uid::effective().is_root(),
        "this test changes users: run it as root"
    );
}
