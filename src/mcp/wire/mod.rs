//! Lines on stdin and stdout: framing, JSON-RPC, and the one writer.
//!
//! `frame` bounds a line, `message` reads it as JSON-RPC 2.0, `json` builds answers, `outbox`
//! is the queue of the only writer of stdout. Called by [`crate::mcp::connection`].

pub(crate) mod frame;
pub(crate) mod json;
pub(crate) mod message;
pub(crate) mod outbox;
pub(crate) mod refusal;
