//! The subcommands that print for a person, a file or folder each.
//!
//! Owns every sentence and table on stdout outside the protocol: reports on a
//! configuration, plans, the audit file read back. Decides nothing: what is shown was found
//! out by the rooms below. Called by `startup`, which owns the order of a boot.

pub(crate) mod about;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod manual;
pub(crate) mod output;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod servers;
pub(crate) mod trust;
pub(crate) mod trust_many;
