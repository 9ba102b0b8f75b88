//! One command on one host, not waited for.
//!
//! Owns `ssh_run_async` and the events in the life of such a task; with `detach` the
//! checks are the same, and [`crate::mcp::tools::jobs`] starts it. The checks are those
//! of `ssh_run`, the network's among them, before the task has a name. Called by
//! [`crate::mcp::tools::serve`] on a thread of its own.

use std::sync::Arc;

use serde_json::Value;

use crate::audit::{Audit, Record};
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::session::Session;
use crate::mcp::tools::answers::refusal::network_denied;
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::tools::input::target::Target;
use crate::mcp::tools::{jobs, looked, phase_name, spawn};
use crate::mcp::wire::json::{Json, Object};
use crate::model::job::JobId;
use crate::model::names::TaskId;
use crate::policy::{Authorised, Purpose, Verdict};
use crate::task::{Facts, Kind, Listener, NotTaken, Progress, State, TaskEvent};

/// `ssh_run_async`.
pub(crate) fn run(call: &Arc<Call>) {
    let mut target = match Target::of(call, "Async run error", Kind::Async) {
        Ok(target) => target,
        Err(refusal) => return looked(call, refusal),
    };
    match purpose(call, &target) {
        Ok(wanted) => target.purpose = wanted,
        Err(refusal) => return call.reply.end(refusal),
    }
    let verdict = match target.judge(call) {
        Ok(Verdict::Deny(denial)) => return call.reply.end(target.deny(call, &denial)),
        Ok(verdict) => verdict,
        Err(refusal) => return call.reply.end(refusal),
    };
    // Before a person is asked: no approval helps against the network policy.
    if let Err(refusal) = check_network(call, &target) {
        return call.reply.end(refusal);
    }
    match verdict {
        Verdict::Allow(authorised) => begin(call, &target, authorised),
        Verdict::Ask(question) => target.ask(call, question, approved),
        Verdict::Deny(denial) => call.reply.end(target.deny(call, &denial)),
    }
}

/// Goes on after a question. To start a job is to wait for its host, which takes a thread.
fn approved(call: &Arc<Call>, target: Target, settled: Result<Authorised, Answer>) {
    match (settled, &target.purpose) {
        (Err(answer), _) => call.reply.end(answer),
        (Ok(authorised), Purpose::Start(_)) => {
            spawn(call, move |call| begin(call, &target, authorised));
        }
        (Ok(authorised), Purpose::Run | Purpose::Care(_)) => begin(call, &target, authorised),
    }
}

fn begin(call: &Arc<Call>, target: &Target, authorised: Authorised) {
    let answer = match &target.purpose {
        Purpose::Start(job) => jobs::start(call, target, authorised, job),
        Purpose::Run | Purpose::Care(_) => start(call, target, authorised),
    };
    call.reply.end(answer.unwrap_or_else(|refusal| refusal));
}

/// Whether it is to go on by itself, under a name of its own.
fn purpose(call: &Call, target: &Target) -> Result<Purpose, Answer> {
    let args = Args::of(call)?;
    if args.flag("detach")? == Some(true) && args.has("stdin") {
        return Err(fault(
            "stdin and detach do not go together: a job is given nothing to read",
        ));
    }
    if args.flag("detach")? != Some(true) {
        return Ok(Purpose::Run);
    }
    if args.has("timeout") {
        return Err(fault(
            "timeout and detach do not go together: a job has no time limit, ssh_cancel ends it",
        ));
    }
    let job = JobId::new(target.hash, &call.session.server.tasks.token());
    job.map(Purpose::Start)
        .ok_or_else(|| fault("no name for a job"))
}

fn check_network(call: &Call, target: &Target) -> Result<(), Answer> {
    let tasks = &call.session.server.tasks;
    let checked = tasks.check_network(&call.audit, &target.snapshot, &target.alias);
    let Err(detail) = checked else {
        return Ok(());
    };
    let (command, begun) = (&target.command, target.begun);
    tasks.record_network_denial(&call.audit, &target.alias, command, detail, begun);
    let hostname = target.host()?.address.to_string();
    Err(network_denied(
        &target.alias,
        target.hash,
        &hostname,
        detail,
    ))
}

fn start(call: &Arc<Call>, target: &Target, authorised: Authorised) -> Result<Answer, Answer> {
    let watch = Arc::new(Watch {
        session: Arc::clone(&call.session),
        audit: call.audit.clone(),
        modern: call.caller().version.is_modern(),
        alias: target.alias.to_string(),
        hash: target.hash.to_string(),
    });
    let canonical = authorised.canonical_hash();
    let order = target.order(call, authorised, Kind::Async);
    let started = call.session.server.tasks.start(order, watch);
    let handle = started.map_err(|not_taken| match not_taken {
        NotTaken::Denied(overruled) => target.deny(call, &overruled.denial),
        NotTaken::Refused(refused) => Answer::error(format!("Async run error: {refused}")),
    })?;
    // Taken back before it is answered, nobody would ever learn the task's name.
    let unwanted = handle.clone();
    call.reply.when_cancelled(move || unwanted.cancel());
    let limits = handle.limits();
    Ok(Answer::of(
        Object::new()
            .field("task_id", handle.id().as_str())
            .field("status", "pending")
            .field("max_seconds", &limits.max_seconds)
            .field("keepAlive", &limits.task_result_ttl)
            .field("pollFrequency", &limits.task_progress_interval)
            .field("alias", target.alias.as_str())
            .field("command", target.command.as_str())
            .field("hash", &target.hash.to_string()),
    )
    .canonical(canonical))
}

/// Tells the client what becomes of the task, or the log where no client can be told.
struct Watch {
    session: Arc<Session>,
    audit: Audit,
    /// A modern client hears of a request only until it is answered.
    modern: bool,
    alias: String,
    hash: String,
}

impl Listener for Watch {
    fn on_event(&self, id: &TaskId, event: &TaskEvent) {
        match event {
            TaskEvent::Created(_) => {
                let payload = Object::new()
                    .field("alias", &self.alias)
                    .field("hash", &self.hash)
                    .field("status", "pending");
                self.tell(Level::Info, id, "created", &payload.end());
            }
            TaskEvent::Started | TaskEvent::Waiting(_) => {}
            TaskEvent::Progress(progress) => {
                self.tell(Level::Debug, id, "progress", &progress_payload(progress));
            }
            TaskEvent::Finished(outcome) => {
                let facts = outcome.facts();
                let (name, payload) = match facts.state {
                    State::Completed => ("completed", end_payload(facts)),
                    State::Cancelled => ("cancelled", cancel_payload(facts)),
                    _ => ("failed", end_payload(facts)),
                };
                self.tell(Level::Info, id, name, &payload);
            }
        }
    }
}

impl Watch {
    fn tell(&self, level: Level, id: &TaskId, name: &'static str, payload: &Json) {
        if !self.modern && self.session.hears_events() {
            let event = Event::of_task(level, id.as_str(), name, Some(payload));
            self.session.tell_legacy(&event);
        } else if level > Level::Debug {
            let payload: Value = serde_json::from_str(payload.as_str()).unwrap_or_default();
            let record = Record::async_task_event(name, id, payload);
            self.audit.emit(record);
        }
    }
}

fn progress_payload(progress: &Progress) -> Json {
    Object::new()
        .field("phase", phase_name(progress.phase))
        .field("bytes_read", &progress.bytes_read)
        .field("elapsed_ms", &progress.elapsed_ms)
        .field("max_seconds", &progress.max_seconds)
        .field("output_lines", &progress.output_lines)
        .end()
}

fn end_payload(facts: &Facts) -> Json {
    let target_ip = facts.target_ip.map(|address| address.to_string());
    Object::new()
        .field("exit_code", &facts.exit_code)
        .field("duration_ms", &facts.duration_ms)
        .field("cancelled", &facts.cancelled)
        .field("timeout", &facts.timeout)
        .field("target_ip", &target_ip.unwrap_or_default())
        .field("max_seconds", &facts.max_seconds)
        .maybe(
            "error",
            facts.error.as_ref().map(|error| error.text.as_str()),
        )
        .end()
}

fn cancel_payload(facts: &Facts) -> Json {
    Object::new()
        .field("reason", "user_requested")
        .field("max_seconds", &facts.max_seconds)
        .end()
}
