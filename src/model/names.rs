//! The words a request is made of, as types: once one of these exists, it is valid.
//!
//! Owns the bounds of every name and text that comes from a client or a file. Does no
//! I/O and knows nothing of hosts or rules. Called by the configuration loader for what
//! files say, and by the tools for what a client says.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::text::hex;

/// Longest accepted alias, in characters.
pub(crate) const ALIAS_MAX: usize = 100;
/// Longest accepted tag, in characters.
pub(crate) const TAG_MAX: usize = 50;
/// Longest accepted command, in characters (not bytes), after trimming.
pub(crate) const COMMAND_MAX: usize = 10_000;
/// Longest accepted task id, in characters.
pub(crate) const TASK_ID_MAX: usize = 200;

/// What a rejected value was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Alias,
    Tag,
    Command,
    Stdin,
    TaskId,
    MaxLines,
}

impl Field {
    /// The argument's name as the tools spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alias => "alias",
            Self::Tag => "tag",
            Self::Command => "command",
            Self::Stdin => "stdin",
            Self::TaskId => "task_id",
            Self::MaxLines => "max_lines",
        }
    }
}

/// Why a value was rejected. The text is made for the assistant: it names the argument
/// and the bound, and repeats nothing of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    #[error("{} is required", .0.name())]
    Missing(Field),
    #[error("{} is too long (at most {max} characters)", .field.name())]
    TooLong { field: Field, max: usize },
    #[error("{} contains invalid characters (accepted: {accepted})", .field.name())]
    InvalidCharacters {
        field: Field,
        accepted: &'static str,
    },
    #[error("{} contains null bytes", .0.name())]
    NullByte(Field),
    #[error("{} contains control characters (U+{code:04X})", .field.name())]
    ControlCharacter { field: Field, code: u32 },
    #[error("{} must be between {min} and {max}", .field.name())]
    OutOfRange { field: Field, min: u32, max: u32 },
}

/// Trims, then checks presence, length and the characters of a name.
fn parse_name(
    text: &str,
    field: Field,
    max: usize,
    accepted: &'static str,
    accept: fn(char) -> bool,
) -> Result<Arc<str>, InputError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InputError::Missing(field));
    }
    if text.chars().count() > max {
        return Err(InputError::TooLong { field, max });
    }
    if !text.chars().all(accept) {
        return Err(InputError::InvalidCharacters { field, accepted });
    }
    Ok(text.into())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// The name of a host in `servers.yml`: 1 to 100 of `A-Z a-z 0-9 . _ -`.
    HostAlias
);
name_type!(
    /// A tag of a host: 1 to 50 of `A-Z a-z 0-9 . _ -`.
    Tag
);
name_type!(
    /// The name of a task, `alias:hash:token`: 1 to 200 of `A-Z a-z 0-9 . : _ -`.
    TaskId
);
name_type!(
    /// What a client asked to run: trimmed, 1 to 10,000 characters, no NUL, no control
    /// characters but tab, newline and carriage return (which the lexer refuses with a
    /// position of its own). Not judged yet: nothing of this type can be sent to a host.
    CommandText
);

impl HostAlias {
    /// # Errors
    /// Empty after trimming, longer than [`ALIAS_MAX`], or another character.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let accept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        parse_name(
            text,
            Field::Alias,
            ALIAS_MAX,
            "letters, digits, '.', '_', '-'",
            accept,
        )
        .map(Self)
    }
}

impl Tag {
    /// # Errors
    /// Empty after trimming, longer than [`TAG_MAX`], or another character.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let accept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        parse_name(
            text,
            Field::Tag,
            TAG_MAX,
            "letters, digits, '.', '_', '-'",
            accept,
        )
        .map(Self)
    }
}

impl TaskId {
    /// # Errors
    /// Empty after trimming, longer than [`TASK_ID_MAX`], or another character.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let accept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-');
        parse_name(
            text,
            Field::TaskId,
            TASK_ID_MAX,
            "letters, digits, '.', ':', '_', '-'",
            accept,
        )
        .map(Self)
    }

    /// The id of a new task: `alias:hash:` and a part that cannot be guessed.
    pub fn new(alias: &HostAlias, hash: CommandHash, token: impl fmt::Display) -> Self {
        Self(format!("{alias}:{hash}:{token}").into())
    }
}

impl CommandText {
    /// # Errors
    /// Empty after trimming, longer than [`COMMAND_MAX`] (tested before the content),
    /// a NUL, or a control character (C0 but tab, newline, carriage return; DEL; C1).
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let field = Field::Command;
        let text = text.trim();
        if text.is_empty() {
            return Err(InputError::Missing(field));
        }
        if text.chars().count() > COMMAND_MAX {
            return Err(InputError::TooLong {
                field,
                max: COMMAND_MAX,
            });
        }
        for c in text.chars() {
            if c == '\0' {
                return Err(InputError::NullByte(field));
            }
            if c.is_control() && !matches!(c, '\t' | '\n' | '\r') {
                return Err(InputError::ControlCharacter {
                    field,
                    code: u32::from(c),
                });
            }
        }
        Ok(Self(text.into()))
    }

    pub fn hash(&self) -> CommandHash {
        CommandHash::of(&self.0)
    }
}

/// How many of the last lines of an output are asked for, 1 to 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxLines(u16);

impl MaxLines {
    /// Lines that are given where nothing is asked for.
    pub const DEFAULT: Self = Self(50);
    /// Most lines.
    pub const MAX: u16 = 1_000;

    /// # Errors
    /// Less than 1, or more than [`MaxLines::MAX`].
    pub fn new(lines: i64) -> Result<Self, InputError> {
        let lines = u16::try_from(lines).ok();
        lines
            .filter(|lines| (1..=Self::MAX).contains(lines))
            .map(Self)
            .ok_or(InputError::OutOfRange {
                field: Field::MaxLines,
                min: 1,
                max: u32::from(Self::MAX),
            })
    }

    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// The name of a command in records and replies: the first 12 hex digits of its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandHash([u8; 6]);

impl CommandHash {
    pub fn of(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    pub fn of_bytes(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let mut short = [0; 6];
        short
            .iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);
        Self(short)
    }

    /// Reads the form that [`fmt::Display`] writes: 12 lower-case hex digits.
    pub fn parse(hex: &str) -> Option<Self> {
        let number = u64::from_str_radix(hex, 16).ok()?;
        let [_, _, short @ ..] = number.to_be_bytes();
        let parsed = Self(short);
        (parsed.to_string() == hex).then_some(parsed)
    }
}

impl fmt::Display for CommandHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// `on_audit_failure:` of `policy.yml`: what becomes of a command that cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnAuditFailure {
    /// It does not run.
    #[default]
    Refuse,
    /// It runs, and a record on stderr says that it is not in the audit file.
    Warn,
}

/// `on_revoke:` of `policy.yml`: what becomes of a command that runs when a new policy denies
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRevoke {
    /// It runs to its end.
    #[default]
    Keep,
    /// It is ended, on the host too.
    End,
}

/// `approval:` of `policy.yml`: who says yes to a command that a rule asks about. The later
/// one of these is the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ApprovalWay {
    /// The client's person where the client can ask, else the operator.
    Either,
    /// A person, through the client: friction, not proof.
    #[default]
    Elicitation,
    /// The operator, out of band.
    Operator,
}

/// `record_commands:` of `policy.yml`: which commands the audit file holds in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordCommands {
    #[default]
    Off,
    Denied,
    All,
}

/// A TCP port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port(NonZeroU16);

impl Port {
    /// The port of SSH (RFC 4253 §4).
    pub const SSH: Self = match NonZeroU16::new(22) {
        Some(port) => Self(port),
        None => Self(NonZeroU16::MIN),
    };

    pub fn new(port: u16) -> Option<Self> {
        NonZeroU16::new(port).map(Self)
    }

    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_first_twelve_hex_digits() {
        assert_eq!(CommandHash::of("uptime").to_string(), "dd291cd6294b");
        assert_eq!(CommandHash::of("").to_string(), "e3b0c44298fc");
        let parsed = CommandHash::parse("dd291cd6294b");
        assert_eq!(parsed, Some(CommandHash::of("uptime")));
        for wrong in ["", "DD291cd6294b", "+d291cd6294b", "dd291cd6294b0"] {
            assert_eq!(CommandHash::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn length_is_tested_before_content() {
        let text = "\0".repeat(COMMAND_MAX + 1);
        assert!(matches!(
            CommandText::parse(&text),
            Err(InputError::TooLong { .. })
        ));
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(HostAlias::parse("  web1 ").unwrap().as_str(), "web1");
        assert!(HostAlias::parse(&"a".repeat(ALIAS_MAX + 1)).is_err());
        assert!(TaskId::parse("server.example.com:dd291cd6294b:1700000000000000").is_ok());
    }
}
