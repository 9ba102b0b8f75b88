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
//!
//! To read it in an hour, follow one `ssh_run` from its line to its answer; each of these
//! files begins with what it owns and what it refuses:
//! 1. `startup`, `startup/confine`: the order in which privileges go and things begin;
//!    `sys/landlock`, `sys/seccomp`, `sys/syscalls`: what is left.
//! 2. `mcp/session`, `mcp/dispatch`, `mcp/tools/run`: a line becomes a call, a call becomes
//!    checked arguments.
//! 3. `policy/lex`, `policy/judge`, `policy/pattern`, `policy/hazard`, `policy/render`,
//!    `policy/verdict`: the text becomes words, the words a permit.
//! 4. `task/permit`, `task/run`, `task/lifecycle`: the permit is still good, its start is on
//!    record, its end happens once.
//! 5. `ssh/login`, `ssh/known_hosts`, `ssh/client`, `ssh/exec`, `ssh/ffi`: address, host key,
//!    login, exactly one request, and an end on the host too.
//! 6. `task/clean`, `audit/redact`, `audit/ledger`, `audit/verify`: what may be shown, and
//!    what can be shown later.

mod audit;
mod cli;
mod config;
mod mcp;
mod model;
mod policy;
mod ssh;
mod startup;
mod sys;
mod task;

#[doc(hidden)]
pub mod testing;

pub use startup::{Outcome, run};
pub use sys::out_of_memory::RecordingAllocator;
pub use sys::single_threaded::SingleThreaded;
