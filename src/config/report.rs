//! `check`: everything that can be said of a configuration without connecting anywhere.
//!
//! Owns the report's two forms, one that a person reads with the files at hand and one
//! for scripts, and its exit code. Prints nothing. Lines of `credentials.yml` and `.env`
//! are never quoted, because a password may stand there. Called by `startup`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::dirs::{Dirs, YAML_MAX};
use super::environment::Environment;
use super::event::SecurityEvent;
use super::host::Host;
use super::load::{FILES, LoadError, Loaded, load};
use super::problem::{Mark, Place, Problem, Warning, WarningKind};
use super::safe_path::{FileError, RelativePath};
use super::snapshot::Snapshot;

/// Those of the hosts that a known_hosts text has no key for. The parser is `ssh`'s, which
/// this module can't call, so the caller brings it.
pub type Unknown<'a> = &'a dyn for<'h> Fn(&[u8], &'h [Host]) -> Vec<&'h Host>;

/// What `check` found.
pub struct Report {
    dirs: Arc<Dirs>,
    snapshot: Option<Snapshot>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    events: Vec<SecurityEvent>,
    machine: Vec<Fact>,
}

/// Something about this machine rather than about the files, such as its sandbox.
#[derive(Debug, Clone)]
pub struct Fact {
    pub name: &'static str,
    pub text: String,
    pub standing: Standing,
}

/// How a fact counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Good,
    /// The server would start with it, but not as it should be.
    Warning,
    /// The server would not start with it.
    Bad,
}

/// Loads the configuration as the server would, and looks at what that does not need:
/// whether the hosts' keys are known.
pub fn check(dirs: &Arc<Dirs>, environment: &Environment, unknown: Unknown<'_>) -> Report {
    let dirs = Arc::clone(dirs);
    match load(&dirs, environment) {
        Ok(Loaded { snapshot, events }) => {
            let mut warnings = snapshot.warnings().to_vec();
            warnings.extend(unknown_hosts(&snapshot, unknown));
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

/// A warning for each host whose key isn't known: every login to it will be refused.
pub fn unknown_hosts(snapshot: &Snapshot, unknown: Unknown<'_>) -> Vec<Warning> {
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
    let unknown = unknown(&text, snapshot.hosts());
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
    pub fn add(&mut self, fact: Fact) {
        self.machine.push(fact);
    }

    fn facts(&self, standing: Standing) -> usize {
        let same = self.machine.iter().filter(|fact| fact.standing == standing);
        same.count()
    }

    /// The configuration, if it loads.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// Whether the server would start.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.facts(Standing::Bad) == 0
    }

    /// 0, or 1 with errors.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.is_good())
    }

    /// For a person; with `colour`, for a terminal.
    pub fn text(&self, colour: bool) -> String {
        let paint = Paint(colour);
        let mut out = String::new();
        for (name, path) in self.directories() {
            line(&mut out, format_args!("{name:<9}{path}"));
        }
        let mut excerpts = Excerpts::new(&self.dirs);
        for problem in &self.problems {
            let head = format!("{}{}", paint.red("error"), title(&problem.key));
            excerpts.entry(&mut out, paint, &head, problem.place);
            line(&mut out, format_args!("    {}", problem.found));
            if let Some(nearest) = &problem.nearest {
                line(&mut out, format_args!("    did you mean '{nearest}'?"));
            }
            if !problem.accepted.is_empty() {
                line(&mut out, format_args!("    accepted: {}", problem.accepted));
            }
        }
        for warning in &self.warnings {
            let head = format!("{}{}", paint.yellow("warning"), title(&warning.key));
            excerpts.entry(&mut out, paint, &head, warning.place);
            line(&mut out, format_args!("    {}", warning.text));
        }
        out.push('\n');
        if let Some(snapshot) = &self.snapshot {
            for fact in facts(snapshot) {
                line(&mut out, format_args!("{fact}"));
            }
        }
        for Fact {
            name,
            text,
            standing,
        } in &self.machine
        {
            let mark = match standing {
                Standing::Good => paint.green("ok"),
                Standing::Warning => paint.yellow("warning"),
                Standing::Bad => paint.red("no"),
            };
            line(&mut out, format_args!("{name}: {mark}, {text}"));
        }
        line(&mut out, format_args!("{}", paint.bold(&self.verdict())));
        out
    }

    /// For a script: one JSON object, pretty enough to read.
    pub fn json(&self) -> String {
        let report = json!({
            "ok": self.is_good(),
            "directories": self
                .directories()
                .into_iter()
                .map(|(name, path)| (name.to_owned(), path.into()))
                .collect::<serde_json::Map<String, Json>>(),
            "configuration": self.snapshot.as_ref().map(counts),
            "problems": self.problems.iter().map(problem_json).collect::<Vec<_>>(),
            "warnings": self.warnings.iter().map(warning_json).collect::<Vec<_>>(),
            "security_events": self.events.iter().map(event_json).collect::<Vec<_>>(),
            "machine": self.machine.iter().map(|fact| json!({
                "name": fact.name, "ok": fact.standing == Standing::Good, "text": fact.text,
                "warning": fact.standing == Standing::Warning,
            })).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }

    fn directories(&self) -> [(&'static str, String); 3] {
        let shown = |path: &std::path::Path| path.display().to_string();
        [
            ("config", shown(self.dirs.config().path())),
            ("keys", shown(self.dirs.keys().path())),
            ("secrets", shown(self.dirs.secrets().path())),
        ]
    }

    fn verdict(&self) -> String {
        let errors = self.problems.len() + self.facts(Standing::Bad);
        let warnings = self.warnings.len() + self.facts(Standing::Warning);
        let found = format!(
            "{}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        );
        if self.is_good() {
            format!("{found}: the server would start.")
        } else {
            format!("{found}: the server would not start.")
        }
    }
}

/// What the configuration amounts to, a line a fact.
fn facts(snapshot: &Snapshot) -> Vec<String> {
    let counts = Counts::of(snapshot);
    let network = snapshot.policy().network();
    let addresses = match (network.allowlist_enabled(), network.blocklist_enabled()) {
        (true, true) => "only listed addresses, less the blocked ones",
        (true, false) => "only listed addresses",
        (false, true) => "any address but the blocked ones",
        (false, false) => "any address",
    };
    let ports: Vec<String> = snapshot.ports().iter().map(ToString::to_string).collect();
    vec![
        format!(
            "{}, {}; connects to port {}",
            counted(counts.hosts, "host"),
            counted(counts.tags, "tag"),
            if ports.is_empty() {
                "none".to_owned()
            } else {
                ports.join(", ")
            }
        ),
        format!("{} in use", counted(counts.logins, "login")),
        format!(
            "{}, {} of deny_substrings; {addresses}",
            counted(counts.rules, "rule"),
            counted(counts.deny_substrings, "entry")
        ),
    ]
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

fn counts(snapshot: &Snapshot) -> Json {
    let counts = Counts::of(snapshot);
    let network = snapshot.policy().network();
    json!({
        "hosts": counts.hosts,
        "tags": counts.tags,
        "logins": counts.logins,
        "rules": counts.rules,
        "deny_substrings": counts.deny_substrings,
        "ports": snapshot.ports().iter().map(|port| port.get()).collect::<Vec<_>>(),
        "allowlist": network.allowlist_enabled(),
        "blocklist": network.blocklist_enabled(),
        "aliases": snapshot.hosts().iter().map(|host| host.alias.as_str()).collect::<Vec<_>>(),
        "hash": snapshot.hash(),
    })
}

fn place_json(place: Place, key: &str) -> serde_json::Map<String, Json> {
    let mut map = serde_json::Map::new();
    map.insert("file".to_owned(), place.file.into());
    if let Some(Mark { line, column }) = place.at {
        map.insert("line".to_owned(), line.into());
        if column > 0 {
            map.insert("column".to_owned(), column.into());
        }
    }
    if !key.is_empty() {
        map.insert("key".to_owned(), key.into());
    }
    map
}

fn problem_json(problem: &Problem) -> Json {
    let mut map = place_json(problem.place, &problem.key);
    map.insert("fault".to_owned(), problem.fault.code().into());
    map.insert("found".to_owned(), problem.found.clone().into());
    map.insert("accepted".to_owned(), problem.accepted.clone().into());
    if let Some(nearest) = &problem.nearest {
        map.insert("nearest".to_owned(), nearest.clone().into());
    }
    Json::Object(map)
}

fn warning_json(warning: &Warning) -> Json {
    let mut map = place_json(warning.place, &warning.key);
    map.insert("kind".to_owned(), warning.kind.code().into());
    map.insert("text".to_owned(), warning.text.clone().into());
    Json::Object(map)
}

fn event_json(event: &SecurityEvent) -> Json {
    json!({
        "event_type": event.event_type,
        "reason": event.reason,
        "attempted_path": event.attempted_path,
    })
}

/// The lines that findings are about, for files that hold no secret.
struct Excerpts {
    files: BTreeMap<&'static str, Vec<String>>,
}

impl Excerpts {
    fn new(dirs: &Dirs) -> Self {
        let quotable = [FILES[0], FILES[2]];
        let files = quotable.into_iter().filter_map(|name| {
            let content = dirs
                .config()
                .read(&RelativePath::new(name)?, YAML_MAX)
                .ok()?;
            let text = String::from_utf8_lossy(&content.bytes).into_owned();
            Some((name, text.lines().map(str::to_owned).collect()))
        });
        Self {
            files: files.collect(),
        }
    }

    /// A blank line, the heading with its place, and the line it is about.
    fn entry(&mut self, out: &mut String, paint: Paint, head: &str, place: Place) {
        const WIDTH: usize = 100;
        line(out, format_args!("\n{head} ({place})"));
        let Some(Mark {
            line: number,
            column,
        }) = place.at
        else {
            return;
        };
        let lines = self.files.get(place.file);
        let Some(text) = lines.and_then(|lines| lines.get(number.checked_sub(1)?)) else {
            return;
        };
        let shown: String = text
            .chars()
            .take(WIDTH)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        line(
            out,
            format_args!("{}", paint.dim(&format!("{number:>5} | {shown}"))),
        );
        if (1..=WIDTH).contains(&column) {
            let caret = format!("{:>5} | {:>column$}", "", "^");
            line(out, format_args!("{}", paint.dim(&caret)));
        }
    }
}

fn title(key: &str) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!(": {key}")
    }
}

fn counted(number: usize, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {what}s"),
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = writeln!(out, "{text}");
}

/// ANSI colours, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn yellow(self, text: &str) -> String {
        self.with("1;33", text)
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
}
