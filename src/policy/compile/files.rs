//! `files:` of the source, compiled: whose, which files, and what is meaningless.
//!
//! Owns that a rule names files from the root: what is beneath a login's home is known to
//! the host alone. Called by the compiler.

use crate::policy::Problem;
use crate::policy::files::rules::FileRule;
use crate::policy::rule::glob::Glob;
use crate::policy::rule::path_pattern::PathPattern;
use crate::policy::source::{FileRuleSource, Line};

/// Compiles the rules; what is wrong goes to `problems`.
pub(crate) fn compile(sources: &[FileRuleSource], problems: &mut Vec<Problem>) -> Vec<FileRule> {
    let each = sources.iter().enumerate();
    each.map(|(index, source)| {
        let key = |name: &str| format!("files[{index}].{name}");
        if source.read.is_empty() && source.write.is_empty() {
            problems.push(Problem {
                line: Some(source.line),
                key: format!("files[{index}]"),
                found: "a rule that can match nothing".to_owned(),
                accepted: "read, write, or both, with at least one glob".to_owned(),
            });
        }
        FileRule {
            line: source.line,
            action: source.action,
            aliases: globs(source.line, &key("aliases"), &source.aliases, problems),
            tags: globs(source.line, &key("tags"), &source.tags, problems),
            read: paths(&key("read"), &source.read, problems),
            write: paths(&key("write"), &source.write, problems),
            sudo: source.sudo,
        }
    })
    .collect()
}

fn globs(line: Line, key: &str, texts: &[String], problems: &mut Vec<Problem>) -> Vec<Glob> {
    let mut globs = Vec::with_capacity(texts.len());
    for text in texts {
        match Glob::parse(text) {
            Ok(glob) => globs.push(glob),
            Err(_) => problems.push(Problem {
                line: Some(line),
                key: key.to_owned(),
                found: format!("{text:?}: ? or [...] within a very long piece without a *"),
                accepted: "shorter pieces between two *".to_owned(),
            }),
        }
    }
    globs
}

fn paths(key: &str, texts: &[(Line, String)], problems: &mut Vec<Problem>) -> Vec<PathPattern> {
    let mut patterns = Vec::with_capacity(texts.len());
    for (number, (line, text)) in texts.iter().enumerate() {
        let found = match PathPattern::parse(text) {
            Ok(_) if text.starts_with('~') => "a path below a login's home".to_owned(),
            Ok(pattern) => {
                patterns.push(pattern);
                continue;
            }
            Err(error) => error.to_string(),
        };
        problems.push(Problem {
            line: Some(*line),
            key: format!("{key}[{number}]"),
            found: format!("{text:?}: {found}"),
            accepted: "such as /etc/nginx/**, /srv/app/*.conf or **/.env".to_owned(),
        });
    }
    patterns
}
