//! The rules of a policy, compiled, and what they say of one simple command.
//!
//! Owns the compilation of `rules:`, the index by program and first argument that keeps a
//! decision independent of how many rules there are, and the order: deny beats ask beats
//! allow, wherever they stand. Refuses patterns and rules that cannot mean anything.
//! Called by `judge` for every command of a list.

pub(crate) mod decide;
pub(crate) mod free_words;
pub(crate) mod glob;
pub(crate) mod legacy_glob;
pub(crate) mod path_pattern;
pub(crate) mod reads;
pub(crate) mod structured;
pub(crate) mod word_pattern;

use std::collections::HashMap;

use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::Subject;
use crate::policy::deny::paths::DeniedPaths;
use crate::policy::deny::rules::DenyRules;
use crate::policy::hazard::{self, Hazard, wrappers};
use crate::policy::rule::glob::Glob;
use crate::policy::rule::legacy_glob::Legacy;
use crate::policy::rule::path_pattern::PathPattern;
use crate::policy::rule::reads::Reads;
use crate::policy::rule::structured::Structured;
use crate::policy::rule::word_pattern::{Freedom, Pattern};
use crate::policy::source::{Action, Line};
use crate::policy::syntax::command::Word;

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
    /// `reads:` rules that allow or ask.
    pub(crate) reads: Vec<ReadsGrant>,
    pub(crate) denied_paths: Vec<DeniedPaths>,
    pub(crate) filters: bool,
}

/// A `reads:` rule that allows or asks.
#[derive(Debug)]
pub(crate) struct ReadsGrant {
    pub(crate) rule: usize,
    pub(crate) line: Line,
    pub(crate) reads: Reads,
}

/// For whom a rule is, and what it does.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) action: Action,
    pub(crate) aliases: Vec<Glob>,
    pub(crate) tags: Vec<Glob>,
    /// What it allows, it allows behind `sudo` too.
    pub(crate) sudo: bool,
    /// A wildcard grants every word that no list calls a danger.
    pub(crate) trusting: bool,
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

    /// A `reads:` rule.
    pub(crate) fn add_reads(&mut self, rule: usize, line: Line, reads: Reads) {
        self.reads.push(ReadsGrant { rule, line, reads });
    }

    /// A deny rule on paths.
    pub(crate) fn add_denied_paths(&mut self, rule: usize, line: Line, paths: Vec<PathPattern>) {
        let id = self.denials.len();
        self.denials.push(Denied { rule, line });
        self.denied_paths.push(DeniedPaths { id, paths });
    }

    /// Whether a rule for this host allows the program in some form.
    pub(crate) fn names(&self, subject: &Subject<'_>, words: &[Word<'_>]) -> bool {
        let program = words.first().map_or("", |word| &*word.text);
        let base = wrappers::base_name(program);
        let groups = [program, base]
            .into_iter()
            .filter_map(|name| self.by_program.get(name));
        groups
            .flat_map(|group| group.by_argument.values().flatten().chain(&group.others))
            .filter_map(|index| self.rules.get(self.grants.get(*index)?.rule))
            .any(|rule| rule.is_for(subject))
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
