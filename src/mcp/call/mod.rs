//! One `tools/call` on its way: who asked, for what, and how to tell them.
//!
//! Owns the rules of what goes out on behalf of a call: progress only for a token and
//! strictly increasing, events only to who wants them, one answer, nothing after it.
//! Called by `dispatch` to begin, and by the tools.

pub(crate) mod answer;
pub(crate) mod approval;
pub(crate) mod inflight;
pub(crate) mod request_state;
pub(crate) mod server_requests;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::mcp::call::answer::Answer;
use crate::mcp::call::approval::Retry;
use crate::mcp::call::inflight::{Cancel, Ticket};
use crate::mcp::feature::logging::Event;
use crate::mcp::protocol::peer::Caller;
use crate::mcp::session::Session;
use crate::mcp::tools::definitions::Tool;
use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::{self, Params, RequestId, RpcError};

/// A call under way. Shared between the thread that serves it and who listens to its task.
pub(crate) struct Call {
    pub(crate) session: Arc<Session>,
    pub(crate) caller: Caller,
    pub(crate) tool: &'static Tool,
    pub(crate) arguments: Params,
    /// What a modern client sent along with its second attempt.
    pub(crate) retry: Option<Retry>,
    /// The call is to be answered with a protocol task.
    pub(crate) as_task: bool,
    pub(crate) cancellation: Arc<Cancel>,
    /// Gone once the call is answered.
    ticket: Mutex<Option<Ticket>>,
    reported: Mutex<Option<f64>>,
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
            Some(Value::Object(arguments)) => trimmed(arguments),
            Some(_) => {
                let error = RpcError::invalid_params("arguments must be an object");
                return Err((ticket, error));
            }
        };
        let as_task = match wants_task(&caller, tool, &params) {
            Ok(as_task) => as_task,
            Err(error) => return Err((ticket, error)),
        };
        Ok(Arc::new(Self {
            session: Arc::clone(session),
            retry: Retry::read(&params).filter(|_| caller.version.is_modern()),
            as_task,
            caller,
            tool,
            arguments,
            cancellation: ticket.cancellation(),
            ticket: Mutex::new(Some(ticket)),
            reported: Mutex::new(None),
        }))
    }

    /// Answers the call; only the first answer counts.
    pub(crate) fn finish(&self, answer: &Answer) {
        let result = answer.to_result(&self.caller, Object::new());
        self.finish_with(Ok(result));
    }

    /// Answers the call with something other than a tool's result.
    pub(crate) fn finish_with(&self, answer: Result<Json, RpcError>) {
        let ticket = self.lock_ticket().take();
        if let Some(ticket) = ticket {
            ticket.answer(answer);
        }
    }

    /// Sends a frame that belongs to the call and must arrive; whether it went.
    pub(crate) fn send(&self, frame: Json) -> bool {
        self.lock_ticket()
            .as_ref()
            .is_some_and(|ticket| ticket.send(frame))
    }

    /// Tells the client of an event, if it wants to hear of such.
    pub(crate) fn tell(&self, event: &Event) {
        if !self.caller.version.is_modern() {
            self.session.tell_legacy(event);
        } else if self
            .caller
            .log_level
            .is_some_and(|level| event.level >= level)
            && let Some(ticket) = self.lock_ticket().as_ref()
        {
            ticket.notify(event.to_frame());
        }
    }

    /// Reports progress, if the client gave a token. What does not increase is lifted to
    /// the least that does.
    pub(crate) fn progress(&self, progress: f64, total: f64, text: &str) {
        let Some(token) = &self.caller.progress_token else {
            return;
        };
        // Held while sending, so that values go out in the order they were settled.
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = match *reported {
            Some(last) if progress <= last => last + 0.001,
            _ => progress,
        };
        *reported = Some(progress);
        let frame = self.progress_frame(token, progress, total.max(progress), text);
        let ticket = self.lock_ticket();
        match ticket.as_ref() {
            Some(ticket) => ticket.notify(frame),
            // A core task's token stays good until the task ends (2025-11-25, tasks).
            None if self.as_task && self.caller.version.has_core_tasks() => {
                self.session.outbox.hint(frame);
            }
            None => {}
        }
    }

    fn progress_frame(&self, token: &RequestId, progress: f64, total: f64, text: &str) -> Json {
        let params = Object::new()
            .json("progressToken", &token.to_json())
            .field("progress", &rounded(progress))
            .field("total", &rounded(total))
            .when(self.caller.version.has_annotations(), |params| {
                params.field("message", text)
            })
            .end();
        message::notification("notifications/progress", Some(&params))
    }

    fn lock_ticket(&self) -> std::sync::MutexGuard<'_, Option<Ticket>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The arguments without blanks around texts: they mean nothing to any tool, and a line
/// full of them would be held for as long as the call takes.
fn trimmed(mut arguments: Params) -> Params {
    for value in arguments.values_mut() {
        if let Value::String(text) = value {
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

/// To the millisecond; 0.30000000000000004 helps nobody.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
