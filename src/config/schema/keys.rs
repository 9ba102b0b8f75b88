//! Every key of the three files: its type, bounds, default and meaning, as one table.
//!
//! The readers take what a key accepts from here, an unknown key is one that isn't here,
//! and a test compares `config/README.md` with it: there is no second list to forget.
//! Called by `shape`, by the reports, and by that test.

pub use crate::config::schema::policy_keys::{CONCURRENCY, LIMITS, POLICY};
pub(crate) use crate::config::schema::policy_keys::{
    EXAMPLES, NETWORK, OVERRIDES, PATH_ARGS, RULE, SHELL,
};

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

/// Every table, in the order of the documentation.
pub const ALL: &[&Table] = &[
    &SERVERS,
    &HOST,
    &CREDENTIALS,
    &CREDENTIAL,
    &POLICY,
    &LIMITS,
    &NETWORK,
    &RULE,
    &PATH_ARGS,
    &EXAMPLES,
    &SHELL,
    &OVERRIDES,
    &CONCURRENCY,
];

pub const SERVERS: Table = Table {
    name: "servers.yml",
    extra: true,
    keys: &[key(
        "hosts",
        Kind::Sections(&HOST),
        Need::Required("no list of hosts"),
        "a list of hosts, each with `alias`, `host` and `credentials`",
    )],
};

pub(crate) const HOST: Table = Table {
    name: "servers.yml: hosts[]",
    extra: true,
    keys: &[
        key(
            "alias",
            Kind::Text,
            Need::Required("no alias"),
            "1 to 100 of A-Z a-z 0-9 . _ -",
        ),
        key(
            "host",
            Kind::Text,
            Need::Required("no hostname"),
            "an IPv4 or IPv6 address, or a DNS name of at most 253 characters",
        ),
        key(
            "port",
            Kind::Number {
                min: 1,
                max: 65_535,
            },
            Need::Default("22"),
            "",
        ),
        key(
            "credentials",
            Kind::Text,
            Need::Required("no credentials"),
            "the `name` of an entry of credentials.yml",
        ),
        key(
            "tags",
            Kind::Texts,
            Need::Default("[]"),
            "tags, each 1 to 50 of A-Z a-z 0-9 . _ -",
        ),
        key(
            "description",
            Kind::Text,
            Need::Optional,
            "a text of at most 1,000 characters",
        ),
        key(
            "shell",
            Kind::OneOf(&["sh", "direct"]),
            Need::Default("sh"),
            "",
        ),
        key(
            "resolve",
            Kind::OneOf(&["dns", "static"]),
            Need::Default("dns"),
            "",
        ),
        key(
            "legacy_algorithms",
            Kind::Boolean,
            Need::Default("false"),
            "",
        ),
        key(
            "jump",
            Kind::Text,
            Need::Optional,
            "the alias of another host; chains of at most 3, without a loop",
        ),
    ],
};

pub const CREDENTIALS: Table = Table {
    name: "credentials.yml",
    extra: true,
    keys: &[key(
        "entries",
        Kind::Sections(&CREDENTIAL),
        Need::Required("no list of entries"),
        "a list of credentials, each with `name`, `username` and a way to log in",
    )],
};

pub(crate) const CREDENTIAL: Table = Table {
    name: "credentials.yml: entries[]",
    extra: false,
    keys: &[
        key(
            "name",
            Kind::Text,
            Need::Required("no name"),
            "1 to 100 of A-Z a-z 0-9 . _ -",
        ),
        key(
            "username",
            Kind::Text,
            Need::Required("no username"),
            "1 to 100 printable characters",
        ),
        key(
            "key_path",
            Kind::Guarded,
            Need::Optional,
            "at most 500 characters: a path within the keys directory, without '..'",
        ),
        key(
            "key_passphrase_secret",
            Kind::Guarded,
            Need::Optional,
            "a secret's name: 1 to 100 of A-Z a-z 0-9 - _",
        ),
        key(
            "password_secret",
            Kind::Guarded,
            Need::Optional,
            "a secret's name: 1 to 100 of A-Z a-z 0-9 - _",
        ),
        key(
            "password",
            Kind::SecretText,
            Need::Optional,
            "a text in quotes",
        ),
        key(
            "cert_path",
            Kind::Guarded,
            Need::Optional,
            "at most 500 characters: a path within the keys directory, without '..'",
        ),
        key("agent", Kind::Boolean, Need::Default("false"), ""),
    ],
};

pub(crate) const fn key(name: &'static str, kind: Kind, need: Need, accepts: &'static str) -> Key {
    Key {
        name,
        kind,
        need,
        accepts,
    }
}
