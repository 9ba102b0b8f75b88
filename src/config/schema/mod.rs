//! Which keys there are, what may stand under them, and how a mistake is told.
//!
//! `keys` and `policy_keys` are the tables that reader, messages and documentation share;
//! `section` and `typed` read a node by them; `findings` and `problem` collect what is wrong,
//! all of it, with file, line and the accepted values. Called by [`crate::config::read`].

pub mod findings;
pub mod keys;
pub mod policy_keys;
pub mod problem;
pub mod section;
pub mod typed;
