//! What a running command is given to read, or its leash.
//!
//! Owns that it is given whole and in order, then told that nothing follows, and never more
//! of it at once than the host takes: what the host does not read waits here, or where it is
//! read from. Refuses to call it a failure when the command ends without reading it. Called by
//! [`crate::ssh::session::exec`] between its looks at the output.

use std::borrow::Cow;
use std::task::Poll;

use crate::model::stdin::Stdin;
use crate::policy::Authorised;
use crate::ssh::error::SshError;
use crate::ssh::libssh2::{Fault, FaultKind};
use crate::ssh::phase::Phase;
use crate::ssh::run_report::Source;
use crate::ssh::session::channel::Channel;
use crate::ssh::session::sudo::{Due, Prompting};
use crate::ssh::transport::link::explain;

/// Bytes handed over at once, at most: a packet's worth.
const PIECE: usize = 32 * 1024;

/// What a command is given, and how much of it the host has taken.
pub(crate) struct Feed<'a> {
    /// Before the command is given anything, `sudo` may be.
    sudo: Option<Prompting<'a>>,
    left: Left<'a>,
    /// Its end is told when all of it was given; else never, and the channel's is the end.
    ends: bool,
    /// Nothing more is sent: the end was told, or the command reads no more.
    over: bool,
}

/// What the host has not taken yet.
enum Left<'a> {
    Held(&'a [u8]),
    Elsewhere(Pieces<'a>),
}

/// What is read while it is sent.
struct Pieces<'a> {
    source: &'a dyn Source,
    at: u64,
    /// Bytes that are still to be read.
    left: u64,
    buffer: Vec<u8>,
    /// Of the buffer, what was handed over.
    taken: usize,
}

impl Left<'_> {
    /// The next bytes; none at the end. The same ones until they are taken.
    fn piece(&mut self) -> &[u8] {
        match self {
            Self::Held(bytes) => bytes.get(..PIECE).unwrap_or(bytes),
            Self::Elsewhere(pieces) => pieces.piece(),
        }
    }

    fn took(&mut self, count: usize) {
        match self {
            Self::Held(bytes) => *bytes = bytes.get(count..).unwrap_or_default(),
            Self::Elsewhere(pieces) => pieces.taken += count,
        }
    }
}

impl Pieces<'_> {
    fn piece(&mut self) -> &[u8] {
        if self.taken >= self.buffer.len() && self.left > 0 {
            let most = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
            self.buffer.resize(most, 0);
            // What cannot be read ends it: whoever gets less than was said knows.
            let count = self.source.read(self.at, &mut self.buffer);
            self.buffer.truncate(count.unwrap_or(0));
            self.taken = 0;
            let count = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
            self.at = self.at.saturating_add(count);
            self.left = match count {
                0 => 0,
                count => self.left.saturating_sub(count),
            };
        }
        self.buffer.get(self.taken..).unwrap_or_default()
    }
}

impl<'a> Feed<'a> {
    /// What is judged to be given to it; a leash gets one line, and no end. `source` is where
    /// that is, if it is not in memory.
    pub(crate) fn of(
        command: &'a Authorised,
        sudo: Option<Prompting<'a>>,
        source: Option<&'a dyn Source>,
    ) -> Self {
        let stdin = command.stdin();
        let on_leash = command.holds_stdin();
        let elsewhere = stdin.filter(|stdin| stdin.is_elsewhere());
        Self {
            left: match (on_leash, elsewhere, source) {
                (true, ..) => Left::Held(b"\n"),
                (false, Some(stdin), Some(source)) => Left::Elsewhere(Pieces {
                    source,
                    at: 0,
                    left: stdin.size(),
                    buffer: Vec::new(),
                    taken: 0,
                }),
                (false, ..) => Left::Held(stdin.map(Stdin::held).unwrap_or_default()),
            },
            ends: !on_leash,
            over: stdin.is_none() && !on_leash && sudo.is_none(),
            sudo,
        }
    }

    /// What of these bytes of stderr is output of the command.
    pub(crate) fn sift<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        match &mut self.sudo {
            Some(sudo) => Cow::Owned(sudo.sift(bytes)),
            None => Cow::Borrowed(bytes),
        }
    }

    /// What of stderr was held back, when nothing more comes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.sudo.as_mut().map(Prompting::rest).unwrap_or_default()
    }

    /// Whether there is something to send now that there was not before. Once.
    pub(crate) fn has_news(&mut self) -> bool {
        self.sudo.as_mut().is_some_and(Prompting::take_news)
    }

    pub(crate) fn sudo(&self) -> Option<&Prompting<'a>> {
        self.sudo.as_ref()
    }

    /// Nothing is given: the end of it may travel with the request.
    pub(crate) fn is_empty(&self) -> bool {
        self.over
    }

    /// Hands over what the host takes now. To be called until the command ends; what is left
    /// follows when the link has room or the host says that it reads on.
    ///
    /// # Errors
    /// The link is lost.
    pub(crate) fn pump(&mut self, channel: &mut Channel, phase: Phase) -> Result<(), SshError> {
        while !self.over {
            // What was handed over before is on its way first: nothing piles up on this side.
            if !channel.has_room(phase)? {
                return Ok(());
            }
            let of_sudo = self.sudo.as_ref().map(Prompting::due);
            let (piece, is_password) = match &of_sudo {
                Some(Due::Nothing) => return Ok(()),
                Some(Due::Password(line)) => (*line, true),
                Some(Due::End) => (&[][..], false),
                Some(Due::Command) | None => (self.left.piece(), false),
            };
            let is_end = piece.is_empty();
            // Without another password sudo is not left waiting, leash or not.
            let ends = self.ends || matches!(of_sudo, Some(Due::End));
            let taken = match piece {
                [] if !ends => Poll::Ready(Ok(0)),
                [] => channel.act(phase, |session| session.send_eof().map_ok(|()| 0))?,
                // The same piece again after 'not now', as libssh2 wants it.
                piece => channel.act(phase, |session| session.write(piece))?,
            };
            match taken {
                Poll::Ready(Ok(_)) if is_end => self.over = true,
                Poll::Pending | Poll::Ready(Ok(0)) => return Ok(()),
                Poll::Ready(Ok(count)) if is_password => {
                    if let Some(sudo) = &mut self.sudo {
                        sudo.took(count);
                    }
                }
                Poll::Ready(Ok(count)) => self.left.took(count),
                Poll::Ready(Err(fault)) => self.refused(phase, &fault)?,
            }
        }
        Ok(())
    }

    /// The host takes no more. A command that has ended needs none.
    fn refused(&mut self, phase: Phase, fault: &Fault) -> Result<(), SshError> {
        self.over = true;
        match fault.kind {
            FaultKind::Link => Err(explain(phase, fault)),
            _ => Ok(()),
        }
    }
}
