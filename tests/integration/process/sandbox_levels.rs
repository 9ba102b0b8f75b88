//! Promise: the server starts in the whole sandbox or not at all, unless told otherwise;
//! it says which mechanism is missing and why; and a reload cannot ask for more than the
//! closed sandbox gives.
//!
//! A missing mechanism is made with a filter of the test's own around the server: the
//! same answers that a container's profile, an older kernel and a boot parameter give.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "starts a program behind a filter; a failed step is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{Fleet, Scratch, Server, Setup, structured, tool, wait_until};
use mcp_ssh_orchestrator::testing::sys::landlock::RESOLVER_FILES;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use serde_json::{Value, json};

/// Runs the server behind a filter that answers one system call with an error.
fn without(setup: &Setup, filter: BpfProgram, args: &[&str]) -> Output {
    let mut command = setup.command();
    command.args(args);
    let mut child = piped(&mut command, filter).spawn().unwrap();
    drop(child.stdin.take());
    child.wait_with_output().unwrap()
}

/// All three streams are pipes, and the filter is around it.
fn piped(command: &mut Command, filter: BpfProgram) -> &mut Command {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let apply = move || seccompiler::apply_filter(&filter).map_err(io::Error::other);
    // SAFETY: between fork and exec only two system calls are made.
    unsafe { command.pre_exec(apply) };
    command
}

/// A filter that changes nothing.
fn unchanged() -> BpfProgram {
    answering(libc::SYS_ptrace, Vec::new(), libc::EPERM)
}

fn answering(number: i64, rules: Vec<SeccompRule>, error: i32) -> BpfProgram {
    let action = SeccompAction::Errno(error.cast_unsigned());
    let target = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let rules = BTreeMap::from([(number, rules)]);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, target).unwrap();
    filter.try_into().unwrap()
}

fn no_landlock(error: i32) -> BpfProgram {
    answering(libc::SYS_landlock_create_ruleset, Vec::new(), error)
}

/// The question whether a kernel can kill a process, which the server asks first.
fn no_seccomp(error: i32) -> BpfProgram {
    let operation = u64::from(libc::SECCOMP_GET_ACTION_AVAIL);
    let question =
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, operation).unwrap();
    let rule = SeccompRule::new(vec![question]).unwrap();
    answering(libc::SYS_seccomp, vec![rule], error)
}

fn records(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn required_refuses_and_says_which_of_three_it_is() {
    let fleet = Fleet::of(&["web1"]);
    let cases = [
        (
            no_landlock(libc::EPERM),
            "container's seccomp profile blocks Landlock",
        ),
        (no_landlock(libc::ENOSYS), "this kernel lacks Landlock"),
        (
            no_landlock(libc::EOPNOTSUPP),
            "Landlock is disabled at boot",
        ),
        (
            no_seccomp(libc::EPERM),
            "container's seccomp profile blocks seccomp",
        ),
        (
            no_seccomp(libc::ENOSYS),
            "this kernel lacks seccomp filters",
        ),
    ];
    for (filter, text) in cases {
        for args in [&[][..], &["--sandbox=required"]] {
            let output = without(&fleet.setup, filter.clone(), args);
            assert_eq!(output.status.code(), Some(1), "{text}");
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(told["error"]["message"].as_str().unwrap().contains(text));
            let records = records(&output);
            let refusal = records
                .iter()
                .find(|record| record["msg"] == "start_failed")
                .unwrap();
            let error = refusal["error"].as_str().unwrap();
            assert!(
                error.contains(text) && error.contains("--sandbox=degraded"),
                "{error}"
            );
            assert!(
                records
                    .iter()
                    .all(|record| record["type"] != "server_start")
            );
        }
        let check = without(&fleet.setup, filter, &["check"]);
        assert_eq!(check.status.code(), Some(1));
        assert!(String::from_utf8(check.stdout).unwrap().contains(text));
    }
}

/// What a client shows: the reason, in answer to its own first request, and nothing that
/// only the operator may see.
#[test]
fn a_refusal_answers_the_first_request() {
    let fleet = Fleet::of(&["web1"]);
    let initialize = br#"{"jsonrpc":"2.0","id":"first","method":"initialize","params":{}}"#;
    let told = |filter: BpfProgram, args: &[&str]| -> Value {
        let mut command = fleet.setup.command();
        command.args(args);
        let mut child = piped(&mut command, filter).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&[&initialize[..], b"\n"].concat()).unwrap();
        // The pipe stays open, as a client's does.
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        assert_ne!(output.status.code(), Some(0));
        assert_eq!(
            output.stdout.iter().filter(|byte| **byte == b'\n').count(),
            1
        );
        records(&output);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let answer = told(no_landlock(libc::ENOSYS), &[]);
    assert_eq!(answer["id"], "first");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("lacks Landlock"), "{message}");
    assert!(message.contains("--sandbox=degraded"), "{message}");

    let answer = told(unchanged(), &["--sandbox=none"]);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("strict, required, degraded, off"),
        "{message}"
    );

    fleet.setup.write("policy.yml", "rules: 7");
    let answer = told(unchanged(), &[]);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("configuration does not load"), "{message}");
    let config = fleet.setup.config.display().to_string();
    assert!(!message.contains(&config), "{message}");
}

/// Single rights can be demanded by name, and what a level leaves open is not demanded.
#[test]
fn a_floor_is_what_it_says() {
    let fleet = Fleet::of(&["web1"]);
    let started = |filter: BpfProgram, args: &[&str]| {
        let output = without(&fleet.setup, filter, args);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), log)
    };
    let (well, log) = started(unchanged(), &["--sandbox=strict", "--sandbox-floor=scopes"]);
    assert!(well, "{log}");
    let start: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(start["sandbox"]["level"], "strict");
    let rights = ["seccomp", "files", "truncate", "tcp", "ioctl", "scopes"];
    assert_eq!(start["sandbox"]["rights"], json!(rights));
    let degraded = ["--sandbox=degraded", "--sandbox-floor=seccomp"];
    assert!(started(no_landlock(libc::ENOSYS), &degraded).0);
    let (well, log) = started(no_seccomp(libc::ENOSYS), &degraded);
    assert!(!well && log.contains("(without: seccomp)"), "{log}");
    assert!(log.contains("leave that out of --sandbox-floor"), "{log}");
}

/// A file system that answers differently once the sandbox is closed: the server says so at
/// its start, and does not find out at the first login.
#[test]
fn what_the_sandbox_hides_is_found_at_the_start() {
    let fleet = Fleet::of(&["web1"]);
    let scratch = Scratch::new("hidden");
    let trace = scratch.path().join("trace");
    let traced = |inject: &[&str]| {
        let server = fleet.setup.command();
        let mut traced = Command::new(tool("strace"));
        traced.args(["-f", "-qq", "-o"]).arg(&trace);
        traced.args(["-e", "trace=seccomp"]).args(inject);
        traced.arg(server.get_program()).env_clear();
        for (name, value) in server.get_envs() {
            traced.env(name, value.unwrap());
        }
        traced.stdin(Stdio::null());
        traced.stdout(Stdio::piped()).stderr(Stdio::piped());
        traced.spawn().unwrap()
    };
    let said = || fs::read_to_string(&trace).unwrap_or_default();
    assert!(traced(&[]).wait_with_output().unwrap().status.success());
    // Of the first thread: the resolvers' maker has its own.
    let text = said();
    let first = text.split_whitespace().next().unwrap();
    let calls = text
        .lines()
        .filter(|call| call.starts_with(first) && call.contains("seccomp("))
        .count();

    // Held where the sandbox has just been closed, while the file goes.
    let stop = format!("inject=seccomp:signal=SIGSTOP:when={calls}");
    let server = traced(&["-e", &stop]);
    wait_until("it is held", || said().contains("stopped by SIGSTOP"));
    let policy = fleet.setup.config.join("policy.yml");
    fs::rename(&policy, scratch.path().join("policy.yml")).unwrap();
    let pid = said().split_whitespace().next().unwrap().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
    let output = server.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(
        log.contains("with the sandbox closed, cannot be any more"),
        "{log}"
    );
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        told.contains("the sandbox hides what it has to read"),
        "{told}"
    );
}

/// Under qemu-user it has threads that are not its own.
#[test]
fn who_is_not_alone_says_so() {
    let fleet = Fleet::of(&["web1"]);
    for args in [&[][..], &["--version"]] {
        let not_alone = answering(libc::SYS_unshare, Vec::new(), libc::EINVAL);
        let output = without(&fleet.setup, not_alone, args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let records = records(&output);
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(records[0]["msg"], "start_failed");
        let error = records[0]["error"].as_str().unwrap();
        assert!(error.contains("more than one thread"), "{error}");
    }
}

/// gVisor has no openat2(2), and older profiles hide it: links are refused all the same.
#[test]
fn it_serves_where_there_is_no_openat2() {
    let fleet = Fleet::of(&["web1"]);
    for error in [libc::ENOSYS, libc::EPERM] {
        let no_openat2 = answering(libc::SYS_openat2, Vec::new(), error);
        let output = without(&fleet.setup, no_openat2, &[]);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
        assert!(log.contains("server_start"), "{log}");
    }
    let key = fleet.setup.config.join("policy.yml");
    let aside = fleet.setup.config.join("aside.yml");
    fs::rename(&key, &aside).unwrap();
    std::os::unix::fs::symlink("aside.yml", &key).unwrap();
    let no_openat2 = answering(libc::SYS_openat2, Vec::new(), libc::ENOSYS);
    let output = without(&fleet.setup, no_openat2.clone(), &[]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && log.contains("it is a link"),
        "{log}"
    );
    let output = without(&fleet.setup, no_openat2, &["--allow-links-beneath"]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
}

#[test]
fn degraded_goes_on_and_says_what_is_missing() {
    let fleet = Fleet::of(&["web1"]);
    for (filter, text, landlock, seccomp) in [
        (no_landlock(libc::ENOSYS), "lacks Landlock", false, true),
        (no_seccomp(libc::ENOSYS), "lacks seccomp", true, false),
    ] {
        let output = without(&fleet.setup, filter, &["--sandbox=degraded"]);
        let records = records(&output);
        assert!(output.status.success(), "{records:?}");
        let sandbox = &records[0]["sandbox"];
        assert_eq!(sandbox["level"], "degraded");
        assert_eq!(sandbox["landlock_abi"].as_u64().unwrap() > 0, landlock);
        assert_eq!(sandbox["seccomp"], seccomp);
        let missing = sandbox["missing"].as_array().unwrap();
        assert!(
            missing
                .iter()
                .any(|line| line.as_str().unwrap().contains(text)),
            "{missing:?}"
        );
    }
}

#[test]
fn off_is_off_and_the_environment_says_it_too() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.env("MCP_SSH_SANDBOX", "off");
    let server = Server::start(&fleet.setup);
    let start = server.wait_type("server_start");
    assert_eq!(start["sandbox"]["level"], "off");
    assert_eq!(
        (
            &start["sandbox"]["landlock_abi"],
            &start["sandbox"]["seccomp"]
        ),
        (&json!(0), &json!(false))
    );
    // Privileges are given up all the same.
    assert_eq!(start["sandbox"]["capabilities_dropped"], true);
    assert_eq!(server.run("web1", "true")["exit_code"], 0);
}

/// The first line of the log, before any warning, and what a client can read of it.
#[test]
fn the_first_record_and_the_resource_say_what_was_achieved() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    let record = server.wait_type("server_start");
    assert_eq!(server.records()[0], record);
    let uri = "ssh://host/web1/capabilities";
    let resource = server.request("resources/read", json!({"uri": uri}));
    let text = resource["contents"][0]["text"].as_str().unwrap();
    let resource: Value = serde_json::from_str(text).unwrap();
    let sandbox = resource.to_string();
    for word in ["required", "landlock", "seccomp"] {
        assert!(sandbox.contains(word), "{sandbox}");
    }
}

/// What the kernel is told, system call by system call: nothing is opened but what is
/// configured, and all of it is closed with one thread, before the client is listened to.
#[test]
fn it_opens_what_is_configured_and_closes_before_the_first_byte() {
    let fleet = Fleet::of(&["web1"]);
    let scratch = Scratch::new("trace");
    let (trace, audit) = (scratch.path().join("trace"), scratch.path().join("audit"));
    fs::create_dir(&audit).unwrap();
    fs::set_permissions(&audit, fs::Permissions::from_mode(0o777)).unwrap();
    let server = fleet.setup.command();
    let mut traced = Command::new(tool("strace"));
    traced
        .args(["-f", "-y", "-qq", "-s", "32", "-o"])
        .arg(&trace)
        .args(["-e", "trace=/landlock,seccomp,/^clone,read"])
        .arg(server.get_program())
        .args(["--sandbox=required", "--audit-file"])
        .arg(audit.join("audit.jsonl"))
        .env_clear();
    for (name, value) in server.get_envs() {
        traced.env(name, value.unwrap());
    }
    traced
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = traced.spawn().unwrap();
    // It waits in the pipe while the server starts.
    let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let mut stdin = child.stdin.take().unwrap();
    let pipe = fs::read_link(format!("/proc/self/fd/{}", stdin.as_raw_fd())).unwrap();
    stdin.write_all(ping).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    assert!(!output.stdout.is_empty(), "{log}");

    let text = fs::read_to_string(&trace).unwrap();
    let calls: Vec<&str> = text.lines().collect();
    let rules = calls
        .iter()
        .filter(|call| call.contains("landlock_add_rule("));
    let (files, ports): (Vec<&str>, Vec<&str>) =
        rules.partition(|call| call.contains("LANDLOCK_RULE_PATH_BENEATH"));
    let between = |call: &str, before: &str, after: &str| -> String {
        let (_, rest) = call.rsplit_once(before).unwrap();
        rest.split_once(after).unwrap().0.to_owned()
    };
    let found: BTreeSet<(String, String)> = files
        .iter()
        .map(|call| {
            let rights = between(call, "allowed_access=", ",").replace("LANDLOCK_ACCESS_FS_", "");
            // Older versions of strace have no name for it.
            let rights = rights.replace("0x4000", "TRUNCATE");
            (between(call, "<", ">"), rights)
        })
        .collect();
    let grant = |path: &Path, rights: &str| {
        let path = path.canonicalize().unwrap();
        (path.display().to_string(), rights.to_owned())
    };
    let setup = &fleet.setup;
    let mut expected: BTreeSet<_> = [&setup.config, &setup.keys, &setup.secrets]
        .map(|directory| grant(directory, "READ_FILE|READ_DIR"))
        .into();
    let resolver = RESOLVER_FILES.map(Path::new);
    let there = resolver.iter().filter(|path| path.exists());
    expected.extend(there.map(|path| grant(path, "READ_FILE")));
    let writing = "WRITE_FILE|READ_FILE|READ_DIR|REMOVE_FILE|MAKE_REG|TRUNCATE";
    expected.insert(grant(&audit, writing));
    assert_eq!(found, expected);
    assert_eq!(ports.len(), 2, "the host's port and that of DNS: {ports:?}");

    let first = |wanted: &str| calls.iter().position(|call| call.contains(wanted)).unwrap();
    let last = |wanted: &str| {
        calls
            .iter()
            .rposition(|call| call.contains(wanted))
            .unwrap()
    };
    let filtered = last("SECCOMP_SET_MODE_FILTER");
    let started = first("CLONE_THREAD|");
    assert!(last("landlock_restrict_self(") < started);
    assert!(first("SECCOMP_SET_MODE_FILTER") < started);
    let early = calls[..filtered]
        .iter()
        .filter(|call| call.contains(" clone(") && call.contains("CLONE_THREAD|"));
    assert_eq!(early.count(), 1, "more than the resolvers' maker");
    assert!(
        filtered < first(&format!("<{}>", pipe.display())),
        "the client was listened to"
    );
}

/// A thread of the kernel's own list has one filter more than all others, and no thread has
/// none: that which starts those that look names up. What the filter takes away is
/// `sandbox::seccomp_rules`' matter.
#[test]
fn threads_that_look_names_up_have_a_filter_of_their_own() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    let pid = server.wait_type("server_start")["pid"].clone();
    server.run("web1", "uptime");
    let mut filters = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        // A thread may have ended meanwhile.
        let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        assert_eq!(field("Seccomp:"), "2", "{status}");
        let count: u32 = field("Seccomp_filters:").parse().unwrap();
        filters
            .entry(field("Name:"))
            .or_insert_with(BTreeSet::new)
            .insert(count);
    }
    let maker = filters.remove("resolvers").unwrap();
    assert!(filters.len() > 3, "{filters:?}");
    let others: BTreeSet<u32> = filters.into_values().flatten().collect();
    assert_eq!(others.len(), 1, "{others:?}");
    let narrowed: BTreeSet<u32> = others.iter().map(|count| count + 1).collect();
    assert_eq!(maker, narrowed);
}

/// `trust` talks to hosts that nobody knows yet, and asks the same name servers for them: who
/// read the hosts' names was started by a thread with a filter of its own.
#[test]
fn trust_looks_names_up_on_such_threads_too() {
    let fleet = Fleet::of(&["web1", "web2"]);
    // Whether anybody answers there does not matter.
    let host = |alias| format!("  - {{alias: {alias}, host: localhost, credentials: fleet}}\n");
    let servers = format!("hosts:\n{}{}", host("web1"), host("web2"));
    fleet.setup.write("servers.yml", &servers);
    let scratch = Scratch::new("trust");
    let trace = scratch.path().join("trace");
    for hosts in ["web1", "--all"] {
        let program = fleet.setup.command();
        let mut traced = Command::new(tool("strace"));
        traced.args(["-f", "-qq", "-o"]).arg(&trace);
        traced.args(["-e", "trace=openat,seccomp,/^clone"]);
        traced.arg(program.get_program()).args(["trust", hosts]);
        traced.env_clear().stdin(Stdio::null());
        for (name, value) in program.get_envs() {
            traced.env(name, value.unwrap());
        }
        let output = traced.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = fs::read_to_string(&trace).unwrap();
        let of = |call: &str| call.split_whitespace().next().unwrap().to_owned();
        let first = of(&text);
        // Landlock's rules name the file, too (O_PATH).
        let read = |call: &&str| call.contains("\"/etc/hosts\"") && !call.contains("O_PATH");
        let reader = text.lines().find(read);
        let started = format!(" = {}", of(reader.unwrap()));
        let starter = text
            .lines()
            .find(|call| call.contains("clone") && call.ends_with(&started));
        let maker = of(starter.unwrap());
        assert_ne!(maker, first, "{hosts}");
        let narrowed = |call: &str| call.contains("SECCOMP_SET_MODE_FILTER") && of(call) == maker;
        assert!(text.lines().any(narrowed), "{hosts}: {text}");
    }
}

#[test]
fn a_reload_cannot_widen_the_sandbox() {
    let fleet = Fleet::of(&["web1", "web2"]);
    let servers = fs::read_to_string(fleet.setup.config.join("servers.yml")).unwrap();
    let [one, two] = ["web1", "web2"].map(|alias| fleet.host(alias).port);
    let before = servers.replace(&two.to_string(), &one.to_string());
    fleet.setup.write("servers.yml", &before);
    let server = Server::start(&fleet.setup);

    fleet.setup.write("servers.yml", &servers);
    let refused = server.call("ssh_reload_config", json!({}));
    assert_eq!(refused["isError"], true, "{refused}");
    server.wait_record("the port", |record| {
        record.to_string().contains(&format!("uses port {two}"))
    });
    let hosts = server.tool("ssh_describe_host", json!({"alias": "web2"}));
    assert!(!hosts.to_string().contains(&two.to_string()), "{hosts}");
    assert_eq!(server.run("web1", "true")["exit_code"], 0);

    // What the sandbox has room for is taken in.
    fleet
        .setup
        .write("servers.yml", &before.replace("web2", "other"));
    let taken = server.call("ssh_reload_config", json!({}));
    assert_eq!(structured(&taken).unwrap()["status"], "reloaded", "{taken}");
    server.tool("ssh_describe_host", json!({"alias": "other"}));
}

/// Without Landlock's rules for ports there is nothing to widen.
#[test]
fn a_reload_may_bring_a_port_where_ports_are_not_restricted() {
    let fleet = Fleet::of(&["web1", "web2"]);
    let servers = fs::read_to_string(fleet.setup.config.join("servers.yml")).unwrap();
    let [one, two] = ["web1", "web2"].map(|alias| fleet.host(alias).port);
    fleet.setup.write(
        "servers.yml",
        &servers.replace(&two.to_string(), &one.to_string()),
    );
    fleet.setup.env("MCP_SSH_SANDBOX", "off");
    let server = Server::start(&fleet.setup);
    fleet.setup.write("servers.yml", &servers);
    let taken = server.call("ssh_reload_config", json!({}));
    assert_eq!(structured(&taken).unwrap()["status"], "reloaded", "{taken}");
    assert_eq!(server.run("web2", "true")["exit_code"], 0);
}
