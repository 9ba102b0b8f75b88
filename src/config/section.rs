//! One mapping of a file whose keys are known, and the words for what stands in it.
//!
//! Owns where things are: paths of keys, positions, presence. Judges nothing; `shape`
//! does. Called by `shape` and by the readers of the three files.

use super::keys::{Key, Kind, Table};
use super::problem::{Mark, quote};
use super::raw::{Entry, Node, Value};
use super::scalar::Meaning;

/// A mapping whose keys are known: the place where values are asked for.
pub(super) struct Section<'n> {
    pub(super) entries: &'n [Entry],
    pub(super) table: &'static Table,
    /// The path of this mapping, such as `hosts[2]`; empty for the whole file.
    pub(super) path: String,
    pub(super) at: Mark,
}

/// A text and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'n> {
    pub(super) value: &'n str,
    pub(super) at: Mark,
}

impl<'n> Section<'n> {
    /// The path of a key of this mapping.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Whether the key is there and says something: not null, not a blank text.
    pub(super) fn is_filled(&self, name: &str) -> bool {
        self.entry(name)
            .is_some_and(|entry| match &entry.value.value {
                Value::Scalar(scalar) => !scalar.text().trim().is_empty(),
                Value::List(_) | Value::Map(_) => true,
            })
    }

    /// Where a key's value stands, or the mapping if it isn't there.
    pub(super) fn place(&self, name: &str) -> Mark {
        self.entry(name).map_or(self.at, |entry| entry.value.at)
    }

    /// The entries that the table doesn't know and accepts nevertheless: `x-…`.
    pub(super) fn extras(&self) -> impl Iterator<Item = (&'n str, &'n Node)> + use<'n> {
        let accepted = self.table.extra;
        self.entries
            .iter()
            .filter(move |entry| accepted && entry.key.starts_with("x-"))
            .map(|entry| (entry.key.as_str(), &*entry.value))
    }

    pub(super) fn entry(&self, name: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    pub(super) fn value(&self, name: &str) -> Option<(&'static Key, &'n Node)> {
        Some((self.table.key(name)?, &*self.entry(name)?.value))
    }
}

/// A key that the author chose, as part of a path in a message.
pub(super) fn plain(key: &str) -> String {
    let accept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*');
    if key.len() <= 100 && key.chars().all(accept) {
        key.to_owned()
    } else {
        quote(key)
    }
}

pub(super) fn list(table: &Table) -> String {
    table.names().collect::<Vec<_>>().join(", ")
}

/// What a node is, in words, beside the key that it was given for.
pub(super) fn found(node: &Node, kind: Kind) -> String {
    let wants_text = matches!(
        kind,
        Kind::Text | Kind::SecretText | Kind::Guarded | Kind::Texts
    );
    let hint = if wants_text {
        " (in quotes it is a text)"
    } else {
        ""
    };
    let (what, text) = match &node.value {
        Value::List(_) => return "found a list".to_owned(),
        Value::Map(_) => return "found a mapping".to_owned(),
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => return "found nothing".to_owned(),
            Meaning::Text(text) => ("the text", text),
            Meaning::Boolean(_) => ("the boolean", scalar.text()),
            Meaning::Number(text) => ("the number", text),
        },
    };
    let hint = if what == "the text" { "" } else { hint };
    match kind {
        Kind::SecretText => format!("found {what}{hint}").replace("the ", "a "),
        _ => format!("found {what} {}{hint}", quote(text)),
    }
}
