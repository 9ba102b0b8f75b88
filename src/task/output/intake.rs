//! Takes in what a run hands over, while it does.
//!
//! Owns how much of an output is kept and what happens then, and that the bytes of a file
//! that is fetched are no output. Called by [`crate::ssh`] on the task's thread; made by
//! [`crate::task::worker`].

use std::sync::Arc;
use std::time::Instant;

use crate::audit::{Phase, Record};
use crate::policy::source::OutputCap;
use crate::ssh::{Flow, Sink, Stage};
use crate::task::outcome::{Cut, SudoWords, Truncated};
use crate::task::output::{Output, Stream};
use crate::task::registry::Registry;
use crate::task::state::{Task, TaskEvent, millis};
use crate::task::transfer::incoming::Incoming;

/// Takes in what the run hands over, until it is enough.
pub(crate) struct Intake<'a> {
    registry: &'a Registry,
    task: &'a Task,
    output: Arc<Output>,
    /// Takes stdout, where a file is fetched.
    incoming: Option<Incoming>,
    began: Instant,
    /// Bytes that may still be kept.
    room: u64,
    cut: Option<Truncated>,
    /// Whether the command is ended when there is no more room, or runs on unread.
    beyond: Flow,
    /// Whether `sudo` has said that it lacks a password.
    pub(crate) sudo: SudoWords,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(registry: &'a Registry, task: &'a Task, incoming: Option<Incoming>) -> Self {
        let limits = &task.terms().limits;
        Self {
            registry,
            task,
            output: task.output(),
            incoming,
            began: Instant::now(),
            room: limits.max_output_bytes,
            cut: None,
            beyond: match limits.on_output_cap {
                OutputCap::Stop => Flow::Stop,
                OutputCap::Discard => Flow::Continue,
            },
            sudo: SudoWords::default(),
        }
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) -> Flow {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if let Some(cut) = &mut self.cut {
            cut.bytes_left_out = cut.bytes_left_out.saturating_add(count);
            return self.beyond;
        }
        let fits = usize::try_from(self.room).unwrap_or(usize::MAX);
        let kept = bytes.get(..fits).unwrap_or(bytes);
        self.output.push(stream, kept);
        self.room = self.room.saturating_sub(count);
        let why = if kept.len() < bytes.len() {
            Cut::Limit
        } else if self.registry.memory.is_exceeded() && !self.registry.make_room() {
            Cut::Memory
        } else {
            return Flow::Continue;
        };
        if why == Cut::Memory {
            // What others left in memory is no reason to end a command on its host: it runs
            // on, and the rest of its output is counted and dropped.
            self.beyond = Flow::Continue;
        }
        self.cut = Some(Truncated {
            bytes_left_out: count - u64::try_from(kept.len()).unwrap_or(count),
            why,
        });
        self.beyond
    }

    /// The file that was fetched.
    pub(crate) fn take_incoming(&mut self) -> Option<Incoming> {
        self.incoming.take()
    }

    /// What was left out, with what the run did not even hand over.
    pub(crate) fn truncated(&self, not_given: u64) -> Option<Truncated> {
        let mut cut = self.cut?;
        cut.bytes_left_out = cut.bytes_left_out.saturating_add(not_given);
        Some(cut)
    }
}

impl Sink for Intake<'_> {
    fn stage(&mut self, stage: Stage) {
        let phase = match stage {
            Stage::Connecting => Phase::Connecting,
            Stage::Connected => Phase::Connected,
            Stage::Running => Phase::Running,
        };
        // The first phase is that of a task that was just begun.
        if !self.task.enter(phase) && phase != Phase::Connecting {
            return;
        }
        let elapsed = millis(self.began.elapsed());
        let record = Record::progress(&self.task.id, phase, 0, elapsed);
        self.task.audit.emit(record);
        if let Some(progress) = self.task.progress() {
            self.task.notify(&TaskEvent::Progress(progress));
        }
    }

    fn stdout(&mut self, bytes: &[u8]) -> Flow {
        let Some(incoming) = &mut self.incoming else {
            return self.take(Stream::Out, bytes);
        };
        let mut text = Vec::new();
        let flow = incoming.take(bytes, &mut text);
        self.output.count(Stream::Out, bytes.len() - text.len());
        match (text.is_empty(), flow) {
            (false, Flow::Continue) => self.take(Stream::Out, &text),
            (_, flow) => flow,
        }
    }

    fn stderr(&mut self, bytes: &[u8]) -> Flow {
        self.sudo.look(bytes);
        self.take(Stream::Err, bytes)
    }
}
