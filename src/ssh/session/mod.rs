//! A session that is logged in: one command on it, and its keeping for the next one.
//!
//! `exec` sends exactly one request and waits for its end; `pool` keeps idle sessions and
//! hands one out only after it has shown that it lives. Called by [`crate::ssh::client`].

pub(crate) mod exec;
pub(crate) mod pool;
