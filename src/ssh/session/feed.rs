//! What a running command is given to read, or its leash.
//!
//! Owns that it is given whole and in order, then told that nothing follows, and never more
//! of it at once than the host takes: what the host does not read waits here. Refuses to call
//! it a failure when the command ends without reading it. Called by
//! [`crate::ssh::session::exec`] between its looks at the output.

use std::task::Poll;

use crate::model::stdin::Stdin;
use crate::policy::Authorised;
use crate::ssh::error::SshError;
use crate::ssh::libssh2::{Fault, FaultKind};
use crate::ssh::phase::Phase;
use crate::ssh::transport::link::{Link, explain};

/// Bytes handed over at once, at most: a packet's worth.
const PIECE: usize = 32 * 1024;

/// What a command is given, and how much of it the host has taken.
pub(crate) struct Feed<'a> {
    left: &'a [u8],
    /// Its end is told when all of it was given; else never, and the channel's is the end.
    ends: bool,
    /// Nothing more is sent: the end was told, or the command reads no more.
    over: bool,
}

impl<'a> Feed<'a> {
    /// What is judged to be given to it; a leash gets one line, and no end.
    pub(crate) fn of(command: &'a Authorised) -> Self {
        let stdin = command.stdin();
        let on_leash = command.holds_stdin();
        Self {
            left: match on_leash {
                true => b"\n",
                false => stdin.map(Stdin::bytes).unwrap_or_default(),
            },
            ends: !on_leash,
            over: stdin.is_none() && !on_leash,
        }
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
    pub(crate) fn pump(&mut self, link: &mut Link, phase: Phase) -> Result<(), SshError> {
        while !self.over {
            // What was handed over before is on its way first: nothing piles up on this side.
            link.flush(phase)?;
            if link.session().wire().has_outbound() {
                return Ok(());
            }
            let piece = self.left.get(..PIECE).unwrap_or(self.left);
            let taken = match piece {
                [] if !self.ends => Poll::Ready(Ok(0)),
                [] => link.session().send_eof().map(|end| end.map(|()| 0)),
                // The same piece again after 'not now', as libssh2 wants it.
                piece => link.session().write(piece),
            };
            match taken {
                Poll::Ready(Ok(_)) if piece.is_empty() => self.over = true,
                Poll::Pending | Poll::Ready(Ok(0)) => return link.flush(phase),
                Poll::Ready(Ok(count)) => {
                    self.left = self.left.get(count..).unwrap_or_default();
                }
                Poll::Ready(Err(fault)) => self.refused(phase, &fault)?,
            }
        }
        link.flush(phase)
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
