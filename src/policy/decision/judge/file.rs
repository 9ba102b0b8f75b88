//! The judgement of work on a file: what is denied of every command counts here too.
//!
//! Owns the order: the deny list and the deny rules hold as they do for a program that would
//! read or write this file; then `files:` decides. The permit is for the server's own script
//! and nothing else. Called by [`crate::policy::Policy::judge_request`].

use std::sync::Arc;

use crate::model::names::{CommandHash, CommandText};
use crate::policy::Policy;
use crate::policy::decision::denial::{Denial, Trail};
use crate::policy::decision::judge::authorised::question::NeedsApproval;
use crate::policy::decision::judge::authorised::{Authorised, Form, Judged};
use crate::policy::decision::judge::leash::Watcher;
use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::{ShellMode, Subject};
use crate::policy::decision::verdict::Verdict;
use crate::policy::files::rules;
use crate::policy::files::script::script;
use crate::policy::files::work::{Doing, FileWork};
use crate::policy::programs::invocation::Invocation;
use crate::policy::rule::asking::Asking;
use crate::policy::source::Action;
use crate::policy::syntax::command::{Simple, Word};

impl Policy {
    /// `text` describes the work, and `subject` has what a file is to hold.
    pub(crate) fn judge_file(
        &self,
        subject: &Subject<'_>,
        text: &CommandText,
        work: &Arc<FileWork>,
    ) -> Verdict {
        let hash = text.hash();
        if let Some(denial) = self.denied_to_all(subject, hash, work) {
            return Verdict::Deny(denial);
        }
        let found = rules::decide(&self.files, subject, work);
        let code = match (found.action, found.line, subject.shell) {
            (Action::Deny, None, _) => Some(Code::NoFileRule),
            (Action::Deny, ..) => Some(Code::DenyRule),
            // Elsewhere there is no /bin/sh that is known to read the script.
            (_, _, ShellMode::Login | ShellMode::Direct(_)) => Some(Code::FileShell),
            (_, _, ShellMode::Sh) => None,
        };
        if let Some(code) = code {
            let mut denial = Denial::new(code, hash, None);
            denial.rule = found.line;
            return Verdict::Deny(denial);
        }
        let limits = self.limits.of(subject.alias.as_str(), subject.tags);
        let most = limits.max_transfer_bytes;
        let judged = Judged {
            policy: self.id,
            alias: subject.alias.clone(),
            hash,
            canonical: script(work, subject.stdin, most),
            stdin: subject.stdin.cloned(),
            file: Some(Arc::clone(work)),
            // Only a rule with `sudo: true` allows such work.
            sudo: work.sudo,
            shell: subject.shell,
            form: Form::List(Watcher::Child),
            code: Code::Rule,
            rules: found.line.into_iter().collect(),
            trail: Trail::default(),
        };
        let does = match (found.action, &work.doing) {
            (Action::Allow, _) => return Verdict::Allow(Authorised::new(judged)),
            (_, Doing::Read(_)) => "reads a file",
            (_, Doing::Fetch(_)) => "copies a file to the server",
            (_, Doing::Write(writing)) if writing.from.is_some() => "writes a file of the server's",
            (_, Doing::Write(_)) => "writes a file",
        };
        // No yes counts on for another file or content.
        let stands = false;
        let asking = vec![Asking::FILE];
        Verdict::Ask(NeedsApproval::new(judged, does.into(), asking, stands))
    }

    /// What would deny `cat` or `tee` this file.
    fn denied_to_all(
        &self,
        subject: &Subject<'_>,
        hash: CommandHash,
        work: &FileWork,
    ) -> Option<Denial> {
        let path = work.path.as_str();
        let words: &[&str] = match (&work.doing, work.sudo) {
            (Doing::Read(_) | Doing::Fetch(_), false) => &["cat"],
            (Doing::Read(_) | Doing::Fetch(_), true) => &["sudo", "cat"],
            (Doing::Write(_), false) => &["tee"],
            (Doing::Write(_), true) => &["sudo", "tee"],
        };
        let words = words.iter().copied().chain([path]);
        let command = Simple {
            words: words.map(Word::made).collect(),
            text: path.into(),
            ..Simple::default()
        };
        let deny = self.limits.deny_list(subject.alias.as_str(), subject.tags);
        let commands = [command];
        let invocations = Invocation::of_each(&commands);
        let found = || deny.find(path, &commands, &invocations);
        if let Some(hit) = deny.in_text(path).or_else(found) {
            let mut denial = Denial::new(Code::DenySubstring, hash, None);
            denial.entry = Some(hit.entry.as_str().into());
            denial.trail.bypass = hit.bypass;
            return Some(denial);
        }
        let found = commands
            .iter()
            .zip(&invocations)
            .map(|(command, invocation)| self.rules.decide(&subject.fed(None), command, invocation))
            .find(|found| found.code == Code::DenyRule)?;
        let mut denial = Denial::new(Code::DenyRule, hash, None);
        denial.rule = found.line;
        Some(denial)
    }
}
