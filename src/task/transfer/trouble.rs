//! What went wrong on this side of a transfer.
//!
//! Owns the words for it: a code for programs, a reason and what to do for the assistant, and
//! the cause for the operator. Used by the files beside this one and by the answers.

use std::fmt;

/// Why a local file could not be read or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server was given none.
    NoDirectory,
    /// There is no file of that name.
    Missing,
    /// A link, a directory, a device.
    Kind,
    /// It has other names.
    Names,
    Unreadable,
    /// Bytes of the file, and how many it may have.
    Large(u64, u64),
    /// It is not what was judged.
    Changed,
    /// There is a file of that name, and it was not to be replaced.
    Exists,
    /// The local disk is full.
    Full,
    /// What arrived is not what the host's file holds now.
    Torn,
    /// It is not what was to be.
    Unexpected(String),
    /// The host's script said something else than it does.
    Garbled,
    /// The call was cancelled before anything was sent.
    Cancelled,
    /// The system says no, in its words.
    System(String),
}

impl Trouble {
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoDirectory => "local:none",
            Self::Missing => "local:missing",
            Self::Kind => "local:kind",
            Self::Names => "local:names",
            Self::Unreadable => "local:unreadable",
            Self::Large(..) => "local:large",
            Self::Changed => "local:changed",
            Self::Exists => "local:exists",
            Self::Full => "local:full",
            Self::Torn => "local:torn",
            Self::Unexpected(_) => "local:unexpected",
            Self::Garbled => "local:garbled",
            Self::Cancelled => "local:cancelled",
            Self::System(_) => "local:system",
        }
    }

    /// What is the matter, and what to do.
    pub fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoDirectory => (
                "This server has no directory for transfers.",
                "The operator starts it with --transfer-dir DIR (MCP_SSH_TRANSFER_DIR)",
            ),
            Self::Missing => (
                "There is no file of that name in the server's directory for transfers.",
                "Look at the name; the operator puts files there, or ssh_fetch_file does",
            ),
            Self::Kind => (
                "The local name is that of a link, a directory or another thing that is no regular file.",
                "Choose another name",
            ),
            Self::Names => (
                "The local file has other names (hard links), so that it may be another's; nothing was sent.",
                "Tell the operator: a copy of it can be sent",
            ),
            Self::Unreadable => (
                "The server's user may not read the local file.",
                "Tell the operator",
            ),
            Self::Large(..) => (
                "The file is larger than max_transfer_bytes of this host; detail is its size and the limit.",
                "Tell the operator, or transfer a part or an archive of it",
            ),
            Self::Changed => (
                "The local file changed since it was looked at; the host's file is as it was.",
                "Send it again when nobody writes it",
            ),
            Self::Exists => (
                "There is a local file of that name already, and it was not touched.",
                "Choose another name, or give overwrite: true",
            ),
            Self::Full => (
                "The local disk is full, or the server's share of it; nothing was kept.",
                "Tell the operator",
            ),
            Self::Torn => (
                "The host's file changed while it was read; nothing was kept.",
                "Fetch it again when nobody writes it, or a copy of it",
            ),
            Self::Unexpected(_) => (
                "The host's file is not the one of expected_sha256, and nothing was kept; detail is its hash.",
                "Read it again, and decide anew",
            ),
            Self::Garbled => (
                "What the host sent is not the file; nothing was kept.",
                "Tell the operator: something on the host writes to standard output at each login",
            ),
            Self::Cancelled => (
                "It was cancelled before anything was sent.",
                "Nothing to do",
            ),
            Self::System(_) => (
                "The server's directory for transfers cannot be used; nothing was kept.",
                "Tell the operator: the cause is in the log",
            ),
        }
    }

    /// What the assistant may read beside the words.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Large(size, most) => Some(format!("{size} bytes of at most {most}")),
            Self::Unexpected(hash) => Some(hash.clone()),
            _ => None,
        }
    }
}

/// For the operator.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().0)?;
        match (self, self.detail()) {
            (Self::System(cause), _) => write!(f, " ({cause})"),
            (_, Some(detail)) => write!(f, " ({detail})"),
            _ => Ok(()),
        }
    }
}
