//! `plan ALIAS COMMAND`: one command judged as the server would, with what led to it.
//!
//! Owns the text and the JSON of the report, which are for the operator: they name rules,
//! lines and addresses. Connects nowhere. Called by `startup`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::commands::output::{self, configuration, host, say};
use crate::cli::{Outcome, Settings};
use crate::config::{Environment, Host, HostAddress, Snapshot};
use crate::policy::decision::denial::Denial;
use crate::policy::decision::explain::Explanation;
use crate::policy::decision::verdict::Verdict;
use crate::policy::{EffectiveLimits, Subject};

/// Judges one command as the server would.
pub(crate) fn run(
    settings: &Settings,
    environment: &Environment,
    alias: &str,
    command: &str,
    json: bool,
) -> Outcome {
    let Some(snapshot) = configuration(settings, environment) else {
        return Outcome::Problems;
    };
    let Some(host) = host(&snapshot, alias) else {
        say(&format!("no host '{alias}' in servers.yml"));
        return Outcome::Problems;
    };
    let command = command.trim();
    let subject = host.subject();
    let plan = Plan {
        subject,
        command,
        explanation: snapshot.policy().explain(&subject, command),
        does: snapshot.policy().does(command),
        limits: snapshot.policy().limits(host.alias.as_str(), &host.tags),
        network: network(&snapshot, host),
    };
    let text = if json { plan.json() } else { plan.text() };
    output::text(&text, !plan.is_denied())
}

/// What the network policy holds of the host's address.
fn network(snapshot: &Snapshot, host: &Host) -> String {
    match &host.address {
        HostAddress::Literal(address) => {
            match snapshot.policy().network().pin(*address, host.port) {
                Ok(_) => format!("{address} is allowed"),
                Err(refused) => format!("{address} is {refused}"),
            }
        }
        HostAddress::Name(name) => {
            let name = name.as_str();
            format!("{name} is resolved and its addresses are checked at each run")
        }
    }
}

/// A plan for the operator.
#[derive(Debug)]
struct Plan<'a> {
    subject: Subject<'a>,
    command: &'a str,
    explanation: Explanation,
    /// What it does, as far as it is known.
    does: Option<String>,
    limits: EffectiveLimits,
    /// What the network policy holds of the host's address.
    network: String,
}

impl Plan<'_> {
    fn is_denied(&self) -> bool {
        matches!(self.explanation.verdict, Verdict::Deny(_))
    }

    /// For people.
    fn text(&self) -> String {
        let verdict = &self.explanation.verdict;
        let mut out = format!(
            "{} ({}) on {}\n",
            verdict.name(),
            verdict.code().as_str(),
            self.subject.alias
        );
        if let Some(canonical) = self.canonical() {
            let _ = writeln!(out, "  sends      {canonical}");
        }
        for command in &self.explanation.commands {
            let line = command.line.map(|line| format!(", policy.yml:{line}"));
            let _ = writeln!(
                out,
                "  {:<10} {} ({}{})",
                command.verdict,
                command.text,
                command.code.as_str(),
                line.unwrap_or_default()
            );
        }
        if let Some(does) = &self.does {
            let _ = writeln!(out, "  does       {does}");
        }
        if let Some(denial) = self.denial() {
            let _ = writeln!(out, "  why        {}", denial.why());
            let _ = writeln!(out, "  hint       {}", denial.hint());
            let _ = writeln!(out, "  kind       {}", denial.kind().as_str());
            for fault in denial.faults() {
                let code = fault.code.as_str();
                let _ = writeln!(
                    out,
                    "  fault      byte {}: {code}: {}",
                    fault.position, fault.found
                );
            }
            if let Some(rewrite) = denial.rewrite() {
                let tool = rewrite.tool.map(|tool| format!(" (with {tool})"));
                let tool = tool.unwrap_or_default();
                let _ = writeln!(out, "  instead    {}{tool}", rewrite.command);
            }
            if let Some(position) = denial.position() {
                let _ = writeln!(out, "  position   byte {position}");
            }
            if let Some(line) = denial.rule() {
                let _ = writeln!(out, "  rule       policy.yml:{line}");
            }
        }
        if let Some(entry) = &self.explanation.entry {
            let _ = writeln!(out, "  entry      {entry:?} of deny_substrings");
        }
        if let Some(view) = &self.explanation.hidden_in {
            let _ = writeln!(out, "  found in   {view}");
        }
        let _ = writeln!(
            out,
            "  limits     {} s, {} bytes",
            self.limits.max_seconds, self.limits.max_output_bytes
        );
        let _ = writeln!(out, "  network    {}", self.network);
        out
    }

    /// For programs: the fields of `ssh_plan`, and what led to them.
    fn json(&self) -> String {
        let verdict = &self.explanation.verdict;
        let denial = self.denial();
        let commands: Vec<Value> = self
            .explanation
            .commands
            .iter()
            .map(|command| {
                json!({
                    "command": command.text,
                    "verdict": command.verdict,
                    "code": command.code.as_str(),
                    "line": command.line,
                    "hazard": command.hazard,
                })
            })
            .collect();
        let faults = denial.map_or(&[][..], Denial::faults).iter();
        let faults: Vec<Value> = faults
            .map(|fault| {
                json!({
                    "code": fault.code.as_str(),
                    "position": fault.position,
                    "found": fault.found,
                    "hint": fault.code.hint(),
                })
            })
            .collect();
        let rewrite = denial.and_then(Denial::rewrite).map(|rewrite| {
            json!({
                "tool": rewrite.tool.unwrap_or("ssh_run"),
                "command": rewrite.command,
            })
        });
        let plan = json!({
            "alias": self.subject.alias.as_str(),
            "command": self.command,
            "hash": crate::model::names::CommandHash::of(self.command).to_string(),
            "allowed": matches!(verdict, Verdict::Allow(_)),
            "verdict": verdict.name(),
            "code": verdict.code().as_str(),
            "canonical": self.canonical(),
            "canonical_hash": self
                .canonical()
                .map(|sent| crate::model::names::CommandHash::of(sent).to_string()),
            "does": self.does,
            "why": denial.map(Denial::why),
            "hint": denial.map(Denial::hint),
            "denied_command": denial.and_then(Denial::denied_command),
            "position": denial.and_then(Denial::position),
            "line": denial.and_then(Denial::rule),
            "deny_substring": self.explanation.entry,
            "kind": denial.map(|denial| denial.kind().as_str()),
            "faults": faults,
            "rewrite": rewrite,
            "program_allowed_otherwise": denial.and_then(Denial::program_known),
            "found_in": self.explanation.hidden_in,
            "commands": commands,
            "limits": {
                "max_seconds": self.limits.max_seconds,
                "max_async_seconds": self.limits.max_async_seconds,
                "answer_chars": self.limits.answer_chars,
                "max_output_bytes": self.limits.max_output_bytes,
                "task_result_ttl": self.limits.task_result_ttl,
                "task_progress_interval": self.limits.task_progress_interval,
                "session_idle_seconds": self.limits.session_idle_seconds,
            },
            "network": self.network,
        });
        format!("{plan}\n")
    }

    fn canonical(&self) -> Option<&str> {
        match &self.explanation.verdict {
            Verdict::Allow(authorised) => Some(authorised.canonical()),
            Verdict::Ask(question) => Some(question.canonical()),
            Verdict::Deny(_) => None,
        }
    }

    fn denial(&self) -> Option<&Denial> {
        match &self.explanation.verdict {
            Verdict::Deny(denial) => Some(denial),
            _ => None,
        }
    }
}
