//! How much a command's host may have sent before it was read here.
//!
//! A host sends a window's worth and then waits for word of what was read, which takes a round
//! trip: over a line with delay the window is the throughput. So it begins small, as a command
//! that prints little needs no more, and is doubled whenever one was read whole within about a
//! round trip, up to a bound and while the account of memory has room for as much. Owns that
//! bookkeeping; reads nothing itself. Called by [`crate::ssh::session::exec`] as it reads.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::model::memory::{Account, Held};
use crate::ssh::libssh2::{Fault, Session};

/// What a channel is opened with, in bytes.
pub(crate) const FIRST: u32 = 1024 * 1024;
/// The largest packet that is taken (RFC 4253 §6.1).
pub(crate) const PACKET: u32 = 32 * 1024;
/// The most that it becomes: 40 MB/s at 200 ms.
const MOST: u32 = 8 * 1024 * 1024;
/// Round trips in which a window is read where it is what the host waits for: the word of it
/// is on its way when a part was read, and neither end is exact about time.
const TRIPS: u32 = 3;
/// A round trip is taken to be at least this long: a shorter one needs no larger window.
const SHORTEST: Duration = Duration::from_millis(10);

/// One command's window.
pub(crate) struct Window {
    memory: Arc<Account>,
    size: u32,
    /// From the request to its answer; `None` before that.
    trip: Option<Duration>,
    /// Since when so many bytes were read.
    since: Instant,
    read: u64,
    /// What the host is being told that it may send more.
    telling: Option<u32>,
    /// What it is larger by than the first, in the account.
    held: Option<Held>,
}

impl Window {
    pub(crate) fn new(memory: &Arc<Account>) -> Self {
        Self {
            memory: Arc::clone(memory),
            size: FIRST,
            trip: None,
            since: Instant::now(),
            read: 0,
            telling: None,
            held: None,
        }
    }

    /// The host has answered the request so long after it was sent.
    pub(crate) fn answered(&mut self, after: Duration) {
        self.trip = Some(after.max(SHORTEST));
        self.since = Instant::now();
        self.read = 0;
    }

    /// How much the host may send before it is told that it may send more.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// So many bytes were read.
    pub(crate) fn read(&mut self, count: usize) {
        self.read = self
            .read
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Tells the host what it may send now, where libssh2 does not do that by itself: beyond
    /// the window that the channel was opened with. False: it is still being told, and nothing
    /// may be read before.
    ///
    /// # Errors
    /// The link is lost.
    pub(crate) fn follow(&mut self, session: &mut Session) -> Result<bool, Fault> {
        if self.read >= u64::from(self.size) {
            self.grow();
            self.since = Instant::now();
            self.read = 0;
        }
        let left = session.window();
        let is_low = self.size > FIRST && left <= self.size / 4 * 3;
        let more = is_low.then(|| self.size.saturating_sub(left));
        let Some(by) = self.telling.or(more) else {
            return Ok(true);
        };
        match session.widen(by) {
            Poll::Pending => {
                self.telling = Some(by);
                Ok(false)
            }
            Poll::Ready(told) => {
                self.telling = None;
                told.map(|()| true)
            }
        }
    }

    fn grow(&mut self) {
        let in_time = |trip: Duration| self.since.elapsed() <= trip.saturating_mul(TRIPS);
        let Some(larger) = self.size.checked_mul(2).filter(|size| *size <= MOST) else {
            return;
        };
        let more = usize::try_from(larger.saturating_sub(self.size)).unwrap_or(usize::MAX);
        if !self.trip.is_some_and(in_time) || !self.memory.has_room_to_keep(more) {
            return;
        }
        self.size = larger;
        let beyond = usize::try_from(larger.saturating_sub(FIRST)).unwrap_or(usize::MAX);
        match &mut self.held {
            Some(held) => held.becomes(beyond),
            None => self.held = Some(self.memory.hold(beyond)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it has become after so many windows were read, one in each such time.
    fn after(windows: u32, each: Duration, memory: &Arc<Account>) -> u32 {
        let mut window = Window::new(memory);
        window.answered(Duration::from_millis(100));
        for _ in 0..windows {
            window.since = Instant::now().checked_sub(each).unwrap();
            window.read(usize::try_from(window.size).unwrap());
            window.grow();
        }
        window.size
    }

    #[test]
    fn it_follows_the_delay_and_what_is_read() {
        let memory = Account::of(100 << 20, true);
        let fast = Duration::from_millis(150);
        assert_eq!(after(0, fast, &memory), FIRST);
        assert_eq!(after(1, fast, &memory), 2 * FIRST);
        assert_eq!(after(9, fast, &memory), MOST);
        assert_eq!(after(9, Duration::from_secs(2), &memory), FIRST);
    }

    #[test]
    fn it_grows_within_the_account_alone() {
        // A quarter stays free, so that two MiB more do not fit.
        let memory = Account::of(3 << 20, true);
        let fast = Duration::from_millis(150);
        assert_eq!(after(9, fast, &memory), 2 * FIRST);
        let _other = memory.hold(3 << 20);
        assert_eq!(after(9, fast, &memory), FIRST);
    }

    #[test]
    fn before_the_answer_nothing_is_known() {
        let memory = Account::of(100 << 20, true);
        let mut window = Window::new(&memory);
        window.read(usize::try_from(FIRST).unwrap());
        window.grow();
        assert_eq!(window.size, FIRST);
    }
}
