//! A channel that is opened behind an answer, for the next command: its request can then go
//! out at once, one round trip instead of two.
//!
//! At most one a session, closed with it, and asked of no host that has refused one
//! ([`crate::ssh::session::pool`] remembers that). Nothing is ever requested on it but the
//! one command of the run that takes the session, by [`crate::ssh::session::exec`], which asks
//! for the clearance as on any other channel: a spare carries nothing that was not judged.
//!
//! Why the proof of life is not weaker for it. 'At most once' rests on this: a request that may
//! have been sent is not sent again, whatever becomes of it. So a session that may be dead must
//! be found out before, while nothing is asked yet. Opening a channel does that: only a host
//! that lives grants it. A spare was opened by the host as well, only earlier; it counts as a
//! proof for [`FRESH`], which is as long as a command that runs may be silent before its
//! connection is looked after (its keepalives), and an end that the network has told
//! meanwhile is seen first. Older, it is given back and the host is asked for another, as it
//! was before there were spares. Called by [`crate::ssh::client`].

use std::task::Poll;
use std::time::{Duration, Instant};

use crate::ssh::deadline::Watch;
use crate::ssh::error::SshError;
use crate::ssh::libssh2::FaultKind;
use crate::ssh::session::exec;
use crate::ssh::transport::link::Link;

/// How long the granting of a spare shows that the host is there.
pub(crate) const FRESH: Duration = Duration::from_secs(15);

/// Channels that were closed here and may not be closed there yet when another is asked for: as
/// many as runs may have been on the session at once.
const UNCLOSED: usize = 8;

/// A channel of an idle session.
pub(crate) struct Spare {
    /// Before the request was sent: what the host says to it, it says later.
    asked: Instant,
    answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Awaited,
    Granted,
    Refused,
}

/// What the session has now.
pub(crate) enum Ready {
    /// A channel, for the next request.
    Granted,
    /// The same, and the host will have no spare.
    Refused,
}

impl Spare {
    /// Asks for one; waits for nothing. `None`: a host that leaves closed channels open is
    /// asked for no more of them.
    pub(crate) fn ask(link: &mut Link) -> Option<Self> {
        if link.session().closing() > UNCLOSED {
            return None;
        }
        let asked = Instant::now();
        let answer = answer(link);
        Some(Self { asked, answer })
    }

    /// Looks at what the host has said to it, as far as that was received.
    pub(crate) fn look(&mut self, link: &mut Link) {
        if self.answer == Answer::Awaited {
            self.answer = answer(link);
        }
    }

    pub(crate) fn is_granted(&self) -> bool {
        self.answer == Answer::Granted
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.answer == Answer::Awaited
    }

    /// Makes the session ready for a request, after what it said meanwhile was received.
    ///
    /// # Errors
    /// The host is not there, or has no channel for us; time is up, the run is cancelled.
    pub(crate) fn take(
        self,
        link: &mut Link,
        fresh: Duration,
        watch: &Watch<'_>,
    ) -> Result<Ready, SshError> {
        match self.answer {
            Answer::Granted => {}
            Answer::Refused => return anew(link, watch),
            Answer::Awaited => match exec::granted(link, watch) {
                Ok(()) => {}
                Err(SshError::Refused { .. }) => return anew(link, watch),
                Err(error) => return Err(error),
            },
        }
        // What was received may have been a key exchange, too.
        link.still_believed(watch.phase)?;
        if self.asked.elapsed() < fresh && !link.session().at_eof() {
            return Ok(Ready::Granted);
        }
        link.close_channel();
        match exec::granted(link, watch) {
            Ok(()) => Ok(Ready::Granted),
            // It may still count the one that was given back.
            Err(SshError::Refused { .. }) => anew(link, watch),
            Err(error) => Err(error),
        }
    }
}

/// For a host that has one channel at a time.
fn anew(link: &mut Link, watch: &Watch<'_>) -> Result<Ready, SshError> {
    exec::reopen(link, watch).map(|()| Ready::Refused)
}

fn answer(link: &mut Link) -> Answer {
    match exec::ask(link) {
        Poll::Ready(Ok(())) => Answer::Granted,
        Poll::Ready(Err(fault)) if fault.kind == FaultKind::Channel => Answer::Refused,
        // Of a link that is lost nothing more comes; the next call finds that out.
        Poll::Ready(Err(_)) | Poll::Pending => Answer::Awaited,
    }
}
