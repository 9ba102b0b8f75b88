//! The harness of the integration tests: real `sshd`s, a real configuration on disk, and
//! the real binary driven over its standard input and output.
//!
//! Owns everything a test needs from the machine and takes it back: processes, files,
//! the login user. Refuses to mock anything, and refuses to skip: a tool that is missing
//! is a failure that says how to install it. Called by every file in `tests/`.
//!
//! Head of a test file:
//! ```ignore
//! #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed step is a failed test")]
//! mod common;
//! use common::{Era, Fleet, Server};
//! ```
#![allow(
    dead_code,
    unused_imports,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "each test binary uses its own part of the harness, and a failed step of it is a failed test"
)]

mod agent;
mod canary;
mod daemon;
mod feed;
mod fleet;
mod gate;
mod login;
mod proxy;
mod schema;
mod scratch;
mod server;
mod setup;
mod tools;

pub(crate) use agent::Agent;
pub(crate) use canary::Canaries;
pub(crate) use daemon::Kind;
pub(crate) use feed::{DEADLINE, Feed, wait_until};
pub(crate) use fleet::{Fleet, HostSpec, Machine, policy_allowing};
pub(crate) use gate::Gate;
pub(crate) use login::login;
pub(crate) use proxy::Proxy;
pub(crate) use schema::{Era, violations};
pub(crate) use scratch::Scratch;
pub(crate) use server::{
    Finished, Launch, Server, members, record_types, structured, task_of, text_of,
};
pub(crate) use setup::{Setup, run_cli};
pub(crate) use tools::{copy_program, processes_with, run, tool, write_program};
