//! Telling clients what changed: to legacy ones by itself, to modern ones on request.
//!
//! Owns `subscriptions/listen`, and what a reload or the end of a task means for each kind
//! of client. Only what was asked for and can change is ever promised or sent: hosts,
//! resources about them, and tasks. Called by `session` (a reload, the end) and by
//! `feature/tasks`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::config::Snapshot;
use crate::mcp::call::inflight::Ticket;
use crate::mcp::feature::resources;
use crate::mcp::protocol::peer::{Caller, TASKS_EXTENSION};
use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::{self, Params, RequestId, RpcError};
use crate::mcp::wire::outbox::Outbox;

/// Most resources one client can watch.
pub(crate) const MAX_WATCHED: usize = 1000;
/// Most streams one client can listen on.
const MAX_LISTENING: usize = 64;

const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The streams of modern clients.
#[derive(Default)]
pub(crate) struct Subscriptions {
    listening: Mutex<Vec<Listening>>,
}

pub(crate) struct Listening {
    ticket: Ticket,
    caller: Caller,
    filter: Filter,
}

/// What a stream is to carry.
pub(crate) struct Filter {
    list: bool,
    watched: BTreeSet<String>,
    pub(crate) tasks: BTreeSet<String>,
}

impl Filter {
    /// What is asked for, of what there can be.
    pub(crate) fn read(caller: &Caller, params: &Params) -> Result<Self, RpcError> {
        let filter = params
            .get("notifications")
            .and_then(Value::as_object)
            .ok_or_else(|| RpcError::invalid_params("subscriptions/listen needs notifications"))?;
        if filter.contains_key("taskIds") && !caller.abilities.tasks {
            return Err(missing_tasks());
        }
        let mut watched = texts(filter, "resourceSubscriptions")?;
        watched.retain(|uri| resources::Address::parse(uri).is_some());
        Ok(Self {
            list: filter.get("resourcesListChanged") == Some(&Value::Bool(true)),
            watched,
            tasks: texts(filter, "taskIds")?,
        })
    }

    fn to_json(&self) -> Json {
        Object::new()
            .when(self.list, |filter| {
                filter.field("resourcesListChanged", &true)
            })
            .when(!self.watched.is_empty(), |filter| {
                filter.field("resourceSubscriptions", &self.watched)
            })
            .when(!self.tasks.is_empty(), |filter| {
                filter.field("taskIds", &self.tasks)
            })
            .end()
    }
}

/// A list of texts, none where there is no such member.
fn texts(filter: &Params, name: &str) -> Result<BTreeSet<String>, RpcError> {
    let Some(list) = filter.get(name) else {
        return Ok(BTreeSet::new());
    };
    let list = list.as_array().filter(|list| list.len() <= MAX_WATCHED);
    list.and_then(|list| {
        let texts = list.iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect()
    })
    .ok_or_else(|| {
        let text = format!("{name} must be a list of at most {MAX_WATCHED} texts");
        RpcError::invalid_params(&text)
    })
}

impl Listening {
    /// Says what the stream carries, before it carries anything; whether that could be sent.
    fn acknowledge(&self) -> bool {
        let params = Object::new()
            .json("_meta", &stream(&self.ticket))
            .json("notifications", &self.filter.to_json())
            .end();
        let method = "notifications/subscriptions/acknowledged";
        self.ticket
            .send(message::notification(method, Some(&params)))
    }

    /// `words` puts the task into the words of who listens, after the beginning of the
    /// notification's parameters.
    pub(crate) fn tell_task(&self, words: impl FnOnce(&Caller, Object) -> Option<Json>) {
        let params = Object::new().json("_meta", &stream(&self.ticket));
        if let Some(params) = words(&self.caller, params) {
            let method = "notifications/tasks";
            self.ticket
                .send(message::notification(method, Some(&params)));
        }
    }
}

/// What a client without the tasks extension is told when it uses it.
pub(crate) fn missing_tasks() -> RpcError {
    let extension = Object::new()
        .json(TASKS_EXTENSION, &Json::empty_object())
        .end();
    RpcError::missing_capability(&Object::new().json("extensions", &extension).end())
}

impl Subscriptions {
    /// Acknowledges a stream, which stays unanswered until it ends. `first` tells what is to
    /// be told before anything that happens later.
    pub(crate) fn open(
        self: &Arc<Self>,
        ticket: Ticket,
        caller: Caller,
        filter: Filter,
        first: impl FnOnce(&Listening),
    ) {
        if self.lock().len() >= MAX_LISTENING {
            return ticket.answer(Err(RpcError::invalid_params("Too many subscriptions")));
        }
        let (id, streams) = (ticket.id().clone(), Arc::downgrade(self));
        let cancellation = ticket.cancellation();
        let listening = Listening {
            ticket,
            caller,
            filter,
        };
        if !listening.acknowledge() {
            let text = "Too many unread answers are waiting";
            return listening.ticket.answer(Err(RpcError::internal(text)));
        }
        first(&listening);
        self.lock().push(listening);
        // After it is in the list: a client that has taken the request back already is
        // answered at once.
        cancellation.then(move || {
            if let Some(streams) = streams.upgrade() {
                streams.end(Some(&id));
            }
        });
    }

    /// Tells every client that wants to know what a reload changed. `watched` is what a
    /// legacy client watches, if there is one that may be told.
    pub(crate) fn announce(
        &self,
        outbox: &Outbox,
        watched: Option<&BTreeSet<String>>,
        before: &Snapshot,
        after: &Snapshot,
    ) {
        let list = resources::aliases(before) != resources::aliases(after);
        let changed = |uri: &&String| {
            resources::Address::parse(uri)
                .is_some_and(|address| address.content(before) != address.content(after))
        };
        if let Some(watched) = watched {
            if list {
                outbox.hint(list_changed(None));
            }
            for uri in watched.iter().filter(changed) {
                outbox.hint(updated(uri, None));
            }
        }
        for listening in self.lock().iter() {
            let ticket = &listening.ticket;
            if list && listening.filter.list {
                ticket.notify(list_changed(Some(ticket)));
            }
            for uri in listening.filter.watched.iter().filter(changed) {
                ticket.notify(updated(uri, Some(ticket)));
            }
        }
    }

    /// Tells whoever listens for this task how it ended, in the words of [`Listening`].
    pub(crate) fn tell_task(&self, id: &str, words: impl Fn(&Caller, Object) -> Option<Json>) {
        for listening in self.lock().iter() {
            if listening.filter.tasks.contains(id) {
                listening.tell_task(&words);
            }
        }
    }

    /// Ends one stream, or all of them, with the answer that closes it.
    pub(crate) fn end(&self, id: Option<&RequestId>) {
        let ended: Vec<Listening> = {
            let mut listening = self.lock();
            let ends = |entry: &mut Listening| id.is_none_or(|id| entry.ticket.id() == id);
            listening.extract_if(.., ends).collect()
        };
        for Listening { ticket, caller, .. } in ended {
            let id = Object::new().json(SUBSCRIPTION_ID, &ticket.id().to_json());
            ticket.answer(Ok(caller.result_with(id).end()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listening>> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The member of `_meta` that says which stream something belongs to.
fn stream(ticket: &Ticket) -> Json {
    Object::new()
        .json(SUBSCRIPTION_ID, &ticket.id().to_json())
        .end()
}

fn list_changed(ticket: Option<&Ticket>) -> Json {
    let params = ticket.map(|ticket| Object::new().json("_meta", &stream(ticket)).end());
    message::notification("notifications/resources/list_changed", params.as_ref())
}

fn updated(uri: &str, ticket: Option<&Ticket>) -> Json {
    let params = match ticket {
        Some(ticket) => Object::new().json("_meta", &stream(ticket)),
        None => Object::new(),
    };
    let params = params.field("uri", uri).end();
    message::notification("notifications/resources/updated", Some(&params))
}
