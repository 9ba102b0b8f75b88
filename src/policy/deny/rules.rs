//! Deny rules: matched generously, where allow rules are matched strictly.
//!
//! Owns the texts a deny pattern is tried on: each command's joined words, the same with
//! the program's base name, every tail that a wrapper could run, all of it with paths
//! tidied up, and the raw text; all in lower case too. A pattern is an fnmatch there, so
//! that `rm *` holds for `sudo /bin/RM x`. Looked up by the first word, and where that has a
//! wildcard by anything else that is spelled out, so that thousands of deny rules cost next to
//! nothing for a command that they do not mean. Called by the rules.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::policy::deny::meaning::Meanings;
use crate::policy::deny::tidy::tidied;
use crate::policy::hazard::{self, wrappers};
use crate::policy::programs::invocation::Invocation;
use crate::policy::rule::glob::{self, EXPANDED, Glob, Token};
use crate::policy::rule::gram_index::GramIndex;
use crate::policy::rule::structured::Structured;
use crate::policy::rule::word_pattern::{self, PatternError};
use crate::policy::syntax::lexer::Word;

/// All deny rules of a policy, ready to look up.
#[derive(Debug, Default)]
pub(crate) struct DenyRules {
    entries: Vec<Entry>,
    /// By the first word of a pattern, in lower case, where it is spelled out.
    by_word: HashMap<String, Vec<usize>>,
    /// Patterns whose first word has a wildcard, by what else they spell out.
    others: GramIndex,
    meanings: Meanings,
}

#[derive(Debug)]
struct Entry {
    /// What the caller knows it by.
    id: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Text {
        folded: Glob,
        /// Only where folding could change what a class takes.
        exact: Option<Glob>,
        tokens: Vec<Token>,
    },
    Words(Structured),
}

/// A deny pattern or rule that cannot be tried.
pub(crate) type Refused = PatternError;

impl DenyRules {
    /// Adds a pattern, as it is written and as its words are joined.
    ///
    /// # Errors
    /// [`PatternError`], as for an allow pattern.
    pub(crate) fn add_pattern(&mut self, id: usize, text: &str) -> Result<(), Refused> {
        let words = word_pattern::split(text)?;
        if words.is_empty() {
            return Err(PatternError::Empty);
        }
        self.meanings.add(id, &words, Vec::new());
        let joined: Vec<Token> = words.join(&Token::Text(' '));
        let written = glob::tokens(text.trim_matches(' '));
        if written != joined {
            self.add_text(id, written)?;
        }
        self.add_text(id, joined)
    }

    fn add_text(&mut self, id: usize, tokens: Vec<Token>) -> Result<(), Refused> {
        let compile = |glob: Result<Glob, glob::TooLong>| glob.map_err(|_| Refused::LongPiece);
        let folded = compile(Glob::folded(&tokens))?;
        let exact = match folded.has_classes() {
            true => Some(compile(Glob::new(&tokens))?),
            false => None,
        };
        let beginning = folded.literal_prefix();
        let index = self.entries.len();
        match beginning.split_once(' ') {
            Some((word, _)) => self.by_word.entry(word.to_owned()).or_default().push(index),
            None if folded.is_literal() => {
                self.by_word.entry(beginning).or_default().push(index);
            }
            None => {
                let spelled: Vec<&str> = folded.spelled().collect();
                self.others.add(index, &spelled);
            }
        }
        let what = What::Text {
            folded,
            exact,
            tokens,
        };
        self.entries.push(Entry { id, what });
        Ok(())
    }

    pub(crate) fn add_structured(&mut self, id: usize, rule: Structured) {
        let literal = |text: &str| text.chars().map(Token::Text).collect::<Vec<_>>();
        let words: Vec<Vec<Token>> = std::iter::once(rule.program())
            .chain(rule.prefix())
            .map(literal)
            .collect();
        self.meanings.add(id, &words, rule.path_tokens());
        let word = glob::fold_text(wrappers::base_name(rule.program()));
        let index = self.entries.len();
        self.by_word.entry(word).or_default().push(index);
        let what = What::Words(rule);
        self.entries.push(Entry { id, what });
    }

    /// Every deny entry that holds for the raw text of a whole list.
    pub(crate) fn of_raw(&self, raw: &str, hit: impl FnMut(usize) -> bool) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        let folded = glob::fold_text(raw);
        let candidates = Candidates {
            words: &[],
            raw: Some(raw),
            folded,
            starts: vec![Start { offset: 0, word: 0 }],
            expands: false,
        };
        self.first(&candidates, hit)
    }

    /// The first entry that holds for one command and that `hit` confirms (by alias and
    /// tags).
    pub(crate) fn of_command(
        &self,
        words: &[Word<'_>],
        mut hit: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        self.first(&Candidates::new(words), &mut hit).or_else(|| {
            let tidy = tidied(words)?;
            self.first(&Candidates::new(&tidy), &mut hit)
        })
    }

    /// The first entry that holds for what a command means.
    pub(crate) fn of_meaning(
        &self,
        words: &[Word<'_>],
        invocation: &Invocation<'_>,
        hit: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        self.meanings.find(words, invocation, hit)
    }

    /// The same for a command that gets more words from its input: `xargs rm`. Asked only
    /// of what is allowed, since nobody knows the words.
    pub(crate) fn of_fed_command(
        &self,
        words: &[Word<'_>],
        hit: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        self.of_command(&fed(words)?, hit)
    }

    fn first(
        &self,
        candidates: &Candidates<'_>,
        mut hit: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let mut tried: Vec<usize> = Vec::new();
        let mut run = |indices: &[usize], from: usize| {
            indices.iter().find_map(|index| {
                let entry = self.entries.get(*index)?;
                let holds = entry.what.holds(candidates, from) && hit(entry.id);
                holds.then_some(entry.id)
            })
        };
        // From the whole command to the shortest tail that a wrapper could run.
        for (from, start) in candidates.starts.iter().enumerate() {
            let text = candidates.text(start);
            let word = text.split(' ').next().unwrap_or(text);
            // A word that the shell expands may become any other.
            if candidates.expands {
                let all: Vec<usize> = (0..self.entries.len()).collect();
                return run(&all, from);
            }
            if let Some(group) = self.by_word.get(word) {
                // The first place from which a group is tried tries all later ones too.
                let first = group.first().copied().unwrap_or_default();
                if tried.contains(&first) {
                    continue;
                }
                tried.push(first);
                if let Some(id) = run(group, from) {
                    return Some(id);
                }
            }
        }
        // Each start's text is a part of the whole.
        run(&self.others.candidates(&candidates.folded), 0)
    }
}

/// The texts of one command that a pattern is tried on: suffixes of one string.
struct Candidates<'c> {
    words: &'c [Word<'c>],
    /// In place of words.
    raw: Option<&'c str>,
    /// The joined words in lower case.
    folded: String,
    /// From long to short.
    starts: Vec<Start>,
    /// Whether the remote shell will expand a word.
    expands: bool,
}

struct Start {
    /// Byte offset into `folded`.
    offset: usize,
    word: usize,
}

impl<'c> Candidates<'c> {
    fn new(words: &'c [Word<'c>]) -> Self {
        let inner = hazard::inner_starts(words);
        let mut folded = String::with_capacity(64);
        let mut starts = Vec::with_capacity(2 + inner.len());
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                folded.push(' ');
            }
            let offset = folded.len();
            // One text for all starts: each is a suffix of it, so that nothing is joined twice.
            glob::fold_into(&word.expanded(), &mut folded);
            if index == 0 || inner.contains(&index) {
                let start = |offset| Start {
                    offset,
                    word: index,
                };
                starts.push(start(offset));
                let base = word.text.rfind('/').map(|slash| offset + slash + 1);
                // Folding may have moved the slash; then the base name is searched.
                let base = base.map(|guess| match folded.as_bytes().get(guess - 1) {
                    Some(b'/') => guess,
                    _ => folded.rfind('/').map_or(guess, |slash| slash + 1),
                });
                // `/bin/rm x` is tried as `rm x` too.
                starts.extend(base.map(start));
            }
        }
        Self {
            words,
            raw: None,
            folded,
            starts,
            expands: words.iter().any(|word| !word.globs.is_empty()),
        }
    }

    fn text(&self, start: &Start) -> &str {
        self.folded.get(start.offset..).unwrap_or_default()
    }

    /// The same in its own case.
    fn exact(&self, start: &Start) -> Cow<'_, str> {
        if let Some(raw) = self.raw {
            return Cow::Borrowed(raw);
        }
        let words = self.words.get(start.word..).unwrap_or_default();
        let texts: Vec<&str> = words.iter().map(|word| &*word.text).collect();
        Cow::Owned(texts.join(" "))
    }
}

impl What {
    /// Whether this holds for any of the candidates from `from` on.
    fn holds(&self, candidates: &Candidates<'_>, from: usize) -> bool {
        let mut starts = candidates.starts.iter().skip(from);
        match self {
            Self::Text {
                folded,
                exact,
                tokens,
            } => {
                if candidates.expands {
                    return starts.any(|start| may_become(candidates.text(start), tokens));
                }
                // Most candidates differ in their first letters: compared before the glob is run.
                let beginning = folded.literal_prefix();
                for start in starts {
                    let text = candidates.text(start);
                    if !text.starts_with(&beginning) {
                        continue;
                    }
                    let held = folded.matches(text)
                        || exact
                            .as_ref()
                            .is_some_and(|glob| glob.matches(&candidates.exact(start)));
                    if held {
                        return true;
                    }
                    // What no longer text held between its stars, no shorter one will; but
                    // without a star, length decides.
                    if !folded.is_literal() && exact.is_none() && folded.has_star() {
                        return false;
                    }
                }
                false
            }
            Self::Words(rule) => {
                starts.any(|start| rule.denies(candidates.words.get(start.word..).unwrap_or(&[])))
            }
        }
    }
}

fn may_become(text: &str, tokens: &[Token]) -> bool {
    // What the shell expands may become anything: the pattern holds if some text fits both.
    let expanding: Vec<Token> = text
        .chars()
        .map(|c| match c {
            EXPANDED => Token::Star,
            c => Token::Text(c),
        })
        .collect();
    let folded: Vec<Token> = tokens.iter().map(Token::folded).collect();
    glob::overlap(&folded, &expanding)
}

/// The words with one more, where the program adds words from its input: `xargs rm`.
fn fed<'w>(words: &[Word<'w>]) -> Option<Vec<Word<'w>>> {
    let adds = |word: &Word<'_>| wrappers::ADDS_WORDS.contains(&wrappers::base_name(&word.text));
    words.iter().any(adds).then(|| {
        let added = Word::made("");
        words.iter().cloned().chain([added]).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    fn denied(pattern: &str, command: &str) -> bool {
        let mut rules = DenyRules::default();
        rules.add_pattern(0, pattern).unwrap();
        let parsed = lexer::parse(command, lexer::Options { globs: true }).unwrap();
        let of = |words: &[Word<'_>]| {
            let fed = || rules.of_fed_command(words, |_| true);
            rules.of_command(words, |_| true).or_else(fed).is_some()
        };
        rules.of_raw(command, |_| true).is_some()
            || parsed.commands.iter().any(|command| of(&command.words))
    }

    #[test]
    fn thousands_of_patterns_with_a_wildcard_in_front_are_not_all_tried() {
        let mut rules = DenyRules::default();
        for n in 0..2_000 {
            rules.add_pattern(n, &format!("*drop{n}*")).unwrap();
            rules.add_pattern(n, &format!("tool*{n} *")).unwrap();
        }
        for (text, id) in [("x --Drop1999=y", 1999), ("toolbox-1999 now", 1999)] {
            let parsed = lexer::parse(text, lexer::Options { globs: true }).unwrap();
            let words = &parsed.commands[0].words;
            let tried = rules.others.candidates(&Candidates::new(words).folded);
            assert!(tried.len() <= 100, "{}", tried.len());
            assert_eq!(rules.of_command(words, |found| found == id), Some(id));
        }
    }

    #[test]
    fn generously() {
        for (pattern, command) in [
            ("rm *", "rm x"),
            ("rm *", "RM x"),
            ("rm *", "/bin/rm x"),
            ("rm *", "sudo rm x"),
            ("rm *", "sudo -u root -- /bin/rm x"),
            ("rm *", "env A=b nice -n 5 rm x"),
            ("rm *", "uptime; rm x"),
            ("rm *", "busybox rm x"),
            (
                "rm *",
                "find . -name x -exec rm {} \\;"
                    .replace("{}", "'{}'")
                    .as_str(),
            ),
            ("rm *", "docker exec web rm x"),
            ("rm *", "oc rsh web rm x"),
            ("rm *", "xargs -n 1 rm"),
            ("rm *", "sudo xargs /bin/rm"),
            ("rm *", "sh -c 'rm x'"),
            ("shutdown*", "shutdown-now"),
            ("shutdown*", "sudo /sbin/shutdown"),
            ("*shadow*", "cat /etc/shadow"),
            ("cat /etc/shadow*", "cat /etc//shadow"),
            ("cat /etc/shadow*", "cat /var/log/../../etc/shadow"),
            ("cat /etc/shadow*", "cat /etc/sh*w"),
            ("[A-Z]m x", "Rm x"),
            ("[r]m *", "sudo RM x"),
            ("echo 'a b'", "echo a\\ b"),
            ("rm x", "sudo rm rm x"),
            ("uptime; rm".replace(';', "").as_str(), "uptime rm"),
        ] {
            assert!(denied(pattern, command), "{pattern} | {command}");
        }
        for (pattern, command) in [
            ("rm *", "rmdir x"),
            ("rm *", "xargs ls"),
            ("rm *", "docker rm x"),
            ("rm *", "ls rm x"),
            ("chmod 777*", "chmod 700 x"),
            ("cat /etc/shadow*", "cat /var/*"),
        ] {
            assert!(!denied(pattern, command), "{pattern} | {command}");
        }
    }

    #[test]
    fn many_tails_of_a_long_command_stay_cheap() {
        let mut rules = DenyRules::default();
        for index in 0..1_000 {
            rules
                .add_pattern(index, &format!("rm *a{index}b*c"))
                .unwrap();
        }
        let command = format!("sudo{}", " rm".repeat(200));
        let parsed = lexer::parse(&command, lexer::Options::default()).unwrap();
        let words = &parsed.commands[0].words;
        assert_eq!(rules.of_command(words, |_| true), None);
    }
}
