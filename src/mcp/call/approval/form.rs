//! The form that a client shows: to a legacy one by a request, to a modern one by a result.
//!
//! Owns what ends a form that was sent, and what a second attempt brings back. What a form
//! cannot show is that there was a person. Called by the rest of `approval`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::ApprovalOutcome;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::approval::ruling::Reply;
use crate::mcp::call::elicitation_result::{Retry, read_reply};
use crate::mcp::call::request_state::{Fault, Put};
use crate::mcp::call::standing::Terms;
use crate::mcp::call::{Call, question, waiting};
use crate::mcp::wire::message::{self, RequestId};
use crate::policy::{NeedsApproval, Shown};

/// How often a waiting client is told that a person is being waited for.
const REMIND: Duration = Duration::from_secs(5);

/// A form that a legacy client shows.
pub(super) struct Form {
    id: RequestId,
    shown: Vec<Shown>,
    begun: Instant,
}

impl Form {
    /// Sends `elicitation/create`.
    ///
    /// # Errors
    /// The call is over already.
    pub(super) fn put(
        call: &Arc<Call>,
        questions: &[&NeedsApproval],
        terms: Terms,
        number: u64,
    ) -> Result<Self, Reply> {
        let asked = &call.session.questions;
        let id = asked.open(number);
        let (params, shown) =
            question::form(questions, call.caller().version.has_descriptions(), terms);
        let frame = message::request(&id, "elicitation/create", &params);
        if !call.reply.send(frame) {
            asked.forget(&id);
            return Err(Reply::without(ApprovalOutcome::Cancelled));
        }
        let waiting = Arc::clone(&asked.waiting);
        call.reply
            .when_cancelled(move || waiting.tell(number, None));
        let begun = Instant::now();
        Ok(Self { id, shown, begun })
    }

    /// How it ended.
    ///
    /// # Errors
    /// When its next turn is due.
    pub(super) fn turn(
        &mut self,
        call: &Call,
        wait: Duration,
        said: Option<waiting::Reply>,
    ) -> Result<Reply, Instant> {
        match said {
            Some(Ok(reply)) => {
                let said = read_reply(&reply);
                return Ok(Reply {
                    choice: said.choice,
                    shown: std::mem::take(&mut self.shown),
                    ..Reply::without(said.outcome)
                });
            }
            // An error is the client's way of saying that it could not ask.
            Some(Err(_)) => return Ok(Reply::without(ApprovalOutcome::Unsupported)),
            None => {}
        }
        let waited = self.begun.elapsed();
        let (outcome, why) = if call.session.is_closing() {
            (ApprovalOutcome::ClientLost, "The call was cancelled")
        } else if call.reply.is_cancelled() {
            (ApprovalOutcome::Cancelled, "The call was cancelled")
        } else if waited >= wait {
            (ApprovalOutcome::Timeout, "No answer in time")
        } else {
            // Not at once: a client that answers soon is not told that it is waited for.
            if waited >= REMIND {
                let text = "waiting for a person's approval";
                call.reply.progress(waited.as_secs_f64(), None, text);
            }
            return Err(Instant::now() + REMIND.min(wait.saturating_sub(waited)));
        };
        call.session.questions.forget(&self.id);
        question::take_back(call, &self.id, why);
        Ok(Reply::without(outcome))
    }
}

/// The `input_required` result.
pub(super) fn ask_modern(call: &Call, questions: &[&NeedsApproval], terms: Terms) -> Answer {
    let (params, shown) = question::form(questions, true, terms);
    let weight = shown.len() * size_of::<Shown>();
    // The call ends here, and what was shown stays.
    question::as_result(
        call,
        questions,
        &params,
        (Put::Form(shown), weight),
        terms.wait,
    )
}

/// Reads the second attempt of a modern client. Its state is used up by a yes and by a no.
pub(super) fn check_retry(call: &Call, retry: &Retry, questions: &[&NeedsApproval]) -> Reply {
    // A no would end it, and this is none: the state stays good for an answer.
    let (said, choice) = match &retry.reply {
        Some(said) => (said.outcome, said.choice.clone()),
        None => (ApprovalOutcome::Cancelled, None),
    };
    if said == ApprovalOutcome::Malformed {
        return Reply::without(ApprovalOutcome::Malformed);
    }
    match call.session.request_states.redeem(
        retry.state.as_deref().unwrap_or_default(),
        &question::digest(call, questions),
    ) {
        Ok(issued) => match issued.put {
            Put::Form(shown) => Reply {
                choice,
                since: Some(issued.since),
                shown,
                ..Reply::without(said)
            },
            // To open the operator's page is no yes to a command, whatever the policy wants
            // by now.
            Put::Link(_) => Reply::without(ApprovalOutcome::Replayed),
        },
        Err(Fault::Forged) => Reply::without(ApprovalOutcome::Forged),
        Err(Fault::Replayed) => Reply::without(ApprovalOutcome::Replayed),
        Err(Fault::Expired) => Reply::without(ApprovalOutcome::Expired),
    }
}
