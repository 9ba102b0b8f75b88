//! One task of the protocol: its states, its members in both forms, its result.
//!
//! Owns what is said of a task and how long it may be counted on. Knows nothing of the
//! command behind it but its name, its limits and what ends it; the answer is kept here.
//! Used by [`crate::mcp::feature::tasks`] under the lock of its table, and by a call's reply.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::Ts;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::inflight::{Cancel, Ticket};
use crate::mcp::protocol::peer::Caller;
use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::RpcError;

/// A client is asked to come back after a quarter of the time that has passed, within
/// these bounds, so that short commands are seen soon and long ones cost little.
const POLL_LEAST_MS: u64 = 250;

/// What is known of the work behind a task when it begins.
pub(crate) struct Work {
    pub(crate) id: String,
    /// The most it may take once its turn has come.
    pub(crate) max_seconds: u32,
    /// How long its answer is kept from its end.
    pub(crate) keep_seconds: u32,
    /// The longest that a client need wait between two looks at it.
    pub(crate) poll_seconds: u32,
}

/// A task of the protocol.
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) caller: Caller,
    /// Who is to be told its result.
    pub(crate) waiting: Vec<(Caller, Ticket)>,
    cancel: Arc<Cancel>,
    cancelled: bool,
    /// How far it has come, in words.
    message: String,
    done: Option<Done>,
    created: Ts,
    updated: Ts,
    begun: Instant,
    most: Duration,
    keep: Duration,
    /// The client's `ttl`, from its beginning.
    wanted: Option<Duration>,
    poll_most_ms: u64,
}

/// How it ended.
struct Done {
    answer: Answer,
    /// From its beginning.
    after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Working,
    Completed,
    Failed,
    Cancelled,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Entry {
    pub(crate) fn new(
        caller: Caller,
        work: Work,
        wanted: Option<Duration>,
        cancel: Arc<Cancel>,
    ) -> Self {
        let now = Ts::now();
        Self {
            id: work.id,
            caller,
            cancel,
            created: now,
            updated: now,
            begun: Instant::now(),
            most: Duration::from_secs(work.max_seconds.into()),
            keep: Duration::from_secs(work.keep_seconds.into()),
            wanted,
            poll_most_ms: u64::from(work.poll_seconds) * 1000,
            cancelled: false,
            message: String::new(),
            done: None,
            waiting: Vec::new(),
        }
    }

    /// The work has ended, with this answer.
    pub(crate) fn end(&mut self, answer: Answer) {
        // Whoever cancelled it, by whichever name.
        self.cancelled |= answer.cancelled;
        self.updated = Ts::now();
        self.done = Some(Done {
            answer,
            after: self.begun.elapsed(),
        });
    }

    /// It has come so far.
    pub(crate) fn note(&mut self, text: &str) {
        if self.done.is_none() {
            text.clone_into(&mut self.message);
            self.updated = Ts::now();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.done.is_some()
    }

    /// In the modern form an answer with `isError` is a completed task all the same.
    pub(crate) fn state(&self) -> State {
        match &self.done {
            _ if self.cancelled => State::Cancelled,
            None => State::Working,
            Some(done) if done.answer.is_error && !self.caller.version.is_modern() => State::Failed,
            Some(_) => State::Completed,
        }
    }

    /// What ends the work; to be thrown without the table's lock.
    pub(crate) fn cancel(&mut self) -> Arc<Cancel> {
        if self.done.is_none() {
            self.cancelled = true;
            self.updated = Ts::now();
        }
        Arc::clone(&self.cancel)
    }

    /// The answer to the call that began it, in the words of who asks now.
    ///
    /// # Errors
    /// The work has not ended.
    pub(crate) fn result(&self, caller: &Caller) -> Result<Json, RpcError> {
        let unfinished = || RpcError::invalid_params("The task has not ended");
        let done = self.done.as_ref().ok_or_else(unfinished)?;
        Ok(result(&self.id, &done.answer, caller))
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.is_over() && self.begun.elapsed() > self.kept_for()
    }

    /// When it is given up, if it is over.
    pub(crate) fn expires(&self) -> Option<Instant> {
        let over = self.is_over();
        over.then(|| self.begun.checked_add(self.kept_for()))?
    }

    /// From its beginning. What is yet to end takes its full time, or waits for it.
    fn kept_for(&self) -> Duration {
        let ended = self.done.as_ref().map(|done| done.after);
        let ended = ended.unwrap_or_else(|| self.begun.elapsed().max(self.most));
        let most = ended + self.keep;
        // The client may want less than that, but for the time that the work takes.
        self.wanted.map_or(most, |wanted| wanted.clamp(ended, most))
    }

    pub(crate) fn size(&self) -> usize {
        self.done.as_ref().map_or(0, |done| done.answer.size())
    }

    /// The answer that creates it.
    pub(crate) fn created_result(&self, caller: &Caller) -> Json {
        if caller.version.is_modern() {
            self.members(caller.result_of("task"), caller).end()
        } else {
            let task = self.members(Object::new(), caller).end();
            Object::new().json("task", &task).end()
        }
    }

    /// The task as the members of a result.
    pub(crate) fn flat(&self, caller: &Caller) -> Object {
        self.members(caller.result(), caller)
    }

    /// The task with its result, if it has one: the modern form of both an answer and a
    /// notification, of which `object` is the beginning.
    ///
    /// # Errors
    /// It is over and has no result; that does not happen.
    pub(crate) fn in_full(&self, object: Object, caller: &Caller) -> Result<Json, RpcError> {
        let task = self.members(object, caller);
        match self.state() {
            State::Working | State::Cancelled => Ok(task.end()),
            State::Completed | State::Failed => {
                Ok(task.json("result", &self.result(caller)?).end())
            }
        }
    }

    fn members(&self, object: Object, caller: &Caller) -> Object {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let elapsed = millis(self.begun.elapsed());
        let working = self.state() == State::Working;
        let poll = (elapsed / 4).clamp(POLL_LEAST_MS, self.poll_most_ms.max(POLL_LEAST_MS));
        let (ttl, interval) = if caller.version.is_modern() {
            ("ttlMs", "pollIntervalMs")
        } else {
            ("ttl", "pollInterval")
        };
        object
            .field("taskId", &self.id)
            .field("status", self.state().as_str())
            .field("createdAt", &time(self.created))
            .field("lastUpdatedAt", &time(self.updated))
            .field(ttl, &millis(self.kept_for()))
            .field(interval, &poll)
            .when(working && !self.message.is_empty(), |task| {
                task.field("statusMessage", &self.message)
            })
    }
}

/// The result of the task `id`: this answer in the words of who asks for it.
pub(crate) fn result(id: &str, answer: &Answer, caller: &Caller) -> Json {
    let related = Object::new().field("taskId", id).end();
    let meta = Object::new().when(caller.version.has_core_tasks(), |meta| {
        meta.json("io.modelcontextprotocol/related-task", &related)
    });
    answer.to_result(caller, meta)
}

/// ISO 8601 in the form of RFC 3339.
fn time(at: Ts) -> String {
    at.iso().replace("+0000", "Z")
}
