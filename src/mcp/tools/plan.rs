//! Would this run? The policy's judgement without a run.
//!
//! Owns `ssh_plan`. Judges the same trimmed text, under the same snapshot rules, as a run
//! does; contacts nothing and leaves no decision on the record. Called by
//! [`crate::mcp::tools::serve`].

use crate::config::{Host, HostAddress, Snapshot};
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::refusal::remedied;
use crate::mcp::tools::input::arguments::Args;
use crate::mcp::tools::unknown_host;
use crate::mcp::wire::json::{Json, Object};
use crate::model::names::CommandText;
use crate::policy::{Denial, Verdict};

const ASK_WHY: &str = "A rule of the policy wants a person's approval before this runs.";
const CANNOT_ASK: &str = "This client cannot ask a person, so ssh_run will be denied here. A person can run it from a client that \
    supports elicitation, or allow it in policy.yml.";
const ASK_HINT: &str = "Call ssh_run as planned with ssh_plan: the client asks the person, who sees the exact command. \
    A client that cannot ask gets a denial.";

const STALE: &str = "The files of the configuration were changed and do not load, so the policy from before the \
    change is still in force; tell the operator.";

/// `ssh_plan`.
pub(crate) fn plan(call: &Call) -> Answer {
    let arguments = Args::of(call).and_then(|args| Ok((args.alias()?, args.command()?)));
    let (alias, command) = match arguments {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    let snapshot = call.session.server.store.up_to_date();
    match snapshot.host(&alias) {
        Some(host) => {
            let rejected = call.session.server.store.rejected();
            let stale = rejected.map(|problems| format!("{STALE} {problems}"));
            let can_ask = call.caller().abilities.forms;
            let planned = judge(&snapshot, host, &command, can_ask);
            Answer::of(planned.maybe("config_warning", stale.as_deref()))
        }
        None => unknown_host("Error", &alias, &snapshot),
    }
}

fn judge(snapshot: &Snapshot, host: &Host, command: &CommandText, can_ask: bool) -> Object {
    let verdict = snapshot.policy().judge(&host.subject(), command);
    let planned = Object::new()
        .field("alias", host.alias.as_str())
        .field("command", command.as_str())
        .field("hash", &command.hash().to_string())
        .field("allowed", &matches!(verdict, Verdict::Allow(_)))
        .field("verdict", verdict.name())
        .field("code", verdict.code().as_str())
        .maybe("does", snapshot.policy().does(command.as_str()).as_deref());
    let planned = match &verdict {
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
            .field("hint", if can_ask { ASK_HINT } else { CANNOT_ASK }),
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
