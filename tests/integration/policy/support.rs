//! What the tests of the policy share: a policy from YAML text by the real loader, cases
//! from lines of JSON, one judgement.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test binary uses a part; a failed step is a failed test"
)]

use std::path::Path;
use std::sync::Arc;

use mcp_ssh_orchestrator::testing::config::{Dirs, Environment, Links, Snapshot, load_texts};
use mcp_ssh_orchestrator::testing::model::names::{HostAlias, Tag};
use mcp_ssh_orchestrator::testing::policy::{ShellMode, Subject, Verdict};
use serde_json::Value;

/// A file under `tests/data/policy`.
pub(crate) fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/policy")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of such a file; an empty one fails.
pub(crate) fn cases(name: &str) -> Vec<Value> {
    let cases: Vec<Value> = data(name)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect();
    assert!(!cases.is_empty(), "{name} holds no case");
    cases
}

/// The configuration with this `policy.yml` (JSON is YAML too) and no hosts.
pub(crate) fn load(policy: &str) -> Result<Snapshot, String> {
    let [config, keys, secrets] = ["/app/config", "/app/keys", "/app/secrets"].map(Path::new);
    let dirs = Arc::new(Dirs::open(config, keys, secrets, Links::Refused));
    let texts = [
        b"hosts: []\n".as_slice(),
        b"entries: []\n",
        policy.as_bytes(),
    ];
    match load_texts(texts, &dirs, &Environment::from_variables([])) {
        Ok(loaded) => Ok(loaded.snapshot),
        Err(error) => Err(error.for_operator()),
    }
}

/// Whom a command is judged for.
pub(crate) struct Host {
    pub(crate) alias: HostAlias,
    pub(crate) tags: Vec<Tag>,
}

impl Host {
    pub(crate) fn new<'t>(alias: &str, tags: impl IntoIterator<Item = &'t str>) -> Self {
        Self {
            alias: HostAlias::parse(alias).unwrap(),
            tags: tags
                .into_iter()
                .map(|tag| Tag::parse(tag).unwrap())
                .collect(),
        }
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            alias: &self.alias,
            tags: &self.tags,
            shell: ShellMode::Sh,
            detached: false,
            stdin: None,
        }
    }
}

/// The verdict for a host without tags, by its name, and its code.
pub(crate) fn named(snapshot: &Snapshot, command: &str) -> (&'static str, &'static str) {
    let host = Host::new("web1", []);
    let verdict = snapshot.policy().judge_text(&host.subject(), command);
    let name = match verdict {
        Verdict::Allow(_) => "allow",
        Verdict::Ask(_) => "ask",
        Verdict::Deny(_) => "deny",
    };
    (name, verdict.code().as_str())
}

/// What would be sent, for a verdict that lets something be sent.
pub(crate) fn canonical(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Allow(authorised) => Some(authorised.canonical()),
        Verdict::Ask(question) => Some(question.canonical()),
        Verdict::Deny(_) => None,
    }
}
