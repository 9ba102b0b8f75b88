//! One task and the states it goes through.
//!
//! Owns the state machine: who may move a task on, that it ends once, and that its
//! listener gets the events in order and none after the end. Starts no thread and
//! writes no record. Used by [`crate::task::registry`], [`crate::task::worker`] and [`crate::task::timer`].

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::audit::{Audit, Decided, Started};
use crate::config::Host;
use crate::model::memory::Held;
use crate::model::names::{CommandHash, HostAlias, TaskId};
use crate::policy::{EffectiveLimits, Request};
use crate::ssh::Cancel;
use crate::task::outcome::{Outcome, State};
use crate::task::output::Output;
use crate::task::permit::{Permit, Runnable};
use crate::task::transfer::Counter;

/// What a task was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its caller waits for the result.
    Sync,
    /// Its caller waits for the result, and it may take as long as what nobody waits for.
    Transfer,
    /// Its caller comes back for the result.
    Async,
    /// A part of a run on a tag.
    Tag,
}

impl Kind {
    /// Whether `max_async_seconds` is its limit.
    pub(crate) fn may_take_long(self) -> bool {
        matches!(self, Self::Transfer | Self::Async)
    }

    /// What a record calls a failure of such a task.
    pub(crate) fn fault_name(self) -> &'static str {
        match self {
            Self::Sync | Self::Transfer => "run_exception",
            Self::Async => "async_run_exception",
            Self::Tag => "run_on_tag_host_failed",
        }
    }
}

/// How far a running task has come.
pub(crate) use crate::audit::Phase;

/// The events of a task, in this order: `Created`, any number of `Waiting`,
/// `Started` (unless it ends before its turn), any number of `Progress`, `Finished`.
#[derive(Debug, Clone)]
pub enum TaskEvent {
    /// With the limits that it is taken on under.
    Created(Box<EffectiveLimits>),
    Waiting(Waiting),
    Started,
    Progress(Progress),
    Finished(Arc<Outcome>),
}

/// A moment of a task that waits for its turn, every `limits.task_progress_interval` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub waited: Duration,
    /// Which it will have when its turn has come.
    pub max_seconds: u32,
}

/// A moment of a running task: each change of phase, and every
/// `limits.task_progress_interval` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    /// Of stdout and stderr together, as read from the host.
    pub bytes_read: u64,
    pub elapsed_ms: u64,
    pub output_lines: u64,
    pub max_seconds: u32,
    /// Bytes of a file that were transferred, and all of them.
    pub moved: Option<(u64, u64)>,
}

/// Gets the events of a task. Called from the task's own thread or the timer's, one call at
/// a time for each task: an implementation must not block, and must not cancel or wait for
/// the same task in the call (except in `Finished`, after which nothing is left to do).
pub trait Listener: Send + Sync {
    fn on_event(&self, id: &TaskId, event: &TaskEvent);
}

/// Nobody listens.
impl Listener for () {
    fn on_event(&self, _: &TaskId, _: &TaskEvent) {}
}

/// One command for one host, from the moment it is taken on until its result expires.
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) alias: HostAlias,
    pub(crate) hash: CommandHash,
    pub(crate) kind: Kind,
    /// The time limit that its caller set below the policy's.
    pub(crate) seconds: Option<u32>,
    pub(crate) created: Instant,
    pub(crate) created_at: SystemTime,
    /// The way to the record, on which each line names the task and who asked for it.
    pub(crate) audit: Audit,
    /// How far its transfer has come, if it is one.
    pub(crate) transfer: Arc<Counter>,
    output: Mutex<Arc<Output>>,
    terms: Mutex<Arc<Terms>>,
    stage: Mutex<Stage>,
    ended: Condvar,
    listener: Mutex<Option<Arc<dyn Listener>>>,
}

/// What it runs under, by the configuration that it was last judged by.
pub(crate) struct Terms {
    pub(crate) limits: EffectiveLimits,
    /// The host's address as the configuration has it, which its description shows too.
    pub(crate) hostname: Arc<str>,
    /// As it came in: what a later policy judges.
    pub(crate) request: Request,
    /// Of what is sent.
    pub(crate) canonical: CommandHash,
}

impl Terms {
    /// `seconds` is what the caller wants, at most what the policy allows.
    pub(crate) fn of(runnable: &Runnable, host: &Host, kind: Kind, seconds: Option<u32>) -> Self {
        let mut limits = runnable.limits(host);
        let most = limits.most_seconds(kind.may_take_long());
        limits.max_seconds = seconds.map_or(most, |wanted| wanted.min(most));
        Self {
            limits,
            hostname: host.address.to_string().into(),
            request: runnable.request().clone(),
            canonical: runnable.command().canonical_hash(),
        }
    }
}

/// What is needed to run it. Given up when it ends, the credentials with it.
pub(crate) struct PendingRun {
    /// What it takes of the memory for calls while it waits.
    pub(crate) _reserved: Option<Held>,
    pub(crate) permit: Permit,
    pub(crate) decided: Decided,
}

enum Stage {
    Pending(Box<PendingRun>),
    Running(Running),
    /// Somebody writes its end on record; to others it still runs.
    Ending(Instant),
    Finished(Finished),
}

struct Running {
    since: Instant,
    since_at: SystemTime,
    phase: Phase,
    cancel: Cancel,
    record: Option<Started>,
}

struct Finished {
    outcome: Arc<Outcome>,
    at: SystemTime,
    expires: Instant,
}

/// The right to end a task, of which there is one, with what is needed to put the end
/// on record.
pub(crate) enum Claim {
    /// It waited.
    Pending(Decided),
    /// It ran since then. Without a start on record nothing of it was sent.
    Running(Instant, Option<Started>),
}

/// What came of an attempt to end a task.
pub(crate) enum Stop {
    /// It waited; the caller ends it.
    Claimed(Claim),
    /// Its end follows.
    Signalled,
    /// It had ended.
    Finished(State),
}

/// A look at a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) state: State,
    /// `None` unless it runs.
    pub(crate) phase: Option<Phase>,
    pub(crate) elapsed: Duration,
    pub(crate) updated: SystemTime,
    /// When its result goes, if it has one.
    pub(crate) expires: Option<Instant>,
}

/// What identifies a new task.
pub(crate) struct Name {
    pub(crate) id: TaskId,
    pub(crate) alias: HostAlias,
    pub(crate) hash: CommandHash,
    pub(crate) kind: Kind,
    pub(crate) seconds: Option<u32>,
}

impl Stage {
    fn claim(&mut self) -> Option<Claim> {
        let since = match self {
            Self::Pending(_) => Instant::now(),
            Self::Running(running) => running.since,
            Self::Ending(_) | Self::Finished(_) => return None,
        };
        match std::mem::replace(self, Self::Ending(since)) {
            Self::Pending(pending) => Some(Claim::Pending(pending.decided)),
            Self::Running(running) => Some(Claim::Running(since, running.record)),
            Self::Ending(_) | Self::Finished(_) => None,
        }
    }
}

impl Task {
    pub(crate) fn new(
        name: Name,
        audit: Audit,
        terms: Terms,
        pending: PendingRun,
        output: Output,
        listener: Arc<dyn Listener>,
    ) -> Self {
        Self {
            id: name.id,
            alias: name.alias,
            hash: name.hash,
            kind: name.kind,
            audit,
            transfer: Arc::default(),
            output: Mutex::new(Arc::new(output)),
            seconds: name.seconds,
            created: Instant::now(),
            created_at: SystemTime::now(),
            terms: Mutex::new(Arc::new(terms)),
            stage: Mutex::new(Stage::Pending(Box::new(pending))),
            ended: Condvar::new(),
            listener: Mutex::new(Some(listener)),
        }
    }

    pub(crate) fn output(&self) -> Arc<Output> {
        Arc::clone(&self.output.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives up the output of a finished task: whoever still holds a handle holds no more
    /// than its facts. An answer that is on its way has its own hold of it.
    pub(crate) fn forget_output(&self) {
        let empty = {
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            *output = Arc::new(output.without_text());
            Arc::clone(&output)
        };
        if let Stage::Finished(finished) = &mut *self.stage() {
            finished.outcome = Arc::new(Outcome {
                facts: Arc::clone(&finished.outcome.facts),
                output: empty,
            });
        }
    }

    pub(crate) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Its turn has come, and this is what it runs under.
    pub(crate) fn set_terms(&self, terms: Terms) {
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
    }

    /// pending → running. `None` if it was ended before its turn.
    pub(crate) fn begin(&self, cancel: Cancel) -> Option<PendingRun> {
        let mut stage = self.stage();
        if !matches!(*stage, Stage::Pending(_)) {
            return None;
        }
        let running = Stage::Running(Running {
            since: Instant::now(),
            since_at: SystemTime::now(),
            phase: Phase::Connecting,
            cancel,
            record: None,
        });
        match std::mem::replace(&mut *stage, running) {
            Stage::Pending(pending) => Some(*pending),
            _ => None,
        }
    }

    /// The start is on record; keeps what is needed to record the end. Gives it back if
    /// the task was ended meanwhile: then nothing may be sent.
    pub(crate) fn opened(&self, record: Started) -> Result<(), Started> {
        match &mut *self.stage() {
            Stage::Running(running) => {
                running.record = Some(record);
                Ok(())
            }
            _ => Err(record),
        }
    }

    /// Notes a change of phase; false if there is none.
    pub(crate) fn enter(&self, phase: Phase) -> bool {
        match &mut *self.stage() {
            Stage::Running(running) if running.phase != phase => {
                running.phase = phase;
                true
            }
            _ => false,
        }
    }

    /// Ends it as its state allows: throws the switch of a running task, and claims a
    /// waiting one for the caller to end. `grace` is for its remote process, between TERM
    /// and KILL.
    pub(crate) fn stop(&self, grace: Option<Duration>) -> Stop {
        let mut stage = self.stage();
        match &*stage {
            Stage::Running(running) => {
                match grace {
                    Some(grace) => running.cancel.cancel_within(grace),
                    None => running.cancel.cancel(),
                }
                Stop::Signalled
            }
            Stage::Finished(finished) => Stop::Finished(finished.outcome.state),
            Stage::Pending(_) | Stage::Ending(_) => {
                stage.claim().map_or(Stop::Signalled, Stop::Claimed)
            }
        }
    }

    /// Takes the right to end it. `None` if somebody else has it.
    pub(crate) fn claim(&self) -> Option<Claim> {
        self.stage().claim()
    }

    /// … → finished: the last step, for the holder of the claim.
    pub(crate) fn finished(&self, outcome: Arc<Outcome>) -> Instant {
        let expires =
            Instant::now() + Duration::from_secs(self.terms().limits.task_result_ttl.into());
        *self.stage() = Stage::Finished(Finished {
            outcome,
            at: SystemTime::now(),
            expires,
        });
        self.ended.notify_all();
        expires
    }

    pub(crate) fn outcome(&self) -> Option<Arc<Outcome>> {
        match &*self.stage() {
            Stage::Finished(finished) => Some(Arc::clone(&finished.outcome)),
            _ => None,
        }
    }

    /// Waits for the end; `None` if it did not come by then.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Option<Arc<Outcome>> {
        let mut stage = self.stage();
        loop {
            if let Stage::Finished(finished) = &*stage {
                return Some(Arc::clone(&finished.outcome));
            }
            stage = match until {
                None => self
                    .ended
                    .wait(stage)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.checked_duration_since(Instant::now())?;
                    let waited = self.ended.wait_timeout(stage, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    pub(crate) fn view(&self) -> View {
        match &*self.stage() {
            Stage::Pending(_) => View {
                state: State::Pending,
                phase: None,
                elapsed: Duration::ZERO,
                updated: self.created_at,
                expires: None,
            },
            Stage::Running(running) => View {
                state: State::Running,
                phase: Some(running.phase),
                elapsed: running.since.elapsed(),
                updated: running.since_at,
                expires: None,
            },
            Stage::Ending(since) => View {
                state: State::Running,
                phase: None,
                elapsed: since.elapsed(),
                updated: SystemTime::now(),
                expires: None,
            },
            Stage::Finished(finished) => View {
                state: finished.outcome.state,
                phase: None,
                elapsed: Duration::from_millis(finished.outcome.duration_ms),
                updated: finished.at,
                expires: Some(finished.expires),
            },
        }
    }

    /// How long it has waited, if it still does.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        matches!(*self.stage(), Stage::Pending(_)).then(|| Waiting {
            waited: self.created.elapsed(),
            max_seconds: self.terms().limits.max_seconds,
        })
    }

    /// Its progress, if it runs.
    pub(crate) fn progress(&self) -> Option<Progress> {
        let view = self.view();
        let output = self.output();
        let (out, err) = output.bytes_read();
        Some(Progress {
            phase: view.phase?,
            bytes_read: out.saturating_add(err),
            elapsed_ms: millis(view.elapsed),
            output_lines: output.lines(),
            max_seconds: self.terms().limits.max_seconds,
            moved: self.transfer.now(),
        })
    }

    /// Does `insert` while no other event of the task can be sent, and sends `Created` if that
    /// went well: so it comes before whatever follows from it.
    pub(crate) fn create<E>(&self, insert: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let listener = self.listener();
        insert()?;
        if let Some(listener) = &*listener {
            let limits = Box::new(self.terms().limits.clone());
            listener.on_event(&self.id, &TaskEvent::Created(limits));
        }
        Ok(())
    }

    pub(crate) fn notify(&self, event: &TaskEvent) {
        if let Some(listener) = &*self.listener() {
            listener.on_event(&self.id, event);
        }
    }

    /// Sends the event of the end; after this, nobody listens any more.
    pub(crate) fn notify_end(&self, outcome: Arc<Outcome>) {
        let listener = self.listener().take();
        if let Some(listener) = listener {
            listener.on_event(&self.id, &TaskEvent::Finished(outcome));
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listener(&self) -> MutexGuard<'_, Option<Arc<dyn Listener>>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
