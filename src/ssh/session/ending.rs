//! Ends a command on its host when the run is over before it is (RFC 4254 §6.9).
//!
//! Owns the signals, their repetition where the first may have been lost, and how long each is
//! waited for. Says whether the command is known to be gone. Called by `exec`.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use crate::ssh::deadline::{Control, Deadline};
use crate::ssh::error::SshError;
use crate::ssh::phase::Phase;
use crate::ssh::run_report::{Exit, RunReport, Terminated};
use crate::ssh::session::exec::{Running, Seen};
use crate::ssh::transport::wait::Filled;

/// How long a remote process may take to be gone after `KILL`.
const KILL_WAIT: Duration = Duration::from_millis(900);
/// How long after its request a silent command may not have begun: sshd says yes to a
/// request before its child is a process group (a signal finds nobody) and before that
/// child has become the user's shell (sshd's own handler takes the signal).
const YOUNG: Duration = Duration::from_secs(1);
/// When a signal that may have been lost is sent again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(15);

impl Running<'_> {
    /// Sees to it that nothing goes on running over there. Keeps reading meanwhile: what a
    /// process says while it ends belongs to its output, and a full window would stop it
    /// from ending.
    pub(super) fn end(&mut self, control: &Control, report: &mut RunReport) {
        let maybe_unborn = self.asked.is_some_and(|at| at.elapsed() < YOUNG);
        let ended = self
            .ask_to_end(c"TERM", maybe_unborn, control, || control.cancel.grace())
            .and_then(|gone| {
                if gone {
                    Ok(true)
                } else {
                    self.ask_to_end(c"KILL", true, control, || KILL_WAIT)
                }
            });
        report.terminated = Some(match ended {
            Ok(true) if self.channel.signals_groups() => Terminated::Confirmed,
            _ => Terminated::Unconfirmed,
        });
        if let Ok(true) = ended {
            let signal = self.channel.look(|session| session.exit_signal());
            report.exit = signal.flatten().map(Exit::named);
        }
    }

    /// Signals, and waits for the channel to be closed: the host closes it when the command
    /// is gone and nothing holds its output any more. Where the signal may have been lost
    /// it is repeated, but a command that has begun gets one `TERM`: to some programs the
    /// second means 'drop everything'.
    fn ask_to_end(
        &mut self,
        signal: &CStr,
        may_be_lost: bool,
        control: &Control,
        patience: impl Fn() -> Duration,
    ) -> Result<bool, SshError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut due = Duration::ZERO;
        loop {
            let left = patience().saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            if began.elapsed() >= due {
                let watch = control.aftermath(Deadline::after(left));
                match self.channel.drive(&watch, |session| session.signal(signal)) {
                    Ok(()) => {}
                    Err(SshError::Timeout { .. }) => return Ok(false),
                    Err(error) => return Err(error),
                }
                due = began.elapsed().saturating_add(pause);
                pause = pause.saturating_mul(2);
            }
            let mut seen = self.take_in(Phase::Close)?;
            if let Some(Seen::Enough) = seen {
                // The rest is counted and dropped; the end may be right behind it.
                self.stopped = true;
                seen = self.take_in(Phase::Close)?;
            }
            if let Some(Seen::Closed) = seen {
                return Ok(true);
            }
            if !may_be_lost || (signal == c"TERM" && self.heard) {
                due = Duration::MAX;
            }
            let wait = left.min(due.saturating_sub(began.elapsed()));
            match self.channel.fill(&control.aftermath(Deadline::after(wait))) {
                Ok(Filled::Bytes | Filled::Woken) | Err(SshError::Timeout { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
