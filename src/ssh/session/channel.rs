//! A run's channel on a connection that others may use at the same time: how it is opened, what
//! is called on it, and how the run waits.
//!
//! What it waits for, and when it is woken, is decided under the connection's lock: whatever
//! happens after it has looked wakes it. Knows nothing of commands. Used by
//! [`crate::ssh::session::exec`], and given out by [`crate::ssh::client`].

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::ssh::deadline::{Cancel, Control, Deadline, Watch};
use crate::ssh::error::SshError;
use crate::ssh::libssh2::{FaultKind, Session, Step, Tunnel};
use crate::ssh::login::route::proof::Proof;
use crate::ssh::phase::Phase;
use crate::ssh::session::connection::{Connection, Turn};
use crate::ssh::session::window;
use crate::ssh::transport::link::{Link, explain};
use crate::ssh::transport::wait::{Filled, wait_for_wake};

/// A run's place on a connection, and its channel once that is open. Given up by
/// [`Channel::leave`], or, before there is a channel, by being dropped.
pub(crate) struct Channel {
    connection: Arc<Connection>,
    number: u64,
    channel: Option<Tunnel>,
    /// `turns` of the connection when this run last looked.
    seen: u64,
    /// Something that was to be sent still waited when this run last looked.
    held_back: bool,
    left: bool,
}

/// Why there is no channel.
pub(crate) enum NotOpened {
    /// The host permits no more than so many.
    Full(usize),
    /// The connection is not there, or not for anything new.
    Gone,
    /// The run's own time is up, or it is cancelled.
    Over(SshError),
}

impl Channel {
    /// Of a session whose channel is open, for the run that opened it.
    pub(crate) fn first(
        mut link: Link,
        proof: Arc<Proof>,
        most: usize,
        cancel: &Cancel,
    ) -> (Arc<Connection>, Self) {
        let channel = link.session().set_aside();
        link.session().wire().shut(true);
        let connection = Arc::new(Connection::of(link, proof, most));
        let number = connection.lock().enter(cancel, channel);
        let first = Self::new(&connection, number, channel, 0);
        (connection, first)
    }

    /// A place for another run, where there is one.
    pub(crate) fn join(connection: &Arc<Connection>, cancel: &Cancel) -> Option<Self> {
        let mut state = connection.lock();
        if !state.takes_more() || state.users.len() >= state.most {
            return None;
        }
        let number = state.enter(cancel, None);
        Some(Self::new(connection, number, None, state.turns))
    }

    fn new(connection: &Arc<Connection>, number: u64, channel: Option<Tunnel>, seen: u64) -> Self {
        Self {
            connection: Arc::clone(connection),
            number,
            channel,
            seen,
            held_back: false,
            left: false,
        }
    }

    /// Has the channel opened: waits for those before, then at most `patience` for the host.
    /// Nothing is sent that could run. Whoever is not answered takes the connection from those
    /// who come after: it may be dead, and the answer would be taken for theirs.
    ///
    /// # Errors
    /// See [`NotOpened`].
    pub(crate) fn open(&mut self, control: &Control, patience: Duration) -> Result<(), NotOpened> {
        let watch = control.within(Phase::Run, Deadline::Never);
        loop {
            {
                let mut state = self.connection.lock();
                let open = state.open_channels();
                if !state.takes_more() {
                    return Err(NotOpened::Gone);
                }
                if state.opening.is_none() {
                    if open >= state.most {
                        return Err(NotOpened::Full(state.most));
                    }
                    state.opening = Some(self.number);
                    break;
                }
            }
            if let Err(error) = self.fill(&watch) {
                let why = not_opened(error);
                // Whose own end it is, it was not its turn yet.
                self.connection.lock().retired |= matches!(why, NotOpened::Gone);
                return Err(why);
            }
        }
        let answer = self.ask(&control.within(Phase::Run, Deadline::after(patience)));
        let mut state = self.connection.lock();
        state.opening = None;
        let result = match answer {
            Ok(Some(channel)) => {
                self.channel = Some(channel);
                if let Some(user) = state.user(self.number) {
                    user.channel = Some(channel);
                }
                Ok(())
            }
            Ok(None) => {
                state.most = state.open_channels().max(1);
                Err(NotOpened::Full(state.most))
            }
            Err(error) => {
                state.retired = true;
                Err(not_opened(error))
            }
        };
        state.wake_others(Some(self.number));
        result
    }

    /// `None`: the host says no.
    fn ask(&mut self, watch: &Watch<'_>) -> Result<Option<Tunnel>, SshError> {
        if let Some(channel) = self.ask_once(watch)? {
            return Ok(Some(channel));
        }
        // It may have been about to let go of one that was closed.
        self.drive(watch, Session::closed)?;
        self.ask_once(watch)
    }

    fn ask_once(&mut self, watch: &Watch<'_>) -> Result<Option<Tunnel>, SshError> {
        self.drive(watch, |session| {
            match session.open_exec(window::FIRST, window::PACKET) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(session.set_aside())),
                Poll::Ready(Err(fault)) if fault.kind == FaultKind::Channel => {
                    Poll::Ready(Ok(None))
                }
                Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
                Poll::Pending => Poll::Pending,
            }
        })
    }

    /// Makes one call into libssh2 on this channel, and sends what it wrote.
    ///
    /// # Errors
    /// The connection is over. What the call itself has to say is in its result.
    pub(crate) fn act<T>(
        &mut self,
        phase: Phase,
        call: impl FnOnce(&mut Session) -> T,
    ) -> Result<T, SshError> {
        let mut state = self.connection.lock();
        let result = state.act((self.number, self.channel), phase, call);
        self.held_back = state.link.as_ref().is_some_and(Link::has_outbound);
        result
    }

    /// Repeats `call` until it is done.
    ///
    /// # Errors
    /// As [`Link::drive`].
    pub(crate) fn drive<T>(
        &mut self,
        watch: &Watch<'_>,
        mut call: impl FnMut(&mut Session) -> Step<T>,
    ) -> Result<T, SshError> {
        loop {
            watch.check()?;
            match self.act(watch.phase, &mut call)? {
                Poll::Ready(result) => return result.map_err(|f| explain(watch.phase, &f)),
                Poll::Pending => self.fill(watch)?,
            };
        }
    }

    /// Looks at what is known of this channel, also when the connection is over.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let (mut state, channel) = (self.connection.lock(), self.channel?);
        let link = state.link.as_mut()?;
        Some(link.session().on(channel, look))
    }

    /// Sends what can be sent now; whether there is room for more.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) fn has_room(&mut self, phase: Phase) -> Result<bool, SshError> {
        self.act(phase, |_| ())?;
        Ok(!self.held_back)
    }

    /// Waits until something has come, for this run or another, or its switch is shaken. Returns
    /// at once if something has since the last time.
    ///
    /// # Errors
    /// As [`Link::fill`].
    pub(crate) fn fill(&mut self, watch: &Watch<'_>) -> Result<Filled, SshError> {
        loop {
            watch.check()?;
            let turn = {
                let mut state = self.connection.lock();
                if let Some(user) = state.user(self.number) {
                    user.waits = false;
                }
                if state.turns != self.seen {
                    self.seen = state.turns;
                    return Ok(Filled::Bytes);
                }
                let turn = state.turn(self.number, watch.phase)?;
                self.seen = state.turns;
                let had = std::mem::take(&mut self.held_back);
                self.held_back = state.link.as_ref().is_some_and(Link::has_outbound);
                if had && !self.held_back {
                    // Whoever has more to send may go on.
                    return Ok(Filled::Woken);
                }
                if let Some(user) = state.user(self.number) {
                    user.waits = !matches!(turn, Turn::Came);
                }
                turn
            };
            let woken = match turn {
                Turn::Came => return Ok(Filled::Bytes),
                Turn::Nothing => self.connection.source.wait(self.held_back, watch)?,
                Turn::Crowded => wait_for_wake(watch).map(|()| Filled::Woken)?,
            };
            if let Filled::Woken = woken {
                return Ok(Filled::Woken);
            }
        }
    }

    /// So much may the host send.
    pub(crate) fn note_window(&mut self, size: u32) {
        if let Some(user) = self.connection.lock().user(self.number) {
            user.window = size;
        }
    }

    /// Whether the host hands a signal to all processes of a command.
    pub(crate) fn signals_groups(&self) -> bool {
        let state = self.connection.lock();
        state.link.as_ref().is_some_and(Link::signals_groups)
    }

    /// Gives up the channel. The last gets the session, and whether it is good for more. Where
    /// it is not, nobody new is let on it either.
    pub(crate) fn leave(mut self, is_good: bool) -> Option<(Link, bool)> {
        self.go(is_good)
    }

    fn go(&mut self, is_good: bool) -> Option<(Link, bool)> {
        self.left = true;
        let mut state = self.connection.lock();
        state.users.retain(|user| user.number != self.number);
        state.retired |= !is_good;
        if let (Some(link), Some(channel)) = (&mut state.link, self.channel) {
            link.session().close_tunnel(channel);
            // Sends the close; what the host says to it comes later.
            let _ = link.session().closed();
        }
        if state.users.is_empty() {
            let mut link = state.link.take()?;
            link.session().wire().shut(false);
            return Some((link, !state.retired && state.broken.is_none()));
        }
        if let Some(link) = &mut state.link {
            // A link that is lost is found out by those who are still there.
            let _ = link.flush(Phase::Close);
        }
        state.wake_others(None);
        None
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if !self.left
            && let Some((link, _)) = self.go(self.channel.is_none())
        {
            link.goodbye();
        }
    }
}

fn not_opened(error: SshError) -> NotOpened {
    match error {
        SshError::Cancelled(_)
        | SshError::Timeout {
            whole_run: true, ..
        } => NotOpened::Over(error),
        _ => NotOpened::Gone,
    }
}
