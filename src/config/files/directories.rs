//! The three directories that everything is read from, and the paths within them.
//!
//! Owns their names, their opened handles, and the types of a path that was accepted:
//! [`KeyPath`] and [`KnownHostsPath`] exist only for what stays within a directory, and
//! are opened again at each use, so that a key or a host key that is put there later
//! counts without a restart. Called by `load`, and by `ssh` through the snapshot.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::files::beneath::{
    Directory, FileContent, FileError, FileState, Links, RelativePath,
};
use crate::config::secrets::value::Secret;
use crate::model::security_event::{EventValue, SecurityEvent};

/// The three files of the configuration directory, in the order in which they are read
/// and hashed.
pub const FILES: [&str; 3] = ["servers.yml", "credentials.yml", "policy.yml"];

/// Longest accepted path of a key, in characters.
pub const KEY_PATH_MAX: usize = 500;
/// Largest accepted key or certificate file, in bytes.
pub const KEY_MAX: u64 = 64 * 1024;
/// Largest accepted known_hosts file, in bytes.
pub(crate) const KNOWN_HOSTS_MAX: u64 = 10 * 1024 * 1024;
/// Largest accepted YAML file, in bytes.
pub(crate) const YAML_MAX: u64 = 10 * 1024 * 1024;

/// In the order of [`FILES`]; `None` for a file that can't be opened.
pub(crate) type FileStates = [Option<FileState>; 3];

/// The three directories, opened.
#[derive(Debug)]
pub struct Dirs {
    config: Directory,
    keys: Directory,
    secrets: Directory,
}

impl Dirs {
    /// Opens the directories; a relative one is taken from where the server was started.
    /// One that can't be opened is reported when it is needed.
    pub fn open(config: &Path, keys: &Path, secrets: &Path, links: Links) -> Self {
        Self {
            config: Directory::open(absolute(config), links),
            keys: Directory::open(absolute(keys), links),
            secrets: Directory::open(absolute(secrets), links),
        }
    }

    pub fn config(&self) -> &Directory {
        &self.config
    }

    pub fn keys(&self) -> &Directory {
        &self.keys
    }

    pub fn secrets(&self) -> &Directory {
        &self.secrets
    }

    /// Reads a private key or a certificate; the bytes are wiped when dropped.
    ///
    /// # Errors
    /// See [`FileError`]; its `Missing` and `NotPermitted` have texts of their own for
    /// the assistant.
    pub fn read_key(&self, path: &KeyPath) -> Result<Secret, FileError> {
        let content = self.keys.read(&path.relative, KEY_MAX)?;
        Ok(Secret::new(content.bytes))
    }

    /// Reads the known_hosts file as it is now.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn read_known_hosts(&self, path: &KnownHostsPath) -> Result<FileContent, FileError> {
        self.directory(path.base)
            .read(&path.relative, KNOWN_HOSTS_MAX)
    }

    /// The state that the known_hosts file is in now, without reading it.
    ///
    /// # Errors
    /// See [`FileError`].
    pub(crate) fn known_hosts_state(&self, path: &KnownHostsPath) -> Result<FileState, FileError> {
        self.directory(path.base).state(&path.relative)
    }

    /// Whether the known_hosts file can be opened now, without reading it.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn try_known_hosts(&self, path: &KnownHostsPath) -> Result<(), FileError> {
        self.directory(path.base).state(&path.relative).map(|_| ())
    }

    /// Keeps others who do so from the known_hosts file while the result is held.
    ///
    /// # Errors
    /// The directory can't be opened.
    pub fn hold_known_hosts(&self, path: &KnownHostsPath) -> Result<std::fs::File, FileError> {
        self.directory(path.base).hold(&path.relative)
    }

    /// Puts a new known_hosts file in the place of the old one, at once or not at all.
    ///
    /// # Errors
    /// The directory can't be written, or the disk is full; the old file is untouched.
    pub fn replace_known_hosts(
        &self,
        path: &KnownHostsPath,
        bytes: &[u8],
    ) -> Result<(), FileError> {
        self.directory(path.base).replace(&path.relative, bytes)
    }

    /// Where the known_hosts file is, for the operator.
    pub fn known_hosts_file(&self, path: &KnownHostsPath) -> PathBuf {
        self.directory(path.base)
            .path()
            .join(path.relative.as_path())
    }

    /// The states that the three files are in now.
    pub(crate) fn file_states(&self) -> FileStates {
        FILES.map(|name| self.config.state(&RelativePath::new(name)?).ok())
    }

    fn directory(&self, base: Base) -> &Directory {
        match base {
            Base::Keys => &self.keys,
            Base::Config => &self.config,
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The path of a key or certificate within the keys directory, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPath {
    written: String,
    relative: RelativePath,
}

impl KeyPath {
    /// Accepts a relative path, or an absolute one within the keys directory.
    ///
    /// # Errors
    /// Longer than [`KEY_PATH_MAX`] (tested first), two dots in a row anywhere, a NUL,
    /// or an absolute path elsewhere.
    pub fn parse(text: &str, dirs: &Dirs) -> Result<Self, PathRefusal> {
        let length = text.chars().count();
        if length > KEY_PATH_MAX {
            return Err(PathRefusal::TooLong { length });
        }
        let relative = within(text, &dirs.keys)?;
        Ok(Self {
            written: text.to_owned(),
            relative,
        })
    }

    pub fn relative(&self) -> &RelativePath {
        &self.relative
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The path of the known_hosts file within the keys directory or the config directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHostsPath {
    base: Base,
    relative: RelativePath,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Keys,
    Config,
}

impl KnownHostsPath {
    /// # Errors
    /// As [`KeyPath::parse`]; an absolute path may lie in either directory.
    pub fn parse(text: &str, dirs: &Dirs) -> Result<Self, PathRefusal> {
        let length = text.chars().count();
        if length > KEY_PATH_MAX {
            return Err(PathRefusal::TooLong { length });
        }
        let keys = |relative| Self {
            base: Base::Keys,
            relative,
        };
        let in_config = dirs.config.relative(Path::new(text));
        match within(text, &dirs.keys) {
            Err(PathRefusal::Elsewhere) if let Some(relative) = in_config => Ok(Self {
                base: Base::Config,
                relative,
            }),
            other => other.map(keys),
        }
    }

    pub fn relative(&self) -> &RelativePath {
        &self.relative
    }
}

/// Why a path was refused before anything was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    #[error("found a path of {length} characters")]
    TooLong { length: usize },
    /// Two dots in a row. The log's `pattern` says which spelling.
    #[error("found '..' in the path")]
    Traversal,
    /// Absolute, and not within the directory.
    #[error("found an absolute path elsewhere")]
    Elsewhere,
    /// Empty, a NUL, or nothing but dots and slashes.
    #[error("found no path of a file")]
    Malformed,
}

impl PathRefusal {
    /// The security event of this refusal.
    pub fn event(&self, attempted: &str, keys: &Directory) -> SecurityEvent {
        // What it would stand for, links and dots left as they are.
        let resolved = || Some(keys.at(attempted));
        let (event_type, reason, resolved, extra) = match self {
            Self::TooLong { length } => (
                "input_length_limit_exceeded",
                "key_path_too_long",
                None,
                vec![
                    ("field", EventValue::Text("key_path".to_owned())),
                    ("length", EventValue::count(*length)),
                    ("max_length", EventValue::count(KEY_PATH_MAX)),
                ],
            ),
            Self::Traversal => (
                "path_traversal_attempt",
                "contains_traversal_pattern",
                resolved(),
                vec![
                    ("pattern", EventValue::Text("..".to_owned())),
                    ("base_dir", keys.base()),
                ],
            ),
            Self::Elsewhere => (
                "path_traversal_attempt",
                "absolute_path_rejected",
                resolved(),
                vec![("base_dir", keys.base())],
            ),
            Self::Malformed => (
                "path_traversal_attempt",
                "path_outside_allowed_directory",
                resolved(),
                vec![("base_dir", keys.base())],
            ),
        };
        SecurityEvent {
            event_type,
            attempted_path: Some(attempted.to_owned()),
            resolved_path: resolved,
            reason: Some(reason),
            extra,
        }
    }
}

fn within(text: &str, directory: &Directory) -> Result<RelativePath, PathRefusal> {
    if text.contains("..") {
        return Err(PathRefusal::Traversal);
    }
    if Path::new(text).is_absolute() {
        return directory
            .relative(Path::new(text))
            .ok_or(PathRefusal::Elsewhere);
    }
    RelativePath::new(text).ok_or(PathRefusal::Malformed)
}
