//! Which keys there are, what may stand under them, and how a mistake is told.
//!
//! `table` is the form, `keys` and `policy_keys` are the tables that reader, messages and
//! documentation share; `section` and `typed` read a node by them; `findings` and `problem`
//! collect what is wrong, all of it, with file, line and the accepted values. Called by [`crate::config::read`].

pub(crate) mod findings;
pub(crate) mod keys;
pub(crate) mod policy_keys;
pub(crate) mod problem;
pub(crate) mod section;
pub(crate) mod table;
pub(crate) mod typed;
