//! Where this layer waits: for bytes of a host, for room, for somebody's word, and always for the
//! end of the run's time and for its switch.
//!
//! Reads and sends nothing. Called by every file that has to wait.

use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::TcpStreamExt;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::ssh::deadline::Watch;
use crate::ssh::error::SshError;
use crate::ssh::transport::conduit::Conduit;

/// The longest sleep of who has to say now and then that this side is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What is waited at for what the host says, also while somebody else uses the session.
pub(crate) enum Source {
    Socket(Arc<TcpStream>),
    Conduit(Arc<Conduit>),
}

/// What ended a wait.
pub(crate) enum Filled {
    Bytes,
    /// Somebody threw or shook the switch.
    Woken,
}

impl Source {
    /// Waits until something has come, or there is room for what was `held_back`.
    ///
    /// # Errors
    /// The watch's time is up, or its switch was thrown.
    pub(crate) fn wait(&self, held_back: bool, watch: &Watch<'_>) -> Result<Filled, SshError> {
        match self {
            Self::Socket(stream) => wait_at_socket(stream, held_back, watch),
            // It is woken for room, too.
            Self::Conduit(conduit) => wait_for_bytes(conduit.as_fd(), watch),
        }
    }
}

/// The same at a socket.
///
/// # Errors
/// The watch's time is up, or its switch was thrown.
pub(crate) fn wait_at_socket(
    stream: &TcpStream,
    held_back: bool,
    watch: &Watch<'_>,
) -> Result<Filled, SshError> {
    // sshd does not set TCP_NODELAY before a command runs, so its next packet
    // waits for this side's ACK, which Linux puts off by 40 ms (tcp(7)); the
    // option holds for one ACK. Without it things are slower, and as correct.
    let _ = stream.set_quickack(true);
    let mut interest = PollFlags::POLLIN;
    if held_back {
        interest |= PollFlags::POLLOUT;
    }
    wait_for(stream.as_fd(), interest, watch, KEEP_ALIVE)
}

/// Waits until there is something to be read.
///
/// # Errors
/// As [`wait_for`].
pub(crate) fn wait_for_bytes(
    descriptor: BorrowedFd<'_>,
    watch: &Watch<'_>,
) -> Result<Filled, SshError> {
    wait_for(descriptor, PollFlags::POLLIN, watch, KEEP_ALIVE)
}

/// Waits until `descriptor` is ready for `interest`, or `most` has passed.
///
/// # Errors
/// The watch's time is up, or its switch was thrown.
pub(crate) fn wait_for(
    descriptor: BorrowedFd<'_>,
    interest: PollFlags,
    watch: &Watch<'_>,
    most: Duration,
) -> Result<Filled, SshError> {
    wait_for_any(&[descriptor], interest, watch, most)
}

/// The same until any of them is.
///
/// # Errors
/// As [`wait_for`].
pub(crate) fn wait_for_any(
    descriptors: &[BorrowedFd<'_>],
    interest: PollFlags,
    watch: &Watch<'_>,
    most: Duration,
) -> Result<Filled, SshError> {
    watch.check()?;
    let left = watch.left().map_or(most, |left| left.min(most));
    // Rounded up, so that a deadline is past when the wait for it ends.
    let millis = u16::try_from(left.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
    let mut set = vec![PollFd::new(watch.cancel().as_fd(), PollFlags::POLLIN)];
    set.extend(descriptors.iter().map(|each| PollFd::new(*each, interest)));
    match poll(&mut set, PollTimeout::from(millis)) {
        Ok(_) | Err(Errno::EINTR) => {}
        // The kernel is short of memory for the moment. A moment later is as good.
        Err(Errno::ENOMEM | Errno::EAGAIN) => std::thread::sleep(Duration::from_millis(10)),
        Err(errno) => {
            return Err(SshError::Local {
                what: "poll",
                cause: errno.to_string(),
            });
        }
    }
    let woken = set.first().and_then(PollFd::any).unwrap_or(false);
    if woken {
        watch.cancel().settle();
        watch.check()?;
        return Ok(Filled::Woken);
    }
    watch.check()?;
    Ok(Filled::Bytes)
}

/// Waits until the switch is shaken.
///
/// # Errors
/// The watch's time is up, or its switch was thrown.
pub(crate) fn wait_for_wake(watch: &Watch<'_>) -> Result<(), SshError> {
    loop {
        // A descriptor that is asked for nothing is only waited beside.
        let switch = watch.cancel().as_fd();
        if let Filled::Woken = wait_for(switch, PollFlags::empty(), watch, Duration::from_secs(60))?
        {
            return Ok(());
        }
    }
}
