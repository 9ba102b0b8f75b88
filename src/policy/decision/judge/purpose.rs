//! What a permit is wanted for: to run a command while somebody waits, to start it as a job
//! that goes on by itself, or to look after jobs.
//!
//! Owns the plain data of that. Who may is decided in `detached`, what is sent for it is made
//! in `job_text`. Called through [`crate::policy::Policy`].

use crate::model::job::JobId;

/// What a permit is wanted for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Purpose {
    /// To run the command.
    #[default]
    Run,
    /// To start it as a job of this name.
    Start(JobId),
    /// To look after jobs. The command's text only names this on the record.
    Care(Care),
}

/// What can be done about jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Care {
    /// How it stands, after at most so many seconds of waiting for its end; with all that it
    /// printed, where that is wanted.
    Look { job: JobId, wait: u32, whole: bool },
    /// To end it: TERM, then KILL.
    End(JobId),
    /// Which there are.
    List,
}

/// A job that is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) job: JobId,
    /// Bytes of its output that the host keeps.
    pub(super) keep_bytes: u64,
    /// At that many bytes it runs on, and the rest is thrown away.
    pub(super) discard: bool,
}
