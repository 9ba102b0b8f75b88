//! Expressions that choose among things by names: `web and not (canary or old)`.
//!
//! Owns the grammar: names with `and`, `or`, `not` and brackets, of which `or` binds least
//! and `not` most, within bounds of length and depth. What a name stands for is the caller's.
//! Called by the readers of `groups:` and of the tools' `tag`.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::vec::IntoIter;

/// Most characters of an expression, and most words and brackets.
const LONGEST: usize = 1_000;
const MOST: usize = 100;
/// Deepest brackets.
const DEEPEST: usize = 20;

/// Words that are no names.
pub(crate) const RESERVED: &[&str] = &["and", "or", "not"];

/// An expression that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Name(String),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

/// Why a text is no expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the expression is too long")]
    TooLong,
    #[error(
        "cannot be read; write tags with and, or, not and brackets: web and not (canary or old)"
    )]
    Grammar,
}

impl Expression {
    /// A text of one word is a name, whatever it is called.
    ///
    /// # Errors
    /// More than 1,000 bytes or 100 words, or not of this grammar.
    pub(crate) fn parse(text: &str) -> Result<Self, Unreadable> {
        let pieces = pieces(text);
        if let [one] = pieces.as_slice()
            && !matches!(one.as_str(), "(" | ")")
        {
            return Ok(Self(Node::Name(one.clone())));
        }
        if text.len() > LONGEST || pieces.len() > MOST {
            return Err(Unreadable::TooLong);
        }
        let mut reader = Reader(pieces.into_iter().peekable());
        let root = reader.either(0)?;
        match reader.0.next() {
            None => Ok(Self(root)),
            Some(_) => Err(Unreadable::Grammar),
        }
    }

    /// Every name in it, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.0.collect(&mut names);
        names
    }

    /// Which of `total` things it chooses, by their places; `of` says what a name stands for.
    ///
    /// # Errors
    /// The first of `of`.
    pub(crate) fn choose<E>(
        &self,
        total: usize,
        of: &mut impl FnMut(&str) -> Result<BTreeSet<usize>, E>,
    ) -> Result<BTreeSet<usize>, E> {
        self.0.choose(total, of)
    }
}

impl Node {
    fn collect<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Name(name) => names.push(name),
            Self::Not(inner) => inner.collect(names),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|part| part.collect(names));
            }
        }
    }

    fn choose<E>(
        &self,
        total: usize,
        of: &mut impl FnMut(&str) -> Result<BTreeSet<usize>, E>,
    ) -> Result<BTreeSet<usize>, E> {
        match self {
            Self::Name(name) => of(name),
            Self::Not(inner) => {
                let none = inner.choose(total, of)?;
                Ok((0..total).filter(|at| !none.contains(at)).collect())
            }
            Self::Or(parts) => {
                let mut chosen = BTreeSet::new();
                for part in parts {
                    chosen.append(&mut part.choose(total, of)?);
                }
                Ok(chosen)
            }
            Self::And(parts) => {
                let mut chosen: BTreeSet<usize> = (0..total).collect();
                for part in parts {
                    // Each is looked at: a name that nothing has is an error in any case.
                    let other = part.choose(total, of)?;
                    chosen.retain(|at| other.contains(at));
                }
                Ok(chosen)
            }
        }
    }
}

/// Words and brackets.
fn pieces(text: &str) -> Vec<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// Reads by descent.
struct Reader(Peekable<IntoIter<String>>);

impl Reader {
    fn either(&mut self, depth: usize) -> Result<Node, Unreadable> {
        let mut parts = vec![self.both(depth)?];
        while self.0.next_if(|word| word == "or").is_some() {
            parts.push(self.both(depth)?);
        }
        Ok(Node::Or(parts))
    }

    fn both(&mut self, depth: usize) -> Result<Node, Unreadable> {
        let mut parts = vec![self.one(depth)?];
        while self.0.next_if(|word| word == "and").is_some() {
            parts.push(self.one(depth)?);
        }
        Ok(Node::And(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Node, Unreadable> {
        if depth > DEEPEST {
            return Err(Unreadable::Grammar);
        }
        match self.0.next() {
            Some(word) if word == "not" => Ok(Node::Not(Box::new(self.one(depth + 1)?))),
            Some(word) if word == "(" => {
                let inner = self.either(depth + 1)?;
                match self.0.next().as_deref() {
                    Some(")") => Ok(inner),
                    _ => Err(Unreadable::Grammar),
                }
            }
            Some(word) if word != ")" && !RESERVED.contains(&word.as_str()) => Ok(Node::Name(word)),
            _ => Err(Unreadable::Grammar),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Vec<usize> {
        let expression = Expression::parse(text).unwrap();
        let mut of = |name: &str| match name {
            "a" => Ok([0, 1].into()),
            "b" => Ok([1, 2].into()),
            "c" => Ok([3].into()),
            other => Err(other.to_owned()),
        };
        expression.choose(5, &mut of).unwrap().into_iter().collect()
    }

    #[test]
    fn not_binds_most_and_or_least() {
        assert_eq!(chosen("a"), [0, 1]);
        assert_eq!(chosen("a and b or c"), [1, 3]);
        assert_eq!(chosen("a and (b or c)"), [1]);
        assert_eq!(chosen("not a and not(b)"), [3, 4]);
        assert_eq!(chosen("not not a"), [0, 1]);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for bad in [
            "(",
            "a b",
            "a and",
            "or",
            "a or or b",
            "(a",
            "a)",
            "not",
            "",
        ] {
            let parsed = Expression::parse(bad);
            let is_name = parsed.as_ref().is_ok_and(|one| one.names() == [bad]);
            assert!(parsed.is_err() || is_name, "{bad}: {parsed:?}");
        }
        let deep = format!("{}a{} or a", "(".repeat(30), ")".repeat(30));
        assert_eq!(Expression::parse(&deep), Err(Unreadable::Grammar));
        let long = vec!["a"; 60].join(" or ");
        assert_eq!(Expression::parse(&long), Err(Unreadable::TooLong));
    }
}
