//! Patterns of `commands:`: compiled at load, matched word by word.
//!
//! Owns what a pattern means:
//!
//! | pattern | meaning |
//! |---|---|
//! | `uptime*`, one word | exactly this program, any operands |
//! | `df -h*` | a word that starts with `-h`, then any words |
//! | `systemctl status *` | one or more further words |
//! | `cat /var/log/*` | one word, may cross `/`, no `..` component, nothing after it |
//! | `*` in the middle | exactly one word |
//! | `*` alone | anything: full trust |
//!
//! Refuses operators (a rule never spans two commands) and never lets a wildcard word
//! take an option, except a bare `*` or one that itself starts with `-`. What a match
//! leaves free is told by [`Pattern::freedom`]; what may not be left free is the business
//! of `hazard`. Called by the rules, and by the fuzz targets against a naive matcher.

use crate::policy::hazard::wrappers;
use crate::policy::rule::glob::{self, Glob, Token};
use crate::policy::syntax::command::{OUTPUT, TEXT};
use crate::policy::syntax::lexer::Word;

/// Longest pattern, in bytes.
pub(crate) const MAX_BYTES: usize = crate::policy::syntax::lexer::MAX_BYTES;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    slots: Vec<Slot>,
    /// The least number of further words, if any may follow.
    rest: Option<usize>,
}

/// What one word must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Slot {
    Literal(String),
    /// A bare `*`.
    Any,
    /// A word with wildcards inside.
    Glob {
        glob: Glob,
        /// What it begins with, as far as that is spelled out.
        prefix: String,
    },
    /// The last word, `-h*`: a beginning, glued to whatever follows.
    Glued(String),
}

/// How much of a matched word the pattern had spelled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freedom {
    /// All of it.
    Spelled,
    /// A beginning that is no option: `http://localhost/*`.
    Begun,
    /// Nothing that counts.
    Free,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("the pattern is empty")]
    Empty,
    #[error("the pattern is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error(
        "the pattern holds the operator {0:?}: each command is matched by itself, and redirections to \
         /dev/null need no rule (put a literal {0:?} in quotes)"
    )]
    Operator(char),
    #[error("a quote is not closed")]
    UnterminatedQuote,
    /// `?` or `[…]` within more than [`glob::MIXED_MAX`] characters without a `*`.
    #[error(
        "? or [...] within more than {} characters without a *",
        glob::MIXED_MAX
    )]
    LongPiece,
    #[error("the pattern holds a control character")]
    ControlCharacter,
}

impl Pattern {
    /// # Errors
    /// [`PatternError`] for what could never match or would not mean what it seems to.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let words = split(text)?;
        let (last, others) = words.split_last().ok_or(PatternError::Empty)?;
        let bare = |word: &[Token]| word == [Token::Star];
        let mut slots = others
            .iter()
            .map(|word| Slot::new(word))
            .collect::<Result<Vec<_>, _>>()?;
        let beginning = glued(last);
        let rest = if others.is_empty() {
            match beginning {
                Some(program) => {
                    slots.push(Slot::Literal(program));
                    Some(0)
                }
                None if bare(last) => Some(1),
                None => {
                    slots.push(Slot::new(last)?);
                    None
                }
            }
        } else if bare(last) {
            Some(1)
        } else if let Some(beginning) = beginning.filter(|text| !text.contains('/')) {
            slots.push(Slot::Glued(beginning));
            Some(0)
        } else {
            slots.push(Slot::new(last)?);
            None
        };
        Ok(Self { slots, rest })
    }

    /// Whether it is `*` alone.
    pub fn is_everything(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether anything in it is not spelled out.
    pub fn is_wild(&self) -> bool {
        self.rest.is_some() || self.slots.iter().any(|slot| slot.literal().is_none())
    }

    /// The word at this place, if it is spelled out.
    pub(crate) fn literal(&self, index: usize) -> Option<&str> {
        self.slots.get(index)?.literal()
    }

    /// What some word of every command holds that it takes.
    pub(crate) fn spelled(&self) -> Vec<&str> {
        let mut spelled = Vec::new();
        for slot in &self.slots {
            match slot {
                Slot::Literal(text) | Slot::Glued(text) => spelled.push(text.as_str()),
                Slot::Glob { glob, .. } => spelled.extend(glob.spelled()),
                Slot::Any => {}
            }
        }
        spelled
    }

    /// The literal words before the first wildcard.
    pub(crate) fn literal_words(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map_while(Slot::literal)
    }

    /// Whether it takes these words, as far as words go.
    pub fn matches(&self, words: &[Word<'_>]) -> bool {
        let fits = match self.rest {
            None => words.len() == self.slots.len(),
            Some(least) => words.len() >= self.slots.len() + least,
        };
        fits && self
            .slots
            .iter()
            .zip(words)
            .enumerate()
            .all(|(index, (slot, word))| match index {
                0 => slot.takes_program(word),
                _ => slot.takes(word),
            })
    }

    /// How free this word was, in words that match.
    pub fn freedom(&self, index: usize, word: &Word<'_>) -> Freedom {
        match self.slots.get(index) {
            Some(Slot::Literal(_)) => Freedom::Spelled,
            Some(Slot::Glued(text)) if *text == word.text => Freedom::Spelled,
            Some(Slot::Glob { prefix, .. }) if !prefix.is_empty() && !prefix.starts_with('-') => {
                Freedom::Begun
            }
            _ => Freedom::Free,
        }
    }
}

impl Slot {
    fn new(word: &[Token]) -> Result<Self, PatternError> {
        if word == [Token::Star] {
            return Ok(Self::Any);
        }
        let glob = Glob::new(word).map_err(|_| PatternError::LongPiece)?;
        let prefix = glob.literal_prefix();
        Ok(if glob.is_literal() {
            Self::Literal(prefix)
        } else {
            Self::Glob { glob, prefix }
        })
    }

    fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            _ => None,
        }
    }

    fn takes_program(&self, word: &Word<'_>) -> bool {
        let program = &*word.text;
        match self {
            Self::Literal(name) => *name == program || is_system_path(program, name),
            Self::Any => !program.contains('/') || in_system_directory(program),
            Self::Glob { glob, prefix } if prefix.contains('/') => {
                !climbs(program) && glob.matches(program)
            }
            Self::Glob { glob, .. } => {
                (!program.contains('/') || in_system_directory(program))
                    && glob.matches(wrappers::base_name(program))
            }
            Self::Glued(_) => false,
        }
    }

    fn takes(&self, word: &Word<'_>) -> bool {
        let expanded = || word.expanded();
        match self {
            Self::Literal(text) => *text == word.text && word.globs.is_empty(),
            Self::Any => true,
            Self::Glob { glob, prefix } => {
                (prefix.starts_with('-') || !word.text.starts_with('-'))
                    && !climbs(&word.text)
                    && glob.matches(&expanded())
            }
            Self::Glued(text) => !climbs(&word.text) && expanded().starts_with(text.as_str()),
        }
    }
}

/// Whether a path has a `..` component, or may get one from another command's output.
pub(crate) fn climbs(path: &str) -> bool {
    path.contains([OUTPUT, TEXT])
        || (path.contains("..") && path.split('/').any(|component| component == ".."))
}

fn is_system_path(program: &str, name: &str) -> bool {
    !name.contains('/') && wrappers::is_system_path_of(program, name)
}

fn in_system_directory(program: &str) -> bool {
    wrappers::is_system_path_of(program, wrappers::base_name(program))
}

/// The text before a star that is the last and only wildcard of a word.
fn glued(word: &[Token]) -> Option<String> {
    let (Token::Star, text) = word.split_last()? else {
        return None;
    };
    glob::literal(text).filter(|text| !text.is_empty())
}

/// Cuts a pattern into words. Quotes and backslashes make wildcards literal.
pub(crate) fn split(text: &str) -> Result<Vec<Vec<Token>>, PatternError> {
    if text.len() > MAX_BYTES {
        return Err(PatternError::TooLong);
    }
    let mut words: Vec<Vec<Token>> = Vec::new();
    let mut word: Option<Vec<Token>> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == ' ' {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match c {
            ';' | '&' | '|' | '<' | '>' => return Err(PatternError::Operator(c)),
            c if c.is_control() => return Err(PatternError::ControlCharacter),
            '\'' | '"' => quoted(c, &mut rest, word)?,
            '\\' => word.push(Token::Text(rest.next().unwrap_or('\\'))),
            '*' => word.push(Token::Star),
            '?' => word.push(Token::One),
            '[' => match class_within_word(rest.as_str()) {
                Some((class, after)) => {
                    rest = after.chars();
                    word.push(Token::Class(class));
                }
                None => word.push(Token::Text('[')),
            },
            c => word.push(Token::Text(c)),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(
    quote: char,
    rest: &mut std::str::Chars<'_>,
    word: &mut Vec<Token>,
) -> Result<(), PatternError> {
    loop {
        let c = match rest.next().ok_or(PatternError::UnterminatedQuote)? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let mut ahead = rest.clone();
                match ahead.next() {
                    Some(c @ ('"' | '\\' | '$' | '`')) => {
                        *rest = ahead;
                        c
                    }
                    _ => '\\',
                }
            }
            c if c.is_control() => return Err(PatternError::ControlCharacter),
            c => c,
        };
        word.push(Token::Text(c));
    }
}

fn class_within_word(text: &str) -> Option<(glob::Class, &str)> {
    let (class, after) = glob::class(text)?;
    let inside = text.get(..text.len() - after.len())?;
    (!inside.contains(' ')).then_some((class, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    fn takes(pattern: &str, command: &str) -> bool {
        let parsed = lexer::parse(command, lexer::Options { globs: true }).unwrap();
        Pattern::parse(pattern)
            .unwrap()
            .matches(&parsed.commands[0].words)
    }

    #[test]
    fn the_table_of_the_language() {
        for (pattern, command) in [
            ("uptime*", "uptime"),
            ("uptime*", "uptime -p x"),
            ("uptime*", "/usr/bin/uptime -p"),
            ("df -h*", "df -h"),
            ("df -h*", "df -hT /x y"),
            ("systemctl status *", "systemctl status a b"),
            ("cat /var/log/*", "cat /var/log/a/b"),
            ("cat /proc/*/status", "cat /proc/1/status"),
            ("tail -n * /var/log/*", "tail -n 5 /var/log/x"),
            ("tail -* /var/log/*", "tail -100 /var/log/x"),
            ("grep * /var/log/*", "grep -c /var/log/x"),
            ("sysctl net.*", "sysctl net.ipv4.x net.y"),
            ("*", "anything at all"),
            ("ca?", "cat"),
            ("[abc]", "a"),
            ("psql -c 'select count(*)'", "psql -c 'select count(*)'"),
            ("ls /var/log/*", "ls /var/log/*.gz"),
            ("/opt/x/run *", "/opt/x/run a"),
            (r"echo \*", "echo '*'"),
        ] {
            assert!(takes(pattern, command), "{pattern} | {command}");
        }
        for (pattern, command) in [
            ("uptime*", "uptimex"),
            ("ls*", "lsof"),
            ("uptime*", "/tmp/uptime"),
            ("uptime*", "./uptime"),
            ("uptime", "uptime -p"),
            ("df -h*", "df"),
            ("df -h*", "df -i"),
            ("systemctl status *", "systemctl status"),
            ("cat /var/log/*", "cat /var/log/a /etc/shadow"),
            ("cat /var/log/*", "cat /var/log/../x"),
            ("cat /var/log/*", "cat -A /var/log/x"),
            ("cat /var/log/*", "cat /var/logs"),
            ("cat *x*", "cat -x"),
            ("ca?", "cats"),
            ("[!abc]", "a"),
            ("UPTIME*", "uptime"),
            ("psql -c 'select count(*)'", "psql -c 'select count(1)'"),
            ("ls '/var/log/*'", "ls /var/log/*"),
            ("ls /var/log/?", "ls /var/log/*"),
            ("/usr/bin/ls", "ls"),
            ("* --version", "/tmp/x --version"),
        ] {
            assert!(!takes(pattern, command), "{pattern} | {command}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for (text, error) in [
            ("", PatternError::Empty),
            ("  ", PatternError::Empty),
            ("a; b", PatternError::Operator(';')),
            ("a && b", PatternError::Operator('&')),
            ("a 2>/dev/null", PatternError::Operator('>')),
            ("a 'b", PatternError::UnterminatedQuote),
            ("a\nb", PatternError::ControlCharacter),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text:?}");
        }
        let long = format!("a ?{}", "b".repeat(glob::MIXED_MAX));
        assert_eq!(Pattern::parse(&long), Err(PatternError::LongPiece));
    }
}
