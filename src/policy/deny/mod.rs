//! What is never allowed: deny rules and `deny_substrings`, matched generously.
//!
//! `views` makes the other readings of a command, `rules` matches the deny rules on them,
//! `substrings` the list of the limits. Never allows anything. Called by the decision.

pub(crate) mod rules;
pub(crate) mod substrings;
pub(crate) mod views;
