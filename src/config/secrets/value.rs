//! A secret's bytes and its name.
//!
//! Owns the one type that holds a password or passphrase: wiped when dropped, without
//! `Debug`, `Display`, `Clone` or `Serialize`, so that it can't be printed, copied or
//! sent by accident. Knows no place that a value comes from. Called by the sources, by
//! the readers of `credentials.yml`, and by the login that needs the value.

use zeroize::Zeroizing;

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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretNameError {
    #[error("found a name of {length} characters")]
    TooLong { length: usize },
    #[error("found a name with other characters")]
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

impl SecretNameError {
    /// The security event of this refusal.
    pub fn event(&self, attempted: &str) -> SecurityEvent {
        let (event_type, reason, extra) = match self {
            Self::TooLong { length } => (
                "input_length_limit_exceeded",
                "secret_name_too_long",
                vec![
                    ("field", EventValue::Text("secret_name".to_owned())),
                    ("length", EventValue::count(*length)),
                    ("max_length", EventValue::count(NAME_MAX)),
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
