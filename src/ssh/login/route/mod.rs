//! The way to a host: one hop of it, and the sessions to jump hosts that several share.
//!
//! `hop` reaches one host and logs in, `proof` is what a way relied on, `bastions` keeps the
//! sessions that carry others, `presented` asks for a host's keys. Called by
//! [`crate::ssh::login`].

pub(crate) mod bastions;
pub(crate) mod hop;
pub(crate) mod presented;
pub(crate) mod proof;
