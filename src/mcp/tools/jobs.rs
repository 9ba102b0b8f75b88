//! Jobs: commands that go on by themselves on their host, and are found again by their name.
//!
//! Owns `ssh_run_async` with `detach`, `ssh_list_tasks`, and what the other tools for tasks do
//! with a job's id. Keeps nothing: each call asks the host by a fixed text of the policy's,
//! which is judged, on record and bounded like any command. Called by
//! [`crate::mcp::tools::serve`] on threads of their own, since each of them waits for a host.

use std::sync::Arc;

use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::job::{self, Told};
use crate::mcp::tools::answers::refusal::denied;
use crate::mcp::tools::answers::run::not_run;
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::tools::input::target::Target;
use crate::mcp::tools::unknown_host;
use crate::mcp::wire::json::{Json, Object, array};
use crate::model::job::JobId;
use crate::model::names::{CommandText, HostAlias, TaskId};
use crate::policy::{Authorised, Care, Denial, Purpose, Request, Verdict};
use crate::task::{
    Facts, Kept, Kind, NotTaken, Order, Outcome, Permit, State, Status, TaskHandle, of_denial,
};

/// Seconds that a host has for an answer, beside those that it is to wait.
const PATIENCE: u32 = 60;
/// Most rows of `ssh_list_tasks`.
const MOST_ROWS: usize = 200;

/// The job that a call is about, if it is one.
pub(crate) fn asked_for(call: &Call) -> Option<(TaskId, HostAlias, JobId)> {
    let id = call.arguments.get("task_id")?.as_str()?;
    let id = TaskId::parse(id).ok()?;
    let (alias, job) = JobId::of(&id)?;
    Some((id, alias, job))
}

/// Starts a judged command as a job, and waits until the host says that it runs.
pub(crate) fn start(
    call: &Arc<Call>,
    target: &Target,
    authorised: Authorised,
    job: &JobId,
) -> Result<Answer, Answer> {
    let order = target.order(call, authorised, Kind::Async);
    let started = call.session.server.tasks.start(order, Arc::new(()));
    let handle = started.map_err(|not_taken| match not_taken {
        NotTaken::Denied(overruled) => target.deny(call, &overruled.denial),
        NotTaken::Refused(refused) => Answer::error(format!("Async run error: {refused}")),
    })?;
    let outcome = ended(call, &handle);
    if let Some(refusal) = not_run(outcome.facts()) {
        return Err(refusal);
    }
    let [said, _] = outcome.streams();
    let said = said.lines().next().unwrap_or_default();
    match said.split_once(' ') {
        Some(("started", _)) if outcome.exit_code == 0 => {
            Ok(job::started(&target.alias, target.command.as_str(), job))
        }
        Some(("cannot", word)) => Err(job::not_started(outcome.facts(), Some(word))),
        _ => Err(job::not_started(outcome.facts(), None)),
    }
}

/// A call about a job is an order to its host, and taken back with the call.
fn ended(call: &Call, handle: &TaskHandle) -> Arc<Outcome> {
    let unwanted = handle.clone();
    call.reply.when_cancelled(move || unwanted.cancel());
    handle.wait()
}

/// Has a host do something about jobs. `what` names it on the record.
fn care(call: &Call, alias: &HostAlias, what: &str, care: Care) -> Result<Arc<Outcome>, Answer> {
    let server = &call.session.server;
    let snapshot = server.store.up_to_date();
    let Some(host) = snapshot.host(alias) else {
        return Err(unknown_host("Error", alias, &snapshot));
    };
    let begun = std::time::Instant::now();
    let text = CommandText::parse(what).map_err(fault)?;
    let wait = match care {
        Care::Look { wait, .. } => wait,
        Care::End(_) | Care::List => 0,
    };
    let request = Request::new(&text, None).wanted_for(Purpose::Care(care));
    let refuse = |denial: &Denial| {
        let grounds = of_denial(denial, &text);
        let tasks = &server.tasks;
        tasks.record_denial(&call.audit, alias, text.hash(), grounds, begun);
        denied(alias, text.hash(), text.as_str(), denial)
    };
    let command = match server.tasks.judge(&call.audit, &snapshot, host, &request) {
        Verdict::Allow(command) => command,
        Verdict::Deny(denial) => return Err(refuse(&denial)),
        // Nobody is asked about looking.
        Verdict::Ask(_) => return Err(fault("jobs cannot be asked about")),
    };
    let order = Order {
        permit: Permit::new(&request, command),
        kind: Kind::Async,
        seconds: Some(wait.saturating_add(PATIENCE)),
        audit: call.audit.clone(),
    };
    let started = server.tasks.start(order, Arc::new(()));
    let handle = started.map_err(|not_taken| match not_taken {
        NotTaken::Denied(overruled) => refuse(&overruled.denial),
        NotTaken::Refused(refused) => fault(refused),
    })?;
    let outcome = ended(call, &handle);
    if let Some(refusal) = not_run(outcome.facts()) {
        return Err(refusal);
    }
    match outcome.state {
        State::Completed => Ok(outcome),
        state => Err(fault(format!(
            "{alias} could not be asked about its jobs ({}); what runs there goes on",
            state.as_str()
        ))),
    }
}

/// How a job stands, with what it printed so far where that is wanted.
fn look(call: &Call, whole: bool) -> Result<(TaskId, Told, Arc<Outcome>), Answer> {
    let args = Args::of(call)?;
    let (id, alias, job) = asked_for(call).ok_or_else(|| fault("this is no job's task_id"))?;
    let wait = u32::try_from(args.wait()?.as_secs()).unwrap_or_default();
    let what = format!("look at job {id}");
    let outcome = care(call, &alias, &what, Care::Look { job, wait, whole })?;
    let told = told(&id, &outcome)?;
    Ok((id, told, outcome))
}

fn told(id: &TaskId, outcome: &Outcome) -> Result<Told, Answer> {
    let [_, said] = outcome.streams();
    said.lines().find_map(Told::of).ok_or_else(|| {
        fault(format!(
            "Task not found or expired: {id} (its host has no such job)"
        ))
    })
}

/// `ssh_get_task_status` of a job.
pub(crate) fn status(call: &Call) -> Answer {
    let (id, told, outcome) = match look(call, false) {
        Ok(seen) => seen,
        Err(answer) => return answer,
    };
    job::status(&id, &told, limits(call, outcome.facts()).0)
}

/// `ssh_get_task_result` of a job.
pub(crate) fn result(call: &Call) -> Answer {
    let looked = look(call, true).and_then(|(id, told, outcome)| {
        if !told.is_finished() {
            return Err(fault(format!(
                "Task still running: its result is there when it has ended: {id}"
            )));
        }
        let facts = outcome.facts();
        let shape = Args::of(call)?.shape(limits(call, facts).1)?;
        let [text, _] = outcome.streams();
        Ok(job::result(&id, facts, &told, &text, shape))
    });
    looked.unwrap_or_else(|refusal| refusal)
}

/// What a job has printed, for `ssh_get_task_output`, and the most characters of an answer.
///
/// # Errors
/// What to answer instead.
pub(crate) fn output(call: &Call) -> Result<(Kept, u32), Answer> {
    let (_, told, outcome) = look(call, true)?;
    let [text, _] = outcome.streams();
    let kept = Kept {
        text,
        finished: told.is_finished(),
        is_part: false,
    };
    Ok((kept, limits(call, outcome.facts()).1))
}

/// `ssh_cancel` and `ssh_cancel_async_task` of a job.
pub(crate) fn cancel(call: &Call) -> Answer {
    let Some((id, alias, job)) = asked_for(call) else {
        return fault("this is no job's task_id");
    };
    if let Err(answer) = Args::of(call) {
        return answer;
    }
    let what = format!("end job {id}");
    let outcome = care(call, &alias, &what, Care::End(job));
    let told = outcome.and_then(|outcome| told(&id, &outcome));
    let message = match &told {
        Err(answer) => return answer.clone(),
        Ok(told) => match told.state() {
            State::Running => "It was told to end and still runs",
            State::Cancelled => "It has ended",
            _ => "It had ended by itself",
        },
    };
    let cancelled = told.is_ok_and(|told| told.state() == State::Cancelled);
    Answer::of(
        Object::new()
            .field("task_id", id.as_str())
            .field("cancelled", &cancelled)
            .field("message", message),
    )
}

/// `ssh_list_tasks`: this server's own, and with an alias the jobs on that host.
pub(crate) fn list(call: &Call) -> Answer {
    let rows = Args::of(call).and_then(|args| match args.has("alias") {
        true => {
            let alias = args.alias()?;
            let mut rows = jobs_on(call, &alias)?;
            rows.extend(own(call, Some(&alias)));
            Ok(rows)
        }
        false => Ok(own(call, None)),
    });
    let mut rows = match rows {
        Ok(rows) => rows,
        Err(answer) => return answer,
    };
    let omitted = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    Answer::of(
        Object::new()
            .json("tasks", &array(&rows))
            .when(omitted > 0, |list| list.field("omitted", &omitted)),
    )
    .untrusted(&["tasks"])
}

/// The jobs on a host, the newest first.
fn jobs_on(call: &Call, alias: &HostAlias) -> Result<Vec<Json>, Answer> {
    let outcome = care(call, alias, "list jobs", Care::List)?;
    let [said, _] = outcome.streams();
    let mut lines = said.lines().peekable();
    let mut rows = Vec::new();
    while let Some(line) = lines.next() {
        // A line that begins otherwise is a command's second one, or none of ours.
        let found = line
            .split_once(' ')
            .and_then(|(name, rest)| Some((JobId::of_directory(name)?, Told::of(rest)?)));
        if let Some((job, told)) = found {
            let command = lines.next().unwrap_or_default();
            rows.push((told.start(), job::row(alias, &job, &told, command)));
        }
    }
    rows.sort_by_key(|(start, _)| std::cmp::Reverse(*start));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// The tasks of this server, the newest first; without those that started a job.
fn own(call: &Call, of: Option<&HostAlias>) -> Vec<Json> {
    let tasks = call.session.server.tasks.list();
    let wanted = |task: &&Status| {
        of.is_none_or(|alias| task.alias == *alias)
            && !(of.is_some() && task.purpose != Purpose::Run)
    };
    let shown = tasks.iter().rev().filter(wanted).filter_map(|task| {
        let head = Object::new()
            .field("task_id", task.id.as_str())
            .field("alias", task.alias.as_str());
        match &task.purpose {
            Purpose::Care(_) => None,
            Purpose::Start(_) => Some(
                head.field("status", "on its host")
                    .field("detached", &true)
                    .field("command", task.command.as_str())
                    .end(),
            ),
            Purpose::Run => Some(
                head.field("status", task.state.as_str())
                    .field("elapsed_ms", &task.elapsed_ms)
                    .field("command", task.command.as_str())
                    .end(),
            ),
        }
    });
    shown.collect()
}

/// Of the configuration in force: how often to ask, and the characters of one answer.
fn limits(call: &Call, facts: &Facts) -> (u32, u32) {
    let snapshot = call.session.server.store.current();
    let tags = snapshot
        .host(&facts.alias)
        .map_or_else(Vec::new, |host| host.tags.clone());
    let limits = snapshot.policy().limits(facts.alias.as_str(), &tags);
    (limits.task_progress_interval, limits.answer_chars)
}
