//! A person's approval of commands that a rule asks about.
//!
//! Owns whom to ask, the ways to put a form (a request to a legacy client, an
//! `input_required` result to a modern one), and what counts as a yes to it: `accept`, in
//! time, for exactly what was shown, once. Without a yes nothing runs, and each end is on
//! the record: a no, no answer, nonsense and a forged state are told apart. What a form
//! cannot show is that there was a person: a client answers for one, so it is friction, not
//! proof. The operator's word is `operator`'s. Called by the tools that run commands, on
//! threads of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use crate::audit::{self, ApprovalOutcome, Record, Ts};
use crate::config::Snapshot;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::elicitation_result::{Retry, read_reply};
use crate::mcp::call::request_state::{Fault, Put};
use crate::mcp::call::standing::Terms;
use crate::mcp::call::{Call, operator, question};
use crate::mcp::wire::message::{self, RpcError};
use crate::model::names::{ApprovalWay, HostAlias};
use crate::model::text::hex;
use crate::policy::{
    Approval, ApprovalFailure, Authorised, Denial, NeedsApproval, Shown, Standing,
};

/// Bytes that a question takes for each host, and the thread that waits for its answer.
const QUESTION: usize = 256;
const THREAD: usize = 40 * 1024;

/// How often a waiting client is told that a person is being waited for.
const REMIND: Duration = Duration::from_secs(5);

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

/// The permit, where a person's yes of before stands for this too; that is on the record.
///
/// # Errors
/// The question, which has to be put.
pub(crate) fn standing(call: &Call, question: NeedsApproval) -> Result<Authorised, NeedsApproval> {
    let (alias, hash) = (question.alias().clone(), question.hash());
    let digest = hex(question.show().1.digest());
    let permit = call.session.standing.apply(question)?;
    let approval = audit::Approval {
        ts: Ts::now(),
        alias,
        hash,
        digest,
        outcome: ApprovalOutcome::Standing,
        elapsed_ms: 0,
        way: "elicitation",
        request: None,
        by: None,
    };
    call.audit.emit(Record::Approval(approval));
    Ok(permit)
}

/// Asks about commands of one call, all or none of them: one question, also for a fleet.
pub(crate) fn obtain(
    call: &Arc<Call>,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
) -> Ruling {
    let (asked, terms) = (Instant::now(), Terms::of(snapshot));
    let operator = by_operator(call, questions, snapshot);
    if let Err(refusal) = make_room(call, questions, operator) {
        return Ruling::Ask(refusal);
    }
    let reply = if operator {
        match ask_operator(call, questions, snapshot) {
            Ok(reply) => reply,
            Err(answer) => return Ruling::Ask(answer),
        }
    } else if !call.caller().abilities.forms {
        Reply::without(ApprovalOutcome::Unsupported)
    } else if !call.caller().version.is_modern() {
        ask_legacy(call, questions, terms)
    } else {
        match &call.retry {
            // A first attempt, or one that answers other questions than ours.
            None
            | Some(Retry {
                state: None,
                reply: None,
            }) => return Ruling::Ask(ask_modern(call, questions, terms)),
            // Half of a second attempt: the question is put again.
            Some(Retry {
                state: Some(state),
                reply: None,
            }) if call.session.request_states.knows(state) => {
                return Ruling::Ask(ask_modern(call, questions, terms));
            }
            Some(retry) => check_retry(call, retry, questions),
        }
    };
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

/// Takes the memory that an open question needs, until its call is over.
fn make_room(call: &Call, questions: &[&NeedsApproval], operator: bool) -> Result<(), Answer> {
    let thread = match call.caller().version.is_modern() && !operator {
        true => 0,
        false => THREAD,
    };
    call.reserve(thread + QUESTION.saturating_mul(questions.len()))
}

fn invalid(failure: ApprovalFailure, text: &str) -> Ruling {
    let error = RpcError::invalid_params(text);
    Ruling::Invalid(failure, Answer::protocol_error(error))
}

const MALFORMED: &str = "inputResponses must hold approval, with action accept, decline or cancel; \
    the same requestState is still good";

/// Whether the operator is to be asked, by the strongest of the rules that ask.
fn by_operator(call: &Call, questions: &[&NeedsApproval], snapshot: &Snapshot) -> bool {
    let asking = questions.iter().flat_map(|question| question.asking());
    match snapshot.approval_way(asking) {
        ApprovalWay::Operator => true,
        ApprovalWay::Either => {
            !call.caller().abilities.forms && call.session.server.tasks.desk().is_some()
        }
        ApprovalWay::Elicitation => false,
    }
}

/// # Errors
/// The client is to open the operator's page first, and calls again.
fn ask_operator(
    call: &Arc<Call>,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
) -> Result<Reply, Answer> {
    let way = Way::Operator;
    let Some(desk) = call.session.server.tasks.desk() else {
        return Ok(Reply {
            way,
            ..Reply::without(ApprovalOutcome::Unsupported)
        });
    };
    let answer = operator::obtain(call, desk, questions, snapshot)?;
    Ok(Reply {
        outcome: answer.outcome,
        choice: None,
        shown: answer.shown,
        since: answer.since,
        way: if answer.by_link { Way::Link } else { way },
        request: answer.request,
        by: answer.by,
    })
}

/// Whose answer it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The client's, for a person: to a form.
    Client,
    /// The operator's, or nobody's in time.
    Operator,
    /// The client's, to a link to the operator's page.
    Link,
}

/// What came back for a question, and what had been shown with it.
struct Reply {
    outcome: ApprovalOutcome,
    choice: Option<String>,
    shown: Vec<Shown>,
    /// When the question was put, where that was in an earlier call.
    since: Option<Instant>,
    way: Way,
    /// The name of the operator's question, and the user who answered it.
    request: Option<String>,
    by: Option<u32>,
}

impl Reply {
    fn without(outcome: ApprovalOutcome) -> Self {
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

/// Sends `elicitation/create` and waits for the answer.
fn ask_legacy(call: &Arc<Call>, questions: &[&NeedsApproval], terms: Terms) -> Reply {
    let wait = terms.wait;
    let (id, answer) = call.session.questions.open();
    let (params, shown) =
        question::form(questions, call.caller().version.has_descriptions(), terms);
    if !call
        .reply
        .send(message::request(&id, "elicitation/create", &params))
    {
        call.session.questions.forget(&id);
        return Reply::without(ApprovalOutcome::Cancelled);
    }
    let (session, taken_back) = (Arc::clone(&call.session), id.clone());
    call.reply
        .when_cancelled(move || session.questions.forget(&taken_back));
    let begun = Instant::now();
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        match answer.recv_timeout(left.min(REMIND)) {
            Ok(Ok(reply)) => {
                let said = read_reply(&reply);
                return Reply {
                    choice: said.choice,
                    shown,
                    ..Reply::without(said.outcome)
                };
            }
            // An error is the client's way of saying that it could not ask.
            Ok(Err(_)) => return Reply::without(ApprovalOutcome::Unsupported),
            Err(RecvTimeoutError::Disconnected) => {
                question::take_back(call, &id, "The call was cancelled");
                return Reply::without(if call.session.is_closing() {
                    ApprovalOutcome::ClientLost
                } else {
                    ApprovalOutcome::Cancelled
                });
            }
            Err(RecvTimeoutError::Timeout) if begun.elapsed() >= wait => {
                call.session.questions.forget(&id);
                question::take_back(call, &id, "No answer in time");
                return Reply::without(ApprovalOutcome::Timeout);
            }
            Err(RecvTimeoutError::Timeout) => {
                let waited = begun.elapsed().as_secs_f64();
                let text = "waiting for a person's approval";
                call.reply.progress(waited, None, text);
            }
        }
    }
}

/// The `input_required` result.
fn ask_modern(call: &Call, questions: &[&NeedsApproval], terms: Terms) -> Answer {
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
fn check_retry(call: &Call, retry: &Retry, questions: &[&NeedsApproval]) -> Reply {
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
