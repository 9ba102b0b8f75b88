//! What is to be done with a command beside running it while somebody waits: to start it as
//! a job that goes on by itself, and to look after jobs.
//!
//! Owns who may: a start needs rules with `detach: true` that grant every command of the
//! text, and looking after jobs needs one such rule for the host. Sends no text of a client's
//! but the judged one. Called through [`crate::policy::Policy`].

use crate::model::job::JobId;
use crate::model::names::{CommandHash, CommandText};
use crate::policy::Policy;
use crate::policy::decision::denial::{Denial, Trail};
use crate::policy::decision::judge::authorised::{Authorised, Form, Judged};
use crate::policy::decision::judge::job_text;
use crate::policy::decision::judge::leash::Watcher;
use crate::policy::decision::judge::purpose::{Care, Purpose, Start};
use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::{ShellMode, Subject};
use crate::policy::decision::verdict::Verdict;
use crate::policy::source::{Action, OutputCap};

const SHELL_WHY: &str = "This host is one with shell: login or shell: direct, and a job is \
    started by /bin/sh.";
const SHELL_HINT: &str = "Start it without detach: it ends with this server then.";

impl Policy {
    /// The same as [`Policy::judge`] for whatever is to be done with the command.
    pub fn judge_for(
        &self,
        subject: &Subject<'_>,
        command: &CommandText,
        purpose: &Purpose,
    ) -> Verdict {
        match purpose {
            Purpose::Run => self.judge(subject, command),
            Purpose::Start(job) => self.judge_start(subject, command.as_str(), job),
            Purpose::Care(care) => self.judge_care(subject, command.hash(), care),
        }
    }

    fn judge_start(&self, subject: &Subject<'_>, text: &str, job: &JobId) -> Verdict {
        let hash = CommandHash::of(text);
        let detached = Subject {
            detached: true,
            ..*subject
        };
        let assessment = self.assess(&detached, text);
        let granted = assessment.denial(hash).is_none()
            && assessment
                .findings
                .iter()
                .any(|finding| finding.line.is_some());
        if !granted {
            return match self.verdict(subject, text) {
                denied @ Verdict::Deny(_) => denied,
                _ => Verdict::Deny(Denial::new(Code::Detach, hash, None)),
            };
        }
        if subject.shell != ShellMode::Sh {
            let mut denial = Denial::new(Code::Detach, hash, None);
            (denial.why, denial.hint) = (SHELL_WHY.into(), SHELL_HINT.into());
            return Verdict::Deny(denial);
        }
        let limits = self.limits.of(subject.alias.as_str(), subject.tags);
        let start = Start {
            job: job.clone(),
            keep_bytes: limits.max_output_bytes,
            discard: limits.on_output_cap == OutputCap::Discard,
        };
        assessment.permit(self.id, subject, hash, Some(start))
    }

    fn judge_care(&self, subject: &Subject<'_>, hash: CommandHash, care: &Care) -> Verdict {
        let mut rules = self.rules.rules.iter();
        let granted = rules
            .any(|rule| rule.detach && rule.action != Action::Deny && rule.is_for(subject))
            && subject.shell == ShellMode::Sh;
        if !granted {
            return Verdict::Deny(Denial::new(Code::Detach, hash, None));
        }
        Verdict::Allow(Authorised::new(Judged {
            policy: self.id,
            alias: subject.alias.clone(),
            hash,
            canonical: job_text::care(care),
            stdin: None,
            file: None,
            sudo: false,
            shell: subject.shell,
            form: Form::List(Watcher::Child),
            code: Code::Rule,
            rules: Vec::new(),
            trail: Trail::default(),
        }))
    }
}
