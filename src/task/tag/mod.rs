//! A command on many hosts: one task a host, and one report.
//!
//! `plan` picks the hosts, `fanout` begins and follows their tasks, `report` puts the
//! results in the file's order. Called by the tools that run on a tag.

pub(crate) mod fanout;
pub(crate) mod plan;
pub(crate) mod report;
