//! What the protocol offers beside tools: resources, prompts, skills, completion, logging,
//! subscriptions, tasks, and the cursors that page through long lists.
//!
//! Each file owns one utility or feature of the MCP specification under its name there.
//! Called by [`crate::mcp::dispatch`].

pub(crate) mod completion;
pub(crate) mod cursor;
pub(crate) mod logging;
pub(crate) mod prompts;
pub(crate) mod resources;
pub(crate) mod skills;
pub(crate) mod subscriptions;
pub(crate) mod task;
pub(crate) mod tasks;
