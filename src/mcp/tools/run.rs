//! One command on one host, waited for.
//!
//! Owns `ssh_run`: the steps before a task (arguments, host, judgement, approval), which
//! `async_run` shares, and the answer made of a task's end. The call waits without a
//! thread: the task answers it. Called by [`crate::mcp::tools::serve`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::Record;
use crate::config::{Host, Snapshot};
use crate::mcp::call::Call;
use crate::mcp::call::answer::{Answer, OUTPUT_BUDGET, fit};
use crate::mcp::call::approval::{self, Ruling};
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::feature::tasks::{self, Work};
use crate::mcp::tools::{Args, phase_name, spawn, unknown_host};
use crate::mcp::wire::json::Object;
use crate::model::names::{CommandHash, CommandText, HostAlias, TaskId};
use crate::policy::{Approval, Authorised, Denial, NeedsApproval, Verdict};
use crate::ssh::{NO_ADDRESS, Terminated};
use crate::task::{
    Facts, Kind, Listener, NotTaken, Order, Outcome, Overruled, Permit, Progress, TaskEvent,
    Waiting,
};

/// What the members that a host wrote are called.
pub(crate) const UNTRUSTED: &[&str] = &["output"];

const NETWORK_HINT: &str = "The network policy, not the command, is the reason. Check the host with ssh_describe_host and \
    ssh_plan; a person can allow its address in policy.yml.";
const NAME_HINT: &str = "The host's name could not be resolved; neither the command, which ssh_plan judges, nor the network \
    policy is the reason. A person can correct the name in servers.yml, or put an address there.";

/// What a run is about, once arguments and host are settled.
pub(crate) struct Target {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) alias: HostAlias,
    pub(crate) command: CommandText,
    pub(crate) hash: CommandHash,
    pub(crate) begun: Instant,
}

impl Target {
    /// # Errors
    /// A bad argument, or a host that is not there: what to answer.
    pub(crate) fn of(call: &Call, prefix: &str) -> Result<Self, Answer> {
        let begun = Instant::now();
        let args = Args::of(call)?;
        let (alias, command) = (args.alias()?, args.command()?);
        let snapshot = call.session.server.store.current();
        if snapshot.host(&alias).is_none() {
            return Err(unknown_host(prefix, &alias));
        }
        Ok(Self {
            snapshot,
            hash: command.hash(),
            alias,
            command,
            begun,
        })
    }

    /// The host, which was found when this was made.
    ///
    /// # Errors
    /// As for a host that is not there.
    pub(crate) fn host(&self) -> Result<&Host, Answer> {
        let host = self.snapshot.host(&self.alias);
        host.ok_or_else(|| unknown_host("Run error", &self.alias))
    }

    /// Judges the command and puts on record what has to be there.
    pub(crate) fn judge(&self, call: &Call) -> Result<Verdict, Answer> {
        let tasks = &call.session.server.tasks;
        Ok(tasks.judge(&self.snapshot, self.host()?, &self.command))
    }

    /// What a denial is answered, put on the record first.
    pub(crate) fn deny(&self, call: &Call, denial: &Denial) -> Answer {
        let tasks = &call.session.server.tasks;
        tasks.record_denial(&self.alias, self.hash, self.begun);
        denied(&self.alias, self.hash, self.command.as_str(), denial)
    }

    /// What is to be run, as far as the judged configuration goes.
    pub(crate) fn order(&self, command: Authorised, kind: Kind) -> Order {
        Order {
            permit: Permit::new(&self.snapshot, &self.command, command),
            kind,
        }
    }

    /// Asks a person, which can take minutes: the answer says nothing of a configuration
    /// that was changed meanwhile, by which the command is judged anew before it runs.
    ///
    /// # Errors
    /// What to answer: a denial, or the question to a modern client.
    pub(crate) fn ask(
        &self,
        call: &Arc<Call>,
        question: NeedsApproval,
    ) -> Result<Authorised, Answer> {
        match approval::obtain(call, &[&question], self.snapshot.approval_wait()) {
            Ruling::Approved => {
                let given = Approval::by_a_person(question.digest());
                question
                    .approve(given)
                    .map_err(|denial| self.deny(call, &denial))
            }
            Ruling::Refused(failure) => Err(self.deny(call, &question.refuse(failure))),
            Ruling::Ask(answer) => Err(answer),
        }
    }
}

/// `ssh_run`.
pub(crate) fn run(call: &Arc<Call>) {
    let begun = Instant::now();
    let judged = Target::of(call, "Run error").and_then(|target| {
        let start = event(
            Level::Debug,
            "ssh_run_start",
            &target.alias,
            target.hash,
            |fields| fields,
        );
        call.tell(&start);
        let verdict = target.judge(call)?;
        Ok((target, verdict))
    });
    match judged {
        Ok((target, Verdict::Allow(authorised))) => start(call, &target, authorised),
        Ok((target, Verdict::Deny(denial))) => {
            tasks::finish_early(call, &target.deny(call, &denial));
        }
        Ok((target, Verdict::Ask(question))) => {
            spawn(call, move |call| match target.ask(call, question) {
                Ok(authorised) => start(call, &target, authorised),
                Err(answer) => tasks::finish_early(call, &answer),
            })
        }
        Err(answer) => give_up(call, begun, &answer),
    }
}

/// Answers a call that came to no judgement.
fn give_up(call: &Call, begun: Instant, answer: &Answer) {
    let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    call.session.server.audit.emit(Record::run_done(elapsed));
    tasks::finish_early(call, answer);
}

fn start(call: &Arc<Call>, target: &Target, authorised: Authorised) {
    let watch = Arc::new(Watch {
        call: Arc::clone(call),
        alias: target.alias.clone(),
        hash: target.hash,
    });
    let order = target.order(authorised, Kind::Sync);
    match call.session.server.tasks.start(order, watch) {
        Ok(handle) => {
            let unwanted = handle.clone();
            call.cancellation.then(move || unwanted.cancel());
            if call.as_task {
                tasks::begin(call, Work::Run { handle });
            }
        }
        Err(NotTaken::Denied(overruled)) => {
            tasks::finish_early(call, &target.deny(call, &overruled.denial));
        }
        Err(NotTaken::Refused(refused)) => {
            let text = refused.to_string();
            call.tell(&event(
                Level::Debug,
                "ssh_run_error",
                &target.alias,
                target.hash,
                |fields| fields.field("error", &text),
            ));
            give_up(
                call,
                target.begun,
                &Answer::error(format!("Run error: {text}")),
            );
        }
    }
}

/// Answers the call when its task ends, and tells of its progress until then.
struct Watch {
    call: Arc<Call>,
    alias: HostAlias,
    hash: CommandHash,
}

impl Listener for Watch {
    fn on_event(&self, id: &TaskId, happened: &TaskEvent) {
        match happened {
            TaskEvent::Created => self.tell(Level::Debug, "ssh_run_task_created", |fields| {
                fields.field("task_id", id.as_str())
            }),
            TaskEvent::Started => {}
            TaskEvent::Waiting(waiting) => {
                let text = waiting_text(waiting);
                self.report(id, Duration::ZERO, waiting.max_seconds, &text);
            }
            TaskEvent::Progress(progress) => {
                let elapsed = Duration::from_millis(progress.elapsed_ms);
                let text = progress_text(progress);
                self.report(id, elapsed, progress.max_seconds, &text);
            }
            TaskEvent::Finished(outcome) => {
                self.tell(Level::Info, "ssh_run_complete", |fields| {
                    fields
                        .field("task_id", id.as_str())
                        .field("exit_code", &outcome.exit_code)
                        .field("timeout", &outcome.timeout)
                        .field("cancelled", &outcome.cancelled)
                });
                if self.call.as_task {
                    tasks::finished(&self.call.session, id.as_str(), None);
                } else {
                    self.call.finish(&answer(outcome));
                }
            }
        }
    }
}

impl Watch {
    fn tell(&self, level: Level, name: &str, more: impl FnOnce(Object) -> Object) {
        self.call
            .tell(&event(level, name, &self.alias, self.hash, more));
    }

    /// Elapsed time of the time limit; the rest in words.
    fn report(&self, id: &TaskId, elapsed: Duration, max_seconds: u32, text: &str) {
        let tell = || {
            let total = f64::from(max_seconds);
            self.call.progress(elapsed.as_secs_f64(), total, text);
        };
        if self.call.as_task {
            let tasks = &self.call.session.protocol_tasks;
            tasks.while_working(id.as_str(), tell);
        } else {
            tell();
        }
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

/// The answer to a run that came to its end, however that looks.
pub(crate) fn answer(outcome: &Outcome) -> Answer {
    let facts = outcome.facts();
    if let Some(detail) = facts.network_denial() {
        return network_denied(&facts.alias, facts.hash, &facts.hostname, detail);
    }
    if let Some(Overruled { command, denial }) = facts.overruled.as_deref() {
        return denied(&facts.alias, facts.hash, command.as_str(), denial);
    }
    let (shown, left_out) = shown(outcome);
    let head = Object::new()
        .field("task_id", facts.id.as_str())
        .field("alias", facts.alias.as_str())
        .field("hash", &facts.hash.to_string());
    Answer::of(result_fields(head, facts, &shown, left_out)).untrusted(UNTRUSTED)
}

/// As much of the output as an answer holds, and the bytes left out.
pub(crate) fn shown(outcome: &Outcome) -> (String, usize) {
    // Every byte costs at least two.
    let (mut output, beyond) = outcome.output(OUTPUT_BUDGET / 2);
    let (kept, left_out) = fit(&output, OUTPUT_BUDGET);
    let kept = kept.len();
    output.truncate(kept);
    (output, left_out + beyond)
}

/// The members that say how a run ended, in every answer that does.
pub(crate) fn result_fields(head: Object, facts: &Facts, output: &str, left_out: usize) -> Object {
    let mut notes = facts.notes();
    if left_out > 0 {
        notes.push(format!(
            "Output shown in part: its last {left_out} bytes did not fit into this answer. Read all of it with \
             ssh_get_task_output, task_id '{}', offset 0.",
            facts.id
        ));
    }
    let omitted = facts.truncated.map_or(0, |cut| cut.bytes_left_out);
    let omitted = omitted.saturating_add(left_out as u64);
    let target_ip = facts.target_ip.map(|address| address.to_string());
    head.field("exit_code", &facts.exit_code)
        .maybe("exit_signal", facts.exit_signal.as_ref())
        .field("duration_ms", &facts.duration_ms)
        .field("cancelled", &facts.cancelled)
        .field("timeout", &facts.timeout)
        .field("target_ip", &target_ip.unwrap_or_default())
        .field("output", output)
        .field("truncated", &(facts.truncated.is_some() || left_out > 0))
        .when(omitted > 0, |result| {
            result.field("omitted_bytes", &omitted)
        })
        .maybe("terminated", facts.terminated.map(Terminated::as_str))
        .when(facts.outcome_unknown, |result| {
            result.field("outcome", "unknown")
        })
        .when(!notes.is_empty(), |result| result.field("notes", &notes))
}

/// The answer to a command that the policy, or a person, did not allow.
pub(crate) fn denied(
    alias: &HostAlias,
    hash: CommandHash,
    command: &str,
    denial: &Denial,
) -> Answer {
    Answer::refusal(
        Object::new()
            .field("status", "denied")
            .field("reason", "policy")
            .field("code", denial.code().as_str())
            .field("alias", alias.as_str())
            .field("hash", &hash.to_string())
            .field("command", command)
            .field("why", denial.why())
            .maybe("denied_command", denial.denied_command())
            .field("hint", denial.hint()),
    )
}

/// The answer to a command whose host may not be connected to.
pub(crate) fn network_denied(
    alias: &HostAlias,
    hash: CommandHash,
    hostname: &str,
    detail: &str,
) -> Answer {
    Answer::refusal(
        Object::new()
            .field("status", "denied")
            .field("reason", "network")
            .field("code", "network")
            .field("alias", alias.as_str())
            .field("hash", &hash.to_string())
            .field("hostname", hostname)
            .field("detail", detail)
            .field("hint", network_hint(detail)),
    )
}

/// What helps against a denial with this detail.
pub(crate) fn network_hint(detail: &str) -> &'static str {
    match detail {
        NO_ADDRESS => NAME_HINT,
        _ => NETWORK_HINT,
    }
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
