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
//! # The map
//!
//! The rooms, each of which uses only those after it: `main → startup → {cli, mcp} → task →
//! {ssh, audit} → config → policy → model`; [`sys`] is called from `startup` alone. A test
//! (`tests/architecture`) holds the direction and refuses circles among files.
//!
//! | Room | What is in it |
//! |---|---|
//! | [`model`] | names, hashes, security events, hidden characters, escapes; no I/O |
//! | [`policy`] | what may run: `syntax`, `programs`, `rule`, `deny`, `hazard`, `decision`; no I/O |
//! | [`config`] | bytes of three files → validated types; `store` keeps what is in force |
//! | [`audit`] | records, their chain, the redactor |
//! | [`ssh`] | addresses, host keys, logins, sessions; `libssh2` is the only unsafe beside `sys` |
//! | [`task`] | one thread a task: queue, state, output, runs on a tag |
//! | [`mcp`] | wire, protocol, calls, tools |
//! | [`cli`], [`startup`] | what is printed for a person; the ordered boot |
//! | [`sys`] | Landlock, seccomp, privileges, signals |
//!
//! # One `ssh_run`, from its line to its answer
//!
//! Each of these files begins with what it owns and what it refuses.
//! 1. `startup/serve`, `startup/sandbox`: the order in which privileges go and things begin;
//!    `sys/landlock`, `sys/seccomp`, `sys/syscalls`: what is left.
//! 2. `mcp/wire/frame`, `mcp/connection`, `mcp/dispatch`: a line becomes a message and a call;
//!    `mcp/tools/arguments`, `mcp/tools/run`: a call becomes checked arguments.
//! 3. `config/store`: the configuration in force, looked at before each decision.
//! 4. `policy/syntax/lexer`, `policy/decision/judge`, `policy/rule`, `policy/deny`,
//!    `policy/syntax/render`: the text becomes words, the words a permit
//!    (`policy/decision/judge/authorised`), or a denial with its reason.
//! 5. `task/permit`, `task/registry`, `task/worker`: the permit is still good, its start is on
//!    record, its end happens once.
//! 6. `ssh/client`, `ssh/transport`, `ssh/host_keys`, `ssh/login`, `ssh/session/exec`: address,
//!    host key, login, exactly one request, and an end on the host too.
//! 7. `audit/redact`, `task/output/clean`, `mcp/call/answer`: what may be shown;
//!    `audit/chain/ledger`, `audit/chain/verify`: what can be shown later.
//!
//! # How to
//!
//! - run one test: `cargo test --test integration config::reload::a_hang_up` (a folder of
//!   `tests/integration` is a room); unit tests: `cargo test --lib policy::`; all: `scripts/test`;
//! - add a tool: its row in `mcp/tools/definitions`, a file beside `mcp/tools/plan`, a line in
//!   `mcp/tools/mod`, a promise in `tests/integration/mcp`;
//! - add a key: its row in `config/schema/keys` or `policy_keys`, its reading in `config/read`,
//!   its line in `config/README.md` (a test compares them), its mistakes in
//!   `tests/data/config/mistakes.txt`;
//! - add a program: its description in `policy/programs/data` (the format is in the head of
//!   `policy/programs`), its cases in `tests/data/programs`;
//! - add a dependency: its reason in `deny.toml` first.

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
