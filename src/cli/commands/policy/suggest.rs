//! `policy suggest [FILE|DIR]...`: the smallest rules that would have allowed what was denied.
//!
//! Owns the choice and the YAML to paste; changes nothing. Every candidate is compiled and
//! judged by the policy itself, alone, and counts only for what it allows then. What a deny,
//! a person or the lexer refused is never looked at, and a rule that is pasted cannot allow it
//! either: deny beats allow. Needs a record with commands in words (`record_commands`). Called
//! by `startup`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::commands::audit::records::{self, Read, Record};
use crate::cli::commands::output::{self, say};
use crate::config::Snapshot;
use crate::model::names::{CommandText, HostAlias};
use crate::model::text::visible;
use crate::policy::programs::catalogue;
use crate::policy::source::{Action, PolicySource, ReadsSource, RuleForm, RuleSource};
use crate::policy::syntax::lexer::{self, Options};
use crate::policy::{Compiled, Policy, ShellMode, Subject, Verdict};

/// Most commands that a rule's comment quotes.
const QUOTED: usize = 5;
/// Most rules that are proposed.
const RULES: usize = 50;

/// One simple command that no rule allows, with who asked for it how often.
#[derive(Default)]
struct Item {
    hosts: BTreeSet<HostAlias>,
    calls: usize,
}

/// What was denied and why it is not looked at.
#[derive(Default)]
struct LeftOut {
    refused: usize,
    not_understood: usize,
    without_words: usize,
    allowed_now: usize,
}

/// A rule that might do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Candidate {
    Reads {
        set: &'static str,
        paths: Vec<String>,
    },
    Exactly(String),
}

pub(crate) fn run(snapshot: &Snapshot, paths: &[PathBuf]) -> Outcome {
    let (mut items, mut left_out) = (BTreeMap::new(), LeftOut::default());
    let read = records::each(paths, |read| {
        if let Read::Record(record) = read {
            take(snapshot, &record, &mut items, &mut left_out);
        }
        Ok(())
    });
    if let Err(error) = read {
        say(&error.to_string());
        return Outcome::Problems;
    }
    output::text(&page(items, &left_out), true)
}

fn take(
    snapshot: &Snapshot,
    record: &Record,
    items: &mut BTreeMap<String, Item>,
    left_out: &mut LeftOut,
) {
    if record.text("type") != "policy_decision" || record.is("allowed") {
        return;
    }
    let (code, command) = (record.text("code"), record.text("command"));
    // What nothing allows, or what a wildcard did not want to grant.
    if code != "no-rule" && !code.starts_with("hazard:") {
        left_out.refused += 1;
        return;
    }
    if command.is_empty() {
        left_out.without_words += 1;
        return;
    }
    let alias = HostAlias::parse(record.text("alias")).ok();
    let text = CommandText::parse(command).ok();
    let parsed = lexer::parse(command, Options { globs: false });
    let (Some(alias), Some(text), Ok(parsed)) = (alias, text, parsed) else {
        left_out.not_understood += 1;
        return;
    };
    let allowed = |text: &CommandText| {
        let host = snapshot.host(&alias);
        host.is_some_and(|host| allows(snapshot.policy(), &host.subject(), text))
    };
    if allowed(&text) {
        left_out.allowed_now += 1;
        return;
    }
    for simple in &parsed.commands {
        let Ok(part) = CommandText::parse(&simple.text) else {
            continue;
        };
        if !allowed(&part) {
            let item = items.entry(part.as_str().to_owned()).or_default();
            item.hosts.insert(alias.clone());
            item.calls += 1;
        }
    }
}

fn allows(policy: &Policy, subject: &Subject<'_>, text: &CommandText) -> bool {
    matches!(policy.judge(subject, text), Verdict::Allow(_))
}

impl Candidate {
    /// Everything that might allow this command, the narrowest last.
    fn of(command: &str) -> Vec<Self> {
        let mut paths = BTreeSet::new();
        if let Ok(parsed) = lexer::parse(command, Options { globs: false }) {
            for word in parsed
                .commands
                .iter()
                .flat_map(|simple| simple.words.iter().skip(1))
            {
                paths.extend(pattern(&word.text));
            }
        }
        let paths: Vec<String> = paths.into_iter().collect();
        let mut found: Vec<Self> = Vec::new();
        for set in catalogue::sets() {
            found.push(Self::Reads {
                set,
                paths: Vec::new(),
            });
            if !paths.is_empty() {
                found.push(Self::Reads {
                    set,
                    paths: paths.clone(),
                });
            }
        }
        // A word of it would be a wildcard.
        if !command.contains(['*', '?', '[']) {
            found.push(Self::Exactly(command.to_owned()));
        }
        found
    }

    /// The policy of this rule and nothing else.
    fn policy(&self) -> Option<Policy> {
        let line = 1;
        let form = match self {
            Self::Reads { set, paths } => RuleForm::Reads(ReadsSource {
                sets: vec![(line, (*set).to_owned())],
                paths: paths.iter().map(|path| (line, path.clone())).collect(),
                ..ReadsSource::default()
            }),
            Self::Exactly(text) => RuleForm::Commands {
                patterns: vec![(line, text.clone())],
                legacy_glob: false,
            },
        };
        let rule = RuleSource {
            line,
            action: Action::Allow,
            aliases: Vec::new(),
            tags: Vec::new(),
            form,
            sudo: false,
            detach: false,
            stdin: false,
            trust_arguments: false,
            examples_allow: Vec::new(),
            examples_deny: Vec::new(),
        };
        let source = PolicySource {
            rules: vec![rule],
            ..PolicySource::default()
        };
        let Compiled { policy, .. } = Policy::compile(source).ok()?;
        Some(policy)
    }

    /// Whether the two can be one rule that allows no more than both.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Reads { set, .. }, Self::Reads { set: another, .. }) => set == another,
            _ => false,
        }
    }

    /// Takes the files of another rule of the same set in.
    fn take_in(&mut self, other: Self) {
        if let (Self::Reads { paths, .. }, Self::Reads { paths: more, .. }) = (self, other) {
            paths.extend(more);
            paths.sort();
            paths.dedup();
        }
    }

    /// How much it allows beside what it is for: programs, and then any file beneath a path.
    fn width(&self) -> usize {
        match self {
            Self::Exactly(_) => 0,
            Self::Reads { set, paths } => {
                let programs = catalogue::of_sets(&[set]).count();
                programs + paths.len() * 10
            }
        }
    }

    fn yaml(&self) -> String {
        match self {
            Self::Reads { set, paths } if paths.is_empty() => format!("    reads: [{set}]\n"),
            Self::Reads { set, paths } => {
                let paths: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
                format!("    reads: [{set}]\n    paths: [{}]\n", paths.join(", "))
            }
            Self::Exactly(text) => format!("    commands: [{}]\n", quoted(text)),
        }
    }

    /// What else it lets through.
    fn more(&self) -> String {
        match self {
            Self::Exactly(_) => "and nothing else".to_owned(),
            Self::Reads { set, paths } => {
                let mut names: Vec<&str> = catalogue::of_sets(&[set])
                    .flat_map(|it| it.names.iter().copied())
                    .collect();
                names.sort_unstable();
                let count = names.len();
                names.truncate(8);
                let files = match paths.is_empty() {
                    true => "of no file".to_owned(),
                    false => format!("of the files {}", paths.join(", ")),
                };
                format!(
                    "and whatever else only reads, {files}, of the {count} programs of the set: {}{}",
                    names.join(", "),
                    if count > names.len() { ", …" } else { "" }
                )
            }
        }
    }
}

/// The narrowest pattern for a file and its like: those of the same kind in a directory below
/// the first level, else itself alone.
fn pattern(word: &str) -> Option<String> {
    let path = word.starts_with('/').then_some(word)?;
    let path = path.trim_end_matches('/');
    if path.is_empty() || path.contains(['*', '?', '[', '$', '"']) || path.contains("..") {
        return None;
    }
    let (parent, name) = path.rsplit_once('/')?;
    let kind = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty());
    match kind {
        Some((_, kind)) if parent.matches('/').count() > 1 => Some(format!("{parent}/*.{kind}")),
        _ => Some(path.to_owned()),
    }
}

/// A double-quoted scalar of YAML: JSON is one.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn page(mut items: BTreeMap<String, Item>, left_out: &LeftOut) -> String {
    let all = items.len();
    let calls: usize = items.values().map(|item| item.calls).sum();
    let mut rules = String::new();
    let mut covered_calls = 0;
    for (
        candidate,
        Chosen {
            covered,
            hosts,
            calls: of_these,
        },
    ) in choose(&mut items)
    {
        covered_calls += of_these;
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let shown: Vec<String> = covered
            .iter()
            .take(QUOTED)
            .map(|text| visible(text))
            .collect();
        let more = covered.len().saturating_sub(QUOTED);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = write!(
            rules,
            "  # allows {} of the denied commands ({of_these} calls): {}{more};\n  # {}\n  \
             - action: allow\n    aliases: [{}]\n{}",
            covered.len(),
            shown.join(" | "),
            candidate.more(),
            hosts.join(", "),
            candidate.yaml()
        );
    }
    let mut out = format!(
        "# {} of {all} denied commands ({covered_calls} of {calls} calls) would be allowed by these. Nothing was\n\
         # changed: put what you agree with under 'rules:' of policy.yml, and test it with 'plan'.\n",
        all - items.len()
    );
    let notes = [
        (
            left_out.refused,
            "were refused by a deny, a person or their form: nothing is proposed for them",
        ),
        (
            left_out.without_words,
            "are on record by their hash alone (record_commands: denied keeps them)",
        ),
        (left_out.not_understood, "could not be read back"),
        (
            left_out.allowed_now,
            "are allowed by the policy as it is now",
        ),
        (
            items.len(),
            "would need a rule that no pattern of ours makes: see 'policy explain'",
        ),
    ];
    for (count, text) in notes.into_iter().filter(|(count, _)| *count > 0) {
        let _ = writeln!(out, "# {count} {text}.");
    }
    for command in items.keys().take(QUOTED) {
        let _ = writeln!(out, "#   {}", visible(command));
    }
    match rules.is_empty() {
        true => out.push_str("rules: []\n"),
        false => {
            let _ = write!(out, "rules:\n{rules}");
        }
    }
    out
}

/// What a rule is for.
#[derive(Default)]
struct Chosen {
    covered: Vec<String>,
    hosts: BTreeSet<HostAlias>,
    calls: usize,
}

/// Takes what the rules allow out of `items`. Rules of one set for files become one.
fn choose(items: &mut BTreeMap<String, Item>) -> Vec<(Candidate, Chosen)> {
    let coverage = coverage(items);
    let mut rules: Vec<(Candidate, Chosen)> = Vec::new();
    for _ in 0..RULES {
        let Some((candidate, covered)) = best(items, &coverage) else {
            break;
        };
        let at = rules.iter().position(|(rule, _)| rule.is_like(&candidate));
        let place = at.unwrap_or(rules.len());
        if at.is_none() {
            rules.push((candidate.clone(), Chosen::default()));
        }
        let Some((rule, chosen)) = rules.get_mut(place) else {
            break;
        };
        rule.take_in(candidate);
        for command in covered {
            if let Some(item) = items.remove(&command) {
                chosen.hosts.extend(item.hosts);
                chosen.calls += item.calls;
                chosen.covered.push(command);
            }
        }
    }
    rules
}

/// What each candidate allows, judged once.
fn coverage(items: &BTreeMap<String, Item>) -> Vec<(Candidate, BTreeSet<String>)> {
    let candidates: BTreeSet<Candidate> = items
        .keys()
        .flat_map(|command| Candidate::of(command))
        .collect();
    let allowed = |candidate: &Candidate| -> BTreeSet<String> {
        let Some(policy) = candidate.policy() else {
            return BTreeSet::new();
        };
        let allowed = |command: &String, item: &Item| {
            let alias = item.hosts.first()?;
            let subject = Subject {
                alias,
                tags: &[],
                shell: ShellMode::Sh,
                detached: false,
                stdin: None,
            };
            let text = CommandText::parse(command).ok()?;
            allows(&policy, &subject, &text).then(|| command.clone())
        };
        match candidate {
            // Of all that are written like it there is one.
            Candidate::Exactly(text) => {
                let item = items.get_key_value(text);
                let one = item.and_then(|(command, item)| allowed(command, item));
                one.into_iter().collect()
            }
            Candidate::Reads { .. } => {
                let all = items.iter();
                all.filter_map(|(command, item)| allowed(command, item))
                    .collect()
            }
        }
    };
    candidates
        .into_iter()
        .map(|candidate| {
            let covered = allowed(&candidate);
            (candidate, covered)
        })
        .filter(|(_, covered)| !covered.is_empty())
        .collect()
}

/// The candidate that allows the most of what is left; of those the narrowest.
fn best(
    items: &BTreeMap<String, Item>,
    coverage: &[(Candidate, BTreeSet<String>)],
) -> Option<(Candidate, Vec<String>)> {
    let left = |covered: &BTreeSet<String>| -> Vec<String> {
        let left = covered
            .iter()
            .filter(|command| items.contains_key(*command));
        left.cloned().collect()
    };
    coverage
        .iter()
        .map(|(candidate, covered)| (candidate.clone(), left(covered)))
        .filter(|(_, covered)| !covered.is_empty())
        .max_by_key(|(candidate, covered)| (covered.len(), std::cmp::Reverse(candidate.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_files_of_one_kind_or_for_one_file() {
        for (word, wanted) in [
            ("/var/log/nginx/access.log", Some("/var/log/nginx/*.log")),
            ("/etc/hosts.allow", Some("/etc/hosts.allow")),
            ("/etc/passwd", Some("/etc/passwd")),
            ("/var/log/", Some("/var/log")),
            ("/", None),
            ("relative/path", None),
            ("-n", None),
            ("/var/*/x", None),
            ("/var/../x", None),
        ] {
            assert_eq!(pattern(word).as_deref(), wanted, "{word}");
        }
    }
}
