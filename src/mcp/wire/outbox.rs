//! What waits to be written: one queue, one writer, bounded memory.
//!
//! Owns stdout's queue. Nobody waits here: an answer too many is replaced by a short
//! error, a hint (progress, log) too many is dropped, so a client that does not read
//! never holds up a command or its record. Reading of input stops while the queue is
//! full (`wait_for_room`), which bounds how many answers can come to be. Called by `inflight`
//! and `session` to send, by the writing thread to drain.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::mcp::wire::json::Json;

/// Longest frame sent, in bytes. Clients close the transport beyond some megabytes.
pub(crate) const MAX_FRAME: usize = 1 << 20;
/// Bytes that may wait before answers are cut short.
const ANSWER_BYTES: usize = 32 << 20;
/// Bytes, and frames, that may wait before no further input is read.
const ROOM_BYTES: usize = 4 << 20;
const ROOM_FRAMES: usize = 4096;
/// Bytes, and frames, that may wait before hints are dropped.
const HINT_BYTES: usize = 1 << 20;
const HINT_FRAMES: usize = 1024;
/// Bytes that are written at once where more waits: what a pipe holds (pipe(7)).
const TOGETHER: usize = 64 << 10;

/// The queue of frames on their way to the client.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<String>,
    bytes: usize,
    /// Nothing further is accepted; what waits is still written.
    closed: bool,
    /// Nothing further can be written: the client is gone.
    broken: bool,
    /// The writer took a frame off the queue and has not finished with it.
    writing: bool,
}

impl Outbox {
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues a frame that the client waits for. `short` stands in for it where the
    /// frame is over its limit or too much waits already.
    pub(crate) fn send(&self, frame: Json, short: impl FnOnce() -> Json) {
        let mut state = self.lock();
        let frame = if state.fits(&frame) { frame } else { short() };
        self.push(&mut state, frame);
    }

    /// Queues a frame as [`Outbox::send`] does, or not at all; whether it was queued.
    pub(crate) fn offer(&self, frame: Json) -> bool {
        let mut state = self.lock();
        let fits = state.fits(&frame) && !state.closed;
        if fits {
            self.push(&mut state, frame);
        }
        fits
    }

    /// Queues a frame that may be lost.
    pub(crate) fn hint(&self, frame: Json) {
        let mut state = self.lock();
        if state.bytes < HINT_BYTES && state.frames.len() < HINT_FRAMES {
            self.push(&mut state, frame);
        }
    }

    /// Waits until there is room, the client is gone, or `timeout` is over; whether one
    /// of the first two came true.
    pub(crate) fn wait_for_room(&self, timeout: Duration) -> bool {
        self.wait(timeout, State::has_room)
    }

    /// Waits until everything is written, or cannot be, at most until `deadline`.
    pub(crate) fn wait_until_written(&self, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(Instant::now());
        self.wait(timeout, |state| state.frames.is_empty() && !state.writing);
    }

    /// Accepts nothing further; [`Outbox::write_to`] ends once the queue is empty.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Writes frames as they come, until closed and empty. The writing thread's whole
    /// life; whole lines, each flushed.
    ///
    /// # Errors
    /// The first write error (`EPIPE` when the client is gone); nothing is written after
    /// it, and nothing further is queued.
    pub(crate) fn write_to(&self, mut output: impl Write) -> std::io::Result<()> {
        let mut lines = String::new();
        while self.take(&mut lines) {
            let written = output
                .write_all(lines.as_bytes())
                .and_then(|()| output.flush());
            // In one step: who waits for the end must not see it written before it sees it
            // broken.
            let mut state = self.lock();
            state.writing = false;
            if written.is_err() {
                state.broken = true;
                state.closed = true;
                state.frames.clear();
                state.bytes = 0;
            }
            drop(state);
            self.changed.notify_all();
            written?;
        }
        Ok(())
    }

    /// The frames that wait, at once: for a transport without a thread.
    pub fn drain(&self) -> Vec<String> {
        let mut state = self.lock();
        state.bytes = 0;
        state.frames.drain(..).collect()
    }

    /// Replaces `lines` by the next frame, and by those after it that may be written along
    /// with it; waits for one. False once closed and empty.
    fn take(&self, lines: &mut String) -> bool {
        lines.clear();
        lines.shrink_to(TOGETHER);
        let mut state = self.lock();
        loop {
            while let Some(frame) = state
                .frames
                .pop_front_if(|frame| lines.is_empty() || lines.len() + frame.len() < TOGETHER)
            {
                state.bytes = state.bytes.saturating_sub(frame.len());
                if lines.is_empty() {
                    *lines = frame;
                } else {
                    lines.push_str(&frame);
                }
                lines.push('\n');
            }
            if !lines.is_empty() {
                state.writing = true;
                return true;
            }
            if state.closed {
                return false;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn push(&self, state: &mut State, frame: Json) {
        if !state.closed {
            state.bytes += frame.len();
            state.frames.push_back(frame.into_text());
            self.changed.notify_all();
        }
    }

    fn wait(&self, timeout: Duration, ready: fn(&State) -> bool) -> bool {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, timeout, |state| !ready(state) && !state.broken);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// A panic aborts the process, so a poisoned lock cannot be met.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fits(&self, frame: &Json) -> bool {
        frame.len() < MAX_FRAME && self.bytes + frame.len() <= ANSWER_BYTES
    }

    fn has_room(&self) -> bool {
        self.bytes < ROOM_BYTES && self.frames.len() < ROOM_FRAMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Json {
        Json::of(&"x".repeat(bytes))
    }

    #[test]
    fn what_waits_is_bounded_and_answers_are_never_lost() {
        let outbox = Outbox::new();
        for _ in 0..40 {
            outbox.send(text(MAX_FRAME - 100), || text(1));
        }
        outbox.hint(text(1));
        assert!(!outbox.offer(text(MAX_FRAME - 100)));
        let frames = outbox.drain();
        assert_eq!(frames.len(), 40);
        assert!(frames.iter().map(String::len).sum::<usize>() <= ANSWER_BYTES + 40);
    }

    #[test]
    fn a_frame_over_the_limit_is_replaced() {
        let outbox = Outbox::new();
        outbox.send(text(MAX_FRAME), || text(1));
        assert_eq!(outbox.drain(), ["\"x\""]);
    }

    #[test]
    fn room_ends_before_memory_does() {
        let outbox = Outbox::new();
        for _ in 0..5 {
            outbox.send(text(MAX_FRAME - 100), || text(1));
        }
        assert!(!outbox.wait_for_room(Duration::ZERO));
        outbox.drain();
        assert!(outbox.wait_for_room(Duration::ZERO));
    }

    #[test]
    fn the_writer_ends_when_closed_and_when_the_client_is_gone() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let outbox = Outbox::new();
        outbox.send(text(1), || text(1));
        outbox.close();
        let mut written = Vec::new();
        outbox.write_to(&mut written).unwrap();
        assert_eq!(written, b"\"x\"\n");

        let outbox = Outbox::new();
        let sizes = [1, TOGETHER, 1, 1, TOGETHER / 2, TOGETHER / 2, 3];
        for bytes in sizes {
            outbox.send(text(bytes), || text(1));
        }
        outbox.close();
        let mut written = Vec::new();
        outbox.write_to(&mut written).unwrap();
        let lines = written.split(|byte| *byte == b'\n').map(<[u8]>::len);
        assert!(lines.eq(sizes.map(|bytes| bytes + 2).into_iter().chain([0])));

        let outbox = Outbox::new();
        outbox.send(text(1), || text(1));
        assert!(outbox.write_to(Gone).is_err());
        outbox.send(text(1), || text(1));
        assert!(outbox.drain().is_empty());
    }
}
