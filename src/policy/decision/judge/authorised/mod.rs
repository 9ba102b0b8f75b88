//! The permit to run one command on one host.
//!
//! Owns [`Authorised`], the only thing that can be sent to a host. Its fields are private
//! and its constructor is visible to the judge alone, whose child this module is: what was
//! not judged cannot be made. The question that may become a permit is its own child,
//! `question`. Called by `judge`; read by `task`, `ssh` and `mcp`.

pub(crate) mod question;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::names::{CommandHash, HostAlias};
use crate::model::stdin::Stdin;
use crate::policy::decision::denial::{Denial, Trail};
use crate::policy::decision::judge::job_text;
use crate::policy::decision::judge::leash::{Leash, Watcher};
use crate::policy::decision::judge::purpose::Start;
use crate::policy::decision::judge::sudo::Raised;
use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::ShellMode;
use crate::policy::files::work::FileWork;
use crate::policy::identity::PolicyId;
use crate::policy::source::Line;
use crate::policy::syntax::render;

/// A judged command for one host. There is no way to make one but to be judged.
#[derive(Debug)]
pub struct Authorised {
    policy: PolicyId,
    alias: HostAlias,
    hash: CommandHash,
    /// Shared among the hosts of a run that are judged alike.
    what: Arc<What>,
    /// A person agreed to exactly this.
    approved: bool,
}

/// What may be sent, and why.
#[derive(Debug, PartialEq, Eq)]
struct What {
    canonical: String,
    stdin: Option<Stdin>,
    /// What it does to a file, if it is the server's own script.
    file: Option<Arc<FileWork>>,
    /// A part of it is `sudo`, and a rule allows that part.
    sudo: bool,
    shell: ShellMode,
    form: Form,
    code: Code,
    rules: Vec<Line>,
    trail: Trail,
}

/// How the canonical text is put to `/bin/sh`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One program, which takes the shell's place: no shell need wait for it.
    Alone(Watcher),
    /// Whatever else there is.
    List(Watcher),
    /// As a job that goes on by itself.
    Job(Start),
}

/// What the judge found, to be made into a permit or a question.
pub(super) struct Judged {
    pub(super) policy: PolicyId,
    pub(super) alias: HostAlias,
    pub(super) hash: CommandHash,
    pub(super) canonical: String,
    pub(super) stdin: Option<Stdin>,
    pub(super) file: Option<Arc<FileWork>>,
    pub(super) sudo: bool,
    pub(super) shell: ShellMode,
    pub(super) form: Form,
    pub(super) code: Code,
    pub(super) rules: Vec<Line>,
    pub(super) trail: Trail,
}

impl Authorised {
    /// The door: visible to the judge alone, of whom this module is a child.
    pub(super) fn new(judged: Judged) -> Self {
        let Judged {
            policy,
            alias,
            hash,
            canonical,
            stdin,
            file,
            sudo,
            shell,
            form,
            code,
            rules,
            trail,
        } = judged;
        Self {
            policy,
            alias,
            hash,
            what: Arc::new(What {
                canonical,
                stdin,
                file,
                sudo,
                shell,
                form,
                code,
                rules,
                trail,
            }),
            approved: false,
        }
    }

    /// Holds what it has alike with another one's only once.
    pub(in crate::policy::decision) fn share_with(&mut self, other: &Self) {
        if self.what == other.what {
            self.what = Arc::clone(&other.what);
        }
    }

    /// Which compiled policy allowed it. Whoever renews or sends the command compares this
    /// with the policy in force.
    pub fn policy(&self) -> PolicyId {
        self.policy
    }

    /// Whether a person agreed to exactly this.
    pub(in crate::policy::decision) fn is_approved(&self) -> bool {
        self.approved
    }

    /// The same, with a person's approval of an older permit for the very same command on
    /// the very same host.
    pub(in crate::policy::decision) fn with_approval_of(mut self, old: &Self) -> Self {
        self.approved = old.approved && old.digest() == self.digest();
        self
    }

    /// The host it was judged for.
    pub fn alias(&self) -> &HostAlias {
        &self.alias
    }

    /// The name of the command in records: of the text as it came in.
    pub fn hash(&self) -> CommandHash {
        self.hash
    }

    /// The name of what is sent: the same for every spelling of it.
    pub fn canonical_hash(&self) -> CommandHash {
        CommandHash::of(&self.what.canonical)
    }

    /// The judged words, quoted so that every shell reads them back the same.
    pub fn canonical(&self) -> &str {
        &self.what.canonical
    }

    /// The file that it is about, if it is the server's own script.
    pub fn file(&self) -> Option<&FileWork> {
        self.what.file.as_deref()
    }

    /// What the command is given to read, judged with it.
    pub fn stdin(&self) -> Option<&Stdin> {
        self.what.stdin.as_ref()
    }

    /// The bytes for the `exec` request (RFC 4254 section 6.5): nothing else is sent. The host
    /// ends the command after `seconds`, if the server has not by then.
    pub fn exec_line(&self, seconds: u32) -> String {
        let leash = |watcher| {
            let leash = Leash {
                seconds,
                has_stdin: self.what.stdin.is_some(),
                watcher,
            };
            leash.text()
        };
        let canonical = &self.what.canonical;
        match (self.what.shell, &self.what.form) {
            (ShellMode::Sh, Form::Job(start)) => job_text::start_line(start, canonical),
            (ShellMode::Sh, Form::Alone(watcher)) => {
                render::exec_line(&leash(*watcher), canonical, true)
            }
            (ShellMode::Sh, Form::List(watcher)) => {
                render::exec_line(&leash(*watcher), canonical, false)
            }
            (ShellMode::Login, _) => render::login_line(&self.what.canonical),
            (ShellMode::Direct(_), _) => self.what.canonical.clone(),
        }
    }

    /// Whether the channel's stdin is for the leash: it is to stay open, and a line to be sent
    /// on it, as long as the command runs.
    pub fn holds_stdin(&self) -> bool {
        self.what.shell == ShellMode::Sh && !self.is_job() && self.what.stdin.is_none()
    }

    /// What makes the bytes for the `exec` request where `sudo` is to be given a password before
    /// anything of the command runs: only if a rule allows a part of it behind `sudo`. Never for
    /// a job, which nobody feeds, nor for a host whose shell is not `/bin/sh`.
    pub fn raised(&self) -> Option<Raised<'_>> {
        let can_be_told = self.what.shell == ShellMode::Sh && !self.is_job();
        (self.what.sudo && can_be_told)
            .then(|| Raised::new(&self.what.canonical, self.what.stdin.is_some()))
    }

    fn is_job(&self) -> bool {
        matches!(self.what.form, Form::Job(_))
    }

    pub fn code(&self) -> Code {
        self.what.code
    }

    /// Lines of the rules that decided, one for each command that needed a rule.
    pub fn rules(&self) -> &[Line] {
        &self.what.rules
    }

    pub fn trail(&self) -> &Trail {
        &self.what.trail
    }

    /// The denial for a host that the configuration no longer has.
    pub fn without_host(&self) -> Denial {
        Denial::new(Code::HostGone, self.hash, None).after_a_change()
    }

    /// What an approval is bound to: SHA-256 over host, shell mode and canonical form. A job
    /// is another thing than a run, whatever its name.
    fn digest(&self) -> [u8; 32] {
        let mode = match (self.what.shell, &self.what.form) {
            (_, Form::Job(_)) => b"job\0".as_slice(),
            (ShellMode::Sh, _) => b"sh\0",
            (ShellMode::Login, _) => b"login\0",
            (ShellMode::Direct(_), _) => b"direct\0",
        };
        let mut digest = Sha256::new()
            .chain_update(self.alias.as_str())
            .chain_update(b"\0")
            .chain_update(mode)
            .chain_update(&self.what.canonical);
        if let Some(stdin) = &self.what.stdin {
            // No canonical form holds a NUL, so that the two parts cannot run into one another.
            digest.update(b"\0");
            digest.update(stdin.sha256());
        }
        digest.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::decision::subject::Quotes;
    use crate::policy::source::{Action, PolicySource, RuleForm, RuleSource};
    use crate::policy::{Policy, Subject, Verdict};

    #[test]
    fn hosts_that_are_judged_alike_hold_their_command_once() {
        let rule = RuleSource {
            line: 1,
            action: Action::Allow,
            aliases: Vec::new(),
            tags: Vec::new(),
            form: RuleForm::Commands {
                patterns: vec![(1, "uptime*".to_owned())],
                legacy_glob: false,
            },
            sudo: false,
            detach: false,
            stdin: false,
            trust_arguments: false,
            examples_allow: Vec::new(),
            examples_deny: Vec::new(),
        };
        let source = PolicySource {
            rules: vec![rule],
            ..PolicySource::default()
        };
        let policy = Policy::compile(source).unwrap().policy;
        let judged = |alias: &str, shell, text| {
            let alias = HostAlias::parse(alias).unwrap();
            let (alias, tags) = (&alias, &[][..]);
            let detached = false;
            let subject = Subject {
                alias,
                tags,
                shell,
                detached,
                stdin: None,
            };
            policy.judge_text(&subject, text)
        };
        let share = |one: &Verdict, mut other: Verdict| {
            other.share_with(one);
            match (one, &other) {
                (Verdict::Allow(one), Verdict::Allow(other)) => {
                    (Arc::ptr_eq(&one.what, &other.what), other.alias.to_string())
                }
                _ => (false, String::new()),
            }
        };
        let one = judged("web1", ShellMode::Sh, "uptime");
        let alike = share(&one, judged("web2", ShellMode::Sh, "uptime"));
        assert_eq!(alike, (true, "web2".to_owned()));
        assert!(
            !share(
                &one,
                judged("web2", ShellMode::Direct(Quotes::default()), "uptime")
            )
            .0
        );
        assert!(!share(&one, judged("web2", ShellMode::Sh, "uptime -p")).0);
    }
}
