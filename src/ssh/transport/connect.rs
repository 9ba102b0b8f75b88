//! A judged address → a connected socket.
//!
//! Connects to a [`PinnedAddress`] and to nothing else, without blocking: the connection
//! can be cancelled and has its deadline. Called by [`crate::ssh::login`] for the first hop.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, sockopt};

use crate::policy::network::PinnedAddress;
use crate::ssh::deadline::Watch;
use crate::ssh::error::SshError;
use crate::ssh::transport::link::wait_for;

/// How long sent data may stay unacknowledged before the connection counts as lost: with
/// the session's keepalives, a dead peer is noticed within three quarters of a minute.
const USER_TIMEOUT_MS: u32 = 30_000;

/// # Errors
/// The connection is refused, unreachable or reset ([`SshError::Connect`]); the phase's
/// time is up; the run is cancelled; out of descriptors.
pub(crate) fn connect(pinned: PinnedAddress, watch: &Watch<'_>) -> Result<TcpStream, SshError> {
    let address = pinned.socket_addr();
    let socket = open(address)?;
    match start(&socket, address) {
        Ok(()) => {}
        Err(Errno::EINPROGRESS | Errno::EINTR) => finish(&socket, address, watch)?,
        Err(errno) => return Err(failed(address, errno as i32)),
    }
    let stream = TcpStream::from(socket);
    tune(&stream).map_err(|errno| SshError::Local {
        what: "socket options",
        cause: errno.to_string(),
    })?;
    Ok(stream)
}

fn open(address: SocketAddr) -> Result<OwnedFd, SshError> {
    let family = if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    socket::socket(family, SockType::Stream, flags, None).map_err(|errno| SshError::Local {
        what: "socket",
        cause: errno.to_string(),
    })
}

fn start(socket: &OwnedFd, address: SocketAddr) -> Result<(), Errno> {
    match address {
        SocketAddr::V4(v4) => socket::connect(socket.as_raw_fd(), &SockaddrIn::from(v4)),
        SocketAddr::V6(v6) => socket::connect(socket.as_raw_fd(), &SockaddrIn6::from(v6)),
    }
}

fn finish(socket: &OwnedFd, address: SocketAddr, watch: &Watch<'_>) -> Result<(), SshError> {
    loop {
        wait_for(
            socket.as_fd(),
            PollFlags::POLLOUT,
            watch,
            Duration::from_secs(60),
        )?;
        match socket::getsockopt(socket, sockopt::SocketError) {
            Ok(0) => {
                // No error yet, or connected: only a connected socket has a peer.
                match socket::getpeername::<socket::SockaddrStorage>(socket.as_raw_fd()) {
                    Ok(_) => return Ok(()),
                    Err(Errno::ENOTCONN) => {}
                    Err(errno) => return Err(failed(address, errno as i32)),
                }
            }
            Ok(errno) => return Err(failed(address, errno)),
            Err(errno) => return Err(failed(address, errno as i32)),
        }
    }
}

fn failed(address: SocketAddr, errno: i32) -> SshError {
    SshError::Connect { address, errno }
}

/// A command is a conversation of small packets: none of them may wait for another.
fn tune(stream: &TcpStream) -> Result<(), Errno> {
    socket::setsockopt(stream, sockopt::TcpNoDelay, &true)?;
    socket::setsockopt(stream, sockopt::TcpUserTimeout, &USER_TIMEOUT_MS)?;
    socket::setsockopt(stream, sockopt::KeepAlive, &true)
}
