//! The bytes between libssh2 and the outside: what has arrived and was not taken, what is
//! to be sent and was not yet.
//!
//! libssh2 never touches a socket here. Its receive and send callbacks only move bytes in
//! and out of this, so no call into it can block, loop on a flooding peer for longer than
//! one filling of the buffer, or be left half-way through a packet; and a jump host's
//! channel can carry a session as well as a socket can. [`crate::ssh::transport::link`] moves the bytes.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;

use zeroize::Zeroizing;

use crate::ssh::answers::Answers;

use crate::ssh::said::HUNG_UP;

/// Bytes read from a peer at once, at most: bounds what one call into libssh2 can chew.
pub(crate) const CHUNK: usize = 32 * 1024;
/// Bytes waiting to be sent, at most. What this side sends is small (a login, a command,
/// window updates, answers to requests), so more means that the peer asks and never reads.
const OUTBOUND_MAX: usize = 512 * 1024;
/// Bytes kept of what a host says first: its version and its offer of algorithms.
const OPENING_MAX: usize = 8 * 1024;
/// Bytes kept of what a host says when it hangs up.
const MESSAGE_MAX: usize = 512;

/// Shared between the session's owner and libssh2's callbacks, which run on the owner's
/// thread inside calls that the owner makes.
#[derive(Default)]
pub(crate) struct Wire {
    inbound: RefCell<Buffer>,
    outbound: RefCell<Buffer>,
    /// Reading and writing fail from now on: lets libssh2 take a session apart without
    /// waiting for the peer.
    dead: Cell<bool>,
    /// libssh2 waits for the rest of a packet that its buffer cannot hold: it would ask for
    /// more of it for ever, with room for none.
    stuck: Cell<bool>,
    /// What has arrived is given to libssh2 in [`crate::ssh::libssh2::Session::take_packets`]
    /// alone.
    shut: Cell<bool>,
    /// Bytes that were to be sent, since the beginning.
    sent: Cell<u64>,
    /// The first bytes that the host sent, as long as they may be asked for.
    opening: RefCell<Vec<u8>>,
    opened: Cell<bool>,
    /// What the host said when it hung up.
    disconnect: RefCell<Option<String>>,
    /// Bytes that libssh2 has allocated for this session.
    allocated: Cell<usize>,
    /// Answers to keyboard-interactive questions, while a login may give them.
    answers: RefCell<Option<Answers>>,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count);
        if self.start >= self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }
}

impl Wire {
    /// For the callback: gives `take` what has arrived, at most `most` bytes of it, and
    /// says how many these were. `None`: nothing is there yet.
    ///
    /// # Errors
    /// The wire is dead.
    pub(crate) fn receive(
        &self,
        most: usize,
        take: impl FnOnce(&[u8]),
    ) -> Result<Option<usize>, Dead> {
        if self.dead.get() {
            return Err(Dead);
        }
        if most == 0 {
            self.stuck.set(true);
            return Ok(None);
        }
        if self.shut.get() {
            return Ok(None);
        }
        let mut inbound = self.inbound.borrow_mut();
        let waiting = inbound.waiting();
        let given = waiting.get(..most).unwrap_or(waiting);
        let count = given.len();
        if count == 0 {
            return Ok(None);
        }
        take(given);
        inbound.consume(count);
        Ok(Some(count))
    }

    /// For the callback: takes all of `bytes`.
    ///
    /// # Errors
    /// The wire is dead, or the peer does not take what it asks for.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Dead> {
        let mut outbound = self.outbound.borrow_mut();
        if self.dead.get() || outbound.waiting().len().saturating_add(bytes.len()) > OUTBOUND_MAX {
            return Err(Dead);
        }
        outbound.bytes.extend_from_slice(bytes);
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.sent.set(self.sent.get().saturating_add(count));
        Ok(())
    }

    /// How many bytes libssh2 has handed over since the beginning: whether a call has sent
    /// anything shows by it.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Keeps back what arrives, or no longer; what it was before.
    pub(crate) fn shut(&self, shut: bool) -> bool {
        self.shut.replace(shut)
    }

    /// Nothing more can be read of this peer.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.get()
    }

    pub(crate) fn has_inbound(&self) -> bool {
        !self.inbound.borrow().waiting().is_empty()
    }

    /// Lets `read` put bytes where libssh2 will find them; returns how many it put.
    pub(crate) fn fill<E>(
        &self,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut inbound = self.inbound.borrow_mut();
        let old = inbound.bytes.len();
        inbound.bytes.resize(old.saturating_add(CHUNK), 0);
        let got = read(inbound.bytes.get_mut(old..).unwrap_or_default());
        let kept = old.saturating_add(*got.as_ref().unwrap_or(&0));
        inbound.bytes.truncate(kept);
        if !self.opened.get() {
            self.note_opening(inbound.bytes.get(old..).unwrap_or_default());
        }
        got
    }

    pub(crate) fn has_outbound(&self) -> bool {
        !self.outbound.borrow().waiting().is_empty()
    }

    /// Lets `write` take bytes off the front; it returns how many it took.
    pub(crate) fn drain<E>(
        &self,
        write: impl FnOnce(&[u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut outbound = self.outbound.borrow_mut();
        let count = write(outbound.waiting())?;
        outbound.consume(count);
        Ok(count)
    }

    /// Gives up the buffers' memory while the session idles.
    pub(crate) fn shrink(&self) {
        for buffer in [&self.inbound, &self.outbound] {
            let mut buffer = buffer.borrow_mut();
            if buffer.waiting().is_empty() {
                buffer.bytes = Vec::new();
            }
        }
    }

    pub(crate) fn kill(&self) {
        self.dead.set(true);
    }

    fn note_opening(&self, bytes: &[u8]) {
        let mut opening = self.opening.borrow_mut();
        let room = OPENING_MAX.saturating_sub(opening.len());
        opening.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// What the host sent first, for the case that it sends nothing more.
    pub(crate) fn opening(&self) -> Vec<u8> {
        self.opening.borrow().clone()
    }

    /// The key exchange is through: nobody will ask for its beginning.
    pub(crate) fn forget_opening(&self) {
        self.opened.set(true);
        *self.opening.borrow_mut() = Vec::new();
    }

    /// For the callback: the host hung up, with a code and a text of its own.
    pub(crate) fn note_disconnect(&self, code: i32, message: &[u8]) {
        let reason = disconnect_reason(code);
        let kept = message.get(..MESSAGE_MAX).unwrap_or(message);
        let message = String::from_utf8_lossy(kept);
        let said = if message.is_empty() {
            "nothing more"
        } else {
            &message
        };
        let words = format!("{HUNG_UP}{reason} ({code}): {}", said.escape_debug());
        *self.disconnect.borrow_mut() = Some(words);
    }

    /// Why the host hung up, if it said so.
    pub(crate) fn disconnect(&self) -> Option<String> {
        self.disconnect.borrow().clone()
    }

    pub(crate) fn allocated(&self) -> usize {
        self.allocated.get()
    }

    pub(crate) fn note_allocated(&self, bytes: usize) {
        self.allocated
            .set(self.allocated.get().saturating_add(bytes));
    }

    pub(crate) fn note_freed(&self, bytes: usize) {
        self.allocated
            .set(self.allocated.get().saturating_sub(bytes));
    }

    /// What may be answered from now on; what could be until now.
    pub(crate) fn set_answers(&self, answers: Option<Answers>) -> Option<Answers> {
        std::mem::replace(&mut *self.answers.borrow_mut(), answers)
    }

    /// Whether a person was asked and did not answer.
    pub(crate) fn gave_up(&self) -> bool {
        self.answers.borrow().as_ref().is_some_and(Answers::gave_up)
    }

    pub(crate) fn answer(&self, question: &[u8], hidden: bool) -> Option<Zeroizing<Vec<u8>>> {
        self.answers.borrow_mut().as_mut()?.answer(question, hidden)
    }
}

/// The names of RFC 4253 section 11.1.
fn disconnect_reason(code: i32) -> &'static str {
    match code {
        1 => "host not allowed to connect",
        2 => "protocol error",
        3 => "key exchange failed",
        5 => "MAC error",
        6 => "compression error",
        7 => "service not available",
        8 => "protocol version not supported",
        9 => "host key not verifiable",
        10 => "connection lost",
        11 => "by application",
        12 => "too many connections",
        13 => "authentication cancelled by the user",
        14 => "no more authentication methods",
        15 => "illegal user name",
        _ => "unknown reason",
    }
}

/// The wire carries nothing any more.
#[derive(Debug)]
pub(crate) struct Dead;

/// A write that would block has written nothing.
pub(crate) fn retry(mut write: impl FnMut() -> std::io::Result<usize>) -> std::io::Result<usize> {
    loop {
        match write() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(0),
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_and_whole() {
        let wire = Wire::default();
        let put = |text: &'static [u8]| {
            wire.fill(|space| -> Result<usize, ()> {
                space[..text.len()].copy_from_slice(text);
                Ok(text.len())
            })
            .unwrap()
        };
        put(b"hello ");
        put(b"world");
        let mut out = Vec::new();
        let mut receive = || {
            wire.receive(8, |bytes| out.extend_from_slice(bytes))
                .unwrap()
        };
        assert_eq!([receive(), receive(), receive()], [Some(8), Some(3), None]);
        assert_eq!(out, b"hello world");
    }

    #[test]
    fn a_peer_that_never_reads_is_given_up() {
        let wire = Wire::default();
        let packet = [0; 4096];
        let sent = (0..1000).take_while(|_| wire.send(&packet).is_ok()).count();
        assert_eq!(sent, OUTBOUND_MAX / packet.len());
    }

    #[test]
    fn what_arrives_while_it_is_shut_is_given_later() {
        let wire = Wire::default();
        let filled = wire.fill(|space| -> Result<usize, ()> {
            space[..2].copy_from_slice(b"hi");
            Ok(2)
        });
        assert_eq!(filled, Ok(2));
        assert!(!wire.shut(true));
        assert_eq!(wire.receive(8, |_| ()).unwrap(), None);
        assert!(wire.has_inbound() && wire.shut(false));
        assert_eq!(wire.receive(8, |_| ()).unwrap(), Some(2));
    }

    #[test]
    fn a_dead_wire_neither_gives_nor_takes() {
        let wire = Wire::default();
        wire.kill();
        assert!(wire.receive(1, |_| ()).is_err());
        assert!(wire.send(b"x").is_err());
    }
}
