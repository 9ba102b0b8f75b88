//! Three files → one [`Snapshot`], or everything that is wrong with them.
//!
//! Owns the order: directories, bytes, credentials with their secrets, hosts, policy,
//! and what only the whole can tell. Never stops at the first problem, and never gives a
//! snapshot when there is one. Does no logging: problems, warnings and security events
//! are handed back. Called by `startup`, `check`, and [`crate::config::store::Store`].

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::files::directories::{Dirs, FILES};
use crate::config::read::credentials::{self, Credentials};
use crate::config::read::input::{self, Noticed};
use crate::config::read::policy::{self as policy_file, PolicyFile};
use crate::config::read::{cross_check, servers};
use crate::config::schema::findings::Findings;
use crate::config::schema::problem::{Fault, Mark, Place, Problem, Warning, WarningKind};
use crate::config::secrets::environment::Environment;
use crate::config::secrets::sources::Sources;
use crate::config::snapshot::{Settings, Snapshot};
use crate::config::yaml::tree::Node;
use crate::model::security_event::SecurityEvent;
use crate::model::text::hex;
use crate::policy::{self, Compiled, Policy};

/// A configuration that can be used, and what was noticed on the way.
pub struct Loaded {
    pub snapshot: Snapshot,
    pub events: Vec<SecurityEvent>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.for_operator())]
pub struct LoadError {
    /// At least one, in the order of the files and of the lines.
    pub problems: Vec<Problem>,
    /// What would have loaded, but surprises.
    pub warnings: Vec<Warning>,
    pub events: Vec<SecurityEvent>,
}

impl LoadError {
    /// Everything, a line a problem.
    pub fn for_operator(&self) -> String {
        lines(self.problems.iter().map(Problem::for_operator))
    }

    /// Places and kinds, a line a problem, and nothing that the files say.
    pub fn for_assistant(&self) -> String {
        lines(self.problems.iter().map(Problem::for_assistant))
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads everything.
///
/// # Errors
/// All problems of all files.
pub fn load(dirs: &Arc<Dirs>, environment: &Environment) -> Result<Loaded, LoadError> {
    let mut noticed = Noticed::default();
    input::directories(dirs, &mut noticed);
    // Before they are read: a change in between is then seen as one.
    let states = dirs.file_states();
    let bytes = input::files(dirs, &mut noticed);
    let texts = bytes
        .each_ref()
        .map(|bytes| bytes.as_ref().map(|bytes| bytes.as_slice()));
    let mut loaded = Load { dirs, noticed }.finish(texts, environment)?;
    loaded.snapshot.files = states;
    Ok(loaded)
}

/// As [`load`], with the text of the three files (in the order of [`FILES`]) in place of
/// the configuration directory. Keys and secrets are still read from their directories.
///
/// # Errors
/// All problems of all files.
pub fn load_texts(
    texts: [&[u8]; 3],
    dirs: &Arc<Dirs>,
    environment: &Environment,
) -> Result<Loaded, LoadError> {
    let noticed = Noticed::default();
    Load { dirs, noticed }.finish(texts.map(Some), environment)
}

/// Whether this process, as the user that it is now, could read what a snapshot was made of:
/// the same bytes, and every secret that they name. What follows from the bytes alone is not
/// worked out a second time.
pub(crate) fn reads_again(dirs: &Arc<Dirs>, environment: &Environment, of: &Snapshot) -> bool {
    let mut noticed = Noticed::default();
    input::directories(dirs, &mut noticed);
    let bytes = input::files(dirs, &mut noticed);
    let [Some(servers), Some(credentials), Some(policy)] = &bytes else {
        return false;
    };
    if hex(&hash([servers, credentials, policy])) != of.hash() {
        // They changed in between: another configuration, and whether it can be read is its own
        // question.
        return load(dirs, environment).is_ok();
    }
    let env_file = input::env_file(dirs, &mut noticed);
    let sources = Sources::new(environment, dirs, &env_file);
    let mut again = Load { dirs, noticed };
    again.credentials(Some(credentials), &sources);
    again.noticed.problems.is_empty()
}

struct Load<'a> {
    dirs: &'a Arc<Dirs>,
    noticed: Noticed,
}

impl Load<'_> {
    fn finish(
        mut self,
        texts: [Option<&[u8]>; 3],
        environment: &Environment,
    ) -> Result<Loaded, LoadError> {
        let snapshot = self.everything(texts, environment);
        let Noticed {
            mut problems,
            mut warnings,
            events,
        } = self.noticed;
        let order = |place: &Place| {
            let file = FILES.iter().position(|file| *file == place.file);
            // What has no line is about the rest of its file.
            (file, place.at.is_none(), place.at)
        };
        problems.sort_by_key(|problem| order(&problem.place));
        warnings.sort_by_key(|warning| order(&warning.place));
        match snapshot {
            Some(mut snapshot) if problems.is_empty() => {
                snapshot.warnings = warnings;
                Ok(Loaded { snapshot, events })
            }
            _ => Err(LoadError {
                problems,
                warnings,
                events,
            }),
        }
    }

    fn everything(
        &mut self,
        texts: [Option<&[u8]>; 3],
        environment: &Environment,
    ) -> Option<Snapshot> {
        let [servers_yml, credentials_yml, policy_yml] = FILES;
        let [server_text, credential_text, policy_text] = texts;
        let env_file = input::env_file(self.dirs, &mut self.noticed);
        let sources = Sources::new(environment, self.dirs, &env_file);
        let credentials = self.credentials(credential_text, &sources);
        let servers = self.read(servers_yml, server_text, |root, to, _| {
            Some(servers::read(root, to, credentials.as_ref()))
        });
        let policy = self.read(policy_yml, policy_text, |root, to, load| {
            policy_file::read(root, to, load.dirs, &mut load.noticed.events)
        });

        // A host that could not be read, itself or its login, may be the one that is named.
        let whole = |file| {
            !self
                .noticed
                .problems
                .iter()
                .any(|problem| problem.place.file == file)
        };
        if let (Some(servers), Some(policy)) = (&servers, &policy)
            && whole(servers_yml)
            && whole(credentials_yml)
        {
            self.noticed
                .warnings
                .extend(cross_check::warnings(policy, &servers.hosts));
        }
        if let (Some(servers), Some(policy)) = (&servers, &policy) {
            let confused = cross_check::groups(policy, &servers.groups);
            self.noticed.problems.extend(confused);
        }
        let (policy, settings) = self.compile(policy?)?;
        let servers = servers?;
        Some(Snapshot::new(
            Arc::clone(self.dirs),
            servers.hosts,
            servers.groups,
            policy,
            settings,
            hash([server_text?, credential_text?, policy_text?]),
        ))
    }

    fn credentials(&mut self, text: Option<&[u8]>, sources: &Sources<'_>) -> Option<Credentials> {
        let [_, credentials_yml, _] = FILES;
        self.read(credentials_yml, text, |root, to, load| {
            credentials::read(root, to, load.dirs, sources, &mut load.noticed.events)
        })
    }

    /// Compiles the policy, also one that has problems already, to find the rest of
    /// them; its examples would then fail for no reason of their own.
    fn compile(&mut self, file: PolicyFile) -> Option<(Policy, Settings)> {
        let PolicyFile {
            mut source,
            known_hosts,
            concurrency,
            approval_wait,
            approval_reuse,
            on_audit_failure,
            audit_space,
            on_revoke,
            record_commands,
            approval,
            approval_url,
            ways,
            rule_lines,
            ..
        } = file;
        if self
            .noticed
            .problems
            .iter()
            .any(|problem| problem.place.file == FILES[2])
        {
            for rule in &mut source.rules {
                rule.examples_allow.clear();
                rule.examples_deny.clear();
            }
        }
        let rules = rule_lines.len();
        let place = |line: Option<usize>| Place {
            file: FILES[2],
            at: line.map(|line| Mark { line, column: 0 }),
        };
        let warn = |warning: policy::Warning| Warning {
            place: place(warning.line),
            key: renumbered(warning.key, warning.line, &rule_lines),
            kind: WarningKind::Policy,
            text: warning.message,
        };
        match Policy::compile(source) {
            Ok(Compiled { policy, warnings }) => {
                self.noticed.warnings.extend(warnings.into_iter().map(warn));
                let settings = Settings {
                    known_hosts: known_hosts?,
                    concurrency,
                    approval_wait,
                    approval_reuse,
                    on_audit_failure,
                    audit_space,
                    on_revoke,
                    record_commands,
                    approval,
                    approval_url,
                    ways,
                    rules,
                };
                Some((policy, settings))
            }
            Err(problems) => {
                self.noticed
                    .problems
                    .extend(problems.into_iter().map(|problem| Problem {
                        place: place(problem.line),
                        key: renumbered(problem.key, problem.line, &rule_lines),
                        fault: Fault::Rule,
                        found: problem.found,
                        accepted: problem.accepted,
                        nearest: None,
                    }));
                None
            }
        }
    }

    fn read<T>(
        &mut self,
        file: &'static str,
        bytes: Option<&[u8]>,
        read: impl FnOnce(&Node<'_>, &mut Findings, &mut Self) -> Option<T>,
    ) -> Option<T> {
        let mut findings = Findings::new(file);
        let value = findings
            .document(bytes?)
            .and_then(|root| read(&root, &mut findings, self));
        let (problems, warnings) = findings.into_parts();
        self.noticed.problems.extend(problems);
        self.noticed.warnings.extend(warnings);
        value
    }
}

/// The compiler counts the rules it got, the file may have more: the line decides.
fn renumbered(key: String, line: Option<usize>, rule_lines: &[usize]) -> String {
    let (Some(line), Some(rest)) = (line, key.strip_prefix("rules[")) else {
        return key;
    };
    let Some((_, rest)) = rest.split_once(']') else {
        return key;
    };
    match rule_lines.iter().rposition(|first| *first <= line) {
        Some(index) => format!("rules[{index}]{rest}"),
        None => key,
    }
}

/// The files, each with its length, so that no two sets of files look alike.
fn hash(files: [&[u8]; 3]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for (name, bytes) in FILES.iter().zip(files) {
        hasher.update(format!("{name} {}\n", bytes.len()));
        hasher.update(bytes);
    }
    hasher.finalize().into()
}
