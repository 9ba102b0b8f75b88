//! One command on every host of a tag.
//!
//! Owns `ssh_run_on_tag`: its arguments, the one question for all hosts that need
//! approval, and the answer, which always has an entry for every host that it can hold
//! and says what it leaves out. The fan-out is the task registry's. Called by
//! [`super::serve`] on a thread of its own, which ends once the hosts are under way.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::super::answer::{Answer, OUTPUT_BUDGET, cost};
use super::super::approval::{self, Ruling};
use super::super::call::Call;
use super::super::json::{Json, Object, array};
use super::super::logging::{Event, Level};
use super::super::protocol_tasks::{self, Work};
use super::Args;
use super::run::{NETWORK_HINT, result_fields};
use crate::audit::Ts;
use crate::config::Snapshot;
use crate::config::types::{CommandHash, CommandText, Tag};
use crate::policy::{Approval, Denial, NeedsApproval};
use crate::task::{
    Group, HostResult, NotRun, Ran, TagEvent, TagListener, TagOptions, TagOutcome, TagPlan,
};

/// What an entry takes of an answer beside its output, in bytes, at the most usual.
const ENTRY: usize = 1_600;
/// The least that outputs get together, however many hosts there are.
const LEAST_OUTPUT: usize = 64 * 1024;
/// Longest structure that still fits into a frame twice, its escapes escaped.
const STRUCTURE: usize = 380 * 1024;

/// What was asked for.
struct Request {
    tag: Tag,
    command: CommandText,
    batch: Option<NonZeroUsize>,
    max_failures: Option<NonZeroUsize>,
    group_identical: bool,
}

/// `ssh_run_on_tag`.
pub(super) fn run(call: &Arc<Call>) {
    let request = match read(call) {
        Ok(request) => request,
        Err(answer) => return protocol_tasks::finish_early(call, &answer),
    };
    let snapshot = call.session.server.store.current();
    let plan =
        call.session
            .server
            .tasks
            .plan(Arc::clone(&snapshot), &request.tag, &request.command);
    let hash = plan.hash();
    call.tell(&Event::new(
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
        return protocol_tasks::finish_early(call, &nobody(&request.tag, hash));
    }
    match settle(call, plan, snapshot.approval_wait()) {
        Ok(plan) => start(call, request, &snapshot, plan),
        Err(question) => call.finish(&question),
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
        Some(Ruling::Approved) => Ok(plan.settle(|question| {
            let given = Approval::by_a_person(question.digest());
            question.approve(given)
        })),
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
    if call.as_task {
        protocol_tasks::begin(call, longest(snapshot, &request.tag, id.clone()));
    }
    let watch = Arc::new(Watch {
        call: Arc::clone(call),
        tag: request.tag,
        id: id.clone(),
    });
    let handle = call.session.server.tasks.run_on_tag(plan, options, watch);
    if call.as_task {
        protocol_tasks::attach(&call.session, &id, handle);
    } else {
        call.cancellation.then(move || handle.cancel());
    }
}

/// The task of the protocol behind a tag run: as long as the slowest of its hosts may take.
fn longest(snapshot: &Snapshot, tag: &Tag, id: String) -> Work {
    let limits: Vec<_> = snapshot
        .hosts_with_tag(tag)
        .map(|host| snapshot.policy().limits(host.alias.as_str(), &host.tags))
        .collect();
    let most = |pick: fn(&crate::policy::EffectiveLimits) -> u32| limits.iter().map(pick).max();
    Work::Tag {
        handle: None,
        id,
        max_seconds: most(|limits| limits.max_seconds).unwrap_or_default(),
        keep_seconds: most(|limits| limits.task_result_ttl).unwrap_or_default(),
    }
}

/// Answers the call when the last host has ended.
struct Watch {
    call: Arc<Call>,
    tag: Tag,
    id: String,
}

impl TagListener for Watch {
    fn on_event(&self, event: &TagEvent) {
        match event {
            TagEvent::HostStarted { .. } => {}
            TagEvent::HostFinished { alias, done, total } => {
                let text = format!("{done} of {total} hosts done ({alias})");
                self.call.progress(count(*done), count(*total), &text);
            }
            TagEvent::Finished(outcome) => {
                let summary = outcome.summary;
                self.call.tell(&Event::new(
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
                let answer = answer(&self.tag, outcome);
                if self.call.as_task {
                    protocol_tasks::finished(&self.call.session, &self.id, Some(answer));
                } else {
                    self.call.finish(&answer);
                }
            }
        }
    }
}

/// A number of hosts, exactly: there are fewer than 2^32.
fn count(hosts: usize) -> f64 {
    f64::from(u32::try_from(hosts).unwrap_or(u32::MAX))
}

fn nobody(tag: &Tag, hash: CommandHash) -> Answer {
    let nothing: [&str; 0] = [];
    Answer::of(
        Object::new()
            .field("tag", tag.as_str())
            .field("hash", &hash.to_string())
            .field("results", &nothing)
            .json(
                "summary",
                &summary(&TagOutcome {
                    hash,
                    results: Vec::new(),
                    summary: Default::default(),
                    groups: Vec::new(),
                }),
            )
            .field("note", "No hosts matched."),
    )
}

/// How much an entry says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Full,
    Short,
}

/// The answer: in full, or with short entries where there are very many hosts, or with
/// as many of those as fit; what is missing is said.
fn answer(tag: &Tag, outcome: &TagOutcome) -> Answer {
    let hash = outcome.hash;
    let build = |entries: &[Json], notes: &[String]| {
        let groups: Vec<Json> = outcome.groups.iter().map(group).collect();
        Object::new()
            .field("tag", tag.as_str())
            .field("hash", &hash.to_string())
            .json("results", &array(entries))
            .json("summary", &summary(outcome))
            .when(!groups.is_empty(), |answer| {
                answer.json("groups", &array(&groups))
            })
            .when(!notes.is_empty(), |answer| answer.field("notes", notes))
    };
    let entries = |detail| -> Vec<Json> {
        outcome
            .results
            .iter()
            .map(|result| entry(result, hash, detail))
            .collect()
    };
    let size = |entries: &[Json]| entries.iter().map(Json::len).sum::<usize>();
    let mut shown = entries(Detail::Full);
    let mut notes = Vec::new();
    let outputs: usize = outcome.results.iter().map(output_len).sum();
    if size(&shown).saturating_sub(outputs) > STRUCTURE {
        shown = entries(Detail::Short);
        notes.push(
            "So many hosts: entries are short. ssh_get_task_result has the rest of each."
                .to_owned(),
        );
        let mut room = STRUCTURE;
        let fitting = shown.iter().take_while(|entry| {
            room = room.saturating_sub(entry.len() + 1);
            room > 0
        });
        let fitting = fitting.count();
        if fitting < shown.len() {
            let missing = shown.len() - fitting;
            notes.push(format!("{missing} hosts at the end are left out here; the summary counts them. Use narrower tags."));
            shown.truncate(fitting);
        }
    }
    let answer = build(&shown, &notes);
    let all_denied = outcome.summary.denied == outcome.summary.total;
    match first_denial(outcome).filter(|_| all_denied) {
        Some((reason, code, hint)) => Answer::refusal(
            answer
                .field("status", "denied")
                .field("reason", reason)
                .field("code", code)
                .field("hint", hint),
        ),
        None => Answer::of(answer).untrusted(&["results[].output", "groups[].output"]),
    }
}

fn output_len(result: &HostResult) -> usize {
    match result {
        HostResult::Ran(ran) => Json::of(&ran.output).len(),
        HostResult::Denied { .. } | HostResult::NotRun { .. } => 0,
    }
}

fn first_denial(outcome: &TagOutcome) -> Option<(&str, &str, &str)> {
    let denial = match outcome.results.first()? {
        HostResult::Denied { denial, .. } => denial,
        HostResult::Ran(ran) => match &ran.facts.overruled {
            Some(overruled) => &overruled.denial,
            None => return Some(("network", "network", NETWORK_HINT)),
        },
        HostResult::NotRun { .. } => return None,
    };
    Some(("policy", denial.code().as_str(), denial.hint()))
}

fn entry(result: &HostResult, hash: CommandHash, detail: Detail) -> Json {
    let head = |alias: &str| {
        Object::new()
            .field("alias", alias)
            .field("hash", &hash.to_string())
    };
    match result {
        HostResult::Ran(ran) => entry_of_run(ran, head(ran.facts.alias.as_str()), detail),
        HostResult::Denied { alias, denial } => denied(head(alias.as_str()), denial, detail),
        HostResult::NotRun { alias, why } => {
            let why = match why {
                NotRun::Cancelled => "cancelled before its turn".to_owned(),
                NotRun::TooManyFailures => "max_failures was reached before its turn".to_owned(),
                NotRun::Refused(refused) => refused.to_string(),
            };
            head(alias.as_str())
                .field("task_id", "")
                .field("exit_code", &-1)
                .field("not_run", &true)
                .field("output", &why)
                .end()
        }
    }
}

fn denied(head: Object, denial: &Denial, detail: Detail) -> Json {
    head.field("denied", &true)
        .field("reason", "policy")
        .field("code", denial.code().as_str())
        .when(detail == Detail::Full, |entry| {
            entry
                .field("why", denial.why())
                .maybe("denied_command", denial.denied_command())
                .field("hint", denial.hint())
        })
        .end()
}

fn entry_of_run(ran: &Ran, head: Object, detail: Detail) -> Json {
    let facts = &ran.facts;
    let head = head.field("task_id", facts.id.as_str());
    if let Some(cause) = facts.network_denial() {
        return head
            .field("denied", &true)
            .field("reason", &format!("network: {cause}"))
            .field("detail", cause)
            .when(detail == Detail::Full, |entry| {
                entry.field("hint", NETWORK_HINT)
            })
            .end();
    }
    if let Some(overruled) = &facts.overruled {
        return denied(head, &overruled.denial, detail);
    }
    if detail == Detail::Short {
        return head
            .field("exit_code", &facts.exit_code)
            .field("status", facts.state.as_str())
            .end();
    }
    result_fields(head, facts, &ran.output, ran.left_out)
        .maybe("group", ran.group)
        .end()
}

fn group(group: &Group) -> Json {
    let aliases: Vec<&str> = group.aliases.iter().map(|alias| alias.as_str()).collect();
    Object::new()
        .field("aliases", &aliases)
        .field("exit_code", &group.exit_code)
        .field("output", &group.output)
        .when(group.left_out > 0, |entry| {
            entry.field("omitted_bytes", &group.left_out)
        })
        .end()
}

fn summary(outcome: &TagOutcome) -> Json {
    let summary = &outcome.summary;
    Object::new()
        .field("total", &summary.total)
        .field("succeeded", &summary.succeeded)
        .field("failed", &summary.failed)
        .field("denied", &summary.denied)
        .field("cancelled", &summary.cancelled)
        .field("timed_out", &summary.timed_out)
        .field("not_run", &summary.not_run)
        .end()
}
