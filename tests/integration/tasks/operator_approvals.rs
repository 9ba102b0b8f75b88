//! Promise: a rule with `approval: operator` is approved by the operator's user alone, out of
//! band, for exactly what was shown, once and in time. A client needs no elicitation for it,
//! and every grant that is not the operator's word on that very question is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::common::{Fleet, Launch, Scratch, Server, copy_program, members, run_cli, wait_until};

/// The operator: neither the server's user nor whoever started it.
pub(crate) const OPERATOR: u32 = 4_242;

/// Where the operator approves, and a program that the operator's user can run.
pub(crate) struct Desk {
    scratch: Scratch,
    program: PathBuf,
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

impl Desk {
    pub(crate) fn new(fleet: &Fleet) -> Self {
        assert!(
            is_root(),
            "another user's files are made here: run it as root"
        );
        let scratch = Scratch::new("desk");
        for (name, owner) in [("requests", 0), ("grants", OPERATOR)] {
            let path = scratch.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            chown(&path, Some(owner), Some(owner)).unwrap();
        }
        let program = scratch.path().join("program");
        let built = fleet.setup.command();
        copy_program(built.get_program(), &program);
        Self { scratch, program }
    }

    pub(crate) fn path(&self) -> &str {
        self.scratch.path().to_str().unwrap()
    }

    pub(crate) fn start(&self, fleet: &Fleet, capabilities: Value) -> Server {
        let args = ["--approvals-dir", self.path()];
        let launch = Launch::default().args(&args).capabilities(capabilities);
        launch.start(&fleet.setup)
    }

    /// A subcommand, as the operator.
    pub(crate) fn operator(&self, args: &[&str]) -> (bool, String) {
        let mut command = std::process::Command::new(&self.program);
        command.args(args).args(["--approvals-dir", self.path()]);
        command.env_clear().stdin(Stdio::null());
        command.uid(OPERATOR).gid(OPERATOR);
        said(&command.output().unwrap())
    }

    /// The program, as the operator's user runs it.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The one question that waits.
    pub(super) fn question(&self) -> Value {
        self.waiting("json")
    }

    /// The one file with this ending that waits.
    pub(crate) fn waiting(&self, ending: &str) -> Value {
        let mut found = None;
        wait_until("a question is put down", || {
            let entries = fs::read_dir(self.scratch.path().join("requests")).unwrap();
            found = entries
                .map(|entry| entry.unwrap().path())
                .find(|path| path.extension().is_some_and(|it| it == ending));
            found.is_some()
        });
        serde_json::from_slice(&fs::read(found.unwrap()).unwrap()).unwrap()
    }

    /// What `approve` would write for this question, were it the operator's own directory.
    fn grant_for(&self, fleet: &Fleet, question: &Value) -> Value {
        let other = Scratch::new("other");
        let name = format!("{}.json", question["id"].as_str().unwrap());
        for within in ["requests", "grants"] {
            fs::create_dir(other.path().join(within)).unwrap();
        }
        fs::write(
            other.path().join("requests").join(&name),
            question.to_string(),
        )
        .unwrap();
        let place = other.path().to_str().unwrap();
        let id = question["id"].as_str().unwrap();
        let args = ["approve", id, "--yes", "--approvals-dir", place];
        let output = run_cli(&fleet.setup, &args);
        assert!(output.status.success(), "{output:?}");
        let grant = other.path().join("grants").join(name);
        serde_json::from_slice(&fs::read(grant).unwrap()).unwrap()
    }

    /// Puts a file in the place of a grant.
    fn plant(&self, id: &str, text: &str, owner: u32, mode: u32) {
        let making = self.scratch.path().join("making");
        fs::write(&making, text).unwrap();
        fs::set_permissions(&making, fs::Permissions::from_mode(mode)).unwrap();
        chown(&making, Some(owner), Some(owner)).unwrap();
        fs::rename(&making, self.grant(id)).unwrap();
    }

    fn grant(&self, id: &str) -> PathBuf {
        self.scratch
            .path()
            .join("grants")
            .join(format!("{id}.json"))
    }

    pub(crate) fn requests(&self) -> usize {
        let entries = fs::read_dir(self.scratch.path().join("requests"));
        entries.unwrap().count()
    }
}

pub(super) fn said(output: &Output) -> (bool, String) {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

pub(super) fn policy(head: &str) -> String {
    let allowed = crate::common::policy_allowing(&["uptime"]);
    format!(
        "{head}{allowed}  - action: ask\n    trust_arguments: true\n    aliases: [\"*\"]\n    approval: operator\n    commands:\n      - \"echo *\"\n"
    )
}

pub(super) fn fleet(head: &str) -> Fleet {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(head));
    fleet
}

pub(super) fn call() -> Value {
    json!({"alias": "web1", "command": "echo  hello"})
}

pub(super) fn answer(server: &Server, id: &Value) -> Value {
    members(&server.response(id)["result"])
}

#[test]
fn the_operator_approves_and_refuses_without_the_client() {
    let fleet = fleet("");
    let desk = Desk::new(&fleet);
    let server = desk.start(&fleet, json!({}));
    let plan = server.tool("ssh_plan", call());
    assert!(
        plan["hint"].as_str().unwrap().contains("operator"),
        "{plan}"
    );
    let running = server.begin_call("ssh_run", call());
    let question = desk.question();
    let id = question["id"].as_str().unwrap();
    let (_, page) = desk.operator(&["approvals"]);
    for words in [
        id,
        "host     web1",
        "command  'echo' 'hello'",
        "policy.yml, line",
        "tests 1",
    ] {
        assert!(page.contains(words), "{words} in\n{page}");
    }
    // Not without a terminal, unless it is said.
    let (done, text) = desk.operator(&["approve", id]);
    assert!(!done && text.contains("--yes"), "{text}");
    let (done, text) = desk.operator(&["approve", id, "--yes"]);
    assert!(done && text.contains("approved"), "{text}");
    let ran = answer(&server, &running);
    assert_eq!(
        (&ran["exit_code"], &ran["output"]),
        (&json!(0), &json!("hello")),
        "{ran}"
    );
    let record = server.wait_type("approval");
    assert_eq!(record["outcome"], "accepted");
    assert_eq!(
        (&record["way"], &record["by"]),
        (&json!("operator"), &json!(OPERATOR))
    );
    assert_eq!(record["request"], id);
    let (done, text) = desk.operator(&["approve", id, "--yes"]);
    assert!(!done && text.contains("no request"), "{text}");

    // The grant of the first is none of the second.
    let running = server.begin_call("ssh_run", call());
    let question = desk.question();
    let second = question["id"].as_str().unwrap();
    assert_ne!(second, id);
    assert!(desk.operator(&["deny", second]).0);
    let denied = answer(&server, &running);
    assert_eq!(denied["code"], "approval:declined", "{denied}");
    assert_eq!(desk.requests(), 0);
    server.finish();
}

/// Anybody but the operator: the server's own user, as which the client may run.
#[test]
fn every_forged_grant_is_refused() {
    let fleet = fleet("");
    let desk = Desk::new(&fleet);
    let server = desk.start(&fleet, json!({}));
    let mut before: Option<Value> = None;
    type Forge = fn(&mut Value);
    let changes: [(&str, u32, u32, Forge); 10] = [
        ("grant_not_of_the_operator", 0, 0o644, |_| {}),
        ("grant_not_of_the_operator", 1_000, 0o644, |_| {}),
        ("grant_not_of_the_operator", OPERATOR, 0o666, |_| {}),
        ("grant_for_another_command", OPERATOR, 0o644, |grant| {
            grant["digest"] = json!("0".repeat(64));
        }),
        ("grant_for_another_host", OPERATOR, 0o644, |grant| {
            grant["aliases"] = json!(["db1"]);
        }),
        ("grant_under_another_policy", OPERATOR, 0o644, |grant| {
            grant["policy"] = json!("0".repeat(64));
        }),
        ("grant_expired", OPERATOR, 0o644, |grant| {
            grant["until"] = json!(1)
        }),
        ("grant_of_another_question", OPERATOR, 0o644, |grant| {
            grant["nonce"] = json!("another");
        }),
        ("grant_malformed", OPERATOR, 0o644, |grant| {
            grant["more"] = json!(1)
        }),
        ("grant_malformed", OPERATOR, 0o644, |grant| {
            *grant = json!("yes")
        }),
    ];
    for (number, (reason, owner, mode, change)) in changes.into_iter().enumerate() {
        let running = server.begin_call("ssh_run", call());
        let question = desk.question();
        let id = question["id"].as_str().unwrap();
        let mut grant = desk.grant_for(&fleet, &question);
        change(&mut grant);
        desk.plant(id, &grant.to_string(), owner, mode);
        refused(&server, &running, id, reason, number);
        before = before.or(Some(grant));
    }
    // A whole grant of an earlier question, under the name of this one.
    let running = server.begin_call("ssh_run", call());
    let question = desk.question();
    let id = question["id"].as_str().unwrap();
    desk.plant(id, &before.unwrap().to_string(), OPERATOR, 0o644);
    refused(&server, &running, id, "grant_of_another_question", 10);
    // A link to a file of the operator's.
    let running = server.begin_call("ssh_run", call());
    let question = desk.question();
    let id = question["id"].as_str().unwrap();
    let kept = desk.scratch.path().join("kept");
    fs::write(&kept, desk.grant_for(&fleet, &question).to_string()).unwrap();
    chown(&kept, Some(OPERATOR), Some(OPERATOR)).unwrap();
    symlink(&kept, desk.grant(id)).unwrap();
    refused(&server, &running, id, "grant_not_of_the_operator", 11);
    // A request that shows something else than it is: the word is on what was shown.
    let running = server.begin_call("ssh_run", call());
    let mut question = desk.question();
    let id = question["id"].as_str().unwrap().to_owned();
    question["targets"][0]["command"] = json!("'uptime'");
    let path = desk
        .scratch
        .path()
        .join("requests")
        .join(format!("{id}.json"));
    fs::write(path, question.to_string()).unwrap();
    assert!(desk.operator(&["approve", &id, "--yes"]).0);
    refused(&server, &running, &id, "grant_for_another_command", 12);
    assert_eq!(fleet.machines[0].logins(), 0);
    server.finish();
}

fn refused(server: &Server, running: &Value, id: &str, reason: &str, number: usize) {
    let denied = answer(server, running);
    assert_eq!(denied["status"], "denied", "{number}: {denied}");
    assert_eq!(denied["code"], "approval:mismatch", "{number}: {denied}");
    let event = server.wait_record("the event", |record| {
        record["event_type"] == "approval_forged" && record["request"] == id
    });
    assert_eq!(event["reason"], reason, "{number}: {event}");
    assert_eq!(event["client"], "tests", "{number}");
    let record = server.wait_record("the approval", |record| {
        record["type"] == "approval" && record["request"] == id
    });
    assert_eq!(record["outcome"], "forged", "{number}");
}

/// A race: the same command asked about twice at a time.
#[test]
fn one_word_lets_one_of_two_equal_questions_run() {
    let fleet = fleet("");
    let desk = Desk::new(&fleet);
    let server = desk.start(&fleet, json!({}));
    let first = server.begin_call("ssh_run", call());
    let one = desk.question();
    let second = server.begin_call("ssh_run", call());
    wait_until("there are two questions", || desk.requests() == 2);
    let entries = fs::read_dir(desk.scratch.path().join("requests")).unwrap();
    let two = entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .map(|text| serde_json::from_slice::<Value>(&text).unwrap())
        .find(|question| question["id"] != one["id"])
        .unwrap();
    let (id, other) = (two["id"].as_str().unwrap(), one["id"].as_str().unwrap());
    assert!(desk.operator(&["approve", id, "--yes"]).0);
    assert_eq!(answer(&server, &second)["exit_code"], 0);
    assert_eq!(desk.requests(), 1, "the other one still waits");
    // The same word again, for what is the same command on the same host.
    let used = fs::read_to_string(desk.grant(id)).unwrap_or_default();
    let used = match used.is_empty() {
        true => desk.grant_for(&fleet, &two).to_string(),
        false => used,
    };
    desk.plant(other, &used, OPERATOR, 0o644);
    refused(&server, &first, other, "grant_of_another_question", 0);
    assert_eq!(fleet.machines[0].logins(), 1);
    server.finish();
}

#[test]
fn a_word_that_comes_too_late_or_under_another_policy_counts_for_nothing() {
    let fleet = fleet("approval_seconds: 1\n");
    let desk = Desk::new(&fleet);
    let server = desk.start(&fleet, json!({}));
    let running = server.begin_call("ssh_run", call());
    let late = desk.question();
    assert_eq!(answer(&server, &running)["code"], "approval:timeout");
    assert_eq!(desk.requests(), 0, "nothing waits any more");
    let grant = desk.grant_for_expired(&fleet, &late);
    desk.plant(late["id"].as_str().unwrap(), &grant, OPERATOR, 0o644);
    let running = server.begin_call("ssh_run", call());
    assert_eq!(answer(&server, &running)["code"], "approval:timeout");

    fleet.setup.write("policy.yml", &policy(""));
    server.call("ssh_reload_config", json!({}));
    let running = server.begin_call("ssh_run", call());
    let question = desk.question();
    fleet
        .setup
        .write("policy.yml", &policy("x-note: another\n"));
    server.call("ssh_reload_config", json!({}));
    let id = question["id"].as_str().unwrap();
    assert!(desk.operator(&["approve", id, "--yes"]).0);
    assert_eq!(answer(&server, &running)["code"], "approval:timeout");
    assert_eq!(fleet.machines[0].logins(), 0);

    // Taken back by the client: the question goes, too.
    let running = server.begin_call("ssh_run", call());
    desk.question();
    server.notify("notifications/cancelled", json!({"requestId": running}));
    wait_until("the question is gone", || desk.requests() == 0);
    server.finish();
}

impl Desk {
    /// A grant for a question whose time is over, as it would be with more time.
    fn grant_for_expired(&self, fleet: &Fleet, question: &Value) -> String {
        let mut later = question.clone();
        later["until"] = json!(u64::MAX / 2);
        self.grant_for(fleet, &later).to_string()
    }
}

#[test]
fn a_place_that_proves_nothing_is_refused_at_the_start() {
    let fleet = fleet("");
    let desk = Desk::new(&fleet);
    let grants = desk.scratch.path().join("grants");
    let check = |path: &Path| {
        let path = path.to_str().unwrap();
        said(&run_cli(&fleet.setup, &["check", "--approvals-dir", path]))
    };
    assert!(check(desk.scratch.path()).0);
    let refused = |words: &str| {
        let (well, text) = check(desk.scratch.path());
        assert!(!well && text.contains(words), "{text}");
        let args = ["serve", "--approvals-dir", desk.path()];
        let (well, text) = said(&run_cli(&fleet.setup, &args));
        assert!(!well && text.contains(words), "{text}");
    };
    fs::set_permissions(&grants, fs::Permissions::from_mode(0o775)).unwrap();
    refused("chmod go-w");
    fs::set_permissions(&grants, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&grants, Some(0), Some(0)).unwrap();
    refused("the server's own user");
    fs::remove_dir(&grants).unwrap();
    refused("No such file");
    let absent = desk.scratch.path().join("absent");
    assert!(!check(&absent).0);
    let (_, text) = said(&run_cli(&fleet.setup, &["approvals"]));
    assert!(text.contains("--approvals-dir"), "{text}");
}

/// `either` asks through the client where that can ask, and the operator where it cannot.
#[test]
fn either_takes_whom_there_is() {
    let fleet = Fleet::of(&["web1"]);
    let either = policy("approval: either\n").replace("    approval: operator\n", "");
    fleet.setup.write("policy.yml", &either);
    let desk = Desk::new(&fleet);
    let server = desk.start(&fleet, json!({}));
    let running = server.begin_call("ssh_run", call());
    let question = desk.question();
    assert!(
        desk.operator(&["approve", question["id"].as_str().unwrap(), "--yes"])
            .0
    );
    assert_eq!(answer(&server, &running)["exit_code"], 0);
    server.finish();

    let server = desk.start(&fleet, json!({"elicitation": {}}));
    let running = server.begin_call("ssh_run", call());
    let question = server.wait_frame("a question", |frame| {
        frame["method"] == "elicitation/create"
    });
    let yes = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}});
    server.send(&yes);
    assert_eq!(answer(&server, &running)["exit_code"], 0);
    assert_eq!(server.wait_type("approval")["way"], "elicitation");
    server.finish();

    // A client that can ask does not answer for the operator.
    fleet.setup.write("policy.yml", &policy(""));
    let server = Launch::default()
        .capabilities(json!({"elicitation": {}}))
        .start(&fleet.setup);
    let denied = members(&server.call("ssh_run", call()));
    assert_eq!(denied["code"], "approval:unavailable", "{denied}");
    server.finish();
}

/// What a command is given to read and what a file is to hold is part of what is approved: the
/// operator sees it, and the record has its size and hash alone.
#[test]
fn the_operator_sees_what_is_given() {
    let fleet = Fleet::of(&["web1"]);
    let scratch = Scratch::new("held");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let place = fs::canonicalize(scratch.path()).unwrap();
    let policy = format!(
        "approval: operator\n{}  - action: ask\n    stdin: true\n    aliases: [\"*\"]\n    commands: [\"tac\"]\n\
         files:\n  - action: ask\n    write: [\"{}/**\"]\n",
        crate::common::policy_allowing(&["uptime"]),
        place.display()
    );
    fleet.setup.write("policy.yml", &policy);
    let desk = Desk::new(&fleet);
    let server = desk.start(&fleet, json!({}));
    let path = place.join("x");
    let long = format!("canary-given\n\u{202e}{}canary-behind", "x".repeat(2_500));
    for (tool, arguments, shown) in [
        (
            "ssh_run",
            json!({"alias": "web1", "command": "tac", "stdin": long}),
            "'tac'",
        ),
        (
            "ssh_write_file",
            json!({"alias": "web1", "path": path, "content": long, "mode": "640"}),
            "mode 640",
        ),
    ] {
        let id = server.begin_call(tool, arguments);
        let question = desk.question();
        let name = question["id"].as_str().unwrap();
        let command = question["targets"][0]["command"].as_str().unwrap();
        assert!(command.contains(shown), "{question}");
        let (fine, listed) = desk.operator(&["approvals"]);
        assert!(fine, "{listed}");
        for part in [
            shown,
            "canary-given\\n\\u{202e}",
            &format!("{} bytes", long.len()),
            "which begin with",
        ] {
            assert!(listed.contains(part), "{part}: {listed}");
        }
        assert!(
            !listed.contains("canary-behind") && !listed.contains("mcp-file:"),
            "{listed}"
        );
        // A grant for the same command with something else to read is none.
        let mut other = question.clone();
        other["given"] = json!("5 bytes to read");
        let forged = desk.grant_for(&fleet, &other);
        assert_ne!(
            forged["digest"],
            desk.grant_for(&fleet, &question)["digest"]
        );
        let (fine, said) = desk.operator(&["approve", name, "--yes"]);
        assert!(fine, "{said}");
        let answered = server.response(&id);
        assert_eq!(answered["result"]["isError"], false, "{answered}");
        wait_until("the question is taken back", || desk.requests() == 0);
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), long);
    let done = server.finish();
    assert!(!done.log.contains("canary"), "{}", done.log);
}
