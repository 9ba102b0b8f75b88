//! A session in use: one connection, on which each run has a channel of its own.
//!
//! The runs share it by a lock that is held for single calls into libssh2 and never while
//! somebody waits or hands output on. Whoever waits, waits at the same socket; who wakes takes
//! in what has come for all, and wakes the others. So no thread owns the session, none has to
//! be handed over, and a run that is stuck with its output holds up nobody: what comes for it
//! stays within its channel's window.
//!
//! libssh2 must not read in any call but the one that takes packets in (the wire is shut for the
//! others): its calls for an answer take any answer that they read themselves, another
//! channel's too, for theirs. Taken in before, the answers lie in its queue, where each call
//! finds its own by the channel's number. Its state for the request, the window, the signal
//! and the close is the channel's; only an opening has the session's, so that one channel is
//! opened at a time.
//!
//! What ends a connection for all (the host hung up, another host key, a breach of the
//! protocol) is kept, and each run is told. That nothing more comes is found out by each run
//! for itself, behind all that came before. Used by [`crate::ssh::session::channel`]; who
//! shares one is [`crate::ssh::session::sharing`]'s.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ssh::deadline::Cancel;
use crate::ssh::error::SshError;
use crate::ssh::libssh2::{Session, Tunnel};
use crate::ssh::login::route::proof::Proof;
use crate::ssh::phase::Phase;
use crate::ssh::session::window;
use crate::ssh::transport::link::{HELD_MAX, Link};
use crate::ssh::transport::wait::Source;

/// A session that is logged in and in use.
pub(crate) struct Connection {
    pub(super) state: Mutex<State>,
    pub(super) source: Source,
    proof: Arc<Proof>,
}

pub(super) struct State {
    /// None: the last who used it took it along.
    pub(super) link: Option<Link>,
    pub(super) users: Vec<User>,
    /// The number of the next of them.
    pub(super) next: u64,
    /// Who has a channel opened: libssh2 has one place for the answer.
    pub(super) opening: Option<u64>,
    /// Channels that it may have.
    pub(super) most: usize,
    /// Nobody new is let on it, and it is not kept.
    pub(super) retired: bool,
    /// What ended it for all.
    pub(super) broken: Option<SshError>,
    /// How often something was taken in.
    pub(super) turns: u64,
    /// Somebody waits for another to read what is held for it.
    pub(super) crowded: bool,
}

pub(super) struct User {
    pub(super) number: u64,
    pub(super) wake: Cancel,
    /// It is not awake, or about not to be.
    pub(super) waits: bool,
    pub(super) channel: Option<Tunnel>,
    /// Bytes that the host may send it.
    pub(super) window: u32,
}

pub(super) enum Turn {
    Came,
    Nothing,
    /// Nothing is received before somebody else has read.
    Crowded,
}

impl Connection {
    /// Of a session whose wire nobody reads but who takes packets in, with places for `most`.
    pub(super) fn of(link: Link, proof: Arc<Proof>, most: usize) -> Self {
        Self {
            source: link.source(),
            proof,
            state: Mutex::new(State {
                link: Some(link),
                users: Vec::new(),
                next: 0,
                opening: None,
                most,
                retired: false,
                broken: None,
                turns: 0,
                crowded: false,
            }),
        }
    }

    pub(crate) fn proof(&self) -> &Arc<Proof> {
        &self.proof
    }

    /// Lets nobody else on it; who is there goes on to the end.
    pub(crate) fn retire(&self) {
        let mut state = self.lock();
        state.retired = true;
        state.wake_others(None);
    }

    /// Whether somebody new may come.
    pub(crate) fn takes_more(&self) -> bool {
        self.lock().takes_more()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn enter(&mut self, cancel: &Cancel, channel: Option<Tunnel>) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.users.push(User {
            number,
            wake: cancel.clone(),
            waits: false,
            channel,
            window: window::FIRST,
        });
        number
    }

    pub(super) fn takes_more(&self) -> bool {
        self.link.is_some() && !self.retired && self.broken.is_none()
    }

    pub(super) fn open_channels(&self) -> usize {
        let users = self.users.iter();
        users.filter(|user| user.channel.is_some()).count()
    }

    pub(super) fn user(&mut self, number: u64) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.number == number)
    }

    pub(super) fn wake_others(&mut self, number: Option<u64>) {
        for user in &mut self.users {
            if user.waits && Some(user.number) != number {
                user.waits = false;
                user.wake.wake();
            }
        }
    }

    pub(super) fn breaks(&mut self, error: SshError) -> SshError {
        self.broken = Some(error.clone());
        self.wake_others(None);
        error
    }

    pub(super) fn link(&mut self) -> Result<&mut Link, SshError> {
        match (&self.broken, &mut self.link) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(link)) => Ok(link),
            (None, None) => Err(SshError::Local {
                what: "channel",
                cause: "its connection is over".into(),
            }),
        }
    }

    /// Makes a call into libssh2, and sends what it wrote. Where that cannot be sent any more, it
    /// is found out by who waits next, behind what has come.
    pub(super) fn act<T>(
        &mut self,
        (number, channel): (u64, Option<Tunnel>),
        phase: Phase,
        call: impl FnOnce(&mut Session) -> T,
    ) -> Result<T, SshError> {
        let link = self.link()?;
        let held_back = link.has_outbound();
        let result = match channel {
            Some(channel) => link.session().on(channel, call),
            None => call(link.session()),
        };
        let _ = link.flush(phase);
        let is_through = held_back && !link.has_outbound();
        let believed = link.still_believed(phase);
        if is_through {
            self.wake_others(Some(number));
        }
        if self.crowded && self.too_much(number) == 0 {
            self.crowded = false;
            self.wake_others(Some(number));
        }
        believed.map_err(|error| self.breaks(error))?;
        Ok(result)
    }

    /// By how many bytes libssh2 holds more than it should: as for one run alone, and the
    /// windows of the others.
    fn too_much(&self, number: u64) -> usize {
        let others = self.users.iter().filter(|user| user.number != number);
        let windows = others.map(|user| usize::try_from(user.window).unwrap_or(usize::MAX));
        let most = windows.fold(HELD_MAX, usize::saturating_add);
        let held = self.link.as_ref().map_or(0, Link::held);
        held.saturating_sub(most)
    }

    /// Whether to wait until somebody else has read what is held for it.
    fn is_crowded(&mut self, number: u64, phase: Phase) -> Result<bool, SshError> {
        let too_much = self.too_much(number);
        let (mut own, mut others) = (false, false);
        if let Some(link) = self.link.as_mut().filter(|_| too_much > 0) {
            for user in &self.users {
                let Some(channel) = user.channel else {
                    continue;
                };
                let has_unread = link.session().on(channel, |session| session.has_unread());
                own |= has_unread && user.number == number;
                others |= has_unread && user.number != number;
            }
            // It goes with the channels that are being closed, and, where nothing may be read
            // in a key exchange, after that: both need what is still to come.
            own |= link.session().closing() > 0;
        }
        match too_much {
            0 => Ok(false),
            ..=HELD_MAX if own || others => Ok(!own),
            _ => {
                let cause = "the peer sends faster than it may".into();
                Err(self.breaks(SshError::Protocol { phase, cause }))
            }
        }
    }

    /// Takes in what has come, for all, and sends what waits; waits for nothing.
    pub(super) fn turn(&mut self, number: u64, phase: Phase) -> Result<Turn, SshError> {
        self.link()?;
        if self.is_crowded(number, phase)? {
            self.crowded = true;
            return Ok(Turn::Crowded);
        }
        let link = self.link()?;
        let came = match link.collect(phase) {
            Ok(came) => came,
            Err(error) => {
                // What told of it may have been taken back.
                self.wake_others(Some(number));
                return Err(error);
            }
        };
        let taken = link.take_packets(phase);
        let taken = taken.and_then(|()| link.still_believed(phase));
        if came {
            self.turns = self.turns.wrapping_add(1);
            self.wake_others(Some(number));
        }
        taken.map_err(|error| self.breaks(error))?;
        let link = self.link()?;
        if link.session().closing() > 0 {
            let _ = link.session().closed();
        }
        let held_back = link.has_outbound();
        let said = match came {
            true => Ok(()),
            false => link.keep_alive(phase),
        };
        let said = said.and_then(|()| link.flush(phase));
        if held_back && !link.has_outbound() {
            self.wake_others(Some(number));
        }
        if came {
            // Also where nothing can be sent any more: what has come is read before that counts.
            return Ok(Turn::Came);
        }
        said.map(|()| Turn::Nothing)
    }
}
