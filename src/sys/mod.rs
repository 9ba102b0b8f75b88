//! What the process is and may do, as the kernel sees it: descriptors, signals,
//! identity, limits and the sandbox.
//!
//! Mechanism only: each call does one thing and says what came of it; what must hold
//! before the server speaks is decided by `startup`, the only caller. Apart from
//! `ssh/ffi.rs` this is the only place with unsafe code, each block with its reason.

#![allow(
    unsafe_code,
    reason = "system calls and C symbols that no safe wrapper offers"
)]

pub mod landlock;
pub mod linked_versions;
pub mod privileges;
pub mod process;
pub mod random;
pub mod seccomp;
pub mod signals;
pub mod stdio;
pub mod syscalls;
