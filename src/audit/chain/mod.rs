//! The audit file: records in a hash chain, on disk before what they announce happens.
//!
//! `seal` links a record to the one before it, `ledger` appends and rotates, `committer` and
//! `group_commit` wait for the disk once for many, `directory` holds the file's place,
//! `recover` mends a torn end, `verify` proves a chain, `line_reader` reads it back, from
//! what `inputs` opens and `gunzip` unpacks; `archive` keeps a directory of chains, `heads` is
//! what is signed of them.

pub(crate) mod archive;
pub(crate) mod committer;
pub(crate) mod directory;
pub(crate) mod group_commit;
pub(crate) mod gunzip;
pub(crate) mod heads;
pub(crate) mod inputs;
pub(crate) mod ledger;
pub(crate) mod line_reader;
pub(crate) mod recover;
pub(crate) mod seal;
pub(crate) mod verify;
