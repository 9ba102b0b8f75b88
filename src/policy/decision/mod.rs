//! The judgement of one text, and the words for what came of it.
//!
//! `judge` puts lexer, deny list and rules in order, `verdict` is what comes out (and the
//! only maker of a permit), `reason` the stable codes with their sentences, `explain` the
//! steps for a person. Called through [`crate::policy::Policy`].

pub(crate) mod explain;
pub(crate) mod judge;
pub(crate) mod reason;
pub(crate) mod verdict;
