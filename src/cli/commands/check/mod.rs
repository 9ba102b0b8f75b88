//! `check`: everything that can be said of a configuration without connecting anywhere.
//!
//! Owns what is looked at and the exit code; the report's two forms are below it, one
//! that a person reads with the files at hand and one for scripts. Prints nothing. Called
//! by `startup`.

pub(crate) mod json;
pub(crate) mod text;

use std::sync::Arc;

use crate::config::files::beneath::FileError;
use crate::config::files::directories::Dirs;
use crate::config::files::directories::FILES;
use crate::config::load::{LoadError, Loaded, load};
use crate::config::schema::problem::{Mark, Place, Problem, Warning, WarningKind};
use crate::config::secrets::environment::Environment;
use crate::config::snapshot::Snapshot;
use crate::model::security_event::SecurityEvent;
use crate::ssh;

/// What `check` found.
pub(crate) struct Report {
    dirs: Arc<Dirs>,
    snapshot: Option<Snapshot>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    events: Vec<SecurityEvent>,
    machine: Vec<Fact>,
}

/// Something about this machine rather than about the files, such as its sandbox.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub name: &'static str,
    pub text: String,
    pub standing: Standing,
}

/// How a fact counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// The server would start with it, but not as it should be.
    Warning,
    /// The server would not start with it.
    Bad,
}

/// Loads the configuration as the server would, and looks at what that does not need:
/// whether the hosts' keys are known and the logins' keys can be used.
pub(crate) fn check(dirs: &Arc<Dirs>, environment: &Environment) -> Report {
    let dirs = Arc::clone(dirs);
    match load(&dirs, environment) {
        Ok(Loaded { snapshot, events }) => {
            let mut warnings = snapshot.warnings().to_vec();
            warnings.extend(failing_logins(&snapshot));
            Report {
                dirs,
                snapshot: Some(snapshot),
                problems: Vec::new(),
                warnings,
                events,
                machine: Vec::new(),
            }
        }
        Err(LoadError {
            problems,
            warnings,
            events,
        }) => Report {
            dirs,
            snapshot: None,
            problems,
            warnings,
            events,
            machine: Vec::new(),
        },
    }
}

/// A warning for each login that can be seen to fail: the private key can't be used, or
/// the host's key isn't known.
pub(crate) fn failing_logins(snapshot: &Snapshot) -> Vec<Warning> {
    let mut warnings = unusable_keys(snapshot);
    warnings.extend(unknown_hosts(snapshot));
    warnings
}

/// Of the key files that are there: the others have their warnings from the load.
fn unusable_keys(snapshot: &Snapshot) -> Vec<Warning> {
    let logins = snapshot.logins().filter_map(|login| {
        let path = login.key_path.as_ref()?;
        let key = snapshot.dirs().read_key(path).ok()?;
        let trouble = ssh::key_trouble(key.expose(), login.passphrase.is_some())?;
        Some(Warning {
            place: Place::file(FILES[1]),
            key: login.name.clone(),
            kind: WarningKind::UnusableKey,
            text: format!("the key {path} can't be used: {trouble}"),
        })
    });
    logins.collect()
}

fn unknown_hosts(snapshot: &Snapshot) -> Vec<Warning> {
    let path = snapshot.known_hosts();
    let file = snapshot.dirs().known_hosts_file(path);
    let text = match snapshot.dirs().read_known_hosts(path) {
        Ok(content) => content.bytes,
        Err(error) => {
            let shown = file.display();
            let text = match error {
                FileError::Missing => format!("{shown} isn't there, so every host is refused"),
                other => format!("{shown}: {other}, so every host is refused"),
            };
            return vec![Warning {
                place: Place::file("known_hosts"),
                key: String::new(),
                kind: WarningKind::UnknownHostKey,
                text: format!("{text}; `trust ALIAS` fetches and shows a host's key"),
            }];
        }
    };
    let unknown = ssh::unknown(&text, snapshot.hosts());
    unknown
        .into_iter()
        .map(|host| Warning {
            place: Place::at(
                FILES[0],
                Mark {
                    line: host.line,
                    column: 0,
                },
            ),
            key: host.alias.to_string(),
            kind: WarningKind::UnknownHostKey,
            text: format!(
                "known_hosts has no key for it, so it is refused; `trust {}` fetches and shows it",
                host.alias
            ),
        })
        .collect()
}

impl Report {
    /// Adds what the machine offers; a bad fact fails the check.
    pub(crate) fn add(&mut self, fact: Fact) {
        self.machine.push(fact);
    }

    fn facts(&self, standing: Standing) -> usize {
        let same = self.machine.iter().filter(|fact| fact.standing == standing);
        same.count()
    }

    /// The configuration, if it loads.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// Whether the server would start.
    pub(crate) fn is_good(&self) -> bool {
        self.problems.is_empty() && self.facts(Standing::Bad) == 0
    }

    /// For a person; with `colour`, for a terminal.
    pub(crate) fn text(&self, colour: bool) -> String {
        text::page(self, colour)
    }

    /// For a script: one JSON object, pretty enough to read.
    pub(crate) fn json(&self) -> String {
        json::object(self)
    }

    fn directories(&self) -> [(&'static str, String); 3] {
        let shown = |path: &std::path::Path| path.display().to_string();
        [
            ("config", shown(self.dirs.config().path())),
            ("keys", shown(self.dirs.keys().path())),
            ("secrets", shown(self.dirs.secrets().path())),
        ]
    }
}

struct Counts {
    hosts: usize,
    tags: usize,
    logins: usize,
    rules: usize,
    deny_substrings: usize,
}

impl Counts {
    fn of(snapshot: &Snapshot) -> Self {
        let mut tags: Vec<_> = snapshot
            .hosts()
            .iter()
            .flat_map(|host| &host.tags)
            .collect();
        tags.sort();
        tags.dedup();
        let mut logins: Vec<&str> = snapshot
            .hosts()
            .iter()
            .map(|host| host.login.name.as_str())
            .collect();
        logins.sort_unstable();
        logins.dedup();
        // Of a host that no override names.
        let limits = snapshot.policy().limits("", &[]);
        Self {
            hosts: snapshot.hosts().len(),
            tags: tags.len(),
            logins: logins.len(),
            rules: snapshot.rules(),
            deny_substrings: limits.deny_substrings.len(),
        }
    }
}
