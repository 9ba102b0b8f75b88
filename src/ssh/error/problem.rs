//! What was wrong with one part of a run: a name, a host's key, a private key, sudo.
//!
//! Owns the words of each for the operator's log; what the assistant is told of them is in the
//! error that has them. Made by the files that do that part.

use std::fmt;

/// Why a name gave no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveFailure {
    /// The resolver answered that there is none, or failed.
    Lookup(String),
    /// More look-ups a second than [`crate::ssh::transport::resolve::LOOKUPS_PER_SECOND`].
    RateLimit,
    /// Every resolver thread is busy with a look-up that does not end.
    Busy,
    /// `resolve: static`, and the host has a name instead of an address.
    Static,
}

/// The three refusals of a host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyProblem {
    /// No entry for this host and key type.
    Unknown { host: String, presented: String },
    /// Another key of this type is on record.
    Mismatch {
        host: String,
        presented: String,
        recorded: String,
        line: usize,
    },
    /// The authority is on record, and what it signed does not hold for this host now.
    Certificate {
        host: String,
        presented: String,
        why: &'static str,
    },
    /// The key, or the authority that signed it, is marked `@revoked`.
    Revoked {
        host: String,
        presented: String,
        line: usize,
    },
}

/// Why a command behind `sudo` was not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SudoProblem {
    #[error("sudo did not take the password")]
    Wrong,
    #[error("sudo did not take this password before, and is not given it again before a reload")]
    WrongBefore,
    #[error("sudo is missing, or does not let this user do anything")]
    Refused,
    #[error("sudo neither began nor asked for the password in time")]
    Silent,
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyProblem {
    Missing {
        cause: String,
    },
    Unreadable {
        cause: String,
    },
    /// It is encrypted, and there is no passphrase or not the right one.
    Passphrase {
        given: bool,
    },
    Format {
        cause: String,
    },
    Certificate {
        cause: String,
    },
    Agent {
        cause: String,
    },
    /// The agent's key that the login names cannot be used.
    Identity {
        cause: String,
    },
}

impl fmt::Display for ResolveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(cause) => f.write_str(cause),
            Self::RateLimit => f.write_str("too many look-ups a second for this name"),
            Self::Busy => f.write_str("all resolver threads are busy"),
            Self::Static => f.write_str("resolve: static takes an address, not a name"),
        }
    }
}

impl fmt::Display for HostKeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { host, presented } => {
                write!(
                    f,
                    "no known_hosts entry for {host} with this key: presented {presented}"
                )
            }
            Self::Mismatch {
                host,
                presented,
                recorded,
                line,
            } => write!(
                f,
                "host key of {host} changed: presented {presented}, known_hosts line {line} has {recorded}"
            ),
            Self::Certificate {
                host,
                presented,
                why,
            } => write!(
                f,
                "host certificate of {host} refused: {why}; presented {presented}"
            ),
            Self::Revoked {
                host,
                presented,
                line,
            } => {
                write!(
                    f,
                    "host key of {host} is revoked in known_hosts line {line}: {presented}"
                )
            }
        }
    }
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { cause } => write!(f, "private key missing: {cause}"),
            Self::Unreadable { cause } => write!(f, "private key unreadable: {cause}"),
            Self::Passphrase { given: true } => f.write_str("private key: wrong passphrase"),
            Self::Passphrase { given: false } => f.write_str("private key: passphrase needed"),
            Self::Format { cause } => write!(f, "private key: {cause}"),
            Self::Certificate { cause } => write!(f, "user certificate: {cause}"),
            Self::Agent { cause } => write!(f, "ssh agent: {cause}"),
            Self::Identity { cause } => write!(f, "identity: {cause}"),
        }
    }
}
