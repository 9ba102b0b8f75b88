//! Looking after tasks by their id: state, result, end.
//!
//! Owns `ssh_get_task_status`, `ssh_get_task_result`, `ssh_cancel` and
//! `ssh_cancel_async_task`. Knows every task alike, waited for or not. Called by
//! [`crate::mcp::tools::serve`], on a thread of its own where it is to wait.

use std::time::Instant;

use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::tools::answers;
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::wire::json::Object;
use crate::model::names::TaskId;
use crate::task::{CancelError, Missing, Shape};

/// Characters of an answer where the host is not in the configuration any more.
const ANSWER_CHARS: u32 = 16_000;

/// `ssh_get_task_status`.
pub(crate) fn status(call: &Call) -> Answer {
    let id = match asked_for(call, "ssh_get_task_status") {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    match call.session.server.tasks.status(&id) {
        Ok(status) => Answer::of(
            Object::new()
                .field("task_id", id.as_str())
                .field("status", status.state.as_str())
                .field("keepAlive", &status.keep_alive_seconds)
                .field("pollFrequency", &status.poll_seconds)
                .field("max_seconds", &status.max_seconds)
                .when(status.state.is_finished(), |answer| {
                    answer.field("progress_percent", &100)
                })
                .field("elapsed_ms", &status.elapsed_ms)
                .field("bytes_read", &status.bytes_read)
                .field("output_lines_available", &status.output_lines)
                .maybe("queue_position", status.ahead),
        ),
        Err(missing) => not_there(call, "ssh_get_task_status", &id, missing, "Task not found"),
    }
}

/// `ssh_get_task_result`.
pub(crate) fn result(call: &Call) -> Answer {
    let id = match asked_for(call, "ssh_get_task_result") {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    let shape = match shape(call, &id) {
        Ok(shape) => shape,
        Err(answer) => return answer,
    };
    match call.session.server.tasks.result(&id) {
        Ok(outcome) => answers::run::answer_by_id(&outcome, shape),
        Err(missing) => {
            let text = "Task not found or expired";
            not_there(call, "ssh_get_task_result", &id, missing, text)
        }
    }
}

fn shape(call: &Call, id: &TaskId) -> Result<Shape, Answer> {
    Args::of(call)?.shape(answer_chars(call, id))
}

/// Most characters of an answer about this task, by the configuration in force.
pub(crate) fn answer_chars(call: &Call, id: &TaskId) -> u32 {
    let server = &call.session.server;
    let Ok(status) = server.tasks.status(id) else {
        return ANSWER_CHARS;
    };
    let snapshot = server.store.current();
    snapshot.host(&status.alias).map_or(ANSWER_CHARS, |host| {
        let policy = snapshot.policy();
        policy.limits(host.alias.as_str(), &host.tags).answer_chars
    })
}

/// `ssh_cancel`: any task.
pub(crate) fn cancel(call: &Call) -> Answer {
    end(call, "ssh_cancel", "Task not found")
}

/// `ssh_cancel_async_task`.
pub(crate) fn cancel_async(call: &Call) -> Answer {
    end(
        call,
        "ssh_cancel_async_task",
        "Task not found or not cancellable",
    )
}

fn end(call: &Call, name: &'static str, otherwise: &str) -> Answer {
    let id = match Args::of(call).and_then(|args| args.task_id()) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    let session = &call.session;
    // A run on a tag as a task of the protocol has an id of its own.
    let ended = match session.server.tasks.cancel(&id) {
        Err(CancelError::Missing(_)) if session.protocol_tasks.cancel(id.as_str()) => Ok(()),
        ended => ended,
    };
    let message = match ended {
        Ok(()) => "Cancellation signaled".to_owned(),
        // Nothing was ended: a model that reads "false" only in passing would think it was.
        Err(CancelError::Missing(_)) => return fault(format!("{otherwise}: {id}")),
        Err(CancelError::Finished(state)) => {
            format!("{otherwise}: it has ended ({})", state.as_str())
        }
    };
    call.reply.tell(&Event::new(Level::Info, name, |fields| {
        fields
            .field("task_id", id.as_str())
            .field("cancelled", &ended.is_ok())
    }));
    Answer::of(
        Object::new()
            .field("task_id", id.as_str())
            .field("cancelled", &ended.is_ok())
            .field("message", &message),
    )
}

fn asked_for(call: &Call, name: &str) -> Result<TaskId, Answer> {
    let args = Args::of(call)?;
    let id = args.task_id()?;
    let until = Instant::now() + args.wait()?;
    call.reply.tell(&Event::new(Level::Debug, name, |fields| {
        fields.field("task_id", id.as_str())
    }));
    let given_up = || call.reply.is_cancelled() || call.session.is_closing();
    let tasks = &call.session.server.tasks;
    tasks.wait_for(&id, None, until, given_up);
    Ok(id)
}

/// `unknown` is what the tool says of a task that never was or has expired.
pub(crate) fn not_there(
    call: &Call,
    name: &str,
    id: &TaskId,
    missing: Missing,
    unknown: &str,
) -> Answer {
    let text = match missing {
        Missing::Unknown => unknown.to_owned(),
        Missing::Dropped | Missing::Unfinished => missing.to_string(),
    };
    call.reply.tell(&Event::new(
        Level::Debug,
        &format!("{name}_error"),
        |fields| fields.field("task_id", id.as_str()).field("error", &text),
    ));
    fault(format!("{text}: {id}"))
}
