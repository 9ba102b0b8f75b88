//! The protocol's own tasks, in both forms.
//!
//! Owns the table of tasks ([`crate::mcp::feature::task`] says what one is), bounded in number,
//! in bytes and in time, who
//! waits for an end, and the methods in both forms. Begins no work and knows no tool: a
//! call's reply puts its task in and ends it. Approval comes before a task exists, so a
//! task never waits for input. Called by `dispatch` and by [`crate::mcp::call::reply`]; the
//! lock of `subscriptions` is taken after the table's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

use crate::mcp::call::answer::Answer;
use crate::mcp::call::inflight::Ticket;
use crate::mcp::feature::cursor::Pager;
use crate::mcp::feature::subscriptions::{Filter, Subscriptions, missing_tasks};
use crate::mcp::feature::task::{self, Entry, State};
use crate::mcp::protocol::peer::Caller;
use crate::mcp::wire::json::{Json, Object, array};
use crate::mcp::wire::message::{self, Params, RpcError};
use crate::mcp::wire::outbox::Outbox;

/// Most tasks that are remembered; the oldest finished one goes for a new one.
const MOST: usize = 4096;
/// Bytes of answers that are kept here.
const ANSWERS: usize = 16 << 20;

/// The tasks of one connection.
pub(crate) struct ProtocolTasks {
    table: Mutex<Vec<Entry>>,
    outbox: Arc<Outbox>,
    subscriptions: Arc<Subscriptions>,
}

impl ProtocolTasks {
    pub(crate) fn new(outbox: Arc<Outbox>, subscriptions: Arc<Subscriptions>) -> Self {
        Self {
            table: Mutex::default(),
            outbox,
            subscriptions,
        }
    }

    /// Takes a task in. `answer` answers the call that began it: not before others can ask
    /// for the task, and before anything is said of its end.
    pub(crate) fn insert(&self, entry: Entry, answer: impl FnOnce()) {
        let mut table = self.lock();
        answer();
        table.push(entry);
        make_room(&mut table);
    }

    /// Gives up what has expired; says when the next one does.
    pub(crate) fn expire(&self) -> Option<Instant> {
        let table = self.swept();
        table.iter().filter_map(Entry::expires).min()
    }

    /// The work behind this task has ended.
    pub(crate) fn end(&self, id: &str, answer: Answer) {
        let mut table = self.lock();
        let entry = table.iter_mut().find(|entry| entry.id == id);
        let Some(entry) = entry.filter(|entry| !entry.is_over()) else {
            return;
        };
        entry.end(answer.clone());
        self.subscriptions
            .tell_task(id, |caller, notice| entry.in_full(notice, caller).ok());
        if entry.caller.version.has_core_tasks() {
            let task = entry.flat(&entry.caller).end();
            let frame = message::notification("notifications/tasks/status", Some(&task));
            self.outbox.hint(frame);
        }
        let waiting = std::mem::take(&mut entry.waiting);
        make_room(&mut table);
        drop(table);
        // One after the other, and while others are served: many may wait, and each answer
        // may be near a frame's size.
        for (caller, ticket) in waiting {
            ticket.answer(Ok(task::result(id, &answer, &caller)));
        }
    }

    /// Ends the work behind this task; whether there was any to end.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        let switch = {
            let mut table = self.lock();
            let working = |entry: &&mut Entry| entry.id == id && entry.state() == State::Working;
            table.iter_mut().find(working).map(Entry::cancel)
        };
        switch.map(|switch| switch.set()).is_some()
    }

    /// Keeps how far this task has come, for who asks.
    pub(crate) fn note(&self, id: &str, text: &str) {
        let mut table = self.lock();
        if let Some(entry) = table.iter_mut().find(|entry| entry.id == id) {
            entry.note(text);
        }
    }

    /// Reports the progress of this task until its end was reported: a cancelled one
    /// ends before its command does.
    pub(crate) fn while_working(&self, id: &str, tell: impl FnOnce()) {
        let table = self.lock();
        let entry = table.iter().find(|entry| entry.id == id);
        if entry.is_none_or(|entry| entry.state() == State::Working) {
            tell();
        }
    }

    /// `subscriptions/listen`: opens a stream while no task can end, and tells at once of
    /// those asked for that are over, because whoever begins to listen after the end would
    /// wait for it in vain.
    pub(crate) fn listen(&self, ticket: Ticket, caller: Caller, params: &Params) {
        let mut filter = match Filter::read(&caller, params) {
            Ok(filter) => filter,
            Err(error) => return ticket.answer(Err(error)),
        };
        let table = self.swept();
        filter
            .tasks
            .retain(|id| table.iter().any(|entry| entry.id == *id));
        let ids = filter.tasks.clone();
        let over = table
            .iter()
            .filter(|entry| entry.is_over() && ids.contains(&entry.id));
        self.subscriptions
            .open(ticket, caller, filter, |listening| {
                for task in over {
                    listening.tell_task(|caller, notice| task.in_full(notice, caller).ok());
                }
            });
    }

    /// `tasks/result` (2025-11-25): answered once the task has ended.
    pub(crate) fn result(&self, ticket: Ticket, caller: Caller, params: &Params) {
        let mut table = self.swept();
        let entry = match find(&mut table, params) {
            Ok(entry) => entry,
            Err(error) => {
                drop(table);
                return ticket.answer(Err(error));
            }
        };
        if !entry.is_over() {
            // Those that were taken back would pile up for as long as it runs.
            entry.waiting.retain(|(_, other)| other.is_wanted());
            entry.waiting.push((caller, ticket));
            return;
        }
        let result = entry.result(&caller);
        drop(table);
        ticket.answer(result);
    }

    /// `tasks/get`, `tasks/list`, `tasks/cancel` as the core of 2025-11-25 has them.
    pub(crate) fn answer_core(
        &self,
        pager: &Pager,
        caller: &Caller,
        method: &str,
        params: &Params,
    ) -> Result<Json, RpcError> {
        let mut table = self.swept();
        match method {
            "tasks/list" => {
                let all: Vec<&Entry> = table.iter().collect();
                let (page, next) = pager.page("tasks", params, all)?;
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
                let switch = entry.cancel();
                let task = entry.flat(caller).end();
                drop(table);
                switch.set();
                Ok(task)
            }
            _ => Ok(find(&mut table, params)?.flat(caller).end()),
        }
    }

    /// `tasks/get`, `tasks/update`, `tasks/cancel` as the modern extension has them.
    pub(crate) fn answer_modern(
        &self,
        caller: &Caller,
        method: &str,
        params: &Params,
    ) -> Result<Json, RpcError> {
        if !caller.abilities.tasks {
            return Err(missing_tasks());
        }
        let mut table = self.swept();
        let entry = find(&mut table, params)?;
        match method {
            "tasks/get" => entry.in_full(caller.result(), caller),
            "tasks/cancel" => {
                let switch = entry.cancel();
                drop(table);
                switch.set();
                Ok(caller.result().end())
            }
            // No task of ours asks for anything, so no response is awaited.
            _ if params.get("inputResponses").is_some_and(Value::is_object) => {
                Ok(caller.result().end())
            }
            _ => Err(RpcError::invalid_params("inputResponses must be an object")),
        }
    }

    /// The table without what has expired.
    fn swept(&self) -> MutexGuard<'_, Vec<Entry>> {
        let mut table = self.lock();
        table.retain(|entry| !entry.is_expired());
        table
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
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
        let Some(oldest) = table.iter().position(Entry::is_over) else {
            break;
        };
        table.remove(oldest);
    }
}
