//! The subcommands that print for a person, a file or folder each.
//!
//! Owns every sentence and table on stdout outside the protocol: reports on a
//! configuration, plans, the audit file read back. Decides nothing: what is shown was found
//! out by the rooms below. Called by `startup`, which owns the order of a boot.

pub mod audit_show;
pub mod check;
pub mod init;
pub mod plan;
