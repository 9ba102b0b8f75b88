//! The life of one task on its own thread: on record, over SSH, and how it ended.
//!
//! Owns the order of these steps and that each of them happens once, on every path:
//! decision (when the task was taken on), start on record, command, end on record,
//! listener. Judges nothing and connects to nothing itself ([`crate::ssh`] does). Called
//! by [`crate::task::scheduler`] when the task's turn has come, and by whoever ends one early.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::{Audit, AuditError, Hop, Patterns, Record, Started};
use crate::config::Snapshot;
use crate::model::names::HostAlias;
use crate::ssh::{
    Cancel, Control, Deadline, Ended, Exit, Job, Negotiated, RunReport, Source, SshError,
    Terminated,
};
use crate::task::grounds;
use crate::task::outcome::{Facts, Failure, Outcome, State, Truncated};
use crate::task::output::intake::Intake;
use crate::task::permit::{InForce, Overruled, Runnable};
use crate::task::registry::Registry;
use crate::task::state::{Claim, PendingRun, Stop, Task, TaskEvent, Terms, millis};
use crate::task::transfer::trouble::Trouble;
use crate::task::transfer::{Moved, Transfer};
use crate::task::unreached::Unreached;

const NO_HOST: &str = "Host alias not found";

/// The whole of a task's life, from its turn to its end.
pub(crate) fn run(registry: &Registry, task: &Arc<Task>) {
    let cancel = match Cancel::new() {
        Ok(cancel) => cancel,
        Err(error) => return fail_unstarted(registry, task, "open a descriptor", &error),
    };
    let Some(PendingRun {
        permit, decided, ..
    }) = task.begin(cancel.clone())
    else {
        return;
    };
    let runnable = match permit.renew(&registry.store, &task.audit) {
        Ok(runnable) => runnable,
        Err(denied) => {
            decided.overruled(grounds::of_denial(&denied.denial, &denied.command));
            return end(registry, task, overruled(task, denied));
        }
    };
    if !come_under(registry, task, &runnable) {
        return end(registry, task, failed(task, NO_HOST, Unreached::SERVER));
    }
    task.notify(&TaskEvent::Started);
    registry.timer.follow_running(task);
    match decided.start(&task.id) {
        Ok(started) => {
            if let Err(started) = task.opened(started) {
                return close(started, task);
            }
        }
        Err(error) => return end(registry, task, not_recorded(task, &error)),
    }
    let facts = execute(registry, task, runnable, cancel);
    end(registry, task, facts);
}

/// Runs the command, as long as the configuration in force lets it. One that changes before
/// the request is sent has the last word: the permit is renewed and the login done again by
/// the new one.
fn execute(registry: &Registry, task: &Arc<Task>, mut runnable: Runnable, cancel: Cancel) -> Facts {
    let began = Instant::now();
    loop {
        let Some(host) = runnable.host() else {
            return failed(task, NO_HOST, Unreached::SERVER);
        };
        let limit = Duration::from_secs(task.terms().limits.max_seconds.into());
        let left = limit.saturating_sub(began.elapsed());
        let control = Control::new(Deadline::after(left), cancel.clone());
        let most = task.terms().limits.max_transfer_bytes;
        let directory = registry.transfers.get();
        let transfer = Transfer::of(runnable.command(), directory, most, &task.transfer);
        let (incoming, outgoing) = match transfer {
            Ok(Transfer::None) => (None, None),
            Ok(Transfer::Fetch(incoming)) => (Some(incoming), None),
            Ok(Transfer::Send(outgoing)) => (None, Some(outgoing)),
            Err(trouble) => return not_moved(task, Facts::of(task), trouble),
        };
        let mut intake = Intake::new(registry, task, incoming);
        let report = registry.client.run(
            &Job {
                snapshot: runnable.snapshot(),
                host,
                command: runnable.command(),
                clearance: &InForce {
                    store: &registry.store,
                    snapshot: runnable.snapshot(),
                },
                source: outgoing.as_ref().map(|file| file as &dyn Source),
            },
            &control,
            &mut intake,
        );
        note(task, &report);
        if report.ended != Ended::Superseded {
            let truncated = intake.truncated(report.bytes_not_given);
            let sudo_wants = intake.sudo.seen.then_some(host.login.sudo.is_some());
            let done = report.ended == Ended::Exited && report.exit == Some(Exit::Status(0));
            let moved = match (intake.take_incoming(), outgoing) {
                (Some(incoming), _) => incoming.settle(done),
                (None, Some(outgoing)) => outgoing.settle(done),
                (None, None) => Ok(None),
            };
            let secrets = registry.audit.secrets();
            let facts = facts(task, report, truncated, sudo_wants, &secrets);
            return settle_transfer(task, facts, moved);
        }
        match runnable.into_permit().renew(&registry.store, &task.audit) {
            Ok(renewed) => runnable = renewed,
            Err(denied) => {
                let grounds = grounds::of_denial(&denied.denial, &denied.command);
                task.audit.deny(&task.alias, task.hash, grounds);
                return overruled(task, denied);
            }
        }
        if !come_under(registry, task, &runnable) {
            return failed(task, NO_HOST, Unreached::SERVER);
        }
    }
}

/// What became of the file belongs to the end of the run.
fn settle_transfer(task: &Task, mut facts: Facts, moved: Result<Option<Moved>, Trouble>) -> Facts {
    match moved {
        Ok(moved) => {
            facts.moved = moved;
            facts
        }
        // What was cancelled or ran out of time did not end by this.
        Err(_) if facts.cancelled || facts.timeout => facts,
        Err(trouble) => not_moved(task, facts, trouble),
    }
}

/// The transfer failed on this side.
fn not_moved(task: &Task, mut facts: Facts, trouble: Trouble) -> Facts {
    let name = "transfer_failed";
    let record = Record::host_error(name, &task.alias, &trouble);
    task.audit.emit(record);
    facts.state = State::Failed;
    facts.trouble = Some(trouble);
    facts
}

/// Puts the task under the configuration of `runnable`; false if that has no such host,
/// which cannot be: it was judged by it.
fn come_under(registry: &Registry, task: &Task, runnable: &Runnable) -> bool {
    let Some(host) = runnable.host() else {
        return false;
    };
    task.set_terms(Terms::of(runnable, host, task.kind, task.seconds));
    // The patterns in force hold those of this configuration, and it is in force.
    let credentials = task.terms().limits.redact;
    task.output().redact(&registry.audit.secrets(), credentials);
    true
}

/// Ends a task that this machine could not run.
pub(crate) fn fail_unstarted(registry: &Registry, task: &Task, what: &str, error: &io::Error) {
    let cause = format!("could not {what} for this task: {error}");
    let name = task.kind.fault_name();
    task.audit
        .emit(Record::host_error(name, &task.alias, cause));
    let text =
        "The server is out of threads or descriptors: The command was not run, try again later";
    end(registry, task, failed(task, text, Unreached::SERVER));
}

/// Judges a host's addresses without a task.
///
/// # Errors
/// The words of the network denial. Whatever else fails here will fail the run as well,
/// which says it better.
pub(crate) fn check_network(
    registry: &Registry,
    audit: &Audit,
    snapshot: &Snapshot,
    alias: &HostAlias,
) -> Result<(), &'static str> {
    let (Some(host), Ok(cancel)) = (snapshot.host(alias), Cancel::new()) else {
        return Ok(());
    };
    let control = Control::new(Deadline::Never, cancel);
    let mut events = Vec::new();
    let client = &registry.client;
    let checked = client.check_network(snapshot, host, &control, &mut events);
    for event in events {
        audit.emit(Record::security(event));
    }
    match checked {
        Ok(()) => Ok(()),
        Err(error) => error.network_denial().map_or(Ok(()), Err),
    }
}

/// Ends a task that waits at once, and one that runs by its switch.
///
/// # Errors
/// It had ended, like this.
pub(crate) fn cancel(
    registry: &Registry,
    task: &Task,
    grace: Option<Duration>,
) -> Result<(), State> {
    match task.stop(grace) {
        Stop::Claimed(claim) => {
            settle(registry, task, claim, cancelled(task));
            Ok(())
        }
        Stop::Signalled => Ok(()),
        Stop::Finished(state) => Err(state),
    }
}

/// Ends a task whose thread did not come back in time.
pub(crate) fn abandon(registry: &Registry, task: &Task) {
    let mut facts = cancelled(task);
    facts.terminated = Some(Terminated::Unconfirmed);
    end(registry, task, facts);
}

/// Ends a task, if nobody else did.
fn end(registry: &Registry, task: &Task, facts: Facts) {
    if let Some(claim) = task.claim() {
        settle(registry, task, claim, facts);
    }
}

/// The last steps, for the holder of the claim: record, result, listener.
fn settle(registry: &Registry, task: &Task, claim: Claim, mut facts: Facts) {
    let output = task.output();
    output.finish();
    facts.redacted = output.credentials();
    (facts.bytes_out, facts.bytes_err) = output.bytes_read();
    match claim {
        Claim::Pending(decided) => decided.not_started(facts.audit_end()),
        Claim::Running(since, record) => {
            facts.duration_ms = millis(since.elapsed());
            if let Some(started) = record {
                started.finish(facts.audit_end());
            }
        }
    }
    let elapsed = millis(task.created.elapsed());
    task.audit
        .emit(Record::run_done(Some(&task.alias), elapsed));
    let outcome = Arc::new(Outcome {
        facts: Arc::new(facts),
        output,
    });
    let expires = task.finished(Arc::clone(&outcome));
    registry.keep(task, expires);
    task.notify_end(outcome);
}

/// The task was ended while its start was being written: nothing was sent.
fn close(started: Started, task: &Task) {
    started.finish(cancelled(task).audit_end());
}

/// What the run noticed, on the log.
fn note(task: &Task, report: &RunReport) {
    for event in &report.events {
        task.audit.emit(Record::security(event.clone()));
    }
    if let Some(reason) = report.error.as_ref().and_then(SshError::network_denial) {
        grounds::deny_network(
            &task.audit,
            &task.alias,
            task.terms().request.text(),
            reason,
        );
    }
    if let Some(hops) = &report.negotiated {
        let record = || {
            let hops = hops.iter().map(hop).collect();
            Record::ssh_session(&task.id, &task.alias, report.reused, hops)
        };
        match hops.iter().any(|hop| hop.legacy_algorithms) {
            true => task.audit.emit(record()),
            false => task.audit.debug(record),
        }
    }
    if let Some(error) = report.error.as_ref().filter(|error| !is_expected(error)) {
        let (cause, told) = (error.for_operator(), error.for_assistant());
        let name = task.kind.fault_name();
        task.audit
            .emit(Record::host_error(name, &task.alias, &cause));
        task.audit
            .emit(Record::error_details(&task.alias, told, cause));
    }
}

fn hop(negotiated: &Negotiated) -> Hop {
    let agreed = negotiated.clone();
    Hop {
        alias: agreed.alias,
        legacy_algorithms: agreed.legacy_algorithms,
        kex: agreed.kex,
        host_key: agreed.host_key,
        cipher_out: agreed.cipher_out,
        cipher_in: agreed.cipher_in,
        mac_out: agreed.mac_out,
        mac_in: agreed.mac_in,
        server: agreed.server,
    }
}

/// Cancels and time limits have their flags on the audit record.
fn is_expected(error: &SshError) -> bool {
    matches!(error, SshError::Cancelled(_) | SshError::Superseded)
}

fn not_recorded(task: &Task, error: &AuditError) -> Facts {
    failed(task, &error.for_assistant(), Unreached::AUDIT)
}

fn cancelled(task: &Task) -> Facts {
    let mut facts = Facts::of(task);
    facts.state = State::Cancelled;
    facts.cancelled = true;
    facts
}

fn failed(task: &Task, text: &str, unreached: Unreached) -> Facts {
    let mut facts = Facts::of(task);
    facts.error = Some(Failure::new(text, Some(unreached)));
    facts
}

/// The configuration of this moment does not allow it.
fn overruled(task: &Task, overruled: Box<Overruled>) -> Facts {
    let denial = &overruled.denial;
    let text = format!(
        "Denied by policy ({}): {} {}",
        denial.code().as_str(),
        denial.why(),
        denial.hint()
    );
    let mut facts = Facts::of(task);
    facts.error = Some(Failure::new(&text, None));
    facts.overruled = Some(overruled);
    facts
}

fn facts(
    task: &Task,
    report: RunReport,
    truncated: Option<Truncated>,
    sudo_wants: Option<bool>,
    secrets: &Patterns,
) -> Facts {
    let mut facts = Facts::of(task);
    facts.sudo_wants = sudo_wants;
    match report.exit {
        Some(Exit::Status(status)) => facts.exit_code = status.into(),
        Some(Exit::Signal(name)) => facts.exit_signal = Some(name),
        None => {}
    }
    match report.ended {
        Ended::TimedOut(phase) => {
            facts.timeout = true;
            facts.timeout_phase = Some(phase);
        }
        Ended::Cancelled(_) => facts.cancelled = true,
        Ended::Exited | Ended::Failed | Ended::Stopped | Ended::Superseded => {}
    }
    // What was ended by the server has no exit status, even if it was quick to leave one.
    if facts.timeout || facts.cancelled {
        facts.exit_code = -1;
    }
    facts.state = match (facts.cancelled, facts.timeout, facts.exit_code) {
        (true, ..) => State::Cancelled,
        (_, true, _) => State::Timeout,
        (_, _, 0) => State::Completed,
        _ => State::Failed,
    };
    facts.target_ip = report.target_ip;
    facts.truncated = truncated;
    facts.terminated = report.terminated;
    facts.outcome_unknown = report.outcome_unknown;
    facts.left_running = report.left_running;
    facts.closed_without_status = matches!(report.error, Some(SshError::NoStatus));
    facts.error = report.error.map(|error| Failure {
        text: error.for_assistant().to_owned(),
        unreached: Unreached::of(&error),
        network: error.network_denial(),
        // What a host says may hold what it was given.
        detail: error
            .detail()
            .map(|detail| secrets.redact(&detail).unwrap_or(detail)),
    });
    facts
}

impl Facts {
    /// A run of this task that came to nothing; what is known more is filled in.
    fn of(task: &Task) -> Self {
        let terms = task.terms();
        Self {
            id: task.id.clone(),
            alias: task.alias.clone(),
            hash: task.hash,
            canonical: terms.canonical,
            state: State::Failed,
            exit_code: -1,
            exit_signal: None,
            duration_ms: 0,
            cancelled: false,
            timeout: false,
            timeout_phase: None,
            truncated: None,
            terminated: None,
            outcome_unknown: false,
            left_running: false,
            closed_without_status: false,
            sudo_wants: None,
            target_ip: None,
            bytes_out: 0,
            bytes_err: 0,
            redacted: 0,
            error: None,
            overruled: None,
            moved: None,
            trouble: None,
            hostname: Arc::clone(&terms.hostname),
            max_seconds: terms.limits.max_seconds,
        }
    }
}
