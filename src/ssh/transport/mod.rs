//! From a host's name to bytes on a socket.
//!
//! `resolve` looks a name up, `connect` reaches the pinned address, `link` moves bytes within a
//! deadline, `wait` waits for them, `buffers` holds what libssh2 has yet to read or write. Knows
//! nothing of keys or commands. Called by `login` and `session`.

pub(crate) mod buffers;
pub(crate) mod conduit;
pub(crate) mod connect;
pub(crate) mod link;
pub(crate) mod relay;
pub(crate) mod resolve;
pub(crate) mod wait;
