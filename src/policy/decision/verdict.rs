//! What a judgement comes to: a permit to run, a question to a person, or a denial.
//!
//! Owns [`Authorised`], the only thing that can be sent to a host, and refuses to be
//! made by anyone else: its fields are private, and only `judge` (or an approval of a
//! [`NeedsApproval`]) constructs one. Called by `task` and `ssh` with what may run, by
//! `mcp` for what must be asked or answered.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::model::names::{CommandHash, HostAlias, Tag};
use crate::policy::decision::reason::Code;
use crate::policy::source::Line;

/// How a denial begins that came after the permit.
const CHANGED: &str = "The policy was changed while this command waited, so it was judged anew.";

/// How a host takes a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShellMode {
    /// Through `/bin/sh -c`, whatever the login shell is.
    #[default]
    Sh,
    /// As the canonical text itself: appliances and ForceCommand filters.
    Direct,
}

/// For whom a command is judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub alias: &'a HostAlias,
    /// In the order of `servers.yml`.
    pub tags: &'a [Tag],
    pub shell: ShellMode,
}

/// The outcome of `judge`.
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    Allow(Authorised),
    Ask(NeedsApproval),
    Deny(Denial),
}

impl Verdict {
    /// What the security log is to be told, whatever the outcome.
    pub fn trail(&self) -> &Trail {
        match self {
            Self::Allow(authorised) => &authorised.trail,
            Self::Ask(question) => &question.0.trail,
            Self::Deny(denial) => &denial.trail,
        }
    }

    /// `allow`, `ask` or `deny`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Ask(_) => "ask",
            Self::Deny(_) => "deny",
        }
    }

    pub fn code(&self) -> Code {
        match self {
            Self::Allow(authorised) => authorised.code,
            Self::Ask(question) => question.0.code,
            Self::Deny(denial) => denial.code,
        }
    }
}

/// A judged command for one host. There is no way to make one but to be judged.
#[derive(Debug)]
pub struct Authorised {
    pub(crate) alias: HostAlias,
    pub(crate) hash: CommandHash,
    pub(crate) canonical: String,
    pub(crate) shell: ShellMode,
    /// Whether it is one program, so that no shell need wait for it.
    pub(crate) alone: bool,
    pub(crate) code: Code,
    pub(crate) rules: Vec<Line>,
    pub(crate) trail: Trail,
    /// A person agreed to exactly this.
    pub(crate) approved: bool,
}

impl Authorised {
    /// The host it was judged for.
    pub fn alias(&self) -> &HostAlias {
        &self.alias
    }

    /// The name of the command in records: of the text as it came in.
    pub fn hash(&self) -> CommandHash {
        self.hash
    }

    /// The judged words, quoted so that every shell reads them back the same.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The bytes for the `exec` request (RFC 4254 section 6.5): nothing else is sent.
    pub fn exec_line(&self) -> String {
        match self.shell {
            ShellMode::Sh => crate::policy::syntax::render::exec_line(&self.canonical, self.alone),
            ShellMode::Direct => self.canonical.clone(),
        }
    }

    pub fn code(&self) -> Code {
        self.code
    }

    /// Lines of the rules that decided, one for each command that needed a rule.
    pub fn rules(&self) -> &[Line] {
        &self.rules
    }

    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// What is left of this permit by a later judgement of the same command for the same
    /// host: the new permit. A person's approval counts on, for what it was given for.
    ///
    /// # Errors
    /// The new denial, which says that it is one after a change.
    pub fn renewed(&self, verdict: Verdict) -> Result<Self, Denial> {
        let same = |new: &Self| self.approved && self.digest() == new.digest();
        match verdict {
            Verdict::Allow(mut new) => {
                new.approved = same(&new);
                Ok(new)
            }
            Verdict::Ask(NeedsApproval(mut new)) if same(&new) => {
                new.approved = true;
                Ok(new)
            }
            Verdict::Ask(question) if self.approved => {
                Err(question.refuse(ApprovalFailure::Mismatch).after_a_change())
            }
            Verdict::Ask(question) => {
                Err(question.refuse(ApprovalFailure::Missing).after_a_change())
            }
            Verdict::Deny(denial) => Err(denial.after_a_change()),
        }
    }

    /// The denial for a host that the configuration no longer has.
    pub fn without_host(&self) -> Denial {
        Denial::new(Code::HostGone, self.hash, None).after_a_change()
    }

    /// What an approval is bound to: SHA-256 over host, shell mode and canonical form.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mode = match self.shell {
            ShellMode::Sh => b"sh\0".as_slice(),
            ShellMode::Direct => b"direct\0",
        };
        Sha256::new()
            .chain_update(self.alias.as_str())
            .chain_update(b"\0")
            .chain_update(mode)
            .chain_update(&self.canonical)
            .finalize()
            .into()
    }
}

/// A command that may run once a person has agreed.
#[derive(Debug)]
pub struct NeedsApproval(pub(crate) Authorised);

impl NeedsApproval {
    pub fn alias(&self) -> &HostAlias {
        &self.0.alias
    }

    pub fn hash(&self) -> CommandHash {
        self.0.hash
    }

    /// What would be sent, exactly.
    pub fn canonical(&self) -> &str {
        &self.0.canonical
    }

    /// What a person is to read of it, and what their yes will be bound to: the two are made
    /// together, so that nothing can be approved that was not shown. Characters beyond ASCII
    /// are written as `\u{…}`, so that a letter that only looks like another one shows.
    pub fn show(&self) -> (String, Shown) {
        let mut text = String::with_capacity(self.0.canonical.len());
        for c in self.0.canonical.chars() {
            if c.is_ascii() {
                text.push(c);
            } else {
                let _ = write!(text, "\\u{{{:x}}}", u32::from(c));
            }
        }
        let digest = self.0.digest();
        (text, Shown { digest })
    }

    /// Lines in `policy.yml` of the rules that ask or allow.
    pub fn rules(&self) -> &[Line] {
        &self.0.rules
    }

    pub fn trail(&self) -> &Trail {
        &self.0.trail
    }

    /// The permit, if the approval is for this very host and command.
    ///
    /// # Errors
    /// A denial with `approval:mismatch` if it is not.
    pub fn approve(mut self, approval: Approval) -> Result<Authorised, Denial> {
        if approval.0 == self.0.digest() {
            self.0.approved = true;
            Ok(self.0)
        } else {
            Err(self.refuse(ApprovalFailure::Mismatch))
        }
    }

    /// The denial for a question that did not get its yes.
    pub fn refuse(self, failure: ApprovalFailure) -> Denial {
        let code = match failure {
            ApprovalFailure::Unavailable => Code::ApprovalUnavailable,
            ApprovalFailure::Declined => Code::ApprovalDeclined,
            ApprovalFailure::Timeout => Code::ApprovalTimeout,
            ApprovalFailure::Mismatch => Code::ApprovalMismatch,
            ApprovalFailure::Missing => Code::ApprovalMissing,
        };
        let mut denial = Denial::new(code, self.0.hash, None);
        denial.rule = self.0.rules.first().copied();
        denial.trail = Box::new(self.0.trail);
        denial
    }
}

/// Why a question came back without a yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalFailure {
    /// The client cannot ask.
    Unavailable,
    /// Declined, cancelled, or accepted without the required content.
    Declined,
    Timeout,
    /// Answered for another host or command.
    Mismatch,
    /// Nobody was asked, because the policy did not want it when the command was taken on.
    Missing,
}

/// A host and command that were put before a person. Made by [`NeedsApproval::show`] alone.
#[derive(Debug)]
pub struct Shown {
    digest: [u8; 32],
}

impl Shown {
    /// For the record.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The person agreed to what was shown.
    pub fn accepted(self) -> Approval {
        Approval(self.digest)
    }
}

/// A person's yes to what was shown. Made of a [`Shown`] by the code that asked; consumed by
/// [`NeedsApproval::approve`], so that it counts once.
#[derive(Debug)]
pub struct Approval([u8; 32]);

/// Why a command may not run. Everything but the operator's part may be shown to the
/// assistant; nothing in it quotes the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub(crate) code: Code,
    pub(crate) hash: CommandHash,
    pub(crate) why: Box<str>,
    pub(crate) hint: Box<str>,
    pub(crate) denied_command: Option<Box<str>>,
    pub(crate) position: Option<usize>,
    pub(crate) rule: Option<Line>,
    pub(crate) entry: Option<Box<str>>,
    pub(crate) trail: Box<Trail>,
}

impl Denial {
    pub(crate) fn new(code: Code, hash: CommandHash, position: Option<usize>) -> Self {
        Self {
            code,
            hash,
            why: format!("{}.", code.why()).into(),
            hint: format!("{}. Check the new form with ssh_plan.", code.hint()).into(),
            denied_command: None,
            position,
            rule: None,
            entry: None,
            trail: Box::default(),
        }
    }

    /// The same, of a command that was allowed before.
    fn after_a_change(mut self) -> Self {
        self.why = format!("{CHANGED} {}", self.why).into();
        self
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn hash(&self) -> CommandHash {
        self.hash
    }

    /// What was found, in whole sentences.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What to do instead; names `ssh_plan`.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// The guilty part of a chain, as it was written; `None` for a single command.
    pub fn denied_command(&self) -> Option<&str> {
        self.denied_command.as_deref()
    }

    /// Byte offset into the judged text.
    pub fn position(&self) -> Option<usize> {
        self.position
    }

    /// For the operator: the line of the deny rule, or of the rule that asked.
    pub fn rule(&self) -> Option<Line> {
        self.rule
    }

    /// For the operator: the entry of `deny_substrings` that was found.
    pub fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }

    pub fn trail(&self) -> &Trail {
        &self.trail
    }
}

/// What the security log is told of a judgement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// For `command_bypass_attempt`: a denied text that shows only once quotes,
    /// backslashes or doubled separators are taken away. Not redacted, not capped: the
    /// record does both, in that order.
    pub bypass: Option<Bypass>,
    /// For `command_chain_parsed` and `command_chain_denied`; `None` for one command.
    pub chain: Option<Chain>,
}

/// The fields of `command_bypass_attempt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bypass {
    pub original_command: String,
    pub normalized_command: String,
    pub blocked_pattern: String,
}

/// A chain without its text: hashes, codes and positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// In order; each part hashed as it was written.
    pub parts: Vec<ChainPart>,
    /// Index of the part that decided a denial.
    pub denied: Option<usize>,
}

/// One simple command of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainPart {
    pub hash: CommandHash,
    /// Byte offset into the judged text.
    pub position: usize,
    pub code: Code,
}
