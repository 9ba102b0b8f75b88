//! A process of its own for something that may end it: forked, run, waited for.
//!
//! For tests that confine themselves or make calls that kill; there is no way back from
//! either in the process that did it.
#![allow(
    dead_code,
    unsafe_code,
    clippy::unwrap_used,
    reason = "each test binary uses its own part; a fork and an immediate end have no safe form"
)]

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(i32),
    Killed(Signal),
}

/// Runs `action` in a child; what it returns is the exit code (0 to 255).
pub(crate) fn run(action: impl FnOnce() -> i32) -> Ended {
    // SAFETY: the child has one thread and uses nothing that another thread of the test
    // harness could have locked: allocation, which glibc keeps usable after a fork, and
    // system calls.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => wait(child),
        ForkResult::Child => {
            let code = action();
            // SAFETY: ends the child at once, without the harness's own end.
            unsafe { libc::_exit(code) }
        }
    }
}

fn wait(child: Pid) -> Ended {
    match waitpid(child, None).unwrap() {
        WaitStatus::Exited(_, code) => Ended::Exited(code),
        WaitStatus::Signaled(_, signal, _) => Ended::Killed(signal),
        other => unreachable!("{other:?}"),
    }
}

/// A child that does nothing until it is dropped.
pub(crate) struct Idle(pub(crate) Pid);

impl Idle {
    /// `prepare` is run in the child first.
    pub(crate) fn start(prepare: impl FnOnce()) -> Self {
        // SAFETY: as in `run`.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => Self(child),
            ForkResult::Child => {
                prepare();
                loop {
                    nix::unistd::pause();
                }
            }
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        kill(self.0, Signal::SIGKILL).unwrap();
        wait(self.0);
    }
}
