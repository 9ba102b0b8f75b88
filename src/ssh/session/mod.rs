//! A session that is logged in: one command on it, and its keeping for the next one.
//!
//! `exec` sends exactly one request and waits for its end; `pool` keeps idle sessions, and
//! `spare` a channel on each for the next command, which says whether the host was there.
//! Called by [`crate::ssh::client`].

pub(crate) mod exec;
pub(crate) mod feed;
pub(crate) mod pool;
pub(crate) mod spare;
pub(crate) mod sudo;
pub(crate) mod window;
