//! The protocol's own tasks, in both forms, on top of the task registry.
//!
//! Owns the view of a run as a task of the protocol: its states, its result once it has
//! one, who waits for it. A run on one host keeps its id and its output in the registry,
//! and expires there; what the registry does not hold (the answer for a tag, a denial) is
//! kept here, bounded. Approval comes before a task exists, so a task never waits for
//! input. Called by `dispatch` and by the tools that run commands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::caller::Caller;
use super::inflight::Ticket;
use super::json::{Json, Object, array};
use super::message::{self, Params, RpcError};
use super::session::Session;
use super::subscriptions::missing_tasks;
use super::tools;
use crate::audit::Ts;
use crate::task::{TagHandle, TaskHandle, Tasks};

/// Most tasks that are remembered; the oldest finished one goes for a new one.
const MOST: usize = 4096;
/// Bytes of answers that are kept here.
const ANSWERS: usize = 16 << 20;
/// A client is asked to come back after a quarter of the time that has passed, within
/// these bounds, so that short commands are seen soon and long ones cost little.
const POLL_LEAST_MS: u64 = 250;

/// What does the work behind a task.
pub(crate) enum Work {
    Run {
        handle: TaskHandle,
    },
    /// The handle follows (see [`attach`]): a run can be over before it returns one.
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

/// The tasks of one connection.
#[derive(Default)]
pub(crate) struct ProtocolTasks {
    table: Mutex<Vec<Entry>>,
}

struct Entry {
    id: String,
    work: Work,
    caller: Caller,
    created: Ts,
    updated: Ts,
    begun: Instant,
    /// Milliseconds from the beginning for which a client may count on it.
    ttl_ms: u64,
    poll_most_ms: u64,
    cancelled: bool,
    done: Option<Done>,
    waiting: Vec<(Caller, Ticket)>,
}

struct Done {
    is_error: bool,
    /// Where the registry does not have it.
    answer: Option<Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Working,
    Completed,
    Failed,
    Cancelled,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Answers a call with a task whose work has begun.
pub(crate) fn begin(call: &Arc<Call>, work: Work) {
    let entry = Entry::new(call, work, None);
    let (id, created) = (entry.id.clone(), entry.created_result(&call.caller));
    call.session.protocol_tasks.insert(entry);
    call.finish_with(Ok(created));
    // Its end may have come before it was in the table.
    if let Some(done) = call
        .session
        .protocol_tasks
        .ended_already(&call.session.server.tasks, &id)
    {
        finished(&call.session, &id, done);
    }
}

/// Hands a task of several hosts what ends it.
pub(crate) fn attach(session: &Session, id: &str, running: TagHandle) {
    let mut table = session.protocol_tasks.lock();
    let Some(entry) = table.iter_mut().find(|entry| entry.id == id) else {
        return;
    };
    let cancelled = entry.cancelled;
    if let Work::Tag { handle, .. } = &mut entry.work {
        *handle = Some(running.clone());
    }
    drop(table);
    if cancelled {
        running.cancel();
    }
}

/// Answers a call that came to no run. Where a legacy client asked for a task it gets
/// one, over already, because it expects nothing else.
pub(crate) fn finish_early(call: &Call, answer: &Answer) {
    if !call.as_task || call.caller.version.is_modern() {
        call.finish(answer);
        return;
    }
    let id = format!("denied:{}", Ts::now().micros());
    let done = Done {
        is_error: answer.is_error,
        answer: Some(answer.clone()),
    };
    let entry = Entry::new(call, Work::None { id }, Some(done));
    let created = entry.created_result(&call.caller);
    call.session.protocol_tasks.insert(entry);
    call.finish_with(Ok(created));
}

/// The work behind a task has ended; `answer` is what the registry does not have of it.
pub(crate) fn finished(session: &Session, id: &str, answer: Option<Answer>) {
    let tasks = &session.server.tasks;
    let (waiting, notice) = {
        let mut table = session.protocol_tasks.lock();
        let Some(entry) = table.iter_mut().find(|entry| entry.id == id) else {
            return;
        };
        if entry.done.is_some() {
            return;
        }
        let result = answer.clone().or_else(|| entry.registry_answer(tasks));
        entry.updated = Ts::now();
        entry.done = Some(Done {
            is_error: result.is_some_and(|answer| answer.is_error),
            answer,
        });
        let notice = entry
            .caller
            .version
            .has_core_tasks()
            .then(|| entry.flat(&entry.caller));
        let waiting = std::mem::take(&mut entry.waiting);
        let results: Vec<_> = waiting
            .into_iter()
            .map(|(caller, ticket)| (ticket, entry.result(tasks, &caller)))
            .collect();
        (results, notice)
    };
    for (ticket, result) in waiting {
        ticket.answer(result);
    }
    if let Some(task) = notice {
        let frame = message::notification("notifications/tasks/status", Some(&task.end()));
        session.outbox.hint(frame);
    }
}

/// `tasks/result` (2025-11-25): answered once the task has ended.
pub(crate) fn result(session: &Arc<Session>, ticket: Ticket, caller: Caller, params: &Params) {
    let tasks = &session.server.tasks;
    let mut table = session.protocol_tasks.swept(tasks);
    let entry = match find(&mut table, params) {
        Ok(entry) => entry,
        Err(error) => {
            drop(table);
            return ticket.answer(Err(error));
        }
    };
    if entry.done.is_none() {
        entry.waiting.push((caller, ticket));
        return;
    }
    let result = entry.result(tasks, &caller);
    drop(table);
    ticket.answer(result);
}

/// `tasks/get`, `tasks/list`, `tasks/cancel` as the core of 2025-11-25 has them.
pub(crate) fn answer_core(
    session: &Arc<Session>,
    caller: &Caller,
    method: &str,
    params: &Params,
) -> Result<Json, RpcError> {
    let tasks = &session.server.tasks;
    let mut table = session.protocol_tasks.swept(tasks);
    match method {
        "tasks/list" => {
            let all: Vec<&Entry> = table.iter().collect();
            let (page, next) = session.pager.page("tasks", params, all)?;
            let page: Vec<Json> = page
                .into_iter()
                .map(|entry| entry.flat(caller).end())
                .collect();
            Ok(Object::new()
                .json("tasks", &array(&page))
                .maybe("nextCursor", next)
                .end())
        }
        "tasks/cancel" => {
            let entry = find(&mut table, params)?;
            if entry.state() != State::Working {
                return Err(RpcError::invalid_params("The task has ended already"));
            }
            let stop = entry.cancel();
            let task = entry.flat(caller).end();
            drop(table);
            stop();
            Ok(task)
        }
        _ => Ok(find(&mut table, params)?.flat(caller).end()),
    }
}

/// `tasks/get`, `tasks/update`, `tasks/cancel` as the modern extension has them.
pub(crate) fn answer_modern(
    session: &Arc<Session>,
    caller: &Caller,
    method: &str,
    params: &Params,
) -> Result<Json, RpcError> {
    if !caller.abilities.tasks {
        return Err(missing_tasks());
    }
    let tasks = &session.server.tasks;
    let mut table = session.protocol_tasks.swept(tasks);
    let entry = find(&mut table, params)?;
    match method {
        "tasks/get" => {
            let task = entry.flat(caller);
            if entry.done.is_none() || entry.state() == State::Cancelled {
                return Ok(task.end());
            }
            Ok(task.json("result", &entry.result(tasks, caller)?).end())
        }
        "tasks/cancel" => {
            let stop = entry.cancel();
            drop(table);
            stop();
            Ok(caller.result().end())
        }
        // No task of ours asks for anything, so no response is awaited.
        _ => Ok(caller.result().end()),
    }
}

fn find<'a>(table: &'a mut [Entry], params: &Params) -> Result<&'a mut Entry, RpcError> {
    let id = params
        .get("taskId")
        .and_then(Value::as_str)
        .ok_or_else(|| RpcError::invalid_params("taskId is required"))?;
    table
        .iter_mut()
        .find(|entry| entry.id == id)
        .ok_or_else(|| RpcError::invalid_params("Task not found or expired"))
}

impl ProtocolTasks {
    /// Ends the task of this id; whether there was one to end.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        let stop = {
            let mut table = self.lock();
            let working = |entry: &&mut Entry| entry.id == id && entry.state() == State::Working;
            table.iter_mut().find(working).map(Entry::cancel)
        };
        stop.map(|stop| stop()).is_some()
    }

    fn insert(&self, entry: Entry) {
        let mut table = self.lock();
        table.push(entry);
        // The oldest that are over make room, for number and for memory.
        let held = |table: &Vec<Entry>| table.iter().map(Entry::size).sum::<usize>();
        while table.len() > MOST || held(&table) > ANSWERS {
            let Some(oldest) = table.iter().position(|entry| entry.done.is_some()) else {
                break;
            };
            table.remove(oldest);
        }
    }

    /// What to say of a run's end that was told before the run was in the table.
    fn ended_already(&self, tasks: &Tasks, id: &str) -> Option<Option<Answer>> {
        let mut table = self.lock();
        let entry = table.iter_mut().find(|entry| entry.id == id)?;
        match &entry.work {
            Work::Run { handle } => tasks.result(handle.id()).ok().map(|_| None),
            Work::Tag { .. } | Work::None { .. } => None,
        }
    }

    /// The table without what has expired.
    fn swept(&self, tasks: &Tasks) -> MutexGuard<'_, Vec<Entry>> {
        let mut table = self.lock();
        table.retain(|entry| !entry.is_expired(tasks));
        table
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(call: &Call, work: Work, done: Option<Done>) -> Self {
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
            ttl_ms: (u64::from(max_seconds) + u64::from(keep_seconds)) * 1000,
            poll_most_ms: u64::from(poll_seconds) * 1000,
            cancelled: false,
            done,
            waiting: Vec::new(),
        }
    }

    /// In the modern form an answer with `isError` is a completed task all the same.
    fn state(&self) -> State {
        match &self.done {
            _ if self.cancelled => State::Cancelled,
            None => State::Working,
            Some(done) if done.is_error && !self.caller.version.is_modern() => State::Failed,
            Some(_) => State::Completed,
        }
    }

    /// What ends the work; to be called without the table's lock.
    fn cancel(&mut self) -> Box<dyn FnOnce() + Send> {
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
    fn result(&self, tasks: &Tasks, caller: &Caller) -> Result<Json, RpcError> {
        let kept = self.done.as_ref().and_then(|done| done.answer.clone());
        let answer = kept
            .or_else(|| self.registry_answer(tasks))
            .ok_or_else(|| RpcError::invalid_params("The task's result has expired"))?;
        let related = Object::new().field("taskId", &self.id).end();
        let meta = Object::new().when(caller.version.has_core_tasks(), |meta| {
            meta.json("io.modelcontextprotocol/related-task", &related)
        });
        Ok(answer.to_result(caller, meta))
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

    fn is_expired(&self, tasks: &Tasks) -> bool {
        let over = self.begun.elapsed() > Duration::from_millis(self.ttl_ms);
        match (&self.done, &self.work) {
            (None, _) => false,
            (Some(_), Work::Run { handle }) => tasks.status(handle.id()).is_err(),
            (Some(_), _) => over,
        }
    }

    fn size(&self) -> usize {
        let answer = self.done.as_ref().and_then(|done| done.answer.as_ref());
        answer.map_or(0, Answer::size)
    }

    /// The answer that creates it.
    fn created_result(&self, caller: &Caller) -> Json {
        if caller.version.is_modern() {
            self.members(caller.result_of("task"), caller).end()
        } else {
            let task = self.members(Object::new(), caller).end();
            Object::new().json("task", &task).end()
        }
    }

    /// The task as the members of a result.
    fn flat(&self, caller: &Caller) -> Object {
        self.members(caller.result(), caller)
    }

    fn members(&self, object: Object, caller: &Caller) -> Object {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
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
            .field(ttl, &self.ttl_ms)
            .field(interval, &poll)
    }
}

/// ISO 8601 in the form of RFC 3339.
fn time(at: Ts) -> String {
    at.iso().replace("+0000", "Z")
}
