//! `check`: the report on a configuration and on the machine that would run it.
//!
//! Owns how findings count and the report's two forms, one that a person reads with the
//! files at hand and one for scripts. Finds nothing out: `startup` rehearses the boot and
//! hands over what came of it. Called by `startup`.

pub(crate) mod json;
pub(crate) mod text;

use std::sync::Arc;

use crate::cli::Outcome;
use crate::cli::commands::output;
use crate::config::files::directories::Dirs;
use crate::config::load::{LoadError, Loaded};
use crate::config::schema::problem::{Problem, Warning};
use crate::config::snapshot::Snapshot;
use crate::model::security_event::SecurityEvent;

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

impl Report {
    /// A report on what the server would load, or on why it would not.
    pub(crate) fn new(dirs: &Arc<Dirs>, loaded: Result<Loaded, LoadError>) -> Self {
        let report = |snapshot: Option<Snapshot>| Self {
            dirs: Arc::clone(dirs),
            snapshot,
            problems: Vec::new(),
            warnings: Vec::new(),
            events: Vec::new(),
            machine: Vec::new(),
        };
        match loaded {
            Ok(Loaded { snapshot, events }) => Self {
                warnings: snapshot.warnings().to_vec(),
                events,
                ..report(Some(snapshot))
            },
            Err(LoadError {
                problems,
                warnings,
                events,
            }) => Self {
                problems,
                warnings,
                events,
                ..report(None)
            },
        }
    }

    /// Adds warnings that the load itself does not find.
    pub(crate) fn warn(&mut self, warnings: impl IntoIterator<Item = Warning>) {
        self.warnings.extend(warnings);
    }

    /// Prints the report. With `colour`, for a terminal.
    pub(crate) fn print(&self, json: bool, colour: bool) -> Outcome {
        let text = if json {
            json::object(self)
        } else {
            text::page(self, colour)
        };
        output::text(&text, self.is_good())
    }

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

    fn directories(&self) -> [(&'static str, String); 3] {
        let shown = |path: &std::path::Path| path.display().to_string();
        [
            ("config", shown(self.dirs.config().path())),
            ("keys", shown(self.dirs.keys().path())),
            ("secrets", shown(self.dirs.secrets().path())),
        ]
    }
}

/// The hosts that are let agree on older algorithms.
fn legacy_hosts(snapshot: &Snapshot) -> Vec<&str> {
    let hosts = snapshot.hosts().iter();
    hosts
        .filter(|host| host.legacy_algorithms)
        .map(|host| host.alias.as_str())
        .collect()
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
