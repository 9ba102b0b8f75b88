//! A session that is logged in: the commands on it, and its keeping for the next one.
//!
//! `exec` sends exactly one request on a `channel` and waits for its end; a `connection` carries
//! several of these at once, and `sharing` says whose. `pool` keeps idle sessions, and `spare` a
//! channel on each for the next command, which says whether the host was there. Called by [`crate::ssh::client`].

pub(crate) mod channel;
pub(crate) mod connection;
pub(crate) mod ending;
pub(crate) mod exec;
pub(crate) mod feed;
pub(crate) mod pool;
pub(crate) mod sharing;
pub(crate) mod spare;
pub(crate) mod sudo;
pub(crate) mod window;
