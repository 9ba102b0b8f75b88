//! Would this run? The policy's judgement without a run.
//!
//! Owns `ssh_plan`. Judges the same trimmed text, under the same snapshot rules, as a run
//! does; contacts nothing and leaves no decision on the record, but that somebody looked. Called by
//! [`crate::mcp::tools::serve`].

use crate::config::{Host, HostAddress, Snapshot};
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::refusal::remedied;
use crate::mcp::tools::input::arguments::Args;
use crate::mcp::tools::{record_look, unknown_host};
use crate::mcp::wire::json::{Json, Object};
use crate::model::names::{ApprovalWay, CommandText};
use crate::policy::{Denial, NeedsApproval, Request, Verdict};

const ASK_WHY: &str = "A rule of the policy wants a person's approval before this runs.";
const CANNOT_ASK: &str = "This client cannot ask a person, so ssh_run will be denied here. A person can run it from a client that \
    supports elicitation, or allow it in policy.yml.";
const ASK_HINT: &str = "Call ssh_run as planned with ssh_plan: the client asks the person, who sees the exact command. \
    A client that cannot ask gets a denial.";

const OPERATOR_HINT: &str = "Call ssh_run as planned: it waits for the operator, who sees the exact command and answers out of band. Tell the person that the operator has to approve it; nothing you do can.";
const NO_DESK: &str = "The policy wants the operator's approval, and this server was started without a place for it, so ssh_run will be denied. The operator has to start it with --approvals-dir.";

const STALE: &str = "The files of the configuration were changed and do not load, so the policy from before the \
    change is still in force; tell the operator.";

/// `ssh_plan`.
pub(crate) fn plan(call: &Call) {
    let (answer, judged) = match planned(call) {
        Ok((answer, verdict)) => (answer, Some((verdict.name(), verdict.code()))),
        Err(refusal) => (refusal, None),
    };
    record_look(call, &answer, judged);
    call.reply.end(answer);
}

fn planned(call: &Call) -> Result<(Answer, Verdict), Answer> {
    let args = Args::of(call)?;
    let (alias, command) = (args.alias()?, args.command()?);
    let request = Request::new(&command, args.stdin()?);
    let snapshot = call.session.server.store.up_to_date();
    let Some(host) = snapshot.host(&alias) else {
        return Err(unknown_host("Error", &alias, &snapshot));
    };
    let rejected = call.session.server.store.rejected();
    let stale = rejected.map(|problems| format!("{STALE} {problems}"));
    let verdict = snapshot.policy().judge_request(&host.subject(), &request);
    let hint = match &verdict {
        Verdict::Ask(question) => ask_hint(call, &snapshot, question),
        _ => ASK_HINT,
    };
    let planned = told(&snapshot, host, &command, &verdict, hint);
    let answer = Answer::of(planned.maybe("config_warning", stale.as_deref()));
    Ok((answer, verdict))
}

/// Who will be asked, or that nobody can be.
fn ask_hint(call: &Call, snapshot: &Snapshot, question: &NeedsApproval) -> &'static str {
    let desk = call.session.server.tasks.desk().is_some();
    let forms = call.caller().abilities.forms;
    match snapshot.approval_way(question.asking()) {
        ApprovalWay::Operator | ApprovalWay::Either if desk && !forms => OPERATOR_HINT,
        ApprovalWay::Operator if desk => OPERATOR_HINT,
        ApprovalWay::Operator => NO_DESK,
        ApprovalWay::Elicitation | ApprovalWay::Either if forms => ASK_HINT,
        ApprovalWay::Elicitation | ApprovalWay::Either => CANNOT_ASK,
    }
}

fn told(
    snapshot: &Snapshot,
    host: &Host,
    command: &CommandText,
    verdict: &Verdict,
    ask_hint: &str,
) -> Object {
    let planned = Object::new()
        .field("alias", host.alias.as_str())
        .field("command", command.as_str())
        .field("hash", &command.hash().to_string())
        .field("allowed", &matches!(verdict, Verdict::Allow(_)))
        .field("verdict", verdict.name())
        .field("code", verdict.code().as_str())
        .maybe("does", snapshot.policy().does(command.as_str()).as_deref());
    let planned = match verdict {
        Verdict::Allow(authorised) => {
            let endless = snapshot.policy().endless(command.as_str());
            planned
                .field("canonical", authorised.canonical())
                .field("canonical_hash", &authorised.canonical_hash().to_string())
                .maybe("hint", endless.as_ref().map(Denial::hint))
        }
        Verdict::Ask(question) => planned
            .field("canonical", question.canonical())
            .field("canonical_hash", &question.canonical_hash().to_string())
            .field("why", ASK_WHY)
            .field("hint", ask_hint),
        Verdict::Deny(denial) => {
            let planned = planned
                .field("why", denial.why())
                .field("hint", denial.hint())
                .maybe("denied_command", denial.denied_command())
                .maybe("position", denial.position());
            remedied(planned, denial)
        }
    };
    planned
        .json("limits", &limits(snapshot, host))
        .json("network", &network(snapshot, host))
}

fn limits(snapshot: &Snapshot, host: &Host) -> Json {
    let limits = snapshot.policy().limits(host.alias.as_str(), &host.tags);
    Object::new()
        .field("max_seconds", &limits.max_seconds)
        .field("max_async_seconds", &limits.max_async_seconds)
        .field("max_output_bytes", &limits.max_output_bytes)
        .field("host_key_auto_add", &false)
        .field("require_known_host", &true)
        .end()
}

/// What the network policy holds of the host's address. A name is not looked up for a
/// plan: it is resolved, and each of its addresses judged, when a command runs.
fn network(snapshot: &Snapshot, host: &Host) -> Json {
    let (verdict, detail) = match &host.address {
        HostAddress::Literal(address) => match snapshot.policy().network().pin(*address, host.port)
        {
            Ok(_) => ("allow", "the address is allowed".to_owned()),
            Err(refused) => ("deny", format!("the address is {refused}")),
        },
        HostAddress::Name(_) => (
            "unknown",
            "the name is resolved and its addresses are checked at each run".to_owned(),
        ),
    };
    Object::new()
        .field("verdict", verdict)
        .field("detail", &detail)
        .end()
}
