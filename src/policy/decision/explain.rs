//! A decision, explained to the operator: which rule, which entry, which word.
//!
//! Owns what the operator may see beyond a denial's text: lines of `policy.yml`, the
//! entry of `deny_substrings`, the finding for each command of a list. None of it is for
//! an assistant. Called by the reports of the command line.

use crate::policy::decision::subject::Subject;
use crate::policy::decision::verdict::Verdict;
use crate::policy::source::{Action, Line};
use crate::policy::{Code, Policy};

/// One judgement with everything that led to it.
#[derive(Debug)]
pub struct Explanation {
    pub verdict: Verdict,
    /// The entry of `deny_substrings` that was found.
    pub entry: Option<String>,
    /// The view in which it was found, if the raw text does not show it.
    pub hidden_in: Option<String>,
    /// One for each simple command; empty if the text was not understood.
    pub commands: Vec<Explained>,
}

/// What the rules say of one simple command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    pub text: String,
    /// `allow`, `ask` or `deny`.
    pub verdict: &'static str,
    pub code: Code,
    /// The line of `policy.yml` that decided, or that a hazard kept from deciding.
    pub line: Option<Line>,
    /// The word that is the hazard.
    pub hazard: Option<String>,
}

impl Policy {
    /// As [`Policy::judge_text`], with its reasons.
    pub fn explain(&self, subject: &Subject<'_>, text: &str) -> Explanation {
        let assessment = self.assess(subject, text);
        let commands = match &assessment.parsed {
            Err(_) => Vec::new(),
            Ok(parsed) => {
                let findings = parsed.commands.iter().zip(&assessment.findings);
                findings
                    .map(|(command, finding)| Explained {
                        text: command.text.to_string(),
                        verdict: match finding.action {
                            Action::Allow => "allow",
                            Action::Ask => "ask",
                            Action::Deny => "deny",
                        },
                        code: finding.code,
                        line: finding.line,
                        hazard: finding
                            .hazard
                            .and_then(|hazard| command.words.get(hazard.word))
                            .map(|word| word.shown().into_owned()),
                    })
                    .collect()
            }
        };
        let hit = assessment.hit.as_ref();
        Explanation {
            entry: hit.map(|hit| hit.entry.clone()),
            hidden_in: hit
                .and_then(|hit| hit.bypass.as_ref())
                .map(|bypass| bypass.normalized_command.clone()),
            commands,
            verdict: self.verdict(subject, text),
        }
    }
}
