//! Wildcards over one text: `*`, `?`, `[abc]`, `[!a-z]`, as fnmatch has them.
//!
//! Owns compiled globs and matching them without backtracking: a glob is cut at its
//! stars, and each piece is searched once, leftmost first, which is enough because every
//! star takes anything. Refuses pieces with `?` or `[…]` longer than [`MIXED_MAX`], so
//! that the search stays linear in the text. Called for patterns, aliases, tags, paths
//! and deny views.

/// Longest piece between stars that holds `?` or a class, in characters.
pub(crate) const MIXED_MAX: usize = 64;

/// Stands for a wildcard that the remote shell will expand. Only a `*` takes it. It is a
/// private use character, which no command may contain.
pub(crate) const EXPANDED: char = '\u{F8FF}';

/// One element of a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Text(char),
    Star,
    One,
    Class(Class),
}

/// `[…]`: ranges of characters, or all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

/// A compiled glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    /// What stands between the stars; one more than there are stars.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Mixed {
        /// All but stars, at most [`MIXED_MAX`].
        tokens: Vec<Token>,
        /// Their longest row of characters.
        spelled: String,
    },
}

/// A piece with `?` or a class that is longer than [`MIXED_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Reads a text in which every `*`, `?` and closed `[…]` is a wildcard.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::One,
            '[' => match class(rest.as_str()) {
                Some((class, after)) => {
                    rest = after.chars();
                    Token::Class(class)
                }
                None => Token::Text('['),
            },
            c => Token::Text(c),
        });
    }
    tokens
}

/// The text of tokens without any wildcard.
pub(crate) fn literal(tokens: &[Token]) -> Option<String> {
    tokens
        .iter()
        .map(|token| match token {
            Token::Text(c) => Some(*c),
            _ => None,
        })
        .collect()
}

/// The class that begins behind a `[`, with what follows its `]`.
pub(crate) fn class(text: &str) -> Option<(Class, &str)> {
    let (negated, inside) = match text.strip_prefix('!') {
        Some(inside) => (true, inside),
        None => (false, text),
    };
    // A ] in the first place is a member.
    let first = inside.chars().next()?.len_utf8();
    let end = first + inside.get(first..)?.find(']')?;
    let mut ranges = Vec::new();
    let mut members = inside.get(..end)?.chars();
    while let Some(from) = members.next() {
        let mut ahead = members.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) => {
                ranges.push((from, to));
                members = ahead;
            }
            _ => ranges.push((from, from)),
        }
    }
    Some((Class { negated, ranges }, inside.get(end + 1..)?))
}

impl Class {
    fn contains(&self, c: char) -> bool {
        let listed = self
            .ranges
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&c));
        listed != self.negated
    }
}

impl Token {
    /// Whether this token alone takes `c`; a star takes nothing alone.
    pub(crate) fn takes(&self, c: char) -> bool {
        match self {
            Self::Text(text) => *text == c,
            Self::Star => false,
            Self::One => c != EXPANDED,
            Self::Class(class) => c != EXPANDED && class.contains(c),
        }
    }

    pub(crate) fn folded(&self) -> Self {
        match self {
            Self::Text(c) => Self::Text(fold(*c)),
            Self::Class(class) => Self::Class(Class {
                negated: class.negated,
                ranges: class
                    .ranges
                    .iter()
                    .map(|(from, to)| (fold(*from), fold(*to)))
                    .collect(),
            }),
            other => other.clone(),
        }
    }
}

/// The lower case of a character, where that is one character.
pub(crate) fn fold(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

/// The lower case of a text, character by character.
pub(crate) fn fold_text(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

/// The same, appended.
pub(crate) fn fold_into(text: &str, folded: &mut String) {
    if text.is_ascii() {
        let start = folded.len();
        folded.push_str(text);
        if let Some(appended) = folded.get_mut(start..) {
            appended.make_ascii_lowercase();
        }
    } else {
        folded.extend(text.chars().map(fold));
    }
}

impl Glob {
    /// # Errors
    /// [`TooLong`] for a piece with `?` or a class of more than [`MIXED_MAX`] characters.
    pub(crate) fn new(tokens: &[Token]) -> Result<Self, TooLong> {
        let pieces = tokens
            .split(|token| *token == Token::Star)
            .map(Piece::new)
            .collect::<Result<_, _>>()?;
        Ok(Self { pieces })
    }

    /// The same for texts that [`fold_text`] has been over.
    ///
    /// # Errors
    /// As [`Glob::new`].
    pub(crate) fn folded(tokens: &[Token]) -> Result<Self, TooLong> {
        let folded: Vec<_> = tokens.iter().map(Token::folded).collect();
        Self::new(&folded)
    }

    /// # Errors
    /// As [`Glob::new`].
    pub(crate) fn parse(text: &str) -> Result<Self, TooLong> {
        Self::new(&tokens(text))
    }

    /// Whether the glob takes all of `text`.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((first, others)) = self.pieces.split_first() else {
            return text.is_empty();
        };
        let Some(length) = first.length_at(text) else {
            return false;
        };
        let mut rest = text.get(length..).unwrap_or_default();
        let Some((last, middle)) = others.split_last() else {
            return rest.is_empty();
        };
        for piece in middle {
            let Some(end) = piece.find(rest) else {
                return false;
            };
            rest = rest.get(end..).unwrap_or_default();
        }
        last.ends(rest)
    }

    /// Whether the glob takes every text that comes of `text` when each `wild` in it becomes
    /// any text: only a star takes those. With `?` or a class in the glob it is not tried.
    pub(crate) fn covers(&self, text: &str, wild: char) -> bool {
        let plain = |piece: &Piece| match piece {
            Piece::Text(piece) => !piece.contains(wild),
            Piece::Mixed { .. } => false,
        };
        self.pieces.iter().all(plain) && self.matches(text)
    }

    /// The characters before the first wildcard.
    pub(crate) fn literal_prefix(&self) -> String {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text.clone(),
            Some(Piece::Mixed { tokens, .. }) => tokens
                .iter()
                .map_while(|token| match token {
                    Token::Text(c) => Some(*c),
                    _ => None,
                })
                .collect(),
            None => String::new(),
        }
    }

    /// What every text holds that it takes, piece by piece.
    pub(crate) fn spelled(&self) -> impl Iterator<Item = &str> {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Mixed { spelled, .. } => spelled.as_str(),
        });
        pieces.filter(|text| !text.is_empty())
    }

    /// Whether it is a text without any wildcard.
    pub(crate) fn is_literal(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Text(_)])
    }

    /// Whether it takes any text.
    pub(crate) fn is_everything(&self) -> bool {
        self.has_star()
            && self
                .pieces
                .iter()
                .all(|piece| *piece == Piece::Text(String::new()))
    }

    pub(crate) fn has_star(&self) -> bool {
        self.pieces.len() > 1
    }

    /// Whether case may change what it takes in another way than folding does.
    pub(crate) fn has_classes(&self) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Mixed { tokens, .. } => tokens.iter().any(|t| matches!(t, Token::Class(_))),
        })
    }
}

impl Piece {
    fn new(tokens: &[Token]) -> Result<Self, TooLong> {
        match literal(tokens) {
            Some(text) => Ok(Self::Text(text)),
            None if tokens.len() <= MIXED_MAX => Ok(Self::Mixed {
                tokens: tokens.to_vec(),
                spelled: tokens
                    .split(|token| !matches!(token, Token::Text(_)))
                    .filter_map(literal)
                    .max_by_key(String::len)
                    .unwrap_or_default(),
            }),
            None => Err(TooLong),
        }
    }

    /// Bytes that it takes at the beginning of `text`.
    fn length_at(&self, text: &str) -> Option<usize> {
        match self {
            Self::Text(piece) => text.starts_with(piece.as_str()).then_some(piece.len()),
            Self::Mixed { tokens, .. } => {
                let mut chars = text.chars();
                tokens
                    .iter()
                    .all(|token| chars.next().is_some_and(|c| token.takes(c)))
                    .then(|| text.len() - chars.as_str().len())
            }
        }
    }

    /// The end of its first place in `text`.
    fn find(&self, text: &str) -> Option<usize> {
        match self {
            Self::Text(piece) => text.find(piece.as_str()).map(|at| at + piece.len()),
            Self::Mixed { .. } => text.char_indices().find_map(|(at, _)| {
                let length = self.length_at(text.get(at..)?)?;
                Some(at + length)
            }),
        }
    }

    /// Whether it takes the end of `text`.
    fn ends(&self, text: &str) -> bool {
        match self {
            Self::Text(piece) => text.ends_with(piece.as_str()),
            Self::Mixed { tokens, .. } => {
                let mut chars = text.chars();
                tokens
                    .iter()
                    .rev()
                    .all(|token| chars.next_back().is_some_and(|c| token.takes(c)))
            }
        }
    }
}

/// Whether some text is taken by both. For a command whose wildcards the remote shell
/// will expand to who knows what: a deny rule must hold for all it may become.
pub(crate) fn overlap(left: &[Token], right: &[Token]) -> bool {
    // reach[j]: the tokens of `left` so far and the first j of `right` have a common text.
    let mut reach: Vec<bool> = std::iter::once(true)
        .chain(right.iter().scan(true, |all, token| {
            *all &= *token == Token::Star;
            Some(*all)
        }))
        .collect();
    for token in left {
        let star = *token == Token::Star;
        let mut next = Vec::with_capacity(reach.len());
        next.push(star && reach.first() == Some(&true));
        for (other, pair) in right.iter().zip(reach.windows(2)) {
            let (before, here) = (pair.first() == Some(&true), pair.last() == Some(&true));
            let beside = next.last() == Some(&true);
            next.push(match (star, *other == Token::Star) {
                (true, _) => here || beside,
                (false, true) => here || beside,
                (false, false) => before && meet(token, other),
            });
        }
        reach = next;
    }
    reach.last() == Some(&true)
}

/// Whether one character is taken by both; classes are taken to overlap.
fn meet(left: &Token, right: &Token) -> bool {
    match (left, right) {
        (Token::Text(c), other) | (other, Token::Text(c)) => other.takes(*c),
        _ => true,
    }
}

/// A name in which [`EXPANDED`] stands for what the host expands, with a star for that.
pub(crate) fn expanded_tokens(name: &str) -> Vec<Token> {
    let token = |c| match c {
        EXPANDED => Token::Star,
        c => Token::Text(c),
    };
    name.chars().map(token).collect()
}

/// Whether such a name may become this one.
pub(crate) fn expands_to(name: &str, known: &str) -> bool {
    name == known || (name.contains(EXPANDED) && overlap(&tokens(known), &expanded_tokens(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, by recursion.
    fn naive(tokens: &[Token], text: &[char]) -> bool {
        match (tokens.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Token::Star, rest)), None) => naive(rest, text),
            (Some((Token::Star, rest)), Some((_, after))) => {
                naive(rest, text) || naive(tokens, after)
            }
            (Some((token, rest)), Some((c, after))) => token.takes(*c) && naive(rest, after),
            _ => false,
        }
    }

    fn matches(pattern: &str, text: &str) -> bool {
        let tokens = tokens(pattern);
        let found = Glob::new(&tokens).unwrap().matches(text);
        let text: Vec<char> = text.chars().collect();
        assert_eq!(found, naive(&tokens, &text), "{pattern} {text:?}");
        found
    }

    #[test]
    fn fnmatch() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("a*", "a"),
            ("a*b*c", "abbc"),
            ("a*b?", "abbbc"),
            ("[abc]", "a"),
            ("[!abc]", "d"),
            ("[a-c]x", "bx"),
            ("[]]", "]"),
            ("[", "["),
            ("x[a", "x[a"),
            ("*é?", "aéx"),
            ("**", "x"),
            ("a?c*[0-9]", "abc--7"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", "b"),
            ("a*b", "ac"),
            ("?", ""),
            ("ca?", "cats"),
            ("[abc]", "ab"),
            ("[!abc]", "a"),
            ("ab*ab", "ab"),
            ("a*bc*c", "abc"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    /// What is covered is taken, whatever stands for the unknown.
    #[test]
    fn covering_holds_for_every_text() {
        let alphabet = ["a", "b", "*", "?"];
        let mut texts = vec![String::new()];
        for _ in 0..4 {
            let longer: Vec<_> = texts
                .iter()
                .flat_map(|text| alphabet.map(|a| format!("{text}{a}")))
                .collect();
            texts.extend(longer);
        }
        let mut covered = 0;
        for pattern in &texts {
            let glob = Glob::parse(pattern).unwrap();
            for text in texts.iter().filter(|text| !text.contains('?')) {
                if text.contains('*') && glob.covers(&text.replace('*', "\u{1}"), '\u{1}') {
                    covered += 1;
                    for unknown in ["", "a", "b", "ab", "ba"] {
                        let text = text.replace('*', unknown);
                        assert!(glob.matches(&text), "{pattern} {text}");
                    }
                }
            }
        }
        assert!(covered > 100, "{covered}");
        assert!(!Glob::parse("a?").unwrap().covers("a\u{1}", '\u{1}'));
        assert!(!Glob::parse("ab").unwrap().covers("a\u{1}", '\u{1}'));
    }

    #[test]
    fn all_short_patterns_agree_with_the_definition() {
        let alphabet = ["a", "b", "*", "?", "[a]", "[!a]"];
        let mut patterns = vec![String::new()];
        for _ in 0..4 {
            let longer: Vec<_> = patterns
                .iter()
                .flat_map(|p| alphabet.map(|a| format!("{p}{a}")))
                .collect();
            patterns.extend(longer);
            patterns.sort();
            patterns.dedup();
        }
        for pattern in &patterns {
            for text in ["", "a", "b", "ab", "ba", "aab", "abab", "bbbb"] {
                matches(pattern, text);
            }
        }
    }

    #[test]
    fn overlap_is_a_common_text() {
        let both = |a: &str, b: &str| {
            let (a, b) = (tokens(a), tokens(b));
            assert_eq!(overlap(&a, &b), overlap(&b, &a));
            overlap(&a, &b)
        };
        assert!(both("cat /etc/shadow*", "cat /etc/sh*w"));
        assert!(both("*", ""));
        assert!(both("a*c", "*b*"));
        assert!(both("", ""));
        assert!(!both("cat /etc/*", "cat /var/*"));
        assert!(!both("a?", "a"));
        assert!(!both("", "a"));
    }

    #[test]
    fn a_wildcard_of_the_command_is_taken_by_a_star_alone() {
        let text = format!("/var/log/{EXPANDED}");
        assert!(Glob::parse("/var/log/*").unwrap().matches(&text));
        assert!(!Glob::parse("/var/log/?").unwrap().matches(&text));
        assert!(!Glob::parse("/var/log/[!a]").unwrap().matches(&text));
    }
}
