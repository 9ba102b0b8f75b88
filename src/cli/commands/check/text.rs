//! The report of `check` for a person.
//!
//! Owns its words and colours. Lines of `credentials.yml` and `.env` are never quoted,
//! because a password may stand there. Called by the parent.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::cli::commands::check::{Counts, Fact, Report, Standing, legacy_hosts};
use crate::config::files::beneath::RelativePath;
use crate::config::files::directories::FILES;
use crate::config::files::directories::{Dirs, YAML_MAX};
use crate::config::schema::problem::{Mark, Place};
use crate::config::snapshot::Snapshot;
use crate::model::invisible::is_invisible;

pub(crate) fn page(report: &Report, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = String::new();
    for (name, path) in report.directories() {
        line(&mut out, format_args!("{name:<9}{path}"));
    }
    let mut excerpts = Excerpts::new(&report.dirs);
    for problem in &report.problems {
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
    for warning in &report.warnings {
        let head = format!("{}{}", paint.yellow("warning"), title(&warning.key));
        excerpts.entry(&mut out, paint, &head, warning.place);
        line(&mut out, format_args!("    {}", warning.text));
    }
    out.push('\n');
    if let Some(snapshot) = &report.snapshot {
        for fact in facts(snapshot) {
            line(&mut out, format_args!("{fact}"));
        }
    }
    for Fact {
        name,
        text,
        standing,
    } in &report.machine
    {
        let mark = match standing {
            Standing::Good => paint.green("ok"),
            Standing::Warning => paint.yellow("warning"),
            Standing::Bad => paint.red("no"),
        };
        line(&mut out, format_args!("{name}: {mark}, {text}"));
    }
    line(&mut out, format_args!("{}", paint.bold(&verdict(report))));
    out
}

fn verdict(report: &Report) -> String {
    let errors = report.problems.len() + report.facts(Standing::Bad);
    let warnings = report.warnings.len() + report.facts(Standing::Warning);
    let found = format!(
        "{}, {}",
        counted(errors, "error"),
        counted(warnings, "warning")
    );
    if report.is_good() {
        format!("{found}: the server would start.")
    } else {
        format!("{found}: the server would not start.")
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
    let mut facts = vec![
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
    ];
    let legacy = legacy_hosts(snapshot);
    if !legacy.is_empty() {
        facts.push(format!(
            "legacy_algorithms (SHA-1, CBC, 3DES are accepted): {}",
            legacy.join(", ")
        ));
    }
    facts
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
            .map(|c| {
                if c.is_control() || is_invisible(c) {
                    ' '
                } else {
                    c
                }
            })
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
