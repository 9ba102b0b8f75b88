//! Who asked: what joins the records of one call, and those of one run of the server.
//!
//! Owns the members that follow a record's own: the task, the user, the client with its
//! request, the run of the server. What a client says of itself proves nothing; it is cut,
//! and without secrets. Made by `mcp` for each call; added by [`crate::audit::Audit`].

use std::sync::Arc;

use serde::Serialize;

use crate::audit::chain::seal::with_members;
use crate::audit::record::{display_some, security};
use crate::audit::redact::Patterns;
use crate::model::names::TaskId;
use crate::model::text::visible;

/// Most bytes of what a client says of itself.
const SAID_MAX: usize = 200;

/// What a client said of itself, and of one request.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Asked {
    /// `name` and `version` of its `clientInfo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// The revision of the protocol that the request is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'static str>,
    /// The id of its request: text, or a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<serde_json::Value>,
    /// The W3C trace context that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Asked {
    /// Nothing that a terminal obeys, no secret, and not more than a name has.
    pub(crate) fn tidied(mut self, secrets: &Patterns) -> Self {
        let clean = |text: &mut String| {
            *text = visible(text);
            security::bound(text, secrets, SAID_MAX);
        };
        self.client.iter_mut().for_each(clean);
        self.client_version.iter_mut().for_each(clean);
        self.traceparent.iter_mut().for_each(clean);
        if let Some(serde_json::Value::String(id)) = &mut self.request_id {
            clean(id);
        }
        self
    }
}

/// What the records of one call, or of one task, have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) asked: Option<Arc<Asked>>,
    pub(crate) task: Option<TaskId>,
}

#[derive(Serialize)]
struct Members<'a> {
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "display_some"
    )]
    task_id: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os_user: Option<&'a str>,
    #[serde(flatten)]
    asked: Option<&'a Asked>,
}

#[derive(Serialize)]
struct Boot<'a> {
    boot: &'a str,
}

impl Scope {
    /// The record with the members of its call. `named`: it names its task itself.
    pub(crate) fn join(&self, record: &str, named: bool, os_user: Option<&str>) -> String {
        let members = Members {
            task_id: self.task.clone().filter(|_| !named),
            os_user: os_user.filter(|_| self.asked.is_some()),
            asked: self.asked.as_deref(),
        };
        with_members(record, &members)
    }
}

/// The record with the run of the server that it is of, as a line of the file has it too.
pub(crate) fn with_boot(record: &str, boot: &str) -> String {
    with_members(record, &Boot { boot })
}
