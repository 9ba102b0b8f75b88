//! What a run is answered: on one host, on many, or not at all.
//!
//! Owns the members of these answers and their order, in two forms that say the same: text
//! that a model reads, and members for programs. What matters comes first; what is false,
//! empty or said already is left out. Runs nothing and asks nothing. Called by the tools
//! that run commands and by those that look after tasks.

pub(crate) mod counts;
pub(crate) mod ranges;
pub(crate) mod refusal;
pub(crate) mod run;
pub(crate) mod tag;
