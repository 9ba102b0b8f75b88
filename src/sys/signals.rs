//! Signals as data: blocked everywhere, read by one thread.
//!
//! SIGTERM and SIGINT raise `stop`, which ends [`crate::sys::stdio::Input`] as if the client
//! had closed; if the process is still there after the grace it is ended. SIGHUP and SIGUSR1
//! call back: an operator has changed something, or asks how the server does. Also the other
//! side of these two: sending them to a server. Called by `startup`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EfdFlags;
pub(crate) use nix::sys::eventfd::EventFd;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::sys::single_threaded::SingleThreaded;

/// When a process that was told to stop is ended as it is. An orderly end takes at most
/// two seconds; this is for what no deadline reaches, such as a write to a frozen disk.
pub(crate) const GRACE: Duration = Duration::from_secs(4);

/// The process's signals, taken from their default actions.
pub(crate) struct Signals {
    descriptor: SignalFd,
    stop: Arc<EventFd>,
}

/// Blocks the signals that are handled here. To be called while there is one thread:
/// the mask is inherited by those made later.
///
/// # Errors
/// Out of descriptors.
pub(crate) fn take(_: &SingleThreaded) -> io::Result<Signals> {
    let mut set = SigSet::empty();
    let taken = [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
    ];
    for signal in taken {
        set.add(signal);
    }
    set.thread_block()?;
    // A file that may not grow any more (RLIMIT_FSIZE) is an error of the write, which the
    // audit file handles and reports; the signal would end the process without a record.
    // SAFETY: no handler is installed.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
    Ok(Signals {
        descriptor: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?,
        stop: Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?),
    })
}

/// Whether `stop` was raised.
pub(crate) fn raised(stop: &EventFd) -> bool {
    let mut ready = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}

/// What a server is told by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// SIGHUP: read everything again.
    HangUp,
    /// SIGUSR1: say how you do.
    Report,
}

/// A process, held by more than its number, which may pass to another one.
pub(crate) struct Handle(OwnedFd);

impl Handle {
    /// # Errors
    /// There is no such process.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
        // SAFETY: takes two numbers and answers a descriptor.
        let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let descriptor = i32::try_from(Errno::result(answer)?).map_err(io::Error::other)?;
        // SAFETY: the kernel has just made it for this call.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// # Errors
    /// The process is gone, or belongs to another user.
    pub(crate) fn tell(&self, what: Told) -> io::Result<()> {
        let signal = match what {
            Told::HangUp => libc::SIGHUP,
            Told::Report => libc::SIGUSR1,
        };
        let nothing = std::ptr::null::<libc::c_void>();
        // SAFETY: without a siginfo the call reads its four numbers alone.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                nothing,
                0,
            )
        };
        Ok(Errno::result(answer).map(drop)?)
    }
}

impl Signals {
    /// Readable from the first SIGTERM or SIGINT on.
    pub(crate) fn stop(&self) -> Arc<EventFd> {
        Arc::clone(&self.stop)
    }

    /// Starts the thread that reads them. `told` is called at each SIGHUP and SIGUSR1.
    ///
    /// # Errors
    /// No thread can be made.
    pub(crate) fn watch(self, told: impl Fn(Told) + Send + 'static) -> io::Result<()> {
        let watcher = std::thread::Builder::new()
            .name("signals".to_owned())
            .stack_size(64 * 1024);
        watcher.spawn(move || self.read(&told)).map(drop)
    }

    fn read(&self, told: &dyn Fn(Told)) {
        loop {
            match self.descriptor.read_signal() {
                Ok(Some(info)) => match info.ssi_signo.cast_signed() {
                    libc::SIGHUP => told(Told::HangUp),
                    libc::SIGUSR1 => told(Told::Report),
                    _ => break,
                },
                Ok(None) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
        // Cannot fail: the counter is written once and starts at zero.
        let _ = self.stop.write(1);
        std::thread::sleep(GRACE);
        // SAFETY: ends the process at once, without handlers that could wait for the
        // thread that did not come to its end.
        unsafe { libc::_exit(1) }
    }
}
