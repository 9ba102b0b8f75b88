//! Why a command may not run, and what the security log is told of a judgement.
//!
//! Owns the parts of a denial and which of them an assistant may see. Grants nothing.
//! Made by `judge`, by a question that got no yes, and by a renewal that found another
//! policy; read by `task`, `mcp` and `audit`.

use crate::model::names::CommandHash;
use crate::policy::decision::does;
use crate::policy::decision::kind::{Kind, Rewrite};
use crate::policy::decision::reason::Code;
use crate::policy::hazard::Hazard;
use crate::policy::programs::effects::Effects;
use crate::policy::programs::reading::Unknown;
use crate::policy::rule::path_pattern;
use crate::policy::source::Line;
use crate::policy::syntax::command::Word;

/// How a denial begins that came after the permit.
const CHANGED: &str = "The policy was changed while this command waited, so it was judged anew.";

/// Longest quotation of a command in a sentence, in characters.
const QUOTE_MAX: usize = 200;

const UNKNOWN: &str = "Nothing is known of what this word does, and no rule spells it out";
const VERB_HINT: &str =
    "Use a subcommand that only reads, or ask the operator to allow exactly this command";
const SCRIPT: &str = "This may do more than read, compute and print, and no rule spells it out";
const SCRIPT_HINT: &str = "Reduce it to what reads, computes and prints, or ask the operator to allow exactly this \
    command";
const HELD: &str =
    "What a process holds, and what lies behind its links, is opened by no paths of a rule";
const HELD_HINT: &str = "Name another file, or ask the operator to allow exactly this command: a rule grants it that \
    spells it whole, or has trust_arguments";
const ADDED: &str =
    "What xargs adds nobody knows before it runs, and here it could be any file or option";
const ADDED_HINT: &str =
    "Write them out, or for files use find DIR -name 'PATTERN' -exec PROGRAM {} +";

/// Why a question came back without a yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalFailure {
    /// The client cannot ask.
    Unavailable,
    /// A person said no.
    Declined,
    /// The question was closed, or taken back, without a yes or a no.
    Cancelled,
    /// The client's answer says nothing.
    Malformed,
    Timeout,
    /// Answered for another host or command.
    Mismatch,
    /// Nobody was asked, because the policy did not want it when the command was taken on.
    Missing,
}

impl ApprovalFailure {
    /// The code of the denial that follows.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Unavailable => Code::ApprovalUnavailable,
            Self::Declined => Code::ApprovalDeclined,
            Self::Cancelled => Code::ApprovalCancelled,
            Self::Malformed => Code::ApprovalMalformed,
            Self::Timeout => Code::ApprovalTimeout,
            Self::Mismatch => Code::ApprovalMismatch,
            Self::Missing => Code::ApprovalMissing,
        }
    }
}

/// Why a command may not run. Everything but the operator's part may be shown to the
/// assistant; nothing in it quotes the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub(crate) code: Code,
    pub(crate) hash: CommandHash,
    pub(crate) why: Box<str>,
    pub(crate) hint: Box<str>,
    pub(crate) details: Box<Details>,
    pub(crate) program_known: Option<bool>,
    pub(crate) denied_command: Option<Box<str>>,
    pub(crate) position: Option<usize>,
    pub(crate) rule: Option<Line>,
    pub(crate) entry: Option<Box<str>>,
    pub(crate) trail: Box<Trail>,
}

/// What helps to write it otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Details {
    /// All reasons, in the order of the text.
    pub(crate) faults: Vec<DenialFault>,
    pub(crate) rewrite: Option<Rewrite>,
    /// Where it is not the one that the code stands for.
    pub(crate) kind: Option<Kind>,
}

/// One of several reasons for a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialFault {
    pub code: Code,
    /// Byte offset into the judged text.
    pub position: usize,
    /// What stands there, cut where it gets long.
    pub found: Box<str>,
}

impl Denial {
    pub(crate) fn new(code: Code, hash: CommandHash, position: Option<usize>) -> Self {
        let kind = code.kind();
        Self {
            code,
            hash,
            why: [code.why(), "."].concat().into(),
            hint: [code.hint(), ". ", kind.advice(), "."].concat().into(),
            details: Box::default(),
            program_known: None,
            denied_command: None,
            position,
            rule: None,
            entry: None,
            trail: Box::default(),
        }
    }

    /// The same, of a command whose words are all known and do more than a rule grants:
    /// `phrases` as in "changes something".
    fn beyond_reading(&mut self, phrases: &str, effects: Effects) {
        self.details.kind = Some(Kind::Narrow);
        self.why = format!("No rule grants a command that {phrases}").into();
        let harmless = Effects::FOLLOWS.and(Effects::NETWORK).and(Effects::SECRETS);
        let or_such = match effects.within(harmless) {
            true => format!(", or all such (also: [{effects}] in a reads rule)"),
            false => String::new(),
        };
        self.hint = format!(
            "Find it out with a command that only reads, or ask the operator to allow exactly \
             this one{or_such}. {}.",
            Kind::Narrow.advice()
        )
        .into();
    }

    /// The same, of a word that no rule grants.
    pub(in crate::policy::decision) fn because_of(&mut self, words: &[Word<'_>], hazard: Hazard) {
        let Some(program) = words.get(hazard.program) else {
            return;
        };
        let Some(word) = words.get(hazard.word) else {
            self.narrow(ADDED, ADDED_HINT);
            self.why = [ADDED, "."].concat().into();
            return;
        };
        self.position = Some(word.start);
        self.why = hazard.code.why().into();
        match does::beyond_reading(words, hazard.word) {
            _ if hazard.code == Code::HazardPath => {
                if path_pattern::is_of_no_place(&path_pattern::text_of(word)) {
                    self.narrow(HELD, HELD_HINT);
                }
            }
            Some((phrases, effects)) => self.beyond_reading(&phrases, effects),
            None => self.not_known(words, hazard),
        }
        self.why = match hazard.word == hazard.program {
            true => format!("{}: {}.", self.why, quoted(&program.text)).into(),
            false => format!(
                "{}: {} of {}.",
                self.why,
                quoted(&word.shown()),
                quoted(&program.text)
            )
            .into(),
        };
    }

    /// The same, of a word that no description lists.
    fn not_known(&mut self, words: &[Word<'_>], hazard: Hazard) {
        let Some((unknown, left_out)) = does::not_known(words, hazard.word) else {
            return;
        };
        // What is said of sed is more.
        if hazard.code == Code::HazardSedScript {
            return;
        }
        let (why, hint) = match (unknown, left_out) {
            (_, Some(reason)) => {
                self.why = format!("Not granted unless a rule spells it out ({reason})").into();
                return;
            }
            (Unknown::Script, _) => (SCRIPT, SCRIPT_HINT),
            (Unknown::Verb, _) => (UNKNOWN, VERB_HINT),
            _ => (UNKNOWN, hazard.code.hint()),
        };
        self.why = why.into();
        self.hint = [hint, ". ", self.kind().advice(), "."].concat().into();
    }

    fn narrow(&mut self, why: &str, hint: &str) {
        self.details.kind = Some(Kind::Narrow);
        self.why = why.into();
        self.hint = [hint, ". ", Kind::Narrow.advice(), "."].concat().into();
    }

    /// That of a command that would be allowed if it were given nothing to read.
    pub(in crate::policy::decision) fn for_what_it_reads(self) -> Self {
        Self {
            trail: self.trail,
            ..Self::new(Code::Stdin, self.hash, None)
        }
    }

    /// The same, of a command that was allowed before.
    pub(in crate::policy::decision) fn after_a_change(mut self) -> Self {
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

    /// What kind of answer this is: put it otherwise, narrow it or ask, stop.
    pub fn kind(&self) -> Kind {
        self.details.kind.unwrap_or_else(|| self.code.kind())
    }

    /// Everything that stands in the way, where that is more than one thing: of a text that
    /// was not understood each fault, of a list each command that is denied.
    pub fn faults(&self) -> &[DenialFault] {
        &self.details.faults
    }

    /// A command that does the same and was judged too.
    pub fn rewrite(&self) -> Option<&Rewrite> {
        self.details.rewrite.as_ref()
    }

    /// Where no rule allows it: whether one allows the program in other forms on this host.
    pub fn program_known(&self) -> Option<bool> {
        self.program_known
    }

    /// What to do instead.
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

/// A text of the command's own, in single quotes, cut where it gets long.
pub(in crate::policy::decision) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTE_MAX) {
        None => format!("'{text}'"),
        Some((end, _)) => format!("'{}…'", text.get(..end).unwrap_or_default()),
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
