//! A file is read in part and written whole, where `files:` says so; hash and size are on
//! record, never the content.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::{
    Era, Fleet, HostSpec, Launch, Scratch, Server, login, members, policy_allowing, text_of,
};

pub(super) fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A directory that the login may use, by its real name.
pub(super) fn place() -> (Scratch, PathBuf) {
    let scratch = Scratch::new("files");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let real = fs::canonicalize(scratch.path()).unwrap();
    (scratch, real)
}

/// All below `dir` may be read and written; more rules of `files:` follow.
pub(super) fn policy(dir: &Path, more: &str) -> String {
    let all = dir.display();
    policy_allowing(&["true"])
        + &format!(
            "files:\n  - action: allow\n    read: [\"{all}/**\"]\n    write: [\"{all}/**\"]\n{more}"
        )
}

/// Puts a file there for the login to own, as far as this user can.
pub(super) fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    let owner = fs::metadata(&login().home).unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
}

pub(super) fn write(server: &Server, path: &Path, more: Value) -> Value {
    let mut arguments = json!({"alias": "web1", "path": path});
    for (name, value) in more.as_object().unwrap() {
        arguments[name] = value.clone();
    }
    server.call("ssh_write_file", arguments)
}

/// The refusal's code.
pub(super) fn code(result: &Value) -> String {
    assert_eq!(result["isError"], true, "{result}");
    let members: Value = serde_json::from_str(&text_of(result)).unwrap();
    members["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_file_is_made_read_replaced_and_added_to() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let server = Server::start(&fleet.setup);
    let path = dir.join("it's a file é !$x");
    let first = "  one\n\ttwo\n".to_owned();
    let made = members(&write(&server, &path, json!({"content": first})));
    assert_eq!(
        (&made["size"], &made["sha256"]),
        (&json!(first.len()), &json!(hash(&first))),
        "{made}"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let decided = server.wait_record("a decision", |record| {
        record["type"] == "policy_decision" && record["file"]["doing"] == "write"
    });
    assert_eq!(decided["file"]["path"], path.to_str().unwrap());
    assert_eq!(decided["stdin"]["sha256"], hash(&first));

    let read = server.tool("ssh_read_file", json!({"alias": "web1", "path": path}));
    assert_eq!(
        (&read["content"], &read["sha256"]),
        (&json!(first), &json!(hash(&first)))
    );
    assert_eq!(
        (read.get("altered"), &read["mode"]),
        (None, &json!("600")),
        "{read}"
    );

    // Large, in place of what was read, with a backup and other rights.
    let large: String = (0..40_000).map(|n| format!("line {n:07}\n")).collect();
    let more = json!({"content": large, "how": "replace", "expected_sha256": hash(&first), "backup": true, "mode": "0640"});
    let replaced = members(&write(&server, &path, more));
    assert_eq!(replaced["replaced_sha256"], hash(&first), "{replaced}");
    assert_eq!(
        fs::read_to_string(replaced["backup"].as_str().unwrap()).unwrap(),
        first
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );

    let added = members(&write(
        &server,
        &path,
        json!({"content": "end\n", "how": "append"}),
    ));
    assert_eq!(added["sha256"], hash(&format!("{large}end\n")), "{added}");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );

    // In parts.
    let part = json!({"alias": "web1", "path": path, "offset": 13, "limit": 26});
    let part = server.tool("ssh_read_file", part);
    assert_eq!(part["content"], "line 0000001\nline 0000002\n");
    assert_eq!(
        (&part["next_offset"], &part["size"]),
        (&json!(39), &json!(large.len() + 4))
    );
    let lines = json!({"alias": "web1", "path": path, "from_line": 40_000, "lines": 5});
    assert_eq!(
        server.tool("ssh_read_file", lines)["content"],
        "line 0039999\nend\n"
    );
    let beyond = json!({"alias": "web1", "path": path, "offset": 99_000_000});
    assert_eq!(server.tool("ssh_read_file", beyond)["content"], "");

    // Nothing lies beside it, and nothing of it is in the log.
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    let done = server.finish();
    assert!(!done.log.contains("line 00"), "{}", done.log);
}

#[test]
fn what_cannot_be_shown_as_it_is_is_said_so() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let server = Server::start(&fleet.setup);
    for text in [
        "a\u{1b}[31mb\n",
        "password=hunter2hunter2\n",
        "tab\tis fine\n",
    ] {
        let path = dir.join("x");
        put(&path, text);
        let read = server.tool("ssh_read_file", json!({"alias": "web1", "path": path}));
        let altered = read["content"] != text;
        assert_eq!(read.get("altered").is_some(), altered, "{read}");
        assert_eq!(altered, !text.starts_with("tab"), "{read}");
    }
}

#[test]
fn only_rules_on_files_let_files_be_read_and_written() {
    let (_scratch, dir) = place();
    let hosts = vec![
        HostSpec::new("web1"),
        HostSpec::new("bare").yaml("shell: direct"),
    ];
    let fleet = Fleet::with(hosts);
    let all = dir.display();
    let more = format!(
        "  - action: deny\n    write: [\"{all}/*.key\"]\n    read: [\"{all}/*.key\"]\n  \
         - action: ask\n    write: [\"{all}/asked/**\"]\n  \
         - action: allow\n    read: [\"/proc/**\"]\n    write: [\"/proc/**\"]\n"
    );
    let denied = format!("  - action: deny\n    paths: [\"{all}/*.env\"]\n");
    let text = policy(&dir, &more).replace("files:\n", &format!("{denied}files:\n"));
    fleet.setup.write("policy.yml", &text);
    fs::create_dir(dir.join("asked")).unwrap();
    let server = Server::start(&fleet.setup);
    for (alias, name, expected) in [
        ("web1", "/etc/hostname".to_owned(), "file:no-rule"),
        // By the kernel's links, and what a process holds.
        (
            "web1",
            "/proc/self/root/etc/shadow".to_owned(),
            "file:no-rule",
        ),
        ("web1", "/proc/1/environ".to_owned(), "file:no-rule"),
        ("web1", "/proc/self/task/1/fd/3".to_owned(), "file:no-rule"),
        (
            "web1",
            format!("/proc/self/root{all}/prod.env"),
            "deny-rule",
        ),
        ("web1", format!("{all}/Some.KEY"), "deny-rule"),
        ("web1", format!("{all}/prod.env"), "deny-rule"),
        ("bare", format!("{all}/x"), "file:shell"),
    ] {
        let result = server.call("ssh_read_file", json!({"alias": alias, "path": name}));
        assert_eq!(code(&result), expected, "{name}: {result}");
        let content = json!({"alias": alias, "path": name, "content": "x"});
        let result = server.call("ssh_write_file", content);
        assert_eq!(code(&result), expected, "{name}: {result}");
    }
    // A client that cannot ask a person.
    let asked = write(&server, &dir.join("asked/x"), json!({"content": "x"}));
    assert_eq!(code(&asked), "approval:unavailable");
    // By sudo only where the rule says so.
    let raised = write(
        &server,
        &dir.join("x"),
        json!({"content": "x", "sudo": true}),
    );
    assert_eq!(code(&raised), "file:no-rule");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    assert!(fleet.machines.iter().all(|host| host.logins() == 0));
}

#[test]
fn a_person_sees_path_and_content() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    let ask = policy(&dir, "").replacen("files:\n  - action: allow", "files:\n  - action: ask", 1);
    fleet.setup.write("policy.yml", &ask);
    let asking = Launch::era(Era::V2025_11_25).capabilities(json!({"elicitation": {}}));
    let server = asking.start(&fleet.setup);
    let call = json!({"alias": "web1", "path": dir.join("x"), "content": "hello\n", "mode": "644"});
    let id = server.begin_call("ssh_write_file", call);
    let asked = server.wait_frame("a question", |frame| {
        frame["method"] == "elicitation/create"
    });
    let message = asked["params"]["message"].as_str().unwrap();
    for part in ["ssh_write_file", "mode 644", "hello\\n", &hash("hello\n")] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!dir.join("x").exists());
    server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {}}}));
    assert_eq!(members(&server.response(&id)["result"])["size"], 6);
    assert_eq!(fs::read_to_string(dir.join("x")).unwrap(), "hello\n");
}
