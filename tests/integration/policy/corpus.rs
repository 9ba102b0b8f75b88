//! Promise: what the language of the policy says of hostile commands and of everyday ones
//! is what the program decides, with the same code and the same canonical form.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::HashMap;

use crate::policy::support::{Host, canonical, cases, data, load};
use base64::Engine as _;
use mcp_ssh_orchestrator::testing::policy::{Denial, Policy, Quotes, ShellMode, Subject, Verdict};
use serde_json::Value;

/// What a case of the lists is decided as today, where that is not what it says: by policy
/// and command. Each line has the sentence of the language that makes it so.
struct Changes(HashMap<(String, String), Value>);

impl Changes {
    fn load() -> Self {
        let cases = cases("changes.jsonl").into_iter().map(|case| {
            let text = |key: &str| case[key].as_str().unwrap().to_owned();
            assert!(!text("sentence").is_empty());
            ((text("policy"), text("command")), case)
        });
        Self(cases.collect())
    }

    fn of(&self, policy: &str, case: &Value) -> Option<&Value> {
        let command = case["command"].as_str()?;
        self.0.get(&(policy.to_owned(), command.to_owned()))
    }
}

/// A change that is none is listed for nothing.
#[test]
fn every_listed_change_is_one() {
    let changes = Changes::load();
    let lists = [
        (
            "bypass.jsonl",
            Some("policy.yml"),
            "expected",
            "expected_code",
        ),
        ("benign.jsonl", Some("benign_policy.yml"), "verdict", "code"),
        ("reviewed.jsonl", None, "expected", "expected_code"),
    ];
    let mut used = 0;
    for (list, policy, verdict, code) in lists {
        for case in cases(list) {
            let policy = policy.unwrap_or_else(|| case["policy"].as_str().unwrap());
            let Some(change) = changes.of(policy, &case) else {
                continue;
            };
            used += 1;
            let same = change["expected"] == case[verdict] && change["code"] == case[code];
            assert!(!same, "{} is listed and did not change", change["command"]);
        }
    }
    assert_eq!(used, changes.0.len(), "a listed case does not exist");
}

#[test]
fn hostile_commands() {
    let snapshot = load(&data("policy.yml")).unwrap();
    let only = load("rules: [{action: allow, commands: ['uptime*']}]").unwrap();
    let host = Host::new("stg-web-1", ["linux", "staging"]);
    let changes = Changes::load();
    let mut wrong = Vec::new();
    for case in cases("bypass.jsonl") {
        let verdict = judge(snapshot.policy(), &host, &case);
        let change = changes.of("policy.yml", &case);
        match change {
            Some(change) => compare(change, "expected", "code", &verdict, &mut wrong),
            None => compare(&case, "expected", "expected_code", &verdict, &mut wrong),
        }
        let under_one_rule = judge(only.policy(), &host, &case);
        if let (Some(expected), None) = (case["also_under"]["uptime_only"].as_str(), change)
            && expected != under_one_rule.name()
        {
            wrong.push(format!(
                "{} under uptime_only: {}",
                case["id"],
                under_one_rule.name()
            ));
        }
        // What would have run something unlisted must never be let through, but where the
        // word that a shell took for more is sent as the word that it was meant to be.
        if case["raw_ran_unlisted_program_in"] != serde_json::json!([])
            && change.is_none()
            && matches!(verdict, Verdict::Allow(_))
        {
            wrong.push(format!("{}: runs an unlisted program", case["id"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn everyday_commands() {
    let snapshot = load(&data("benign_policy.yml")).unwrap();
    let host = Host::new("stg-web-1", ["linux", "staging"]);
    let mut wrong = Vec::new();
    let changes = Changes::load();
    for case in cases("benign.jsonl") {
        let verdict = judge(snapshot.policy(), &host, &case);
        let change = changes.of("benign_policy.yml", &case);
        match change {
            Some(change) => compare(change, "expected", "code", &verdict, &mut wrong),
            None => compare(&case, "verdict", "code", &verdict, &mut wrong),
        }
        if canonical(&verdict) != change.unwrap_or(&case)["canonical"].as_str() {
            wrong.push(format!(
                "{}: canonical {:?}",
                case["id"],
                canonical(&verdict)
            ));
        }
        if let Some(rewrite) = case["rewrite"].as_str() {
            let verdict = snapshot.policy().judge_text(&host.subject(), rewrite);
            if matches!(verdict, Verdict::Deny(_)) {
                wrong.push(format!(
                    "{}: the rewrite {rewrite} is {verdict:?}",
                    case["id"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Siblings of the two lists above, written by review: no reader of the lists, but of the
/// language, should find them decided otherwise.
#[test]
fn reviewed_commands() {
    let host = Host::new("stg-web-1", ["linux", "staging"]);
    let policies: HashMap<&str, _> = ["policy.yml", "benign_policy.yml"]
        .map(|name| (name, load(&data(name)).unwrap()))
        .into();
    let mut wrong = Vec::new();
    let changes = Changes::load();
    for case in cases("reviewed.jsonl") {
        let policy = case["policy"].as_str().unwrap();
        let verdict = judge(policies[policy].policy(), &host, &case);
        match changes.of(policy, &case) {
            Some(change) => compare(change, "expected", "code", &verdict, &mut wrong),
            None => compare(&case, "expected", "expected_code", &verdict, &mut wrong),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn judge(policy: &Policy, host: &Host, case: &Value) -> Verdict {
    match case["command"].as_str() {
        Some(text) => policy.judge_text(&host.subject(), text),
        None => {
            let encoded = case["command_b64"].as_str().unwrap();
            let bytes = base64::prelude::BASE64_STANDARD.decode(encoded).unwrap();
            policy.judge_bytes(&host.subject(), &bytes)
        }
    }
}

fn compare(case: &Value, verdict: &str, code: &str, found: &Verdict, wrong: &mut Vec<String>) {
    let expected = (case[verdict].as_str(), case[code].as_str());
    let found = (Some(found.name()), Some(found.code().as_str()));
    if expected != found {
        wrong.push(format!(
            "{} {:?}: expected {expected:?}, found {found:?}",
            case["id"].as_str().unwrap_or("reviewed"),
            case["command"].as_str().unwrap_or_default()
        ));
    }
}

/// Each construct of the language, accepted with what is sent for it, and refused with the
/// code of the refusal, under a policy that allows everything.
#[test]
fn every_construct() {
    let snapshot =
        load("{limits: {deny_substrings: []}, rules: [{action: allow, commands: ['*']}]}").unwrap();
    let host = Host::new("h", []);
    let mut wrong = Vec::new();
    for case in cases("constructs.jsonl") {
        let text = case["command"].as_str().unwrap();
        let verdict = snapshot.policy().judge_text(&host.subject(), text);
        let found = (canonical(&verdict), verdict.code().as_str());
        let right = match case["canonical"].as_str() {
            Some(expected) => found.0 == Some(expected),
            None => found.0.is_none() && case["code"] == found.1,
        };
        if !right {
            wrong.push(format!("{text:?}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn denial(verdict: &Verdict) -> &Denial {
    match verdict {
        Verdict::Deny(denial) => denial,
        other => panic!("{other:?}"),
    }
}

/// Everything that is wrong with a text is told at once, in order, with its place.
#[test]
fn all_faults_are_told_at_once() {
    let snapshot = load("rules: []").unwrap();
    let host = Host::new("h", []);
    let text = "echo $HOME; ls *.log > /tmp/x & uptime `id`; while true; do x; done";
    let verdict = snapshot.policy().judge_text(&host.subject(), text);
    let faults: Vec<(&str, usize)> = denial(&verdict)
        .faults()
        .iter()
        .map(|fault| (fault.code.as_str(), fault.position))
        .collect();
    let at = |part: &str| text.find(part).unwrap();
    let expected = [
        ("syntax:dollar", at("$HOME")),
        ("syntax:glob", at("*.log")),
        ("syntax:redirect", at("> /tmp")),
        ("syntax:background", at("& up")),
        ("syntax:backtick", at("`id`")),
        ("syntax:reserved-word", at("while")),
    ];
    assert_eq!(faults, expected);
    // A list of which two commands are not allowed names both.
    let verdict = snapshot
        .policy()
        .judge_text(&host.subject(), "uptime; echo x; df -h");
    let found: Vec<&str> = denial(&verdict)
        .faults()
        .iter()
        .map(|f| &*f.found)
        .collect();
    assert_eq!(found, ["uptime", "df -h"]);
}

/// What follows of another fault is none, and nothing is named twice at one place.
#[test]
fn a_fault_is_told_once() {
    let snapshot = load("rules: []").unwrap();
    let host = Host::new("h", []);
    let words: Vec<String> = (0..33).map(|word| word.to_string()).collect();
    let long = format!("for i in {}; do echo $i; done", words.join(" "));
    for (text, code) in [
        ("for i in {1..3}; do echo $i; done", "syntax:brace"),
        ("for i in $(id); do echo $i; done", "syntax:dollar"),
        ("[[ -f /x ]] && uptime", "syntax:bracket"),
        ("[[ -f /x ]]", "syntax:bracket"),
        (&long, "syntax:limit"),
    ] {
        let verdict = snapshot.policy().judge_text(&host.subject(), text);
        assert_eq!(verdict.code().as_str(), code, "{text}");
        assert!(denial(&verdict).faults().is_empty(), "{verdict:?}");
    }
}

/// What a shell is given to read is judged, whatever its text is: which of its commands
/// reads it, nobody can tell.
#[test]
fn a_file_for_a_shell_is_judged() {
    let snapshot = load(
        "{limits: {deny_substrings: []}, \
         rules: [{action: allow, reads: [linux, text], paths: ['/var/log/**']}]}",
    )
    .unwrap();
    let host = Host::new("h", []);
    let name = |text: &str| snapshot.policy().judge_text(&host.subject(), text).name();
    for text in [
        "cat < /var/log/x",
        "sh -c 'cat /var/log/x'",
        "sh -c 'cat < /var/log/x'",
        "timeout 5 sh -c 'cat /var/log/x | wc -l'",
        "nice -n 5 bash -c 'cd /var/log && cat x'",
        "df | timeout 5 sh -c 'grep x'",
        "timeout 5 sh -c \"timeout 3 sh -c 'cat /var/log/x'\"",
    ] {
        assert_eq!(name(text), "allow", "{text}");
    }
    for text in [
        "cat < /etc/shadow",
        "sh -c 'cat' < /etc/shadow",
        "sh -c 'df; cat' < /etc/shadow",
        "sh -c 'cat < /etc/shadow'",
        "bash -c 'sh -c cat' < /etc/shadow",
        "df; sh -c 'wc -l' 2>&1 < /etc/shadow",
        "timeout 5 sh -c 'cat /etc/shadow'",
        "timeout 5 sh -c 'cd /etc && cat shadow'",
        "timeout 5 sh -c 'cat' < /etc/shadow",
        "timeout 5 sh -c \"timeout 3 sh -c 'cat /etc/shadow'\"",
        "timeout --unknown 5 sh -c 'df'",
        "timeout 5 sh -c 'df' x",
        "timeout 5 sh -xc 'df'",
        "timeout 5 /tmp/sh -c 'df'",
        "sudo sh -c 'cat /var/log/x'",
        "timeout 5 sudo sh -c 'cat /var/log/x'",
        "df | xargs sh -c 'cat /var/log/x'",
    ] {
        assert_eq!(name(text), "deny", "{text}");
    }
}

/// Behind a wrapper the shell stays, and reads the judged words.
#[test]
fn a_shell_behind_a_wrapper_gets_its_text_anew() {
    let snapshot = load(
        "{limits: {deny_substrings: []}, rules: [{action: allow, commands: ['df *', 'wc *']}, \
         {action: deny, commands: ['rm *']}]}",
    )
    .unwrap();
    let host = Host::new("h", []);
    let text = "timeout 5 sh -c 'df -h; { df -h; } | wc -l' 2>&1";
    let Verdict::Allow(authorised) = snapshot.policy().judge_text(&host.subject(), text) else {
        panic!("{text} is not allowed");
    };
    assert_eq!(
        authorised.canonical(),
        r"'timeout' '5' 'sh' '-c' \''df'\'' '\''-h'\'' ; { '\''df'\'' '\''-h'\'' ; } | '\''wc'\'' '\''-l'\' 2>&1"
    );
    let denied = "timeout 5 sh -c 'df; rm x'";
    let code = snapshot.policy().judge_text(&host.subject(), denied).code();
    assert_eq!(code.as_str(), "deny-rule");
}

/// The three kinds, and the rewrite, which is offered only where it is let through.
#[test]
fn a_denial_says_what_to_do() {
    let snapshot = load(
        "rules: [{action: allow, commands: ['cat /var/log/*', 'ls', '/opt/x.sh*', 'find /x *', \
         '/usr/bin/test -f *']}, \
         {action: deny, commands: ['rm *']}]",
    )
    .unwrap();
    let host = Host::new("h", []);
    let judge = |text: &str| snapshot.policy().judge_text(&host.subject(), text);
    for (text, kind, rewrite) in [
        ("ls $x", "rewrite", None),
        ("uptime", "narrow", None),
        ("rm x", "stop", None),
        ("sudo rm $x; rm x", "rewrite", None),
        (
            "nohup /opt/x.sh 6 > /tmp/x 2>&1 & echo $!",
            "rewrite",
            Some("ssh_run_async: /opt/x.sh 6"),
        ),
        ("nohup /opt/y.sh 6 > /tmp/x 2>&1 & echo $!", "rewrite", None),
        (
            "awk '{print $1}' /var/log/x",
            "narrow",
            Some("ssh_run: cat /var/log/x | awk '{print $1}'"),
        ),
        ("awk '{print $1}' /etc/x", "narrow", None),
        ("[[ -f /x ]]", "rewrite", Some("ssh_run: [ -f /x ]")),
        ("[[ -f /x && -f /y ]]", "rewrite", None),
        ("watch -n 5 'ls'", "narrow", Some("ssh_run: ls")),
        ("watch -d -n 5 uptime", "narrow", None),
    ] {
        let verdict = judge(text);
        let denial = denial(&verdict);
        assert_eq!(denial.kind().as_str(), kind, "{text}");
        let found = denial
            .rewrite()
            .map(|rewrite| format!("{}: {}", rewrite.tool.unwrap_or("ssh_run"), rewrite.command));
        assert_eq!(found.as_deref(), rewrite, "{text}");
        if let Some(rewrite) = denial.rewrite() {
            assert!(
                !matches!(judge(&rewrite.command), Verdict::Deny(_)),
                "{text}"
            );
        }
    }
    assert_eq!(denial(&judge("cat /etc/x")).program_known(), Some(true));
    assert_eq!(denial(&judge("uptime")).program_known(), Some(false));
}

/// What is said of sets: words that `xargs` adds, and what goes on until it is ended.
#[test]
fn a_denial_of_a_set_says_what_to_do() {
    let load = |also: &str| {
        let policy = format!(
            "{{limits: {{deny_substrings: []}}, rules: [{{action: allow, \
             reads: [linux, text, systemd], also: [{also}], paths: ['/var/log/**']}}]}}"
        );
        load(&policy).unwrap()
    };
    let (without, with) = (load(""), load("follows"));
    let host = Host::new("h", []);
    let judge = |text: &str| without.policy().judge_text(&host.subject(), text);
    for (text, rewrite) in [
        (
            "find /var/log -name '*.gz' -print0 2>/dev/null | xargs -0 ls -lt | head -5",
            Some("find /var/log -name '*.gz' -exec ls -lt {} + 2>/dev/null | head -5"),
        ),
        (
            "echo nginx cron | xargs -n1 systemctl is-active",
            Some("echo nginx cron | xargs -n1 systemctl is-active --"),
        ),
        ("find /var/log | xargs -P 4 ls -l", None),
        ("find /var/log | xargs rm", None),
    ] {
        let verdict = judge(text);
        let found = denial(&verdict).rewrite().map(|rewrite| &*rewrite.command);
        assert_eq!(found, rewrite, "{text}");
    }
    for text in ["tail -f /var/log/x", "journalctl -f -u nginx", "vmstat 1"] {
        assert!(
            denial(&judge(text)).hint().contains("ssh_run_async"),
            "{text}"
        );
        let verdict = with.policy().judge_text(&host.subject(), text);
        assert_eq!(verdict.name(), "allow", "{text}");
    }
}

/// What is sent has one hash, however it was written; another word is another command.
#[test]
fn what_is_sent_has_one_hash() {
    let snapshot = load("rules: [{action: allow, commands: ['df*']}]").unwrap();
    let host = Host::new("h", []);
    let hash = |text: &str| match snapshot.policy().judge_text(&host.subject(), text) {
        Verdict::Allow(authorised) => authorised.canonical_hash().to_string(),
        other => panic!("{other:?}"),
    };
    for text in ["df  -h", "df '-h'", "df -h # x", "df \\\n-h"] {
        assert_eq!(hash(text), hash("df -h"), "{text}");
    }
    assert_ne!(hash("df -i"), hash("df -h"));
}

/// `direct` sends words as they are or not at all; `login` sends simple commands alone.
#[test]
fn hosts_without_a_shell_of_ours() {
    let snapshot = load("rules: [{action: allow, commands: ['*']}]").unwrap();
    let host = Host::new("h", []);
    let sent = |text: &str, shell| {
        let subject = Subject {
            shell,
            ..host.subject()
        };
        match snapshot.policy().judge_text(&subject, text) {
            Verdict::Allow(authorised) => authorised.exec_line(60),
            other => other.code().as_str().to_owned(),
        }
    };
    let direct = |text: &str| sent(text, ShellMode::Direct(Quotes::None));
    assert_eq!(direct("show status"), "show status");
    assert_eq!(
        direct("show  'status' | include x"),
        "show status | include x"
    );
    for text in [
        "show 'a b'",
        "show '| x |'",
        "show '%s'",
        "show ''",
        "( show )",
        "TZ=UTC show",
        "show 2>&1",
    ] {
        assert_eq!(direct(text), "syntax:bare-words", "{text}");
    }
    let single = |text: &str| sent(text, ShellMode::Direct(Quotes::Single));
    let double = |text: &str| sent(text, ShellMode::Direct(Quotes::Double));
    let words = "show \"a b\" '' '| x |' plain";
    assert_eq!(single(words), "show 'a b' '' '| x |' plain");
    assert_eq!(double(words), "show \"a b\" \"\" \"| x |\" plain");
    assert_eq!(
        single("show '$x' | include 'a\"b'"),
        "show '$x' | include 'a\"b'"
    );
    assert_eq!(double("show \"it's\""), "show \"it's\"");
    // What a device makes of these between its quotes, nobody knows.
    for text in ["show 'a\\b'", "show \"it's\"", "show 'a!'", "show 'é'"] {
        assert_eq!(single(text), "syntax:bare-words", "{text}");
    }
    for text in [
        "show 'a\"b'",
        "show 'a$b'",
        "show 'a`b'",
        "show '%x y'",
        "show 2>&1",
    ] {
        assert_eq!(double(text), "syntax:bare-words", "{text}");
    }
    let login = |text: &str| sent(text, ShellMode::Login);
    assert_eq!(
        login("df '-h' && id"),
        r"true '$(' \) '& exit & & &' ; 'df' '-h' && 'id'"
    );
    assert!(login("df >/dev/null || id").ends_with("'df' >/dev/null || 'id'"));
    for text in [
        "( df )",
        "df 2>&1",
        "df 2>/dev/null",
        "df &>/dev/null",
        "df >/dev/null | cat",
        "df || id && uptime",
        "df < /x",
        "TZ=UTC df",
        "echo \"$(id)\"",
        "! df",
        "if df; then id; fi",
    ] {
        assert_eq!(login(text), "syntax:plain-lists", "{text}");
    }
}
