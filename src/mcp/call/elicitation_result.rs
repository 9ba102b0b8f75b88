//! What a client says that a person said to a question of ours.
//!
//! Owns what counts as a yes: `accept`, which is the one act that the question asks for,
//! unless its content says otherwise; and how the second attempt of a modern client is read. Called by `call` when a call comes in, and by
//! `approval`.

use serde_json::Value;

use crate::audit::ApprovalOutcome;
use crate::mcp::wire::message::Params;

/// The name of our question in `inputRequests`, and of the answer in `inputResponses`.
pub(crate) const KEY: &str = "approval";
/// The member by which earlier forms asked: a client may still send it.
const APPROVE: &str = "approve";
/// The member that says for how long a yes is meant, where the policy leaves that open.
pub(crate) const CHOICE: &str = "approve_for";
/// Characters of a state that are looked at: more than there are in one.
const LONGEST_STATE: usize = 100;

/// What a modern client answers to an `input_required` result, with its second attempt.
/// Read when it comes: what else there is in it is not held for as long as the call takes.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) state: Option<String>,
    /// `None` where there is no answer to our question.
    pub(crate) reply: Option<Said>,
}

/// What a person said, as far as the client tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) outcome: ApprovalOutcome,
    /// What of the choice beside a yes was taken, where the question had one.
    pub(crate) choice: Option<String>,
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
        // A longer one was not made here, and neither was one that is no text.
        let state = state.map(|state| {
            let text = state.as_str().unwrap_or_default();
            text.chars().take(LONGEST_STATE).collect()
        });
        let reply = match responses {
            Some(responses) if !responses.is_object() => Some(Said {
                outcome: ApprovalOutcome::Malformed,
                choice: None,
            }),
            _ => reply.map(read_reply),
        };
        Some(Self { state, reply })
    }
}

/// What a client says that a person said. To accept is to approve: there is no box beside
/// it that could be left unticked.
pub(crate) fn read_reply(reply: &Value) -> Said {
    let choice = reply.get("content").and_then(|content| content.get(CHOICE));
    let choice = choice.and_then(Value::as_str).map(|text| {
        // No choice of ours is longer.
        text.chars().take(LONGEST_STATE).collect()
    });
    Said {
        outcome: outcome_of(reply),
        choice,
    }
}

fn outcome_of(reply: &Value) -> ApprovalOutcome {
    let approved = match reply.get("content") {
        None | Some(Value::Null) => Some(true),
        Some(Value::Object(content)) => match content.get(APPROVE) {
            None => Some(true),
            Some(approved) => approved.as_bool(),
        },
        Some(_) => None,
    };
    match (reply.get("action").and_then(Value::as_str), approved) {
        (Some("accept"), Some(true)) => ApprovalOutcome::Accepted,
        (Some("accept"), Some(false)) | (Some("decline"), _) => ApprovalOutcome::Declined,
        (Some("cancel"), _) => ApprovalOutcome::Cancelled,
        _ => ApprovalOutcome::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_yes_a_no_neither_and_nonsense_are_told_apart() {
        for (outcome, replies) in [
            (
                ApprovalOutcome::Accepted,
                [
                    json!({"action": "accept", "content": {"approve": true}}),
                    json!({"action": "accept", "content": {}}),
                    json!({"action": "accept"}),
                ],
            ),
            (
                ApprovalOutcome::Declined,
                [
                    json!({"action": "accept", "content": {"approve": false}}),
                    json!({"action": "decline", "content": {"approve": true}}),
                    json!({"action": "decline"}),
                ],
            ),
            (
                ApprovalOutcome::Cancelled,
                [
                    json!({"action": "cancel"}),
                    json!({"action": "cancel", "content": null}),
                    json!({"action": "cancel", "content": {"approve": true}}),
                ],
            ),
            (
                ApprovalOutcome::Malformed,
                [
                    json!({}),
                    json!("accept"),
                    json!({"action": "accept", "content": 7}),
                ],
            ),
        ] {
            for reply in replies {
                assert_eq!(read_reply(&reply).outcome, outcome, "{reply}");
            }
        }
    }
}
