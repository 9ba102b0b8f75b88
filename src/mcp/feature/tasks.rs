//! The protocol's own tasks, in both forms, on top of the task registry.
//!
//! Owns the table of tasks ([`crate::mcp::feature::task`] says what one is), bounded, who waits
//! for an end, and the methods in both forms. Approval comes before a task exists, so a
//! task never waits for input. Called by `dispatch`, by the tools that run commands, and
//! by `subscriptions`, whose lock is taken after the table's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::audit::Ts;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::inflight::Ticket;
use crate::mcp::feature::subscriptions::missing_tasks;
use crate::mcp::feature::task;
pub(crate) use crate::mcp::feature::task::Work;
use crate::mcp::feature::task::{Entry, State};
use crate::mcp::protocol::peer::Caller;
use crate::mcp::session::Session;
use crate::mcp::wire::json::{Json, Object, array};
use crate::mcp::wire::message::{self, Params, RpcError};
use crate::task::{TagHandle, Tasks};

/// Most tasks that are remembered; the oldest finished one goes for a new one.
const MOST: usize = 4096;
/// Bytes of answers that are kept here.
const ANSWERS: usize = 16 << 20;

/// The tasks of one connection.
#[derive(Default)]
pub(crate) struct ProtocolTasks {
    table: Mutex<Vec<Entry>>,
}

/// Answers a call with a task whose work has begun.
pub(crate) fn begin(call: &Arc<Call>, work: Work) {
    let entry = Entry::new(call, work);
    let id = entry.id.clone();
    call.session.protocol_tasks.insert(call, entry);
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
    let mut entry = Entry::new(call, Work::None { id });
    entry.end(Some(answer.clone()), &call.session.server.tasks);
    call.session.protocol_tasks.insert(call, entry);
}

/// The work behind a task has ended; `answer` is what the registry does not have of it.
pub(crate) fn finished(session: &Session, id: &str, answer: Option<Answer>) {
    let tasks = &session.server.tasks;
    let mut table = session.protocol_tasks.lock();
    let entry = table.iter_mut().find(|entry| entry.id == id);
    let Some(entry) = entry.filter(|entry| entry.done.is_none()) else {
        return;
    };
    let answer = entry.end(answer, tasks);
    session.subscriptions.tell_task(id, |caller, notice| {
        entry.in_full(notice, tasks, caller).ok()
    });
    if entry.caller.version.has_core_tasks() {
        let task = entry.flat(&entry.caller).end();
        let frame = message::notification("notifications/tasks/status", Some(&task));
        session.outbox.hint(frame);
    }
    let waiting = std::mem::take(&mut entry.waiting);
    make_room(&mut table);
    drop(table);
    // One after the other, and while others are served: many may wait, and each answer may
    // be near a frame's size.
    for (caller, ticket) in waiting {
        ticket.answer(task::result(id, answer.as_ref(), &caller));
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
        // Those that were taken back would pile up for as long as it runs.
        entry.waiting.retain(|(_, other)| other.is_wanted());
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
        "tasks/get" => entry.in_full(caller.result(), tasks, caller),
        "tasks/cancel" => {
            let stop = entry.cancel();
            drop(table);
            stop();
            Ok(caller.result().end())
        }
        // No task of ours asks for anything, so no response is awaited.
        _ if params.get("inputResponses").is_some_and(Value::is_object) => {
            Ok(caller.result().end())
        }
        _ => Err(RpcError::invalid_params("inputResponses must be an object")),
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

/// The oldest that are over make room for others, in number and in memory.
fn make_room(table: &mut Vec<Entry>) {
    let held = |table: &Vec<Entry>| table.iter().map(Entry::size).sum::<usize>();
    while table.len() > MOST || held(table) > ANSWERS {
        let Some(oldest) = table.iter().position(|entry| entry.done.is_some()) else {
            break;
        };
        table.remove(oldest);
    }
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

    /// Takes a task in, and answers the call that began it: not before others can ask for
    /// the task, and before anything is said of its end.
    fn insert(&self, call: &Call, entry: Entry) {
        let mut table = self.lock();
        call.finish_with(Ok(entry.created_result(&call.caller)));
        table.push(entry);
        make_room(&mut table);
    }

    /// Tells of the progress of this task, as long as it is not said to be over: a cancelled
    /// one is before its command has ended.
    pub(crate) fn while_working(&self, id: &str, tell: impl FnOnce()) {
        let table = self.lock();
        let entry = table.iter().find(|entry| entry.id == id);
        if entry.is_none_or(|entry| entry.state() == State::Working) {
            tell();
        }
    }

    /// Does `add` for those of these tasks that there are, while none of them can end, and
    /// gives it what there is to tell at once: of those that are over.
    pub(crate) fn listen(
        &self,
        tasks: &Tasks,
        ids: BTreeSet<String>,
        add: impl FnOnce(BTreeSet<String>, Vec<&Entry>),
    ) {
        let table = self.swept(tasks);
        let known = |id: &String| table.iter().any(|entry| entry.id == *id);
        let ids: BTreeSet<String> = ids.into_iter().filter(known).collect();
        let over = |entry: &&Entry| ids.contains(&entry.id) && entry.done.is_some();
        let over = table.iter().filter(over).collect();
        add(ids.clone(), over);
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
