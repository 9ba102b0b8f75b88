//! What the tools do: a call with its arguments → an answer.
//!
//! Owns which tools are quick enough for the reading thread, and hands every call's answer
//! to its reply. A tool does not know whether that goes out directly, in a batch or as a
//! task of the protocol. Called by `dispatch`.

pub(crate) mod answers;
pub(crate) mod definitions;
pub(crate) mod files;
pub(crate) mod hosts;
pub(crate) mod input;
pub(crate) mod jobs;
pub(crate) mod output;
pub(crate) mod plan;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod run_async;
pub(crate) mod run_on_tag;
pub(crate) mod schema;
pub(crate) mod tasks;

use std::sync::Arc;

use crate::audit::{Looked, Record, Ts};
use crate::config::Snapshot;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::tools::definitions::Id;
use crate::model::names::HostAlias;
use crate::policy::Code;
use crate::task::Phase;

/// Stack of a thread that serves a call, in bytes. Only what is touched is backed.
const STACK: usize = 512 * 1024;

/// Bytes that a call takes, beside twice its arguments, while its command waits or runs; and
/// one that waits on a thread of its own.
const CALL: usize = 4 * 1024;
const WAITING_CALL: usize = 32 * 1024;

/// Serves a call, now or later.
pub(crate) fn serve(call: Arc<Call>) {
    let takes = match call.tool.id {
        Id::Run | Id::RunAsync | Id::RunOnTag => CALL + 2 * call.weight(),
        Id::TaskStatus | Id::TaskResult | Id::TaskOutput => WAITING_CALL,
        Id::FetchFile | Id::SendFile => WAITING_CALL,
        Id::DiffFile => WAITING_CALL + 2 * call.weight(),
        _ => 0,
    };
    let waits = call.arguments.contains_key("wait_seconds");
    if (takes != WAITING_CALL || waits)
        && let Err(refusal) = call.reserve(takes)
    {
        return call.reply.end(refusal);
    }
    match call.tool.id {
        Id::Ping => call.reply.end(hosts::ping(&call)),
        // Whoever asks a host needs a thread to wait on.
        Id::TaskStatus | Id::TaskResult | Id::TaskOutput | Id::Cancel | Id::CancelAsync
            if jobs::asked_for(&call).is_some() =>
        {
            spawn(&call, |call| match call.tool.id {
                Id::TaskStatus => call.reply.end(jobs::status(call)),
                Id::TaskResult => call.reply.end(jobs::result(call)),
                Id::TaskOutput => call.reply.end(output::output(call)),
                _ => call.reply.end(jobs::cancel(call)),
            });
        }
        Id::ListTasks => spawn(&call, |call| call.reply.end(jobs::list(call))),
        // And whoever waits for a task.
        Id::TaskStatus | Id::TaskResult | Id::TaskOutput
            if call.arguments.contains_key("wait_seconds") =>
        {
            spawn(&call, |call| match call.tool.id {
                Id::TaskStatus => call.reply.end(tasks::status(call)),
                Id::TaskResult => call.reply.end(tasks::result(call)),
                _ => call.reply.end(output::output(call)),
            });
        }
        Id::ListHosts => looked(&call, hosts::list_hosts(&call)),
        Id::DescribeHost => looked(&call, hosts::describe_host(&call)),
        Id::Plan => plan::plan(&call),
        Id::Cancel => looked(&call, tasks::cancel(&call)),
        Id::CancelAsync => looked(&call, tasks::cancel_async(&call)),
        Id::TaskStatus => call.reply.end(tasks::status(&call)),
        Id::TaskResult => call.reply.end(tasks::result(&call)),
        Id::TaskOutput => call.reply.end(output::output(&call)),
        // Judging is quick, and a question to a person waits with the others.
        Id::Run => run::run(&call),
        Id::ReadFile => files::text::read(&call),
        Id::WriteFile => files::text::write(&call),
        // A large file takes its time to be hashed.
        Id::FetchFile => spawn(&call, files::transfer::fetch),
        Id::SendFile => spawn(&call, files::transfer::send),
        Id::DiffFile => spawn(&call, files::diff::diff),
        Id::RunAsync => spawn(&call, run_async::run),
        Id::RunOnTag => spawn(&call, run_on_tag::run),
        Id::ReloadConfig => spawn(&call, reload::reload),
    }
}

/// Answers a call that ran nothing, and puts on record that there was one.
fn looked(call: &Call, answer: Answer) {
    record_look(call, &answer, None);
    call.reply.end(answer);
}

/// `judged`: what a plan came to, and by what.
fn record_look(call: &Call, answer: &Answer, judged: Option<(&'static str, Code)>) {
    let (alias, task) = (call.alias(), call.task_id());
    let audit = match &task {
        Some(task) => call.audit.of_task(task),
        None => call.audit.clone(),
    };
    audit.emit(Record::Call(Looked {
        ts: Ts::now(),
        tool: call.tool.name,
        outcome: match answer.is_error {
            true => "refused",
            false => "answered",
        },
        alias,
        hash: call.command_hash(),
        verdict: judged.map(|(verdict, _)| verdict),
        code: judged.map(|(_, code)| code.as_str()),
    }));
}

/// Goes on with a call on a thread of its own.
fn spawn(call: &Arc<Call>, work: impl FnOnce(&Arc<Call>) + Send + 'static) {
    let (owned, busy) = (Arc::clone(call), call.session.busy());
    let thread = std::thread::Builder::new()
        .name("mcp-call".to_owned())
        .stack_size(STACK);
    let serve = move || {
        work(&owned);
        drop(busy);
    };
    if let Err(error) = thread.spawn(serve) {
        call.audit.emit(Record::error("thread_exception", error));
        let text = "Error: the server is out of threads; nothing was run, try again later";
        call.reply.end(Answer::error(text));
    }
}

/// What an alias that no host has is answered; it is an alias, so it may be repeated.
fn unknown_host(prefix: &str, alias: &HostAlias, snapshot: &Snapshot) -> Answer {
    let aliases = snapshot.hosts().iter().map(|host| host.alias.as_str());
    let nearest = match nearest(alias.as_str(), aliases) {
        Some(nearest) => format!(" (nearest: {nearest})"),
        None => " (ssh_list_hosts tells which there are)".to_owned(),
    };
    Answer::error(format!("{prefix}: Host alias not found: {alias}{nearest}"))
}

/// The name that differs least from what was asked for, if it is near enough to be meant.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = wanted.chars().count() / 3 + 1;
    names
        .map(|name| (distance(wanted, name), name))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance, without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A phase, as the log spells it too.
fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting => "connecting",
        Phase::Connected => "connected",
        Phase::Running => "running",
    }
}
