//! A command on many hosts: one task a host, and one report.
//!
//! `plan` picks the hosts, `batch` says how many go together, `fanout` begins and follows their
//! tasks, `events` is what is heard of them, `expected` says which count as succeeded, `report`
//! puts the results in the file's order. Called by the tools that run on a tag.

pub(crate) mod batch;
pub(crate) mod events;
pub(crate) mod expected;
pub(crate) mod fanout;
pub(crate) mod plan;
pub(crate) mod report;
