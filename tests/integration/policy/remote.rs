//! Promise: the host runs the words that were judged, and hears nothing of a command that
//! was denied: a real `sshd` whose programs record their arguments, and its log.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::common::{Fleet, HostSpec, Machine, Scratch, Server};
use crate::policy::evaluate;
use crate::policy::support::{cases, data};
use mcp_ssh_orchestrator::testing::policy::syntax::lexer;
use serde_json::json;

const ALIAS: &str = "stg-web-1";

/// Programs that `/bin/sh` has itself and that change nothing for what comes after them.
const SILENT_BUILTINS: &[&str] = &["echo", "true"];

/// Programs that `/bin/sh` has itself and whose effect or status is the point.
const OTHER_BUILTINS: &[&str] = &[
    "cd", "command", "false", "kill", "printf", "pwd", "test", "type",
];

/// One host, and the file in which the programs of its sessions record what they saw.
struct Site {
    fleet: Fleet,
    records: PathBuf,
    _dir: Scratch,
}

impl Site {
    fn new(policy_file: &str) -> Self {
        let spec = HostSpec::new(ALIAS).tags(&["linux", "staging"]);
        let fleet = Fleet::with(vec![spec]);
        let loopback = "network: {allow_cidrs: [127.0.0.0/8]}\n";
        let policy = loopback.to_owned() + &data(policy_file);
        fleet.setup.write("policy.yml", &policy);
        let dir = Scratch::new("records");
        let records = dir.path().join("argv");
        fs::write(&records, "").unwrap();
        fs::set_permissions(&records, fs::Permissions::from_mode(0o666)).unwrap();
        Site {
            fleet,
            records,
            _dir: dir,
        }
    }

    fn host(&self) -> &Machine {
        self.fleet.host(ALIAS)
    }

    /// Makes a recording program of this name. One builtin writes each record, in one
    /// piece: the programs of a pipeline run at the same time.
    fn stub(&self, name: &str) {
        let script = format!(
            "#!/bin/sh\nprintf '%s\\0' \"$#\" \"${{0##*/}}\" \"$@\" >>{}\n",
            self.records.display()
        );
        self.host().stub(name, &script);
    }

    /// What was recorded since the last call, sorted.
    fn take_records(&self) -> Vec<Vec<String>> {
        let bytes = fs::read(&self.records).unwrap();
        fs::write(&self.records, "").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let mut words = text.split_terminator('\0').map(str::to_owned);
        let mut records = Vec::new();
        while let Some(count) = words.next() {
            // The name is not among the arguments that are counted.
            let count: usize = count.parse().unwrap();
            records.push(words.by_ref().take(count + 1).collect());
        }
        records.sort();
        records
    }

    /// Ends the host and counts what its whole log shows.
    fn close(&self) -> Seen {
        self.host().stop();
        self.host().wait_log("(the server process ended)");
        let log = self.host().log();
        let count = |text: &str| log.iter().filter(|line| line.contains(text)).count();
        Seen {
            connections: count("Connection from "),
            logins: self.host().logins(),
            commands: count("Starting session: command for "),
        }
    }
}

/// What an SSH server saw of its clients.
#[derive(Debug, PartialEq)]
struct Seen {
    connections: usize,
    logins: usize,
    commands: usize,
}

/// The argv of every program that must start, sorted; `None` for a text whose programs
/// cannot all be recorded, or whose list depends on a status that is not 0.
fn expected(site: &Site, text: &str) -> Option<Vec<Vec<String>>> {
    let parsed = lexer::parse(text, lexer::Options::default()).unwrap();
    for command in &parsed.commands {
        let words: Vec<String> = command.words.iter().map(|w| w.text.to_string()).collect();
        let program = &words[0];
        // Its home is the login's.
        let at_home = command.words.iter().any(|word| word.is_below_home());
        if at_home || program.contains('/') || OTHER_BUILTINS.contains(&program.as_str()) {
            return None;
        }
        if !SILENT_BUILTINS.contains(&program.as_str()) {
            site.stub(program);
        }
    }
    // Everything here succeeds, so what stands behind || is left out.
    let mut expected = evaluate::runs(&parsed, "/root", |_| true);
    expected.retain(|words| !SILENT_BUILTINS.contains(&words[0].as_str()));
    Some(expected)
}

/// Runs each of these texts and compares; the number of those that could be.
fn compare_argv(site: &Site, server: &Server, texts: &[String]) -> usize {
    let mut compared = 0;
    let mut programs = BTreeSet::new();
    let mut wrong = Vec::new();
    for text in texts {
        let Some(expected) = expected(site, text) else {
            continue;
        };
        compared += 1;
        programs.extend(expected.iter().map(|argv| argv[0].clone()));
        let run = server.run(ALIAS, text);
        assert_eq!(run["exit_code"], 0, "{text}: {run}");
        let recorded = site.take_records();
        if recorded != expected {
            wrong.push(format!(
                "{text}\n  judged   {expected:?}\n  recorded {recorded:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(programs.len() > 3, "only {programs:?} ran");
    compared
}

/// The commands of a corpus of which `key` says `verdict`.
fn texts(corpus: &str, key: &str, verdict: &str) -> Vec<String> {
    let cases = cases(corpus);
    let chosen = cases.iter().filter(|case| case[key] == verdict);
    chosen
        .filter_map(|case| case["command"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn everyday_commands_arrive_as_the_judged_words() {
    let site = Site::new("benign_policy.yml");
    let server = Server::start(&site.fleet.setup);
    let allowed = texts("benign.jsonl", "verdict", "allow");
    let compared = compare_argv(&site, &server, &allowed);
    assert!(compared > 120, "only {compared} of {}", allowed.len());
    assert_eq!(server.finish().status.code(), Some(0));
    assert_eq!(site.close().commands, compared);
}

#[test]
fn nothing_of_a_denied_command_reaches_the_host() {
    let site = Site::new("policy.yml");
    let server = Server::start(&site.fleet.setup);
    let mut denied = texts("bypass.jsonl", "expected", "deny");
    let now_allowed = texts("changes.jsonl", "expected", "allow");
    denied.retain(|text| !now_allowed.contains(text));
    assert!(denied.len() > 200, "only {} commands", denied.len());
    for text in &denied {
        let arguments = json!({"alias": ALIAS, "command": text});
        let result = server.call("ssh_run", arguments);
        assert_eq!(result["isError"], true, "{text:?}: {result}");
        assert!(
            !result.to_string().contains("task_id"),
            "{text:?}: {result}"
        );
    }
    assert_eq!(site.take_records(), Vec::<Vec<String>>::new());

    // What is allowed shows that the host was within reach all the time, and in its log:
    // one connection with one login, and no other command than these.
    let mut allowed = texts("bypass.jsonl", "expected", "allow");
    let now_denied = texts("changes.jsonl", "expected", "deny");
    allowed.retain(|text| !now_denied.contains(text));
    let compared = compare_argv(&site, &server, &allowed);
    assert!(compared > 5, "only {compared} of {}", allowed.len());
    assert_eq!(server.finish().status.code(), Some(0));
    let seen = Seen {
        connections: 1,
        logins: 1,
        commands: compared,
    };
    assert_eq!(site.close(), seen);
}
