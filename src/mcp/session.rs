//! One client: its messages come in as lines, what it is to get goes to the outbox.
//!
//! Owns the state of a connection and the first step of every message: which era it is
//! of, whether its id is free, and who deals with it. Never waits: what can take time
//! goes to a thread of its own, so `ping` and cancellations are always served. Called by
//! the reading thread of `serve`, and by fuzz targets with a transport of their own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::audit::{Audit, Record, Sandbox};
use crate::config::Store;
use crate::mcp::call::approval::Approvals;
use crate::mcp::call::inflight::{Batch, Inflight, Route};
use crate::mcp::call::server_requests::Questions;
use crate::mcp::dispatch;
use crate::mcp::feature::cursor::Pager;
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::feature::subscriptions::Subscriptions;
use crate::mcp::feature::tasks::ProtocolTasks;
use crate::mcp::protocol::peer::{Caller, Handshake};
use crate::mcp::wire::message::{self, Incoming, Params, Parsed, RequestId, RpcError};
use crate::mcp::wire::outbox::Outbox;
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
    /// Random, and of this process alone: marks cursors and states that are handed out.
    pub key: [u8; 64],
}

/// The state of one connection.
pub struct Session {
    pub(crate) server: Server,
    pub(crate) inflight: Arc<Inflight>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) pager: Pager,
    pub(crate) questions: Questions,
    pub(crate) approvals: Approvals,
    pub(crate) protocol_tasks: ProtocolTasks,
    pub(crate) subscriptions: Subscriptions,
    legacy: Mutex<Legacy>,
    closing: AtomicBool,
    /// Threads that serve calls, also those whose client no longer waits for an answer.
    busy: AtomicUsize,
}

/// What a handshake and the messages after it settled.
#[derive(Debug)]
struct Legacy {
    handshake: Option<Handshake>,
    /// `notifications/initialized` came: from then on the server may speak up.
    ready: bool,
    level: Level,
    /// Resources whose changes the client wants to know of.
    watched: BTreeSet<String>,
}

impl Session {
    pub fn new(server: Server, outbox: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self {
            inflight: Inflight::new(Arc::clone(&outbox)),
            outbox,
            pager: Pager::new(server.key),
            questions: Questions::default(),
            approvals: Approvals::new(server.key),
            protocol_tasks: ProtocolTasks::default(),
            subscriptions: Subscriptions::default(),
            legacy: Mutex::new(Legacy {
                handshake: None,
                ready: false,
                level: Level::Info,
                watched: BTreeSet::new(),
            }),
            closing: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            server,
        })
    }

    /// Deals with one line of input, without its line ending.
    pub fn handle_line(self: &Arc<Self>, line: &[u8]) {
        match message::parse(line) {
            Ok(Parsed::One(incoming)) => self.take(incoming, Route::Direct),
            Ok(Parsed::Batch { messages, garbage }) => {
                if let Some(garbage) = garbage {
                    self.log_unreadable(&format!("in a batch: {garbage}"));
                }
                self.take_batch(messages);
            }
            Err(garbage) => self.log_unreadable(&garbage.to_string()),
        }
    }

    /// Puts a line that could not be read on the log, without its content.
    pub(crate) fn log_unreadable(&self, why: &str) {
        let why: String = why.chars().take(EXPLANATION).collect();
        let record = Record::warning("unreadable_message", why);
        self.server.audit.emit(record);
    }

    fn take_batch(self: &Arc<Self>, messages: Vec<Incoming>) {
        let accepted = self
            .handshake()
            .is_some_and(|handshake| handshake.version.has_batches());
        if !accepted {
            let error = RpcError::invalid_request("Batches exist in revision 2025-03-26 only");
            for incoming in messages {
                if let Incoming::Request { id, .. } | Incoming::Invalid { id, .. } = incoming {
                    self.inflight.refuse(&id, &error, &Route::Direct);
                }
            }
            return;
        }
        let due = messages.iter().filter(|incoming| {
            matches!(
                incoming,
                Incoming::Request { .. } | Incoming::Invalid { .. }
            )
        });
        let route = Route::Batch(Batch::new(due.count()));
        for incoming in messages {
            match incoming {
                Incoming::Request { id, method, .. } if method == "initialize" => {
                    let error = RpcError::invalid_request("initialize must not be in a batch");
                    self.inflight.refuse(&id, &error, &route);
                }
                incoming => self.take(incoming, route.clone()),
            }
        }
    }

    fn take(self: &Arc<Self>, incoming: Incoming, route: Route) {
        match incoming {
            Incoming::Request { id, method, params } => {
                self.take_request(id, &method, params, route)
            }
            Incoming::Notification { method, params } => self.take_notification(&method, &params),
            Incoming::Response { id, outcome } => self.questions.settle(&id, outcome),
            Incoming::Invalid { id, error } => self.inflight.refuse(&id, &error, &route),
        }
    }

    fn take_request(self: &Arc<Self>, id: RequestId, method: &str, params: Params, route: Route) {
        let caller = Caller::of(method, &params, self.handshake());
        let Some(ticket) = self.inflight.open(id, route) else {
            return;
        };
        match caller {
            Ok(caller) => dispatch::request(self, ticket, caller, method, params),
            Err(error) => ticket.answer(Err(error)),
        }
    }

    /// Unknown notifications ask for nothing, so nothing happens.
    fn take_notification(&self, method: &str, params: &Params) {
        match method {
            "notifications/cancelled" => {
                if let Some(id) = params.get("requestId").and_then(RequestId::of_value) {
                    self.inflight.cancel(&id);
                }
            }
            "notifications/initialized" => {
                let mut legacy = self.legacy();
                legacy.ready = legacy.handshake.is_some();
            }
            _ => {}
        }
    }

    fn handshake(&self) -> Option<Handshake> {
        self.legacy().handshake
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
        legacy.handshake = Some(handshake);
        Ok(handshake)
    }

    /// `logging/setLevel`.
    pub(crate) fn set_level(&self, level: &Value) -> Result<(), RpcError> {
        self.legacy().level = Level::parse(level)?;
        Ok(())
    }

    /// `resources/subscribe`: from now on changes of `uri` are told.
    ///
    /// # Errors
    /// Too many are watched.
    pub(crate) fn watch(&self, uri: String) -> Result<(), RpcError> {
        let mut legacy = self.legacy();
        if legacy.watched.len() >= crate::mcp::feature::subscriptions::MAX_WATCHED {
            return Err(RpcError::invalid_params("Too many subscriptions"));
        }
        legacy.watched.insert(uri);
        Ok(())
    }

    /// `resources/unsubscribe`.
    pub(crate) fn unwatch(&self, uri: &str) {
        self.legacy().watched.remove(uri);
    }

    /// What a legacy client watches; `None` while there is none that may be told.
    pub(crate) fn watched(&self) -> Option<BTreeSet<String>> {
        let legacy = self.legacy();
        legacy.ready.then(|| legacy.watched.clone())
    }

    /// Tells a legacy client of an event, if it wants events of this level.
    pub(crate) fn tell_legacy(&self, event: &Event) {
        let wanted = {
            let legacy = self.legacy();
            legacy.ready && event.level >= legacy.level
        };
        if wanted {
            self.outbox.hint(event.to_frame());
        }
    }

    /// The client is gone: nobody will answer a question, and nothing more is to run.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.questions.give_up();
        self.subscriptions.end(None);
        self.inflight.stop_all();
    }

    /// Counts a thread that serves a call, for as long as what is returned is held.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Whether no call is being served and every request has its answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0 && self.inflight.is_empty()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    fn legacy(&self) -> MutexGuard<'_, Legacy> {
        self.legacy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that serves a call: the end of the server waits a moment for it, so that what
/// it has to put on the record gets there.
pub(crate) struct Busy(Arc<Session>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
