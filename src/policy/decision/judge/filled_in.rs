//! Commands of whose words the host fills in a part, such as `ps -p $(pgrep nginx)`: each is
//! judged as all that it may become.
//!
//! Owns which readings there are: an output may be empty, and one without quotes may be no
//! word, one or two. A command is allowed if each of its readings is, and denied if one is.
//! Called by the judge.

use std::borrow::Cow;

use crate::policy::decision::reason::Code;
use crate::policy::deny::hit::Hit;
use crate::policy::programs::invocation::Invocation;
use crate::policy::programs::reading::What;
use crate::policy::rule::Finding;
use crate::policy::syntax::command::{NAME, NUMBER, Simple, TEXT, Word};

/// What may be empty within a word.
const PARTS: [char; 3] = [NUMBER, NAME, TEXT];
/// Most of them of which each is tried by itself; beyond, all of them together.
const PARTS_MAX: usize = 3;

/// All readings of some commands.
pub(super) struct FilledIn<'t> {
    /// Those of the first command first, and of each the one that stands for it.
    pub(super) commands: Vec<Simple<'t>>,
    origins: Vec<Origin>,
}

/// Where a reading comes from.
struct Origin {
    /// Index of the command.
    of: usize,
    /// The word in whose place there are none or two, if there is one.
    several: Option<(usize, Count)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Count {
    None,
    One,
    Two,
}

impl<'t> FilledIn<'t> {
    /// `None` if there is nothing that has several readings.
    pub(super) fn of(commands: &[Simple<'t>]) -> Option<Self> {
        let is_filled = |word: &Word<'_>| {
            !word.globs.is_empty() && (word.is_several() || word.text.contains(PARTS))
        };
        if !commands.iter().any(|each| each.words.iter().any(is_filled)) {
            return None;
        }
        let mut all = Self {
            commands: Vec::new(),
            origins: Vec::new(),
        };
        for (of, command) in commands.iter().enumerate() {
            all.add(of, command);
        }
        Some(all)
    }

    fn add(&mut self, of: usize, command: &Simple<'t>) {
        let parts = command.words.iter().map(|word| parts(word).len()).sum();
        let every = 1_usize << usize::min(parts, PARTS_MAX + 1);
        let masks = match parts > PARTS_MAX {
            true => vec![0, usize::MAX],
            false => (0..every).collect(),
        };
        let several = command.words.iter().position(Word::is_several);
        let counts: &[Count] = match several {
            Some(_) => &[Count::One, Count::None, Count::Two],
            None => &[Count::One],
        };
        for mask in masks {
            for count in counts {
                let mut words = without_parts(&command.words, mask);
                if let Some(at) = several {
                    put(&mut words, at, *count);
                }
                self.commands.push(Simple {
                    words,
                    ..command.clone()
                });
                self.origins.push(Origin {
                    of,
                    several: several.map(|at| (at, *count)),
                });
            }
        }
    }

    /// A hit in a reading as one in its command.
    pub(super) fn place(&self, hit: Hit) -> Hit {
        let of = |index: usize| self.origins.get(index).map(|origin| origin.of);
        Hit {
            command: hit.command.and_then(of),
            ..hit
        }
    }

    /// The strictest finding of each command, from one for each reading.
    pub(super) fn strictest(
        &self,
        findings: Vec<Finding>,
        invocations: &[Invocation<'_>],
    ) -> Vec<Finding> {
        let mut all: Vec<Finding> = Vec::new();
        // What the word is where it stands once.
        let mut is_value = false;
        let each = self.origins.iter().zip(&self.commands).zip(invocations);
        for (((origin, command), invocation), mut finding) in each.zip(findings) {
            if let Some((at, count)) = origin.several {
                if count == Count::One {
                    let role = invocation.role(at).1;
                    let value = |what| matches!(what, What::Value { .. });
                    is_value = at + 1 == command.words.len() && role.is_some_and(|r| value(r.what));
                }
                // An option that needs a value and has none at the end is an error to any program,
                // and so are operands that are missing.
                let innermost = invocation
                    .innermost()
                    .and_then(|level| level.reading.as_ref());
                let lacks = finding.code == Code::HazardInterpreter
                    && innermost.is_some_and(|reading| !reading.complete);
                if count == Count::None && (is_value || lacks) {
                    continue;
                }
                shift(&mut finding, at, count);
            }
            if all.len() > origin.of
                && let Some(before) = all.pop()
            {
                all.push(before.or_stricter(finding));
            } else {
                all.push(finding);
            }
        }
        all
    }
}

/// Byte offsets of the outputs in a word that is more than one of them. The variable of a loop
/// is never empty.
fn parts(word: &Word<'_>) -> Vec<usize> {
    let held = |at: usize| word.variables.iter().any(|each| each.at == at);
    let found = word.text.match_indices(PARTS);
    let found = found.filter(|(at, part)| part.len() < word.text.len() && !held(*at));
    found.map(|(at, _)| at).collect()
}

/// The words without the outputs that have a bit in `mask`.
fn without_parts<'t>(words: &[Word<'t>], mask: usize) -> Vec<Word<'t>> {
    let mut number = 0;
    let mut out = words.to_vec();
    for word in &mut out {
        for at in parts(word).into_iter().rev() {
            let bit = 1_usize.checked_shl(number).unwrap_or(usize::MAX);
            number += 1;
            if mask & bit != 0 {
                remove(word, at);
            }
        }
    }
    out
}

fn remove(word: &mut Word<'_>, at: usize) {
    let mut text = word.text.to_string();
    let length = text.get(at..).and_then(|rest| rest.chars().next());
    let length = length.map_or(0, char::len_utf8);
    text.replace_range(at..at + length, "");
    word.text = Cow::Owned(text);
    word.globs.retain(|glob| *glob != at);
    for glob in word.globs.iter_mut().filter(|glob| **glob > at) {
        *glob -= length;
    }
    for variable in word.variables.iter_mut().filter(|each| each.at > at) {
        variable.at -= length;
    }
}

/// Puts none, one or two outputs in the place of a word.
fn put(words: &mut Vec<Word<'_>>, at: usize, count: Count) {
    let Some(word) = words.get_mut(at) else {
        return;
    };
    *word = word.as_one();
    let again = word.clone();
    match count {
        Count::One => {}
        Count::None => drop(words.remove(at)),
        Count::Two => words.insert(at, again),
    }
}

/// The words of a hazard as those of the command.
fn shift(finding: &mut Finding, at: usize, count: Count) {
    let place = |word: &mut usize| match count {
        Count::None if *word >= at => *word += 1,
        Count::Two if *word > at => *word -= 1,
        _ => {}
    };
    if let Some(hazard) = &mut finding.hazard {
        place(&mut hazard.word);
        place(&mut hazard.program);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer::{self, Options};

    fn readings(command: &str) -> Vec<String> {
        let parsed = lexer::parse(command, Options { globs: true }).unwrap();
        let filled = FilledIn::of(&parsed.commands).unwrap();
        let of_last = filled.origins.iter().zip(&filled.commands);
        of_last
            .filter(|(origin, _)| origin.of + 1 == parsed.commands.len())
            .map(|(_, command)| command.shown())
            .collect()
    }

    #[test]
    fn all_that_it_may_become() {
        assert_eq!(
            readings("cat \"/proc/$(pgrep -o x)/limits\""),
            ["cat /proc/$(…)/limits", "cat /proc//limits"]
        );
        assert_eq!(
            readings("pwdx $(pgrep x)"),
            ["pwdx $(…)", "pwdx", "pwdx $(…) $(…)"]
        );
        assert_eq!(readings("ps -p $(pgrep -o x)"), ["ps -p $(…)"]);
        assert_eq!(
            readings("cat /a$(id -u)b$(id -g)"),
            ["cat /a$(…)b$(…)", "cat /a$(…)b", "cat /ab$(…)", "cat /ab"]
        );
        let held = "for p in $(pgrep x); do cat /$(id -u)/$p; done";
        assert_eq!(readings(held), ["cat /$(…)/$p", "cat //$p"]);
        let plain = lexer::parse("cat /x; echo \"$(cat /y)\"", Options { globs: true }).unwrap();
        assert!(FilledIn::of(&plain.commands).is_none());
    }
}
