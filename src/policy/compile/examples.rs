//! `examples:` of a rule: commands whose verdict its author wrote down.
//!
//! Owns the host they are judged for: one that the rule is for, made up from its first
//! alias and tag. Refuses a policy that decides one of them otherwise. Called at the end
//! of compilation, with the whole policy.

use crate::model::names::{HostAlias, Tag};
use crate::policy::source::{Action, Line, RuleSource};
use crate::policy::{Policy, Problem, ShellMode, Subject};

/// Every example that is decided otherwise.
pub(crate) fn check(policy: &Policy, rules: &[RuleSource]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let allowed = if rule.action == Action::Ask {
            "ask"
        } else {
            "allow"
        };
        let lists = [
            ("allow", allowed, &rule.examples_allow),
            ("deny", "deny", &rule.examples_deny),
        ];
        for (name, expected, examples) in lists {
            for (number, (line, command)) in examples.iter().enumerate() {
                let key = format!("rules[{index}].examples.{name}[{number}]");
                problems.extend(judge(policy, rule, *line, key, command, expected));
            }
        }
    }
    problems
}

fn judge(
    policy: &Policy,
    rule: &RuleSource,
    line: Line,
    key: String,
    command: &str,
    expected: &str,
) -> Option<Problem> {
    let alias = HostAlias::parse(&instance(rule.aliases.first())).ok()?;
    let tags: Vec<Tag> = rule
        .tags
        .first()
        .and_then(|tag| Tag::parse(&instance(Some(tag))).ok())
        .into_iter()
        .collect();
    let subject = Subject {
        alias: &alias,
        tags: &tags,
        shell: ShellMode::Sh,
        detached: false,
        stdin: None,
    };
    let verdict = policy.judge_text(&subject, command.trim());
    (verdict.name() != expected).then(|| Problem {
        line: Some(line),
        key,
        found: format!(
            "{command:?} is decided as {} ({}) for {alias}",
            verdict.name(),
            verdict.code().as_str()
        ),
        accepted: format!("a command that the whole policy decides as {expected}"),
    })
}

/// A name that a glob takes.
fn instance(glob: Option<&String>) -> String {
    let Some(glob) = glob else {
        return "example".to_owned();
    };
    let mut name = String::new();
    let mut rest = glob.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' | '?' => name.push('x'),
            '[' => {
                let mut members = rest.by_ref().take_while(|c| *c != ']');
                let first = members.next().unwrap_or('x');
                members.for_each(drop);
                name.push(if first == '!' { 'x' } else { first });
            }
            c => name.push(c),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_globs_take() {
        let of = |glob: &str| instance(Some(&glob.to_string()));
        assert_eq!(of("*"), "x");
        assert_eq!(of("prod-*-?"), "prod-x-x");
        assert_eq!(of("web[12]"), "web1");
        assert_eq!(instance(None), "example");
    }
}
