//! An approval by the operator, out of band, awaited for a call.
//!
//! Owns the question as the operator gets it, the waiting, and what each end of it is called.
//! A client that can show links is pointed to the operator's page (`approval_url`), by a
//! request or, in the modern revision, by its result; what it says to that is consent to
//! open a page, never a word on the command. Whose word counts, and for what, is the
//! desk's ([`crate::task::approvals`]); what follows is `approval`'s, which calls this where
//! a rule wants the operator or the client cannot ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::{ApprovalOutcome, Record, Ts};
use crate::config::Snapshot;
use crate::mcp::call::elicitation_result::{Retry, read_reply};
use crate::mcp::call::request_state::{Fault, Put};
use crate::mcp::call::waiting::Reply;
use crate::mcp::call::{Call, answer, question};
use crate::mcp::wire::json::Object;
use crate::mcp::wire::message::{self, RequestId};
use crate::model::approval_url::ApprovalUrl;
use crate::model::security_event::{EventValue, SecurityEvent};
use crate::policy::{NeedsApproval, ShellMode, Shown};
use crate::task::approvals::desk::{Desk, Question};
use crate::task::approvals::{Request, Target};

/// How often the operator's word is looked for: one look is one `openat` that finds nothing.
const LOOK: Duration = Duration::from_millis(200);
/// How often a client that waits is told so.
const REMIND: Duration = Duration::from_secs(5);
/// Characters of a question's name: no secret, as it takes the operator's user to answer.
const ID: usize = 10;

/// How it ended.
pub(crate) struct Answer {
    pub(crate) outcome: ApprovalOutcome,
    /// It was the client that ended it, by what it answered to the link.
    pub(crate) by_link: bool,
    /// When it was put, where that was in an earlier call.
    pub(crate) since: Option<Instant>,
    /// What the operator saw; nothing where there was no yes.
    pub(crate) shown: Vec<Shown>,
    pub(crate) request: Option<String>,
    /// The user whose word it is.
    pub(crate) by: Option<u32>,
}

impl Answer {
    fn without(outcome: ApprovalOutcome, request: Option<String>) -> Self {
        Self {
            outcome,
            by_link: false,
            since: None,
            shown: Vec::new(),
            request,
            by: None,
        }
    }

    fn by_link(outcome: ApprovalOutcome, request: Option<String>) -> Self {
        Self {
            by_link: true,
            ..Self::without(outcome, request)
        }
    }
}

/// What the first step came to.
pub(crate) enum Begun {
    /// The operator's word is looked for from now on.
    Waits(Box<Waits>),
    Over(Answer),
    /// What to answer the modern client now, which calls again.
    Ask(answer::Answer),
}

/// Puts the question down.
pub(crate) fn begin(
    call: &Arc<Call>,
    desk: &Arc<Desk>,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
    number: u64,
) -> Begun {
    let caller = call.caller();
    let url = snapshot.approval_url().filter(|_| caller.abilities.links);
    // A call that is taken back ends its question at once.
    let waiting = Arc::clone(&call.session.questions.waiting);
    call.reply
        .when_cancelled(move || waiting.tell(number, None));
    if let Some(url) = url
        && caller.version.is_modern()
    {
        return by_state(call, desk, questions, snapshot, url);
    }
    let question = match put_down(call, desk, questions, snapshot) {
        Ok(question) => question,
        Err(unusable) => return Begun::Over(unusable),
    };
    let pointed = url.and_then(|url| Pointed::to(call, questions, &question, url, number));
    let until = Instant::now() + snapshot.approval_wait();
    Begun::Waits(Box::new(Waits::of(question, until, pointed, None)))
}

/// As [`begin`], for a client that carries a state from the link to its second attempt.
fn by_state(
    call: &Arc<Call>,
    desk: &Arc<Desk>,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
    url: &ApprovalUrl,
) -> Begun {
    let first = || match put_down(call, desk, questions, snapshot) {
        Ok(question) => Begun::Ask(ask(
            call,
            questions,
            url,
            question,
            snapshot.approval_wait(),
        )),
        Err(unusable) => Begun::Over(unusable),
    };
    let (state, said) = match &call.retry {
        // A first attempt, or one that answers other questions than ours.
        None
        | Some(Retry {
            state: None,
            reply: None,
        }) => return first(),
        Some(Retry { state, reply }) => (state, reply.as_ref().map(|said| said.outcome)),
    };
    if said == Some(ApprovalOutcome::Malformed) {
        // The state stays good for an answer.
        return Begun::Over(Answer::by_link(ApprovalOutcome::Malformed, None));
    }
    let states = &call.session.request_states;
    let redeemed = states.redeem(
        state.as_deref().unwrap_or_default(),
        &question::digest(call, questions),
    );
    let (since, until, question) = match redeemed {
        Ok(issued) => match issued.put {
            Put::Link(question) if question.request().policy == snapshot.hash() => {
                (issued.since, issued.since + issued.good_for, *question)
            }
            // Put under another policy, or as a form: the operator was not asked this.
            Put::Link(_) | Put::Form(_) => return first(),
        },
        Err(Fault::Forged) => {
            return Begun::Over(Answer::by_link(ApprovalOutcome::Forged, None));
        }
        Err(Fault::Replayed) => {
            return Begun::Over(Answer::by_link(ApprovalOutcome::Replayed, None));
        }
        Err(Fault::Expired) => {
            return Begun::Over(Answer::without(ApprovalOutcome::Expired, None));
        }
    };
    let request = Some(question.request().id.clone());
    match said {
        // Half of a second attempt: the same link once more.
        None => {
            let left = until.saturating_duration_since(Instant::now());
            Begun::Ask(ask(call, questions, url, question, left))
        }
        Some(ApprovalOutcome::Accepted) => {
            Begun::Waits(Box::new(Waits::of(question, until, None, Some(since))))
        }
        Some(outcome) => Begun::Over(Answer {
            since: Some(since),
            ..Answer::by_link(outcome, request)
        }),
    }
}

/// The result that points a modern client to the page; the question stays with its state.
fn ask(
    call: &Call,
    questions: &[&NeedsApproval],
    url: &ApprovalUrl,
    put: Question,
    good_for: Duration,
) -> answer::Answer {
    let request = put.request();
    let (id, weight) = (&request.id, request.weight());
    let with_id = call.caller().version.has_link_ids();
    let params = question::link(questions, id, &url.of(id), with_id);
    let asked = question::as_result(
        call,
        questions,
        &params,
        (Put::Link(Box::new(put)), weight),
        good_for,
    );
    call.session.server.tasks.wake_by(Instant::now() + good_for);
    asked
}

/// Puts the question down at the desk.
///
/// # Errors
/// Nobody can be asked there: how that ends.
fn put_down(
    call: &Call,
    desk: &Arc<Desk>,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
) -> Result<Question, Answer> {
    let request = request(call, questions, snapshot, snapshot.approval_wait());
    let put = desk.trusted().and_then(|_| desk.ask(request));
    put.map_err(|why| {
        call.audit.emit(Record::error("approvals_unusable", why));
        Answer::without(ApprovalOutcome::Unsupported, None)
    })
}

fn request(
    call: &Call,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
    wait: Duration,
) -> Request {
    let tasks = &call.session.server.tasks;
    let targets = questions.iter().map(|question| Target {
        alias: question.alias().to_string(),
        shell: match question.shell() {
            ShellMode::Sh => "sh",
            ShellMode::Login => "login",
            ShellMode::Direct(_) => "direct",
        }
        .to_owned(),
        command: question.shown_command(),
    });
    let mut rules: Vec<usize> = questions
        .iter()
        .flat_map(|question| question.rules().iter().copied())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    let asked = Ts::now().micros();
    let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
    Request {
        id: tasks.token().chars().take(ID).collect(),
        nonce: tasks.token(),
        asked,
        until: asked.saturating_add(wait),
        policy: snapshot.hash(),
        targets: targets.collect(),
        // A call gives the same to all of its hosts.
        given: questions
            .iter()
            .find_map(|question| question.shown_given())
            .unwrap_or_default(),
        does: questions
            .first()
            .map_or("", |question| question.does())
            .to_owned(),
        rules,
        client: call.audit.client().unwrap_or_default(),
        os_user: call.audit.os_user().unwrap_or_default(),
    }
}

/// A legacy client that was pointed to the page.
struct Pointed {
    id: RequestId,
    name: String,
    /// It has not said yet whether the person wants to open the page.
    unsaid: bool,
}

impl Pointed {
    /// Asks the client to open the page; `None` where it is gone.
    fn to(
        call: &Arc<Call>,
        questions: &[&NeedsApproval],
        question: &Question,
        url: &ApprovalUrl,
        number: u64,
    ) -> Option<Self> {
        let id = call.session.questions.open(number);
        let name = question.request().id.clone();
        let with_id = call.caller().version.has_link_ids();
        let params = question::link(questions, &name, &url.of(&name), with_id);
        let frame = message::request(&id, "elicitation/create", &params);
        if !call.reply.send(frame) {
            call.session.questions.forget(&id);
            return None;
        }
        let unsaid = true;
        Some(Self { id, name, unsaid })
    }

    /// How it ends where the person does not want the page. To accept is to open it: nothing
    /// ends by that.
    fn hear(&mut self, reply: &Reply) -> Option<ApprovalOutcome> {
        self.unsaid = false;
        match reply {
            Ok(reply) => match read_reply(reply).outcome {
                no @ (ApprovalOutcome::Declined | ApprovalOutcome::Cancelled) => Some(no),
                _ => None,
            },
            // It could not show the page: the operator is asked all the same.
            Err(_) => None,
        }
    }

    /// Tells the client that the operator has answered, or takes the link back.
    fn close(self, call: &Call, answered: bool) {
        if answered {
            let params = Object::new().field("elicitationId", &self.name).end();
            let method = "notifications/elicitation/complete";
            let frame = message::notification(method, Some(&params));
            call.session.outbox.hint(frame);
        }
        if self.unsaid {
            call.session.questions.forget(&self.id);
            question::take_back(call, &self.id, "The operator is no longer waited for");
        }
    }
}

/// A question that lies at the desk, and whom it is waited for.
pub(crate) struct Waits {
    question: Question,
    until: Instant,
    pointed: Option<Pointed>,
    /// When it was put, where that was in an earlier call.
    since: Option<Instant>,
    begun: Instant,
    reminded: Option<Instant>,
}

impl Waits {
    fn of(
        question: Question,
        until: Instant,
        pointed: Option<Pointed>,
        since: Option<Instant>,
    ) -> Self {
        Self {
            question,
            until,
            pointed,
            since,
            begun: Instant::now(),
            reminded: None,
        }
    }

    /// Looks for the operator's word, and at what the client said to the link.
    ///
    /// # Errors
    /// When to look again: there is no end yet.
    pub(crate) fn turn(
        &mut self,
        call: &Call,
        questions: &[&NeedsApproval],
        said: Option<Reply>,
    ) -> Result<Answer, Instant> {
        let request = self.question.request().id.clone();
        let refused = match (&mut self.pointed, said) {
            (Some(pointed), Some(reply)) => pointed.hear(&reply),
            _ => None,
        };
        let ended = word(call, questions, &self.question)
            .or_else(|| Some(Answer::by_link(refused?, Some(request.clone()))))
            .or_else(|| {
                Some(Answer::without(
                    over(call, self.until)?,
                    Some(request.clone()),
                ))
            });
        let Some(answer) = ended else {
            if self.reminded.is_none_or(|at| at.elapsed() >= REMIND) {
                self.reminded = Some(Instant::now());
                let text = format!("waiting for the operator's approval, request {request}");
                let waited = self.begun.elapsed().as_secs_f64();
                call.reply.progress(waited, None, &text);
            }
            return Err(Instant::now() + LOOK);
        };
        if let Some(pointed) = self.pointed.take() {
            pointed.close(call, answer.by.is_some());
        }
        Ok(Answer {
            since: self.since,
            ..answer
        })
    }
}

/// The end, where there is something in the place of the operator's word.
fn word(call: &Call, questions: &[&NeedsApproval], question: &Question) -> Option<Answer> {
    let request = question.request();
    let without = |outcome| Answer::without(outcome, Some(request.id.clone()));
    match question.look() {
        Ok(None) => None,
        // It is bound to the policy that it was asked under.
        Ok(Some(_)) if call.session.server.store.current().hash() != request.policy => {
            Some(without(ApprovalOutcome::Expired))
        }
        Ok(Some(word)) => {
            let shown = questions.iter().map(|question| question.show().1);
            let outcome = match word.approved {
                true => ApprovalOutcome::Accepted,
                false => ApprovalOutcome::Declined,
            };
            Some(Answer {
                shown: shown.collect(),
                by: Some(word.by),
                ..without(outcome)
            })
        }
        Err(forgery) => {
            call.audit.emit(Record::security(SecurityEvent {
                event_type: "approval_forged",
                reason: Some(forgery.as_str()),
                extra: vec![("request", EventValue::Text(request.id.clone()))],
                ..SecurityEvent::default()
            }));
            Some(without(ApprovalOutcome::Forged))
        }
    }
}

/// The end, where nobody waits any more.
fn over(call: &Call, until: Instant) -> Option<ApprovalOutcome> {
    if call.session.is_closing() {
        Some(ApprovalOutcome::ClientLost)
    } else if call.reply.is_cancelled() {
        Some(ApprovalOutcome::Cancelled)
    } else if Instant::now() >= until {
        Some(ApprovalOutcome::Timeout)
    } else {
        None
    }
}
