//! Promise: what a host asks at a login can be typed by the operator while the login waits. It
//! goes to that one login, lies nowhere in the clear, and is in no log and no answer; where
//! nobody types it, the error says who has to do what.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::questions::{Asking, KEY, code, fleet};
use crate::common::{Fleet, Server, login, members, run_cli, tool, wait_until};
use crate::tasks::operator_approvals::{Desk, OPERATOR};

const ASK: &str = "prompts: [{text: \"*One-time password (OATH)*\", ask: operator}]";

/// A host that takes a key, then a one-time password.
fn asked(asking: &Asking) -> Fleet {
    let fleet = fleet(asking, "publickey,keyboard-interactive");
    fleet.log_in_with(&[KEY, ASK]);
    fleet
}

fn begin(server: &Server) -> Value {
    server.begin_call("ssh_run", json!({"alias": "web1", "command": "echo hello"}))
}

fn end(server: &Server, id: &Value) -> Value {
    members(&server.response(id)["result"])
}

/// A subcommand as the operator, who types this.
fn types(desk: &Desk, args: &[&str], text: &str) -> (bool, String) {
    let mut command = Command::new(desk.program());
    command.args(args).args(["--approvals-dir", desk.path()]);
    command.env_clear().uid(OPERATOR).gid(OPERATOR);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended without a look at what is typed.
    match child.stdin.take().unwrap().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn granted(desk: &Desk) -> Vec<PathBuf> {
    let entries = fs::read_dir(PathBuf::from(desk.path()).join("grants")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_code_is_typed_while_the_login_waits() {
    let asking = Asking::new("typed", false);
    let fleet = asked(&asking);
    let desk = Desk::new(&fleet);
    let server = desk.start(&fleet, json!({}));
    let running = begin(&server);
    let question = desk.waiting("login");
    let id = question["id"].as_str().unwrap().to_owned();
    let (_, page) = desk.operator(&["approvals"]);
    for words in [
        &id,
        "host     web1",
        &format!("user     {}", login().name),
        "One-time password (OATH)",
        "says the host",
    ] {
        assert!(page.contains(words), "{words} in\n{page}");
    }
    // What lies there for a moment is of use to nobody: the server does not fetch it yet.
    server.signal(Signal::SIGSTOP);
    let word = code(0);
    let (done, said) = std::thread::scope(|scope| {
        let typing = scope.spawn(|| types(&desk, &["approve", &id], &format!("{word}\n")));
        let mut lay = String::new();
        wait_until("the answer lies there", || {
            let found = granted(&desk)
                .into_iter()
                .find(|path| path.extension().is_some_and(|it| it == "login"));
            lay = found
                .and_then(|path| fs::read_to_string(path).ok())
                .unwrap_or_default();
            lay.ends_with('}')
        });
        server.signal(Signal::SIGCONT);
        assert!(!lay.contains(&word), "{lay}");
        typing.join().unwrap()
    });
    assert!(
        done && said.contains("given to the login") && !said.contains(&word),
        "{said}"
    );
    let ran = end(&server, &running);
    assert_eq!(
        (&ran["exit_code"], &ran["output"]),
        (&json!(0), &json!("hello")),
        "{ran}"
    );
    assert_eq!((desk.requests(), granted(&desk).len()), (0, 0));
    let record = server.wait_type("login_question");
    assert_eq!(
        (&record["alias"], &record["outcome"]),
        (&json!("web1"), &json!("answered"))
    );
    // The session is kept, and asks nobody again.
    assert_eq!(server.run("web1", "echo again")["output"], "again");
    assert_eq!(fleet.host("web1").logins(), 1);
    let done = server.finish();
    assert!(!done.log.contains(&word), "{}", done.log);
    let frames = done.records.len();
    assert!(frames > 0);
}

#[test]
fn what_is_typed_at_a_terminal_is_not_shown() {
    let asking = Asking::new("terminal", false);
    let fleet = asked(&asking);
    let desk = Desk::new(&fleet);
    let server = desk.start(&fleet, json!({}));
    let script = "import os, pty, signal, sys\n\
        signal.alarm(60)\n\
        pid, fd = pty.fork()\n\
        if pid == 0: os.setgid(4242), os.setuid(4242), os.execv(sys.argv[1], sys.argv[1:2] + ['approvals', '--watch', '--approvals-dir', sys.argv[2]])\n\
        seen = b''\n\
        def until(words):\n    global seen\n    while words not in seen: seen += os.read(fd, 4096)\n\
        until(b'Type the answer')\n\
        os.write(fd, sys.argv[3].encode() + b'\\n')\n\
        until(b'to the login')\n\
        os.kill(pid, 9)\n\
        print(seen.decode())\n";
    let word = code(0);
    let mut watch = Command::new(tool("python3"));
    watch
        .args(["-c", script])
        .arg(desk.program())
        .args([desk.path(), &word]);
    watch.stdout(Stdio::piped());
    let watch = watch.spawn().unwrap();
    let running = begin(&server);
    let ran = end(&server, &running);
    assert_eq!(ran["output"], "hello", "{ran}");
    let shown = watch.wait_with_output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("One-time password") && !shown.contains(&word),
        "{shown}"
    );
}

#[test]
fn where_nobody_answers_it_is_said_who_has_to() {
    let asking = Asking::new("silent", false);
    let fleet = asked(&asking);
    // Nobody can be asked.
    let check = run_cli(&fleet.setup, &["check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(
        text.contains("ask: operator") && text.contains("--approvals-dir"),
        "{text}"
    );
    let server = Server::start(&fleet.setup);
    let ran = server.run("web1", "echo hello");
    assert_eq!(ran["code"], "login:operator", "{ran}");
    let details = server.wait_type("error_details").to_string();
    assert!(
        details.contains("start the server with --approvals-dir"),
        "{details}"
    );
    server.finish();

    let desk = Desk::new(&fleet);
    let quick =
        crate::common::policy_allowing(&["echo *"]).replace("max_seconds: 30", "max_seconds: 4");
    fleet.setup.write("policy.yml", &quick);
    let server = desk.start(&fleet, json!({}));
    // Nobody is there.
    let running = begin(&server);
    desk.waiting("login");
    let ran = end(&server, &running);
    assert_eq!(ran["code"], "login:operator", "{ran}");
    assert!(ran.to_string().contains("approvals --watch"), "{ran}");
    let details = server.wait_type("error_details").to_string();
    for words in ["One-time password", "nobody did in", "approvals --watch"] {
        assert!(details.contains(words), "{details}");
    }
    assert_eq!(desk.requests(), 0);
    // Somebody says no, or types what the host does not take.
    let running = begin(&server);
    let id = desk.waiting("login")["id"].as_str().unwrap().to_owned();
    let (done, said) = desk.operator(&["deny", &id]);
    assert!(done && said.contains("declined"), "{said}");
    let ran = end(&server, &running);
    assert!(ran.to_string().contains("declined"), "{ran}");
    let slow = crate::common::policy_allowing(&["echo *"]);
    fleet.setup.write("policy.yml", &slow);
    let running = begin(&server);
    let id = desk.waiting("login")["id"].as_str().unwrap().to_owned();
    let (done, said) = types(&desk, &["approve", &id], "\n");
    assert!(!done && said.contains("still waits"), "{said}");
    let (done, said) = types(&desk, &["approve", &id], "00000000\n");
    assert!(done, "{said}");
    let ran = end(&server, &running);
    assert_eq!(ran["code"], "login:refused", "{ran}");
    // A login that nobody waits for takes its question back.
    let running = begin(&server);
    desk.waiting("login");
    server.notify("notifications/cancelled", json!({"requestId": running}));
    wait_until("the question is gone", || desk.requests() == 0);
    let (done, said) = types(&desk, &["approve", &id], "12345678\n");
    assert!(!done && said.contains("no request"), "{said}");
    let outcomes: Vec<_> = server
        .records()
        .iter()
        .filter(|record| record["event_type"] == "login_question")
        .map(|record| record["outcome"].clone())
        .collect();
    assert_eq!(
        outcomes[..3],
        [json!("timeout"), json!("declined"), json!("answered")]
    );
}

#[test]
fn only_the_operators_own_answer_to_this_question_counts() {
    let asking = Asking::new("forged", false);
    let fleet = asked(&asking);
    let desk = Desk::new(&fleet);
    let server = desk.start(&fleet, json!({}));
    let old = |question: &Value| json!({"id": question["id"], "at": question["asked"].as_u64().unwrap() + 1, "until": question["until"], "sealed": "AAAA"});
    type Forge<'a> = &'a dyn Fn(&Value) -> (String, u32, u32);
    let forgeries: [(Forge<'_>, &str); 4] = [
        (
            &|question| (old(question).to_string(), 0, 0o644),
            "grant_not_of_the_operator",
        ),
        (
            &|question| (old(question).to_string(), OPERATOR, 0o666),
            "grant_not_of_the_operator",
        ),
        (
            &|question| (old(question).to_string(), OPERATOR, 0o644),
            "grant_of_another_question",
        ),
        (&|_| ("{}".to_owned(), OPERATOR, 0o644), "grant_malformed"),
    ];
    for (forge, said) in forgeries {
        let running = begin(&server);
        let question = desk.waiting("login");
        let (text, owner, mode) = forge(&question);
        let place = PathBuf::from(desk.path());
        let making = place.join("making");
        fs::write(&making, text).unwrap();
        fs::set_permissions(&making, fs::Permissions::from_mode(mode)).unwrap();
        chown(&making, Some(owner), Some(owner)).unwrap();
        let name = format!("{}.login", question["id"].as_str().unwrap());
        fs::rename(&making, place.join("grants").join(&name)).unwrap();
        let ran = end(&server, &running);
        assert_eq!(ran["code"], "login:operator", "{ran}");
        server.wait_record(said, |record| {
            record["msg"] == "error_details" && record.to_string().contains(said)
        });
        fs::remove_file(place.join("grants").join(name)).unwrap();
    }
    assert_eq!(fleet.host("web1").logins(), 0);
}
