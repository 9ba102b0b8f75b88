//! Everything that can keep a record from being made, with what mends it.
//!
//! Owns the words. Called wherever the audit file is touched; the assistant never sees
//! more than [`AuditError::for_assistant`].

use std::path::PathBuf;
use std::{fmt, io};

use nix::errno::Errno;

/// An operation on the audit file that failed.
#[derive(Debug)]
pub enum Failure {
    NotAFileName,
    /// The file's directory can't be opened.
    Directory(Errno),
    /// The running program can't be read for its SHA-256.
    Program(io::Error),
    Open(Errno),
    NotRegular,
    /// Another server holds the lock.
    InUse,
    Read(io::Error),
    /// The file does not hold the chain it should. Lines count from 1.
    Damaged {
        line: u64,
        why: &'static str,
    },
    /// A write failed or was cut short; the file is as it was before.
    Write(io::Error),
    /// fdatasync or fsync failed: what was written may be gone.
    Sync(Errno),
    /// What a failed write left behind can't be cut off.
    Mend(Errno),
    Deleted,
    /// So many bytes are free on its disk, and `refuse_below` wants more.
    NoRoom {
        free: u64,
    },
    /// How much room there is cannot be told.
    Space(Errno),
    /// The name stands for another file that is not empty.
    Replaced,
    /// Somebody else wrote to the file or cut it.
    Changed {
        expected: u64,
        found: u64,
    },
    Rotate(Errno),
    /// A file that is too old, or too much, can't be removed.
    Remove(Errno),
    /// The thread that looks after the file can't be started.
    Thread(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFileName => f.write_str("the path does not end in a file name in UTF-8"),
            Self::Directory(errno) => write!(f, "cannot open its directory: {}", errno.desc()),
            Self::Program(error) => write!(f, "cannot read the running program: {error}"),
            Self::Open(errno) => write!(
                f,
                "cannot open it: {}; the server's user must be able to write in its directory",
                errno.desc()
            ),
            Self::NotRegular => f.write_str("it is not a regular file"),
            Self::InUse => f.write_str("another server is writing it; each server needs its own"),
            Self::Read(error) => write!(f, "cannot read it: {error}"),
            Self::Damaged { line, why } => write!(
                f,
                "line {line} {why}; it may be evidence: look at it with 'audit verify', \
                 move it away, and start again"
            ),
            Self::Write(error) => write!(f, "cannot write: {error}"),
            Self::Sync(errno) => write!(
                f,
                "cannot bring it to disk: {}; records may be gone: rename the file, \
                 then send SIGHUP or restart",
                errno.desc()
            ),
            Self::Mend(errno) => write!(
                f,
                "cannot cut off a record that was half written: {}",
                errno.desc()
            ),
            Self::Deleted => f.write_str("it was deleted; send SIGHUP to begin another"),
            Self::NoRoom { free } => write!(
                f,
                "{free} bytes are free on its disk, less than audit_space: refuse_below; \
                 make room, or move older files away"
            ),
            Self::Space(errno) => write!(
                f,
                "cannot tell how much room its disk has: {}",
                errno.desc()
            ),
            Self::Replaced => f.write_str(
                "its name stands for another file; put the right one back, or move the other \
                 away and send SIGHUP",
            ),
            Self::Changed { expected, found } => write!(
                f,
                "somebody else changed it: it has {found} bytes instead of {expected}; \
                 rename it, then send SIGHUP"
            ),
            Self::Rotate(errno) => write!(f, "cannot begin the next file: {}", errno.desc()),
            Self::Remove(errno) => write!(f, "cannot remove an old file: {}", errno.desc()),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// Why a command or a server has no record, and so does not run.
#[derive(Debug)]
pub enum AuditError {
    /// stderr is closed or full, and has been for a second.
    LogNotRead,
    File {
        path: PathBuf,
        failure: Failure,
    },
}

impl AuditError {
    /// Says what is wrong without naming a file.
    pub fn for_assistant(&self) -> String {
        let why = match self {
            Self::File {
                failure: Failure::NoRoom { .. },
                ..
            } => "the disk of the server's audit record is nearly full",
            _ => "the server cannot write its audit record",
        };
        format!("The command was not run: {why}. Ask the operator to look at the server's log.")
    }

    /// Whether a command must not run whatever `on_audit_failure` says.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::File {
                failure: Failure::NoRoom { .. } | Failure::Space(_),
                ..
            }
        )
    }

    /// Says what is wrong and what mends it.
    pub fn for_operator(&self) -> String {
        match self {
            Self::LogNotRead => "stderr is closed or full and nobody reads it; \
                read the server's log, or set on_audit_failure: warn"
                .to_owned(),
            Self::File { path, failure } => {
                format!("audit file {}: {failure}", path.display())
            }
        }
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.for_operator())
    }
}

impl std::error::Error for AuditError {}
