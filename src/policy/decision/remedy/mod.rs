//! A command that would do the same as one that was denied.
//!
//! Owns the search for another spelling that is allowed, and for a deny rule that holds only
//! for what a wildcard may stand for. Refuses to offer what was not judged and let through. The
//! spellings themselves: `text` for what was not understood, `command` for one command of a
//! list. Called by the judgement once it denies.

pub(crate) mod command;
mod given;
pub(crate) mod text;

use crate::policy::Policy;
use crate::policy::decision::kind::Rewrite;
use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::Subject;
use crate::policy::decision::verdict::Verdict;
use crate::policy::programs::invocation::Invocation;
use crate::policy::syntax::command::Simple;

impl Policy {
    /// The first of the other spellings that is allowed, or asked about.
    pub(crate) fn rewrite(&self, subject: &Subject<'_>, attempts: Vec<Rewrite>) -> Option<Rewrite> {
        attempts
            .into_iter()
            .find(|attempt| !matches!(self.judged(subject, &attempt.command), Verdict::Deny(_)))
    }
}

/// What helps where a deny rule holds for no file that is named.
pub(crate) const NAME_THE_FILES: &str = "A wildcard in it may stand for a file that the policy denies: name the files that are \
    meant, or write more of their names";

/// What helps where it holds for a file below a directory that is read.
pub(crate) const GO_FURTHER_DOWN: &str = "It reads what lies below a directory, and somewhere there the policy denies a file: \
    name the directories or files that are meant";

impl Policy {
    /// Whether a command is denied only for what its wildcards may stand for.
    pub(crate) fn denies_wildcards_of(&self, subject: &Subject<'_>, command: &Simple<'_>) -> bool {
        let is_denied = |command: &Simple<'_>| {
            let invocation = Invocation::of(&command.words);
            self.rules.decide(subject, command, &invocation).code == Code::DenyRule
        };
        let mut spelled = command.clone();
        for word in &mut spelled.words {
            let text = word.text.as_bytes();
            let wild = |at: &usize| matches!(text.get(*at), Some(b'*' | b'?'));
            word.globs.retain(|at| !wild(at));
        }
        spelled.words != command.words && is_denied(command) && !is_denied(&spelled)
    }
}
