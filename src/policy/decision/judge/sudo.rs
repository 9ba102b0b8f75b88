//! Commands of which a rule allows a part behind `sudo`, on hosts where that asks for a
//! password.
//!
//! Owns who may be given one ([`Raised`], which the permit alone makes) and what is sent then:
//! the judged text as it is, and before it one line that is always the same. That line has
//! `sudo` ask, and keep what it was told for the children of this one shell (sudoers(5),
//! `timestamp_type`: where there is no terminal, the record is bound to the parent process).
//! Nothing of a client's has begun when the password is asked for, so that nothing of it can
//! ask in sudo's place or read the answer; and how the parts of the text are fed, piped and
//! redirected makes no difference. Called by `judge` and, through [`Raised`], by `ssh`.

use crate::policy::decision::judge::leash::{Leash, Watcher};
use crate::policy::decision::reason::Code;
use crate::policy::hazard::wrappers;
use crate::policy::rule::Finding;
use crate::policy::source::Action;
use crate::policy::syntax::command::Simple;
use crate::policy::syntax::render::{GUARD, quote};

/// `sudo` itself, as a name or as the system's file.
const SUDO: &str = "sudo";

/// A permit for a command with a judged `sudo`.
#[derive(Debug, Clone, Copy)]
pub struct Raised<'a> {
    canonical: &'a str,
    has_stdin: bool,
}

/// Words that stand for what `sudo` wants or came to, made for one run. They hold no `%`,
/// which `sudo -p` would put something else for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// What the three begin with.
    pub start: String,
}

impl Marks {
    /// The byte behind the beginning: it wants the password.
    pub const ASKS: u8 = b'?';
    /// It has what it wants: from here on it is the command.
    pub const READY: u8 = b'+';
    /// It will not have us; the command is not run.
    pub const REFUSES: u8 = b'-';
    /// The last byte.
    pub const END: u8 = b']';

    /// `nonce` is one that no program of the host can have known before.
    pub fn new(nonce: u128) -> Self {
        Self {
            start: format!("[mcp-ssh:{nonce:032x}"),
        }
    }
}

/// Whether one of these commands is `sudo`, by a rule.
pub(super) fn is_allowed(commands: &[Simple<'_>], findings: &[Finding]) -> bool {
    let mut judged = commands.iter().zip(findings);
    judged.any(|(command, finding)| {
        let first = command.words.first().map_or("", |word| &*word.text);
        (first == SUDO || wrappers::is_system_path_of(first, SUDO))
            && finding.code == Code::Rule
            && finding.action != Action::Deny
    })
}

impl<'a> Raised<'a> {
    pub(super) fn new(canonical: &'a str, has_stdin: bool) -> Self {
        Self {
            canonical,
            has_stdin,
        }
    }

    #[cfg(test)]
    pub(crate) fn of_test(canonical: &'a str) -> Self {
        Self::new(canonical, false)
    }

    /// The bytes for the `exec` request. Always in a list with something behind it: a shell
    /// that lets its last program take its place would be another parent to that one. The leash
    /// takes the channel's stdin over from `sudo`.
    pub fn exec_line(self, marks: &Marks, seconds: u32) -> String {
        let Marks { start } = marks;
        let mut line = String::with_capacity(self.canonical.len() * 2 + 256);
        line.push_str(GUARD);
        line.push_str("exec /bin/sh -c ");
        let canonical = self.canonical;
        let leash = Leash {
            seconds,
            has_stdin: self.has_stdin,
            watcher: Watcher::Orphan,
        };
        let leash = leash.text();
        quote(
            &format!(
                r#"trap "exit 143" TERM; sudo -S -p "{start}?]" -v || {{ printf %s "{start}-]" >&2; exit 1; }}; printf %s "{start}+]" >&2; {leash}{canonical} ; exit $?"#
            ),
            &mut line,
        );
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_judged_text_stands_in_the_line_as_it_is() {
        let raised = Raised::new("'sudo' 'id' | 'cat'", false);
        let line = raised.exec_line(&Marks::new(7), 60);
        let mut quoted = String::new();
        quote("'sudo' 'id' | 'cat' ; exit $?", &mut quoted);
        let inner = quoted.trim_start_matches('\'');
        assert!(line.ends_with(inner), "{line}");
        assert!(line.contains("[mcp-ssh:00000000000000000000000000000007?]"));
    }
}
