//! What asks for a person's yes: a rule, and which of its entries.
//!
//! Owns how the two are told apart from all others: by their places, never by their lines,
//! since several rules, and several entries of one, may stand on the same line. Made by the
//! rules; kept with a question and with an approval that stands; read by the configuration,
//! which knows who has to approve.

/// One entry that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    pub(crate) rule: AskingRule,
    pub(crate) entry: Entry,
}

/// The rule that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AskingRule {
    /// By its place in `rules:`.
    Rule(usize),
    /// One of `files:`, none of which says who approves.
    File,
}

/// Which of all the entries of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A pattern or a structured rule, by its place among all of them.
    Grant(usize),
    /// A `reads:` rule, by its place among those.
    Reads(usize),
    /// The rule of `files:`.
    File,
}

impl Asking {
    /// Of a rule of `files:`.
    pub const FILE: Self = Self {
        rule: AskingRule::File,
        entry: Entry::File,
    };
}
