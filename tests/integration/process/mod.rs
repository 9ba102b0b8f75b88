//! What the server does to itself at its start: privileges, levels of the sandbox.

mod chroot;
mod leash;
mod limits;
mod memory;
mod metrics;
mod privileges;
mod sandbox_levels;
