//! What the proof by running asks of the descriptions: texts, kinds, readings as plain data.
//!
//! Decides nothing, and nothing of the server calls it: `tests/proof` makes invocations of
//! the texts, runs those that are read as harmless, and looks at what they did.

use std::ops::Range;

use crate::policy::programs::catalogue::FAMILIES;
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::Argument;
use crate::policy::programs::walk::read;

/// An invocation, read.
#[derive(Debug)]
pub struct Look {
    /// As in the cases of `tests/data/programs`; `None` if it is unknown.
    pub effects: Option<String>,
    /// The words of the command that it runs.
    pub inner: Option<Range<usize>>,
}

/// Every family, by name, with its text.
pub fn families() -> impl Iterator<Item = (&'static str, &'static str)> {
    FAMILIES.iter().copied()
}

/// Whether a text may stand for the kind of this name; `None` if there is no such kind.
#[must_use]
pub fn takes(kind: &'static str, text: &str) -> Option<bool> {
    Some(Kind::named(kind)?.takes(text))
}

/// What the words are; `None` if nothing is known about their program.
#[must_use]
pub fn look(words: &[&str]) -> Option<Look> {
    let words: Vec<Argument<'_>> = words.iter().map(|word| Argument::plain(word)).collect();
    let reading = read(&words)?;
    Some(Look {
        effects: reading.effects().map(|effects| effects.to_string()),
        inner: reading.inner,
    })
}
