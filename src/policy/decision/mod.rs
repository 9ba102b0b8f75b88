//! The judgement of one text, and the words for what came of it.
//!
//! `judge` puts lexer, deny list and rules in order and is the only maker of a permit
//! (`judge::authorised`), `verdict` is what comes out, `denial` why something may not run,
//! `reason` the stable codes with their sentences, `explain` the steps for a person.
//! `kind` and `remedy` say what to do about a denial, `does` and `endless` what a command does
//! beside reading, `subject` is for whom. Called through [`crate::policy::Policy`].

pub(crate) mod denial;
pub(crate) mod does;
pub(crate) mod endless;
pub(crate) mod explain;
pub(crate) mod judge;
pub(crate) mod kind;
pub(crate) mod reason;
pub(crate) mod remedy;
pub(crate) mod request;
pub(crate) mod subject;
pub(crate) mod verdict;
