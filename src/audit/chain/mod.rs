//! The audit file: records in a hash chain, on disk before what they tell of happens.
//!
//! `seal` links a record to the one before it, `ledger` appends and rotates, `committer` and
//! `group_commit` wait for the disk once for many, `directory` holds the file's place,
//! `recover` mends a torn end, `verify` proves a chain, `line_reader` reads it back.

pub mod committer;
pub mod directory;
pub mod group_commit;
pub mod ledger;
pub mod line_reader;
pub mod recover;
pub mod seal;
pub mod verify;
