//! One mapping of a file whose keys are known, and the words for what stands in it.
//!
//! Owns where things are: paths of keys, positions, presence. Judges nothing; `shape`
//! does. Called by `shape` and by the readers of the three files.

use std::fmt;
use std::rc::Rc;

use crate::config::schema::keys::{Key, Kind, Table};
use crate::config::schema::problem::{Mark, quote};
use crate::config::yaml::scalar::Meaning;
use crate::config::yaml::tree::{Entry, Node, Value};

/// A mapping whose keys are known: the place where values are asked for.
pub(crate) struct Section<'n> {
    pub(crate) entries: &'n [Entry<'n>],
    pub(crate) table: &'static Table,
    pub(crate) path: Path,
    pub(crate) at: Mark,
}

/// Where a mapping is, such as `hosts[2]`; empty for the whole file. Written out only for who
/// reads it: of ten thousand hosts that are in order nobody does.
#[derive(Clone)]
pub(crate) struct Path {
    of: Rc<str>,
    /// Its place in the list of that name.
    index: Option<usize>,
}

impl Path {
    pub(crate) fn new(of: impl Into<Rc<str>>) -> Self {
        let of = of.into();
        Self { of, index: None }
    }

    pub(crate) fn item(&self, index: usize) -> Self {
        let of = Rc::clone(&self.of);
        let index = Some(index);
        Self { of, index }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.of)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.to_string()
    }
}

/// A text and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'n> {
    pub(crate) value: &'n str,
    pub(crate) at: Mark,
}

impl<'n> Section<'n> {
    /// The path of a key of this mapping.
    pub(crate) fn key(&self, name: &str) -> String {
        if self.path.of.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Whether the key is there and says something: not null, not a blank text.
    pub(crate) fn is_filled(&self, name: &str) -> bool {
        self.entry(name)
            .is_some_and(|entry| match &entry.value.value {
                Value::Scalar(scalar) => !scalar.text().trim().is_empty(),
                Value::List(_) | Value::Map(_) => true,
            })
    }

    /// Where a key's value stands, or the mapping if it isn't there.
    pub(crate) fn place(&self, name: &str) -> Mark {
        self.entry(name).map_or(self.at, |entry| entry.value.at)
    }

    /// The entries that the table doesn't know and accepts nevertheless: `x-…`.
    pub(crate) fn extras(&self) -> impl Iterator<Item = (&'n str, &'n Node<'n>)> + use<'n> {
        let accepted = self.table.extra;
        self.entries
            .iter()
            .filter(move |entry| accepted && entry.key.starts_with("x-"))
            .map(|entry| (&*entry.key, &*entry.value))
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&'n Entry<'n>> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    pub(crate) fn value(&self, name: &str) -> Option<(&'static Key, &'n Node<'n>)> {
        // What is not there is most of it.
        let entry = self.entry(name)?;
        Some((self.table.key(name)?, &*entry.value))
    }
}

/// A key that the author chose, as part of a path in a message.
pub(crate) fn plain(key: &str) -> String {
    let accept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*');
    if key.len() <= 100 && key.chars().all(accept) {
        key.to_owned()
    } else {
        quote(key)
    }
}

pub(crate) fn list(table: &Table) -> String {
    table.names().collect::<Vec<_>>().join(", ")
}

/// What a node is, in words, beside the key that it was given for.
pub(crate) fn found(node: &Node<'_>, kind: Kind) -> String {
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
