//! Promise: larger files travel between a host and the server's own directory without passing
//! the client: whole or not at all, as they are, within bounded memory, and by the rules of
//! `files:`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::read_and_write::{code, place, policy, put};
use crate::common::{
    Era, Fleet, HostSpec, Launch, Scratch, Server, login, members, run_cli, text_of, wait_until,
};

/// More bytes than a channel's window and the buffers of its sockets hold.
const LARGER: usize = 24 << 20;

/// The local directory.
pub(crate) struct Local {
    _scratch: Scratch,
    pub(crate) path: PathBuf,
}

impl Local {
    fn new() -> Self {
        let scratch = Scratch::new("transfers");
        let path = fs::canonicalize(scratch.path()).unwrap();
        Self {
            _scratch: scratch,
            path,
        }
    }

    fn start(&self, fleet: &Fleet) -> Server {
        self.launch().start(&fleet.setup)
    }

    fn launch(&self) -> Launch {
        Launch::default().args(&["--transfer-dir", self.path.to_str().unwrap()])
    }

    /// All names in it, hidden ones included.
    fn names(&self) -> Vec<String> {
        names(&self.path)
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of every value, that do not repeat soon.
fn bytes(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut all = Vec::with_capacity(size + 8);
    while all.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all.extend_from_slice(&state.to_le_bytes());
    }
    all.truncate(size);
    all
}

fn put_bytes(path: &Path, content: &[u8]) {
    put(path, "");
    fs::write(path, content).unwrap();
}

fn fetch(server: &Server, path: &Path, more: Value) -> Value {
    call(server, "ssh_fetch_file", path, more)
}

fn send(server: &Server, name: &str, path: &Path, mut more: Value) -> Value {
    more["name"] = json!(name);
    call(server, "ssh_send_file", path, more)
}

fn call(server: &Server, tool: &str, path: &Path, more: Value) -> Value {
    server.call(tool, arguments(path, more))
}

fn arguments(path: &Path, more: Value) -> Value {
    let mut arguments = json!({"alias": "web1", "path": path});
    for (name, value) in more.as_object().unwrap() {
        arguments[name] = value.clone();
    }
    arguments
}

fn begin_fetch(server: &Server, path: &Path) -> Value {
    let call = json!({"name": "ssh_fetch_file", "arguments": arguments(path, json!({})), "_meta": {"progressToken": "t"}});
    server.begin("tools/call", call)
}

/// A host on which `head` gives the first half of a large file, and the rest once this exists.
fn slow_head(fleet: &Fleet, gate: &Path) {
    let script = format!(
        "#!/bin/sh\nfor at; do last=$at; done\n[ \"$2\" -ge 1000000 ] && [ ! -e '{gate}' ] || exec /usr/bin/head \"$@\"\n\
         /usr/bin/head -c 500000 \"$last\"\nuntil [ -e '{gate}' ]; do sleep 0.05; done\n\
         /usr/bin/tail -c +500001 \"$last\" | /usr/bin/head -c $(($2 - 500000))\n",
        gate = gate.display()
    );
    fleet.host("web1").stub("head", &script);
}

#[test]
fn files_of_any_content_and_size_come_and_go_as_they_are() {
    for spec in [HostSpec::new("web1"), HostSpec::new("web1").dropbear()] {
        let (_scratch, dir) = place();
        let fleet = Fleet::with(vec![spec]);
        fleet.setup.write("policy.yml", &policy(&dir, ""));
        let local = Local::new();
        let server = local.start(&fleet);
        let mut tricky =
            b"mcp-file:ok 5 600 0:0 1\n\0\xff\r\n\x1b[31mpassword=hunter2hunter2\nmcp-file:end "
                .to_vec();
        tricky.extend_from_slice(hash(b"").as_bytes());
        let contents = [
            Vec::new(),
            b"\n".to_vec(),
            tricky,
            bytes(32 * 1024),
            bytes(64 * 1024 + 1),
            bytes(3_000_000),
        ];
        for (number, content) in contents.iter().enumerate() {
            let there = dir.join(format!("it's {number} é.bin"));
            put_bytes(&there, content);
            let result = fetch(&server, &there, json!({"expected_sha256": hash(content)}));
            let fetched = members(&result);
            let name = fetched["name"].as_str().unwrap();
            assert_eq!(name, format!("it's {number} é.bin"), "{fetched}");
            assert_eq!(fetched["sha256"], hash(content), "{fetched}");
            assert_eq!(fetched["size"], content.len(), "{fetched}");
            assert_eq!(fetched["mode"], "666");
            let path = local.path.join(name);
            assert!(fs::read(&path).unwrap() == *content, "{number}");
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );

            let other = dir.join(format!("sent {number}"));
            let sent = members(&send(&server, name, &other, json!({"mode": "640"})));
            assert_eq!(
                (&sent["size"], &sent["sha256"], &sent["name"]),
                (&json!(content.len()), &json!(hash(content)), &json!(name)),
                "{sent}"
            );
            assert!(fs::read(&other).unwrap() == *content, "{number}");
            assert_eq!(
                fs::metadata(&other).unwrap().permissions().mode() & 0o777,
                0o640
            );
        }
        // In place of others: only what is asked for, and with its hash.
        let there = dir.join("it's 1 é.bin");
        put(&there, "new\n");
        assert_eq!(code(&fetch(&server, &there, json!({}))), "local:exists");
        let again = members(&fetch(&server, &there, json!({"overwrite": true})));
        assert_eq!(again["replaced"], true, "{again}");
        let target = dir.join("sent 3");
        let name = "it's 1 é.bin";
        assert_eq!(
            code(&send(&server, name, &target, json!({}))),
            "file:exists"
        );
        let wrong = json!({"how": "replace", "expected_sha256": hash(b"other")});
        assert_eq!(code(&send(&server, name, &target, wrong)), "file:changed");
        let right =
            json!({"how": "replace", "expected_sha256": hash(&contents[3]), "backup": true});
        let replaced = members(&send(&server, name, &target, right));
        assert_eq!(
            replaced["replaced_sha256"],
            hash(&contents[3]),
            "{replaced}"
        );
        assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
        let backup = replaced["backup"].as_str().unwrap();
        assert!(fs::read(backup).unwrap() == contents[3]);
        // Nothing beside, here or there.
        assert_eq!(local.names().len(), contents.len(), "{:?}", local.names());
        assert_eq!(
            names(&dir).len(),
            2 * contents.len() + 1,
            "{:?}",
            names(&dir)
        );

        // Size and hash are on record on both ways, the content nowhere.
        let done = server.finish();
        let decided = |doing: &str| {
            let mut records = done.records.iter();
            let is_it = |record: &&Value| {
                record["type"] == "policy_decision" && record["file"]["doing"] == doing
            };
            records
                .find(is_it)
                .unwrap_or_else(|| panic!("no {doing}"))
                .clone()
        };
        assert_eq!(decided("fetch")["file"]["local"], "it's 0 é.bin");
        assert_eq!(decided("send")["stdin"]["sha256"], hash(b""));
        let ends = done
            .records
            .iter()
            .filter(|record| record["type"] == "audit");
        let transferred: Vec<_> = ends.map(|end| &end["transferred"]["sha256"]).collect();
        for content in &contents {
            let both = transferred
                .iter()
                .filter(|found| **found == hash(content).as_str());
            assert_eq!(both.count(), 2, "{transferred:?}");
        }
        assert!(!done.log.contains("hunter2"), "{}", done.log);
    }
}

/// The most that the server has had resident, in KiB.
fn peak(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid)).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse().unwrap()
}

#[test]
fn a_large_file_takes_no_more_memory_and_says_how_far_it_is() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    let quick = policy(&dir, "").replacen("limits:\n", "limits:\n  task_progress_interval: 1\n", 1);
    fleet.setup.write("policy.yml", &quick);
    let content = bytes(64 << 20);
    let there = dir.join("large");
    put_bytes(&there, &content);
    let gate = dir.join("gate");
    slow_head(&fleet, &gate);
    let local = Local::new();
    let server = local.start(&fleet);
    server.run("web1", "true");
    let before = peak(&server);
    let id = begin_fetch(&server, &there);
    let told = server.wait_frame("progress with a total", |frame| {
        frame["method"] == "notifications/progress"
            && frame["params"]["total"].as_f64() == Some(67_108_864.0)
    });
    assert!(told["params"]["progress"].as_f64().unwrap() > 0.0, "{told}");
    let message = told["params"]["message"].as_str().unwrap();
    assert!(message.contains("of 67108864 bytes"), "{message}");
    put(&gate, "");
    let fetched = server.response(&id);
    assert_eq!(
        members(&fetched["result"])["sha256"],
        hash(&content),
        "{fetched}"
    );
    let other = dir.join("back");
    let sent = members(&send(&server, "large", &other, json!({})));
    assert_eq!(sent["sha256"], hash(&content), "{sent}");
    assert!(fs::read(&other).unwrap() == content);
    let grown = peak(&server) - before;
    assert!(grown < 12 * 1024, "{grown} KiB");
    let frames = server.frames();
    let values: Vec<f64> = frames
        .iter()
        .filter(|frame| frame["method"] == "notifications/progress")
        .map(|frame| frame["params"]["progress"].as_f64().unwrap())
        .collect();
    assert!(
        values.windows(2).all(|pair| pair[0] < pair[1]),
        "{values:?}"
    );
}

#[test]
fn what_is_ended_early_leaves_nothing_half_written() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let there = dir.join("large");
    put_bytes(&there, &bytes(2_000_000));
    let gate = dir.join("gate");
    slow_head(&fleet, &gate);
    let local = Local::new();
    let server = local.start(&fleet);
    let under_way = || local.names().iter().any(|name| name.ends_with(".part"));
    // A fetch that is taken back.
    let id = begin_fetch(&server, &there);
    wait_until("the file is being fetched", under_way);
    server.notify("notifications/cancelled", json!({"requestId": id}));
    wait_until("nothing is left", || local.names().is_empty());
    let end = server.wait_record("the end", |record| record["type"] == "audit");
    assert_eq!(
        (&end["cancelled"], end.get("transferred")),
        (&json!(true), None)
    );

    // A server that is killed: what it left has no name that anybody asks for, and the next
    // one sweeps it, but not what another one makes.
    begin_fetch(&server, &there);
    wait_until("the file is being fetched", under_way);
    server.signal(Signal::SIGKILL);
    server.wait_exit();
    assert!(!local.path.join("large").exists());
    let left = local.names();
    assert_eq!(left.len(), 1, "{left:?}");
    let other = local.start(&fleet);
    assert!(local.names().is_empty(), "{:?}", local.names());
    let id = begin_fetch(&other, &there);
    wait_until("the file is being fetched", under_way);
    let third = local.start(&fleet);
    third.tool("ssh_ping", json!({}));
    assert!(under_way(), "another server took it away");
    put(&gate, "");
    let fetched = members(&other.response(&id)["result"]);
    assert_eq!(fetched["size"], 2_000_000, "{fetched}");
    assert_eq!(local.names(), ["large"]);

    // A file on its way to the host, more than fits into what lies between.
    fs::remove_file(&gate).unwrap();
    fs::write(local.path.join("larger"), vec![7; LARGER]).unwrap();
    let slow = format!(
        "#!/bin/sh\n/usr/bin/head -c 500000\n: >'{0}.begun'\nuntil [ -e '{0}' ]; do sleep 0.05; done\nexec cat\n",
        gate.display()
    );
    fleet.host("web1").stub("dd", &slow);
    let begun = PathBuf::from(format!("{}.begun", gate.display()));
    let before = || {
        let _ = fs::remove_file(&begun);
    };
    let call = json!({"name": "ssh_send_file", "arguments": arguments(&dir.join("sent"), json!({"name": "larger"}))});
    before();
    let id = other.begin("tools/call", call.clone());
    wait_until("the file is being sent", || begun.exists());
    other.notify("notifications/cancelled", json!({"requestId": id}));
    let beside = || names(&dir).iter().any(|name| name.starts_with(".mcp-ssh"));
    wait_until("nothing is left on the host", || !beside());
    before();
    other.begin("tools/call", call);
    wait_until("the file is being sent", || begun.exists());
    assert!(beside());
    other.signal(Signal::SIGKILL);
    other.wait_exit();
    put(&gate, "");
    wait_until("nothing is left on the host", || !beside());
    assert!(!dir.join("sent").exists());
    assert_eq!(local.names(), ["large", "larger"]);
}

#[test]
fn what_takes_away_hears_no_second_signal() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let local = Local::new();
    fs::write(local.path.join("larger"), vec![7; LARGER]).unwrap();
    let begun = dir.join("begun");
    let host = fleet.host("web1");
    // Where a command may be too young to have heard it, a signal is sent again.
    host.stub("rm", "#!/bin/sh\nsleep 0.2\nexec /bin/rm \"$@\"\n");
    let slow = format!("#!/bin/sh\n: >'{}'\nexec sleep 60\n", begun.display());
    host.stub("dd", &slow);
    let server = local.start(&fleet);
    let call = json!({"name": "ssh_send_file", "arguments": arguments(&dir.join("sent"), json!({"name": "larger"}))});
    let id = server.begin("tools/call", call);
    wait_until("the file is being sent", || begun.exists());
    server.notify("notifications/cancelled", json!({"requestId": id}));
    wait_until("nothing is left on the host", || names(&dir) == ["begun"]);
}

#[test]
fn a_local_name_is_one_plain_file() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let there = dir.join("there");
    put(&there, "there\n");
    put(&dir.join(".hidden"), "hidden\n");
    let local = Local::new();
    let outside = Scratch::new("outside");
    fs::write(outside.path().join("secret"), "secret\n").unwrap();
    let secret = outside.path().join("secret");
    symlink(&secret, local.path.join("link")).unwrap();
    symlink("nowhere", local.path.join("dangling")).unwrap();
    symlink(outside.path(), local.path.join("linked-dir")).unwrap();
    fs::create_dir(local.path.join("inner")).unwrap();
    fs::hard_link(&secret, local.path.join("second")).unwrap();
    fs::write(local.path.join("fine"), "fine\n").unwrap();
    let all = nix::sys::stat::Mode::from_bits_truncate(0o666);
    nix::unistd::mkfifo(&local.path.join("pipe"), all).unwrap();
    let before = local.names();
    let server = local.start(&fleet);
    for name in [
        "../fine",
        "/etc/passwd",
        "inner/x",
        "linked-dir/secret",
        "..",
        ".",
        ".hidden",
        "a\nb",
        "a\u{202e}b",
        &"x".repeat(201),
    ] {
        for tool in ["ssh_fetch_file", "ssh_send_file"] {
            let result = call(&server, tool, &dir.join("new"), json!({"name": name}));
            assert_eq!(result["isError"], true);
            let said = text_of(&result);
            assert!(said.contains("one plain file name"), "{name:?}: {said}");
        }
    }
    // The file's own name is no local one.
    let result = fetch(&server, &dir.join(".hidden"), json!({}));
    assert!(text_of(&result).contains("give name"), "{result}");
    for (name, sends, fetches) in [
        ("link", "local:kind", "local:kind"),
        ("dangling", "local:kind", "local:kind"),
        ("linked-dir", "local:kind", "local:kind"),
        ("inner", "local:kind", "local:kind"),
        ("pipe", "local:kind", "local:kind"),
        ("second", "local:names", ""),
        ("none", "local:missing", ""),
    ] {
        let result = send(&server, name, &dir.join("new"), json!({}));
        assert_eq!(code(&result), sends, "{name}: {result}");
        if !fetches.is_empty() {
            let result = fetch(&server, &there, json!({"name": name}));
            assert_eq!(code(&result), "local:exists", "{name}: {result}");
            let result = fetch(&server, &there, json!({"name": name, "overwrite": true}));
            assert_eq!(code(&result), fetches, "{name}: {result}");
        }
    }
    assert!(!dir.join("new").exists());
    assert_eq!(local.names(), before);
    // What has another name is replaced by name: the other keeps what it holds.
    members(&fetch(
        &server,
        &there,
        json!({"name": "second", "overwrite": true}),
    ));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret\n");
    assert_eq!(
        fs::read_to_string(local.path.join("second")).unwrap(),
        "there\n"
    );
    assert_eq!(local.names(), before);
}

#[test]
fn what_changes_meanwhile_is_not_kept() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let there = dir.join("there");
    let local = Local::new();
    let server = local.start(&fleet);
    let host = fleet.host("web1");
    let (path, mine) = (there.display(), local.path.join("there"));
    // Somebody on the host changes what is being read, in place, or cuts it off; or somebody
    // here makes a file of that name.
    fs::set_permissions(&local.path, fs::Permissions::from_mode(0o711)).unwrap();
    let begun = dir.join("begun");
    for (effect, expected) in [
        (
            format!("printf X | dd of='{path}' conv=notrunc 2>/dev/null"),
            "local:torn",
        ),
        (format!("printf short >'{path}'"), "local:torn"),
    ] {
        put_bytes(&there, &bytes(100_000));
        let script = format!("#!/bin/sh\n/usr/bin/head \"$@\"\n{effect}\n");
        host.stub("head", &script);
        let result = fetch(&server, &there, json!({}));
        assert_eq!(code(&result), expected, "{effect}: {result}");
        assert!(local.names().is_empty(), "{:?}", local.names());
    }
    put_bytes(&there, &bytes(100_000));
    // It is shorter than it said from the first byte on.
    host.stub("head", "#!/bin/sh\nexec /usr/bin/head -c 5000 \"$3\"\n");
    assert_eq!(code(&fetch(&server, &there, json!({}))), "local:torn");
    assert!(local.names().is_empty());
    // A name that is taken while the file travels keeps what it has.
    let gate = dir.join("gate");
    put_bytes(&there, &bytes(2_000_000));
    slow_head(&fleet, &gate);
    let id = begin_fetch(&server, &there);
    wait_until("the file is being fetched", || !local.names().is_empty());
    fs::write(&mine, "mine\n").unwrap();
    put(&gate, "");
    let result = server.response(&id);
    assert_eq!(code(&result["result"]), "local:exists", "{result}");
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine\n");
    assert_eq!(local.names(), ["there"]);
    // It is not the one that was meant.
    let asked = json!({"overwrite": true, "expected_sha256": hash(b"other")});
    let result = fetch(&server, &there, asked);
    assert_eq!(code(&result), "local:unexpected", "{result}");
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine\n");

    // What is sent changes after it was looked at: the host says when.
    let wait = format!(
        "#!/bin/sh\n: >'{0}'\nuntil [ ! -e '{0}' ]; do sleep 0.05; done\nexec /usr/bin/mktemp \"$@\"\n",
        begun.display()
    );
    host.stub("mktemp", &wait);
    for length in [LARGER as u64, LARGER as u64 - 1] {
        fs::write(&mine, vec![7; LARGER]).unwrap();
        let call = arguments(&dir.join("new"), json!({"name": "there"}));
        let id = server.begin_call("ssh_send_file", call);
        wait_until("the host is about to take it", || begun.exists());
        // The very file that was opened, in what cannot be on its way yet.
        let file = fs::OpenOptions::new().write(true).open(&mine).unwrap();
        file.set_len(length).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", length - 1).unwrap();
        fs::remove_file(&begun).unwrap();
        let result = server.response(&id);
        assert_eq!(code(&result["result"]), "local:changed", "{result}");
        assert!(!dir.join("new").exists());
    }
    let beside: Vec<_> = names(&dir)
        .into_iter()
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(beside.is_empty(), "{beside:?}");
}

#[test]
fn rules_and_limits_hold_for_transfers_as_for_reading_and_writing() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    let all = dir.display();
    let more = format!(
        "  - action: deny\n    read: [\"{all}/*.key\"]\n    write: [\"{all}/*.key\"]\n  \
         - action: ask\n    read: [\"{all}/asked\"]\n    write: [\"{all}/asked\"]\n\
         overrides:\n  aliases:\n    web1: {{max_transfer_bytes: 1000}}\n"
    );
    fleet.setup.write("policy.yml", &policy(&dir, &more));
    let local = Local::new();
    fs::write(local.path.join("small"), "small\n").unwrap();
    fs::write(local.path.join("large"), bytes(1_001)).unwrap();
    put_bytes(&dir.join("large"), &bytes(1_001));
    put(&dir.join("asked"), "asked\n");
    symlink(dir.join("asked"), dir.join("link")).unwrap();
    let server = local.start(&fleet);
    for (path, fetches, sends) in [
        ("/etc/hostname".to_owned(), "file:no-rule", "file:no-rule"),
        (format!("{all}/a.KEY"), "deny-rule", "deny-rule"),
        (
            format!("{all}/asked"),
            "approval:unavailable",
            "approval:unavailable",
        ),
    ] {
        let path = Path::new(&path);
        assert_eq!(code(&fetch(&server, path, json!({"name": "x"}))), fetches);
        assert_eq!(code(&send(&server, "small", path, json!({}))), sends);
    }
    assert!(fleet.machines.iter().all(|host| host.logins() == 0));
    assert_eq!(
        code(&fetch(&server, &dir.join("large"), json!({"name": "x"}))),
        "file:large"
    );
    assert_eq!(
        code(&fetch(&server, &dir.join("link"), json!({}))),
        "file:link"
    );
    assert_eq!(
        code(&fetch(&server, &dir.join("none"), json!({}))),
        "file:missing"
    );
    let result = send(&server, "large", &dir.join("x"), json!({}));
    assert_eq!(code(&result), "local:large");
    assert!(
        text_of(&result).contains("1001 bytes of at most 1000"),
        "{result}"
    );
    let replacing = json!({"how": "replace"});
    assert_eq!(
        code(&send(&server, "small", &dir.join("large"), replacing)),
        "file:large"
    );
    let result = send(&server, "small", &dir.join("x"), json!({"how": "append"}));
    assert!(text_of(&result).contains("create or replace"), "{result}");
    // What nobody waits for may take longer than a run, and so may this.
    let patient = json!({"timeout": 3_600});
    assert_eq!(
        members(&send(&server, "small", &dir.join("x"), patient))["size"],
        6
    );
    let impatient = json!({"timeout": 3_601, "name": "x"});
    let result = fetch(&server, &dir.join("x"), impatient);
    assert!(text_of(&result).contains("at most 3600 s"), "{result}");
    assert_eq!(local.names(), ["large", "small"]);
    server.finish();

    // A person is shown both ends, and the hash.
    let asking = Launch::era(Era::V2025_11_25).capabilities(json!({"elicitation": {}}));
    let args = ["--transfer-dir", local.path.to_str().unwrap()];
    let server = asking.args(&args).start(&fleet.setup);
    let asked = arguments(
        &dir.join("asked"),
        json!({"name": "small", "how": "replace"}),
    );
    let id = server.begin_call("ssh_send_file", asked);
    let asked = server.wait_frame("a question", |frame| {
        frame["method"] == "elicitation/create"
    });
    let message = asked["params"]["message"].as_str().unwrap();
    for part in ["ssh_send_file", "from small", "6 bytes", &hash(b"small\n")] {
        assert!(message.contains(part), "{message}");
    }
    server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {}}}));
    assert_eq!(members(&server.response(&id)["result"])["size"], 6);
    assert_eq!(fs::read_to_string(dir.join("asked")).unwrap(), "small\n");
}

#[test]
fn there_are_transfers_only_where_the_operator_gave_a_directory() {
    let fleet = Fleet::of(&["web1"]);
    let listed = |server: &Server| {
        let tools = server.request("tools/list", json!({}))["tools"].clone();
        let named = |name| {
            tools
                .as_array()
                .unwrap()
                .iter()
                .any(|tool| tool["name"] == name)
        };
        (named("ssh_fetch_file"), named("ssh_send_file"))
    };
    let server = Server::start(&fleet.setup);
    assert_eq!(listed(&server), (false, false));
    let call = json!({"alias": "web1", "path": "/etc/hostname"});
    let said = server.tool_error("ssh_fetch_file", call);
    assert!(said.contains("--transfer-dir"), "{said}");
    server.finish();
    let local = Local::new();
    let server = local.start(&fleet);
    assert_eq!(listed(&server), (true, true));
    server.finish();

    // Nothing may become a rule, a key or a record, nor be anybody's.
    let wrong = Scratch::new("wrong");
    fs::set_permissions(wrong.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let link = local.path.join("link");
    symlink(&local.path, &link).unwrap();
    let above = fleet.setup.keys.parent().unwrap();
    for (path, said) in [
        (fleet.setup.config.as_path(), "the config directory is this"),
        (&fleet.setup.keys, "the keys directory is this"),
        (above, "lies beneath it"),
        (wrong.path(), "everybody can write"),
        (&link, "link"),
        (Path::new("/nowhere"), "No such file"),
    ] {
        let args = ["check", "--transfer-dir", path.to_str().unwrap()];
        let output = run_cli(&fleet.setup, &args);
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.contains("transfer_dir"));
        let found = line.is_some_and(|line| line.contains(said)) || said == "link";
        assert!(found, "{said}: {text}");
        let args = ["serve", "--transfer-dir", path.to_str().unwrap()];
        let output = run_cli(&fleet.setup, &args);
        assert!(!output.status.success(), "{path:?}");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(log.contains("--transfer-dir: "), "{log}");
    }
    let args = ["check", "--transfer-dir", local.path.to_str().unwrap()];
    let output = run_cli(&fleet.setup, &args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("transfer_dir"),
        "{text}"
    );
}

#[test]
fn files_of_root_travel_by_sudo_with_its_password() {
    let fleet = Fleet::of(&["web1"]);
    login().make_sudoer();
    let dir = PathBuf::from(format!(
        "/run/mcp-ssh-orchestrator-test/transfer-{}",
        std::process::id()
    ));
    fs::create_dir_all(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    let all = dir.display();
    let rules = format!(
        "files:\n  - action: allow\n    sudo: true\n    read: [\"{all}/**\"]\n    write: [\"{all}/**\"]\n"
    );
    let policy = crate::common::policy_allowing(&["true"]) + &rules;
    fleet.setup.write("policy.yml", &policy);
    fleet.setup.secret("sudo_word", login().password());
    fleet.log_in_with(&["key_path: id_fleet", "sudo: {password_secret: sudo_word}"]);
    let local = Local::new();
    let content = bytes(400_000);
    fs::write(local.path.join("x"), &content).unwrap();
    let server = local.start(&fleet);
    let path = dir.join("x");
    let sent = members(&send(&server, "x", &path, json!({"sudo": true})));
    assert_eq!(sent["sha256"], hash(&content), "{sent}");
    assert!(fs::read(&path).unwrap() == content);
    let fetched = members(&fetch(&server, &path, json!({"sudo": true, "name": "y"})));
    assert_eq!(fetched["sha256"], hash(&content), "{fetched}");
    assert!(fs::read(local.path.join("y")).unwrap() == content);
    let refused = fetch(&server, &path, json!({"name": "z"}));
    assert_eq!(code(&refused), "file:directory", "{refused}");
    fs::remove_dir_all(dir).unwrap();
}
