//! The requests that have no answer yet, by typed id.
//!
//! Owns the one atomic step between 'still asked for' and 'answered': an answer and a
//! notification go out only while the id is here, under this table's lock, so nothing is
//! sent after an answer or after a cancellation. Refuses an id that is in flight and more
//! than [`MAX_IN_FLIGHT`] at once. Called by `connection`; handlers hold a [`Ticket`].

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::mcp::wire::json::{Json, Object, array};
use crate::mcp::wire::message::{self, RequestId, RpcError};
use crate::mcp::wire::outbox::{MAX_FRAME, Outbox};

/// Most requests without an answer at one time.
pub(crate) const MAX_IN_FLIGHT: usize = 2048;

/// Bytes of answers that all batches hold together for want of their last one; beyond it
/// they go out in parts.
const HELD: usize = 4 << 20;

/// What ends the work behind a request.
type Stop = Box<dyn FnOnce() + Send>;

/// The table, and the way out of it.
pub(crate) struct Inflight {
    table: Mutex<HashMap<RequestId, Entry>>,
    /// A request left the table.
    left: Condvar,
    serial: AtomicU64,
    /// Bytes in batches, of at most [`HELD`].
    held: AtomicUsize,
    outbox: Arc<Outbox>,
}

struct Entry {
    serial: u64,
    route: Route,
    cancel: Arc<Cancel>,
}

/// Where an answer goes: by itself, or with the others of its batch.
#[derive(Clone)]
pub(crate) enum Route {
    Direct,
    Batch(Arc<Batch>),
}

impl Inflight {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
            left: Condvar::new(),
            serial: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            outbox,
        })
    }

    /// Takes a request in.
    ///
    /// # Errors
    /// The id is in flight, or too many are; the error was sent.
    pub(crate) fn open(self: &Arc<Self>, id: RequestId, route: Route) -> Option<Ticket> {
        let mut table = self.lock();
        let refusal = if table.contains_key(&id) {
            RpcError::invalid_request("This id is in flight: each request needs its own")
        } else if table.len() >= MAX_IN_FLIGHT {
            RpcError::internal("Too many requests in flight: wait for answers before sending more")
        } else {
            let cancel = Arc::new(Cancel::default());
            let serial = self.serial.fetch_add(1, Ordering::Relaxed);
            let entry = Entry {
                serial,
                route,
                cancel: Arc::clone(&cancel),
            };
            table.insert(id.clone(), entry);
            return Some(Ticket {
                inflight: Arc::clone(self),
                id,
                serial,
                cancel,
                answered: false,
            });
        };
        drop(table);
        self.refuse(&id, &refusal, &route);
        None
    }

    /// Answers a request that was never taken in.
    pub(crate) fn refuse(&self, id: &RequestId, error: &RpcError, route: &Route) {
        let frame = message::response(id, &Err(error.clone()));
        self.deliver(id, frame, route);
    }

    /// `notifications/cancelled`: forgets the request, then stops its work. An unknown
    /// id is ignored.
    pub(crate) fn cancel(&self, id: &RequestId) {
        let Some(entry) = self.lock().remove(id) else {
            return;
        };
        self.left.notify_all();
        if let Route::Batch(batch) = &entry.route {
            self.flush(batch.settle(None, &self.held));
        }
        entry.cancel.set();
    }

    /// Stops the work of every request; their answers still go out.
    pub(crate) fn stop_all(&self) {
        let cancels: Vec<_> = self
            .lock()
            .values()
            .map(|entry| Arc::clone(&entry.cancel))
            .collect();
        for cancel in cancels {
            cancel.set();
        }
    }

    /// Waits until every request has its answer, at most until `deadline`.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let waited = self
            .left
            .wait_timeout_while(self.lock(), timeout, |table| !table.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn deliver(&self, id: &RequestId, frame: Json, route: &Route) {
        match route {
            Route::Direct => self.outbox.send(frame, || cut_short(id)),
            Route::Batch(batch) => self.flush(batch.settle(Some(frame), &self.held)),
        }
    }

    fn flush(&self, frames: Vec<Json>) {
        let lost = || message::notification("notifications/message", Some(&lost_batch()));
        for frame in frames {
            self.outbox.send(frame, lost);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inflight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inflight({})", self.lock().len())
    }
}

/// Stands in for an answer that could not be kept. The work itself is done and recorded.
fn cut_short(id: &RequestId) -> Json {
    let error = RpcError::internal(
        "The answer could not be delivered: too many unread answers were waiting, or it was over \
         the frame limit. A command's result can still be read with ssh_get_task_result.",
    );
    message::response(id, &Err(error))
}

fn lost_batch() -> Json {
    Object::new()
        .field("level", "error")
        .field(
            "data",
            "The answers of a batch were dropped: too many unread answers were waiting",
        )
        .end()
}

/// The right to answer one request, once.
#[derive(Debug)]
pub(crate) struct Ticket {
    inflight: Arc<Inflight>,
    id: RequestId,
    serial: u64,
    cancel: Arc<Cancel>,
    answered: bool,
}

impl Ticket {
    pub(crate) fn id(&self) -> &RequestId {
        &self.id
    }

    /// Sends the answer, unless the request was cancelled.
    pub(crate) fn answer(mut self, answer: Result<Json, RpcError>) {
        self.finish(&answer);
    }

    /// Sends a notification that belongs to the request, while it has no answer.
    pub(crate) fn notify(&self, frame: Json) {
        let table = self.inflight.lock();
        if self.is_open(&table) {
            self.inflight.outbox.hint(frame);
        }
    }

    /// Sends what the client must get, while the request has no answer; whether it went.
    pub(crate) fn send(&self, frame: Json) -> bool {
        let table = self.inflight.lock();
        self.is_open(&table) && self.inflight.outbox.offer(frame)
    }

    /// Whether an answer is still waited for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_open(&self.inflight.lock())
    }

    /// The request's cancellation, which outlives its answer.
    pub(crate) fn cancellation(&self) -> Arc<Cancel> {
        Arc::clone(&self.cancel)
    }

    fn finish(&mut self, answer: &Result<Json, RpcError>) {
        self.answered = true;
        let mut table = self.inflight.lock();
        if self.is_open(&table)
            && let Some(entry) = table.remove(&self.id)
        {
            let frame = message::response(&self.id, answer);
            self.inflight.deliver(&self.id, frame, &entry.route);
            self.inflight.left.notify_all();
        }
    }

    fn is_open(&self, table: &HashMap<RequestId, Entry>) -> bool {
        table
            .get(&self.id)
            .is_some_and(|entry| entry.serial == self.serial)
    }
}

impl Drop for Ticket {
    /// A request whose handler went away without a word still gets an answer.
    fn drop(&mut self) {
        if !self.answered {
            self.finish(&Err(RpcError::internal(
                "The request ended without an answer",
            )));
        }
    }
}

/// Whether a request was cancelled, and what is to be done then.
#[derive(Default)]
pub(crate) struct Cancel(Mutex<CancelState>);

#[derive(Default)]
struct CancelState {
    set: bool,
    /// There is nothing left to stop.
    spent: bool,
    stops: Vec<Stop>,
}

impl Cancel {
    pub(crate) fn set(&self) {
        let mut state = self.lock();
        state.set = true;
        let stops = std::mem::take(&mut state.stops);
        drop(state);
        for stop in stops {
            stop();
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.lock().set
    }

    /// The work has ended: lets go of what would have stopped it, which may hold the session
    /// that holds this.
    pub(crate) fn spend(&self) {
        let mut state = self.lock();
        state.spent = true;
        let stops = std::mem::take(&mut state.stops);
        drop(state);
        drop(stops);
    }

    /// Runs `stop` when the request is cancelled, at once if it was already.
    pub(crate) fn then(&self, stop: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        if state.set {
            drop(state);
            stop();
        } else if !state.spent {
            state.stops.push(Box::new(stop));
        }
    }

    fn lock(&self) -> MutexGuard<'_, CancelState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancel({})", self.is_set())
    }
}

/// The answers of one batch, sent together once the last one is there; earlier, in
/// parts, where together they would not fit into a frame or there are too many of them.
#[derive(Debug)]
pub(crate) struct Batch(Mutex<BatchState>);

#[derive(Debug)]
struct BatchState {
    waiting: usize,
    ready: Vec<Json>,
    bytes: usize,
}

impl Batch {
    /// `waiting` answers are due.
    pub(crate) fn new(waiting: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(BatchState {
            waiting,
            ready: Vec::new(),
            bytes: 0,
        })))
    }

    /// Counts one answer (or none, for a cancelled request); what is to be sent now. `held`
    /// is what all batches hold.
    fn settle(&self, answer: Option<Json>, held: &AtomicUsize) -> Vec<Json> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting = state.waiting.saturating_sub(1);
        let mut frames = Vec::new();
        if let Some(answer) = answer {
            if state.bytes + answer.len() + 2 >= MAX_FRAME {
                frames.extend(state.take(held));
            }
            state.bytes += answer.len() + 1;
            held.fetch_add(answer.len() + 1, Ordering::Relaxed);
            state.ready.push(answer);
        }
        if state.waiting == 0 || held.load(Ordering::Relaxed) > HELD {
            frames.extend(state.take(held));
        }
        frames
    }
}

impl BatchState {
    fn take(&mut self, held: &AtomicUsize) -> Option<Json> {
        held.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
        let ready = std::mem::take(&mut self.ready);
        (!ready.is_empty()).then(|| array(&ready))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> (Arc<Inflight>, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::new());
        (Inflight::new(Arc::clone(&outbox)), outbox)
    }

    fn id(text: &str) -> RequestId {
        RequestId::of_value(&serde_json::from_str(text).unwrap()).unwrap()
    }

    fn ok() -> Result<Json, RpcError> {
        Ok(Json::empty_object())
    }

    #[test]
    fn what_has_ended_is_not_held_by_what_would_have_stopped_it() {
        let (cancel, held) = (Cancel::default(), Arc::new(()));
        let stop = |held: &Arc<()>| {
            let held = Arc::clone(held);
            move || drop(held)
        };
        cancel.then(stop(&held));
        assert_eq!(Arc::strong_count(&held), 2);
        cancel.spend();
        cancel.then(stop(&held));
        assert_eq!(Arc::strong_count(&held), 1);
        cancel.set();
        assert!(cancel.is_set());
    }

    #[test]
    fn one_and_text_one_are_two_requests_and_a_duplicate_is_refused() {
        let (inflight, outbox) = table();
        let number = inflight.open(id("1"), Route::Direct).unwrap();
        let text = inflight.open(id("\"1\""), Route::Direct).unwrap();
        assert!(inflight.open(id("1"), Route::Direct).is_none());
        assert!(outbox.drain().concat().contains("-32600"));
        number.answer(ok());
        text.answer(ok());
        let again = inflight.open(id("1"), Route::Direct).unwrap();
        again.answer(ok());
        assert_eq!(outbox.drain().len(), 3);
        assert!(inflight.lock().is_empty());
    }

    #[test]
    fn nothing_is_sent_after_a_cancellation() {
        let (inflight, outbox) = table();
        let ticket = inflight.open(id("1"), Route::Direct).unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let early = send.clone();
        ticket
            .cancellation()
            .then(move || early.send("early").unwrap());
        inflight.cancel(&id("1"));
        ticket
            .cancellation()
            .then(move || send.send("late").unwrap());
        assert_eq!(receive.iter().collect::<Vec<_>>(), ["early", "late"]);
        ticket.notify(Json::of("progress"));
        assert!(!ticket.send(Json::of("question")));
        ticket.answer(ok());
        inflight.cancel(&id("2"));
        assert!(outbox.drain().is_empty());
    }

    #[test]
    fn an_old_ticket_cannot_answer_for_a_new_request_with_its_id() {
        let (inflight, outbox) = table();
        let old = inflight.open(id("1"), Route::Direct).unwrap();
        inflight.cancel(&id("1"));
        let new = inflight.open(id("1"), Route::Direct).unwrap();
        old.answer(Ok(Json::of("old")));
        new.answer(Ok(Json::of("new")));
        let sent = outbox.drain();
        assert!(sent.len() == 1 && sent.concat().contains("new"), "{sent:?}");
    }

    #[test]
    fn a_forgotten_ticket_answers() {
        let (inflight, outbox) = table();
        drop(inflight.open(id("1"), Route::Direct));
        assert!(outbox.drain().concat().contains("-32603"));
    }

    #[test]
    fn a_batch_is_answered_as_one_array_or_in_parts_that_fit() {
        let (inflight, outbox) = table();
        let route = Route::Batch(Batch::new(3));
        let tickets: Vec<_> = ["1", "2", "3"]
            .iter()
            .map(|text| inflight.open(id(text), route.clone()).unwrap())
            .collect();
        inflight.cancel(&id("2"));
        let big = "x".repeat(MAX_FRAME - 100);
        for ticket in tickets {
            ticket.answer(Ok(Json::of(&big)));
        }
        let frames = outbox.drain();
        assert_eq!(frames.len(), 2);
        assert!(
            frames
                .iter()
                .all(|frame| frame.starts_with('[') && frame.len() < MAX_FRAME)
        );
        assert_eq!(inflight.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn many_batches_that_wait_for_their_last_answer_hold_little() {
        let (inflight, outbox) = table();
        let big = "x".repeat(HELD / 8);
        let mut last = Vec::new();
        for batch in 0..20 {
            let route = Route::Batch(Batch::new(2));
            let open = |text: &str| inflight.open(id(text), route.clone()).unwrap();
            last.push(open(&format!("\"last {batch}\"")));
            open(&batch.to_string()).answer(Ok(Json::of(&big)));
            assert!(inflight.held.load(Ordering::Relaxed) <= HELD);
        }
        let early = outbox.drain().len();
        assert!(early > 10, "{early}");
        for ticket in last {
            ticket.answer(ok());
        }
        assert_eq!(outbox.drain().len(), 20);
        assert_eq!(inflight.held.load(Ordering::Relaxed), 0);
    }
}
