//! Why a file wasn't read, and what to do about it.
//!
//! Owns the translation from the kernel's errors to reasons, and from those to the words
//! of the log contract. Called by `beneath`, and by whoever tells an operator.

use nix::errno::Errno;

/// Why a file wasn't read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("there is no such file")]
    Missing,
    /// Its permissions, or those of a directory on the way.
    #[error("its permissions don't let the server read it")]
    NotPermitted,
    #[error("it is a directory")]
    Directory,
    /// What should be a directory is something else.
    #[error("it isn't a directory")]
    NotADirectory,
    /// A link, at the end of the path or on the way.
    #[error("it is a link, or there is one on the way")]
    Link,
    /// A device, a socket or a pipe.
    #[error("it isn't a regular file")]
    NotRegular,
    /// The path leads out of the directory, by a link.
    #[error("it leads out of its directory")]
    Outside,
    #[error("it has {size} bytes, of which at most {max} are read")]
    TooLarge { size: u64, max: u64 },
    /// It grew while it was read.
    #[error("it grew while it was read")]
    Changed,
    /// The kernel has no `openat2` (before Linux 5.6), or a container's profile hides it.
    #[error("this system doesn't offer openat2")]
    Unsupported,
    #[error("{}", .0.desc())]
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

    /// Whether the process is out of descriptors or memory, which says nothing of the file.
    pub fn is_shortage(self) -> bool {
        matches!(
            self,
            Self::Io(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)
        )
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
