//! What a person reads before a command that a rule asks about runs.
//!
//! Owns the words, and the parameters of `elicitation/create` in both modes: a form, where
//! to accept is to approve, and a link to the operator's page, where to accept is to open
//! it and nothing else; the result that carries one to a modern client; and what a state is
//! bound to. A link holds the name of the question alone. Decides nothing. Called by `approval` and `operator`.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::elicitation_result::{CHOICE, KEY};
use crate::mcp::call::request_state::Put;
use crate::mcp::call::standing::Terms;
use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::{self, RequestId};
use crate::model::text::ascii;
use crate::policy::{NeedsApproval, Shown};

/// Bytes that a state takes.
const STATE: usize = 256;
/// Most host names that one question lists.
const HOSTS_SHOWN: usize = 50;
/// What a yes is good for unless another choice is offered and taken.
const ONCE: &str = "once";

/// The parameters of a form, and what they show.
pub(crate) fn form(
    questions: &[&NeedsApproval],
    with_mode: bool,
    terms: Terms,
) -> (Json, Vec<Shown>) {
    let choice = terms.choice();
    let (message, shown) = wording(questions, choice.as_deref());
    // Nothing has to be filled in: to accept is to approve, once.
    let properties = Object::new().maybe(
        CHOICE,
        choice.map(|choice| {
            Object::new()
                .field("type", "string")
                .field("title", "Approve for")
                .field("enum", &[ONCE, &choice])
                .field("default", ONCE)
        }),
    );
    let schema = Object::new()
        .field("type", "object")
        .json("properties", &properties.end())
        .end();
    let params = Object::new()
        .when(with_mode, |params| params.field("mode", "form"))
        .field("message", &message)
        .json("requestedSchema", &schema)
        .end();
    (params, shown)
}

/// The parameters of a link to the page of the question `id`. `with_id` is for the one
/// revision in which links have names of their own.
pub(crate) fn link(questions: &[&NeedsApproval], id: &str, url: &str, with_id: bool) -> Json {
    let (described, _) = described(questions);
    let message = format!(
        "The operator has to approve this command before it runs, and is asked already (request \
         {id}). The page is for that; to open it approves nothing, to decline ends the wait.\n\n\
         {described}"
    );
    Object::new()
        .field("mode", "url")
        .field("message", &message)
        .maybe("elicitationId", with_id.then_some(id))
        .field("url", url)
        .end()
}

/// The `input_required` result that puts a question, and the state that goes with it: this
/// is kept, with the bytes that it takes beside the state's own.
pub(crate) fn as_result(
    call: &Call,
    questions: &[&NeedsApproval],
    params: &Json,
    (put, weight): (Put, usize),
    good_for: Duration,
) -> Answer {
    let session = &call.session;
    let held = match session.server.tasks.reserve(STATE + weight) {
        Ok(held) => held,
        Err(refused) => return Answer::error(format!("Error: {refused}")),
    };
    let digest = digest(call, questions);
    let state = session.request_states.issue(digest, put, good_for, held);
    if session.is_closing() {
        // Nobody brings it back.
        session.request_states.give_up();
    }
    let request = Object::new()
        .field("method", "elicitation/create")
        .json("params", params)
        .end();
    let result = call
        .caller()
        .result_of("input_required")
        .json("inputRequests", &Object::new().json(KEY, &request).end())
        .field("requestState", &state)
        .end();
    Answer::question(result)
}

/// Lets the client close what it shows of a question that has become pointless.
pub(crate) fn take_back(call: &Call, id: &RequestId, reason: &str) {
    let params = Object::new()
        .json("requestId", &id.to_json())
        .field("reason", reason)
        .end();
    let frame = message::notification("notifications/cancelled", Some(&params));
    call.session.outbox.hint(frame);
}

/// What a state is bound to: the tool, its arguments, and each host with the exact command
/// that would be sent there. A second attempt that would do something else is told from the
/// first here; what may run is decided by what was shown.
pub(crate) fn digest(call: &Call, questions: &[&NeedsApproval]) -> [u8; 32] {
    let mut hash = Sha256::new()
        .chain_update(call.tool.name)
        .chain_update(b"\0")
        .chain_update(Json::of(&call.arguments).as_str());
    for question in questions {
        hash.update(question.show().1.digest());
    }
    hash.finalize().into()
}

fn wording(questions: &[&NeedsApproval], choice: Option<&str>) -> (String, Vec<Shown>) {
    let (described, shown) = described(questions);
    let ask = match questions.len() {
        1 => "Accept to run exactly this, once.",
        _ => "Accept to run exactly this, once on each of them.",
    };
    let text = format!("Approve this command? {ask}\n\n{described}");
    let text = match choice {
        None => text,
        Some(choice) => format!(
            "{text}\n\nWith '{choice}' for '{ONCE}' you approve every command that the same rules ask about \
             on the same hosts, for that long and without another question."
        ),
    };
    (text, shown)
}

/// Where, what exactly, and which rules ask. A fleet of hosts shares the command, so it is
/// shown once.
fn described(questions: &[&NeedsApproval]) -> (String, Vec<Shown>) {
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
    let (mut commands, shown): (Vec<String>, Vec<Shown>) =
        questions.iter().map(|question| question.show()).unzip();
    if let ([first, second], [one, other]) = (questions, commands.as_slice())
        && one != other
    {
        // Two files: which is read where is what the yes is for.
        commands = vec![
            format!("{}: {one}", first.alias()),
            format!("{}: {other}", second.alias()),
        ];
    }
    commands.dedup();
    let mut rules: Vec<usize> = questions
        .iter()
        .flat_map(|question| question.rules().iter().copied())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<String> = rules.iter().map(usize::to_string).collect();
    let does = questions.first().map_or("", |question| question.does());
    let host = match questions.len() {
        1 => "Host".to_owned(),
        count => format!("{count} hosts"),
    };
    let text = format!(
        "{host}: {listed}\nCommand: {}\nIt does: {}\nAsked for by policy.yml, line {}",
        commands.join("\nor: "),
        ascii(does),
        rules.join(", ")
    );
    (text, shown)
}
