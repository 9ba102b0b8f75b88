//! Tasks: every command that was allowed runs as one, whoever asked for it and however.
//!
//! Owns the registry of all tasks, their fair and bounded queue, a thread for each that
//! runs, their output and its expiry, fan-out over tags, and the end of all of them when
//! the server ends. Speaks no SSH and makes no rules; takes only what was judged, and has
//! the policy judge it again if the configuration changed while it waited ([`permit`]).
//! Called by the tools in [`crate::mcp`].
//!
//! ```text
//! start → queue → thread: still permitted → start on record → ssh → end on record → listener → result → expiry
//! ```

pub(crate) mod approvals;
pub(crate) mod grounds;
pub(crate) mod outcome;
pub(crate) mod output;
pub(crate) mod permit;
pub(crate) mod queue;
pub(crate) mod registry;
pub(crate) mod retention;
pub(crate) mod scheduler;
pub(crate) mod state;
pub(crate) mod tag;
pub(crate) mod timer;
pub(crate) mod transfer;
pub(crate) mod unreached;
pub(crate) mod worker;
pub(crate) mod worker_threads;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::task::state::{Task, millis};
use registry::Registry;
use scheduler::Scheduler;

pub use crate::task::output::clean::{Cleaner, clean};

pub(crate) use crate::task::state::{Kind, Listener, Phase, Progress, TaskEvent, Waiting};
pub(crate) use crate::task::tag::batch::{Batch, STEPS_MAX, Size};
pub(crate) use crate::task::tag::events::{Moment, TagEvent, TagListener};
pub(crate) use crate::task::tag::expected::{Expected, Unmet};
pub(crate) use crate::task::tag::fanout::TagHandle;
pub(crate) use crate::task::tag::plan::{TagOptions, TagPlan};
pub(crate) use crate::task::tag::report::{
    HostResult, NotRun, Ran, SharedOutput, TagOutcome, share_room,
};
pub(crate) use grounds::of_denial;
pub(crate) use outcome::{Facts, Outcome, State};
pub(crate) use output::excerpt::{Excerpt, Shape, share};
pub(crate) use output::{Kept, Stream, read};
pub(crate) use permit::{Overruled, Permit, judge_waited};
pub(crate) use registry::Status;
pub(crate) use registry::{Counts, Missing, NotTaken, Order};
pub(crate) use transfer::trouble::Trouble;
pub(crate) use unreached::Unreached;

use crate::audit::{Audit, Grounds, Record};
use crate::config::{Host, Snapshot, Store};
use crate::model::keys::TagKey;
use crate::model::names::{CommandHash, CommandText, HostAlias, OnRevoke, TaskId};
use crate::policy::{EffectiveLimits, Request, Verdict};
use crate::ssh::Client;
use crate::task::approvals::desk::Desk;
use crate::task::transfer::directory::TransferDir;

/// With how many hosts before it one is compared: those of a kind stand together.
const ALIKE: usize = 4;

/// How often somebody who waits for a task looks for new output, and whether to go on.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// All tasks of the server. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Tasks {
    registry: Arc<Registry>,
    scheduler: Scheduler,
    clock: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// A task that was taken on. Dropping it changes nothing for the task.
#[derive(Clone)]
pub struct TaskHandle {
    task: Arc<Task>,
    tasks: Tasks,
}

/// Why a task could not be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelError {
    Missing(Missing),
    /// It had ended already, like this.
    Finished(State),
}

impl Tasks {
    /// Starts the timer's thread, so call it after the process was confined. Whatever
    /// runs, runs by the configuration that `store` has then. Names of tasks are made with
    /// `key`, so that nobody guesses one.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn new(
        audit: Audit,
        client: Client,
        store: Arc<Store>,
        key: &[u8; 64],
    ) -> io::Result<Self> {
        let registry = Arc::new(Registry::new(
            audit,
            client,
            Arc::clone(&store),
            TagKey::derive(key, "task"),
        ));
        let clock = timer::start(&registry.timer, {
            let registry = Arc::clone(&registry);
            move |now| registry.expire(now)
        })?;
        let tasks = Self {
            scheduler: Scheduler::new(&registry),
            registry,
            clock: Arc::new(Mutex::new(Some(clock))),
        };
        let told = tasks.clone();
        store.observe(Box::new(move |attempt| {
            if let Ok(reloaded) = attempt.outcome {
                told.reconfigured(&reloaded.snapshot);
            }
        }));
        Ok(tasks)
    }

    /// Takes a command on; it runs as soon as the bounds of `concurrency:` allow. Its
    /// decision is on record when this returns. Waits for no host, name or disk. Judged
    /// anew here and when its turn comes, if the configuration changed meanwhile.
    ///
    /// # Errors
    /// The queue is full, the server ends, or the configuration in force does not allow
    /// it; nothing is on record of it then.
    pub fn start(&self, order: Order, listener: Arc<dyn Listener>) -> Result<TaskHandle, NotTaken> {
        let task = self.registry.enqueue(order, listener)?;
        self.scheduler.admit();
        if task.waiting().is_some() {
            self.registry.timer.follow_waiting(&task);
        }
        Ok(TaskHandle {
            task,
            tasks: self.clone(),
        })
    }

    /// Whether a host has an address that the network policy allows, for an answer before a
    /// task is made. May wait for a name to be looked up, as long as a run would.
    ///
    /// # Errors
    /// The words of the network denial.
    pub fn check_network(
        &self,
        audit: &Audit,
        snapshot: &Arc<Snapshot>,
        alias: &HostAlias,
    ) -> Result<(), &'static str> {
        worker::check_network(&self.registry, audit, snapshot, alias)
    }

    /// After the configuration changed: the next run on each host logs in anew, what runs
    /// and is denied now is ended if the policy wants that, and what waits begins if the new
    /// bounds allow more.
    fn reconfigured(&self, snapshot: &Snapshot) {
        self.registry.client.drop_sessions();
        if snapshot.on_revoke() == OnRevoke::End {
            self.end_revoked(snapshot);
        }
        self.scheduler.admit();
    }

    /// Ends what runs and is denied by this configuration. What waits is judged anew when its
    /// turn comes.
    fn end_revoked(&self, snapshot: &Snapshot) {
        for task in self.registry.all() {
            if task.view().state != State::Running {
                continue;
            }
            let terms = task.terms();
            let denied = match snapshot.host(&task.alias) {
                None => true,
                Some(host) => matches!(
                    snapshot
                        .policy()
                        .judge_request(&host.subject(), &terms.request),
                    Verdict::Deny(_)
                ),
            };
            // It may have ended by itself meanwhile.
            if denied && self.end(&task).is_ok() {
                let text = format!(
                    "{}: the policy in force denies it, so it was ended",
                    task.id
                );
                task.audit
                    .emit(Record::host_error("command_revoked", &task.alias, text));
            }
        }
    }

    /// Runs a command on the hosts of a plan, so many at a time. Those that are denied are
    /// on record as such when this returns, before any host is begun.
    pub fn run_on_tag(
        &self,
        plan: TagPlan,
        options: TagOptions,
        listener: Arc<dyn TagListener>,
    ) -> TagHandle {
        TagHandle::begin(self, plan, options, listener)
    }

    /// # Errors
    /// There is no such task (any more).
    pub fn status(&self, id: &TaskId) -> Result<Status, Missing> {
        Ok(self.describe(&*self.registry.find(id)?))
    }

    /// All that is kept of its output so far: of one stream, or of both as they came. The
    /// text only grows at its end, so that an offset once given stays good.
    ///
    /// # Errors
    /// There is no such task (any more).
    pub fn kept(&self, id: &TaskId, stream: Option<Stream>) -> Result<Kept, Missing> {
        let task = self.registry.find(id)?;
        let mut kept = task.output().kept(stream);
        // The output ends a moment before its task does: who is told that it is over may ask
        // for the result.
        kept.finished &= task.outcome().is_some();
        Ok(kept)
    }

    /// Waits until it has ended, has output beyond `beyond` bytes where that is asked for,
    /// or `given_up` says so, at most until `until`. A task that is not there has ended.
    pub fn wait_for(
        &self,
        id: &TaskId,
        beyond: Option<usize>,
        until: Instant,
        given_up: impl Fn() -> bool,
    ) {
        let Ok(task) = self.registry.find(id) else {
            return;
        };
        let more = || beyond.is_some_and(|bytes| task.output().len() > bytes);
        while !more() && !given_up() && Instant::now() < until {
            let look_again = Instant::now() + LOOK_AGAIN;
            if task.wait(Some(until.min(look_again))).is_some() {
                return;
            }
        }
    }

    /// # Errors
    /// There is no such task (any more), or it has not ended.
    pub fn result(&self, id: &TaskId) -> Result<Arc<Outcome>, Missing> {
        self.registry.find(id)?.outcome().ok_or(Missing::Unfinished)
    }

    /// Ends a waiting or running task. Returns at once; the end of a running one follows.
    ///
    /// # Errors
    /// There is no such task (any more), or it has ended.
    pub fn cancel(&self, id: &TaskId) -> Result<(), CancelError> {
        let task = self.registry.find(id).map_err(CancelError::Missing)?;
        self.end(&task)
    }

    /// All tasks that can be asked for, in the order of their creation.
    pub fn list(&self) -> Vec<Status> {
        let all = self.registry.all();
        all.iter().map(|task| self.describe(task)).collect()
    }

    /// Lets the operator approve out of band, and type what logins ask; the first time counts.
    pub(crate) fn approve_at(&self, desk: Desk) {
        self.registry.approve_at(Arc::new(desk));
    }

    /// Where the operator approves, if that is wanted.
    pub(crate) fn desk(&self) -> Option<&Arc<Desk>> {
        self.registry.desk.get()
    }

    /// Lets files be transferred to and from this directory.
    pub(crate) fn transfer_in(&self, directory: Arc<TransferDir>) {
        let _ = self.registry.transfers.set(directory);
    }

    /// The directory that files are transferred to and from, if there is one.
    pub(crate) fn transfers(&self) -> Option<&Arc<TransferDir>> {
        self.registry.transfers.get()
    }

    pub fn counts(&self) -> Counts {
        self.registry.counts()
    }

    /// Judges a command for one host, and puts on record what the security log is to be
    /// told of it. A denial is to be followed by [`Tasks::record_denial`].
    pub fn judge(
        &self,
        audit: &Audit,
        snapshot: &Snapshot,
        host: &Host,
        request: &Request,
    ) -> Verdict {
        permit::judge(audit, snapshot, host, request)
    }

    /// Judges a command for each of these hosts, as far as the configuration has them.
    pub fn plan(
        &self,
        audit: &Audit,
        snapshot: Arc<Snapshot>,
        aliases: &[HostAlias],
        request: &Request,
    ) -> TagPlan {
        let mut hosts: Vec<(HostAlias, Verdict)> = Vec::with_capacity(aliases.len());
        for host in aliases.iter().filter_map(|alias| snapshot.host(alias)) {
            let mut verdict = judge_waited(audit, &snapshot, host, request);
            // A command of 8 KB for a thousand hosts is kept once, not a thousand times.
            for (_, other) in hosts.iter().rev().take(ALIKE) {
                verdict.share_with(other);
            }
            hosts.push((host.alias.clone(), verdict));
        }
        TagPlan {
            hosts,
            request: request.clone(),
            audit: audit.clone(),
            snapshot,
        }
    }

    /// Puts on record that a command was denied, before it became a task, and the end of
    /// the call, which began at `since`.
    pub fn record_denial(
        &self,
        audit: &Audit,
        alias: &HostAlias,
        hash: CommandHash,
        grounds: Grounds,
        since: Instant,
    ) {
        audit.deny(alias, hash, grounds);
        audit.emit(Record::run_done(Some(alias), millis(since.elapsed())));
    }

    /// The same for a denial by the network policy, in its words.
    pub fn record_network_denial(
        &self,
        audit: &Audit,
        alias: &HostAlias,
        command: &CommandText,
        reason: &'static str,
        since: Instant,
    ) {
        grounds::deny_network(audit, alias, command, reason);
        audit.emit(Record::run_done(Some(alias), millis(since.elapsed())));
    }

    /// Takes nothing on any more and ends all that there is: what waits at once, what runs by
    /// signals. What has not ended after `grace` is put on record as cancelled, unconfirmed.
    /// True if all ended in time.
    pub fn shutdown(&self, grace: Duration) -> bool {
        self.registry.close();
        // Half of the time for a remote process to go by itself, half to see it killed.
        for task in self.registry.all() {
            // What has ended needs no ending.
            let _ = worker::cancel(&self.registry, &task, Some(grace / 2));
        }
        let idle = self.registry.wait_idle(grace);
        for task in self.registry.all() {
            worker::abandon(&self.registry, &task);
        }
        self.registry.timer.stop();
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clock) = clock.take() {
            // It only ends by returning: a panic anywhere aborts the process.
            let _ = clock.join();
        }
        idle
    }

    fn end(&self, task: &Task) -> Result<(), CancelError> {
        self.registry.unqueue(task);
        worker::cancel(&self.registry, task, None).map_err(CancelError::Finished)
    }

    fn describe(&self, task: &Task) -> Status {
        let view = task.view();
        let output = task.output();
        let (out, err) = output.bytes_read();
        let terms = task.terms();
        let limits = &terms.limits;
        let left = view
            .expires
            .map(|at| at.saturating_duration_since(Instant::now()).as_secs());
        let elapsed_ms = millis(view.elapsed);
        Status {
            id: task.id.clone(),
            alias: task.alias.clone(),
            hash: task.hash,
            kind: task.kind,
            command: terms.request.text().clone(),
            purpose: terms.request.purpose().clone(),
            state: view.state,
            phase: view.phase,
            created: task.created_at,
            updated: view.updated,
            elapsed_ms,
            bytes_read: out.saturating_add(err),
            output_lines: output.lines(),
            max_seconds: limits.max_seconds,
            keep_alive_seconds: left.unwrap_or(limits.task_result_ttl.into()),
            poll_seconds: limits.task_progress_interval,
            ahead: match view.state {
                State::Pending => self.registry.ahead(task),
                _ => None,
            },
        }
    }
}

impl TaskHandle {
    pub fn id(&self) -> &TaskId {
        &self.task.id
    }

    pub fn alias(&self) -> &HostAlias {
        &self.task.alias
    }

    pub fn hash(&self) -> CommandHash {
        self.task.hash
    }

    /// What it runs under, as the configuration it was last judged by says.
    pub fn limits(&self) -> EffectiveLimits {
        self.task.terms().limits.clone()
    }

    pub fn status(&self) -> Status {
        self.tasks.describe(&self.task)
    }

    /// Ends it, if it has not ended. Returns at once.
    pub fn cancel(&self) {
        // What has ended needs no ending.
        let _ = self.tasks.end(&self.task);
    }

    /// Waits for its end.
    pub fn wait(&self) -> Arc<Outcome> {
        loop {
            if let Some(outcome) = self.task.wait(None) {
                return outcome;
            }
        }
    }

    /// Waits for its end, not longer than this.
    pub fn wait_timeout(&self, most: Duration) -> Option<Arc<Outcome>> {
        self.task.wait(Instant::now().checked_add(most))
    }
}
