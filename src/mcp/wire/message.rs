//! A line → messages: JSON-RPC 2.0 as types, with ids that keep theirs.
//!
//! Owns what counts as a request, a notification, a response and an error, the bounds on
//! nesting and on ids, and how errors are written. Refuses nothing silently: what has a
//! usable id gets an error, the rest comes back as [`Garbage`] for the log. Knows no
//! method. Called by `session` for input and by everything that answers.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::mcp::wire::json::{Json, Object};

/// Deepest accepted nesting of `params` and `result`; the parser itself stops at 128.
pub(crate) const MAX_DEPTH: usize = 64;
/// Most objects and arrays, and most values, of one message.
const MAX_COLLECTIONS: usize = 4_096;
const MAX_VALUES: usize = 65_536;
/// Longest accepted id, in bytes of its JSON text.
pub(crate) const MAX_ID: usize = 1024;
/// Most messages accepted in one batch.
pub(crate) const MAX_BATCH: usize = 128;

/// The name of a request. `1` and `"1"` are two names, and each is echoed as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RequestId {
    /// The digits as written, so that no number is too large to be echoed.
    Number(Box<str>),
    Text(Box<str>),
}

impl RequestId {
    /// `None` for anything but a string or an integer (null and fractions are not ids).
    fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_ID {
            return None;
        }
        if text.starts_with('"') {
            let text: String = serde_json::from_str(text).ok()?;
            return Some(Self::Text(text.into()));
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_integer.then(|| Self::Number(text.into()))
    }

    /// The id inside a parsed document, such as `requestId` of a cancellation.
    pub(crate) fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(_) | Value::Number(_) => Self::parse(&value.to_string()),
            _ => None,
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => Json::of(text),
            Self::Number(digits) => Json::of(
                &RawValue::from_string(digits.to_string())
                    .unwrap_or_else(|_| RawValue::NULL.to_owned()),
            ),
        }
    }
}

/// `params` of a request or a notification; empty where there was none.
pub(crate) type Params = Map<String, Value>;

/// One message from the client.
#[derive(Debug)]
pub(crate) enum Incoming {
    Request {
        id: RequestId,
        method: String,
        params: Params,
    },
    Notification {
        method: String,
        params: Params,
    },
    /// The answer to a request of ours; `Err` for an error.
    Response {
        id: RequestId,
        outcome: Result<Value, Value>,
    },
    /// Not a message, but it can be told so.
    Invalid {
        id: RequestId,
        error: RpcError,
    },
}

/// What one line held.
#[derive(Debug)]
pub(crate) enum Parsed {
    One(Incoming),
    Batch {
        messages: Vec<Incoming>,
        /// The first element that cannot be answered.
        garbage: Option<Garbage>,
    },
}

/// A line, or an element of a batch, that cannot be answered: why, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Garbage(pub(crate) String);

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads one line.
///
/// # Errors
/// Not UTF-8, not JSON, not an object or array, no usable id where an answer would be
/// due, an empty or oversized batch, a member given twice.
pub(crate) fn parse(line: &[u8]) -> Result<Parsed, Garbage> {
    let text = std::str::from_utf8(line).map_err(|error| Garbage(format!("not UTF-8: {error}")))?;
    if !text.trim_start().starts_with('[') {
        return parse_one(text).map(Parsed::One);
    }
    let elements: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| Garbage(format!("not JSON: {error}")))?;
    if elements.is_empty() || elements.len() > MAX_BATCH {
        let count = elements.len();
        return Err(Garbage(format!(
            "a batch of {count} (1 to {MAX_BATCH} accepted)"
        )));
    }
    let (mut messages, mut garbage) = (Vec::new(), None);
    for element in elements {
        match parse_one(element.get()) {
            Ok(message) => messages.push(message),
            Err(unread) => garbage = garbage.or(Some(unread)),
        }
    }
    Ok(Parsed::Batch { messages, garbage })
}

/// The members of a message, still as text: ids keep their spelling, and a deep or odd
/// `params` is looked at only when there is somebody to tell.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

fn parse_one(text: &str) -> Result<Incoming, Garbage> {
    let envelope: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| Garbage(format!("not a message: {error}")))?;
    let id = envelope.id.map(|id| RequestId::parse(id.get()));
    let Some(id) = id else {
        return parse_notification(&envelope);
    };
    let id = id.ok_or_else(|| Garbage("an id that is neither text nor an integer".to_owned()))?;
    // An answer of theirs is never answered, however wrong it is.
    let is_response =
        envelope.method.is_none() && (envelope.result.is_some() || envelope.error.is_some());
    match read_members(&envelope, &id) {
        Ok(incoming) => Ok(incoming),
        Err(error) if is_response => Err(Garbage(format!("a response: {}", error.message))),
        Err(error) => Ok(Incoming::Invalid { id, error }),
    }
}

fn parse_notification(envelope: &Envelope<'_>) -> Result<Incoming, Garbage> {
    let read = || -> Result<Incoming, RpcError> {
        check_version(envelope)?;
        let method = envelope
            .method
            .ok_or_else(|| RpcError::invalid_request("neither id nor method"))?;
        Ok(Incoming::Notification {
            method: read_method(method)?,
            params: read_params(envelope.params)?,
        })
    };
    read().map_err(|error| Garbage(error.message))
}

fn read_members(envelope: &Envelope<'_>, id: &RequestId) -> Result<Incoming, RpcError> {
    check_version(envelope)?;
    let id = id.clone();
    if let Some(method) = envelope.method {
        return Ok(Incoming::Request {
            id,
            method: read_method(method)?,
            params: read_params(envelope.params)?,
        });
    }
    let outcome = match (envelope.result, envelope.error) {
        (Some(result), None) => Ok(read_value(result)?),
        (None, Some(error)) => Err(read_value(error)?),
        (None, None) => return Err(RpcError::invalid_request("no method")),
        (Some(_), Some(_)) => return Err(RpcError::invalid_request("a result and an error")),
    };
    Ok(Incoming::Response { id, outcome })
}

fn check_version(envelope: &Envelope<'_>) -> Result<(), RpcError> {
    match envelope.jsonrpc.map(RawValue::get) {
        Some("\"2.0\"") => Ok(()),
        _ => Err(RpcError::invalid_request("jsonrpc must be \"2.0\"")),
    }
}

fn read_method(method: &RawValue) -> Result<String, RpcError> {
    serde_json::from_str(method.get()).map_err(|_| RpcError::invalid_request("method must be text"))
}

fn read_params(params: Option<&RawValue>) -> Result<Params, RpcError> {
    let Some(params) = params else {
        return Ok(Params::new());
    };
    match read_value(params)? {
        Value::Object(params) => Ok(params),
        _ => Err(RpcError::invalid_request("params must be an object")),
    }
}

fn read_value(text: &RawValue) -> Result<Value, RpcError> {
    let Shape {
        deepest,
        collections,
        values,
    } = Shape::of(text.get());
    if deepest > MAX_DEPTH {
        let message = format!("nested more than {MAX_DEPTH} levels deep");
        return Err(RpcError::invalid_request(&message));
    }
    if collections > MAX_COLLECTIONS || values > MAX_VALUES {
        let message = format!(
            "more than {MAX_COLLECTIONS} objects and arrays, or {MAX_VALUES} values, in one message"
        );
        return Err(RpcError::invalid_request(&message));
    }
    serde_json::from_str(text.get()).map_err(|error| RpcError::invalid_params(&error.to_string()))
}

/// What a JSON text becomes when it is read, counted without reading it: an empty object is
/// two bytes of text and hundreds of memory.
#[derive(Default)]
struct Shape {
    deepest: usize,
    /// Objects and arrays.
    collections: usize,
    /// Values beside others, about.
    values: usize,
}

impl Shape {
    fn of(text: &str) -> Self {
        let mut shape = Self::default();
        let mut open = 0_usize;
        let (mut quoted, mut escaped) = (false, false);
        for byte in text.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'{' | b'[' if !quoted => {
                    open += 1;
                    shape.collections += 1;
                    shape.deepest = shape.deepest.max(open);
                }
                b'}' | b']' if !quoted => open = open.saturating_sub(1),
                b',' if !quoted => shape.values += 1,
                _ => {}
            }
        }
        shape
    }
}

/// An error answer. The message is for the client and its assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) data: Option<Json>,
}

impl RpcError {
    fn new(code: i32, message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
            data: None,
        }
    }

    pub(crate) fn invalid_request(message: &str) -> Self {
        Self::new(-32600, message)
    }

    pub(crate) fn method_not_found(method: &str) -> Self {
        let short: String = method.chars().take(100).collect();
        Self::new(-32601, &format!("Method not found: {short}"))
    }

    /// 2025-11-25: a task asked of a tool that `tools/list` does not offer as one.
    pub(crate) fn not_as_task() -> Self {
        Self::new(-32601, "This tool cannot be called as a task")
    }

    pub(crate) fn invalid_params(message: &str) -> Self {
        Self::new(-32602, message)
    }

    pub(crate) fn internal(message: &str) -> Self {
        Self::new(-32603, message)
    }

    /// Legacy only: the modern revision reports a missing resource as invalid params.
    pub(crate) fn resource_not_found(message: &str) -> Self {
        Self::new(-32002, message)
    }

    /// Modern only.
    pub(crate) fn missing_capability(required: &Json) -> Self {
        let data = Object::new().json("requiredCapabilities", required).end();
        Self::new(-32021, "Missing required client capability").with_data(data)
    }

    /// Modern only.
    pub(crate) fn unsupported_version(requested: &str, supported: &str) -> Self {
        let data = Object::new()
            .field("supported", &[supported])
            .field("requested", requested)
            .end();
        Self::new(-32022, "Unsupported protocol version").with_data(data)
    }

    pub(crate) fn with_data(mut self, data: Json) -> Self {
        self.data = Some(data);
        self
    }

    pub(crate) fn to_json(&self) -> Json {
        let object = Object::new()
            .field("code", &self.code)
            .field("message", &self.message);
        match &self.data {
            Some(data) => object.json("data", data).end(),
            None => object.end(),
        }
    }
}

/// A response as a frame.
pub(crate) fn response(id: &RequestId, answer: &Result<Json, RpcError>) -> Json {
    let frame = Object::new()
        .field("jsonrpc", "2.0")
        .json("id", &id.to_json());
    match answer {
        Ok(result) => frame.json("result", result).end(),
        Err(error) => frame.json("error", &error.to_json()).end(),
    }
}

/// A notification as a frame.
pub(crate) fn notification(method: &str, params: Option<&Json>) -> Json {
    let frame = Object::new()
        .field("jsonrpc", "2.0")
        .field("method", method);
    match params {
        Some(params) => frame.json("params", params).end(),
        None => frame.end(),
    }
}

/// A request of ours as a frame.
pub(crate) fn request(id: &RequestId, method: &str, params: &Json) -> Json {
    Object::new()
        .field("jsonrpc", "2.0")
        .json("id", &id.to_json())
        .field("method", method)
        .json("params", params)
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Incoming {
        match parse(text.as_bytes()).unwrap() {
            Parsed::One(incoming) => incoming,
            Parsed::Batch { .. } => panic!("a batch"),
        }
    }

    fn code(text: &str) -> i32 {
        match one(text) {
            Incoming::Invalid { error, .. } => error.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ids_keep_their_type_and_spelling() {
        for id in [
            "1",
            "\"1\"",
            "-7",
            "9007199254740993",
            "123456789012345678901234567890",
            "\"é\\n\"",
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            let Incoming::Request { id: parsed, .. } = one(&text) else {
                panic!("{text}")
            };
            assert_eq!(parsed.to_json().as_str(), id);
        }
    }

    #[test]
    fn what_has_no_usable_id_or_is_a_response_is_garbage() {
        for text in [
            "{bad json",
            "[]",
            "\"str\"",
            "7",
            "null",
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
            r#"{"id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","method":7}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"{\"jsonrpc\":\"2.0\",\"method\":\"x\xff\"}").is_err());
    }

    #[test]
    fn a_null_id_asks_for_nothing() {
        assert!(matches!(
            one(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
            Incoming::Notification { .. }
        ));
    }

    #[test]
    fn a_wrong_shape_with_an_id_is_told_so() {
        assert_eq!(code(r#"{"id":1,"method":"ping"}"#), -32600);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":[]}"#), -32600);
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}"#),
            -32600
        );
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1}"#), -32600);
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1e999}}"#),
            -32602
        );
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"\ud800"}}"#),
            -32602
        );
    }

    #[test]
    fn deep_nesting_costs_no_stack_and_is_refused() {
        for levels in [MAX_DEPTH + 1, 200_000] {
            let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{deep}}}}}"#);
            assert_eq!(code(&text), -32600);
        }
        assert_eq!(Shape::of(r#"{"a":"[[[{\"["}"#).deepest, 1);
    }

    #[test]
    fn a_batch_keeps_what_can_be_read() {
        let text = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},7,{"jsonrpc":"2.0","method":"n"}]"#;
        let Parsed::Batch { messages, garbage } = parse(text.as_bytes()).unwrap() else {
            panic!()
        };
        assert_eq!(messages.len(), 2);
        assert!(garbage.unwrap().0.contains("not a message"));
    }
}
