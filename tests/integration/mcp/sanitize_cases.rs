//! The Python project's cases of scrubbed error texts, replayed whole. Here no text is
//! scrubbed: an error is one of the kinds that this server knows, and each kind has a
//! fixed text for the assistant; its cause is for the log. So every case either is such a
//! text, or is a cause that the assistant never sees.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mcp_ssh_orchestrator::testing::ssh::error::{HostKeyProblem, KeyProblem, ResolveFailure};
use mcp_ssh_orchestrator::testing::ssh::{Phase, SshError};
use nix::libc::{ECONNREFUSED, ENETUNREACH, ETIMEDOUT};
use serde_json::Value;

const REPLACED: &str = "a cause isn't scrubbed: a fixed text takes its place as a whole";
const OTHER_TEXT: &str = "the fixed text for a failure of no known kind is another one";

/// Case, and the decision that makes it differ.
const DIFFERENCES: &[(&str, &str)] = &[
    ("san-001", REPLACED),
    ("san-003", REPLACED),
    ("san-005", REPLACED),
    ("san-007", REPLACED),
    ("san-009", OTHER_TEXT),
    ("san-011", REPLACED),
    (
        "san-017",
        "the tools' own text, with the alias that the assistant sent: mcp::input_cases",
    ),
    (
        "san-025",
        "a refused login has one text, whether by password or by key: authentication failed",
    ),
    (
        "san-027",
        "a wrong configuration is told with the place of each problem: config::reload",
    ),
    ("san-035", OTHER_TEXT),
    ("san-037", REPLACED),
    ("san-055", REPLACED),
];

#[test]
fn every_text_is_a_fixed_one_or_stays_in_the_log() {
    let mut differences: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for line in include_str!("../../data/cases/sanitize.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        seen += 1;
        let id = case["id"].as_str().unwrap().to_owned();
        let shown = match case["input"].as_str() {
            Some(input) => {
                let shown = shown_for(input);
                // Whatever else a case expects, this one holds for all of them.
                for hidden in list(&case, "must_not_contain") {
                    assert!(!shown.contains(&hidden), "{id}: {shown}");
                }
                shown
            }
            // Any tool result: there is no interpreter whose traceback could be in it.
            None if case["kind"].is_null() => continue,
            None => error_of(case["condition"].as_str().unwrap())
                .for_assistant()
                .to_owned(),
        };
        let agrees = case["exact"].as_str().is_none_or(|exact| shown == exact)
            && list(&case, "must_contain_all")
                .iter()
                .all(|part| shown.contains(part))
            && (list(&case, "must_contain_any").is_empty()
                || list(&case, "must_contain_any")
                    .iter()
                    .any(|part| shown.contains(part)));
        match (agrees, differences.remove(id.as_str())) {
            (true, None) | (false, Some(_)) => {}
            (true, Some(_)) => wrong.push(format!("{id} is listed, but agrees")),
            (false, None) => wrong.push(format!("{id}: {shown}\n    {line}")),
        }
    }
    assert!(seen > 30, "the corpus is empty or cut off: {seen} cases");
    wrong.extend(
        differences
            .keys()
            .map(|id| format!("{id} is listed, but isn't a case")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the assistant sees of a failure that reads so: the text itself if it is one of
/// the fixed ones, otherwise that of a failure of no known kind, whose cause is logged.
fn shown_for(text: &str) -> String {
    if every_error()
        .iter()
        .any(|error| error.for_assistant() == text)
    {
        return text.to_owned();
    }
    let unknown = SshError::Protocol {
        phase: Phase::Handshake,
        cause: text.to_owned(),
    };
    assert!(
        unknown.for_operator().contains(text),
        "the log has the cause"
    );
    unknown.for_assistant().to_owned()
}

fn error_of(condition: &str) -> SshError {
    let secret = || "web1.example.com /app/keys/id ops 10.0.0.11".to_owned();
    match condition {
        "failed login" => SshError::Denied {
            methods: secret(),
            farewell: Some(secret()),
        },
        "no known_hosts entry" => SshError::HostKey(HostKeyProblem::Unknown {
            host: secret(),
            presented: secret(),
        }),
        "connection refused" => connect(ECONNREFUSED),
        "no route" => connect(ENETUNREACH),
        "key file missing" => SshError::Key(KeyProblem::Missing { cause: secret() }),
        "key file unreadable" => SshError::Key(KeyProblem::Unreadable { cause: secret() }),
        other => panic!("unknown condition {other}"),
    }
}

fn every_error() -> Vec<SshError> {
    let cause = String::new;
    let mut errors = vec![
        SshError::Resolve {
            name: cause(),
            why: ResolveFailure::Busy,
        },
        connect(ECONNREFUSED),
        connect(ENETUNREACH),
        connect(ETIMEDOUT),
        connect(0),
        SshError::HostKey(HostKeyProblem::Unknown {
            host: cause(),
            presented: cause(),
        }),
        SshError::HostKey(HostKeyProblem::Mismatch {
            host: cause(),
            presented: cause(),
            recorded: cause(),
            line: 1,
        }),
        SshError::KnownHosts { cause: cause() },
        SshError::Denied {
            methods: cause(),
            farewell: Some(cause()),
        },
    ];
    let keys = [
        KeyProblem::Missing { cause: cause() },
        KeyProblem::Unreadable { cause: cause() },
        KeyProblem::Passphrase { given: false },
        KeyProblem::Format { cause: cause() },
    ];
    errors.extend(keys.map(SshError::Key));
    errors
}

fn connect(errno: i32) -> SshError {
    SshError::Connect {
        address: SocketAddr::from(([10, 0, 0, 11], 22)),
        errno,
    }
}

fn list(case: &Value, key: &str) -> Vec<String> {
    let parts = case[key].as_array().into_iter().flatten();
    parts
        .map(|part| part.as_str().unwrap().to_owned())
        .collect()
}
