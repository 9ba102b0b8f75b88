//! What the rules say of one simple command.
//!
//! Owns the order: deny beats ask beats allow, wherever they stand; a match whose free words
//! are not granted is none, but the word is told. Looks through wrappers that change nothing
//! (`timeout 5`, `nice`): what they run is decided instead, and behind `sudo` only rules
//! with `sudo: true` count. Called by the judge for each command of a text.

use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::Subject;
use crate::policy::deny::placed::placed;
use crate::policy::filter;
use crate::policy::hazard::{self, Hazard, wrappers};
use crate::policy::programs::invocation::Invocation;
use crate::policy::programs::reading::What as Role;
use crate::policy::rule::asking::{Asking, AskingRule, Entry};
use crate::policy::rule::path_pattern::From;
use crate::policy::rule::reads::Taken;
use crate::policy::rule::word_pattern::Freedom;
use crate::policy::rule::{Finding, Grant, Rule, Rules, free_words};
use crate::policy::source::{Action, Line};
use crate::policy::syntax::command::{Directory, OUTPUTS, STATUS, Simple, Word};
use crate::policy::syntax::shell_text::behind_wrapper;

/// One command, or what a wrapper runs, with what is needed to decide it.
struct Case<'a, 'w> {
    words: &'a [Word<'w>],
    invocation: &'a Invocation<'a>,
    from: From<'a>,
    /// Behind `sudo`, so that a rule must say `sudo: true`.
    sudo: bool,
    /// It would read what the request feeds it, so that a rule must say `stdin: true`.
    fed: bool,
}

impl Rules {
    /// The line of a deny rule that holds for the text as a whole.
    pub(crate) fn denies_text(&self, subject: &Subject<'_>, raw: &str) -> Option<Line> {
        let id = self
            .deny
            .of_raw(raw, |id| self.denial_is_for(id, subject))?;
        Some(self.denials.get(id)?.line)
    }

    /// What the rules say of one command.
    pub(crate) fn decide(
        &self,
        subject: &Subject<'_>,
        command: &Simple<'_>,
        invocation: &Invocation<'_>,
    ) -> Finding {
        let words = &command.words;
        let mut places = command.directory.alternatives().iter().map(place);
        let named = self.named_denial(subject, command, invocation);
        let denial = named.or_else(|| {
            places.find_map(|from| self.denied_path(subject, words, invocation, from, true))
        });
        if let Some(id) = denial {
            return Finding::denied(self.denials.get(id).map(|denied| denied.line));
        }
        // Wherever it may start, it has to be granted.
        let mut found: Option<Finding> = None;
        for from in command.directory.alternatives().iter().map(place) {
            let case = Case {
                words,
                invocation,
                from,
                sudo: false,
                fed: subject.stdin.is_some() && command.reads_login_input(),
            };
            let here = self.grant(subject, &case);
            found = Some(match found {
                None => here,
                Some(known) => known.or_stricter(here),
            });
        }
        let found = found.unwrap_or_else(|| Finding::plain(Action::Deny, Code::NoRule, None));
        if found.action != Action::Deny {
            return found;
        }
        if is_always_allowed(words) {
            return Finding::plain(Action::Allow, Code::Safe, None);
        }
        // Its text was read, and is judged command by command.
        if words.last().is_some_and(|word| word.shell) && behind_wrapper(words).is_some() {
            return Finding::plain(Action::Allow, Code::Safe, None);
        }
        let filters = self.filters && command.is_fed();
        if filters && filter::is_filter(words) {
            return Finding::plain(Action::Allow, Code::Filter, None);
        }
        Finding {
            overdone_filter: found.code == Code::NoRule && filters && filter::is_named(words),
            ..found
        }
    }

    /// The first deny rule that holds for a command.
    fn denial(
        &self,
        subject: &Subject<'_>,
        words: &[Word<'_>],
        invocation: &Invocation<'_>,
    ) -> Option<usize> {
        let mut hit = |id| self.denial_is_for(id, subject);
        self.deny
            .of_command(words, &mut hit)
            .or_else(|| self.deny.of_meaning(words, invocation, &mut hit))
            .or_else(|| self.deny.of_fed_command(words, &mut hit))
    }

    /// The first deny rule on paths that holds for a command that starts there.
    fn denied_path(
        &self,
        subject: &Subject<'_>,
        words: &[Word<'_>],
        invocation: &Invocation<'_>,
        from: From<'_>,
        below: bool,
    ) -> Option<usize> {
        let mut entries = self.denied_paths.iter();
        let found = entries.find(|entry| {
            self.denial_is_for(entry.id, subject) && entry.hold_for(words, invocation, from, below)
        });
        found.map(|entry| entry.id)
    }

    /// Whether a command that is denied is so only for what lies below a directory that it reads.
    pub(crate) fn denies_only_below(&self, subject: &Subject<'_>, command: &Simple<'_>) -> bool {
        let words = &command.words;
        let invocation = Invocation::of(words);
        let holds = |below: bool| {
            let mut places = command.directory.alternatives().iter().map(place);
            places.any(|from| {
                let held = self.denied_path(subject, words, &invocation, from, below);
                held.is_some()
            })
        };
        self.named_denial(subject, command, &invocation).is_none() && holds(true) && !holds(false)
    }

    /// The first deny rule that holds for what a command says, wherever it starts.
    fn named_denial(
        &self,
        subject: &Subject<'_>,
        command: &Simple<'_>,
        invocation: &Invocation<'_>,
    ) -> Option<usize> {
        let words = &command.words;
        self.denial(subject, words, invocation).or_else(|| {
            // Behind `cd /etc &&`, `cat shadow` is `cat /etc/shadow`.
            let all = placed(words, invocation, &command.directory);
            let mut all = all.iter();
            all.find_map(|words| self.denial(subject, words, &Invocation::of(words)))
        })
    }

    /// Of the words that are there: an allow, an ask, or why there is none.
    fn grant(&self, subject: &Subject<'_>, case: &Case<'_, '_>) -> Finding {
        let mut said = Said::default();
        let counts = |rule: &Rule, said: &Said| {
            // Once it is allowed, only a rule that asks can change that.
            (said.allowed.is_none() || rule.action == Action::Ask)
                && rule.counts(subject, case.sudo)
                && (!case.fed || rule.stdin)
        };
        for (index, grant) in self.candidates(subject, case.words) {
            if let Some(rule) = self.rules.get(grant.rule)
                && counts(rule, &said)
                && grant.what.matches(case.words)
            {
                let asking = Asking {
                    rule: AskingRule::Rule(grant.rule),
                    entry: Entry::Grant(index),
                };
                said.take(rule, grant.line, asking, grant.hazard(rule, case));
            }
        }
        for (index, entry) in self.reads.iter().enumerate() {
            if let Some(rule) = self.rules.get(entry.rule)
                && counts(rule, &said)
            {
                let asking = Asking {
                    rule: AskingRule::Rule(entry.rule),
                    entry: Entry::Reads(index),
                };
                match entry.reads.takes(case.words, case.invocation, case.from) {
                    Taken::No => {}
                    Taken::Yes => said.take(rule, entry.line, asking, None),
                    Taken::But(hazard) => said.take(rule, entry.line, asking, Some(hazard)),
                }
            }
        }
        // What a wrapper runs may still need to be asked for.
        let inner = self.behind_wrapper(subject, case);
        let Said {
            asks,
            mut asking,
            allowed,
            hazard,
        } = said;
        if let Some(line) = asks {
            let inner = inner.filter(|inner| inner.action == Action::Ask);
            asking.extend(inner.into_iter().flat_map(|inner| inner.asking));
            return Finding {
                asking,
                ..Finding::plain(Action::Ask, Code::Rule, Some(line))
            };
        }
        match (allowed, inner) {
            (_, Some(inner)) if inner.action == Action::Ask && allowed.is_none() => inner,
            (Some(line), _) => Finding::plain(Action::Allow, Code::Rule, Some(line)),
            (None, Some(inner)) if inner.action == Action::Allow => inner,
            (None, inner) => match (hazard, inner) {
                (Some((hazard, line)), _) => Finding {
                    hazard: Some(hazard),
                    ..Finding::plain(Action::Deny, hazard.code, Some(line))
                },
                (None, Some(inner)) => inner,
                (None, None) => Finding::plain(Action::Deny, Code::NoRule, None),
            },
        }
    }

    /// The decision on what a wrapper runs, if the wrapper changes nothing.
    fn behind_wrapper(&self, subject: &Subject<'_>, case: &Case<'_, '_>) -> Option<Finding> {
        let [outer, inner @ ..] = case.invocation.levels.as_slice() else {
            return None;
        };
        let start = inner.first()?.range.start;
        let reading = outer.reading.as_ref()?;
        let sudo = reading.description.raises;
        let passes = reading.description.through && !reading.description.feeds;
        if !outer.is_the_systems
            || !(passes || sudo)
            || inner.first()?.range.end != case.words.len()
        {
            return None;
        }
        let known = reading.roles.iter().all(|role| match role.what {
            Role::Unknown(_) => false,
            Role::Option(option) if sudo => option == "-n",
            Role::Value { .. } | Role::Operand { .. } if sudo => false,
            _ => true,
        });
        if !known {
            return None;
        }
        let words = case.words.get(start..)?;
        let invocation = Invocation::of(words);
        let inner = Case {
            words,
            invocation: &invocation,
            from: case.from,
            sudo: case.sudo || sudo,
            fed: case.fed,
        };
        let mut found = self.grant(subject, &inner);
        if let Some(hazard) = &mut found.hazard {
            hazard.word += start;
            hazard.program += start;
        }
        Some(found)
    }

    fn denial_is_for(&self, id: usize, subject: &Subject<'_>) -> bool {
        let rule = self.denials.get(id).and_then(|d| self.rules.get(d.rule));
        rule.is_some_and(|rule| rule.is_for(subject))
    }
}

/// What the rules said so far: the first line of each kind, and all that asks.
#[derive(Default)]
struct Said {
    asks: Option<Line>,
    asking: Vec<Asking>,
    allowed: Option<Line>,
    hazard: Option<(Hazard, Line)>,
}

impl Said {
    fn take(&mut self, rule: &Rule, line: Line, asking: Asking, refused: Option<Hazard>) {
        match refused {
            Some(found) => {
                self.hazard.get_or_insert((found, line));
            }
            None if rule.action == Action::Ask => {
                self.asks.get_or_insert(line);
                self.asking.push(asking);
            }
            None => {
                self.allowed.get_or_insert(line);
            }
        }
    }
}

impl Grant {
    /// What it would have to grant without spelling it.
    fn hazard(&self, rule: &Rule, case: &Case<'_, '_>) -> Option<Hazard> {
        if self.what.is_everything() {
            return None;
        }
        if let Some(code) = self.never {
            return Some(Hazard {
                code,
                word: 0,
                program: 0,
            });
        }
        let freedom = |index| match case.words.get(index) {
            Some(word) => self.what.freedom(index, word),
            None => Freedom::Free,
        };
        match rule.trusting {
            true => hazard::find(case.words, self.what.is_open(), freedom),
            false => free_words::find(case.words, case.invocation, self.what.is_open(), freedom),
        }
    }
}

impl Finding {
    fn plain(action: Action, code: Code, line: Option<Line>) -> Self {
        Self {
            action,
            code,
            line,
            asking: Vec::new(),
            hazard: None,
            overdone_filter: false,
        }
    }

    /// The stricter of two that both count; of two that ask, what either asks for.
    pub(crate) fn or_stricter(mut self, mut other: Self) -> Self {
        if strictness(other.action) > strictness(self.action) {
            return other;
        }
        if self.action == other.action {
            self.asking.append(&mut other.asking);
        }
        self
    }

    fn denied(line: Option<Line>) -> Self {
        Self::plain(Action::Deny, Code::DenyRule, line)
    }
}

fn place(directory: &Directory) -> From<'_> {
    match directory {
        Directory::Home => From::Home,
        Directory::Known(directory) => From::Directory(directory),
        Directory::OneOf(_) | Directory::Unknown => From::Somewhere,
    }
}

/// Deny beats ask beats allow.
pub(crate) fn strictness(action: Action) -> u8 {
    match action {
        Action::Allow => 0,
        Action::Ask => 1,
        Action::Deny => 2,
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
                .is_some_and(|text| text.starts_with(OUTPUTS) || text.starts_with(STATUS))
        })
    };
    !words.iter().any(lists)
        && wrappers::ALWAYS_ALLOWED
            .iter()
            .any(|name| program == *name || wrappers::is_system_path_of(program, name))
}
