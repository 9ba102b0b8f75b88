//! Looking after tasks by their id: state, output, result, end.
//!
//! Owns `ssh_get_task_status`, `ssh_get_task_output`, `ssh_get_task_result`, `ssh_cancel`
//! and `ssh_cancel_async_task`. Knows every task alike, waited for or not. Called by
//! [`crate::mcp::tools::serve`].

use crate::mcp::call::Call;
use crate::mcp::call::answer::{Answer, OUTPUT_BUDGET, cost};
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::tools::answers::run::{UNTRUSTED, result_fields, shown};
use crate::mcp::tools::arguments::{Args, fault};
use crate::mcp::wire::json::Object;
use crate::model::names::{MaxLines, TaskId};
use crate::task::{CancelError, Missing};

/// Bytes of one page of output: within the budget also where every character of it has
/// to be escaped twice.
const PAGE: usize = 128 * 1024;

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
                .field("progress_percent", &status.progress_percent)
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
    let outcome = match call.session.server.tasks.result(&id) {
        Ok(outcome) => outcome,
        Err(missing) => {
            return not_there(
                call,
                "ssh_get_task_result",
                &id,
                missing,
                "Task not found or expired",
            );
        }
    };
    let (shown, left_out) = shown(&outcome);
    let head = Object::new()
        .field("task_id", id.as_str())
        .field("status", outcome.state.as_str());
    let result = result_fields(head, outcome.facts(), &shown, left_out);
    Answer::of(result.field("max_seconds", &outcome.max_seconds)).untrusted(UNTRUSTED)
}

/// `ssh_get_task_output`: the last lines, or a page.
pub(crate) fn output(call: &Call) -> Answer {
    let asked = Args::of(call).and_then(|args| {
        let id = args.task_id()?;
        Ok((id, args.max_lines()?, args.number("offset")?))
    });
    let (id, lines, offset) = match asked {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    call.reply
        .tell(&Event::new(Level::Debug, "ssh_get_task_output", |fields| {
            fields
                .field("task_id", id.as_str())
                .field("max_lines", &lines.get())
        }));
    let answer = match offset {
        None => tail(call, &id, lines),
        Some(offset) => page(call, &id, offset),
    };
    answer.unwrap_or_else(|missing| {
        let text = "Task not found or no output available";
        not_there(call, "ssh_get_task_output", &id, missing, text)
    })
}

fn tail(call: &Call, id: &TaskId, lines: MaxLines) -> Result<Answer, Missing> {
    let tail = call.session.server.tasks.tail(id, lines.get())?;
    // From the end backwards, as many as one answer holds.
    let mut room = OUTPUT_BUDGET;
    let fitting = tail.lines.iter().rev().take_while(|line| {
        let needed = cost(line) + 8;
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    });
    let fitting = fitting.count();
    let dropped = tail.lines.len() - fitting;
    let shown = tail.lines.get(dropped..).unwrap_or_default();
    let answer = Object::new()
        .field("task_id", id.as_str())
        .field("output_lines", shown)
        .field("total_lines", &tail.total_lines)
        .field("has_more", &(tail.has_more || dropped > 0))
        .field("next_offset", &tail.next_offset)
        .field("finished", &tail.finished);
    let note = "Not all of these lines fit into one answer; read them in pages with offset.";
    let answer = answer.when(dropped > 0, |answer| answer.field("notes", &[note]));
    Ok(Answer::of(answer).untrusted(&["output_lines"]))
}

fn page(call: &Call, id: &TaskId, offset: u64) -> Result<Answer, Missing> {
    let page = call.session.server.tasks.page(id, offset, PAGE)?;
    let answer = Object::new()
        .field("task_id", id.as_str())
        .field("text", &page.text)
        .field("offset", &page.offset)
        .field("next_offset", &page.next_offset)
        .field("available", &page.available)
        .field(
            "has_more",
            &(page.next_offset < page.available || !page.finished),
        )
        .field("finished", &page.finished);
    Ok(Answer::of(answer).untrusted(&["text"]))
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
        Err(CancelError::Missing(_)) => otherwise.to_owned(),
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
    let id = Args::of(call)?.task_id()?;
    call.reply.tell(&Event::new(Level::Debug, name, |fields| {
        fields.field("task_id", id.as_str())
    }));
    Ok(id)
}

/// `unknown` is what the tool says of a task that never was or has expired.
fn not_there(call: &Call, name: &str, id: &TaskId, missing: Missing, unknown: &str) -> Answer {
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
