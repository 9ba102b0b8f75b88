//! `mcp-ssh-orchestrator`: an MCP server over stdio that lets an assistant run commands
//! on a fleet over SSH, only what a reviewed policy allows, with a full record of it.
//!
//! What the crate promises, and where it is held:
//! - Nothing runs that was not judged: only [`policy`] makes an `Authorised`, and only
//!   that can be sent ([`ssh`]).
//! - The address that was checked is the one connected to: only the network policy makes
//!   a `PinnedAddress`.
//! - Nothing is skipped and nothing falls open: [`config`] loads whole or not at all.
//! - What ran is on the record before it runs: [`audit`].
//!
//! Modules depend on each other in one direction:
//! `main → startup → mcp → task → {ssh, audit} → {policy, config} → std`; [`sys`] is
//! called from `startup` alone.

pub mod audit;
pub mod cli;
pub mod config;
pub mod mcp;
pub mod policy;
pub mod ssh;
pub mod startup;
pub mod sys;
pub mod task;
