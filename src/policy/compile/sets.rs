//! `reads:` and `paths:` of a rule → what judges.
//!
//! Owns what makes them meaningless: a set or an effect that does not exist, a path that
//! could never match. Every one is told, with the accepted values. Called by the compiler.

use crate::policy::Problem;
use crate::policy::programs::catalogue;
use crate::policy::programs::effects::Effects;
use crate::policy::rule::glob::Glob;
use crate::policy::rule::path_pattern::PathPattern;
use crate::policy::rule::reads::Reads;
use crate::policy::source::{Line, ReadsSource};

/// Effects that `also:` may spell. What executes is spelled as a command.
const GRANTABLE: [&str; 4] = ["follows", "network", "secrets", "writes"];

/// Compiles a `reads:` rule; `key` is such as `rules[3]`.
pub(crate) fn reads(
    key: &str,
    source: &ReadsSource,
    sudo: bool,
    problems: &mut Vec<Problem>,
) -> Reads {
    for (number, (line, name)) in source.sets.iter().enumerate() {
        if !catalogue::is_set(name) {
            problems.push(Problem {
                line: Some(*line),
                key: format!("{key}.reads[{number}]"),
                found: format!("no set {name:?}"),
                accepted: catalogue::sets().join(", "),
            });
        }
    }
    let mut also = Effects::READS;
    for (number, (line, name)) in source.also.iter().enumerate() {
        match Effects::named(name).filter(|_| GRANTABLE.contains(&name.as_str())) {
            Some(effect) => also = also.and(effect),
            None => problems.push(Problem {
                line: Some(*line),
                key: format!("{key}.also[{number}]"),
                found: format!("no effect {name:?} that a set can grant"),
                accepted: GRANTABLE.join(", "),
            }),
        }
    }
    let mut hosts = Vec::new();
    for (number, (line, text)) in source.hosts.iter().enumerate() {
        match Glob::parse(text) {
            Ok(glob) if !text.is_empty() => hosts.push(glob),
            _ => problems.push(Problem {
                line: Some(*line),
                key: format!("{key}.hosts[{number}]"),
                found: format!("{text:?}"),
                accepted: "a glob on a host's name or address, such as *.example.com".to_owned(),
            }),
        }
    }
    Reads {
        sets: source.sets.iter().map(|(_, name)| name.clone()).collect(),
        paths: paths(key, &source.paths, problems),
        also,
        hosts,
        sudo,
        sudo_users: source.sudo_users.clone(),
    }
}

/// Compiles globs on paths.
pub(crate) fn paths(
    key: &str,
    source: &[(Line, String)],
    problems: &mut Vec<Problem>,
) -> Vec<PathPattern> {
    let mut patterns = Vec::with_capacity(source.len());
    for (number, (line, text)) in source.iter().enumerate() {
        match PathPattern::parse(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => problems.push(Problem {
                line: Some(*line),
                key: format!("{key}.paths[{number}]"),
                found: format!("{text:?}: {error}"),
                accepted: "such as /var/log/**, /etc/nginx/*.conf, ~/notes/** or **/.env"
                    .to_owned(),
            }),
        }
    }
    patterns
}
