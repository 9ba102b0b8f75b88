//! `policy test FILE`: the policy compared with a file of expectations.
//!
//! Owns the form of that file and the report; the policy judges. Connects nowhere. Called
//! by `startup`.

use std::path::Path;

use crate::cli::commands::output::{self, configuration, host, say};
use crate::cli::{Outcome, Settings};
use crate::config::Environment;
use crate::policy::{Policy, Subject};

/// Largest file of expectations, in bytes.
const EXPECTATIONS_MAX: u64 = 10 * 1024 * 1024;

/// Judges each line of the file, and prints those that are decided otherwise.
pub(crate) fn run(settings: &Settings, environment: &Environment, file: &Path) -> Outcome {
    let Some(snapshot) = configuration(settings, environment) else {
        return Outcome::Problems;
    };
    let text = match read(file) {
        Ok(text) => text,
        Err(error) => {
            say(&format!("{}: {error}", file.display()));
            return Outcome::Problems;
        }
    };
    let expectations = match expectations(&text) {
        Ok(expectations) => expectations,
        Err(error) => {
            say(&format!("{}: {error}", file.display()));
            return Outcome::Problems;
        }
    };
    let wrong: Vec<String> = expectations
        .iter()
        .filter_map(|expected| match host(&snapshot, expected.alias) {
            Some(host) => expected.check(snapshot.policy(), &host.subject()),
            None => Some(format!(
                "line {}: no host '{}' in servers.yml",
                expected.line, expected.alias
            )),
        })
        .collect();
    output::print(|out| {
        for line in &wrong {
            writeln!(out, "{line}")?;
        }
        let (passed, failed) = (expectations.len() - wrong.len(), wrong.len());
        writeln!(out, "{passed} passed, {failed} failed")?;
        Ok(wrong.is_empty())
    })
}

fn read(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(file)?
        .take(EXPECTATIONS_MAX + 1)
        .read_to_string(&mut text)?;
    // A part of it would pass for the whole.
    if u64::try_from(read).is_ok_and(|read| read > EXPECTATIONS_MAX) {
        let text = format!("it has more than {EXPECTATIONS_MAX} bytes");
        return Err(std::io::Error::other(text));
    }
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// One line of a file of expectations: `VERDICT[:CODE] ALIAS COMMAND`.
#[derive(Debug, PartialEq, Eq)]
struct Expectation<'t> {
    /// Counted from 1.
    line: usize,
    verdict: &'t str,
    code: Option<&'t str>,
    alias: &'t str,
    command: &'t str,
}

/// Reads a file of expectations. Blank lines and lines that begin with `#` are left out.
///
/// # Errors
/// The line that is not of that form.
fn expectations(text: &str) -> Result<Vec<Expectation<'_>>, String> {
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
    fn check(&self, policy: &Policy, subject: &Subject<'_>) -> Option<String> {
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
}
