//! Promise: what cannot be recorded does not run. Disks that are full, failing or slow.
//! And what a host has no room for is not half written.
//!
//! A binary of its own: these tests leave the machine's mount namespace, and a thread that
//! has left it does not come back.

#[path = "../common/mod.rs"]
mod common;
#[path = "../ledger/mod.rs"]
mod ledger;

mod audit_disk;
mod audit_load;
mod audit_space;
mod host_disk;
