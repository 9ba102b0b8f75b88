//! What a run is answered: on one host, on many, or not at all.
//!
//! Owns the members of these answers, in their order. Runs nothing and asks nothing. Called
//! by the tools that run commands and by those that look after tasks.

pub(crate) mod refusal;
pub(crate) mod run;
pub(crate) mod tag;
