//! `legacy_glob: true`: fnmatch on the joined words of one simple command.
//!
//! Owns the escape hatch for patterns of the Python project that rely on a `*` crossing
//! words. It stops at the command's end like any other pattern, and grants no hazard that
//! its text does not spell as a word. Called by the rules.

use crate::policy::decision::reason::Code;
use crate::policy::hazard;
use crate::policy::rule::glob::{self, Glob, Token};
use crate::policy::rule::word_pattern::{self, Freedom, PatternError, climbs};
use crate::policy::syntax::lexer::Word;

/// A compiled legacy pattern.
#[derive(Debug)]
pub(crate) struct Legacy {
    glob: Glob,
    /// The words of the pattern that have no wildcard.
    spelled: Vec<String>,
    /// Those of them before the first wildcard.
    literal: Vec<String>,
    /// Words that begin with a spelled-out path: `/var/log/*`.
    paths: Vec<Glob>,
    everything: bool,
}

impl Legacy {
    /// # Errors
    /// [`PatternError`], as for any pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        let words = word_pattern::split(text)?;
        if words.is_empty() {
            return Err(PatternError::Empty);
        }
        let tokens: Vec<Token> = words.join(&Token::Text(' '));
        let texts: Vec<Option<String>> = words.iter().map(|word| glob::literal(word)).collect();
        let mut paths = Vec::new();
        for word in &words {
            let glob = Glob::new(word).map_err(|_| PatternError::LongPiece)?;
            if !glob.is_literal() && glob.literal_prefix().starts_with('/') {
                paths.push(glob);
            }
        }
        Ok(Self {
            paths,
            glob: Glob::new(&tokens).map_err(|_| PatternError::LongPiece)?,
            literal: texts.iter().map_while(Clone::clone).collect(),
            spelled: texts.into_iter().flatten().collect(),
            everything: tokens == [Token::Star],
        })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.everything
    }

    /// What every command holds that it takes.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.glob.spelled().collect()
    }

    pub(crate) fn is_wild(&self) -> bool {
        !self.glob.is_literal()
    }

    pub(crate) fn matches(&self, words: &[Word<'_>]) -> bool {
        let climbing = |word: &Word<'_>| climbs(&word.text) && !self.is_spelled(word);
        let texts: Vec<_> = words.iter().map(Word::expanded).collect();
        self.everything || (self.glob.matches(&texts.join(" ")) && !words.iter().any(climbing))
    }

    pub(crate) fn freedom(&self, word: &Word<'_>) -> Freedom {
        if self.is_spelled(word) {
            Freedom::Spelled
        } else if self.paths.iter().any(|glob| glob.matches(&word.expanded())) {
            Freedom::Begun
        } else {
            Freedom::Free
        }
    }

    pub(crate) fn never(&self) -> Option<Code> {
        if self.everything || !self.is_wild() {
            return None;
        }
        let literal: Vec<&str> = self.literal.iter().map(String::as_str).collect();
        hazard::of_prefix(&literal)
    }

    fn is_spelled(&self, word: &Word<'_>) -> bool {
        self.spelled.iter().any(|text| *text == word.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    #[test]
    fn a_star_crosses_words_but_not_commands() {
        let takes = |pattern: &str, command: &str| {
            let parsed = lexer::parse(command, lexer::Options::default()).unwrap();
            Legacy::parse(pattern)
                .unwrap()
                .matches(&parsed.commands[0].words)
        };
        assert!(takes("uptime*", "uptime-evil"));
        assert!(takes("cat /etc/os-release*", "cat /etc/os-release /etc/x"));
        assert!(takes("grep -n */var/log/*", "grep -n err /var/log/syslog"));
        assert!(!takes("cat /var/log/*", "cat /var/log/../x"));
        assert!(Legacy::parse("a; b").is_err());
        assert_eq!(
            Legacy::parse("python3 *").unwrap().never(),
            Some(Code::HazardInterpreter)
        );
    }
}
