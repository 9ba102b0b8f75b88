//! The answers to what was not run: not allowed by the policy, by a person or by the
//! network, or the host was not reached.
//!
//! Owns their members and who has to do what next. Says nothing that the assistant did not send,
//! and nothing of the policy's text. Called by the tools that run commands.

use crate::mcp::call::answer::Answer;
use crate::mcp::wire::json::{Json, Object, array};
use crate::model::names::{CommandHash, HostAlias};
use crate::policy::{Denial, DenialFault};
use crate::ssh::NO_ADDRESS;
use crate::task::{Facts, State, Unreached};

const NETWORK_HINT: &str = "The network policy, not the command, is the reason. Check the host with ssh_describe_host and \
    ssh_plan; a person can allow its address in policy.yml.";
const NAME_HINT: &str = "The host's name could not be resolved; neither the command, which ssh_plan judges, nor the network \
    policy is the reason. A person can correct the name in servers.yml, or put an address there.";

/// The answer to a command that the policy, or a person, did not allow.
pub(crate) fn denied(
    alias: &HostAlias,
    hash: CommandHash,
    command: &str,
    denial: &Denial,
) -> Answer {
    let answer = Object::new()
        .field("status", "denied")
        .field("reason", "policy")
        .field("code", denial.code().as_str())
        .field("alias", alias.as_str())
        .field("hash", &hash.to_string())
        .field("command", command)
        .field("why", denial.why())
        .maybe("denied_command", denial.denied_command())
        .field("hint", denial.hint());
    Answer::refusal(remedied(answer, denial))
}

/// What to do about a denial, in members: its kind, all faults, a command that does the
/// same and may run, whether the program may run in other forms.
pub(crate) fn remedied(answer: Object, denial: &Denial) -> Object {
    let fault = |fault: &DenialFault| {
        Object::new()
            .field("code", fault.code.as_str())
            .field("position", &fault.position)
            .field("found", &*fault.found)
            .field("hint", fault.code.hint())
            .end()
    };
    let faults: Vec<Json> = denial.faults().iter().map(fault).collect();
    let answer = answer
        .field("kind", denial.kind().as_str())
        .when(!faults.is_empty(), |answer| {
            answer.json("faults", &array(&faults))
        })
        .maybe("program_allowed_otherwise", denial.program_known());
    match denial.rewrite() {
        None => answer,
        Some(rewrite) => {
            let rewrite = Object::new()
                .field("tool", rewrite.tool.unwrap_or("ssh_run"))
                .field("command", &rewrite.command);
            answer.json("rewrite", &rewrite.end())
        }
    }
}

/// The answer to a command whose host may not be connected to.
pub(crate) fn network_denied(
    alias: &HostAlias,
    hash: CommandHash,
    hostname: &str,
    detail: &str,
) -> Answer {
    Answer::refusal(
        Object::new()
            .field("status", "denied")
            .field("reason", "network")
            .field("code", "network")
            .field("alias", alias.as_str())
            .field("hash", &hash.to_string())
            .field("hostname", hostname)
            .field("detail", detail)
            .field("hint", network_hint(detail)),
    )
}

/// What helps against a denial with this detail.
pub(crate) fn network_hint(detail: &str) -> &'static str {
    match detail {
        NO_ADDRESS => NAME_HINT,
        _ => NETWORK_HINT,
    }
}

/// The answer to a command that did not reach its host: an error, and nothing of the host.
pub(crate) fn unreached(facts: &Facts, unreached: Unreached) -> Answer {
    let members = Object::new().field("alias", facts.alias.as_str());
    let members = unreached_members(members, facts, unreached)
        .field("exit_code", &-1)
        .maybe("timeout", facts.timeout.then_some(true))
        .field("duration_ms", &facts.duration_ms)
        .maybe("target_ip", facts.target_ip.map(|ip| ip.to_string()))
        .field("hash", &facts.hash.to_string());
    Answer::refusal(members).task(&facts.id)
}

/// The members that say why a host was not reached.
pub(crate) fn unreached_members(head: Object, facts: &Facts, unreached: Unreached) -> Object {
    let status = match facts.state {
        State::Timeout => State::Timeout,
        _ => State::Failed,
    };
    head.field("status", status.as_str())
        .field("reason", unreached.reason)
        .field("code", unreached.code)
        .field("why", &why_unreached(facts))
        .maybe(
            "detail",
            facts
                .error
                .as_ref()
                .and_then(|error| error.detail.as_deref()),
        )
        .field("hint", unreached.hint)
}

/// The reason in a sentence.
pub(crate) fn why_unreached(facts: &Facts) -> String {
    match &facts.error {
        Some(failure) => failure.text.clone(),
        None => format!(
            "The time limit of {} s was reached before the command could be sent",
            facts.max_seconds
        ),
    }
}
