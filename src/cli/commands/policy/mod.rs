//! `policy …`: the subcommands about the policy and what is known of programs.

pub(crate) mod explain;
pub(crate) mod sets;
pub(crate) mod suggest;
pub(crate) mod tables;
pub(crate) mod test;
