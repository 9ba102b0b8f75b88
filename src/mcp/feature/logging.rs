//! Log levels of the protocol, and how an event of ours is told to a client.
//!
//! Owns the text of `notifications/message`: compact JSON with the key `event` first, and
//! never a raw command, an output or a secret; commands are hashes here. This is a
//! courtesy to the client; the record is `audit`'s. Called by `session` and the tools.

use serde_json::Value;

use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::{self, RpcError};

/// The levels of RFC 5424, least grave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

const LEVELS: [(Level, &str); 8] = [
    (Level::Debug, "debug"),
    (Level::Info, "info"),
    (Level::Notice, "notice"),
    (Level::Warning, "warning"),
    (Level::Error, "error"),
    (Level::Critical, "critical"),
    (Level::Alert, "alert"),
    (Level::Emergency, "emergency"),
];

impl Level {
    /// # Errors
    /// Not one of the eight names.
    pub(crate) fn parse(value: &Value) -> Result<Self, RpcError> {
        let found = LEVELS
            .iter()
            .find(|(_, name)| value.as_str() == Some(name))
            .map(|(level, _)| *level);
        found.ok_or_else(|| {
            let names = LEVELS.map(|(_, name)| name).join(", ");
            RpcError::invalid_params(&format!("Unknown log level (accepted: {names})"))
        })
    }

    fn as_str(self) -> &'static str {
        LEVELS
            .iter()
            .find(|(level, _)| *level == self)
            .map_or("info", |(_, name)| name)
    }
}

/// Something worth telling a client that asked to be told.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) level: Level,
    text: String,
}

impl Event {
    /// `fields` adds the members after `event`.
    pub(crate) fn new(level: Level, name: &str, fields: impl FnOnce(Object) -> Object) -> Self {
        let object = fields(Object::new().field("event", name));
        Self {
            level,
            text: object.end().into_text(),
        }
    }

    /// An event in the life of an asynchronous task: `task <id> <event> <payload>`.
    pub(crate) fn of_task(level: Level, id: &str, name: &str, payload: Option<&Json>) -> Self {
        let text = match payload {
            Some(payload) => format!("task {id} {name} {payload}"),
            None => format!("task {id} {name}"),
        };
        Self { level, text }
    }

    /// The event as a frame.
    pub(crate) fn to_frame(&self) -> Json {
        let params = Object::new()
            .field("level", self.level.as_str())
            .field("logger", "mcp-ssh-orchestrator")
            .field("data", &self.text)
            .end();
        message::notification("notifications/message", Some(&params))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_named() {
        assert!(Level::Debug < Level::Info && Level::Alert < Level::Emergency);
        assert_eq!(
            Level::parse(&Value::from("warning")).unwrap(),
            Level::Warning
        );
        assert!(Level::parse(&Value::from("warn")).is_err());
        assert!(Level::parse(&Value::Null).is_err());
    }

    #[test]
    fn a_task_event_leaves_an_empty_payload_out() {
        let event = Event::of_task(Level::Info, "task123", "test_event", None);
        assert_eq!(event.text, "task task123 test_event");
        let payload = Object::new().field("status", "done").end();
        let event = Event::of_task(Level::Info, "task-123", "completed", Some(&payload));
        assert_eq!(event.text, r#"task task-123 completed {"status":"done"}"#);
    }
}
