//! The structured forms of a rule: `simple_binaries`, and `binary` with its restrictions.
//!
//! Owns what they take, word by word: an exact program, an exact beginning, patterns for
//! counted words. Refuses a `binary` without any restriction. Never looks at a joined
//! text. Called by the rules to allow and ask, strictly, and by the deny rules,
//! generously.

use crate::policy::hazard::wrappers;
use crate::policy::rule::glob::{self, Glob, Token};
use crate::policy::rule::path_pattern;
use crate::policy::rule::word_pattern::{Freedom, climbs};
use crate::policy::source::PathArgs;
use crate::policy::syntax::lexer::Word;

/// A compiled structured rule.
#[derive(Debug, Clone)]
pub(crate) struct Structured {
    program: String,
    prefix: Vec<String>,
    /// How many words may follow the program, for `simple_binaries`.
    most: Option<usize>,
    /// Whether words may follow that neither prefix nor paths name.
    extra: bool,
    paths: Vec<PathWord>,
}

/// One counted word with its patterns.
#[derive(Debug, Clone)]
struct PathWord {
    index: usize,
    patterns: Vec<Glob>,
    written: Vec<String>,
}

impl Structured {
    pub(crate) fn simple(program: &str, most: Option<usize>) -> Self {
        Self {
            program: program.to_owned(),
            prefix: Vec::new(),
            most,
            extra: true,
            paths: Vec::new(),
        }
    }

    /// # Errors
    /// [`glob::TooLong`] for a path pattern.
    pub(crate) fn new(
        program: &str,
        prefix: &[String],
        extra: bool,
        paths: Option<&PathArgs>,
    ) -> Result<Self, glob::TooLong> {
        let paths = match paths {
            None => Vec::new(),
            Some(paths) => {
                let globs = paths
                    .patterns
                    .iter()
                    .map(|pattern| Glob::parse(pattern))
                    .collect::<Result<Vec<_>, _>>()?;
                // As many patterns as indices: each has its own. Otherwise any will do.
                let paired = globs.len() == paths.indices.len();
                let of = |position: usize| match globs.get(position) {
                    Some(own) if paired => vec![own.clone()],
                    _ => globs.clone(),
                };
                let written = |position: usize| match paths.patterns.get(position) {
                    Some(own) if paired => vec![own.clone()],
                    _ => paths.patterns.clone(),
                };
                let indices = paths.indices.iter().enumerate();
                indices
                    .map(|(position, index)| PathWord {
                        index: *index,
                        patterns: of(position),
                        written: written(position),
                    })
                    .collect()
            }
        };
        Ok(Self {
            program: program.to_owned(),
            prefix: prefix.to_vec(),
            most: None,
            extra,
            paths,
        })
    }

    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// The arguments that are spelled out.
    pub(crate) fn prefix(&self) -> impl Iterator<Item = &str> {
        self.prefix.iter().map(String::as_str)
    }

    /// The patterns of its paths, in lower case.
    pub(crate) fn path_tokens(&self) -> Vec<Vec<Token>> {
        let patterns = self.paths.iter().flat_map(|path| &path.written);
        patterns
            .map(|text| glob::tokens(text).iter().map(Token::folded).collect())
            .collect()
    }

    /// The first argument, where it is spelled out.
    pub(crate) fn argument(&self) -> Option<&str> {
        self.prefix.first().map(String::as_str)
    }

    /// The words that are spelled out from the beginning, if anything behind them is not.
    pub(crate) fn spelled_before_free(&self) -> Option<Vec<&str>> {
        let free = (self.extra && self.most != Some(0))
            || self
                .paths
                .iter()
                .any(|path| !path.patterns.iter().all(Glob::is_literal));
        free.then(|| {
            std::iter::once(self.program.as_str())
                .chain(self.prefix.iter().map(String::as_str))
                .collect()
        })
    }

    pub(crate) fn matches(&self, words: &[Word<'_>]) -> bool {
        let Some((program, arguments)) = words.split_first() else {
            return false;
        };
        let in_prefix = |(expected, word): (&String, &Word<'_>)| {
            *expected == word.text && word.globs.is_empty()
        };
        program.text == self.program
            && self.most.is_none_or(|most| arguments.len() <= most)
            && arguments.len() >= self.prefix.len()
            && self.prefix.iter().zip(arguments).all(in_prefix)
            && self.paths.iter().all(|path| path.matches(words))
            && self.paths_cover(words)
            && (self.extra || (1..words.len()).all(|index| self.names(index)))
    }

    /// Whether every operand from the first path on is one of the paths: a rule that opens
    /// `/var/log/*` opens no second file behind it.
    fn paths_cover(&self, words: &[Word<'_>]) -> bool {
        let Some(first) = self.paths.iter().map(|path| path.index).min() else {
            return true;
        };
        words.iter().enumerate().skip(first).all(|(index, word)| {
            word.text.starts_with('-')
                || self.paths.iter().any(|path| path.index == index)
                || self.paths.iter().any(|path| path.takes(word))
        })
    }

    /// Whether prefix or paths account for the word at `index`.
    fn names(&self, index: usize) -> bool {
        index <= self.prefix.len() || self.paths.iter().any(|path| path.index == index)
    }

    /// How free this word was, in words that match.
    pub(crate) fn freedom(&self, index: usize, word: &Word<'_>) -> Freedom {
        if index <= self.prefix.len() {
            return Freedom::Spelled;
        }
        let Some(path) = self.paths.iter().find(|path| path.index == index) else {
            return Freedom::Free;
        };
        let text = word.expanded();
        let taken = path.patterns.iter().filter(|glob| glob.matches(&text));
        taken
            .map(|glob| match glob.literal_prefix() {
                _ if glob.is_literal() => Freedom::Spelled,
                prefix if prefix.is_empty() || prefix.starts_with('-') => Freedom::Free,
                _ => Freedom::Begun,
            })
            .min_by_key(|freedom| *freedom as u8)
            .unwrap_or(Freedom::Free)
    }

    /// Whether a deny rule of this form holds for words that begin with a program: by its
    /// base name and in any case, however many words follow, any of the paths.
    pub(crate) fn denies(&self, words: &[Word<'_>]) -> bool {
        let Some((program, arguments)) = words.split_first() else {
            return false;
        };
        let same = |left: &str, right: &str| glob::fold_text(left) == glob::fold_text(right);
        let named = if self.program.contains('/') {
            same(&self.program, &program.text)
        } else {
            same(&self.program, wrappers::base_name(&program.text))
        };
        named
            && arguments.len() >= self.prefix.len()
            && self
                .prefix
                .iter()
                .zip(arguments)
                .all(|(expected, word)| same(expected, &word.text) || !word.globs.is_empty())
            && (self.paths.is_empty() || self.paths.iter().any(|path| path.denies(words)))
    }
}

impl PathWord {
    fn matches(&self, words: &[Word<'_>]) -> bool {
        words.get(self.index).is_some_and(|word| self.takes(word))
    }

    fn takes(&self, word: &Word<'_>) -> bool {
        let text = word.expanded();
        let led_away = path_pattern::is_led_away(&path_pattern::text_of(word));
        !climbs(&word.text)
            && self.patterns.iter().any(|glob| {
                let option = glob.literal_prefix().starts_with('-');
                (option || !word.text.starts_with('-'))
                    && (!led_away || glob.is_literal())
                    && glob.matches(&text)
            })
    }

    fn denies(&self, words: &[Word<'_>]) -> bool {
        words.get(self.index).is_some_and(|word| {
            let text = glob::fold_text(&word.text);
            !word.globs.is_empty()
                || self
                    .patterns
                    .iter()
                    .any(|glob| glob.matches(&word.text) || glob.matches(&text))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    fn takes(rule: &Structured, command: &str) -> bool {
        let parsed = lexer::parse(command, lexer::Options::default()).unwrap();
        rule.matches(&parsed.commands[0].words)
    }

    fn structured(
        prefix: &[&str],
        extra: bool,
        indices: &[usize],
        patterns: &[&str],
    ) -> Structured {
        let own = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| text.to_string())
                .collect::<Vec<_>>()
        };
        let paths = (!indices.is_empty()).then(|| PathArgs {
            indices: indices.to_vec(),
            patterns: own(patterns),
        });
        Structured::new("x", &own(prefix), extra, paths.as_ref()).unwrap()
    }

    #[test]
    fn simple_binaries_count_words() {
        let rule = Structured::simple("x", Some(2));
        assert!(takes(&rule, "x"));
        assert!(takes(&rule, "x 'a b' c"));
        assert!(!takes(&rule, "x a b c"));
        assert!(!takes(&rule, "/usr/bin/x"));
        assert!(takes(&Structured::simple("x", None), "x a b c d e f"));
    }

    #[test]
    fn prefix_and_paths() {
        let tail = structured(&["-n", "200"], false, &[3], &["/var/log/*"]);
        assert!(takes(&tail, "x -n 200 /var/log/a/b"));
        for refused in [
            "x -n 200",
            "x -n 100 /var/log/a",
            "x -n 200 /var/log/../x",
            "x -n 200 /var/log/a /var/log/b",
            "x -n 200 -f",
        ] {
            assert!(!takes(&tail, refused), "{refused}");
        }
        let process = structured(&[], false, &[1], &["/proc/*", "/proc/2/environ"]);
        assert!(takes(&process, "x /proc/1/status"));
        assert!(takes(&process, "x /proc/2/environ"));
        assert!(!takes(&process, "x /proc/1/environ"));
        let copy = structured(&[], false, &[1, 2], &["/tmp/*", "/backup/*"]);
        assert!(takes(&copy, "x /tmp/a /backup/a"));
        assert!(!takes(&copy, "x /backup/a /tmp/a"));
        assert!(!takes(&copy, "x /tmp/a /tmp/a"));
        let any = structured(&[], false, &[1], &["/etc/os-release", "/etc/*release"]);
        assert!(takes(&any, "x /etc/lsb-release"));
        assert!(!takes(&any, "x"));
        let free = structured(&["status"], true, &[], &[]);
        assert!(takes(&free, "x status a b"));
        assert!(!takes(&free, "x a status"));
    }
}
