//! Moves bytes between a session's wire and what carries it: a TCP socket, a channel of the
//! session to a jump host, or a tunnel of one that many share.
//!
//! [`Link::drive`] repeats a call into libssh2 until it is done, sending and receiving in
//! between, under a [`Watch`]: it ends when the phase's time is up or the run is cancelled,
//! and it ends when the peer makes this side read or hold more than a login or a window
//! could need. Called by every step of a run.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::Poll;

use crate::model::names::HostAlias;
use crate::ssh::deadline::Watch;
use crate::ssh::error::SshError;
use crate::ssh::host_keys::PublicKey;
use crate::ssh::libssh2::{Fault, FaultKind, Session, Step, Stream};
use crate::ssh::login::algorithms;
use crate::ssh::phase::Phase;
use crate::ssh::run_report::Negotiated;
use crate::ssh::transport::buffers::retry;
use crate::ssh::transport::conduit::{Got, RunEnd};
use crate::ssh::transport::wait::{Filled, Source, wait_at_socket, wait_for_bytes};

/// Bytes a host may send before the login is through. Banner, key exchange and login take
/// a few KiB; a certificate or a long notice, some more.
const BEFORE_LOGIN_MAX: u64 = 1024 * 1024;
/// Bytes libssh2 may hold for one session: its buffers, the receive window of the channel,
/// and as much again for its bookkeeping of small packets.
pub(crate) const HELD_MAX: usize = 8 * 1024 * 1024;
/// Seconds of silence after which a running session says something, so that a dead peer is
/// noticed by TCP and a firewall keeps its state.
const KEEP_ALIVE_SECONDS: u32 = 15;
/// RFC 4253 section 6.1 asks for no more.
const TOO_LONG: &str = "a packet of more than 35000 bytes came, such as a long banner";
/// How often an idle session is read before it is used again, at most; a host may have said
/// goodbye to a channel, granted one, and asked something.
const IDLE_READS: usize = 8;

/// What carries a session.
pub(crate) enum Carrier {
    Socket(Arc<TcpStream>),
    /// The channel of the session to the jump host before this one.
    Tunnel(Box<Link>),
    /// One of the tunnels of a session to a jump host that somebody else drives.
    Conduit(RunEnd),
}

/// A session and its carrier.
pub(crate) struct Link {
    session: Session,
    carrier: Carrier,
    received: u64,
    /// The host's key, once it is verified.
    believed: Option<PublicKey>,
    logged_in: bool,
}

impl Link {
    /// # Errors
    /// Out of memory.
    pub(crate) fn new(carrier: Carrier) -> Result<Self, SshError> {
        let session = Session::new().map_err(|fault| SshError::Local {
            what: "new session",
            cause: fault.text,
        })?;
        Ok(Self {
            session,
            carrier,
            received: 0,
            believed: None,
            logged_in: false,
        })
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// From now on the host is believed to be who it should be as long as it keeps this
    /// key. To be said before anything secret is sent.
    pub(crate) fn believe(&mut self, key: &PublicKey) {
        self.believed = Some(key.clone());
    }

    /// From now on we are known to the host.
    pub(crate) fn set_logged_in(&mut self) {
        self.logged_in = true;
        self.session.keep_alive(KEEP_ALIVE_SECONDS);
    }

    /// Readable when something has come: the socket at the bottom, whatever number of hops
    /// lies on it, or what stands for it.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.carrier {
            Carrier::Socket(stream) => stream.as_fd(),
            Carrier::Tunnel(outer) => outer.descriptor(),
            Carrier::Conduit(end) => end.as_fd(),
        }
    }

    pub(crate) fn source(&self) -> Source {
        match &self.carrier {
            Carrier::Socket(stream) => Source::Socket(Arc::clone(stream)),
            Carrier::Tunnel(outer) => outer.source(),
            Carrier::Conduit(end) => Source::Conduit(end.conduit()),
        }
    }

    /// Repeats `call` until it is done.
    ///
    /// # Errors
    /// The phase's time is up, the run is cancelled, the link is lost, the peer sends what
    /// it should not; or `call` fails, which [`explain`] puts in words.
    pub(crate) fn drive<T>(
        &mut self,
        watch: &Watch<'_>,
        mut call: impl FnMut(&mut Session) -> Step<T>,
    ) -> Result<T, SshError> {
        self.drive_faults(watch, |session, _| call(session))?
            .map_err(|fault| explain(watch.phase, &fault))
    }

    /// As [`Link::drive`], with libssh2's own refusals left as they are.
    ///
    /// # Errors
    /// All of `drive` but the last.
    pub(crate) fn drive_faults<T>(
        &mut self,
        watch: &Watch<'_>,
        mut call: impl FnMut(&mut Session, BorrowedFd<'_>) -> Step<T>,
    ) -> Result<Result<T, Fault>, SshError> {
        loop {
            watch.check()?;
            // libssh2 does what it can with the bytes that are there, and never waits.
            let step = match &self.carrier {
                Carrier::Socket(stream) => call(&mut self.session, stream.as_fd()),
                Carrier::Tunnel(outer) => call(&mut self.session, outer.descriptor()),
                Carrier::Conduit(end) => call(&mut self.session, end.as_fd()),
            };
            // What it wrote goes out before its result is used: the peer may wait for it.
            self.flush(watch.phase)?;
            if let Poll::Ready(result) = step {
                // A key exchange may have happened within the call.
                self.still_believed(watch.phase)?;
                return Ok(result);
            }
            self.fill(watch)?;
        }
    }

    /// Sends what can be sent now.
    ///
    /// # Errors
    /// The link is lost.
    pub(crate) fn flush(&mut self, phase: Phase) -> Result<(), SshError> {
        while self.session.wire().has_outbound() {
            let wire = self.session.wire();
            // A tunnel's bytes are data of a channel of the outer session, which has its own flush.
            let sent = match &mut self.carrier {
                Carrier::Socket(stream) => wire
                    .drain(|bytes| retry(|| (&**stream).write(bytes)))
                    .map_err(|e| lost(phase, &e))?,
                Carrier::Tunnel(outer) => {
                    let sent = wire.drain(|bytes| match outer.session.write(bytes) {
                        Poll::Ready(Ok(count)) => Ok(count),
                        Poll::Ready(Err(fault)) => Err(explain(phase, &fault)),
                        Poll::Pending => Ok(0),
                    })?;
                    outer.flush(phase)?;
                    sent
                }
                Carrier::Conduit(end) => wire.drain(|bytes| Ok(end.write(bytes)))?,
            };
            if sent == 0 {
                break;
            }
        }
        match &mut self.carrier {
            // What the outer session says for itself, or had no room for before.
            Carrier::Tunnel(outer) => outer.flush(phase),
            Carrier::Socket(_) | Carrier::Conduit(_) => Ok(()),
        }
    }

    /// Waits until there is something for libssh2 to read, or the switch is shaken. Returns
    /// at once if there is something already.
    ///
    /// # Errors
    /// As [`Link::drive`].
    pub(crate) fn fill(&mut self, watch: &Watch<'_>) -> Result<Filled, SshError> {
        if self.session.wire().allocated() > HELD_MAX {
            return Err(excess(watch.phase, "the peer sends faster than it may"));
        }
        self.still_believed(watch.phase)?;
        if self.session.wire().has_inbound() {
            return Ok(Filled::Bytes);
        }
        loop {
            watch.check()?;
            if let Some(count) = self.receive(watch.phase)? {
                self.received = self.received.saturating_add(count);
                if !self.logged_in && self.received > BEFORE_LOGIN_MAX {
                    return Err(excess(
                        watch.phase,
                        "the peer sends too much before the login",
                    ));
                }
                return Ok(Filled::Bytes);
            }
            // Nothing came: time to say that this side is there, and to send what was left.
            self.keep_alive(watch.phase)?;
            let held_back = self.session.wire().has_outbound();
            self.flush(watch.phase)?;
            if held_back && !self.session.wire().has_outbound() {
                // Whoever has more to send may go on.
                return Ok(Filled::Woken);
            }
            if let Filled::Woken = self.wait(watch)? {
                return Ok(Filled::Woken);
            }
        }
    }

    /// To be asked after libssh2 has taken in what arrived, before anything is made of it: a
    /// host can present another key in a later exchange.
    ///
    /// # Errors
    /// It did; or it sent what libssh2 cannot take in.
    pub(crate) fn still_believed(&self, phase: Phase) -> Result<(), SshError> {
        match &self.believed {
            _ if self.session.wire().is_stuck() => Err(excess(phase, TOO_LONG)),
            Some(key) if !self.session.host_key_is(key.blob()) => {
                Err(excess(phase, "the host changed its key within the session"))
            }
            _ => Ok(()),
        }
    }

    /// Takes what has arrived; `None` if nothing has.
    fn receive(&mut self, phase: Phase) -> Result<Option<u64>, SshError> {
        let wire = self.session.wire();
        let count = match &mut self.carrier {
            Carrier::Socket(stream) => match wire.fill(|space| (&**stream).read(space)) {
                Ok(count) => Poll::Ready(count),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    Poll::Pending
                }
                Err(e) => return Err(lost(phase, &e)),
            },
            Carrier::Tunnel(outer) => {
                let mut ended = false;
                let count = wire.fill(|space| match outer.session.read(Stream::Stdout, space) {
                    Poll::Ready(Ok(count)) => {
                        // No bytes yet is not the end: only EOF on the outer channel is.
                        ended = count == 0 && outer.session.at_eof();
                        Ok(count)
                    }
                    Poll::Ready(Err(fault)) => Err(explain(phase, &fault)),
                    Poll::Pending => Ok(0),
                })?;
                outer.flush(phase)?;
                if count > 0 || ended {
                    Poll::Ready(count)
                } else {
                    Poll::Pending
                }
            }
            Carrier::Conduit(end) => {
                let count = wire.fill(|space| match end.read(space) {
                    Got::Bytes(count) => Ok(count),
                    Got::Nothing => Ok(0),
                    Got::Ended(cause) => Err(SshError::LinkLost { phase, cause }),
                })?;
                match count {
                    0 => Poll::Pending,
                    count => Poll::Ready(count),
                }
            }
        };
        match count {
            Poll::Ready(0) => Err(SshError::LinkLost {
                phase,
                cause: "closed by the other side".into(),
            }),
            Poll::Ready(count) => Ok(Some(u64::try_from(count).unwrap_or(u64::MAX))),
            Poll::Pending => Ok(None),
        }
    }

    fn wait(&mut self, watch: &Watch<'_>) -> Result<Filled, SshError> {
        match &mut self.carrier {
            Carrier::Tunnel(outer) => outer.fill(watch),
            Carrier::Conduit(end) => {
                let filled = wait_for_bytes(end.as_fd(), watch)?;
                end.settle();
                Ok(filled)
            }
            Carrier::Socket(stream) => {
                let held_back = self.session.wire().has_outbound();
                wait_at_socket(stream, held_back, watch)
            }
        }
    }

    /// Says that this side is there if it is time for it.
    ///
    /// # Errors
    /// The link is lost.
    pub(crate) fn keep_alive(&mut self, phase: Phase) -> Result<(), SshError> {
        if self.logged_in {
            self.session
                .keep_alive_now()
                .map_err(|fault| explain(phase, &fault))?;
        }
        Ok(())
    }

    /// Takes what has arrived, and says that this side is there if it is time for it; waits
    /// for nothing. Whether anything came.
    ///
    /// # Errors
    /// The link is lost.
    pub(crate) fn pump(&mut self, phase: Phase) -> Result<bool, SshError> {
        let came = self.collect(phase)?;
        self.take_packets(phase)?;
        self.keep_alive(phase)?;
        Ok(came)
    }

    /// Its first half: whether there is something for libssh2 to take in.
    ///
    /// # Errors
    /// The link is lost; what came before that may not have been read.
    pub(crate) fn collect(&mut self, phase: Phase) -> Result<bool, SshError> {
        let below = match &mut self.carrier {
            Carrier::Tunnel(outer) => outer.pump(phase)?,
            Carrier::Conduit(end) => {
                end.settle();
                false
            }
            Carrier::Socket(_) => false,
        };
        Ok(below || self.session.wire().has_inbound() || self.receive(phase)?.is_some())
    }

    /// Its second half.
    ///
    /// # Errors
    /// The host hung up, or does not keep to the protocol.
    pub(crate) fn take_packets(&mut self, phase: Phase) -> Result<(), SshError> {
        let taken = self.session.take_packets();
        taken.map_err(|fault| explain(phase, &fault))
    }

    /// Whether something waits to be sent that the socket did not take.
    pub(crate) fn has_outbound(&self) -> bool {
        self.session.wire().has_outbound()
            || matches!(&self.carrier, Carrier::Tunnel(outer) if outer.has_outbound())
    }

    /// Waits until what the sockets below have received has come up to here. Only where another
    /// thread carries it is there anything to wait for.
    ///
    /// # Errors
    /// The watch's time is up, or its switch was thrown.
    pub(crate) fn catch_up(&mut self, watch: &Watch<'_>) -> Result<(), SshError> {
        match &mut self.carrier {
            Carrier::Socket(_) => Ok(()),
            Carrier::Tunnel(outer) => outer.catch_up(watch),
            Carrier::Conduit(end) => {
                end.ask();
                while !end.is_answered() {
                    wait_for_bytes(end.as_fd(), watch)?;
                    end.settle();
                }
                Ok(())
            }
        }
    }

    /// Whether an idle session can still be used, as far as can be told without asking the
    /// host: no end of file, no error, and what it said meanwhile is taken in.
    pub(crate) fn seems_alive(&mut self) -> bool {
        // An end lies behind all that was said before it. A host that says this much without
        // being asked is not believed to have come to it.
        for _ in 0..IDLE_READS {
            match self.receive(Phase::Connect) {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    /// Closes the channel with the next flush. Whether the host has closed it too is found
    /// out later.
    pub(crate) fn close_channel(&mut self) {
        self.session.close_channel();
        let _ = self.session.closed();
    }

    /// The negotiated algorithms, for the log.
    pub(crate) fn negotiated(&self, alias: &HostAlias, legacy: bool) -> Negotiated {
        algorithms::negotiated(&self.session, alias, legacy)
    }

    /// Whether the host hands a signal to all processes of a command and closes a channel
    /// only when none of them holds it any more. OpenSSH does; dropbear signals the first
    /// process alone and closes when that one is gone.
    pub(crate) fn signals_groups(&self) -> bool {
        self.host_is_any_of(&["SSH-2.0-OpenSSH_"])
    }

    /// By the beginning of the version line that the host sent.
    pub(crate) fn host_is_any_of(&self, beginnings: &[&str]) -> bool {
        let is_it = |version: String| beginnings.iter().any(|it| version.starts_with(it));
        self.session.peer_version().is_some_and(is_it)
    }

    /// Bytes that libssh2 holds for it.
    pub(crate) fn held(&self) -> usize {
        self.session.wire().allocated()
    }

    /// Gives up buffers while nothing happens.
    pub(crate) fn shrink(&self) {
        self.session.wire().shrink();
    }

    /// Says goodbye and lets go.
    pub(crate) fn goodbye(mut self) {
        self.session.disconnect();
        // What does not fit into the socket's buffer at once is not worth a wait.
        let _ = self.flush(Phase::Close);
    }
}

/// A refusal of libssh2 as an error of this phase.
pub(crate) fn explain(phase: Phase, fault: &Fault) -> SshError {
    let cause = format!("{} (libssh2 {})", fault.text, fault.code);
    match fault.kind {
        FaultKind::Link => SshError::LinkLost { phase, cause },
        _ => SshError::Protocol { phase, cause },
    }
}

fn excess(phase: Phase, cause: &str) -> SshError {
    SshError::Protocol {
        phase,
        cause: cause.into(),
    }
}

fn lost(phase: Phase, error: &std::io::Error) -> SshError {
    SshError::LinkLost {
        phase,
        cause: error.to_string(),
    }
}
