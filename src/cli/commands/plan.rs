//! What the command line prints of the policy: one plan, a file of expectations, the
//! tables.
//!
//! Owns the text and the JSON of these reports, which are for the operator. Reads no
//! file and looks nothing up: the caller finds the host. Called by `startup`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::policy::decision::explain::Explanation;
use crate::policy::decision::verdict::{Denial, Verdict};
use crate::policy::hazard::programs::{self, exceptions};
use crate::policy::hazard::wrappers;
use crate::policy::{EffectiveLimits, Policy, Subject, filter};

/// A plan for the operator.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub subject: Subject<'a>,
    pub command: &'a str,
    pub explanation: Explanation,
    pub limits: EffectiveLimits,
    /// What the network policy holds of the host's address.
    pub network: String,
}

impl Plan<'_> {
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self.explanation.verdict, Verdict::Deny(_))
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
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
        if let Some(denial) = self.denial() {
            let _ = writeln!(out, "  why        {}", denial.why());
            let _ = writeln!(out, "  hint       {}", denial.hint());
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
    pub(crate) fn json(&self) -> String {
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
        let plan = json!({
            "alias": self.subject.alias.as_str(),
            "command": self.command,
            "hash": crate::model::names::CommandHash::of(self.command).to_string(),
            "allowed": matches!(verdict, Verdict::Allow(_)),
            "verdict": verdict.name(),
            "code": verdict.code().as_str(),
            "canonical": self.canonical(),
            "why": denial.map(Denial::why),
            "hint": denial.map(Denial::hint),
            "denied_command": denial.and_then(Denial::denied_command),
            "position": denial.and_then(Denial::position),
            "line": denial.and_then(Denial::rule),
            "deny_substring": self.explanation.entry,
            "found_in": self.explanation.hidden_in,
            "commands": commands,
            "limits": {
                "max_seconds": self.limits.max_seconds,
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

/// One line of a file of expectations: `VERDICT[:CODE] ALIAS COMMAND`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expectation<'t> {
    /// Counted from 1.
    pub line: usize,
    verdict: &'t str,
    code: Option<&'t str>,
    pub alias: &'t str,
    pub command: &'t str,
}

/// Reads a file of expectations. Blank lines and lines that begin with `#` are left out.
///
/// # Errors
/// The line that is not of that form.
pub(crate) fn expectations(text: &str) -> Result<Vec<Expectation<'_>>, String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || {
            format!(
                "line {}: expected 'allow|ask|deny[:CODE] ALIAS COMMAND', found '{line}'",
                index + 1
            )
        };
        let (expected, rest) = line.split_once(' ').ok_or_else(wrong)?;
        let (alias, command) = rest.trim_start().split_once(' ').ok_or_else(wrong)?;
        let (verdict, code) = match expected.split_once(':') {
            Some((verdict, code)) => (verdict, Some(code)),
            None => (expected, None),
        };
        if !matches!(verdict, "allow" | "ask" | "deny") {
            return Err(wrong());
        }
        found.push(Expectation {
            line: index + 1,
            verdict,
            code,
            alias,
            command: command.trim(),
        });
    }
    if found.is_empty() {
        return Err("the file holds no expectation".to_owned());
    }
    Ok(found)
}

impl Expectation<'_> {
    /// What is decided instead, if it is not what is expected.
    pub(crate) fn check(&self, policy: &Policy, subject: &Subject<'_>) -> Option<String> {
        let verdict = policy.judge_text(subject, self.command);
        let code = verdict.code().as_str();
        let agrees =
            verdict.name() == self.verdict && self.code.is_none_or(|expected| expected == code);
        (!agrees).then(|| {
            format!(
                "line {}: {} on {}: expected {}, decided {}:{code}",
                self.line,
                self.command,
                self.alias,
                match self.code {
                    Some(expected) => format!("{}:{expected}", self.verdict),
                    None => self.verdict.to_owned(),
                },
                verdict.name(),
            )
        })
    }
}

/// The tables, for review.
pub(crate) fn tables() -> String {
    let mut out = format!("version: {}\n", wrappers::VERSION);
    let mut section = |name: &str, words: &str| {
        let _ = writeln!(out, "\n{name}:\n  {words}");
    };
    section(
        "reserved words (refused as programs)",
        wrappers::RESERVED_WORDS,
    );
    section(
        "evaluating builtins (refused as programs)",
        wrappers::EVALUATING_BUILTINS,
    );
    section(
        "interpreters (a rule must spell every word)",
        wrappers::INTERPRETERS,
    );
    section(
        "interpreters with a version behind the name",
        wrappers::VERSIONED_INTERPRETERS,
    );
    section("always allowed", &wrappers::ALWAYS_ALLOWED.join(" "));
    section(
        "directories a plain name stands for",
        &wrappers::SYSTEM_DIRECTORIES.join(" "),
    );
    let _ = writeln!(out, "\nwrappers (a rule must spell the program they run):");
    for wrapper in wrappers::WRAPPERS {
        let _ = match wrapper.operands {
            None => writeln!(out, "  {}: every word must be spelled", wrapper.name),
            Some(operands) => writeln!(
                out,
                "  {}: flags '{}', operands before the program {operands}",
                wrapper.name, wrapper.flags
            ),
        };
    }
    let _ = writeln!(out, "\nhazards (what a wildcard never grants):");
    for row in programs::rows() {
        for program in row.programs.split(' ') {
            let _ = match row.short {
                "*" => writeln!(out, "  {program}: every argument"),
                short => writeln!(
                    out,
                    "  {program}: -{short} | --{} | {}",
                    row.long.replace(' ', " --"),
                    row.words
                ),
            };
        }
    }
    for driven in exceptions::DRIVEN_BY_INPUT {
        let _ = writeln!(
            out,
            "  {}: reads commands from its input without operand {} or any of -{} {}",
            driven.told.program,
            driven.told.first,
            driven.letters,
            driven.unless.join(" ")
        );
    }
    for operand in exceptions::OPERAND_HAZARDS {
        let _ = writeln!(
            out,
            "  {}: operand {} and on",
            operand.program, operand.first
        );
    }
    for (program, parts) in exceptions::PART_HAZARDS {
        let _ = writeln!(out, "  {program}: a word with any of {parts}");
    }
    for (program, options) in exceptions::WHOLE_OPTIONS {
        let whole = options.replace(' ', " --");
        let _ = writeln!(out, "  {program}: no abbreviation is --{whole}");
    }
    for (program, letters, valued) in exceptions::LEADING_LETTERS {
        let _ = writeln!(out, "  {program}: -{letters}, if before any of {valued}");
    }
    let _ = writeln!(
        out,
        "  any beginning of a word counts: {}",
        exceptions::ABBREVIATING.join(" ")
    );
    let _ = writeln!(
        out,
        "  each piece of a word counts: {}",
        exceptions::JOINING.join(" ")
    );
    let _ = writeln!(out, "\nfilters (need no rule behind a pipe):");
    for filter in filter::FILTERS {
        let _ = writeln!(
            out,
            "  {}: -{} (with a value: {}), operands {}",
            filter.name, filter.short, filter.valued, filter.operands
        );
    }
    let _ = writeln!(out, "  awk and sed: programs that only compute and print");
    let _ = writeln!(out, "  long options: {}", filter::LONG_OPTIONS);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_expectations() {
        let read =
            expectations("# x\n\nallow web1 uptime -p\n deny:no-rule  db  rm  x \n").unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].line, read[0].alias, read[0].command),
            (3, "web1", "uptime -p")
        );
        assert_eq!((read[1].code, read[1].command), (Some("no-rule"), "rm  x"));
        for wrong in [
            "",
            "# only\n",
            "allow\n",
            "allow web1\n",
            "permit web1 ls\n",
        ] {
            assert!(expectations(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn tables_name_their_version() {
        let text = tables();
        assert!(text.starts_with("version: "));
        assert!(text.contains("find: ") && text.contains("sudo: "));
    }
}
