//! Promise: a denial says what helps. Where another spelling does the same and is let through,
//! it is offered; where it would do something else, it is not; and what is said is true.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::policy::support::{Host, cases, load};
use mcp_ssh_orchestrator::testing::policy::Verdict;

const POLICY: &str = "
shell: {globs: true}
limits: {deny_substrings: []}
rules:
  - action: allow
    sudo: true
    sudo_users: [postgres]
    reads: [linux, text, systemd, network, docker, web, database]
    also: [network]
    paths: ['/var/**', '/etc/**']
  - {action: deny, paths: ['/etc/shadow*', '**/.env']}
";

#[test]
fn denials_say_what_helps() {
    let snapshot = load(POLICY).unwrap();
    let host = Host::new("web1", []);
    let judge = |text: &str| snapshot.policy().judge_text(&host.subject(), text);
    let cases = cases("rewrites.jsonl");
    assert!(cases.len() > 30);
    let mut wrong = Vec::new();
    for case in &cases {
        let command = case["command"].as_str().unwrap();
        let verdict = judge(command);
        let Verdict::Deny(denial) = verdict else {
            wrong.push(format!("{command:?} is not denied"));
            continue;
        };
        let rewrite = denial.rewrite().map(|rewrite| rewrite.command.as_str());
        if rewrite != case["rewrite"].as_str() {
            wrong.push(format!("{command:?}: {rewrite:?}"));
        }
        if let Some(rewrite) = rewrite
            && matches!(judge(rewrite), Verdict::Deny(_))
        {
            wrong.push(format!("{rewrite:?} is denied too"));
        }
        for (key, text) in [("why", denial.why()), ("hint", denial.hint())] {
            if case[key].as_str().is_some_and(|part| !text.contains(part)) {
                wrong.push(format!("{command:?}: {key}: {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
