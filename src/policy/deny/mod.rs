//! What is never allowed: deny rules and `deny_substrings`, matched generously.
//!
//! `views`, `placed` and `tidy` make other readings of a command, `rules` matches the deny rules on them,
//! `meaning` on what the words are, `paths` on the files they name; `substrings` is the list
//! of the limits. Never allows anything. Called by the decision.

pub(crate) mod built_in;
pub(crate) mod hit;
pub(crate) mod meaning;
pub(crate) mod paths;
pub(crate) mod placed;
pub(crate) mod rules;
mod same;
pub(crate) mod substrings;
mod tidy;
pub(crate) mod views;
