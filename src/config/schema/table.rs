//! What a key is: its name, its type with bounds, whether it must be there.
//!
//! Owns the form of the tables, not their rows; those are in `keys` and `policy_keys`.
//! Called by them, and by what reads a node by a table.

/// The keys of one mapping.
#[derive(Debug)]
pub struct Table {
    /// The mapping's name in the documentation, such as `servers.yml: hosts[]`.
    pub name: &'static str,
    pub keys: &'static [Key],
    /// Whether keys that begin with `x-` are accepted beside them.
    pub extra: bool,
}

/// One key.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub need: Need,
    /// What is accepted, in words; empty where the kind says it by itself.
    accepts: &'static str,
}

impl Key {
    /// What is accepted, in words.
    pub fn accepted(&self) -> String {
        match self.kind {
            Kind::Number { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Numbers { min, max } => {
                format!("a list of whole numbers from {min} to {max}")
            }
            Kind::Room => "a whole number of bytes, or percent of the disk such as 5%".to_owned(),
            Kind::Boolean => "true or false".to_owned(),
            Kind::OneOf(words) => words.join(", "),
            _ => self.accepts.to_owned(),
        }
    }
}

/// What type of value a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    /// A text that no message repeats.
    SecretText,
    /// A secret's name or a path: a text whose bounds are a type's own, with an event.
    Guarded,
    Texts,
    /// A whole number within bounds, both included.
    Number {
        min: u64,
        max: u64,
    },
    /// A list of whole numbers, each within bounds.
    Numbers {
        min: u64,
        max: u64,
    },
    /// Bytes, or percent of a disk.
    Room,
    Boolean,
    OneOf(&'static [&'static str]),
    Section(&'static Table),
    Sections(&'static Table),
    /// A mapping from names that the author chooses to mappings of this table.
    Named(&'static Table),
}

impl Kind {
    /// The type in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text | Self::SecretText | Self::Guarded => "text",
            Self::Texts => "list of texts",
            Self::Number { .. } => "whole number",
            Self::Numbers { .. } => "list of whole numbers",
            Self::Room => "bytes or percent",
            Self::Boolean => "boolean",
            Self::OneOf(_) => "one of",
            Self::Section(_) => "mapping",
            Self::Sections(_) => "list of mappings",
            Self::Named(_) => "mapping of mappings",
        }
    }
}

/// Whether a key must be there, and what holds where it isn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The text says what is missing, such as `no hostname`.
    Required(&'static str),
    Default(&'static str),
    Optional,
}

impl Table {
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.keys.iter().map(|key| key.name)
    }
}

pub(crate) const fn key(name: &'static str, kind: Kind, need: Need, accepts: &'static str) -> Key {
    Key {
        name,
        kind,
        need,
        accepts,
    }
}
