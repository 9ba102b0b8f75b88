//! The phases of a run, from a name to an exit status, and how long each may take.
//!
//! Owns their names, which stand in errors and results, and their limits. Measures no time
//! ([`crate::ssh::deadline`] does). Used by every file of this folder and by the task layer.

use std::fmt;
use std::time::Duration;

/// What a run is doing when a deadline passes or a link breaks. A message about either
/// names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Resolve,
    Connect,
    Handshake,
    Authenticate,
    Run,
    Close,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::Authenticate => "authenticate",
            Self::Run => "run",
            Self::Close => "close",
        }
    }

    /// The longest this phase may take, whatever the run's own deadline is: a host that
    /// says nothing must not use up the whole of a long one. `None` is 'as long as the
    /// run'.
    pub fn limit(self) -> Option<Duration> {
        match self {
            // Outlasts the C library's own patience with two name servers that say nothing
            // (resolv.conf(5): 5 s each).
            Self::Resolve | Self::Connect | Self::Handshake => Some(Duration::from_secs(15)),
            // Not less than PAM's usual delay after a wrong password, several times.
            Self::Authenticate => Some(Duration::from_secs(30)),
            Self::Run => None,
            Self::Close => Some(Duration::from_secs(5)),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
