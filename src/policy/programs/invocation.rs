//! A command with all that it runs: `sudo timeout 5 grep x y` is three programs.
//!
//! Owns the chain from the program that stands first to the one that does the work, each
//! read by its description, and says for any word which of them it belongs to. Called by
//! the rules and the deny rules.

use std::ops::Range;

use crate::policy::hazard::wrappers;
use crate::policy::programs::reading::{Argument, Reading, Role, What};
use crate::policy::programs::walk::read;
use crate::policy::syntax::command::{OUTPUT, Simple, TEXT, Word};

/// Longest chain of programs that is followed.
const DEEPEST: usize = 8;

/// One program of the chain.
#[derive(Debug)]
pub(crate) struct Level<'w> {
    /// Its words among those of the command, its name first.
    pub(crate) range: Range<usize>,
    /// `None` if nothing is known about the program.
    pub(crate) reading: Option<Reading<'w>>,
    /// Whether the program is the system's: a plain name, or a path where the system's own
    /// lie. `/tmp/df` is read as `df` by what denies, and is whatever somebody put there.
    pub(crate) is_the_systems: bool,
}

impl Level<'_> {
    /// Whether what it runs is run as it would be without it, for as long as it lets it:
    /// `timeout 5`, `nice`. Of words that are not known nobody can tell.
    pub(crate) fn passes(&self) -> bool {
        self.is_the_systems
            && self.reading.as_ref().is_some_and(|reading| {
                let unknown = |role: &Role<'_>| matches!(role.what, What::Unknown(_));
                reading.description.through
                    && !reading.description.feeds
                    && !reading.description.raises
                    && !reading.roles.iter().any(unknown)
            })
    }
}

/// The chain; never empty for a command that has words.
#[derive(Debug)]
pub(crate) struct Invocation<'w> {
    pub(crate) levels: Vec<Level<'w>>,
}

impl<'w> Invocation<'w> {
    /// Of the words of a command.
    pub(crate) fn of(words: &'w [Word<'_>]) -> Self {
        let mut words = arguments(words);
        let mut levels = Vec::with_capacity(1);
        let mut range = 0..words.len();
        while levels.len() < DEEPEST && !range.is_empty() {
            let reading = read(&words);
            let start = range.start;
            let inner = reading.as_ref().and_then(|reading| reading.inner.clone());
            let feeds = reading.as_ref().filter(|r| r.description.feeds);
            let input = feeds.map(Reading::input);
            let finds = reading
                .as_ref()
                .is_some_and(|r| r.description.names.first() == Some(&"find"));
            let program = words.first().map_or("", |word| word.text);
            let name = wrappers::base_name(program);
            let is_the_systems = program == name || wrappers::is_system_path_of(program, name);
            levels.push(Level {
                range,
                reading,
                is_the_systems,
            });
            let Some(inner) = inner else { break };
            range = start + inner.start..start + inner.end;
            words = words.get(inner).unwrap_or_default().to_vec();
            if finds {
                mark_names(&mut words);
            }
            if let Some(input) = input {
                input.feed(&mut words);
            }
        }
        Self { levels }
    }

    /// Of each command of a text, in their order.
    pub(crate) fn of_each(commands: &'w [Simple<'_>]) -> Vec<Self> {
        let each = commands.iter().map(|command| Self::of(&command.words));
        each.collect()
    }

    /// The innermost program: what is run in the end.
    pub(crate) fn innermost(&self) -> Option<&Level<'w>> {
        self.levels.last()
    }

    /// What a word is to the innermost program that it belongs to; the index of that level.
    /// `None` if nothing is known about that program.
    pub(crate) fn role(&self, word: usize) -> (usize, Option<Role<'w>>) {
        let mut levels = self.levels.iter().enumerate().rev();
        let found = levels.find(|(_, level)| level.range.contains(&word));
        let Some((at, level)) = found else {
            return (0, None);
        };
        let role = level
            .reading
            .as_ref()
            .and_then(|reading| reading.roles.get(word - level.range.start).copied());
        (at, role)
    }
}

/// Where words of the input go among those of the command that they are given to.
#[derive(Debug, Default)]
struct Input<'w> {
    /// What stands for one of them: `{}` behind `xargs -I`.
    places: Vec<&'w str>,
    /// Behind all others, too.
    behind: bool,
}

impl<'w> Reading<'w> {
    /// By the options in their order. Of several that disagree the versions take one or the
    /// other (findutils the last, BusyBox the place), so each counts.
    fn input(&self) -> Input<'w> {
        let mut input = Input::default();
        for role in &self.roles {
            match role.what {
                What::Value {
                    option: "-I" | "-i",
                    text,
                    ..
                } if !text.is_empty() => input.places.push(text),
                What::Option("-i") => input.places.push("{}"),
                What::Option("-L" | "-l" | "-n")
                | What::Value {
                    option: "-L" | "-l" | "-n",
                    ..
                } => input.behind = !input.places.is_empty(),
                _ => {}
            }
        }
        input.behind |= input.places.len() != 1;
        input
    }
}

impl Input<'_> {
    /// Puts the words of the input where they go.
    fn feed(&self, words: &mut Vec<Argument<'_>>) {
        for word in words.iter_mut() {
            if self.places.contains(&word.text) {
                *word = Argument::FED;
            } else if self.places.iter().any(|place| word.text.contains(place)) {
                word.open = true;
            }
        }
        if self.behind {
            words.push(Argument::FED);
        }
    }
}

/// Marks where `find -exec` puts the name of a file, which anybody who may make files chose.
/// A word that is `{}` alone stays: it is that file.
fn mark_names(words: &mut [Argument<'_>]) {
    for word in words {
        word.open |= word.text != "{}" && word.text.contains("{}");
    }
}

/// The words of a command as the reader takes them.
pub(crate) fn arguments<'a>(words: &'a [Word<'_>]) -> Vec<Argument<'a>> {
    words
        .iter()
        .map(|word| {
            let held = |at: &usize| word.variables.iter().any(|each| each.holds(*at));
            let mut wildcards = word.globs.iter().filter(|at| word.is_wildcard(**at));
            Argument {
                text: &word.text,
                wild: wildcards.clone().next().is_some(),
                spreads: wildcards.any(|at| !held(at)),
                // A status is a number, and the lexer lets it stand where a number can do nothing.
                open: word.text.contains([OUTPUT, TEXT]),
            }
        })
        .collect()
}
