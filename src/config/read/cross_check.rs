//! What only the whole configuration can tell: a policy that speaks of hosts that
//! `servers.yml` doesn't have, or of its groups as if they were tags.
//!
//! Owns those warnings; none of it is wrong, since a policy may be shared by fleets, but
//! each is what a mistyped name looks like. A group among tags is wrong. Called by `load`.

use crate::config::files::directories::FILES;
use crate::config::host::{Group, Host};
use crate::config::read::policy::{OverrideOf, PolicyFile};
use crate::config::schema::problem::{Fault, Mark, Place, Problem, Warning, WarningKind, quote};
use crate::policy::rule::glob::Glob;
use crate::policy::source::RuleSource;

pub(crate) fn warnings(policy: &PolicyFile, hosts: &[Host]) -> Vec<Warning> {
    let mut warnings = overrides(policy, hosts);
    if policy.rule_lines.is_empty() {
        warnings.push(Warning {
            place: Place::file(FILES[2]),
            key: "rules".to_owned(),
            kind: WarningKind::Policy,
            text: "there is no rule, so every command is denied".to_owned(),
        });
    }
    if !hosts.is_empty() {
        let idle = policy
            .source
            .rules
            .iter()
            .filter(|rule| !concerns_any(rule, hosts));
        warnings.extend(idle.map(|rule| no_host(rule, policy)));
    }
    warnings
}

/// Rules and overrides that name a group where tags belong. A rule that denies would then deny
/// nothing, and one that allows would change with an expression elsewhere: neither loads.
pub(crate) fn groups(policy: &PolicyFile, groups: &[Group]) -> Vec<Problem> {
    let is_group = |text: &str| groups.iter().any(|group| group.name.as_str() == text);
    let rules = policy
        .source
        .rules
        .iter()
        .map(|rule| (rule.line, &rule.tags));
    let files = policy
        .source
        .files
        .iter()
        .map(|rule| (rule.line, &rule.tags));
    let (rules, files) = (rules.enumerate(), files.enumerate());
    let rules = rules.map(|(at, rule)| (format!("rules[{at}].tags"), rule));
    let files = files.map(|(at, rule)| (format!("files[{at}].tags"), rule));
    let named = rules.chain(files).flat_map(|(key, (line, tags))| {
        let named = tags.iter().filter(|tag| is_group(tag));
        named.map(move |tag| (key.clone(), Mark { line, column: 0 }, tag.as_str()))
    });
    let overrides = policy.override_places.iter();
    let overrides =
        overrides.filter(|(of, name, _)| matches!(of, OverrideOf::Tag) && is_group(name));
    let overrides =
        overrides.map(|(_, name, at)| ("overrides.tags".to_owned(), *at, name.as_str()));
    named
        .chain(overrides)
        .map(|(key, at, name)| Problem {
            place: Place::at(FILES[2], at),
            key,
            fault: Fault::BadValue,
            found: format!("found {}, which is a group of servers.yml", quote(name)),
            accepted: "tags of hosts: a group chooses hosts for a call, and no rule goes by it"
                .to_owned(),
            nearest: None,
        })
        .collect()
}

/// Overrides of names that nothing has: exact names, so a glob has no effect.
fn overrides(policy: &PolicyFile, hosts: &[Host]) -> Vec<Warning> {
    let unknown = policy
        .override_places
        .iter()
        .filter(|(of, name, _)| match of {
            OverrideOf::Alias => !hosts.iter().any(|host| host.alias.as_str() == name),
            OverrideOf::Tag => !hosts
                .iter()
                .flat_map(|host| &host.tags)
                .any(|tag| tag.as_str() == name),
        });
    unknown
        .map(|(of, name, at)| {
            let (what, key) = match of {
                OverrideOf::Alias => ("host", "overrides.aliases"),
                OverrideOf::Tag => ("tag", "overrides.tags"),
            };
            Warning {
                place: Place::at(FILES[2], *at),
                key: key.to_owned(),
                kind: WarningKind::NoEffect,
                text: format!(
                    "no {what} is called {}, and names here are exact, not globs",
                    quote(name)
                ),
            }
        })
        .collect()
}

/// Whether a host has an alias and a tag that the rule names. A glob that can't be read
/// is the compiler's to report.
fn concerns_any(rule: &RuleSource, hosts: &[Host]) -> bool {
    let globs = |texts: &[String]| {
        let globs = texts.iter().map(|text| Glob::parse(text));
        globs.collect::<Result<Vec<_>, _>>().ok()
    };
    let (Some(aliases), Some(tags)) = (globs(&rule.aliases), globs(&rule.tags)) else {
        return true;
    };
    let takes = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
    hosts.iter().any(|host| {
        (aliases.is_empty() || takes(&aliases, host.alias.as_str()))
            && (tags.is_empty() || host.tags.iter().any(|tag| takes(&tags, tag.as_str())))
    })
}

fn no_host(rule: &RuleSource, policy: &PolicyFile) -> Warning {
    let index = policy.rule_lines.iter().position(|line| *line == rule.line);
    Warning {
        place: Place::at(
            FILES[2],
            Mark {
                line: rule.line,
                column: 0,
            },
        ),
        key: index.map_or_else(|| "rules".to_owned(), |index| format!("rules[{index}]")),
        kind: WarningKind::NoEffect,
        text: "no host has an alias and a tag that this rule names".to_owned(),
    }
}
