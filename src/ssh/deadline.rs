//! Time and cancellation of one run: every wait in this layer asks here how long it may
//! last and is woken from here.
//!
//! Owns the deadline and the wake-up descriptor that makes a cancel take effect in
//! milliseconds whatever the run waits for; [`crate::ssh::phase`] has the phases that name
//! a deadline. Does no network I/O. Made by the task layer, which keeps a [`Cancel`]; read
//! by every file of this folder.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::ssh::error::SshError;
use crate::ssh::phase::Phase;

/// How long a remote process may take to end after `TERM` before it is sent `KILL`.
pub(crate) const TERM_GRACE: Duration = Duration::from_secs(2);

/// When something has to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    At(Instant),
    Never,
}

impl Deadline {
    /// `after` from now; [`Deadline::Never`] if that lies beyond what the clock can tell.
    pub fn after(after: Duration) -> Self {
        Instant::now()
            .checked_add(after)
            .map_or(Self::Never, Self::At)
    }

    pub fn has_passed(self) -> bool {
        matches!(self, Self::At(at) if at <= Instant::now())
    }

    /// `None`: no limit. A deadline in the past leaves zero.
    pub fn left(self) -> Option<Duration> {
        match self {
            Self::At(at) => Some(at.saturating_duration_since(Instant::now())),
            Self::Never => None,
        }
    }

    pub fn earlier(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::Never, at) | (at, Self::Never) => at,
        }
    }
}

/// Ends a run from another thread. Cheap to clone; all clones are one switch.
#[derive(Clone)]
pub struct Cancel(Arc<Switch>);

struct Switch {
    cancelled: AtomicBool,
    grace_ms: AtomicU64,
    wake: EventFd,
}

impl Cancel {
    /// # Errors
    /// The process is out of descriptors (eventfd(2)).
    pub fn new() -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(io::Error::from)?;
        Ok(Self(Arc::new(Switch {
            cancelled: AtomicBool::new(false),
            grace_ms: AtomicU64::new(millis(TERM_GRACE)),
            wake,
        })))
    }

    /// Ends the run: the remote gets `TERM`, and `KILL` after [`TERM_GRACE`].
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// As [`Cancel::cancel`], with less time between `TERM` and `KILL`, also for a run
    /// that is being ended already.
    pub fn cancel_within(&self, grace: Duration) {
        self.0.grace_ms.fetch_min(millis(grace), Ordering::SeqCst);
        self.cancel();
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.0.grace_ms.load(Ordering::SeqCst))
    }

    /// Makes the run look around without ending it.
    pub(crate) fn wake(&self) {
        // The counter can only be full if the run has been woken already.
        let _ = self.0.wake.write(1);
    }

    /// Takes back all wakes so far; what they announced has to be looked at after this.
    pub(crate) fn settle(&self) {
        let _ = self.0.wake.read();
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What one run obeys: its own deadline, which starts before the name is resolved, and
/// its switch.
pub struct Control {
    pub deadline: Deadline,
    pub cancel: Cancel,
}

impl Control {
    pub fn new(deadline: Deadline, cancel: Cancel) -> Self {
        Self { deadline, cancel }
    }

    /// The phase's own limit, starting now, or the run's deadline if that is earlier.
    pub(crate) fn begin(&self, phase: Phase) -> Watch<'_> {
        let own = phase.limit().map_or(Deadline::Never, Deadline::after);
        Watch {
            phase,
            deadline: own.earlier(self.deadline),
            run: self.deadline,
            cancel: &self.cancel,
            heed_cancel: true,
        }
    }

    /// A phase with another limit than its own.
    pub(crate) fn within(&self, phase: Phase, deadline: Deadline) -> Watch<'_> {
        Watch {
            deadline: deadline.earlier(self.deadline),
            ..self.begin(phase)
        }
    }

    /// For what has to be done after the run was ended: heeds neither the switch nor the
    /// run's deadline.
    pub(crate) fn aftermath(&self, deadline: Deadline) -> Watch<'_> {
        Watch {
            phase: Phase::Close,
            deadline,
            run: Deadline::Never,
            cancel: &self.cancel,
            heed_cancel: false,
        }
    }
}

/// A phase in progress.
pub(crate) struct Watch<'a> {
    pub(crate) phase: Phase,
    deadline: Deadline,
    run: Deadline,
    cancel: &'a Cancel,
    heed_cancel: bool,
}

impl Watch<'_> {
    /// # Errors
    /// The run was cancelled, or the phase's or the run's time is up.
    pub(crate) fn check(&self) -> Result<(), SshError> {
        if self.heed_cancel && self.cancel.is_cancelled() {
            return Err(SshError::Cancelled(self.phase));
        }
        if self.deadline.has_passed() {
            return Err(SshError::Timeout {
                phase: self.phase,
                whole_run: self.run.has_passed(),
            });
        }
        Ok(())
    }

    pub(crate) fn left(&self) -> Option<Duration> {
        self.deadline.left()
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        self.cancel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_never_outlasts_the_run() {
        let cancel = Cancel::new().unwrap();
        let control = Control::new(Deadline::after(Duration::ZERO), cancel);
        let watch = control.begin(Phase::Handshake);
        assert!(matches!(
            watch.check(),
            Err(SshError::Timeout {
                phase: Phase::Handshake,
                whole_run: true
            })
        ));
    }

    #[test]
    fn the_shortest_grace_wins() {
        let cancel = Cancel::new().unwrap();
        cancel.cancel_within(Duration::from_millis(300));
        cancel.cancel_within(Duration::from_secs(9));
        assert_eq!(cancel.grace(), Duration::from_millis(300));
        assert!(cancel.is_cancelled());
    }
}
