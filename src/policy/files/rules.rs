//! `files:` of the policy: who may read and write which files.
//!
//! Owns what the globs of these rules say of a path: deny beats ask beats allow, in any
//! order, and what no rule names is denied. A denial holds if the path may be one of its
//! files, in any letter case; a grant covers the very path. Called by the judge.

use crate::policy::decision::subject::Subject;
use crate::policy::files::work::{Doing, FileWork};
use crate::policy::rule::glob::Glob;
use crate::policy::rule::path_pattern::{From, NamedPath, PathPattern};
use crate::policy::source::{Action, Line};

/// One rule of `files:`, compiled.
#[derive(Debug)]
pub(crate) struct FileRule {
    pub(crate) line: Line,
    pub(crate) action: Action,
    pub(crate) aliases: Vec<Glob>,
    pub(crate) tags: Vec<Glob>,
    pub(crate) read: Vec<PathPattern>,
    pub(crate) write: Vec<PathPattern>,
    /// What it allows, it allows as root too.
    pub(crate) sudo: bool,
}

/// What the rules say of one piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileFinding {
    pub(crate) action: Action,
    /// Of the rule that decided.
    pub(crate) line: Option<Line>,
}

impl FileRule {
    fn is_for(&self, subject: &Subject<'_>) -> bool {
        let one_of = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        let mut tags = subject.tags.iter();
        (self.aliases.is_empty() || one_of(&self.aliases, subject.alias.as_str()))
            && (self.tags.is_empty() || tags.any(|tag| one_of(&self.tags, tag.as_str())))
    }

    fn holds(&self, subject: &Subject<'_>, work: &FileWork, path: &NamedPath) -> bool {
        let patterns = match work.doing {
            Doing::Read(_) | Doing::Fetch(_) => &self.read,
            Doing::Write(_) => &self.write,
        };
        self.is_for(subject)
            && match self.action {
                Action::Deny => patterns.iter().any(|pattern| pattern.may_meet(path)),
                Action::Allow | Action::Ask => {
                    (self.sudo || !work.sudo) && patterns.iter().any(|pattern| pattern.covers(path))
                }
            }
    }
}

/// The strictest that a rule says; denied where none says anything.
pub(crate) fn decide(rules: &[FileRule], subject: &Subject<'_>, work: &FileWork) -> FileFinding {
    let path = NamedPath::new(work.path.as_str(), From::Somewhere);
    let holding: Vec<&FileRule> = rules
        .iter()
        .filter(|rule| rule.holds(subject, work, &path))
        .collect();
    let found = [Action::Deny, Action::Ask, Action::Allow]
        .into_iter()
        .find_map(|action| holding.iter().find(|rule| rule.action == action));
    match found {
        Some(rule) => FileFinding {
            action: rule.action,
            line: Some(rule.line),
        },
        None => FileFinding {
            action: Action::Deny,
            line: None,
        },
    }
}
