//! The Model Context Protocol over a pair of byte streams, in all five revisions.
//!
//! Owns the conversation with the client: lines in, lines out, the tools, resources and
//! prompts. Runs nothing and judges nothing itself: it asks `policy` what may run and
//! hands that to `task`. Trusts nothing a client sends: lines, nesting, ids, queues and
//! threads are bounded, and no input ends the server but its end. Called by `startup`.
//!
//! Who calls whom, from the top: `connection` reads lines, `dispatch` finds the handler of
//! a method, `tools` and `feature` are the handlers, `call` is one `tools/call` with its
//! reply, `session` is the state of the client, `protocol` its revision, `wire` its bytes.

pub(crate) mod call;
pub(crate) mod connection;
pub(crate) mod dispatch;
pub(crate) mod feature;
pub(crate) mod protocol;
pub(crate) mod session;
pub(crate) mod tools;
pub(crate) mod wire;

pub use crate::mcp::connection::handle_line;
pub(crate) use crate::mcp::connection::serve;
pub use crate::mcp::session::{Server, Session};
pub use crate::mcp::wire::frame::{Frame, LineReader, MAX_LINE};
pub use crate::mcp::wire::outbox::Outbox;
