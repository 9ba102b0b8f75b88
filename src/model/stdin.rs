//! What a command is given to read: bytes of a client, bounded, or a file's; with their hash.
//!
//! Owns the bound, and that the bytes show nowhere: records and errors have their number and
//! their hash. Judges nothing. Made by the tools; part of what is judged, approved and sent.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::names::{Field, InputError};
use crate::model::text::hex;

/// Most bytes that a command is fed. A message has a bound of its own, which is as large.
pub(crate) const STDIN_MAX: usize = 1024 * 1024;

/// What a command is given to read. Cheap to clone: all clones share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Stdin {
    bytes: Bytes,
    sha256: [u8; 32],
}

#[derive(Clone, PartialEq, Eq)]
enum Bytes {
    Held(Arc<[u8]>),
    /// So many, which are read while they are sent.
    Elsewhere(u64),
}

impl Stdin {
    /// # Errors
    /// More than [`STDIN_MAX`] bytes.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        if text.len() > STDIN_MAX {
            return Err(InputError::TooLong {
                field: Field::Stdin,
                max: STDIN_MAX,
            });
        }
        Ok(Self {
            bytes: Bytes::Held(text.as_bytes().into()),
            sha256: Sha256::digest(text.as_bytes()).into(),
        })
    }

    /// The content of a file, which is read again when it is sent.
    pub(crate) fn elsewhere(size: u64, sha256: [u8; 32]) -> Self {
        Self {
            bytes: Bytes::Elsewhere(size),
            sha256,
        }
    }

    /// The bytes that are held in memory; none of those that are elsewhere.
    pub fn held(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Held(bytes) => bytes,
            Bytes::Elsewhere(_) => &[],
        }
    }

    /// Whether the bytes are read from a file while they are sent.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self.bytes, Bytes::Elsewhere(_))
    }

    /// How many bytes these are.
    pub fn size(&self) -> u64 {
        match &self.bytes {
            Bytes::Held(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Bytes::Elsewhere(size) => *size,
        }
    }

    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// The hash as records and answers have it.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }

    /// The first characters of what is held, for a person who is asked.
    pub(crate) fn beginning(&self, most: usize) -> String {
        let text = String::from_utf8_lossy(self.held());
        text.chars().take(most).collect()
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stdin({} bytes, {})", self.size(), self.sha256_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_shows_its_hash_alone() {
        let fed = Stdin::parse("hello\n").unwrap();
        let shown = format!("{fed:?}");
        assert!(shown.contains("6 bytes") && !shown.contains("hello"));
        assert!(shown.contains("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"));
        assert!(Stdin::parse(&"x".repeat(STDIN_MAX)).is_ok());
        assert!(Stdin::parse(&"x".repeat(STDIN_MAX + 1)).is_err());
    }
}
