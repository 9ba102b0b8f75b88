//! One command on every host of a tag.
//!
//! Owns `ssh_run_on_tag`: its arguments, and the one question for all hosts that need
//! approval. The fan-out is the task registry's, the answer
//! [`crate::mcp::tools::answers::tag`]'s. Called by [`crate::mcp::tools::serve`] on a thread
//! of its own, which ends once the hosts are under way.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::Ts;
use crate::config::Snapshot;
use crate::mcp::call::Call;
use crate::mcp::call::answer::{Answer, OUTPUT_BUDGET, cost};
use crate::mcp::call::approval::{self, Ruling};
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::feature::task::Work;
use crate::mcp::tools::answers;
use crate::mcp::tools::arguments::Args;
use crate::mcp::tools::run::{progress_text, waiting_text};
use crate::model::names::{CommandText, Tag};
use crate::policy::NeedsApproval;
use crate::task::{Moment, TagEvent, TagListener, TagOptions, TagPlan};

/// What an entry takes of an answer beside its output, in bytes, at the most usual.
const ENTRY: usize = 1_600;
/// The least that outputs get together, however many hosts there are.
const LEAST_OUTPUT: usize = 64 * 1024;

/// How often a tag run is worth a look, at least.
const POLL_SECONDS: u32 = 5;

/// What was asked for.
struct Request {
    tag: Tag,
    command: CommandText,
    batch: Option<NonZeroUsize>,
    max_failures: Option<NonZeroUsize>,
    group_identical: bool,
}

/// `ssh_run_on_tag`.
pub(crate) fn run(call: &Arc<Call>) {
    let request = match read(call) {
        Ok(request) => request,
        Err(answer) => return call.reply.end(answer),
    };
    let snapshot = call.session.server.store.up_to_date();
    let plan =
        call.session
            .server
            .tasks
            .plan(Arc::clone(&snapshot), &request.tag, &request.command);
    let hash = plan.hash();
    call.reply.tell(&Event::new(
        Level::Debug,
        "ssh_run_on_tag_start",
        |fields| {
            fields
                .field("tag", request.tag.as_str())
                .field("hash", &hash.to_string())
                .field("target_count", &plan.len())
        },
    ));
    if plan.is_empty() {
        return call.reply.end(answers::tag::nobody(&request.tag, hash));
    }
    match settle(call, plan, snapshot.approval_wait()) {
        Ok(plan) => start(call, request, &snapshot, plan),
        Err(question) => call.reply.end(question),
    }
}

fn read(call: &Call) -> Result<Request, Answer> {
    let args = Args::of(call)?;
    let count = |name: &str| -> Result<Option<NonZeroUsize>, Answer> {
        let number = args.number(name)?;
        Ok(number
            .and_then(|number| NonZeroUsize::new(usize::try_from(number).unwrap_or(usize::MAX))))
    };
    Ok(Request {
        tag: args.tag()?,
        command: args.command()?,
        batch: count("batch")?,
        max_failures: count("max_failures")?,
        group_identical: args.flag("group_identical")?,
    })
}

/// Asks a person, once, about all hosts that need it.
///
/// # Errors
/// The question, for a modern client to put.
fn settle(call: &Arc<Call>, plan: TagPlan, wait: Duration) -> Result<TagPlan, Answer> {
    let ruling = {
        let questions: Vec<&NeedsApproval> = plan.asks();
        if questions.is_empty() {
            None
        } else {
            Some(approval::obtain(call, &questions, wait))
        }
    };
    match ruling {
        None => Ok(plan),
        Some(Ruling::Ask(answer)) => Err(answer),
        Some(Ruling::Approved(mut given)) => Ok(plan.settle(|question| given.spend(question))),
        Some(Ruling::Refused(failure)) => Ok(plan.settle(|question| Err(question.refuse(failure)))),
    }
}

fn start(call: &Arc<Call>, request: Request, snapshot: &Snapshot, plan: TagPlan) {
    let hosts = plan.len();
    let options = TagOptions {
        batch: request.batch,
        max_failures: request.max_failures,
        group_identical: request.group_identical,
        output_budget: OUTPUT_BUDGET
            .saturating_sub(hosts * ENTRY)
            .max(LEAST_OUTPUT),
        cost,
    };
    let id = format!("tag:{}:{}:{}", request.tag, plan.hash(), Ts::now().micros());
    call.reply.began(longest(snapshot, &request.tag, id));
    let watch = Arc::new(Watch {
        call: Arc::clone(call),
        tag: request.tag,
    });
    let handle = call.session.server.tasks.run_on_tag(plan, options, watch);
    call.reply.when_cancelled(move || handle.cancel());
}

/// A tag run may take as long as the slowest of its hosts.
fn longest(snapshot: &Snapshot, tag: &Tag, id: String) -> Work {
    let limits: Vec<_> = snapshot
        .hosts_with_tag(tag)
        .map(|host| snapshot.policy().limits(host.alias.as_str(), &host.tags))
        .collect();
    let most = |pick: fn(&crate::policy::EffectiveLimits) -> u32| limits.iter().map(pick).max();
    Work {
        id,
        max_seconds: most(|limits| limits.max_seconds).unwrap_or_default(),
        keep_seconds: most(|limits| limits.task_result_ttl).unwrap_or_default(),
        poll_seconds: POLL_SECONDS,
    }
}

/// Answers the call when the last host has ended.
struct Watch {
    call: Arc<Call>,
    tag: Tag,
}

impl TagListener for Watch {
    fn on_event(&self, event: &TagEvent) {
        match event {
            TagEvent::HostStarted { .. } => {}
            TagEvent::HostFinished { alias, done, total } => {
                self.report(*done, *total, &format!("({alias})"));
            }
            TagEvent::HostGoesOn {
                alias,
                at,
                done,
                total,
            } => {
                let moment = match at {
                    Moment::Waits(waiting) => waiting_text(waiting),
                    Moment::Runs(progress) => progress_text(progress),
                };
                self.report(*done, *total, &format!("({alias} {moment})"));
            }
            TagEvent::Finished(outcome) => {
                let summary = outcome.summary;
                self.call.reply.tell(&Event::new(
                    Level::Info,
                    "ssh_run_on_tag_complete",
                    |fields| {
                        fields
                            .field("tag", self.tag.as_str())
                            .field("hash", &outcome.hash.to_string())
                            .field("target_count", &summary.total)
                            .field("succeeded", &summary.succeeded)
                    },
                ));
                let answer = answers::tag::answer(&self.tag, outcome);
                self.call.reply.end(answer);
            }
        }
    }
}

impl Watch {
    fn report(&self, done: usize, total: usize, about: &str) {
        let text = format!("{done} of {total} hosts done {about}");
        self.call.reply.progress(count(done), count(total), &text);
    }
}

/// A number of hosts, exactly: there are fewer than 2^32.
fn count(hosts: usize) -> f64 {
    f64::from(u32::try_from(hosts).unwrap_or(u32::MAX))
}
