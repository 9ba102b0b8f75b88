//! Telling clients what changed: to legacy ones by itself, to modern ones on request.
//!
//! Owns `subscriptions/listen`, and what a reload means for each kind of client. Only
//! what was asked for and can change is ever promised or sent: hosts, and resources about
//! them. Called by `dispatch`, by the reload tool, and at the end of a session.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::caller::{Caller, TASKS_EXTENSION};
use super::inflight::Ticket;
use super::json::{Json, Object};
use super::message::{self, Params, RequestId, RpcError};
use super::resources;
use super::session::Session;
use crate::config::Snapshot;

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

struct Listening {
    ticket: Ticket,
    list: bool,
    watched: BTreeSet<String>,
}

/// `subscriptions/listen`: acknowledges, and stays unanswered until it ends.
pub(crate) fn listen(session: &Arc<Session>, ticket: Ticket, caller: &Caller, params: &Params) {
    let (list, watched) = match read_filter(caller, params) {
        Ok(filter) => filter,
        Err(error) => return ticket.answer(Err(error)),
    };
    if session.subscriptions.lock().len() >= MAX_LISTENING {
        return ticket.answer(Err(RpcError::invalid_params("Too many subscriptions")));
    }
    let honoured = Object::new()
        .when(list, |filter| filter.field("resourcesListChanged", &true))
        .when(!watched.is_empty(), |filter| {
            filter.field("resourceSubscriptions", &watched)
        })
        .end();
    let params = Object::new()
        .json("_meta", &stream(&ticket))
        .json("notifications", &honoured)
        .end();
    let method = "notifications/subscriptions/acknowledged";
    ticket.send(message::notification(method, Some(&params)));
    let (id, weak) = (ticket.id().clone(), Arc::downgrade(session));
    let cancellation = ticket.cancellation();
    session.subscriptions.lock().push(Listening {
        ticket,
        list,
        watched,
    });
    cancellation.then(move || {
        if let Some(session) = weak.upgrade() {
            session.subscriptions.end(Some(&id));
        }
    });
}

/// What is asked for, of what there is.
fn read_filter(caller: &Caller, params: &Params) -> Result<(bool, BTreeSet<String>), RpcError> {
    let filter = params
        .get("notifications")
        .and_then(Value::as_object)
        .ok_or_else(|| RpcError::invalid_params("subscriptions/listen needs notifications"))?;
    if filter.contains_key("taskIds") && !caller.abilities.tasks {
        return Err(missing_tasks());
    }
    let uris = match filter.get("resourceSubscriptions") {
        None => &Vec::new(),
        Some(Value::Array(uris)) if uris.len() <= MAX_WATCHED => uris,
        Some(_) => {
            return Err(RpcError::invalid_params(
                "resourceSubscriptions must be a list of at most 1000 URIs",
            ));
        }
    };
    let watched = uris
        .iter()
        .filter_map(Value::as_str)
        .filter(|uri| resources::Address::parse(uri).is_some())
        .map(str::to_owned)
        .collect();
    Ok((
        filter.get("resourcesListChanged") == Some(&Value::Bool(true)),
        watched,
    ))
}

/// What a client without the tasks extension is told when it uses it.
pub(crate) fn missing_tasks() -> RpcError {
    let extension = Object::new()
        .json(TASKS_EXTENSION, &Json::empty_object())
        .end();
    RpcError::missing_capability(&Object::new().json("extensions", &extension).end())
}

/// Tells every client that wants to know what a reload changed.
pub(crate) fn announce(session: &Session, before: &Snapshot, after: &Snapshot) {
    let list = resources::aliases(before) != resources::aliases(after);
    let changed = |uri: &&String| {
        resources::Address::parse(uri)
            .is_some_and(|address| address.content(before) != address.content(after))
    };
    if let Some(watched) = session.watched() {
        if list {
            session.outbox.hint(list_changed(None));
        }
        for uri in watched.iter().filter(changed) {
            session.outbox.hint(updated(uri, None));
        }
    }
    for listening in session.subscriptions.lock().iter() {
        let ticket = &listening.ticket;
        if list && listening.list {
            ticket.notify(list_changed(Some(ticket)));
        }
        for uri in listening.watched.iter().filter(changed) {
            ticket.notify(updated(uri, Some(ticket)));
        }
    }
}

impl Subscriptions {
    /// Ends one stream, or all of them, with the answer that closes it.
    pub(crate) fn end(&self, id: Option<&RequestId>) {
        let ended: Vec<Listening> = {
            let mut listening = self.lock();
            let ends = |entry: &mut Listening| id.is_none_or(|id| entry.ticket.id() == id);
            listening.extract_if(.., ends).collect()
        };
        for Listening { ticket, .. } in ended {
            let result = Object::new()
                .field("resultType", "complete")
                .json("_meta", &stream(&ticket))
                .end();
            ticket.answer(Ok(result));
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
