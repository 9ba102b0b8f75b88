//! One `tools/call` on its way: which tool, with what, and the way back.
//!
//! Owns what is read of a call beside its arguments: whether it is to be answered with a
//! task, and what a modern client brings along with its second attempt. Called by
//! `dispatch` to begin, and by the tools.

pub(crate) mod answer;
pub(crate) mod approval;
pub(crate) mod elicitation_result;
pub(crate) mod grace;
pub(crate) mod inflight;
pub(crate) mod operator;
pub(crate) mod question;
pub(crate) mod reply;
pub(crate) mod request_state;
pub(crate) mod server_requests;
pub(crate) mod standing;
pub(crate) mod waiting;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::audit::Audit;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::elicitation_result::Retry;
use crate::mcp::call::inflight::Ticket;
use crate::mcp::call::reply::Reply;
use crate::mcp::feature::task::Work;
use crate::mcp::protocol::peer::Caller;
use crate::mcp::session::Session;
use crate::mcp::tools::definitions::Tool;
use crate::mcp::wire::message::{Params, RpcError};
use crate::model::memory::Held;
use crate::model::names::{CommandHash, CommandText, HostAlias, TaskId};

/// A call under way. Shared between the thread that serves it and who listens to its task.
pub(crate) struct Call {
    pub(crate) session: Arc<Session>,
    pub(crate) tool: &'static Tool,
    pub(crate) arguments: Params,
    /// What a modern client sent along with its second attempt.
    pub(crate) retry: Option<Retry>,
    pub(crate) reply: Reply,
    /// The way to the record, on which each line says who asked.
    pub(crate) audit: Audit,
    /// What it takes of the memory for calls, until it is over.
    held: Mutex<Vec<Held>>,
}

impl Call {
    pub(crate) fn new(
        session: &Arc<Session>,
        caller: Caller,
        ticket: Ticket,
        tool: &'static Tool,
        mut params: Params,
    ) -> Result<Arc<Self>, (Ticket, RpcError)> {
        let arguments = match params.remove("arguments") {
            None | Some(Value::Null) => Params::new(),
            Some(Value::Object(arguments)) => trimmed(tool, arguments),
            Some(_) => {
                let error = RpcError::invalid_params("arguments must be an object");
                return Err((ticket, error));
            }
        };
        let as_task = match wants_task(&caller, tool, &params) {
            Ok(as_task) => as_task,
            Err(error) => return Err((ticket, error)),
        };
        let asked = caller.asked(ticket.id(), &params);
        let ttl = params
            .get("task")
            .and_then(|task| task.get("ttl")?.as_u64());
        let ttl = ttl.filter(|_| as_task).map(Duration::from_millis);
        Ok(Arc::new(Self {
            audit: session.server.audit.asked_by(asked),
            session: Arc::clone(session),
            retry: Retry::read(&params).filter(|_| caller.version.is_modern()),
            tool,
            arguments,
            reply: Reply::new(session, caller, ticket, as_task, ttl),
            held: Mutex::default(),
        }))
    }

    /// Takes memory for as long as this call lasts.
    ///
    /// # Errors
    /// There is none left for calls: what to answer.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), Answer> {
        let held = self.session.server.tasks.reserve(bytes);
        let held = held.map_err(|refused| Answer::error(format!("Error: {refused}")))?;
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(held);
        Ok(())
    }

    /// Bytes that its arguments take, about.
    pub(crate) fn weight(&self) -> usize {
        self.arguments.values().map(weight).sum()
    }

    /// The work behind it has a name and goes on. Told before its end is. A client that takes
    /// tasks gets one: a legacy one, which asked for it, now; a modern one if the end does not
    /// come soon.
    pub(crate) fn began(self: &Arc<Self>, work: Work) {
        if self.reply.began(work) {
            let call = Arc::downgrade(self);
            self.session.grace.after(move || {
                if let Some(call) = call.upgrade() {
                    call.reply.becomes_task();
                }
            });
        }
    }

    /// The host that it names, if it is a name at all.
    pub(crate) fn alias(&self) -> Option<HostAlias> {
        HostAlias::parse(self.argument("alias")?).ok()
    }

    /// The task that it names, if it is a name at all.
    pub(crate) fn task_id(&self) -> Option<TaskId> {
        TaskId::parse(self.argument("task_id")?).ok()
    }

    /// The hash of the command that it names, if it is one at all.
    pub(crate) fn command_hash(&self) -> Option<CommandHash> {
        let command = CommandText::parse(self.argument("command")?).ok()?;
        Some(command.hash())
    }

    fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.get(name)?.as_str()
    }

    /// Who asks.
    pub(crate) fn caller(&self) -> &Caller {
        &self.reply.caller
    }
}

fn weight(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(members) => members.values().map(|value| 64 + weight(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}

/// The arguments without blanks around texts: they mean nothing to any tool but in what is
/// handed on as it is, and a line full of them would be held for as long as the call takes.
fn trimmed(tool: &Tool, mut arguments: Params) -> Params {
    for (name, value) in &mut arguments {
        if let Value::String(text) = value
            && !tool.takes_verbatim(name)
        {
            *text = text.trim().to_owned();
        }
    }
    arguments
}

/// Whether the answer is to be a protocol task: a legacy client says so in the call, for a
/// modern one it is decided here, as far as it declared that it takes one.
fn wants_task(caller: &Caller, tool: &Tool, params: &Params) -> Result<bool, RpcError> {
    if caller.version.is_modern() {
        return Ok(caller.abilities.tasks && tool.as_task);
    }
    let task = params.get("task").filter(|task| !task.is_null());
    let Some(task) = task.filter(|_| caller.version.has_core_tasks()) else {
        return Ok(false);
    };
    let ttl = task.get("ttl");
    if !task.is_object() || ttl.is_some_and(|ttl| !ttl.is_u64() && !ttl.is_null()) {
        let text = "task must be an object, its ttl whole milliseconds";
        return Err(RpcError::invalid_params(text));
    }
    match tool.as_task {
        true => Ok(true),
        false => Err(RpcError::not_as_task()),
    }
}
