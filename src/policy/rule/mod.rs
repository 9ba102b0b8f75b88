//! The rules of a policy, compiled, and what they say of one simple command.
//!
//! Owns the compilation of `rules:`, the index by program and first argument that keeps a
//! decision independent of how many rules there are, and the order: deny beats ask beats
//! allow, wherever they stand. Refuses patterns and rules that cannot mean anything.
//! Called by `judge` for every command of a list.

pub(crate) mod glob;
pub(crate) mod legacy_glob;
pub(crate) mod path_pattern;
pub(crate) mod structured;
pub(crate) mod word_pattern;

use std::collections::HashMap;

use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::Subject;
use crate::policy::deny::rules::DenyRules;
use crate::policy::filter;
use crate::policy::hazard::{self, Hazard, wrappers};
use crate::policy::rule::glob::Glob;
use crate::policy::rule::legacy_glob::Legacy;
use crate::policy::rule::structured::Structured;
use crate::policy::rule::word_pattern::{Freedom, Pattern};
use crate::policy::source::{Action, Line};
use crate::policy::syntax::command::{OUTPUT, STATUS, Simple, Word};

/// All rules of a policy.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    /// What allows or asks.
    pub(crate) grants: Vec<Grant>,
    by_program: HashMap<String, Group>,
    /// Grants whose program is a wildcard.
    others: Vec<usize>,
    /// What each deny entry belongs to.
    pub(crate) denials: Vec<Denied>,
    pub(crate) deny: DenyRules,
    pub(crate) filters: bool,
}

/// For whom a rule is, and what it does.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) action: Action,
    pub(crate) aliases: Vec<Glob>,
    pub(crate) tags: Vec<Glob>,
}

/// One pattern or structured rule that allows or asks.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) rule: usize,
    pub(crate) line: Line,
    pub(crate) what: What,
    /// Why it can never match, if it cannot: an interpreter or a wrapper left open.
    pub(crate) never: Option<Code>,
}

/// One pattern or structured rule that denies.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) rule: usize,
    pub(crate) line: Line,
}

#[derive(Debug)]
pub(crate) enum What {
    Pattern(Pattern),
    Legacy(Legacy),
    Structured(Structured),
}

#[derive(Debug, Default)]
struct Group {
    by_argument: HashMap<String, Vec<usize>>,
    others: Vec<usize>,
}

/// What became of one simple command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) action: Action,
    pub(crate) code: Code,
    /// Of the rule that decided.
    pub(crate) line: Option<Line>,
    pub(crate) hazard: Option<Hazard>,
    /// A filter behind a pipe that needs a rule for what else it does.
    pub(crate) overdone_filter: bool,
}

impl Rule {
    pub(crate) fn is_for(&self, subject: &Subject<'_>) -> bool {
        let alias = subject.alias.as_str();
        (self.aliases.is_empty() || self.aliases.iter().any(|glob| glob.matches(alias)))
            && (self.tags.is_empty()
                || subject
                    .tags
                    .iter()
                    .any(|tag| self.tags.iter().any(|glob| glob.matches(tag.as_str()))))
    }
}

impl What {
    fn matches(&self, words: &[Word<'_>]) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(words),
            Self::Legacy(legacy) => legacy.matches(words),
            Self::Structured(structured) => structured.matches(words),
        }
    }

    fn freedom(&self, index: usize, word: &Word<'_>) -> Freedom {
        match self {
            Self::Pattern(pattern) => pattern.freedom(index, word),
            Self::Legacy(legacy) => legacy.freedom(word),
            Self::Structured(structured) => structured.freedom(index, word),
        }
    }

    pub(crate) fn is_everything(&self) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_everything(),
            Self::Legacy(legacy) => legacy.is_everything(),
            Self::Structured(_) => false,
        }
    }

    fn never(&self) -> Option<Code> {
        match self {
            Self::Pattern(pattern) => hazard::of_pattern(pattern),
            Self::Legacy(legacy) => legacy.never(),
            Self::Structured(structured) => hazard::of_prefix(&structured.spelled_before_free()?),
        }
    }

    /// Whether it takes more words than it spells out.
    fn is_open(&self) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_wild(),
            Self::Legacy(legacy) => legacy.is_wild(),
            Self::Structured(structured) => structured.spelled_before_free().is_some(),
        }
    }

    /// The program and the first argument, where they are spelled out.
    fn key(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Pattern(pattern) => (pattern.literal(0), pattern.literal(1)),
            Self::Legacy(_) => (None, None),
            Self::Structured(structured) => (Some(structured.program()), structured.argument()),
        }
    }
}

impl Rules {
    pub(crate) fn add_grant(&mut self, rule: usize, line: Line, what: What) {
        let index = self.grants.len();
        match what.key() {
            (None, _) => self.others.push(index),
            (Some(program), argument) => {
                let group = self.by_program.entry(program.to_owned()).or_default();
                let place = match argument {
                    Some(argument) => group.by_argument.entry(argument.to_owned()).or_default(),
                    None => &mut group.others,
                };
                place.push(index);
            }
        }
        let never = what.never();
        self.grants.push(Grant {
            rule,
            line,
            what,
            never,
        });
    }

    /// The line of a deny rule that holds for the text as a whole.
    pub(crate) fn denies_text(&self, subject: &Subject<'_>, raw: &str) -> Option<Line> {
        let id = self
            .deny
            .of_raw(raw, |id| self.denial_is_for(id, subject))?;
        Some(self.denials.get(id)?.line)
    }

    /// What the rules say of one command.
    pub(crate) fn decide(&self, subject: &Subject<'_>, command: &Simple<'_>) -> Finding {
        let found = self.decide_words(subject, command);
        if found.action == Action::Deny {
            return found;
        }
        let hit = |id| self.denial_is_for(id, subject);
        match self.deny.of_fed_command(&command.words, hit) {
            None => found,
            Some(id) => Finding {
                action: Action::Deny,
                code: Code::DenyRule,
                line: self.denials.get(id).map(|denied| denied.line),
                ..found
            },
        }
    }

    /// Of the words that are there, whatever its input may add to them.
    fn decide_words(&self, subject: &Subject<'_>, command: &Simple<'_>) -> Finding {
        let words = &command.words;
        let finding = |action, code, line| Finding {
            action,
            code,
            line,
            hazard: None,
            overdone_filter: false,
        };
        let hit = |id| self.denial_is_for(id, subject);
        if let Some(id) = self.deny.of_command(words, hit) {
            let line = self.denials.get(id).map(|denied| denied.line);
            return finding(Action::Deny, Code::DenyRule, line);
        }
        let mut allowed = None;
        let mut hazard = None;
        for grant in self.candidates(words) {
            let Some(rule) = self.rules.get(grant.rule) else {
                continue;
            };
            let decided = allowed.is_some() && rule.action == Action::Allow;
            if decided || !grant.what.matches(words) || !rule.is_for(subject) {
                continue;
            }
            match grant.hazard(words) {
                Some(found) => {
                    hazard.get_or_insert((found, grant.line));
                }
                None if rule.action == Action::Ask => {
                    return finding(Action::Ask, Code::Rule, Some(grant.line));
                }
                None => allowed = Some(grant.line),
            }
        }
        let filters = self.filters && command.is_fed();
        if allowed.is_some() {
            finding(Action::Allow, Code::Rule, allowed)
        } else if is_always_allowed(words) {
            finding(Action::Allow, Code::Safe, None)
        } else if filters && filter::is_filter(words) {
            finding(Action::Allow, Code::Filter, None)
        } else if let Some((hazard, line)) = hazard {
            Finding {
                hazard: Some(hazard),
                ..finding(Action::Deny, hazard.code, Some(line))
            }
        } else {
            Finding {
                overdone_filter: filters && filter::is_named(words),
                ..finding(Action::Deny, Code::NoRule, None)
            }
        }
    }

    fn denial_is_for(&self, id: usize, subject: &Subject<'_>) -> bool {
        let rule = self.denials.get(id).and_then(|d| self.rules.get(d.rule));
        rule.is_some_and(|rule| rule.is_for(subject))
    }

    /// The grants that may match, found by program and first argument.
    fn candidates<'a>(&'a self, words: &'a [Word<'a>]) -> impl Iterator<Item = &'a Grant> {
        let program = words.first().map_or("", |word| &*word.text);
        let base = wrappers::base_name(program);
        let plain = wrappers::is_system_path_of(program, base).then_some(base);
        let argument = words.get(1).map(|word| &*word.text);
        [Some(program), plain]
            .into_iter()
            .flatten()
            .filter_map(|name| self.by_program.get(name))
            .flat_map(move |group| {
                let by_argument = argument.and_then(|text| group.by_argument.get(text));
                by_argument.into_iter().flatten().chain(&group.others)
            })
            .chain(&self.others)
            .filter_map(|index| self.grants.get(*index))
    }
}

impl Grant {
    /// What it would have to grant without spelling it.
    fn hazard(&self, words: &[Word<'_>]) -> Option<Hazard> {
        if self.what.is_everything() {
            return None;
        }
        let freedom = |index| match words.get(index) {
            Some(word) => self.what.freedom(index, word),
            None => Freedom::Free,
        };
        match self.never {
            Some(code) => Some(Hazard {
                code,
                word: 0,
                program: 0,
            }),
            None => hazard::find(words, self.what.is_open(), freedom),
        }
    }
}

fn is_always_allowed(words: &[Word<'_>]) -> bool {
    let program = words.first().map_or("", |word| &*word.text);
    // What the shell expands would list a directory that no rule names. Another command's
    // output is judged where it comes from.
    let lists = |word: &Word<'_>| {
        let mut expanded = word.globs.iter();
        expanded.any(|at| {
            !word
                .text
                .get(*at..)
                .is_some_and(|text| text.starts_with([OUTPUT, STATUS]))
        })
    };
    !words.iter().any(lists)
        && wrappers::ALWAYS_ALLOWED
            .iter()
            .any(|name| program == *name || wrappers::is_system_path_of(program, name))
}
