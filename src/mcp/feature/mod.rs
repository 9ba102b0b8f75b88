//! What the protocol offers beside tools: resources, prompts, completion, logging,
//! subscriptions, tasks, and the cursors that page through long lists.
//!
//! Each file owns one utility or feature of the MCP specification under its name there.
//! Called by [`crate::mcp::dispatch`].

pub mod completion;
pub mod cursor;
pub mod logging;
pub mod prompts;
pub mod resources;
pub mod subscriptions;
pub mod task;
pub mod tasks;
