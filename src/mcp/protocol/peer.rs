//! Who asks, for one request: the revision, what the client can do, what it wants to hear.
//!
//! Owns the routing between the eras. It is decided per message from what that message
//! claims; a handshake counts only for messages that claim nothing, so both kinds can
//! share a connection. Called by `connection`.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::audit::Asked;
use crate::mcp::feature::logging::Level;
use crate::mcp::protocol::revision::Version;
use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::{Params, RequestId, RpcError};

const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// Where the W3C trace context stands in a request's `_meta`.
const TRACEPARENT: &str = "traceparent";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Characters of a client's name or version that are kept.
const LONGEST_NAME: usize = 100;
/// The identifier of the extension that brings tasks to the modern revision.
pub(crate) const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The identifier of the extension that brings skills (SEP-2640).
pub(crate) const SKILLS_EXTENSION: &str = "io.modelcontextprotocol/skills";

/// What a request says of its client.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) version: Version,
    pub(crate) abilities: Abilities,
    /// Where progress is to be reported, if anywhere.
    pub(crate) progress_token: Option<RequestId>,
    /// Modern: what the client wants to hear about this request. Legacy clients set a
    /// level for the connection, which `session` knows.
    pub(crate) log_level: Option<Level>,
    /// What the client says that it is.
    pub(crate) client: Option<Arc<ClientInfo>>,
}

/// What a client says that it is: for the record, and for nothing else.
#[derive(Debug)]
pub(crate) struct ClientInfo {
    name: Option<String>,
    version: Option<String>,
}

/// What a client declared it can do, as far as it matters here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Abilities {
    /// It can put a form in front of a person.
    pub(crate) forms: bool,
    /// It can show a person a link, and open it if they want that.
    pub(crate) links: bool,
    /// It can take a task for an answer (the modern extension).
    pub(crate) tasks: bool,
}

/// What a handshake settled.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    pub(crate) version: Version,
    pub(crate) abilities: Abilities,
    pub(crate) client: Option<Arc<ClientInfo>>,
}

impl Handshake {
    /// Reads the parameters of `initialize`.
    ///
    /// # Errors
    /// No version, or one that is not text.
    pub(crate) fn read(params: &Params) -> Result<Self, RpcError> {
        let version = params
            .get("protocolVersion")
            .and_then(Value::as_str)
            .ok_or_else(|| RpcError::invalid_params("initialize needs protocolVersion"))?;
        let version = Version::negotiate(version);
        let capabilities = params.get("capabilities").and_then(Value::as_object);
        let mut abilities = capabilities.map(Abilities::read).unwrap_or_default();
        // Whatever is declared, older revisions have no words to ask in.
        abilities.forms &= version.has_structure();
        abilities.links &= version.has_links();
        Ok(Self {
            version,
            abilities,
            client: ClientInfo::read(params.get("clientInfo")),
        })
    }
}

impl ClientInfo {
    fn read(info: Option<&Value>) -> Option<Arc<Self>> {
        let info = info?.as_object()?;
        // More than is kept of it on record; the rest is not held.
        let text = |name: &str| {
            let text = info.get(name)?.as_str()?;
            Some(text.chars().take(LONGEST_NAME).collect())
        };
        Some(Arc::new(Self {
            name: text("name"),
            version: text("version"),
        }))
    }
}

impl Abilities {
    /// An empty `elicitation` means forms; one that names only other modes does not.
    fn read(capabilities: &Map<String, Value>) -> Self {
        let elicitation = capabilities.get("elicitation").and_then(Value::as_object);
        let extensions = capabilities.get("extensions").and_then(Value::as_object);
        Self {
            forms: elicitation.is_some_and(|modes| modes.is_empty() || modes.contains_key("form")),
            links: elicitation.is_some_and(|modes| modes.contains_key("url")),
            tasks: extensions.is_some_and(|all| all.contains_key(TASKS_EXTENSION)),
        }
    }
}

impl Caller {
    /// Decides the era of one request.
    ///
    /// # Errors
    /// -32602 for a claim that is not complete, or for no claim before a handshake;
    /// -32022 for a claim of a revision other than the modern one.
    pub(crate) fn of(
        method: &str,
        params: &Params,
        handshake: Option<Handshake>,
    ) -> Result<Self, RpcError> {
        let meta = match params.get("_meta") {
            None | Some(Value::Null) => None,
            Some(Value::Object(meta)) => Some(meta),
            Some(_) => return Err(RpcError::invalid_params("_meta must be an object")),
        };
        if let Some(meta) = meta
            && let Some(claim) = meta.get(PROTOCOL_VERSION)
        {
            return Self::modern(meta, claim);
        }
        let handshake = match handshake {
            Some(handshake) => handshake,
            None if matches!(method, "initialize" | "ping") => Handshake {
                version: Version::NEWEST_LEGACY,
                abilities: Abilities::default(),
                client: None,
            },
            None => return Err(no_era()),
        };
        Ok(Self {
            version: handshake.version,
            abilities: handshake.abilities,
            progress_token: progress_token(meta),
            log_level: None,
            client: handshake.client,
        })
    }

    fn modern(meta: &Map<String, Value>, claim: &Value) -> Result<Self, RpcError> {
        let claim = claim.as_str().ok_or_else(|| {
            RpcError::invalid_params(&format!("_meta needs {PROTOCOL_VERSION} as text"))
        })?;
        if claim != Version::MODERN.as_str() {
            let supported = Version::MODERN.as_str();
            return Err(RpcError::unsupported_version(claim, supported));
        }
        let capabilities = meta
            .get(CLIENT_CAPABILITIES)
            .and_then(Value::as_object)
            .ok_or_else(|| {
                RpcError::invalid_params(&format!("_meta needs {CLIENT_CAPABILITIES} as an object"))
            })?;
        Ok(Self {
            version: Version::MODERN,
            abilities: Abilities::read(capabilities),
            progress_token: progress_token(Some(meta)),
            log_level: meta.get(LOG_LEVEL).map(Level::parse).transpose()?,
            client: ClientInfo::read(meta.get(CLIENT_INFO)),
        })
    }

    /// What the record says of one request.
    pub(crate) fn asked(&self, id: &RequestId, params: &Params) -> Asked {
        let client = self.client.as_deref();
        let meta = params.get("_meta");
        let trace = meta.and_then(|meta| meta.get(TRACEPARENT)?.as_str());
        Asked {
            client: client.and_then(|client| client.name.clone()),
            client_version: client.and_then(|client| client.version.clone()),
            protocol: Some(self.version.as_str()),
            request_id: serde_json::from_str(id.to_json().as_str()).ok(),
            traceparent: trace
                .filter(|trace| is_traceparent(trace))
                .map(str::to_owned),
        }
    }

    /// The beginning of a result: in the modern revision its kind and who made it.
    pub(crate) fn result(&self) -> Object {
        self.result_with(Object::new())
    }

    /// As [`Caller::result`], with further members of `_meta`.
    pub(crate) fn result_with(&self, meta: Object) -> Object {
        self.begin("complete", meta)
    }

    /// As [`Caller::result`], of another kind than `complete` (modern only).
    pub(crate) fn result_of(&self, kind: &str) -> Object {
        self.begin(kind, Object::new())
    }

    fn begin(&self, kind: &str, meta: Object) -> Object {
        let modern = self.version.is_modern();
        let meta = meta.when(modern, |meta| {
            meta.json("io.modelcontextprotocol/serverInfo", &server_info())
        });
        Object::new()
            .when(modern, |result| result.field("resultType", kind))
            .when(!meta.is_empty(), |result| result.field("_meta", &meta))
    }

    /// How long a client may keep a result, which the modern revision wants said.
    pub(crate) fn keep_for(&self, milliseconds: u32, result: Object) -> Object {
        result.when(self.version.is_modern(), |result| {
            result
                .field("ttlMs", &milliseconds)
                .field("cacheScope", "private")
        })
    }
}

/// Whether it has the form of W3C Trace Context: version, trace, parent and flags in hex.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    parts.iter().map(|part| part.len()).eq([2, 32, 16, 2])
        && parts.iter().all(|part| part.bytes().all(hex))
}

/// Who made a result: shorter than the introduction of a handshake, as it comes with
/// every modern result.
fn server_info() -> Json {
    Object::new()
        .field("name", env!("CARGO_PKG_NAME"))
        .field("title", "SSH Orchestrator")
        .field("version", env!("CARGO_PKG_VERSION"))
        .end()
}

/// A token that is neither text nor an integer asks for nothing.
fn progress_token(meta: Option<&Map<String, Value>>) -> Option<RequestId> {
    meta?.get("progressToken").and_then(RequestId::of_value)
}

fn no_era() -> RpcError {
    RpcError::invalid_params(&format!(
        "Either begin with initialize (revisions up to {}), or send _meta with {PROTOCOL_VERSION} and \
         {CLIENT_CAPABILITIES} in every request (revision {})",
        Version::NEWEST_LEGACY.as_str(),
        Version::MODERN.as_str()
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Params {
        value.as_object().unwrap().clone()
    }

    fn modern(version: Value, capabilities: Value) -> Params {
        object(json!({"_meta": {PROTOCOL_VERSION: version, CLIENT_CAPABILITIES: capabilities}}))
    }

    fn code(params: &Params) -> i32 {
        Caller::of("tools/list", params, None).unwrap_err().code
    }

    #[test]
    fn a_claim_decides_and_must_be_complete() {
        let params = modern(json!("2026-07-28"), json!({"elicitation": {}}));
        let caller = Caller::of("tools/list", &params, None).unwrap();
        assert!(caller.version.is_modern() && caller.abilities.forms);
        assert_eq!(code(&modern(json!("1900-01-01"), json!({}))), -32022);
        assert_eq!(code(&modern(json!("2025-11-25"), json!({}))), -32022);
        assert_eq!(code(&modern(json!(7), json!({}))), -32602);
        assert_eq!(code(&modern(json!("2026-07-28"), json!(7))), -32602);
        assert_eq!(
            code(&object(json!({"_meta": {PROTOCOL_VERSION: "2026-07-28"}}))),
            -32602
        );
    }

    #[test]
    fn without_claim_and_handshake_only_ping_and_initialize_are_known() {
        let error = Caller::of("tools/list", &Params::new(), None).unwrap_err();
        assert_eq!(error.code, -32602);
        assert!(
            error.message.contains("initialize") && error.message.contains(CLIENT_CAPABILITIES)
        );
        assert!(Caller::of("ping", &Params::new(), None).is_ok());
    }

    #[test]
    fn an_ability_to_open_links_is_not_one_to_ask() {
        let read = |value| Abilities::read(&object(value));
        let links = read(json!({"elicitation": {"url": {}}}));
        assert!(links.links && !links.forms);
        assert!(!read(json!({"elicitation": {}})).links);
        assert!(read(json!({"elicitation": {"form": {}, "url": {}}})).forms);
        assert!(!read(json!({})).forms);
        assert!(read(json!({"extensions": {TASKS_EXTENSION: {}}})).tasks);
    }
}
