//! A host and how to log in to it, as types that guarantee what they say.
//!
//! Owns the bounds of an address. Called by `servers` and `credentials`, which make
//! these, and by everything that runs a command.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::files::directories::KeyPath;
use crate::config::secrets::value::Secret;
use crate::model::names::{HostAlias, Port, Tag};
use crate::policy::rule::glob::Glob;
use crate::policy::{ShellMode, Subject};

/// Longest jump chain, the target not counted.
pub(crate) const JUMPS_MAX: usize = 3;

/// One entry of `hosts:`. What it refers to exists.
pub struct Host {
    pub alias: HostAlias,
    /// The line of servers.yml where it begins, for messages to the operator.
    pub line: usize,
    pub address: HostAddress,
    pub port: Port,
    pub login: Arc<Credential>,
    /// In the file's order; the last one's limits win.
    pub tags: Vec<Tag>,
    pub description: String,
    /// Keys that begin with `x-`, as they are in the file.
    pub extra: serde_json::Map<String, serde_json::Value>,
    pub shell: ShellMode,
    /// Whether a name is looked up when a command runs, or refused.
    pub resolve: Resolve,
    /// Accept algorithms that are refused for every other host.
    pub legacy_algorithms: bool,
    /// The host through which this one is reached.
    pub jump: Option<HostAlias>,
}

impl Host {
    pub fn has_tag(&self, tag: &Tag) -> bool {
        self.tags.contains(tag)
    }

    /// For whom a command for it is judged.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            alias: &self.alias,
            tags: &self.tags,
            shell: self.shell,
            detached: false,
            stdin: None,
        }
    }
}

/// A group of `servers.yml`: a name for some of its hosts. It chooses hosts for a call, and
/// grants nothing.
#[derive(Debug, Clone)]
pub struct Group {
    pub name: Tag,
    /// The places of its hosts in the file's order.
    pub places: BTreeSet<usize>,
}

/// Where a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAddress {
    Literal(IpAddr),
    Name(HostName),
}

/// A DNS name: 1 to 253 characters, labels of 1 to 63 of `A-Z a-z 0-9 _ -` that neither
/// begin nor end with `-` (RFC 1123 §2.1, with the underscore that names in use have),
/// and a last label that isn't a number, which would make it a mistyped address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(Arc<str>);

impl HostAddress {
    /// An address (IPv6 without brackets) or a name.
    ///
    /// # Errors
    /// Neither; the text says why.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Literal(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.contains(':') || name.starts_with('[') {
            return Err("not an IPv6 address (written without brackets and without a port)");
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
        if last.chars().all(|c| c.is_ascii_digit()) || hexadecimal.is_some() {
            return Err("not an IPv4 address (four decimal numbers from 0 to 255)");
        }
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err("not a DNS name");
        }
        Ok(Self::Name(HostName(name.to_ascii_lowercase().into())))
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

impl HostName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(address) => address.fmt(f),
            Self::Name(name) => f.write_str(&name.0),
        }
    }
}

/// `resolve:` of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolve {
    #[default]
    Dns,
    /// Literal addresses only: nothing is looked up.
    Static,
}

/// One entry of `entries:`. Secrets are resolved at load; keys are read at each login.
pub struct Credential {
    pub name: String,
    pub username: String,
    pub key_path: Option<KeyPath>,
    pub passphrase: Option<Arc<Secret>>,
    pub password: Option<Arc<Secret>>,
    pub cert_path: Option<KeyPath>,
    pub agent: bool,
    /// The public key of the one that the agent is to use.
    pub identity: Option<KeyPath>,
    /// Answers to what the host asks at the login.
    pub prompts: Vec<Prompt>,
    /// What `sudo` on the host asks for. One line.
    pub sudo: Option<Arc<Secret>>,
}

/// The answer to a question of a login.
#[derive(Clone)]
pub struct Prompt {
    /// Of the question, blanks around it left away.
    pub(crate) text: Glob,
    pub(crate) by: AnsweredBy,
}

/// Where an answer comes from.
#[derive(Clone)]
pub(crate) enum AnsweredBy {
    Secret(Arc<Secret>),
    /// Whoever sits at the terminal of the approvals types it.
    Operator,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        for literal in ["10.0.0.1", "::1", "2001:db8::1", "::ffff:10.0.0.1"] {
            assert!(
                matches!(HostAddress::parse(literal), Ok(HostAddress::Literal(_))),
                "{literal}"
            );
        }
        for name in [
            "web1",
            "web1.example.com",
            "Web1.Example.",
            "a_b.c",
            "x",
            "1a.b-c",
        ] {
            assert!(
                matches!(HostAddress::parse(name), Ok(HostAddress::Name(_))),
                "{name}"
            );
        }
        let long = "a".repeat(64);
        for neither in [
            "",
            ".",
            "10.0.0",
            "10.0.0.256",
            "10.0.0.01",
            "1.2.3.0x4",
            "0x7f000001",
            "a..b",
            "-a",
            "a-.b",
            "a b",
            "a/b",
            "u@h",
            "h:22",
            "[::1]",
            "fe80::1%eth0",
            "hé",
            &long,
        ] {
            assert!(HostAddress::parse(neither).is_err(), "{neither}");
        }
        assert_eq!(
            HostAddress::parse("Web1.Example.").unwrap().to_string(),
            "web1.example"
        );
    }
}
