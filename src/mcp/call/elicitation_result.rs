//! What a client says that a person said to a question of ours.
//!
//! Owns what counts as a yes: `accept` with `approve: true` and nothing else; and how the
//! second attempt of a modern client is read. Called by `call` when a call comes in, and by
//! `approval`.

use serde_json::Value;

use crate::audit::ApprovalOutcome;
use crate::mcp::wire::message::Params;

/// The name of our question in `inputRequests`, and of the answer in `inputResponses`.
pub(crate) const KEY: &str = "approval";
/// The member of the form that must be true.
pub(crate) const APPROVE: &str = "approve";
/// Characters of a state that are looked at: more than there are in one.
const LONGEST_STATE: usize = 100;

/// What a modern client answers to an `input_required` result, with its second attempt.
/// Read when it comes: what else there is in it is not held for as long as the call takes.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) state: String,
    pub(crate) reply: ApprovalOutcome,
}

impl Retry {
    /// `None` where neither member is there: then it is a first attempt.
    pub(crate) fn read(params: &Params) -> Option<Self> {
        let member = |name: &str| params.get(name).filter(|it| !it.is_null());
        let (state, responses) = (member("requestState"), member("inputResponses"));
        if state.is_none() && responses.is_none() {
            return None;
        }
        let reply = responses.and_then(|responses| responses.get(KEY));
        let state = state.and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            // A longer one was not made here.
            state: state.chars().take(LONGEST_STATE).collect(),
            reply: reply.map_or(ApprovalOutcome::Cancelled, read_reply),
        })
    }
}

/// What a client says that a person said. Only a clear yes is one.
pub(crate) fn read_reply(reply: &Value) -> ApprovalOutcome {
    let approved = reply
        .get("content")
        .and_then(|content| content.get(APPROVE));
    match reply.get("action").and_then(Value::as_str) {
        Some("accept") if approved == Some(&Value::Bool(true)) => ApprovalOutcome::Accepted,
        Some("accept" | "decline") => ApprovalOutcome::Declined,
        _ => ApprovalOutcome::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        let read = |value: Value| read_reply(&value);
        let yes = json!({"action": "accept", "content": {"approve": true}});
        assert_eq!(read(yes), ApprovalOutcome::Accepted);
        for no in [
            json!({"action": "accept", "content": {"approve": false}}),
            json!({"action": "accept", "content": {"approve": "true"}}),
            json!({"action": "accept", "content": {}}),
            json!({"action": "accept"}),
            json!({"action": "decline", "content": {"approve": true}}),
        ] {
            assert_eq!(read(no), ApprovalOutcome::Declined);
        }
        for nothing in [
            json!({"action": "cancel"}),
            json!({}),
            json!(null),
            json!("accept"),
        ] {
            assert_eq!(read(nothing), ApprovalOutcome::Cancelled);
        }
    }
}
