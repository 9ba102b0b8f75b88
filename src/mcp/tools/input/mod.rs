//! What a call asks for, checked before anything is done with it.
//!
//! `arguments` reads single values, `target` one host and its command with the steps before
//! a run, `selection` the hosts of a run on many. Called by the tools.

pub(crate) mod arguments;
pub(crate) mod selection;
pub(crate) mod target;
