//! A person's approval of commands that a rule asks about.
//!
//! Owns when a question is put, and the memory that it takes: a form (a request to a legacy
//! client, an `input_required` result to a modern one), or the operator's word, which is
//! `operator`'s. Without a yes nothing runs, and each end is on the record: a no, no answer,
//! nonsense and a forged state are told apart. A client answers for its person, so a form is
//! friction, not proof. Called by the tools that run commands.

mod form;
mod open;
mod ruling;

use std::sync::Arc;
use std::time::Instant;

pub(crate) use open::Subject;
pub(crate) use ruling::{Approvals, Ruling};

use crate::audit::{self, ApprovalOutcome, Record, Ts};
use crate::config::Snapshot;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::approval::form::{ask_modern, check_retry};
use crate::mcp::call::approval::open::{OpenQuestion, by_operator};
use crate::mcp::call::approval::ruling::{Reply, rule};
use crate::mcp::call::elicitation_result::Retry;
use crate::mcp::call::standing::Terms;
use crate::model::text::hex;
use crate::policy::{Authorised, NeedsApproval};

/// Bytes that a question takes for each host, and one that waits for its answer.
const QUESTION: usize = 256;
const OPEN: usize = 4 * 1024;

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

/// Asks, one question also for a fleet, and goes on with how it ended: now, where nobody has
/// to be waited for, else on the thread of the connection's questions, which waits for no host.
pub(crate) fn obtain<S: Subject>(
    call: &Arc<Call>,
    subject: S,
    snapshot: &Arc<Snapshot>,
    then: impl FnOnce(S, Ruling) + Send + 'static,
) {
    let settled = {
        let questions = subject.questions();
        let operator = by_operator(call, &questions, snapshot);
        let waits = operator || puts_form(call);
        match make_room(call, questions.len(), waits) {
            Err(refusal) => Some(Ruling::Ask(refusal)),
            Ok(()) if waits => None,
            Ok(()) => Some(settle_now(call, &questions, Terms::of(snapshot))),
        }
    };
    if let Some(ruling) = settled {
        return then(subject, ruling);
    }
    let question = OpenQuestion::new(call, snapshot, subject, then);
    if let Err(error) = call.session.questions.waiting.add(Box::new(question)) {
        call.audit.emit(Record::error("thread_exception", error));
        let text = "Error: the server is out of threads; nothing was run, try again later";
        call.reply.end(Answer::error(text));
    }
}

/// Whether a form is sent to the client, and its answer waited for.
fn puts_form(call: &Call) -> bool {
    call.caller().abilities.forms && !call.caller().version.is_modern()
}

/// Asks where nobody is waited for: a modern client, or one that cannot ask.
fn settle_now(call: &Arc<Call>, questions: &[&NeedsApproval], terms: Terms) -> Ruling {
    let asked = Instant::now();
    let reply = if !call.caller().abilities.forms {
        Reply::without(ApprovalOutcome::Unsupported)
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
    rule(call, questions, reply, terms, asked)
}

/// Takes the memory that a question needs, until its call is over.
fn make_room(call: &Call, questions: usize, waits: bool) -> Result<(), Answer> {
    let open = if waits { OPEN } else { 0 };
    call.reserve(open + QUESTION.saturating_mul(questions))
}
