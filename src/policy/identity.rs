//! Which compiled policy something comes from.
//!
//! Owns a number that no other policy of this process has. Whoever holds a permit can tell
//! by it whether the policy in force is still the one that gave it; a policy that was
//! compiled again from the same file is another one. Made by `compile` alone.

use std::sync::atomic::{AtomicU64, Ordering};

/// The identity of one compiled policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyId(u64);

impl PolicyId {
    pub(in crate::policy) fn fresh() -> Self {
        // 64 bits do not wrap around in the life of a process.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
