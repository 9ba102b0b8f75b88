//! A session's bytes on their way through another session: two bounded queues between the run
//! that owns the inner session and the thread that owns the outer one.
//!
//! Neither side waits in here: each is woken when there is something for it to do, and who
//! lets go is heard of by the other. Opens no descriptor but the one by which the run is woken.
//! The run's end is a carrier of [`crate::ssh::transport::link`]; the other belongs to
//! [`crate::ssh::transport::relay`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::ssh::deadline::Cancel;

/// Bytes that wait in each direction, at most. What does not fit stays in the channel's window.
const ROOM: usize = 64 * 1024;

pub(crate) struct Conduit {
    queues: Mutex<Queues>,
    run: EventFd,
    relay: Cancel,
}

#[derive(Default)]
struct Queues {
    /// From the host.
    down: Vec<u8>,
    /// To the host.
    up: Vec<u8>,
    /// Nothing more comes down, and why.
    ended: Option<String>,
    let_go: bool,
    /// The run wants to know when all that the host has said has come down.
    asked: bool,
}

/// The run's end of it.
pub(crate) struct RunEnd(Arc<Conduit>);

/// What there is to be read.
pub(crate) enum Got {
    Bytes(usize),
    Nothing,
    Ended(String),
}

impl Conduit {
    /// `relay` wakes the thread that carries it.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn new(relay: Cancel) -> io::Result<Arc<Self>> {
        let run = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(io::Error::from)?;
        Ok(Arc::new(Self {
            queues: Mutex::default(),
            run,
            relay,
        }))
    }

    /// How much more may come down now.
    pub(crate) fn room(&self) -> usize {
        ROOM.saturating_sub(self.lock().down.len())
    }

    pub(crate) fn put(&self, bytes: &[u8]) {
        self.lock().down.extend_from_slice(bytes);
        self.wake_run();
    }

    pub(crate) fn end(&self, cause: &str) {
        self.lock().ended.get_or_insert_with(|| cause.to_owned());
        self.wake_run();
    }

    /// Moves what is to go up behind what `into` has.
    pub(crate) fn take(&self, into: &mut Vec<u8>) {
        let mut queues = self.lock();
        let was_full = queues.up.len() >= ROOM;
        into.append(&mut queues.up);
        drop(queues);
        if was_full {
            self.wake_run();
        }
    }

    /// The run is done with it, and has said all that it will.
    pub(crate) fn is_let_go(&self) -> bool {
        self.lock().let_go
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.lock().asked
    }

    /// What the outer session had received when the run asked has come down, or its end has.
    pub(crate) fn answer(&self) {
        self.lock().asked = false;
        self.wake_run();
    }

    fn wake_run(&self) {
        // The counter can only be full if the run has been woken already.
        let _ = self.run.write(1);
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunEnd {
    pub(crate) fn of(conduit: &Arc<Conduit>) -> Self {
        Self(Arc::clone(conduit))
    }

    pub(crate) fn read(&self, space: &mut [u8]) -> Got {
        let mut queues = self.0.lock();
        let count = queues.down.len().min(space.len());
        if count == 0 {
            return match &queues.ended {
                Some(cause) => Got::Ended(cause.clone()),
                None => Got::Nothing,
            };
        }
        let was_full = queues.down.len() >= ROOM;
        for (to, from) in space.iter_mut().zip(queues.down.drain(..count)) {
            *to = from;
        }
        drop(queues);
        if was_full {
            self.0.relay.wake();
        }
        Got::Bytes(count)
    }

    /// How much of it was taken.
    pub(crate) fn write(&self, bytes: &[u8]) -> usize {
        let mut queues = self.0.lock();
        let room = ROOM.saturating_sub(queues.up.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        queues.up.extend_from_slice(taken);
        drop(queues);
        self.0.relay.wake();
        taken.len()
    }

    /// Asks to be told when all that the outer session has received so far has come down.
    pub(crate) fn ask(&self) {
        self.0.lock().asked = true;
        self.0.relay.wake();
    }

    /// Whether [`RunEnd::ask`] has its answer, or nothing comes any more.
    pub(crate) fn is_answered(&self) -> bool {
        let queues = self.0.lock();
        !queues.asked || queues.ended.is_some()
    }

    /// Readable when there may be something to do.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.run.as_fd()
    }

    /// Takes back all wakes so far; what they announced has to be looked at after this.
    pub(crate) fn settle(&self) {
        let _ = self.0.run.read();
    }

    /// What is waited at in place of a socket.
    pub(crate) fn conduit(&self) -> Arc<Conduit> {
        Arc::clone(&self.0)
    }
}

impl AsFd for Conduit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.run.as_fd()
    }
}

impl Drop for RunEnd {
    fn drop(&mut self) {
        self.0.lock().let_go = true;
        self.0.relay.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_in_order_and_within_bounds() {
        let conduit = Conduit::new(Cancel::new().unwrap()).unwrap();
        let run = RunEnd::of(&conduit);
        let long = vec![7; ROOM + 1];
        assert_eq!(run.write(&long), ROOM);
        assert_eq!(run.write(b"more"), 0);
        let mut up = b"before".to_vec();
        conduit.take(&mut up);
        assert_eq!(up.len(), ROOM + 6);
        assert_eq!(run.write(b"more"), 4);
        conduit.put(b"hello ");
        conduit.put(b"world");
        assert_eq!(conduit.room(), ROOM - 11);
        conduit.end("over");
        let mut space = [0; 8];
        let mut said = Vec::new();
        let cause = loop {
            match run.read(&mut space) {
                Got::Bytes(count) => said.extend_from_slice(&space[..count]),
                Got::Nothing => panic!("it has ended"),
                Got::Ended(cause) => break cause,
            }
        };
        assert_eq!(
            (said.as_slice(), cause.as_str()),
            (&b"hello world"[..], "over")
        );
        assert!(!conduit.is_let_go());
        run.ask();
        assert!(conduit.is_asked() && run.is_answered(), "it has ended");
        drop(run);
        assert!(conduit.is_let_go());
    }
}
