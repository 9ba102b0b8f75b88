//! The rules of a policy, compiled, and what they say of one simple command.
//!
//! Owns the compilation of `rules:`, the indices that keep a decision independent of how
//! many rules there are (by program and first argument, by any text that a rule spells out, by
//! whom it is for), and the order: deny beats ask beats
//! allow, wherever they stand. Refuses patterns and rules that cannot mean anything.
//! Called by `judge` for every command of a list.

pub(crate) mod asking;
pub(crate) mod audience;
pub(crate) mod decide;
pub(crate) mod free_words;
pub(crate) mod glob;
pub(crate) mod gram_index;
pub(crate) mod kernel_links;
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
use crate::policy::rule::asking::Asking;
use crate::policy::rule::audience::ByAudience;
use crate::policy::rule::glob::Glob;
use crate::policy::rule::gram_index::GramIndex;
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
    /// Grants whose program is a wildcard, by what else they spell out.
    others: GramIndex,
    /// Those that spell out nothing.
    open: ByAudience,
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
    /// What it allows may be given something to read.
    pub(crate) stdin: bool,
    /// A wildcard grants every word that no list calls a danger.
    pub(crate) trusting: bool,
    /// What it allows may go on when nobody waits for it any more.
    pub(crate) detach: bool,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) action: Action,
    pub(crate) code: Code,
    /// Of the rule that decided.
    pub(crate) line: Option<Line>,
    /// All that asks, where a person is to be asked: whoever approves has to do so for each.
    pub(crate) asking: Vec<Asking>,
    pub(crate) hazard: Option<Hazard>,
    /// A filter behind a pipe that needs a rule for what else it does.
    pub(crate) overdone_filter: bool,
}

impl Rule {
    /// Whether what it grants counts: for this host, and for how it is to be run.
    pub(crate) fn counts(&self, subject: &Subject<'_>, sudo: bool) -> bool {
        self.is_for(subject) && (!sudo || self.sudo) && (!subject.detached || self.detach)
    }

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

    /// What every command holds that it takes, in this form or as the shell may change it.
    fn spelled(&self) -> Vec<&str> {
        match self {
            Self::Pattern(pattern) => pattern.spelled(),
            Self::Legacy(legacy) => legacy.texts(),
            Self::Structured(structured) => vec![structured.program()],
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
            (None, _) => {
                let spelled = what.spelled();
                match self.rules.get(rule) {
                    Some(rule) if spelled.is_empty() => self.open.add(index, rule),
                    _ => self.others.add(index, &spelled),
                }
            }
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

    /// Grants that are tried for every command on any host.
    pub(crate) fn tried_always(&self) -> usize {
        self.open.for_anybody()
    }

    /// The grants that may match, found by program and first argument, by what they spell
    /// out, or by whom they are for.
    fn candidates<'a>(
        &'a self,
        subject: &Subject<'_>,
        words: &[Word<'_>],
    ) -> impl Iterator<Item = (usize, &'a Grant)> {
        let program = words.first().map_or("", |word| &*word.text);
        let base = wrappers::base_name(program);
        let plain = wrappers::is_system_path_of(program, base).then_some(base);
        let argument = words.get(1).map(|word| &*word.text);
        let mut found = Vec::new();
        for name in [Some(program), plain].into_iter().flatten() {
            if let Some(group) = self.by_program.get(name) {
                let by_argument = argument.and_then(|text| group.by_argument.get(text));
                found.extend(by_argument.into_iter().flatten().chain(&group.others));
            }
        }
        if !self.others.is_empty() {
            found.extend(self.others.candidates(&all_texts(words)));
        }
        found.extend(self.open.candidates(subject));
        found
            .into_iter()
            .filter_map(|index| Some((index, self.grants.get(index)?)))
    }
}

/// Every text of a command that a pattern may be tried on: its words as they are written, and
/// as the remote shell may change them.
fn all_texts(words: &[Word<'_>]) -> String {
    let texts: Vec<&str> = words.iter().map(|word| &*word.text).collect();
    let mut all = texts.join(" ");
    if words.iter().any(|word| !word.globs.is_empty()) {
        let expanded: Vec<_> = words.iter().map(Word::expanded).collect();
        all.push('\n');
        all.push_str(&expanded.join(" "));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::{HostAlias, Tag};
    use crate::policy::decision::subject::ShellMode;
    use crate::policy::syntax::lexer;

    fn numbered(text: &str, n: usize) -> String {
        text.replace("{n}", &n.to_string())
    }

    /// How many of 2,000 rules of this form are tried for a command that only the last takes.
    fn tried(tag: &str, pattern: &str, text: &str) -> usize {
        let mut rules = Rules::default();
        for n in 0..2_000 {
            rules.rules.push(Rule {
                action: Action::Allow,
                aliases: Vec::new(),
                tags: vec![Glob::parse(&numbered(tag, n)).unwrap()],
                sudo: false,
                stdin: false,
                trusting: false,
                detach: false,
            });
            let pattern = Pattern::parse(&numbered(pattern, n)).unwrap();
            rules.add_grant(n, n, What::Pattern(pattern));
        }
        let alias = HostAlias::parse("web1").unwrap();
        let tags = [Tag::parse("t1999").unwrap()];
        let subject = Subject {
            alias: &alias,
            tags: &tags,
            shell: ShellMode::Sh,
            detached: false,
            stdin: None,
        };
        let parsed = lexer::parse(text, lexer::Options { globs: true }).unwrap();
        let words = &parsed.commands[0].words;
        let candidates: Vec<_> = rules.candidates(&subject, words).collect();
        assert!(
            candidates
                .iter()
                .any(|(_, grant)| grant.what.matches(words))
        );
        candidates.len()
    }

    #[test]
    fn thousands_of_rules_whose_program_is_a_wildcard_are_not_all_tried() {
        for (pattern, text) in [
            ("*ctl{n} status *", "myctl1999 status nginx"),
            ("/opt/*/bin/tool{n}", "/opt/x/bin/tool1999"),
            ("?ool{n} *", "tool1999 x"),
            ("* --unit svc{n}*", "any --unit svc1999.service"),
            ("*cat* /srv/{n}/*", "zcat /srv/1999/*.gz"),
        ] {
            let tried = tried("*", pattern, text);
            assert!(tried <= 100, "{text}: {tried}");
        }
        assert_eq!(tried("t{n}", "*", "anything at all"), 1);
    }
}
