//! One task of the protocol: its states, its members in both forms, its result.
//!
//! Owns what is said of a task and how long it may be counted on. A run on one host keeps
//! its output in the registry, and expires there; what the registry does not hold (the
//! answer for a tag, a denial) is kept here. Used by [`crate::mcp::feature::tasks`] under the
//! lock of its table.

use std::time::{Duration, Instant};

use crate::audit::Ts;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::inflight::Ticket;
use crate::mcp::protocol::peer::Caller;
use crate::mcp::tools;
use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::RpcError;
use crate::task::{self, TagHandle, TaskHandle, Tasks};

/// A client is asked to come back after a quarter of the time that has passed, within
/// these bounds, so that short commands are seen soon and long ones cost little.
const POLL_LEAST_MS: u64 = 250;

/// What does the work behind a task.
pub(crate) enum Work {
    Run {
        handle: TaskHandle,
    },
    /// The handle follows (see [`crate::mcp::feature::tasks::attach`]): a run can be over before it returns one.
    Tag {
        handle: Option<TagHandle>,
        id: String,
        max_seconds: u32,
        keep_seconds: u32,
    },
    /// Nothing: it was over before it began. The id is made up for it.
    None {
        id: String,
    },
}

/// A task of the protocol.
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) work: Work,
    pub(crate) caller: Caller,
    pub(crate) cancelled: bool,
    pub(crate) done: Option<Done>,
    /// Who is to be told its result.
    pub(crate) waiting: Vec<(Caller, Ticket)>,
    created: Ts,
    updated: Ts,
    begun: Instant,
    /// The most it may take once its turn has come, and how long it is kept from its end.
    most: Duration,
    keep: Duration,
    poll_most_ms: u64,
}

/// How it ended.
pub(crate) struct Done {
    is_error: bool,
    /// Where the registry does not have it.
    answer: Option<Answer>,
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
    pub(crate) fn new(call: &Call, work: Work) -> Self {
        let (id, max_seconds, keep_seconds, poll_seconds) = match &work {
            Work::Run { handle } => {
                let limits = handle.limits();
                let id = handle.id().to_string();
                (
                    id,
                    limits.max_seconds,
                    limits.task_result_ttl,
                    limits.task_progress_interval,
                )
            }
            Work::Tag {
                id,
                max_seconds,
                keep_seconds,
                ..
            } => (id.clone(), *max_seconds, *keep_seconds, 5),
            Work::None { id } => (id.clone(), 0, 300, 5),
        };
        let now = Ts::now();
        Self {
            id,
            work,
            caller: call.caller.clone(),
            created: now,
            updated: now,
            begun: Instant::now(),
            most: Duration::from_secs(max_seconds.into()),
            keep: Duration::from_secs(keep_seconds.into()),
            poll_most_ms: u64::from(poll_seconds) * 1000,
            cancelled: false,
            done: None,
            waiting: Vec::new(),
        }
    }

    /// The work has ended; `answer` is what the registry does not have of it. Returns the
    /// answer wherever it is.
    pub(crate) fn end(&mut self, answer: Option<Answer>, tasks: &Tasks) -> Option<Answer> {
        let result = answer.clone().or_else(|| self.registry_answer(tasks));
        // Whoever cancelled it, by whichever name.
        self.cancelled |= match &self.work {
            Work::Run { handle } => handle.status().state == task::State::Cancelled,
            Work::Tag { .. } | Work::None { .. } => false,
        };
        self.updated = Ts::now();
        self.done = Some(Done {
            is_error: result.as_ref().is_some_and(|answer| answer.is_error),
            answer,
            after: self.begun.elapsed(),
        });
        result
    }

    /// In the modern form an answer with `isError` is a completed task all the same.
    pub(crate) fn state(&self) -> State {
        match &self.done {
            _ if self.cancelled => State::Cancelled,
            None => State::Working,
            Some(done) if done.is_error && !self.caller.version.is_modern() => State::Failed,
            Some(_) => State::Completed,
        }
    }

    /// What ends the work; to be called without the table's lock.
    pub(crate) fn cancel(&mut self) -> Box<dyn FnOnce() + Send> {
        if self.done.is_none() {
            self.cancelled = true;
            self.updated = Ts::now();
        }
        match &self.work {
            Work::Run { handle } => {
                let handle = handle.clone();
                Box::new(move || handle.cancel())
            }
            Work::Tag {
                handle: Some(handle),
                ..
            } => {
                let handle = handle.clone();
                Box::new(move || handle.cancel())
            }
            Work::Tag { handle: None, .. } | Work::None { .. } => Box::new(|| ()),
        }
    }

    /// The answer to the call that began it, in the words of who asks now.
    pub(crate) fn result(&self, tasks: &Tasks, caller: &Caller) -> Result<Json, RpcError> {
        let kept = self.done.as_ref().and_then(|done| done.answer.clone());
        let answer = kept.or_else(|| self.registry_answer(tasks));
        result(&self.id, answer.as_ref(), caller)
    }

    fn registry_answer(&self, tasks: &Tasks) -> Option<Answer> {
        match &self.work {
            Work::Run { handle } => {
                let outcome = tasks.result(handle.id()).ok()?;
                Some(tools::run_answer(&outcome))
            }
            Work::Tag { .. } | Work::None { .. } => None,
        }
    }

    pub(crate) fn is_expired(&self, tasks: &Tasks) -> bool {
        match (&self.done, &self.work) {
            (None, _) => false,
            (Some(_), Work::Run { handle }) => tasks.status(handle.id()).is_err(),
            (Some(_), _) => self.begun.elapsed() > self.kept_for(),
        }
    }

    /// From its beginning. What is yet to end takes its full time, or waits for it.
    fn kept_for(&self) -> Duration {
        let ended = self.done.as_ref().map(|done| done.after);
        ended.unwrap_or_else(|| self.begun.elapsed().max(self.most)) + self.keep
    }

    pub(crate) fn size(&self) -> usize {
        let answer = self.done.as_ref().and_then(|done| done.answer.as_ref());
        answer.map_or(0, Answer::size)
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
    /// The result has expired.
    pub(crate) fn in_full(
        &self,
        object: Object,
        tasks: &Tasks,
        caller: &Caller,
    ) -> Result<Json, RpcError> {
        let task = self.members(object, caller);
        match self.state() {
            State::Working | State::Cancelled => Ok(task.end()),
            State::Completed | State::Failed => {
                Ok(task.json("result", &self.result(tasks, caller)?).end())
            }
        }
    }

    fn members(&self, object: Object, caller: &Caller) -> Object {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let elapsed = millis(self.begun.elapsed());
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
    }
}

/// The result of the task `id`: this answer in the words of who asks for it.
///
/// # Errors
/// There is no answer any more.
pub(crate) fn result(id: &str, answer: Option<&Answer>, caller: &Caller) -> Result<Json, RpcError> {
    let answer = answer.ok_or_else(|| RpcError::invalid_params("The task's result has expired"))?;
    let related = Object::new().field("taskId", id).end();
    let meta = Object::new().when(caller.version.has_core_tasks(), |meta| {
        meta.json("io.modelcontextprotocol/related-task", &related)
    });
    Ok(answer.to_result(caller, meta))
}

/// ISO 8601 in the form of RFC 3339.
fn time(at: Ts) -> String {
    at.iso().replace("+0000", "Z")
}
