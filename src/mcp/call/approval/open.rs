//! A question that waits for its answer.
//!
//! Owns whom to ask, and the steps of an open question: put, waited for, settled. Called on
//! the thread of the connection's questions ([`crate::mcp::call::waiting`]), which waits for
//! no host.

use std::sync::Arc;
use std::time::Instant;

use crate::audit::ApprovalOutcome;
use crate::config::Snapshot;
use crate::mcp::call::Call;
use crate::mcp::call::approval::form::Form;
use crate::mcp::call::approval::ruling::{Reply, Ruling, Way, rule};
use crate::mcp::call::operator::{self, Begun};
use crate::mcp::call::standing::Terms;
use crate::mcp::call::waiting::{self, Open};
use crate::mcp::session::Busy;
use crate::model::names::ApprovalWay;
use crate::policy::NeedsApproval;
use crate::task::TagPlan;

/// What is asked about: commands of one call, all or none of them.
pub(crate) trait Subject: Send + 'static {
    fn questions(&self) -> Vec<&NeedsApproval>;
}

impl Subject for NeedsApproval {
    fn questions(&self) -> Vec<&NeedsApproval> {
        vec![self]
    }
}

impl Subject for TagPlan {
    fn questions(&self) -> Vec<&NeedsApproval> {
        self.asks()
    }
}

/// A question that waits for its answer, and what goes on then.
pub(super) struct OpenQuestion<S, T> {
    call: Arc<Call>,
    snapshot: Arc<Snapshot>,
    subject: S,
    then: T,
    asked: Instant,
    step: Step,
    /// The end of the server waits for what goes on record.
    busy: Busy,
}

enum Step {
    New,
    Form(Form),
    Word(Box<operator::Waits>),
}

/// What a turn came to.
enum Turn {
    /// It goes on; the next one is due then.
    Again(Instant),
    Replied(Reply),
    Over(Ruling),
}

impl<S: Subject, T: FnOnce(S, Ruling) + Send + 'static> OpenQuestion<S, T> {
    pub(super) fn new(call: &Arc<Call>, snapshot: &Arc<Snapshot>, subject: S, then: T) -> Self {
        Self {
            call: Arc::clone(call),
            snapshot: Arc::clone(snapshot),
            subject,
            then,
            asked: Instant::now(),
            step: Step::New,
            busy: call.session.busy(),
        }
    }

    /// How it ended, or when its next turn is due.
    fn step(&mut self, number: u64, said: Option<waiting::Reply>) -> Result<Ruling, Instant> {
        let (call, snapshot) = (&self.call, &self.snapshot);
        let questions = self.subject.questions();
        let turn = match &mut self.step {
            step @ Step::New => begin(call, &questions, snapshot, number, step),
            Step::Form(form) => match form.turn(call, snapshot.approval_wait(), said) {
                Ok(reply) => Turn::Replied(reply),
                Err(due) => Turn::Again(due),
            },
            Step::Word(waits) => match waits.turn(call, &questions, said) {
                Ok(answer) => Turn::Replied(of_operator(answer)),
                Err(due) => Turn::Again(due),
            },
        };
        match turn {
            Turn::Again(due) => Err(due),
            Turn::Over(ruling) => Ok(ruling),
            Turn::Replied(reply) => {
                // The operator's question goes before its end is on record.
                self.step = Step::New;
                let terms = Terms::of(snapshot);
                Ok(rule(call, &questions, reply, terms, self.asked))
            }
        }
    }
}

impl<S: Subject, T: FnOnce(S, Ruling) + Send + 'static> Open for OpenQuestion<S, T> {
    fn turn(
        mut self: Box<Self>,
        number: u64,
        said: Option<waiting::Reply>,
    ) -> Option<(Instant, Box<dyn Open>)> {
        match self.step(number, said) {
            Err(due) => Some((due, self)),
            Ok(ruling) => {
                let own = *self;
                (own.then)(own.subject, ruling);
                drop(own.busy);
                None
            }
        }
    }
}

/// Puts the question.
fn begin(
    call: &Arc<Call>,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
    number: u64,
    step: &mut Step,
) -> Turn {
    let begun = if by_operator(call, questions, snapshot) {
        match call.session.server.tasks.desk() {
            Some(desk) => operator::begin(call, desk, questions, snapshot, number),
            None => {
                return Turn::Replied(Reply {
                    way: Way::Operator,
                    ..Reply::without(ApprovalOutcome::Unsupported)
                });
            }
        }
    } else {
        return match Form::put(call, questions, Terms::of(snapshot), number) {
            Ok(form) => {
                *step = Step::Form(form);
                Turn::Again(Instant::now())
            }
            Err(reply) => Turn::Replied(reply),
        };
    };
    match begun {
        Begun::Waits(waits) => {
            *step = Step::Word(waits);
            Turn::Again(Instant::now())
        }
        Begun::Over(answer) => Turn::Replied(of_operator(answer)),
        Begun::Ask(answer) => Turn::Over(Ruling::Ask(answer)),
    }
}

fn of_operator(answer: operator::Answer) -> Reply {
    Reply {
        outcome: answer.outcome,
        choice: None,
        shown: answer.shown,
        since: answer.since,
        way: match answer.by_link {
            true => Way::Link,
            false => Way::Operator,
        },
        request: answer.request,
        by: answer.by,
    }
}

/// Whether the operator is to be asked, by the strongest of the rules that ask.
pub(super) fn by_operator(call: &Call, questions: &[&NeedsApproval], snapshot: &Snapshot) -> bool {
    let asking = questions.iter().flat_map(|question| question.asking());
    match snapshot.approval_way(asking) {
        ApprovalWay::Operator => true,
        ApprovalWay::Either => {
            !call.caller().abilities.forms && call.session.server.tasks.desk().is_some()
        }
        ApprovalWay::Elicitation => false,
    }
}
