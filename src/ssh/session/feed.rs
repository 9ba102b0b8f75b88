//! What a running command is given to read, or its leash.
//!
//! Owns that it is given whole and in order, then told that nothing follows, and never more
//! of it at once than the host takes: what the host does not read waits here. Refuses to call
//! it a failure when the command ends without reading it. Called by
//! [`crate::ssh::session::exec`] between its looks at the output.

use std::borrow::Cow;
use std::task::Poll;

use crate::model::stdin::Stdin;
use crate::policy::Authorised;
use crate::ssh::error::SshError;
use crate::ssh::libssh2::{Fault, FaultKind};
use crate::ssh::phase::Phase;
use crate::ssh::session::channel::Channel;
use crate::ssh::session::sudo::{Due, Prompting};
use crate::ssh::transport::link::explain;

/// Bytes handed over at once, at most: a packet's worth.
const PIECE: usize = 32 * 1024;

/// What a command is given, and how much of it the host has taken.
pub(crate) struct Feed<'a> {
    /// Before the command is given anything, `sudo` may be.
    sudo: Option<Prompting<'a>>,
    left: &'a [u8],
    /// Its end is told when all of it was given; else never, and the channel's is the end.
    ends: bool,
    /// Nothing more is sent: the end was told, or the command reads no more.
    over: bool,
}

impl<'a> Feed<'a> {
    /// What is judged to be given to it; a leash gets one line, and no end.
    pub(crate) fn of(command: &'a Authorised, sudo: Option<Prompting<'a>>) -> Self {
        let stdin = command.stdin();
        let on_leash = command.holds_stdin();
        Self {
            left: match on_leash {
                true => b"\n",
                false => stdin.map(Stdin::bytes).unwrap_or_default(),
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
                Some(Due::Command) | None => (self.left.get(..PIECE).unwrap_or(self.left), false),
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
                Poll::Ready(Ok(count)) => {
                    self.left = self.left.get(count..).unwrap_or_default();
                }
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
