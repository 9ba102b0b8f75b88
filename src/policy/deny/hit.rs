//! What an entry of `deny_substrings` was found in.
//!
//! Owns the finding alone: `substrings` and `built_in` make it, the decision reads it.

use crate::policy::decision::denial::Bypass;

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) entry: String,
    /// Of the built-in list, which is no secret of the operator's.
    pub(crate) built_in: bool,
    /// Index of the command it was found in; `None` if only in the text as a whole.
    pub(crate) command: Option<usize>,
    /// Set if the raw text does not show it.
    pub(crate) bypass: Option<Bypass>,
}
