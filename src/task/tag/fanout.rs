//! A run on a tag: one task for each host, so many at a time, one answer for all.
//!
//! Owns which host is next, when no more are begun, and the answer: results in the
//! plan's order, a summary, and a size that all outputs share. Has no
//! thread of its own: each host that ends begins the next, and who wants pauses between steps
//! waits through them. Judges nothing
//! ([`crate::task::tag::plan`] did, and [`crate::task::permit`] does again after a reload). Called by [`crate::task::Tasks::run_on_tag`].

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::audit::Audit;
use crate::model::names::{HostAlias, TaskId};
use crate::policy::{ApprovalFailure, Authorised, Request, Verdict};
use crate::task::grounds;
use crate::task::outcome::{Outcome, State};
use crate::task::permit::Permit;
use crate::task::registry::{NotTaken, Order};
use crate::task::state::{Kind, Listener, TaskEvent};
use crate::task::tag::batch::{Batch, Steps};
use crate::task::tag::events::{Moment, TagEvent, TagListener};
use crate::task::tag::plan::{TagOptions, TagPlan};
use crate::task::tag::report::{Collected, NotRun, TagOutcome};
use crate::task::{TaskHandle, Tasks};

/// What runs for less than this is not worth a word before its end.
const WORTH_TELLING_MS: u64 = 1_000;

/// What is left of a run's time is at least this for the host that is begun last, or half of
/// it all.
const LAST: Duration = Duration::from_secs(10);

/// A tag run that was begun. Dropping it changes nothing for the run.
#[derive(Clone)]
pub struct TagHandle(Arc<Fanout>);

struct Fanout {
    tasks: Tasks,
    request: Request,
    audit: Audit,
    width: usize,
    max_failures: usize,
    seconds: Option<u32>,
    /// When the whole run has to be over.
    until: Option<Instant>,
    /// When no host is begun any more, so that each has some time.
    begin_until: Option<Instant>,
    progress: Mutex<Progress>,
    /// The run is over, or pauses.
    moved: Condvar,
}

struct Progress {
    /// Those that are to run and have not been begun, in order.
    waiting: BTreeMap<usize, (HostAlias, Authorised)>,
    in_flight: usize,
    /// Those of the tasks in flight that can be cancelled.
    handles: BTreeMap<usize, TaskHandle>,
    failures: usize,
    steps: Option<Steps>,
    stop: Option<NotRun>,
    /// Somebody is beginning hosts, without the lock at times; whoever else would looks on.
    beginning: bool,
    done: usize,
    total: usize,
    collected: Collected,
    listener: Option<Arc<dyn TagListener>>,
    outcome: Option<Arc<TagOutcome>>,
}

impl TagHandle {
    pub(crate) fn begin(
        tasks: &Tasks,
        plan: TagPlan,
        options: TagOptions,
        listener: Arc<dyn TagListener>,
    ) -> Self {
        let fan_out = usize::try_from(plan.snapshot.concurrency().fan_out).unwrap_or(usize::MAX);
        let hash = plan.hash();
        let mut collected = Collected::new(hash, plan.hosts.len(), options.clone());
        let mut waiting = BTreeMap::new();
        for (place, (alias, verdict)) in plan.hosts.into_iter().enumerate() {
            let denial = match verdict {
                Verdict::Allow(authorised) => {
                    waiting.insert(place, (alias, authorised));
                    continue;
                }
                Verdict::Ask(needs) => needs.refuse(ApprovalFailure::Unavailable),
                Verdict::Deny(denial) => denial,
            };
            // Denied before anything runs, and on record like any other denial.
            let grounds = grounds::of_denial(&denial, plan.request.text());
            plan.audit.deny(&alias, hash, grounds);
            collected.denied(place, alias, denial);
        }
        let (width, steps) = match &options.batch {
            Batch::Unbounded => (fan_out, None),
            Batch::Width(size) => (size.of(waiting.len()), None),
            Batch::Steps { sizes, pause } => {
                (fan_out, Some(Steps::of(sizes, *pause, waiting.len())))
            }
        };
        let most = match steps {
            Some(_) => 1,
            None => usize::MAX,
        };
        let (now, within) = (Instant::now(), options.within.map(u64::from));
        let within = within.map(Duration::from_secs);
        let fanout = Arc::new(Fanout {
            until: within.map(|within| now + within),
            begin_until: within.map(|within| now + within - LAST.min(within / 2)),
            tasks: tasks.clone(),
            request: plan.request,
            audit: plan.audit,
            width: width.min(fan_out).max(1),
            seconds: options.seconds,
            max_failures: options.max_failures.map_or(most, NonZeroUsize::get),
            moved: Condvar::new(),
            progress: Mutex::new(Progress {
                in_flight: 0,
                handles: BTreeMap::new(),
                failures: 0,
                steps,
                stop: None,
                beginning: false,
                done: 0,
                total: waiting.len(),
                waiting,
                collected,
                listener: Some(listener),
                outcome: None,
            }),
        });
        fanout.go_on();
        Self(fanout)
    }

    /// Ends every host's command and begins no more. Returns at once.
    pub fn cancel(&self) {
        let handles: Vec<_> = {
            let mut progress = self.0.progress();
            progress.stop = Some(NotRun::Cancelled);
            progress.handles.values().cloned().collect()
        };
        for handle in handles {
            handle.cancel();
        }
        self.0.go_on();
    }

    /// The tasks in flight, by the order of their hosts.
    pub fn task_ids(&self) -> Vec<TaskId> {
        let progress = self.0.progress();
        progress
            .handles
            .values()
            .map(|handle| handle.id().clone())
            .collect()
    }

    /// Waits for the end of all hosts.
    pub fn wait(&self) -> Arc<TagOutcome> {
        let mut progress = self.0.progress();
        loop {
            if let Some(outcome) = &progress.outcome {
                return Arc::clone(outcome);
            }
            let waited = self.0.moved.wait(progress);
            progress = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sees to it that each pause between two steps ends. Returns when the run is over.
    pub fn pace(&self) {
        let mut progress = self.0.progress();
        while progress.outcome.is_none() {
            let until = progress.steps.as_ref().and_then(|steps| steps.until);
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            progress = match left {
                Some(Duration::ZERO) => {
                    if let Some(steps) = &mut progress.steps {
                        steps.next();
                    }
                    drop(progress);
                    self.0.go_on();
                    self.0.progress()
                }
                Some(left) => {
                    let waited = self.0.moved.wait_timeout(progress, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.0.moved.wait(progress);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

impl Fanout {
    /// Begins as many hosts as may run, and ends the run if none is left.
    fn go_on(self: &Arc<Self>) {
        let mut progress = self.progress();
        if progress.beginning {
            return;
        }
        // One thread begins hosts at a time: the order of the file is the order of the starts.
        progress.beginning = true;
        let is_late = self.begin_until.is_some_and(|at| at <= Instant::now());
        if is_late && progress.stop.is_none() && !progress.waiting.is_empty() {
            progress.stop = Some(NotRun::NoTime);
        }
        loop {
            self.step(&mut progress);
            let Some((place, alias, command)) = progress.next(self.width) else {
                break;
            };
            // A start waits for the disk and may end at once: never with the lock held.
            drop(progress);
            let order = Order {
                permit: Permit::new(&self.request, command),
                kind: Kind::Tag,
                seconds: self.seconds_left(),
                audit: self.audit.clone(),
            };
            let listener = Arc::new(OneHost {
                fanout: Arc::clone(self),
                alias: alias.clone(),
                place,
            });
            let started = self.tasks.start(order, listener);
            progress = self.progress();
            match started {
                Err(NotTaken::Refused(refused)) => {
                    progress.in_flight -= 1;
                    progress.left_out(place, alias, NotRun::Refused(refused));
                }
                Err(NotTaken::Denied(overruled)) => {
                    let denial = overruled.denial;
                    // A record may wait for the reader of the log: not with the lock held.
                    drop(progress);
                    let grounds = grounds::of_denial(&denial, self.request.text());
                    self.audit.deny(&alias, denial.hash(), grounds);
                    progress = self.progress();
                    progress.in_flight -= 1;
                    progress.count(&alias);
                    progress.collected.denied(place, alias, denial);
                }
                // Cancelled while it was being started: nobody else has its handle.
                Ok(handle) if progress.stop == Some(NotRun::Cancelled) => {
                    drop(progress);
                    handle.cancel();
                    progress = self.progress();
                }
                Ok(handle) => progress.keep(place, handle),
            }
        }
        // No host is begun any more; those that wait are told apart from those that failed.
        if let Some(why) = progress.stop {
            let left = std::mem::take(&mut progress.waiting);
            drop(progress);
            for (alias, command) in left.values() {
                // It was allowed, and is on record as that; it has no start and no end.
                let grounds = grounds::of_permit(command);
                drop(self.audit.allow(alias, command.hash(), grounds));
            }
            progress = self.progress();
            for (place, (alias, _)) in left {
                progress.left_out(place, alias, why);
            }
        }
        // Only now may another begin or end the run: whoever tried meanwhile looked on.
        progress.beginning = false;
        let Some((listener, outcome)) = progress.end() else {
            return;
        };
        drop(progress);
        self.moved.notify_all();
        listener.on_event(&TagEvent::Finished(outcome));
    }

    /// Opens the next step of a run in steps, once the one before is over.
    fn step(&self, progress: &mut Progress) {
        let idle = progress.in_flight == 0 && progress.stop.is_none();
        let (done, total) = (progress.done, progress.total);
        let Some(steps) = progress.steps.as_mut().filter(|steps| {
            idle && !progress.waiting.is_empty() && steps.is_begun() && steps.until.is_none()
        }) else {
            return;
        };
        let over = steps.number;
        if over > 0 && !steps.pause.is_zero() {
            let until = Instant::now() + steps.pause;
            // Nobody waits for hosts that could not be begun behind the pause.
            match self.begin_until {
                Some(last) if last <= until => progress.stop = Some(NotRun::NoTime),
                _ => steps.until = Some(until),
            }
            self.moved.notify_all();
        } else {
            steps.next();
        }
        let event = TagEvent::StepEnded {
            step: over,
            steps: steps.count,
            done,
            total,
            pause: steps.until.map_or(0, |_| steps.pause.as_secs()),
        };
        if let Some(listener) = progress.listener.as_ref().filter(|_| over > 0) {
            listener.on_event(&event);
        }
    }

    fn host_ended(self: &Arc<Self>, place: usize, outcome: &Outcome) {
        // Outside the lock: an output may be long.
        let streams = outcome.streams();
        let mut progress = self.progress();
        progress.handles.remove(&place);
        progress.in_flight -= 1;
        let state = progress.collected.ran(place, outcome, streams);
        // A denial, also of the network policy, is counted as that alone, as in the summary.
        if matches!(state, State::Failed | State::Timeout) && !outcome.is_denied() {
            progress.failures += 1;
            if progress.failures >= self.max_failures && progress.stop.is_none() {
                progress.stop = Some(NotRun::TooManyFailures);
            }
        }
        progress.count(&outcome.alias);
        drop(progress);
        self.go_on();
    }

    /// What a host that is begun now has: what the caller wants, and no more than is left.
    fn seconds_left(&self) -> Option<u32> {
        let left = self.until.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            // A limit is whole seconds; the first host has them all.
            u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
        });
        match (self.seconds, left) {
            (Some(wanted), Some(left)) => Some(wanted.min(left)),
            (wanted, left) => wanted.or(left),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Takes the next host that may be begun, and counts it as in flight.
    fn next(&mut self, width: usize) -> Option<(usize, HostAlias, Authorised)> {
        if self.in_flight >= width || self.stop.is_some() {
            return None;
        }
        if self.waiting.is_empty() || !self.steps.as_mut().is_none_or(Steps::take) {
            return None;
        }
        let (place, (alias, command)) = self.waiting.pop_first()?;
        self.in_flight += 1;
        Some((place, alias, command))
    }

    /// Keeps what is needed to cancel a task, unless it has ended already.
    fn keep(&mut self, place: usize, handle: TaskHandle) {
        if !self.collected.has(place) {
            self.handles.insert(place, handle);
        }
    }

    fn left_out(&mut self, place: usize, alias: HostAlias, why: NotRun) {
        self.count(&alias);
        self.collected.not_run(place, alias, why);
    }

    fn count(&mut self, alias: &HostAlias) {
        self.done += 1;
        let event = TagEvent::HostFinished {
            alias: alias.clone(),
            done: self.done,
            total: self.total,
        };
        if let Some(listener) = &self.listener {
            listener.on_event(&event);
        }
    }

    /// The end of it all, once.
    fn end(&mut self) -> Option<(Arc<dyn TagListener>, Arc<TagOutcome>)> {
        if self.in_flight > 0 || !self.waiting.is_empty() {
            return None;
        }
        let listener = self.listener.take()?;
        let outcome = Arc::new(self.collected.finish());
        self.outcome = Some(Arc::clone(&outcome));
        Some((listener, outcome))
    }
}

/// Hears of one host's task.
struct OneHost {
    fanout: Arc<Fanout>,
    alias: HostAlias,
    place: usize,
}

impl Listener for OneHost {
    fn on_event(&self, id: &TaskId, event: &TaskEvent) {
        match event {
            TaskEvent::Started => {
                let progress = self.fanout.progress();
                if let Some(listener) = &progress.listener {
                    listener.on_event(&TagEvent::HostStarted {
                        alias: self.alias.clone(),
                        task_id: id.clone(),
                    });
                }
            }
            TaskEvent::Finished(outcome) => self.fanout.host_ended(self.place, outcome),
            TaskEvent::Waiting(waiting) => self.goes_on(Moment::Waits(*waiting)),
            TaskEvent::Progress(at) if at.elapsed_ms >= WORTH_TELLING_MS => {
                self.goes_on(Moment::Runs(*at));
            }
            TaskEvent::Created(_) | TaskEvent::Progress(_) => {}
        }
    }
}

impl OneHost {
    fn goes_on(&self, at: Moment) {
        let progress = self.fanout.progress();
        let is_first = progress.handles.keys().next() == Some(&self.place);
        if let Some(listener) = progress.listener.as_ref().filter(|_| is_first) {
            listener.on_event(&TagEvent::HostGoesOn {
                alias: self.alias.clone(),
                at,
                done: progress.done,
                total: progress.total,
            });
        }
    }
}
