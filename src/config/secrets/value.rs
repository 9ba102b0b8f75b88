//! A secret's bytes, its name, and where its value comes from.
//!
//! Owns the one type that holds a password or passphrase: wiped when dropped, without
//! `Debug`, `Display`, `Clone` or `Serialize`, so that it can't be printed, copied or
//! sent by accident. Owns the order of the sources: the name is validated before any of
//! them is asked. Called by `credentials` at each load.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::files::beneath::{FileError, RelativePath};
use crate::config::files::directories::Dirs;
use crate::config::secrets::env_file::EnvFile;
use crate::config::secrets::environment::Environment;
use crate::model::security_event::{EventValue, SecurityEvent};

/// Longest accepted name of a secret, in characters.
pub(crate) const NAME_MAX: usize = 100;
/// Largest accepted secret, in bytes, from whatever source.
pub(crate) const SECRET_MAX: u64 = 64 * 1024;

/// A value that must not be seen: wiped when dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The value. Who asks keeps it no longer than its use, and in nothing that is
    /// printed.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// A name that can be asked for in the environment and in the secrets directory:
/// 1 to [`NAME_MAX`] of `A-Z a-z 0-9 - _`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName(String);

/// Why a name can't be a secret's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretNameError {
    TooLong { length: usize },
    InvalidCharacters,
}

impl SecretName {
    /// # Errors
    /// Empty, longer than [`NAME_MAX`] (tested first), or another character.
    pub fn parse(text: &str) -> Result<Self, SecretNameError> {
        let length = text.chars().count();
        if length > NAME_MAX {
            return Err(SecretNameError::TooLong { length });
        }
        let accept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if text.is_empty() || !text.chars().all(accept) {
            return Err(SecretNameError::InvalidCharacters);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as environments and gateways spell it.
    pub fn upper(&self) -> String {
        self.0.to_ascii_uppercase()
    }
}

impl fmt::Display for SecretNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => write!(f, "found a name of {length} characters"),
            Self::InvalidCharacters => f.write_str("found a name with other characters"),
        }
    }
}

impl std::error::Error for SecretNameError {}

impl SecretNameError {
    /// The security event of this refusal.
    pub fn event(&self, attempted: &str) -> SecurityEvent {
        let (event_type, reason, extra) = match self {
            Self::TooLong { length } => (
                "input_length_limit_exceeded",
                "secret_name_too_long",
                vec![
                    ("field", EventValue::Text("secret_name".to_owned())),
                    ("length", number(*length)),
                    ("max_length", number(NAME_MAX)),
                ],
            ),
            Self::InvalidCharacters => (
                "invalid_secret_name",
                "contains_invalid_characters",
                Vec::new(),
            ),
        };
        SecurityEvent {
            event_type,
            attempted_path: Some(attempted.to_owned()),
            resolved_path: None,
            reason: Some(reason),
            extra,
        }
    }
}

pub(crate) fn number(length: usize) -> EventValue {
    EventValue::Number(u64::try_from(length).unwrap_or(u64::MAX))
}

/// Why a secret has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretError {
    /// None of the four sources has it, or only an empty value.
    Absent,
    /// Its file is there and can't be taken.
    File(FileError),
    /// Not UTF-8, or with a NUL: neither can be sent as a password.
    NotText,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no source has a value for it"),
            Self::File(error) => write!(f, "its file can't be taken: {error}"),
            Self::NotText => f.write_str("its value isn't text (UTF-8 without NUL)"),
        }
    }
}

impl std::error::Error for SecretError {}

/// The four sources of one load. The `.env` file is read once.
pub(crate) struct Sources<'a> {
    environment: &'a Environment,
    dirs: &'a Dirs,
    env_file: &'a EnvFile,
}

/// A value and, if it came from a file of its own, how open that file is.
pub(crate) struct Resolved {
    pub(crate) secret: Arc<Secret>,
    pub(crate) mode: Option<u32>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(environment: &'a Environment, dirs: &'a Dirs, env_file: &'a EnvFile) -> Self {
        Self {
            environment,
            dirs,
            env_file,
        }
    }

    /// Asks the sources in order; an empty value counts as none.
    pub(crate) fn resolve(
        &self,
        name: &SecretName,
        events: &mut Vec<SecurityEvent>,
    ) -> Result<Resolved, SecretError> {
        let upper = name.upper();
        let found = self
            .environment
            .secret(&upper)
            .or_else(|| self.environment.prefixed_secret(&upper))
            .or_else(|| self.env_file.value(name.as_str()))
            .or_else(|| self.env_file.value(&upper));
        let resolved = match found {
            Some(secret) => Resolved { secret, mode: None },
            None => self.of_its_own_file(name, events)?,
        };
        let bytes = resolved.secret.expose();
        if std::str::from_utf8(bytes).is_err() || bytes.contains(&0) {
            return Err(SecretError::NotText);
        }
        Ok(resolved)
    }

    fn of_its_own_file(
        &self,
        name: &SecretName,
        events: &mut Vec<SecurityEvent>,
    ) -> Result<Resolved, SecretError> {
        // A valid name has no slash and no dot, so it is a plain file name.
        let path = RelativePath::new(name.as_str()).ok_or(SecretError::Absent)?;
        let directory = self.dirs.secrets();
        let content = directory.read(&path, SECRET_MAX).map_err(|error| {
            match error {
                FileError::TooLarge { size, max } => {
                    events.push(directory.too_large(&path, "secret_file_too_large", size, max));
                }
                _ => events.extend(directory.refusal(name.as_str(), &path, error)),
            }
            match error {
                FileError::Missing => SecretError::Absent,
                other => SecretError::File(other),
            }
        })?;
        let trimmed = content.bytes.trim_ascii();
        if trimmed.is_empty() {
            return Err(SecretError::Absent);
        }
        Ok(Resolved {
            secret: Arc::new(Secret::new(Zeroizing::new(trimmed.to_vec()))),
            mode: content.is_open_to_others().then_some(content.mode),
        })
    }
}
