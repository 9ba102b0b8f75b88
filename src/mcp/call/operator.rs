//! An approval by the operator, out of band, awaited for a call.
//!
//! Owns the question as the operator gets it, the waiting, and what each end of it is called.
//! Whose word it is, and for what, is the desk's ([`crate::task::approvals`]); what follows is
//! `approval`'s, which calls this where a rule wants the operator or the client cannot ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::{ApprovalOutcome, Record, Ts};
use crate::config::Snapshot;
use crate::mcp::call::Call;
use crate::model::security_event::{EventValue, SecurityEvent};
use crate::policy::{NeedsApproval, ShellMode, Shown};
use crate::task::approvals::desk::Desk;
use crate::task::approvals::{Request, Target};

/// How often the operator's word is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// How often a client that waits is told so.
const REMIND: Duration = Duration::from_secs(5);
/// Characters of a question's name: no secret, as it takes the operator's user to answer.
const ID: usize = 10;

/// How it ended.
pub(crate) struct Answer {
    pub(crate) outcome: ApprovalOutcome,
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
            shown: Vec::new(),
            request,
            by: None,
        }
    }
}

/// Puts the question down and waits for the operator's word.
pub(crate) fn obtain(
    call: &Arc<Call>,
    desk: &Desk,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
) -> Answer {
    if let Err(why) = desk.trusted() {
        call.audit.emit(Record::error("approvals_unusable", why));
        return Answer::without(ApprovalOutcome::Unsupported, None);
    }
    let wait = snapshot.approval_wait();
    let request = request(call, questions, snapshot, wait);
    if let Err(why) = desk.ask(&request) {
        call.audit.emit(Record::error("approvals_unusable", why));
        return Answer::without(ApprovalOutcome::Unsupported, None);
    }
    let answer = await_word(call, desk, questions, &request, wait);
    desk.take_back(&request.id);
    answer
}

fn request(
    call: &Call,
    questions: &[&NeedsApproval],
    snapshot: &Snapshot,
    wait: Duration,
) -> Request {
    let tasks = &call.session.server.tasks;
    let token = |length: usize| -> String {
        // Two of them have letters and digits enough.
        let text = [tasks.token(), tasks.token()].concat();
        let plain = text.chars().filter(char::is_ascii_alphanumeric);
        plain.take(length).collect()
    };
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
        id: token(ID),
        nonce: token(usize::MAX),
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

fn await_word(
    call: &Arc<Call>,
    desk: &Desk,
    questions: &[&NeedsApproval],
    request: &Request,
    wait: Duration,
) -> Answer {
    let without = |outcome| Answer::without(outcome, Some(request.id.clone()));
    let (begun, mut reminded) = (Instant::now(), None::<Instant>);
    loop {
        match desk.look(request) {
            Ok(None) => {}
            Ok(Some(word)) => {
                // It is bound to the policy that it was asked under.
                if call.session.server.store.current().hash() != request.policy {
                    return without(ApprovalOutcome::Expired);
                }
                let shown = questions.iter().map(|question| question.show().1);
                return Answer {
                    outcome: match word.approved {
                        true => ApprovalOutcome::Accepted,
                        false => ApprovalOutcome::Declined,
                    },
                    shown: shown.collect(),
                    by: Some(word.by),
                    request: Some(request.id.clone()),
                };
            }
            Err(forgery) => {
                call.audit.emit(Record::security(SecurityEvent {
                    event_type: "approval_forged",
                    reason: Some(forgery.as_str()),
                    extra: vec![("request", EventValue::Text(request.id.clone()))],
                    ..SecurityEvent::default()
                }));
                return without(ApprovalOutcome::Forged);
            }
        }
        if call.session.is_closing() {
            return without(ApprovalOutcome::ClientLost);
        }
        if call.reply.is_cancelled() {
            return without(ApprovalOutcome::Cancelled);
        }
        if begun.elapsed() >= wait {
            return without(ApprovalOutcome::Timeout);
        }
        if reminded.is_none_or(|at| at.elapsed() >= REMIND) {
            reminded = Some(Instant::now());
            let text = format!(
                "waiting for the operator's approval, request {}",
                request.id
            );
            call.reply
                .progress(begun.elapsed().as_secs_f64(), None, &text);
        }
        std::thread::sleep(LOOK);
    }
}
