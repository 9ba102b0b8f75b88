//! Every key of the three files: its type, bounds, default and meaning, as one table.
//!
//! The readers take what a key accepts from here, an unknown key is one that isn't here,
//! and a test compares `config/README.md` with it: there is no second list to forget. Owns
//! `servers.yml` and `credentials.yml`; those of `policy.yml` are in `policy_keys`. Called
//! by the readers, by the reports, and by that test.

pub(crate) use crate::config::schema::policy_keys::{
    AUDIT_SPACE, EXAMPLES, FILE_RULE, NETWORK, OVERRIDES, PATH_ARGS, RULE, SHELL,
};
pub use crate::config::schema::policy_keys::{CONCURRENCY, LIMITS, POLICY};
use crate::config::schema::table::key;
pub use crate::config::schema::table::{Key, Kind, Need, Table};

/// Every table, in the order of the documentation.
pub const ALL: &[&Table] = &[
    &SERVERS,
    &HOST,
    &GROUP,
    &CREDENTIALS,
    &CREDENTIAL,
    &PROMPT,
    &SUDO,
    &POLICY,
    &LIMITS,
    &NETWORK,
    &RULE,
    &PATH_ARGS,
    &EXAMPLES,
    &FILE_RULE,
    &SHELL,
    &OVERRIDES,
    &CONCURRENCY,
    &AUDIT_SPACE,
];

pub const SERVERS: Table = Table {
    name: "servers.yml",
    extra: true,
    keys: &[
        key(
            "hosts",
            Kind::Sections(&HOST),
            Need::Required("no list of hosts"),
            "a list of hosts, each with `alias`, `host` and `credentials`",
        ),
        key(
            "groups",
            Kind::Sections(&GROUP),
            Need::Optional,
            "a list of groups, each with `name` and `of`",
        ),
    ],
};

pub(crate) const GROUP: Table = Table {
    name: "servers.yml: groups[]",
    extra: false,
    keys: &[
        key(
            "name",
            Kind::Text,
            Need::Required("no name"),
            "1 to 50 of A-Z a-z 0-9 . _ -",
        ),
        key(
            "of",
            Kind::Text,
            Need::Required("no expression"),
            "an expression of tags, aliases and groups",
        ),
    ],
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
            Kind::OneOf(&["sh", "login", "direct"]),
            Need::Default("sh"),
            "",
        ),
        key(
            "quotes",
            Kind::OneOf(&["none", "single", "double"]),
            Need::Default("none"),
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
        key(
            "identity",
            Kind::Guarded,
            Need::Optional,
            "at most 500 characters: a path within the keys directory, without '..'",
        ),
        key(
            "prompts",
            Kind::Sections(&PROMPT),
            Need::Default("[]"),
            "a list of questions, each with `text`, and `secret` or `ask`",
        ),
        key(
            "sudo",
            Kind::Section(&SUDO),
            Need::Optional,
            "a mapping with `password_secret`",
        ),
    ],
};

pub(crate) const PROMPT: Table = Table {
    name: "credentials.yml: entries[].prompts[]",
    extra: false,
    keys: &[
        key(
            "text",
            Kind::Text,
            Need::Required("no question"),
            "a glob on the question, such as \"*verification code*\"",
        ),
        key(
            "secret",
            Kind::Guarded,
            Need::Optional,
            "a secret's name: 1 to 100 of A-Z a-z 0-9 - _",
        ),
        key("ask", Kind::OneOf(&["operator"]), Need::Optional, ""),
    ],
};

pub(crate) const SUDO: Table = Table {
    name: "credentials.yml: entries[].sudo",
    extra: false,
    keys: &[key(
        "password_secret",
        Kind::Guarded,
        Need::Required("no secret"),
        "a secret's name: 1 to 100 of A-Z a-z 0-9 - _",
    )],
};
