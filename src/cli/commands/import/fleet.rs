//! What every source comes to: hosts, how to log in, and notes on what was left out.
//!
//! Owns the types and the reading of a file. Called by the readers of `import` and by `print`.

use std::path::{Path, PathBuf};

/// Longest file that is read, in bytes; as for the configuration.
const FILE_MAX: u64 = 10 * 1024 * 1024;
/// Most hosts of one source.
pub(crate) const HOSTS_MAX: usize = 10_000;

/// Who types: what `~` and a missing user stand for.
#[derive(Debug)]
pub(crate) struct Me {
    pub(crate) home: PathBuf,
    pub(crate) user: String,
}

/// One host, as the source describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) alias: String,
    /// Further names of the same host.
    pub(crate) also: Vec<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) login: Login,
    pub(crate) tags: Vec<String>,
    /// The alias of the host before it.
    pub(crate) jump: Option<String>,
}

/// How to log in, as far as the source says.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Login {
    pub(crate) user: String,
    /// As it is written there.
    pub(crate) key: Option<String>,
    pub(crate) certificate: Option<String>,
    /// A secret has to be made for it: the source holds a password.
    pub(crate) password: bool,
}

/// What a source comes to.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) hosts: Vec<Found>,
    /// What was not taken over, and what to do about it: a line each.
    pub(crate) notes: Vec<String>,
}

impl Fleet {
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// A file's text.
///
/// # Errors
/// It cannot be read, is too long or is not UTF-8; in words for a person.
pub(crate) fn text_of(file: &Path) -> Result<String, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let length = std::fs::metadata(file).map_err(|error| told(&error))?.len();
    if length > FILE_MAX {
        return Err(told(&format!("longer than {FILE_MAX} bytes")));
    }
    std::fs::read_to_string(file).map_err(|error| told(&error))
}

/// Whether it can be an alias of `servers.yml` as it is.
pub(crate) fn is_alias(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
}
