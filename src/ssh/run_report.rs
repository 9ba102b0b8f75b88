//! What goes into a run and what comes out of it, as data.
//!
//! Owns the types at the boundary to the task layer: where output goes, how a run ended.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::names::HostAlias;
use crate::model::security_event::SecurityEvent;
use crate::ssh::error::SshError;
use crate::ssh::phase::Phase;

/// How far a run has come, in the words of the progress record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Connecting,
    Connected,
    Running,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Running => "running",
        }
    }
}

/// Whether the sink wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// Enough: the remote process is ended. The bytes given with this answer are the
    /// sink's; what is read after it is counted and dropped.
    Stop,
}

/// Takes what a run yields while it yields it. Called on the run's own thread; what takes
/// long here stalls the run (and, by SSH's window, the remote process).
pub trait Sink {
    fn stage(&mut self, stage: Stage);
    fn stdout(&mut self, bytes: &[u8]) -> Flow;
    fn stderr(&mut self, bytes: &[u8]) -> Flow;
}

/// Holds what a command is given to read where that is not in memory. Read on the run's own
/// thread, a piece at a time.
pub trait Source {
    /// Puts the bytes from `at` on into `buffer`, and says how many; none at the end.
    ///
    /// # Errors
    /// They cannot be read. The command is told that nothing follows.
    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Says in the last moment whether a request may still be sent.
pub trait Clearance {
    /// Calls `send`, once, if what allowed the command is still in force, which it then
    /// stays until `send` has returned. False: it is not, and nothing was sent.
    fn send(&self, send: &mut dyn FnMut()) -> bool;
}

/// How a command ended, as the host tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Any 32 bits (RFC 4254 §6.10); Unix hosts send 0 to 255.
    Status(u32),
    /// By its name without `SIG`, `?` where the host's word is no name: see [`Exit::named`].
    Signal(String),
}

impl Exit {
    /// An exit signal by the name that a host gave. The name goes into results, so it has
    /// to be one: at most [`SIGNAL_NAME_MAX`] printable ASCII characters without blanks,
    /// quotes or brackets, which all of RFC 4254 §6.10 and local ones (`x@host`) are.
    pub(crate) fn named(name: String) -> Self {
        let fits = (1..=SIGNAL_NAME_MAX).contains(&name.len());
        let accept = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_+".contains(&byte);
        Self::Signal(if fits && name.bytes().all(accept) {
            name
        } else {
            "?".to_owned()
        })
    }
}

/// Longest name of a signal that is handed on, in bytes: that of names in SSH (RFC 4251 §6).
pub(crate) const SIGNAL_NAME_MAX: usize = 64;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The command ended by itself; see [`RunReport::exit`].
    Exited,
    /// See [`RunReport::error`].
    Failed,
    /// The run's deadline passed, in this phase.
    TimedOut(Phase),
    Cancelled(Phase),
    /// The sink wanted no more.
    Stopped,
    /// Nothing was sent: the configuration that allowed the command is not in force any more.
    Superseded,
}

impl Ended {
    pub(crate) fn of(error: &SshError) -> Self {
        match error {
            SshError::Timeout {
                phase,
                whole_run: true,
            } => Self::TimedOut(*phase),
            SshError::Cancelled(phase) => Self::Cancelled(*phase),
            SshError::Superseded => Self::Superseded,
            SshError::Hop { error, .. } => Self::of(error),
            _ => Self::Failed,
        }
    }
}

/// Whether a command that was ended is known to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminated {
    /// The host closed the channel: the process ended and nothing holds its output.
    Confirmed,
    /// The host did not say so in time; something may still be running there.
    Unconfirmed,
}

impl Terminated {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// The algorithms of one hop, by the names of RFC 4250 §4.6.1; `-` where there is none.
/// `out` is towards the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    pub alias: HostAlias,
    /// The host's entry lets older algorithms in.
    pub legacy_algorithms: bool,
    pub kex: String,
    pub host_key: String,
    pub cipher_out: String,
    pub cipher_in: String,
    pub mac_out: String,
    pub mac_in: String,
    /// The version line that the host sent.
    pub server: String,
}

impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: kex={} host_key={} cipher={}/{} mac={}/{} server={}",
            self.alias,
            self.kex,
            self.host_key,
            self.cipher_out,
            self.cipher_in,
            self.mac_out,
            self.mac_in,
            self.server.escape_debug(),
        )
    }
}

/// What became of a run.
#[derive(Debug)]
pub struct RunReport {
    pub ended: Ended,
    pub exit: Option<Exit>,
    /// The address that was connected to; for a host behind others, its own as they see it.
    pub target_ip: Option<IpAddr>,
    /// Set if the command was running and had to be ended.
    pub terminated: Option<Terminated>,
    /// The command may have run to its end, in part or not at all.
    pub outcome_unknown: bool,
    /// The command has ended, and something that it left behind still holds its output.
    pub left_running: bool,
    /// Bytes that were read after the sink had had enough.
    pub bytes_not_given: u64,
    pub error: Option<SshError>,
    pub events: Vec<SecurityEvent>,
    /// What each hop agreed on, the host itself last, for the log at debug level; of a
    /// login that failed, the hops up to that one.
    pub negotiated: Option<Arc<[Negotiated]>>,
    /// The session came from the pool.
    pub reused: bool,
    /// The session is not to be used again, although the command has ended.
    pub(crate) spent: bool,
    /// The request may have been sent.
    pub(crate) sent: bool,
}

impl RunReport {
    pub(crate) fn new() -> Self {
        Self {
            ended: Ended::Exited,
            exit: None,
            target_ip: None,
            terminated: None,
            outcome_unknown: false,
            left_running: false,
            bytes_not_given: 0,
            error: None,
            events: Vec::new(),
            negotiated: None,
            reused: false,
            spent: false,
            sent: false,
        }
    }

    pub(crate) fn fail(mut self, error: SshError) -> Self {
        self.ended = Ended::of(&error);
        self.error = Some(error);
        self
    }
}
