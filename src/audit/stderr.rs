//! The plain log: one JSON object a line on stderr, whole lines or none.
//!
//! Owns what happens when nobody reads it. A write waits for the reader ([`PATIENCE`]),
//! because a slow reader must not cost records; but a reader that is gone must not hang
//! the server for ever, so after that lines wait in memory, bounded by
//! [`BACKLOG_MAX`], and are written in order once somebody reads again. What did not fit
//! is counted and said (`log_gap`). While lines wait, [`Sink::write`] reports it, so
//! that no command runs whose decision nobody can see. Refuses to panic, whatever the
//! descriptor does. Called by [`crate::audit::Audit`] alone.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::audit::record::Record;
use crate::audit::timestamp::Ts;

/// How long one line waits for a reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most bytes of waiting lines: some 5,000 records.
const BACKLOG_MAX: usize = 1_048_576;

/// Most bytes written at once. A pipe takes as much in one piece (PIPE_BUF, pipe(7)), so
/// that a line up to this size cannot be torn by another writer, and a descriptor that
/// polls as writable does not block.
const PIECE: usize = 4_096;

/// A descriptor that lines go to.
pub(crate) struct Sink {
    to: Box<dyn AsFd + Send + Sync>,
    state: Mutex<Waiting>,
}

/// Nobody will ever read the descriptor.
struct Closed;

/// What a reader made of some bytes.
struct Sent {
    written: usize,
    /// The descriptor answers with an error (a full disk, a closed pipe): waiting for it
    /// would not wait.
    failed: bool,
}

/// Lines that could not be written yet.
#[derive(Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    lost: u64,
    draining: bool,
}

/// Why a line is not out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotWritten {
    /// It waits in memory, after others.
    Waiting,
    /// There was no room for it.
    Lost,
}

impl Sink {
    pub(crate) fn new(to: impl AsFd + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            to: Box::new(to),
            state: Mutex::default(),
        })
    }

    /// Writes one line, without its newline. `passing` lines are not kept for later.
    pub(crate) fn write(self: &Arc<Self>, line: String, passing: bool) -> Result<(), NotWritten> {
        let mut bytes = line.into_bytes();
        bytes.push(b'\n');
        let mut waiting = self.lock();
        let patience = if waiting.lines.is_empty() {
            PATIENCE
        } else {
            Duration::ZERO
        };
        self.drain(&mut waiting, Duration::ZERO);
        if waiting.lines.is_empty() {
            let Sent { written, failed } = self.send(&bytes, patience);
            if written == bytes.len() {
                return Ok(());
            }
            bytes.drain(..written);
            // The rest of a line that was begun is kept whatever it is.
            let kept = waiting.push(bytes, passing && written == 0);
            if !failed {
                self.drain_later(&mut waiting);
            }
            return kept;
        }
        waiting.push(bytes, passing)
    }

    /// Waits up to `patience` for the waiting lines to go out.
    pub(crate) fn flush(&self, patience: Duration) {
        self.drain(&mut self.lock(), patience);
    }

    /// Waits a little for a line that another thread is writing.
    pub(crate) fn let_finish(&self, patience: Duration) {
        let end = Instant::now() + patience;
        while matches!(self.state.try_lock(), Err(TryLockError::WouldBlock)) && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits, in order. Says whether there is still somebody to wait for.
    fn drain(&self, waiting: &mut Waiting, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while let Some(line) = waiting.lines.front_mut() {
            let left = end.saturating_duration_since(Instant::now());
            let Sent { written, failed } = self.send(line, left);
            waiting.bytes -= written;
            if written < line.len() {
                line.drain(..written);
                return !failed;
            }
            waiting.lines.pop_front();
        }
        if waiting.lost > 0 {
            let (ts, lost) = (Ts::now(), std::mem::take(&mut waiting.lost));
            let mut bytes = Record::LogGap { ts, lost }.to_json().into_bytes();
            bytes.push(b'\n');
            let Sent { written, failed } = self.send(&bytes, Duration::ZERO);
            if written == 0 {
                waiting.lost = lost;
            } else if written < bytes.len() {
                bytes.drain(..written);
                waiting.bytes += bytes.len();
                waiting.lines.push_back(bytes);
            }
            return !failed;
        }
        true
    }

    /// Lets a thread wait for the reader, so that the last lines before a silence come
    /// out too. Without that thread they go out with the next line; so they do where the
    /// descriptor fails, for nothing tells when a full disk has room again.
    fn drain_later(self: &Arc<Self>, waiting: &mut Waiting) {
        if waiting.draining {
            return;
        }
        let sink = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .stack_size(64 * 1024);
        waiting.draining = thread
            .spawn(move || {
                loop {
                    let open = sink.wait(PollTimeout::NONE).is_ok();
                    let mut waiting = sink.lock();
                    let worth_waiting = sink.drain(&mut waiting, Duration::ZERO);
                    if !open || !worth_waiting || waiting.lines.is_empty() {
                        waiting.draining = false;
                        return;
                    }
                }
            })
            .is_ok();
    }

    /// Writes as much as the reader takes within `patience`.
    fn send(&self, bytes: &[u8], patience: Duration) -> Sent {
        let end = Instant::now() + patience;
        let (mut written, mut failed) = (0, false);
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match self.wait(timeout) {
                Ok(true) => {}
                Ok(false) => break,
                Err(Closed) => {
                    failed = true;
                    break;
                }
            }
            let piece = rest.get(..PIECE).unwrap_or(rest);
            match nix::unistd::write(&self.to, piece) {
                Ok(count) => written += count,
                Err(Errno::EINTR) => {}
                // Somebody made the shared terminal or pipe non-blocking, and it filled
                // up since the poll.
                Err(Errno::EAGAIN) if left > Duration::ZERO => {}
                Err(errno) => {
                    failed = errno != Errno::EAGAIN;
                    break;
                }
            }
        }
        Sent { written, failed }
    }

    /// Whether the descriptor takes bytes before the timeout.
    fn wait(&self, timeout: PollTimeout) -> Result<bool, Closed> {
        let mut fds = [PollFd::new(self.to.as_fd(), PollFlags::POLLOUT)];
        loop {
            match poll(&mut fds, timeout) {
                Err(Errno::EINTR) => {}
                // Short of memory for the moment: the line waits, as for a slow reader.
                Err(Errno::ENOMEM | Errno::EAGAIN) => return Ok(false),
                Err(_) => return Err(Closed),
                Ok(0) => return Ok(false),
                Ok(_) => {
                    let [fd] = &fds;
                    let events = fd.revents().unwrap_or(PollFlags::empty());
                    let open =
                        events.contains(PollFlags::POLLOUT) && !events.contains(PollFlags::POLLERR);
                    return if open { Ok(true) } else { Err(Closed) };
                }
            }
        }
    }
}

impl Waiting {
    fn push(&mut self, bytes: Vec<u8>, passing: bool) -> Result<(), NotWritten> {
        if passing || self.bytes + bytes.len() > BACKLOG_MAX {
            self.lost += 1;
            return Err(NotWritten::Lost);
        }
        self.bytes += bytes.len();
        self.lines.push_back(bytes);
        Err(NotWritten::Waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader, Read};
    use std::os::fd::OwnedFd;

    use super::*;

    fn pipe() -> (BufReader<File>, OwnedFd) {
        let (read, write) = nix::unistd::pipe().unwrap();
        (BufReader::new(File::from(read)), write)
    }

    #[test]
    fn lines_of_many_threads_stay_whole() {
        let (reader, write) = pipe();
        let sink = Sink::new(write);
        let reading = std::thread::spawn(move || {
            let lines: Vec<String> = reader.lines().map(Result::unwrap).collect();
            lines
        });
        let writers: Vec<_> = (0..16)
            .map(|id| {
                let sink = Arc::clone(&sink);
                std::thread::spawn(move || {
                    for length in 0..200 {
                        let line = format!("{id}:{}", "x".repeat(length * 50));
                        sink.write(line, false).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|w| w.join().unwrap());
        drop(sink);
        let lines = reading.join().unwrap();
        assert_eq!(lines.len(), 16 * 200);
        for line in lines {
            let (_, rest) = line.split_once(':').unwrap();
            assert!(rest.len() % 50 == 0 && rest.bytes().all(|b| b == b'x'));
        }
    }

    #[test]
    fn an_unread_log_keeps_what_matters_and_counts_the_rest() {
        let (mut reader, write) = pipe();
        let sink = Sink::new(write);
        let line = "y".repeat(999);
        let mut results = Vec::new();
        for _ in 0..2_000 {
            results.push(sink.write(line.clone(), false));
        }
        assert_eq!(sink.write(line.clone(), true), Err(NotWritten::Lost));
        let count = |wanted| results.iter().filter(|r| **r == wanted).count();
        let lost = count(Err(NotWritten::Lost)) + 1;
        assert!(count(Ok(())) > 0 && count(Err(NotWritten::Waiting)) > 900 && lost > 1);
        // Somebody reads again: everything that was kept comes out, then the count.
        let mut text = String::new();
        loop {
            let mut chunk = [0; 65_536];
            let read = reader.read(&mut chunk).unwrap();
            text.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
            sink.flush(Duration::ZERO);
            if text.contains("log_gap") {
                break;
            }
        }
        let (last, kept) = text
            .trim_end()
            .rsplit_once('\n')
            .map(|(a, b)| (b, a))
            .unwrap();
        assert!(kept.lines().all(|kept| kept == line));
        assert_eq!(kept.lines().count(), 2_001 - lost);
        assert!(last.ends_with(&format!("\"lost\":{lost}}}")), "{last}");
    }

    #[test]
    fn a_full_disk_is_asked_with_each_line_and_not_in_between() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let sink = Sink::new(full);
        for kept in 1..=3 {
            assert_eq!(sink.write("a".into(), false), Err(NotWritten::Waiting));
            let waiting = sink.lock();
            assert_eq!((waiting.lines.len(), waiting.draining), (kept, false));
        }
    }

    #[test]
    fn a_closed_pipe_is_reported_not_fatal() {
        let (reader, write) = pipe();
        let sink = Sink::new(write);
        drop(reader);
        assert_eq!(sink.write("a".into(), false), Err(NotWritten::Waiting));
        assert_eq!(sink.write("b".into(), true), Err(NotWritten::Lost));
    }
}
