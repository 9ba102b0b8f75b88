//! One command on one host, waited for.
//!
//! Owns `ssh_run`, from the call to the order and from the end of the task to the answer.
//! The steps themselves are in [`crate::mcp::tools::input::target`] and
//! [`crate::mcp::tools::answers`]. The call waits without a thread: the task answers it.
//! Called by [`crate::mcp::tools::serve`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::Record;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::feature::task::Work;
use crate::mcp::tools::input::target::Target;
use crate::mcp::tools::{answers, looked, phase_name};
use crate::mcp::wire::json::Object;
use crate::model::names::{CommandHash, HostAlias, TaskId};
use crate::policy::Authorised;
use crate::task::{Kind, Listener, NotTaken, Progress, Shape, TaskEvent, Waiting};

/// `ssh_run`.
pub(crate) fn run(call: &Arc<Call>) {
    let begun = Instant::now();
    // Arguments, host.
    let target = match Target::of(call, "Run error", Kind::Sync) {
        Ok(target) => target,
        Err(answer) => return refuse(call, begun, answer),
    };
    let start = event(
        Level::Debug,
        "ssh_run_start",
        &target.alias,
        target.hash,
        |fields| fields,
    );
    call.reply.tell(&start);
    // Verdict, and approval.
    match target.judge_waited(call) {
        Ok(verdict) => target.follow(call, verdict, order),
        Err(answer) => refuse(call, begun, answer),
    }
}

/// Orders the run. Its task tells the rest, and answers the call.
fn order(call: &Arc<Call>, target: &Target, authorised: Authorised) {
    let watch = Arc::new(Watch {
        call: Arc::clone(call),
        alias: target.alias.clone(),
        hash: target.hash,
        shape: target.shape,
    });
    let order = target.order(call, authorised, Kind::Sync);
    match call.session.server.tasks.start(order, watch) {
        Ok(handle) => call.reply.when_cancelled(move || handle.cancel()),
        Err(NotTaken::Denied(overruled)) => {
            call.reply.end(target.deny(call, &overruled.denial));
        }
        Err(NotTaken::Refused(refused)) => {
            let text = refused.to_string();
            let event = event(
                Level::Debug,
                "ssh_run_error",
                &target.alias,
                target.hash,
                |fields| fields.field("error", &text),
            );
            call.reply.tell(&event);
            let answer = Answer::error(format!("Run error: {text}"));
            refuse(call, target.begun, answer);
        }
    }
}

/// Answers a call that got no decision on the record.
fn refuse(call: &Call, begun: Instant, answer: Answer) {
    let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let alias = call.alias();
    call.audit.emit(Record::run_done(alias.as_ref(), elapsed));
    looked(call, answer);
}

/// Answers the call when its task ends, and reports its progress until then.
struct Watch {
    call: Arc<Call>,
    alias: HostAlias,
    hash: CommandHash,
    shape: Shape,
}

impl Listener for Watch {
    fn on_event(&self, id: &TaskId, happened: &TaskEvent) {
        match happened {
            TaskEvent::Created(limits) => {
                self.tell(Level::Debug, "ssh_run_task_created", |fields| {
                    fields.field("task_id", id.as_str())
                });
                self.call.began(Work {
                    id: id.to_string(),
                    max_seconds: limits.max_seconds,
                    keep_seconds: limits.task_result_ttl,
                    poll_seconds: limits.task_progress_interval,
                });
            }
            TaskEvent::Started => {}
            TaskEvent::Waiting(waiting) => {
                let text = waiting_text(waiting);
                self.report(waiting.waited, &text);
            }
            TaskEvent::Progress(progress) => {
                let elapsed = Duration::from_millis(progress.elapsed_ms);
                let text = progress_text(progress);
                self.report(elapsed, &text);
            }
            TaskEvent::Finished(outcome) => {
                self.tell(Level::Info, "ssh_run_complete", |fields| {
                    fields
                        .field("task_id", id.as_str())
                        .field("exit_code", &outcome.exit_code)
                        .field("timeout", &outcome.timeout)
                        .field("cancelled", &outcome.cancelled)
                });
                self.call
                    .reply
                    .end(answers::run::answer(outcome, self.shape));
            }
        }
    }
}

impl Watch {
    fn tell(&self, level: Level, name: &str, more: impl FnOnce(Object) -> Object) {
        let event = event(level, name, &self.alias, self.hash, more);
        self.call.reply.tell(&event);
    }

    /// How long it has gone on, in seconds. Nobody knows how much of the work that is, so
    /// no total is told: the time limit is none.
    fn report(&self, elapsed: Duration, text: &str) {
        self.call.reply.progress(elapsed.as_secs_f64(), None, text);
    }
}

pub(crate) fn waiting_text(waiting: &Waiting) -> String {
    format!(
        "waiting for its turn behind other commands: {} s",
        waiting.waited.as_secs()
    )
}

pub(crate) fn progress_text(progress: &Progress) -> String {
    format!(
        "{}: {:.1} s of {} s, {} bytes, {} lines",
        phase_name(progress.phase),
        Duration::from_millis(progress.elapsed_ms).as_secs_f64(),
        progress.max_seconds,
        progress.bytes_read,
        progress.output_lines
    )
}

/// An event about a command on a host, which it names by its hash.
pub(crate) fn event(
    level: Level,
    name: &str,
    alias: &HostAlias,
    hash: CommandHash,
    more: impl FnOnce(Object) -> Object,
) -> Event {
    Event::new(level, name, |fields| {
        more(
            fields
                .field("alias", alias.as_str())
                .field("hash", &hash.to_string()),
        )
    })
}
