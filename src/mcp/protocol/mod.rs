//! Which revision of the protocol is spoken, and who speaks it.
//!
//! `revision` lists what is supported, `handshake` agrees on one, `peer` keeps what the
//! client declared. Called by [`crate::mcp::connection`] and [`crate::mcp::dispatch`].

pub(crate) mod handshake;
pub(crate) mod peer;
pub(crate) mod revision;
