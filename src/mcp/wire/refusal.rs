//! The one line that a client gets from a server that does not start.
//!
//! Owns its form: an error in answer to the client's first request, so that the client shows
//! the reason instead of a closed pipe. Reads of that request only its id. Called by
//! `startup`.

use serde_json::Value;

use crate::mcp::wire::json::{Json, Object};

/// JSON-RPC 2.0: internal error.
const INTERNAL_ERROR: i32 = -32603;

/// The line, with its newline. `first` is what the client said, if it said anything.
pub(crate) fn line(first: &[u8], reason: &str) -> String {
    let first = serde_json::from_slice::<Value>(first).unwrap_or_default();
    // Ids are strings and numbers; anything else is answered as what cannot be read.
    let id = first
        .get("id")
        .filter(|id| id.is_string() || id.is_number());
    let error = Object::new()
        .field("code", &INTERNAL_ERROR)
        .field(
            "message",
            &format!("mcp-ssh-orchestrator did not start: {reason}"),
        )
        .end();
    let answer = Object::new().field("jsonrpc", "2.0");
    // Where nothing was asked there is no id: MCP's schema has it optional, and never null.
    let answer = match id {
        Some(id) => answer.json("id", &Json::of(id)),
        None => answer,
    };
    let answer = answer.json("error", &error).end();
    format!("{answer}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_the_request_that_was_made() {
        let id = |first: &str| {
            let answer: Value = serde_json::from_str(&line(first.as_bytes(), "x\ny")).unwrap();
            assert_eq!(answer["error"]["code"], -32603);
            answer["id"].clone()
        };
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":7,"method":"initialize"}"#), 7);
        assert_eq!(id(r#"{"id":"a"}"#), "a");
        for other in ["", "{", "[1]", r#"{"id":{}}"#, r#"{"method":"x"}"#] {
            assert_eq!(id(other), Value::Null, "{other}");
        }
        assert_eq!(line(b"", "x\ny").lines().count(), 1);
    }
}
