//! A person's approval of commands that a rule asks about.
//!
//! Owns the question, the ways to put it (a request to a legacy client, an
//! `input_required` result to a modern one), and what counts as a yes: `accept` with
//! `approve: true`, in time, for exactly what was shown, once. Everything else is a no,
//! and each end is on the record. What it cannot show is that there was a person: a
//! client answers for one, so an approval is friction, not proof. Called by the tools
//! that run commands, on threads of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::audit::{self, ApprovalOutcome, Record, Ts};
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::request_state::{Fault, Keeper};
use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::{self, Params, RequestId};
use crate::model::names::HostAlias;
use crate::policy::{ApprovalFailure, NeedsApproval};

/// The name of our question in `inputRequests`, and of the answer in `inputResponses`.
const KEY: &str = "approval";
/// The member of the form that must be true.
const APPROVE: &str = "approve";
/// How often a waiting client is told that a person is being waited for.
const REMIND: Duration = Duration::from_secs(5);
/// Characters of a state that are looked at: more than there are in one.
const LONGEST_STATE: usize = 100;
/// Most host names that one question lists.
const HOSTS_SHOWN: usize = 50;

/// The states of the questions that modern clients were asked.
pub(crate) type Approvals = Keeper;

/// What a modern client answers to an `input_required` result, with its second attempt.
/// Read when it comes: what else there is in it is not held for as long as the call takes.
#[derive(Debug)]
pub(crate) struct Retry {
    state: String,
    reply: ApprovalOutcome,
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

/// How a question ended.
pub(crate) enum Ruling {
    Approved,
    Refused(ApprovalFailure),
    /// To be answered now; the client asks, and calls again.
    Ask(Answer),
}

/// Asks about commands of one call, all or none of them: one question, also for a fleet.
/// An answer counts for as long as `wait`.
pub(crate) fn obtain(call: &Arc<Call>, questions: &[&NeedsApproval], wait: Duration) -> Ruling {
    let asked = Instant::now();
    let (outcome, since) = if !call.caller.abilities.forms {
        (ApprovalOutcome::Unsupported, asked)
    } else if !call.caller.version.is_modern() {
        (ask_legacy(call, questions, wait), asked)
    } else {
        match &call.retry {
            None => return Ruling::Ask(ask_modern(call, questions, wait)),
            Some(retry) => check_retry(call, retry, questions),
        }
    };
    record(call, questions, outcome, since);
    match outcome {
        ApprovalOutcome::Accepted => Ruling::Approved,
        ApprovalOutcome::Unsupported => Ruling::Refused(ApprovalFailure::Unavailable),
        ApprovalOutcome::Timeout | ApprovalOutcome::Expired => {
            Ruling::Refused(ApprovalFailure::Timeout)
        }
        ApprovalOutcome::Forged | ApprovalOutcome::Replayed => {
            Ruling::Refused(ApprovalFailure::Mismatch)
        }
        ApprovalOutcome::Declined | ApprovalOutcome::Cancelled | ApprovalOutcome::ClientLost => {
            Ruling::Refused(ApprovalFailure::Declined)
        }
    }
}

/// Sends `elicitation/create` and waits for the answer.
fn ask_legacy(call: &Arc<Call>, questions: &[&NeedsApproval], wait: Duration) -> ApprovalOutcome {
    let (id, answer) = call.session.questions.open();
    let params = form(questions, call.caller.version.has_descriptions());
    if !call.send(message::request(&id, "elicitation/create", &params)) {
        call.session.questions.forget(&id);
        return ApprovalOutcome::Cancelled;
    }
    let (session, taken_back) = (Arc::clone(&call.session), id.clone());
    call.cancellation
        .then(move || session.questions.forget(&taken_back));
    let begun = Instant::now();
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        match answer.recv_timeout(left.min(REMIND)) {
            Ok(Ok(reply)) => return read_reply(&reply),
            // An error is the client's way of saying that it could not ask.
            Ok(Err(_)) => return ApprovalOutcome::Unsupported,
            Err(RecvTimeoutError::Disconnected) => {
                take_back(call, &id, "The call was cancelled");
                return if call.session.is_closing() {
                    ApprovalOutcome::ClientLost
                } else {
                    ApprovalOutcome::Cancelled
                };
            }
            Err(RecvTimeoutError::Timeout) if begun.elapsed() >= wait => {
                call.session.questions.forget(&id);
                take_back(call, &id, "No answer in time");
                return ApprovalOutcome::Timeout;
            }
            Err(RecvTimeoutError::Timeout) => {
                let waited = begun.elapsed().as_secs_f64();
                let text = "waiting for a person's approval";
                call.progress(waited, wait.as_secs_f64(), text);
            }
        }
    }
}

/// Lets the client close the form of a question that has become pointless.
fn take_back(call: &Call, id: &RequestId, reason: &str) {
    let params = Object::new()
        .json("requestId", &id.to_json())
        .field("reason", reason)
        .end();
    let frame = message::notification("notifications/cancelled", Some(&params));
    call.session.outbox.hint(frame);
}

/// The `input_required` result.
fn ask_modern(call: &Call, questions: &[&NeedsApproval], wait: Duration) -> Answer {
    let state = call.session.approvals.issue(digest(call, questions), wait);
    let request = Object::new()
        .field("method", "elicitation/create")
        .json("params", &form(questions, true))
        .end();
    let result = call
        .caller
        .result_of("input_required")
        .json("inputRequests", &Object::new().json(KEY, &request).end())
        .field("requestState", &state)
        .end();
    Answer::question(result)
}

/// Reads the second attempt of a modern client. Its state is used up whatever it says.
fn check_retry(
    call: &Call,
    retry: &Retry,
    questions: &[&NeedsApproval],
) -> (ApprovalOutcome, Instant) {
    let issued = call
        .session
        .approvals
        .redeem(&retry.state, &digest(call, questions));
    let now = Instant::now();
    match issued {
        Ok(since) => (retry.reply, since),
        Err(Fault::Forged) => (ApprovalOutcome::Forged, now),
        Err(Fault::Replayed) => (ApprovalOutcome::Replayed, now),
        Err(Fault::Expired) => (ApprovalOutcome::Expired, now),
    }
}

/// What a client says that a person said. Only a clear yes is one.
fn read_reply(reply: &Value) -> ApprovalOutcome {
    let approved = reply
        .get("content")
        .and_then(|content| content.get(APPROVE));
    match reply.get("action").and_then(Value::as_str) {
        Some("accept") if approved == Some(&Value::Bool(true)) => ApprovalOutcome::Accepted,
        Some("accept" | "decline") => ApprovalOutcome::Declined,
        _ => ApprovalOutcome::Cancelled,
    }
}

/// The parameters of `elicitation/create`.
fn form(questions: &[&NeedsApproval], with_mode: bool) -> Json {
    let approve = Object::new()
        .field("type", "boolean")
        .field("title", "Approve")
        .field("description", "Run exactly this, once")
        .field("default", &false)
        .end();
    let schema = Object::new()
        .field("type", "object")
        .json("properties", &Object::new().json(APPROVE, &approve).end())
        .field("required", &[APPROVE])
        .end();
    Object::new()
        .when(with_mode, |params| params.field("mode", "form"))
        .field("message", &wording(questions))
        .json("requestedSchema", &schema)
        .end()
}

/// What the person reads: where, what exactly, and which rules ask. A fleet of hosts
/// shares the command, so it is shown once.
fn wording(questions: &[&NeedsApproval]) -> String {
    let mut hosts: Vec<&str> = questions
        .iter()
        .map(|question| question.alias().as_str())
        .collect();
    let more = hosts.len().saturating_sub(HOSTS_SHOWN);
    hosts.truncate(HOSTS_SHOWN);
    let mut listed = hosts.join(", ");
    if more > 0 {
        listed.push_str(&format!(" and {more} more"));
    }
    let mut commands: Vec<String> = questions
        .iter()
        .map(|question| question.for_people())
        .collect();
    commands.dedup();
    let mut rules: Vec<usize> = questions
        .iter()
        .flat_map(|question| question.rules().iter().copied())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<String> = rules.iter().map(usize::to_string).collect();
    format!(
        "Approve this command?\n\nHost: {listed}\nCommand: {}\nAsked for by policy.yml, line {}",
        commands.join("\nor: "),
        rules.join(", ")
    )
}

/// What an answer is bound to: the tool, its arguments, and each host with the exact
/// command that would be sent there.
fn digest(call: &Call, questions: &[&NeedsApproval]) -> [u8; 32] {
    let arguments = Json::of(&call.arguments);
    let mut hash = Sha256::new()
        .chain_update(call.tool.name)
        .chain_update(b"\0")
        .chain_update(arguments.as_str());
    for question in questions {
        hash.update(question.digest());
    }
    hash.finalize().into()
}

fn record(call: &Call, questions: &[&NeedsApproval], outcome: ApprovalOutcome, since: Instant) {
    let elapsed_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    for question in questions {
        call.session
            .server
            .audit
            .emit(Record::Approval(audit::Approval {
                ts: Ts::now(),
                alias: HostAlias::clone(question.alias()),
                hash: question.hash(),
                digest: hex(&question.digest()),
                outcome,
                elapsed_ms,
            }));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
