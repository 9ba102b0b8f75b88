//! `reads:` rules: sets of described programs, with the files they may read.
//!
//! Owns what such a rule takes: a command whose every word is known, that belongs to one of
//! the sets, does nothing beside reading but what `also:` spells, and names no file but
//! those of `paths:`. Refuses what is not sure: a path with `..`, words that come from the
//! input, a wrapper that does more than pass on. Called by the rules.

use crate::policy::decision::reason::Code;
use crate::policy::hazard::Hazard;
use crate::policy::programs::effects::Effects;
use crate::policy::programs::invocation::{Invocation, Level};
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::What;
use crate::policy::rule::free_words::{code_of_effect, code_of_unknown};
use crate::policy::rule::glob::{self, Glob};
use crate::policy::rule::path_pattern::{self, From, NamedPath, PathPattern};
use crate::policy::syntax::command::Word;

/// A compiled `reads:` rule.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) sets: Vec<String>,
    pub(crate) paths: Vec<PathPattern>,
    pub(crate) also: Effects,
    /// Hosts that may be contacted.
    pub(crate) hosts: Vec<Glob>,
    /// Behind `sudo`, as root.
    pub(crate) sudo: bool,
    /// Behind `sudo -u`, as these.
    pub(crate) sudo_users: Vec<String>,
}

/// What such a rule says of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// The program is in no set of this rule.
    No,
    /// It is, but this word is not granted.
    But(Hazard),
}

/// Whether this is the user of `sudo -u`.
fn is_user(what: What<'_>) -> bool {
    matches!(
        what,
        What::Value {
            option: "-u" | "--user",
            ..
        }
    )
}

impl Reads {
    /// Whether the rule is about programs of this level.
    fn names(&self, level: &Level<'_>) -> bool {
        level.is_the_systems
            && level.reading.as_ref().is_some_and(|reading| {
                let sets = &reading.description.sets;
                sets.iter()
                    .any(|set| self.sets.iter().any(|own| own == set))
            })
    }

    pub(crate) fn takes(
        &self,
        words: &[Word<'_>],
        invocation: &Invocation<'_>,
        from: From<'_>,
    ) -> Taken {
        let Some((innermost, around)) = invocation.levels.split_last() else {
            return Taken::No;
        };
        if !self.names(innermost) {
            return Taken::No;
        }
        for level in around {
            if let Err(hazard) = self.wrapper(level, words) {
                return Taken::But(hazard);
            }
        }
        let roots = roots(around, words);
        match self.level(innermost, words, from, &roots) {
            Ok(()) => Taken::Yes,
            Err(hazard) => Taken::But(hazard),
        }
    }

    /// A program around the one that does the work.
    fn wrapper(&self, level: &Level<'_>, words: &[Word<'_>]) -> Result<(), Hazard> {
        let start = level.range.start;
        let refuse = |code, word| {
            Err(Hazard {
                code,
                word,
                program: start,
            })
        };
        let Some(reading) = level.reading.as_ref().filter(|_| level.is_the_systems) else {
            return refuse(Code::HazardWrapper, start);
        };
        let name = reading.description.names.first().copied().unwrap_or("");
        let raises = reading.description.raises;
        let finds = name == "find" && self.names(level);
        let other_user = reading.roles.iter().any(|role| is_user(role.what));
        let may_raise = self.sudo || (other_user && !self.sudo_users.is_empty());
        if !(reading.description.through || finds || (raises && may_raise)) {
            return refuse(Code::HazardWrapper, start);
        }
        for (offset, role) in reading.roles.iter().enumerate() {
            let granted = match role.what {
                What::Unknown(_) => false,
                What::Inner | What::Program => true,
                // As root, or as one of those that the rule names.
                What::Option("-u" | "--user") if raises => !self.sudo_users.is_empty(),
                What::Value { text, .. } if raises && is_user(role.what) => {
                    self.sudo_users.iter().any(|user| user == text)
                }
                What::Option(option) if raises => option == "-n",
                What::Value { .. } | What::Operand { .. } if raises => false,
                What::Option("-exec") | What::End if finds => true,
                _ => role.effects.within(self.also),
            };
            if !granted {
                let text = words.get(start + offset).map_or("", |word| &*word.text);
                return refuse(code_of_effect(role, text), start + offset);
            }
        }
        if finds {
            return self.level(level, words, From::Somewhere, &[]);
        }
        Ok(())
    }

    /// Each word of the program that does the work.
    fn level(
        &self,
        level: &Level<'_>,
        words: &[Word<'_>],
        from: From<'_>,
        roots: &[NamedPath],
    ) -> Result<(), Hazard> {
        let start = level.range.start;
        let refuse = |code, word| {
            Err(Hazard {
                code,
                word,
                program: start,
            })
        };
        let Some(reading) = &level.reading else {
            return refuse(Code::HazardWrapper, start);
        };
        let name = reading.description.names.first().copied().unwrap_or("");
        // Each host that it names is asked for by itself.
        let granted = match self.hosts.is_empty() {
            true => self.also,
            false => self.also.and(Effects::NETWORK),
        };
        for (offset, role) in reading.roles.iter().enumerate() {
            let index = start + offset;
            // Words of the input have none here.
            let word = words.get(index).filter(|_| index < level.range.end);
            let fed = Word::default();
            let word = word.unwrap_or(&fed);
            let refused = match role.what {
                What::Inner => continue,
                What::Option("-exec") | What::End if name == "find" => continue,
                What::Unknown(why) => Some(code_of_unknown(why, role, &word.text, name)),
                _ if !role.effects.within(granted) => Some(code_of_effect(role, &word.text)),
                What::Value { kind, text, .. } | What::Operand { kind, text }
                    if role.effects.has(Effects::NETWORK)
                        && !self.also.has(Effects::NETWORK)
                        && !self.may_contact(kind, text) =>
                {
                    Some(code_of_effect(role, &word.text))
                }
                What::Value { kind, text, .. } | What::Operand { kind, text }
                    if kind.is_read()
                        && !self.may_read(
                            reading.deep || *kind == Kind::Tree,
                            text,
                            word,
                            from,
                            roots,
                        ) =>
                {
                    Some(Code::HazardPath)
                }
                _ => None,
            };
            if let Some(code) = refused {
                return refuse(code, index);
            }
        }
        if !reading.complete {
            return refuse(Code::HazardInterpreter, start);
        }
        // Without a path, `ls` reads where it stands.
        let here = |kind: &Kind| {
            from != From::Somewhere && self.covers(&NamedPath::new(".", from), *kind == Kind::Tree)
        };
        match reading.here {
            Some(kind) if !here(kind) => refuse(Code::HazardPath, start),
            _ => Ok(()),
        }
    }

    /// Whether this value or operand names a file of the rule.
    fn may_read(
        &self,
        below: bool,
        text: &str,
        word: &Word<'_>,
        from: From<'_>,
        roots: &[NamedPath],
    ) -> bool {
        // Standard input by name.
        if text == "-" {
            return true;
        }
        if text == "{}" && !roots.is_empty() {
            return roots.iter().all(|root| self.covers(root, true));
        }
        if path_pattern::climbs(text) {
            return false;
        }
        // A value glued to its option is a tail of the word; what the host expands is marked.
        let expanded = path_pattern::text_of(word);
        let text = match word.globs.is_empty() {
            true => text,
            false if *word.text == *text => expanded.as_str(),
            false => return false,
        };
        let path = NamedPath::new(text, from);
        self.covers(&path, below)
    }

    /// Whether a value or operand that leads to a host names one of the rule's.
    fn may_contact(&self, kind: &Kind, text: &str) -> bool {
        let host = match kind {
            Kind::Url | Kind::Site => {
                let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
                let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
                match authority.rsplit_once(':') {
                    Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
                    _ => authority,
                }
            }
            _ => text,
        };
        let host = glob::fold_text(host);
        self.hosts.iter().any(|glob| glob.matches(&host))
    }

    /// Whether the paths of the rule hold this one, and with `below` all that lies below.
    fn covers(&self, path: &NamedPath, below: bool) -> bool {
        self.paths.iter().any(|pattern| {
            if below {
                pattern.covers_below(path)
            } else {
                pattern.covers(path)
            }
        })
    }
}

/// Where `find -exec` finds the files that it puts for `{}`.
fn roots(around: &[Level<'_>], words: &[Word<'_>]) -> Vec<NamedPath> {
    let finds = |level: &&Level<'_>| {
        let reading = level.reading.as_ref();
        reading.is_some_and(|reading| reading.description.names.first() == Some(&"find"))
    };
    let Some(level) = around.iter().rev().find(finds) else {
        return Vec::new();
    };
    let Some(reading) = &level.reading else {
        return Vec::new();
    };
    reading
        .paths()
        .filter_map(|(offset, ..)| words.get(level.range.start + offset))
        .map(|word| NamedPath::new(&path_pattern::text_of(word), From::Somewhere))
        .collect()
}
