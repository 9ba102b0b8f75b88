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

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::audit::{ApprovalOutcome, Record, Ts};
use crate::config::Snapshot;
use crate::mcp::call::elicitation_result::{Retry, read_reply};
use crate::mcp::call::request_state::{Fault, Put};
use crate::mcp::call::server_requests::Reply;
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

/// Puts the question down and waits for the operator's word.
///
/// # Errors
/// There is no end yet: what to answer the modern client now, which calls again.
pub(crate) fn obtain(
    call: &Arc<Call>,
    desk: &Arc<Desk>,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
) -> Result<Answer, answer::Answer> {
    let caller = call.caller();
    let url = snapshot.approval_url().filter(|_| caller.abilities.links);
    if let Some(url) = url
        && caller.version.is_modern()
    {
        return by_state(call, desk, questions, snapshot, url);
    }
    let question = match put_down(call, desk, questions, snapshot) {
        Ok(question) => question,
        Err(unusable) => return Ok(unusable),
    };
    let pointed = url.and_then(|url| Pointed::to(call, questions, &question, url));
    let until = Instant::now() + snapshot.approval_wait();
    Ok(await_word(call, questions, &question, until, pointed))
}

/// As [`obtain`], for a client that carries a state from the link to its second attempt.
fn by_state(
    call: &Arc<Call>,
    desk: &Arc<Desk>,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
    url: &ApprovalUrl,
) -> Result<Answer, answer::Answer> {
    let first = || match put_down(call, desk, questions, snapshot) {
        Ok(question) => Err(ask(
            call,
            questions,
            url,
            question,
            snapshot.approval_wait(),
        )),
        Err(unusable) => Ok(unusable),
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
        return Ok(Answer::by_link(ApprovalOutcome::Malformed, None));
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
        Err(Fault::Forged) => return Ok(Answer::by_link(ApprovalOutcome::Forged, None)),
        Err(Fault::Replayed) => return Ok(Answer::by_link(ApprovalOutcome::Replayed, None)),
        Err(Fault::Expired) => return Ok(Answer::without(ApprovalOutcome::Expired, None)),
    };
    let request = Some(question.request().id.clone());
    let ended = match said {
        // Half of a second attempt: the same link once more.
        None => {
            let left = until.saturating_duration_since(Instant::now());
            return Err(ask(call, questions, url, question, left));
        }
        Some(ApprovalOutcome::Accepted) => await_word(call, questions, &question, until, None),
        Some(outcome) => Answer::by_link(outcome, request),
    };
    Ok(Answer {
        since: Some(since),
        ..ended
    })
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
    /// Where it says whether the person wants to open the page, until it has said so.
    answer: Option<Receiver<Reply>>,
}

impl Pointed {
    /// Asks the client to open the page; `None` where it is gone.
    fn to(
        call: &Arc<Call>,
        questions: &[&NeedsApproval],
        question: &Question,
        url: &ApprovalUrl,
    ) -> Option<Self> {
        let (id, answer) = call.session.questions.open();
        let name = question.request().id.clone();
        let with_id = call.caller().version.has_link_ids();
        let params = question::link(questions, &name, &url.of(&name), with_id);
        let frame = message::request(&id, "elicitation/create", &params);
        if !call.reply.send(frame) {
            call.session.questions.forget(&id);
            return None;
        }
        let (session, taken_back) = (Arc::clone(&call.session), id.clone());
        call.reply
            .when_cancelled(move || session.questions.forget(&taken_back));
        let answer = Some(answer);
        Some(Self { id, name, answer })
    }

    /// Waits a moment for what the client says; how it ends where the person does not want
    /// the page. To accept is to open it: nothing ends by that.
    fn listen(&mut self, moment: Duration) -> Option<ApprovalOutcome> {
        let Some(answer) = &self.answer else {
            std::thread::sleep(moment);
            return None;
        };
        let ended = match answer.recv_timeout(moment) {
            Err(RecvTimeoutError::Timeout) => return None,
            Ok(Ok(reply)) => match read_reply(&reply).outcome {
                no @ (ApprovalOutcome::Declined | ApprovalOutcome::Cancelled) => Some(no),
                _ => None,
            },
            // It could not show the page, or it is gone: the operator is asked all the same.
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => None,
        };
        self.answer = None;
        ended
    }

    /// Tells the client that the operator has answered, or takes the link back.
    fn close(self, call: &Call, answered: bool) {
        if answered {
            let params = Object::new().field("elicitationId", &self.name).end();
            let method = "notifications/elicitation/complete";
            let frame = message::notification(method, Some(&params));
            call.session.outbox.hint(frame);
        }
        if self.answer.is_some() {
            call.session.questions.forget(&self.id);
            question::take_back(call, &self.id, "The operator is no longer waited for");
        }
    }
}

/// Waits until the operator has answered, or nobody waits for it any more.
fn await_word(
    call: &Arc<Call>,
    questions: &[&NeedsApproval],
    question: &Question,
    until: Instant,
    mut pointed: Option<Pointed>,
) -> Answer {
    let (begun, mut reminded) = (Instant::now(), None::<Instant>);
    let answer = loop {
        if let Some(answer) = word(call, questions, question) {
            break answer;
        }
        let request = &question.request().id;
        if let Some(outcome) = over(call, until) {
            break Answer::without(outcome, Some(request.clone()));
        }
        if reminded.is_none_or(|at| at.elapsed() >= REMIND) {
            reminded = Some(Instant::now());
            let text = format!("waiting for the operator's approval, request {request}");
            call.reply
                .progress(begun.elapsed().as_secs_f64(), None, &text);
        }
        match &mut pointed {
            None => std::thread::sleep(LOOK),
            Some(pointed) => {
                if let Some(no) = pointed.listen(LOOK) {
                    break Answer::by_link(no, Some(request.clone()));
                }
            }
        }
    };
    if let Some(pointed) = pointed {
        pointed.close(call, answer.by.is_some());
    }
    answer
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
