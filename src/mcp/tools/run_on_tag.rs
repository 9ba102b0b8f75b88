//! One command on many hosts: those of a tag, of an expression of tags, or named ones.
//!
//! Owns `ssh_run_on_tag`: its arguments, and the one question for all hosts that need
//! approval. The fan-out is the task registry's, the answer
//! [`crate::mcp::tools::answers::tag`]'s. Called by [`crate::mcp::tools::serve`] on a thread
//! of its own, which ends once the hosts are under way.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::Grounds;
use crate::config::Snapshot;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::approval::{self, Ruling};
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::feature::task::Work;
use crate::mcp::tools::answers::tag::FEW;
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::tools::input::selection::Selection;
use crate::mcp::tools::run::{progress_text, waiting_text};
use crate::mcp::tools::{WAITING_CALL, answers, looked, spawn};
use crate::policy::{self, EffectiveLimits};
use crate::task::{
    Batch, Expected, Moment, STEPS_MAX, Size, TagEvent, TagListener, TagOptions, TagPlan,
};

/// Bytes that a host takes of a run, from its verdict to its place in the answer. They share
/// the command.
const HOST: usize = 2_560;

/// How often a tag run is worth a look, at least.
const POLL_SECONDS: u32 = 5;

/// What was asked for.
struct Request {
    selection: Selection,
    request: policy::Request,
    options: TagOptions,
    /// Hosts that are alike are shown once.
    together: bool,
    limits: Vec<EffectiveLimits>,
}

/// `ssh_run_on_tag`.
pub(crate) fn run(call: &Arc<Call>) {
    // Arguments, hosts.
    let snapshot = call.session.server.store.up_to_date();
    let request = match read(call, &snapshot) {
        Ok(request) => request,
        Err(answer) => return looked(call, answer),
    };
    let hosts = HOST.saturating_mul(request.selection.aliases.len());
    let thread = match request.options.batch {
        Batch::Steps { .. } => WAITING_CALL,
        Batch::Unbounded | Batch::Width(_) => 0,
    };
    if let Err(refusal) = call.reserve(hosts.saturating_add(thread)) {
        return call.reply.end(refusal);
    }
    // Verdicts.
    let tasks = &call.session.server.tasks;
    let aliases = &request.selection.aliases;
    let plan = tasks.plan(
        &call.audit,
        Arc::clone(&snapshot),
        aliases,
        &request.request,
    );
    let hash = plan.hash();
    call.reply.tell(&Event::new(
        Level::Debug,
        "ssh_run_on_tag_start",
        |fields| {
            fields
                .field("tag", request.selection.words())
                .field("hash", &hash.to_string())
                .field("target_count", &plan.len())
        },
    ));
    // Approval, order.
    let plan = plan.approve(|question| approval::standing(call, question));
    if plan.asks().is_empty() {
        return start(call, request, plan);
    }
    let own = Arc::clone(call);
    approval::obtain(call, plan, &snapshot, move |plan, ruling| {
        match settle(&own, plan, ruling) {
            // To begin a fleet takes time.
            Ok(plan) => spawn(&own, move |call| start(call, request, plan)),
            Err(answer) => own.reply.end(answer),
        }
    });
}

fn read(call: &Call, snapshot: &Snapshot) -> Result<Request, Answer> {
    let args = Args::of(call)?;
    let count = |name: &str| -> Result<Option<NonZeroUsize>, Answer> {
        let number = args.number(name)?;
        Ok(number
            .and_then(|number| NonZeroUsize::new(usize::try_from(number).unwrap_or(usize::MAX))))
    };
    let selection = Selection::read(&args, snapshot)?;
    let request = policy::Request::new(&args.command()?, args.stdin()?);
    let limits: Vec<EffectiveLimits> = selection
        .aliases
        .iter()
        .filter_map(|alias| snapshot.host(alias))
        .map(|host| snapshot.policy().limits(host.alias.as_str(), &host.tags))
        .collect();
    let most = |of: fn(&EffectiveLimits) -> u32| limits.iter().map(of).max().unwrap_or_default();
    let options = TagOptions {
        batch: batch(&args)?,
        max_failures: match args.has("max_failures") {
            true => Some(count("max_failures")?.unwrap_or(NonZeroUsize::MIN)),
            false => None,
        },
        expected: Expected {
            exit: args
                .number("expect_exit")?
                .and_then(|number| i64::try_from(number).ok()),
            text: match args.text("expect_text")? {
                "" => None,
                text => Some(text.to_owned()),
            },
        },
        shape: args.shape(most(|limits| limits.answer_chars))?,
        // Each host's own limit holds below this one.
        seconds: args.seconds(most(|limits| limits.max_seconds))?,
        // Whoever waits for the answer gives up after a time: before that it is here.
        within: (!call.reply.may_become_task()).then(|| most(|limits| limits.max_seconds)),
    };
    Ok(Request {
        together: match args.flag("group_identical")? {
            Some(together) => together,
            None => selection.aliases.len() >= FEW,
        },
        selection,
        request,
        options,
        limits,
    })
}

/// One size is a width; several, or one with a pause, are steps.
fn batch(args: &Args<'_>) -> Result<Batch, Answer> {
    let sizes: Option<Vec<Size>> = (args.sizes("batch")?.iter())
        .map(|text| Size::parse(text))
        .collect();
    let pause = args.number("pause_seconds")?.map(Duration::from_secs);
    match (sizes.as_deref(), pause) {
        (None, _) => Err(fault(
            "batch must be numbers of hosts or parts of them: [\"1\", \"5\", \"25%\"]",
        )),
        (Some(sizes), _) if sizes.len() > STEPS_MAX => {
            Err(fault(format!("batch may have at most {STEPS_MAX} steps")))
        }
        (Some([]), None) => Ok(Batch::Unbounded),
        (Some([]), Some(_)) => Err(fault(
            "pause_seconds is between the steps of batch: give both",
        )),
        (Some([width]), None) => Ok(Batch::Width(*width)),
        (Some(sizes), pause) => Ok(Batch::Steps {
            sizes: sizes.to_vec(),
            pause: pause.unwrap_or_default(),
        }),
    }
}

/// What a person's answer, once for all hosts that need it, makes of the plan.
///
/// # Errors
/// What to answer: the question, for a modern client to put, or an error.
fn settle(call: &Arc<Call>, plan: TagPlan, ruling: Ruling) -> Result<TagPlan, Answer> {
    match ruling {
        Ruling::Ask(answer) => Err(answer),
        Ruling::Invalid(failure, answer) => {
            let (tasks, hash, now) = (&call.session.server.tasks, plan.hash(), Instant::now());
            for question in plan.asks() {
                let grounds = Grounds {
                    code: Some(failure.code().as_str()),
                    ..Grounds::default()
                };
                tasks.record_denial(&call.audit, question.alias(), hash, grounds, now);
            }
            Err(answer)
        }
        Ruling::Approved(mut given) => Ok(plan.settle(|question| given.spend(question))),
        Ruling::Refused(failure) => Ok(plan.settle(|question| Err(question.refuse(failure)))),
    }
}

fn start(call: &Arc<Call>, request: Request, plan: TagPlan) {
    let id = format!(
        "tag:{}:{}:{}",
        request.selection.name(),
        plan.hash(),
        call.session.server.tasks.token()
    );
    // As long as the slowest of its hosts may take.
    let most = |of: fn(&EffectiveLimits) -> u32| {
        let all = request.limits.iter().map(of);
        all.max().unwrap_or_default()
    };
    call.began(Work {
        id,
        max_seconds: most(|limits| limits.max_seconds),
        keep_seconds: most(|limits| limits.task_result_ttl),
        poll_seconds: POLL_SECONDS,
    });
    let watch = Arc::new(Watch {
        call: Arc::clone(call),
        selection: request.selection,
        together: request.together,
        chars: request.options.shape.chars,
    });
    let pauses = matches!(&request.options.batch, Batch::Steps { pause, .. } if !pause.is_zero());
    let tasks = &call.session.server.tasks;
    let handle = tasks.run_on_tag(plan, request.options, watch);
    let paced = pauses.then(|| handle.clone());
    call.reply.when_cancelled(move || handle.cancel());
    // This thread has nothing else to do.
    if let Some(handle) = paced {
        handle.pace();
    }
}

/// Answers the call when the last host has ended.
struct Watch {
    call: Arc<Call>,
    selection: Selection,
    together: bool,
    chars: usize,
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
            TagEvent::StepEnded {
                step,
                steps,
                done,
                total,
                pause,
            } => {
                let then = match pause {
                    0 => String::new(),
                    seconds => format!(", pause of {seconds} s"),
                };
                self.report(*done, *total, &format!("(step {step} of {steps}{then})"));
            }
            TagEvent::Finished(outcome) => {
                let summary = outcome.summary;
                self.call.reply.tell(&Event::new(
                    Level::Info,
                    "ssh_run_on_tag_complete",
                    |fields| {
                        fields
                            .field("tag", self.selection.words())
                            .field("hash", &outcome.hash.to_string())
                            .field("target_count", &summary.total)
                            .field("succeeded", &summary.succeeded)
                    },
                ));
                let asked = self.selection.asked();
                let answer = answers::tag::answer(&asked, outcome, self.together, self.chars);
                self.call.reply.end(answer);
            }
        }
    }
}

impl Watch {
    fn report(&self, done: usize, total: usize, about: &str) {
        let text = format!("{done} of {total} hosts done {about}");
        self.call
            .reply
            .progress(count(done), Some(count(total)), &text);
    }
}

/// A number of hosts, exactly: there are fewer than 2^32.
fn count(hosts: usize) -> f64 {
    f64::from(u32::try_from(hosts).unwrap_or(u32::MAX))
}
