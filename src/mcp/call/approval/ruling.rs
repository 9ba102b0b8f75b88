//! How a question ended, and what that means.
//!
//! Owns what counts as a yes: `accept`, in time, for exactly what was shown, once; and the
//! record of each end. Called by the rest of `approval`.

use std::sync::Arc;
use std::time::Instant;

use crate::audit::{self, ApprovalOutcome, Record, Ts};
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::standing::Terms;
use crate::mcp::wire::message::RpcError;
use crate::model::names::HostAlias;
use crate::model::text::hex;
use crate::policy::{
    Approval, ApprovalFailure, Authorised, Denial, NeedsApproval, Shown, Standing,
};

/// How a question ended.
pub(crate) enum Ruling {
    Approved(Approvals),
    Refused(ApprovalFailure),
    /// To be answered now; the client asks, and calls again.
    Ask(Answer),
    /// What the client brought back is none of the protocol: an error of the call.
    Invalid(ApprovalFailure, Answer),
}

/// A person's yes to each command that they were shown, in the order of the questions.
pub(crate) struct Approvals(std::vec::IntoIter<Approval>);

impl Approvals {
    fn of(shown: Vec<Shown>) -> Self {
        let approvals: Vec<Approval> = shown.into_iter().map(Shown::accepted).collect();
        Self(approvals.into_iter())
    }

    /// Spends the next yes on the next question.
    ///
    /// # Errors
    /// The denial where another host or command was shown in this place, or none.
    pub(crate) fn spend(&mut self, question: NeedsApproval) -> Result<Authorised, Denial> {
        match self.0.next() {
            Some(approval) => question.approve(approval),
            None => Err(question.refuse(ApprovalFailure::Mismatch)),
        }
    }
}

/// Whose answer it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The client's, for a person: to a form.
    Client,
    /// The operator's, or nobody's in time.
    Operator,
    /// The client's, to a link to the operator's page.
    Link,
}

/// What came back for a question, and what had been shown with it.
pub(super) struct Reply {
    pub(super) outcome: ApprovalOutcome,
    pub(super) choice: Option<String>,
    pub(super) shown: Vec<Shown>,
    /// When the question was put, where that was in an earlier call.
    pub(super) since: Option<Instant>,
    pub(super) way: Way,
    /// The name of the operator's question, and the user who answered it.
    pub(super) request: Option<String>,
    pub(super) by: Option<u32>,
}

impl Reply {
    pub(super) fn without(outcome: ApprovalOutcome) -> Self {
        Self {
            outcome,
            choice: None,
            shown: Vec::new(),
            since: None,
            way: Way::Client,
            request: None,
            by: None,
        }
    }
}

/// Puts on record how it ended, and says what that means.
pub(super) fn rule(
    call: &Arc<Call>,
    questions: &[&NeedsApproval],
    reply: Reply,
    terms: Terms,
    asked: Instant,
) -> Ruling {
    // The operator's word is for what was shown, and for nothing else.
    let chosen =
        reply.way == Way::Client && reply.choice.is_some() && reply.choice == terms.choice();
    let outcome = match reply.outcome {
        ApprovalOutcome::Accepted if chosen => ApprovalOutcome::AcceptedForAWhile,
        outcome => outcome,
    };
    record(call, questions, outcome, &reply, asked);
    match outcome {
        ApprovalOutcome::Accepted => Ruling::Approved(Approvals::of(reply.shown)),
        ApprovalOutcome::AcceptedForAWhile => {
            let both = reply.shown.into_iter().map(Shown::accepted_for_a_while);
            let (approvals, given): (Vec<Approval>, Vec<Standing>) = both.unzip();
            call.session.standing.keep(given, terms.reuse);
            Ruling::Approved(Approvals(approvals.into_iter()))
        }
        // Never read from an answer: where one stands, nobody is asked.
        ApprovalOutcome::Unsupported | ApprovalOutcome::Standing => {
            Ruling::Refused(ApprovalFailure::Unavailable)
        }
        ApprovalOutcome::Timeout | ApprovalOutcome::Expired => {
            Ruling::Refused(ApprovalFailure::Timeout)
        }
        ApprovalOutcome::Forged if reply.way == Way::Operator => {
            Ruling::Refused(ApprovalFailure::Mismatch)
        }
        ApprovalOutcome::Forged => invalid(
            ApprovalFailure::Mismatch,
            "requestState was not made by this server for this call: begin anew without it",
        ),
        ApprovalOutcome::Replayed => invalid(
            ApprovalFailure::Mismatch,
            "requestState was used already, or given up: begin anew without it",
        ),
        ApprovalOutcome::Malformed if call.caller().version.is_modern() => {
            invalid(ApprovalFailure::Malformed, MALFORMED)
        }
        ApprovalOutcome::Malformed => Ruling::Refused(ApprovalFailure::Malformed),
        ApprovalOutcome::Declined => Ruling::Refused(ApprovalFailure::Declined),
        ApprovalOutcome::Cancelled | ApprovalOutcome::ClientLost => {
            Ruling::Refused(ApprovalFailure::Cancelled)
        }
    }
}

fn invalid(failure: ApprovalFailure, text: &str) -> Ruling {
    let error = RpcError::invalid_params(text);
    Ruling::Invalid(failure, Answer::protocol_error(error))
}

const MALFORMED: &str = "inputResponses must hold approval, with action accept, decline or cancel; \
    the same requestState is still good";

fn record(
    call: &Call,
    questions: &[&NeedsApproval],
    outcome: ApprovalOutcome,
    reply: &Reply,
    asked: Instant,
) {
    let since = reply.since.unwrap_or(asked);
    let elapsed_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    for question in questions {
        call.audit.emit(Record::Approval(audit::Approval {
            ts: Ts::now(),
            alias: HostAlias::clone(question.alias()),
            hash: question.hash(),
            digest: hex(question.show().1.digest()),
            outcome,
            elapsed_ms,
            way: match reply.way {
                Way::Client => "elicitation",
                Way::Operator => "operator",
                Way::Link => "url",
            },
            request: reply.request.clone(),
            by: reply.by,
        }));
    }
}
