//! Why a file wasn't read, and what to do about it.
//!
//! Owns the translation from the kernel's errors to reasons, and from those to the words
//! of the log contract. Called by `safe_path`, and by whoever tells an operator.

use std::fmt;

use nix::errno::Errno;

/// Why a file wasn't read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileError {
    Missing,
    /// Its permissions, or those of a directory on the way.
    NotPermitted,
    Directory,
    /// What should be a directory is something else.
    NotADirectory,
    /// A link, at the end of the path or on the way.
    Link,
    /// A device, a socket or a pipe.
    NotRegular,
    /// The path leads out of the directory, by a link.
    Outside,
    TooLarge {
        size: u64,
        max: u64,
    },
    /// It grew while it was read.
    Changed,
    /// The kernel has no `openat2` (before Linux 5.6), or a container's profile hides it.
    Unsupported,
    Io(Errno),
}

impl FileError {
    /// The word of the log contract, where it has one.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("file_not_found"),
            Self::Directory => Some("path_is_directory"),
            Self::Link => Some("path_is_symlink"),
            Self::NotRegular => Some("path_not_regular_file"),
            Self::Outside => Some("path_outside_allowed_directory"),
            Self::TooLarge { .. }
            | Self::NotPermitted
            | Self::NotADirectory
            | Self::Changed
            | Self::Unsupported
            | Self::Io(_) => None,
        }
    }

    /// Whether the file may be there, and all right, tomorrow: no reason to refuse a
    /// whole configuration.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Missing | Self::NotPermitted)
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Missing => "put the file there, or mend the path",
            Self::NotPermitted => "let the server's user read it (mode 0400 or 0600, its own)",
            Self::Directory | Self::NotRegular => "name a regular file",
            Self::NotADirectory => "name a directory",
            Self::Link => {
                "put the file itself there, or start with --allow-links-beneath if the link \
                 stays within the directory (Kubernetes mounts)"
            }
            Self::Outside => "keep the file within the directory",
            Self::TooLarge { .. } => "use a smaller file",
            Self::Changed => "try again",
            Self::Unsupported => {
                "use Linux 5.6 or newer, and a container profile that permits openat2"
            }
            Self::Io(_) => "see the cause",
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::NotPermitted => f.write_str("its permissions don't let the server read it"),
            Self::Directory => f.write_str("it is a directory"),
            Self::NotADirectory => f.write_str("it isn't a directory"),
            Self::Link => f.write_str("it is a link, or there is one on the way"),
            Self::NotRegular => f.write_str("it isn't a regular file"),
            Self::Outside => f.write_str("it leads out of its directory"),
            Self::TooLarge { size, max } => {
                write!(f, "it has {size} bytes, of which at most {max} are read")
            }
            Self::Changed => f.write_str("it grew while it was read"),
            Self::Unsupported => f.write_str("this system doesn't offer openat2"),
            Self::Io(errno) => write!(f, "{}", errno.desc()),
        }
    }
}

impl std::error::Error for FileError {}

pub(crate) fn file_error(errno: Errno) -> FileError {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => FileError::Missing,
        Errno::EACCES => FileError::NotPermitted,
        Errno::ELOOP => FileError::Link,
        Errno::EXDEV => FileError::Outside,
        // Opening a socket, or a device without a driver.
        Errno::ENXIO | Errno::ENODEV => FileError::NotRegular,
        // Container profiles older than openat2 answer EPERM for it.
        Errno::ENOSYS | Errno::EPERM => FileError::Unsupported,
        other => FileError::Io(other),
    }
}

pub(crate) fn io_error(error: &std::io::Error) -> FileError {
    file_error(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}
