//! Secrets: what they are, and the places that they are looked up in.
//!
//! `value` is a secret in memory (no Debug, no Clone, wiped), `sources` the order of the
//! look-up, `env_file` and `environment` two of the places. Called by [`crate::config::load()`]
//! and by the login that needs one.

pub(crate) mod env_file;
pub(crate) mod environment;
pub(crate) mod sources;
pub(crate) mod value;
