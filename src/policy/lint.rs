//! Warnings of `check`.
use super::source::RuleSource;
use super::{Policy, Warning};

pub(super) fn warnings(
    _policy: &Policy,
    _rules: &[RuleSource],
    _deny_substrings: Option<&[String]>,
) -> Vec<Warning> {
    Vec::new()
}
