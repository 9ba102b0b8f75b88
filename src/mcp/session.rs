//! One client: what its messages settled, and what is under way for it.
//!
//! Owns the state of a connection: handshake, log level, what is watched, the tables of
//! requests, questions, tasks and streams, and whether it is closing. Reads no message and
//! calls no handler: [`crate::mcp::connection`] does. Used by everything above it in `mcp`.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::audit::{Audit, Record, Sandbox};
use crate::config::{Snapshot, Store};
use crate::mcp::call::grace::Grace;
use crate::mcp::call::inflight::Inflight;
use crate::mcp::call::request_state::RequestStates;
use crate::mcp::call::server_requests::Questions;
use crate::mcp::call::standing::StandingApprovals;
use crate::mcp::feature::cursor::Pager;
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::feature::subscriptions::{MAX_WATCHED, Subscriptions};
use crate::mcp::feature::tasks::ProtocolTasks;
use crate::mcp::protocol::peer::Handshake;
use crate::mcp::wire::message::{Params, RpcError};
use crate::mcp::wire::outbox::Outbox;
use crate::model::keys::TagKey;
use crate::task::Tasks;

/// Longest piece of a bad line's explanation that is logged, in characters.
const EXPLANATION: usize = 200;

/// What the tools work with.
#[derive(Clone)]
pub struct Server {
    pub store: Arc<Store>,
    pub tasks: Tasks,
    pub audit: Audit,
    /// How the process is confined, as verified at the start.
    pub sandbox: Sandbox,
    /// Random, and of this process alone: cursors and states that are handed out are
    /// marked with keys derived from it.
    pub key: [u8; 64],
}

/// The state of one connection.
pub struct Session {
    pub(crate) server: Server,
    pub(crate) inflight: Arc<Inflight>,
    pub(crate) grace: Arc<Grace>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) pager: Pager,
    pub(crate) questions: Questions,
    pub(crate) request_states: RequestStates,
    pub(crate) standing: StandingApprovals,
    pub(crate) protocol_tasks: ProtocolTasks,
    pub(crate) subscriptions: Arc<Subscriptions>,
    legacy: Mutex<Legacy>,
    work: Mutex<Work>,
    /// A call ended.
    ended: Condvar,
}

/// What a handshake and the messages after it settled.
#[derive(Debug)]
struct Legacy {
    handshake: Option<Handshake>,
    /// `notifications/initialized` came: from then on the server may speak up.
    ready: bool,
    /// `None` until the client sets one: who did not ask hears nothing. Old clients stop
    /// for ever at the first event that they did not ask for.
    level: Option<Level>,
    /// Resources whose changes the client wants to know of.
    watched: BTreeSet<String>,
}

/// What still goes on.
#[derive(Debug, Default)]
struct Work {
    closing: bool,
    /// Threads that serve calls, also those whose client no longer waits for an answer.
    busy: usize,
}

impl Session {
    pub fn new(server: Server, outbox: Arc<Outbox>) -> Arc<Self> {
        let subscriptions = Arc::new(Subscriptions::default());
        let session = Arc::new(Self {
            inflight: Inflight::new(Arc::clone(&outbox)),
            grace: Arc::default(),
            pager: Pager::new(TagKey::derive(&server.key, "cursor")),
            questions: Questions::default(),
            request_states: RequestStates::new(TagKey::derive(&server.key, "requestState")),
            standing: StandingApprovals::default(),
            protocol_tasks: ProtocolTasks::new(Arc::clone(&outbox), Arc::clone(&subscriptions)),
            subscriptions,
            outbox,
            legacy: Mutex::new(Legacy {
                handshake: None,
                ready: false,
                level: None,
                watched: BTreeSet::new(),
            }),
            work: Mutex::default(),
            ended: Condvar::new(),
            server,
        });
        let expiring = Arc::downgrade(&session);
        session.server.tasks.also_expire(Box::new(move |now| {
            let session = expiring.upgrade()?;
            let states = session.request_states.expire(now);
            session
                .protocol_tasks
                .expire()
                .into_iter()
                .chain(states)
                .min()
        }));
        session
    }

    /// Puts a line that could not be read on the log, without its content.
    pub(crate) fn log_unreadable(&self, why: &str) {
        let why: String = why.chars().take(EXPLANATION).collect();
        let record = Record::warning("unreadable_message", why);
        self.server.audit.emit(record);
    }

    pub(crate) fn handshake(&self) -> Option<Handshake> {
        self.legacy().handshake.clone()
    }

    /// Settles the handshake.
    ///
    /// # Errors
    /// There was one already, or the parameters are not those of one.
    pub(crate) fn initialize(&self, params: &Params) -> Result<Handshake, RpcError> {
        let handshake = Handshake::read(params)?;
        let mut legacy = self.legacy();
        if legacy.handshake.is_some() {
            return Err(RpcError::invalid_request(
                "This connection is initialized already",
            ));
        }
        legacy.handshake = Some(handshake.clone());
        Ok(handshake)
    }

    /// `notifications/initialized`: means something only after a handshake.
    pub(crate) fn is_initialized(&self) {
        let mut legacy = self.legacy();
        legacy.ready = legacy.handshake.is_some();
    }

    /// `logging/setLevel`.
    pub(crate) fn set_level(&self, level: &Value) -> Result<(), RpcError> {
        self.legacy().level = Some(Level::parse(level)?);
        Ok(())
    }

    /// `resources/subscribe`: from now on the client hears of changes of `uri`.
    ///
    /// # Errors
    /// Too many are watched.
    pub(crate) fn watch(&self, uri: String) -> Result<(), RpcError> {
        let mut legacy = self.legacy();
        if legacy.watched.len() >= MAX_WATCHED {
            return Err(RpcError::invalid_params("Too many subscriptions"));
        }
        legacy.watched.insert(uri);
        Ok(())
    }

    /// `resources/unsubscribe`.
    pub(crate) fn unwatch(&self, uri: &str) {
        self.legacy().watched.remove(uri);
    }

    /// Whether there is a legacy client that wants to hear of events.
    pub(crate) fn hears_events(&self) -> bool {
        let legacy = self.legacy();
        legacy.ready && legacy.level.is_some()
    }

    /// Tells a legacy client of an event, if it wants events of this level.
    pub(crate) fn tell_legacy(&self, event: &Event) {
        let wanted = {
            let legacy = self.legacy();
            legacy.ready && legacy.level.is_some_and(|level| event.level >= level)
        };
        if wanted {
            self.outbox.hint(event.to_frame());
        }
    }

    /// Tells the client what a reload changed, as far as it wants to know.
    pub(crate) fn announce(&self, before: &Snapshot, after: &Snapshot) {
        let watched = {
            let legacy = self.legacy();
            legacy.ready.then(|| legacy.watched.clone())
        };
        self.subscriptions
            .announce(&self.outbox, watched.as_ref(), before, after);
    }

    /// The client is gone: nobody will answer a question, and nothing more is to run.
    pub fn close(&self) {
        self.work().closing = true;
        self.questions.give_up();
        self.request_states.give_up();
        self.subscriptions.end(None);
        self.inflight.stop_all();
    }

    /// Counts a thread that serves a call, for as long as what is returned is held.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.work().busy += 1;
        Busy(Arc::clone(self))
    }

    /// Waits until no call is being served and every request has its answer, or none of them
    /// has ended for `patience`: however many there are, and however busy the machine is, what
    /// goes on the record gets there.
    pub(crate) fn wait_until_idle(&self, patience: Duration) {
        let mut work = self.work();
        while work.busy > 0 {
            let before = work.busy;
            let none_ends = |work: &mut Work| work.busy >= before;
            let waited = self.ended.wait_timeout_while(work, patience, none_ends);
            let (now, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            work = now;
            if waited.timed_out() {
                break;
            }
        }
        drop(work);
        self.inflight.wait_until_empty(Instant::now() + patience);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.work().closing
    }

    fn legacy(&self) -> MutexGuard<'_, Legacy> {
        self.legacy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that serves a call: the end of the server waits a moment for it, so that what
/// it has to put on the record gets there.
pub(crate) struct Busy(Arc<Session>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.work().busy -= 1;
        self.0.ended.notify_all();
    }
}
