//! The promises, each in a file of its own, against the real binary and real servers.
//!
//! One crate, because each test binary links OpenSSL. What needs a process to itself has
//! one: `../sandbox` (confines forked children), `../own_mounts` (leaves the machine's mount
//! namespace), `../ssh_hostile` (measures its own memory), `../architecture` (reads the
//! sources and links nothing). A folder here is a room of `src/`, or what belongs to none.
//!
//! One file: `cargo test --test integration policy::corpus`.

#[path = "../common/mod.rs"]
mod common;
#[path = "../direct/mod.rs"]
mod direct;
#[path = "../ledger/mod.rs"]
mod ledger;

mod audit;
mod build;
mod cli;
mod config;
mod deploy;
mod files;
mod mcp;
mod policy;
mod process;
mod ssh;
mod tasks;
