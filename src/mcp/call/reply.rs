//! Where the one answer of a call goes, and what is told of it until then.
//!
//! Owns the difference between an answer that goes out directly, with its batch, or as a
//! task of the protocol: a tool hands its events and one end to a [`Reply`] and knows none
//! of them. Owns also the rules of what goes out on behalf of a call: progress only for a
//! token and strictly increasing, events only to who wants them, one answer, nothing after
//! it. Made by [`crate::mcp::call::Call::new`], where the call is made.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::mcp::call::answer::Answer;
use crate::mcp::call::inflight::{Cancel, Ticket};
use crate::mcp::feature::logging::Event;
use crate::mcp::feature::task::{Entry, Work};
use crate::mcp::protocol::peer::Caller;
use crate::mcp::session::Session;
use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::{self, RequestId, RpcError};

/// Seconds that the answer to a call which began no work is kept as a task.
const KEEP_SECONDS: u32 = 300;

/// The way back to who called. Shared between the thread that serves the call and who
/// listens to its command.
pub(crate) struct Reply {
    pub(crate) caller: Caller,
    session: Arc<Session>,
    /// The call is to be answered with a task of the protocol.
    as_task: bool,
    /// How long the client wants that task to be kept.
    ttl: Option<Duration>,
    stage: Mutex<Stage>,
    /// Thrown when the client takes the call back, or ends its task.
    cancel: Arc<Cancel>,
    /// Gone once the call is answered.
    ticket: Mutex<Option<Ticket>>,
    /// The last progress that was reported.
    reported: Mutex<Option<f64>>,
}

/// What becomes of a call that may be answered with a task.
enum Stage {
    /// It is answered by itself.
    Plain,
    /// It becomes a task if it does not end soon.
    Early(Box<Entry>),
    /// This one, since then.
    Task(String),
}

impl Reply {
    pub(crate) fn new(
        session: &Arc<Session>,
        caller: Caller,
        ticket: Ticket,
        as_task: bool,
        ttl: Option<Duration>,
    ) -> Self {
        Self {
            caller,
            session: Arc::clone(session),
            as_task,
            ttl,
            stage: Mutex::new(Stage::Plain),
            cancel: ticket.cancellation(),
            ticket: Mutex::new(Some(ticket)),
            reported: Mutex::new(None),
        }
    }

    /// The work behind the call goes on; whether it is yet to become a task, if it is not
    /// over soon. See [`crate::mcp::call::Call::began`].
    pub(crate) fn began(&self, work: Work) -> bool {
        if !self.as_task {
            return false;
        }
        let cancel = Arc::clone(&self.cancel);
        let entry = Entry::new(self.caller.clone(), work, self.ttl, cancel);
        let mut stage = self.stage();
        if self.caller.version.is_modern() {
            *stage = Stage::Early(Box::new(entry));
            return true;
        }
        *stage = Stage::Task(entry.id.clone());
        self.create(entry);
        false
    }

    /// It was not over soon: its progress and its end belong to the task from now on.
    pub(crate) fn becomes_task(&self) {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Plain) {
            // Nobody would ever learn the name of one that was taken back.
            Stage::Early(entry) if !self.is_cancelled() => {
                *stage = Stage::Task(entry.id.clone());
                self.create(*entry);
            }
            other => *stage = other,
        }
    }

    /// The one end of the call; only the first counts.
    pub(crate) fn end(&self, answer: Answer) {
        if let Some(id) = self.settle() {
            self.session.protocol_tasks.end(&id, answer);
        } else if self.as_task && !self.caller.version.is_modern() {
            // A legacy client that asked for a task expects nothing else: it gets one that
            // is over already.
            let work = Work {
                id: format!("denied:{}", self.session.server.tasks.token()),
                max_seconds: 0,
                keep_seconds: KEEP_SECONDS,
                poll_seconds: 5,
            };
            let cancel = Arc::clone(&self.cancel);
            let mut entry = Entry::new(self.caller.clone(), work, self.ttl, cancel);
            entry.end(answer);
            self.create(entry);
        } else {
            self.answer(answer.outcome(&self.caller));
        }
        if self.as_task
            && let Some(at) = self.session.protocol_tasks.expire()
        {
            self.session.server.tasks.wake_by(at);
        }
        // Not before: taken back until it is answered, a run that nobody knows of is ended.
        self.cancel.spend();
    }

    /// Whether the client takes a task in place of a late answer.
    pub(crate) fn may_become_task(&self) -> bool {
        self.as_task
    }

    /// Whether the client took the call back, or ended its task.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_set()
    }

    /// Does this when the client takes the call back or ends its task, at once if it did.
    pub(crate) fn when_cancelled(&self, stop: impl FnOnce() + Send + 'static) {
        self.cancel.then(stop);
    }

    /// Sends a frame that belongs to the call and must arrive; whether it went.
    pub(crate) fn send(&self, frame: Json) -> bool {
        self.ticket()
            .as_ref()
            .is_some_and(|ticket| ticket.send(frame))
    }

    /// Tells the client of an event, if it wants to hear of such.
    pub(crate) fn tell(&self, event: &Event) {
        if !self.caller.version.is_modern() {
            self.session.tell_legacy(event);
        } else if self
            .caller
            .log_level
            .is_some_and(|level| event.level >= level)
            && let Some(ticket) = self.ticket().as_ref()
        {
            ticket.notify(event.to_frame());
        }
    }

    /// Reports progress, if the client gave a token; with the whole of the work, where it
    /// is known. What does not increase is lifted to
    /// the least that does.
    pub(crate) fn progress(&self, progress: f64, total: Option<f64>, text: &str) {
        let task = self.task();
        if let Some(id) = &task {
            self.session.protocol_tasks.note(id, text);
        }
        let Some(token) = &self.caller.progress_token else {
            return;
        };
        let report = || {
            // Held while sending, so that values go out in the order they were settled.
            let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            let progress = match *reported {
                Some(last) if progress <= last => last + 0.001,
                _ => progress,
            };
            *reported = Some(progress);
            let total = total.map(|total| total.max(progress));
            self.send_progress(self.progress_frame(token, progress, total, text));
        };
        match task {
            // A cancelled task is over for its client before its command has ended.
            Some(id) => self.session.protocol_tasks.while_working(&id, report),
            None => report(),
        }
    }

    fn send_progress(&self, frame: Json) {
        match self.ticket().as_ref() {
            Some(ticket) => ticket.notify(frame),
            // A core task's token stays good until the task ends (2025-11-25, tasks).
            None if self.as_task && self.caller.version.has_core_tasks() => {
                self.session.outbox.hint(frame);
            }
            None => {}
        }
    }

    fn progress_frame(
        &self,
        token: &RequestId,
        progress: f64,
        total: Option<f64>,
        text: &str,
    ) -> Json {
        let params = Object::new()
            .json("progressToken", &token.to_json())
            .field("progress", &rounded(progress))
            .maybe("total", total.map(rounded))
            .when(self.caller.version.has_annotations(), |params| {
                params.field("message", text)
            })
            .end();
        message::notification("notifications/progress", Some(&params))
    }

    /// Answers the call with this task, under the lock of the table that takes it in.
    fn create(&self, entry: Entry) {
        let created = entry.created_result(&self.caller);
        self.session
            .protocol_tasks
            .insert(entry, || self.answer(Ok(created)));
    }

    fn answer(&self, result: Result<Json, RpcError>) {
        let ticket = self.ticket().take();
        if let Some(ticket) = ticket {
            ticket.answer(result);
        }
    }

    /// The id of the task, if there is one. What is none yet will be none.
    fn settle(&self) -> Option<String> {
        let mut stage = self.stage();
        if let Stage::Early(_) = *stage {
            *stage = Stage::Plain;
        }
        match &*stage {
            Stage::Task(id) => Some(id.clone()),
            Stage::Plain | Stage::Early(_) => None,
        }
    }

    fn task(&self) -> Option<String> {
        match &*self.stage() {
            Stage::Task(id) => Some(id.clone()),
            Stage::Plain | Stage::Early(_) => None,
        }
    }

    /// Taken before the locks of the tasks' table and of the ticket.
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ticket(&self) -> MutexGuard<'_, Option<Ticket>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To the millisecond; 0.30000000000000004 helps nobody.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
