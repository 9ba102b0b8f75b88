//! What the process is and may do, as the kernel sees it: descriptors, signals,
//! identity, limits and the sandbox.
//!
//! Mechanism only: each call does one thing and says what came of it; what must hold
//! before the server speaks is decided by `startup`, the only caller. Apart from
//! `ssh/libssh2` this is the only place with unsafe code, each block with its reason.

#![allow(
    unsafe_code,
    reason = "system calls and C symbols that no safe wrapper offers"
)]

pub(crate) mod landlock;
pub(crate) mod out_of_memory;
pub(crate) mod privileges;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod seccomp;
pub(crate) mod signals;
pub(crate) mod single_threaded;
pub(crate) mod stdio;
pub(crate) mod syscalls;
