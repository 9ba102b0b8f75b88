//! Lines on stdin and stdout: framing, JSON-RPC, and the one writer.
//!
//! `frame` bounds a line, `message` reads it as JSON-RPC 2.0, `json` builds answers, `outbox`
//! is the queue of the only writer of stdout. Called by [`crate::mcp::session`].

pub mod frame;
pub mod json;
pub mod message;
pub mod outbox;
