//! Judged addresses → a connected socket.
//!
//! Connects to a [`PinnedAddress`] and to nothing else, without blocking: the connection
//! can be cancelled and has its deadline. A host with several addresses is tried as RFC 8305
//! says: the next one is begun when one before it failed, or said nothing for a moment, and
//! the first that answers is the one. Called by [`crate::ssh::login`] for the first hop.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, sockopt};

use crate::policy::network::PinnedAddress;
use crate::ssh::deadline::{Control, Watch};
use crate::ssh::error::SshError;
use crate::ssh::phase::Phase;
use crate::ssh::transport::wait::wait_for_any;

/// How long sent data may stay unacknowledged before the connection counts as lost: with
/// the session's keepalives, a dead peer is noticed within three quarters of a minute.
const USER_TIMEOUT_MS: u32 = 30_000;

/// How long an address may say nothing before the next one is tried beside it (RFC 8305,
/// section 8: Connection Attempt Delay).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A connection that is being made, with the right to make it.
struct Attempt<P> {
    socket: OwnedFd,
    address: PinnedAddress,
    permit: P,
}

/// Connects to the first of the addresses that answers. `acquire` waits for the right to try
/// one; it is kept for the one that is returned.
///
/// # Errors
/// Each is refused, unreachable or resets the connection: the last one's
/// [`SshError::Connect`]. The phase's time is up; the run is cancelled; out of descriptors.
pub(crate) fn connect<P>(
    addresses: &[PinnedAddress],
    control: &Control,
    mut acquire: impl FnMut(PinnedAddress) -> Result<P, SshError>,
) -> Result<(TcpStream, PinnedAddress, P), SshError> {
    let mut next = addresses.iter().copied();
    let mut attempts: Vec<Attempt<P>> = Vec::new();
    let mut watch: Option<Watch<'_>> = None;
    let mut last = SshError::NoAddressAllowed {
        refused: Vec::new(),
    };
    loop {
        let begun = next.next();
        if let Some(address) = begun {
            let permit = acquire(address)?;
            // Waiting for the first turn is no part of the phase.
            let watch = watch.get_or_insert_with(|| control.begin(Phase::Connect));
            watch.check()?;
            let socket = open(address.socket_addr())?;
            match start(&socket, address.socket_addr()) {
                Ok(()) => return Ok((tuned(socket)?, address, permit)),
                Err(Errno::EINPROGRESS | Errno::EINTR) => attempts.push(Attempt {
                    socket,
                    address,
                    permit,
                }),
                Err(errno) => {
                    last = failed(address.socket_addr(), errno as i32);
                    continue;
                }
            }
        }
        let Some(watch) = watch.as_ref().filter(|_| !attempts.is_empty()) else {
            return Err(last);
        };
        let more = next.len() > 0;
        match race(&mut attempts, more, watch)? {
            Raced::Connected(attempt) => {
                return Ok((tuned(attempt.socket)?, attempt.address, attempt.permit));
            }
            Raced::Failed(error) => last = error,
            Raced::Silent => {}
        }
    }
}

/// What became of a moment of waiting.
enum Raced<P> {
    Connected(Attempt<P>),
    /// One of them failed; the others go on.
    Failed(SshError),
    /// None has answered in time for the next one to be begun.
    Silent,
}

fn race<P>(
    attempts: &mut Vec<Attempt<P>>,
    more: bool,
    watch: &Watch<'_>,
) -> Result<Raced<P>, SshError> {
    let until = Instant::now() + ATTEMPT_DELAY;
    loop {
        let most = match more {
            true => until.saturating_duration_since(Instant::now()),
            false => Duration::from_secs(60),
        };
        if more && most.is_zero() {
            return Ok(Raced::Silent);
        }
        let sockets: Vec<_> = attempts.iter().map(|each| each.socket.as_fd()).collect();
        wait_for_any(&sockets, PollFlags::POLLOUT, watch, most)?;
        for index in 0..attempts.len() {
            let Some(attempt) = attempts.get(index) else {
                continue;
            };
            match outcome(&attempt.socket) {
                None => {}
                Some(Ok(())) => return Ok(Raced::Connected(attempts.swap_remove(index))),
                Some(Err(errno)) => {
                    let attempt = attempts.swap_remove(index);
                    return Ok(Raced::Failed(failed(attempt.address.socket_addr(), errno)));
                }
            }
        }
    }
}

fn tuned(socket: OwnedFd) -> Result<TcpStream, SshError> {
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

/// What became of a connection; `None` as long as it is being made.
fn outcome(socket: &OwnedFd) -> Option<Result<(), i32>> {
    match socket::getsockopt(socket, sockopt::SocketError) {
        // No error yet, or connected: only a connected socket has a peer.
        Ok(0) => match socket::getpeername::<socket::SockaddrStorage>(socket.as_raw_fd()) {
            Ok(_) => Some(Ok(())),
            Err(Errno::ENOTCONN) => None,
            Err(errno) => Some(Err(errno as i32)),
        },
        Ok(errno) => Some(Err(errno)),
        Err(errno) => Some(Err(errno as i32)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::Port;
    use crate::policy::network::NetworkPolicy;
    use crate::policy::source::NetworkSource;
    use crate::ssh::deadline::{Cancel, Deadline};
    use std::net::{IpAddr, TcpListener};

    fn control() -> Control {
        let deadline = Deadline::after(Duration::from_secs(60));
        Control::new(deadline, Cancel::new().unwrap())
    }

    fn pinned(ip: &str, port: u16) -> PinnedAddress {
        let policy = NetworkPolicy::compile(NetworkSource::default());
        let port = Port::new(port).unwrap();
        policy.pin(ip.parse::<IpAddr>().unwrap(), port).unwrap()
    }

    fn first_of(addresses: &[PinnedAddress]) -> Result<IpAddr, SshError> {
        let mut asked = Vec::new();
        let connected = connect(addresses, &control(), |address| {
            asked.push(address);
            Ok(())
        });
        // Each was tried with a permit, and no other address.
        assert!(asked.iter().all(|address| addresses.contains(address)));
        connected.map(|(stream, address, ())| {
            assert_eq!(stream.peer_addr().unwrap(), address.socket_addr());
            address.socket_addr().ip()
        })
    }

    /// A port on which nobody takes connections in: its queue is full, so that the kernel
    /// drops what else comes, as a firewall does.
    fn silent(ip: &str) -> (Vec<OwnedFd>, u16) {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        // A second listen(2) sets another backlog.
        socket::listen(&listener, socket::Backlog::new(0).unwrap()).unwrap();
        let mut held: Vec<OwnedFd> = vec![listener.into()];
        for _ in 0..4 {
            let socket = open(address).unwrap();
            let _ = start(&socket, address);
            held.push(socket);
        }
        (held, address.port())
    }

    #[test]
    fn an_address_that_says_nothing_does_not_hold_up_the_next() {
        let (_held, port) = silent("127.0.0.2");
        let live = TcpListener::bind(("127.0.0.3", port)).unwrap();
        let found = first_of(&[pinned("127.0.0.2", port), pinned("127.0.0.3", port)]);
        assert_eq!(found.unwrap().to_string(), "127.0.0.3");
        drop(live);
    }

    #[test]
    fn one_that_refuses_is_followed_by_the_next_and_the_last_error_is_told() {
        let live = TcpListener::bind(("127.0.0.3", 0)).unwrap();
        let port = live.local_addr().unwrap().port();
        let dead = pinned("127.0.0.4", port);
        assert_eq!(
            first_of(&[dead, pinned("127.0.0.3", port)])
                .unwrap()
                .to_string(),
            "127.0.0.3"
        );
        drop(live);
        let error = first_of(&[dead, pinned("127.0.0.3", port)]).unwrap_err();
        let SshError::Connect { address, errno } = error else {
            panic!("{error}");
        };
        assert_eq!(
            (address.ip().to_string().as_str(), errno),
            ("127.0.0.3", Errno::ECONNREFUSED as i32)
        );
    }
}
