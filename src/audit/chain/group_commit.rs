//! Group commit: many waiters, one fdatasync.
//!
//! Owns who syncs and who waits. The first that needs a record on disk becomes the
//! leader and syncs everything written so far; those that come meanwhile wait, and one
//! of them leads the next sync for all of them. Knows no file: the sync is passed in.
//! Called by the ledger.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use crate::audit::chain::seal::Tip;

#[derive(Default)]
pub(crate) struct Group {
    state: Mutex<Synced>,
    changed: Condvar,
}

struct Synced {
    /// Everything before this is on disk.
    durable: Tip,
    leading: bool,
    /// The error of a sync that failed. It stays: after it the kernel may have dropped
    /// what was not written, and a later sync would succeed without it (fsync(2)).
    failed: Option<Errno>,
}

impl Default for Synced {
    fn default() -> Self {
        Self {
            durable: Tip::START,
            leading: false,
            failed: None,
        }
    }
}

impl Group {
    /// Returns once every record before number `next` is on disk. `sync` brings there
    /// what is written and says up to where that was.
    pub(crate) fn reach(
        &self,
        next: u64,
        sync: impl Fn() -> Result<Tip, Errno>,
    ) -> Result<(), Errno> {
        let mut state = self.lock();
        loop {
            if let Some(errno) = state.failed {
                return Err(errno);
            }
            if state.durable.next >= next {
                return Ok(());
            }
            if state.leading {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.leading = true;
            drop(state);
            let synced = sync();
            state = self.lock();
            state.leading = false;
            match synced {
                Ok(tip) if tip.next > state.durable.next => state.durable = tip,
                Ok(_) => {}
                Err(errno) => state.failed = Some(errno),
            }
            self.changed.notify_all();
        }
    }

    /// Everything before the returned tip is on disk.
    pub(crate) fn durable(&self) -> Tip {
        self.lock().durable
    }

    /// A new file is in use and on disk up to `tip`: an old failure is over.
    pub(crate) fn renew(&self, tip: Tip) {
        let mut state = self.lock();
        state.durable = tip;
        state.failed = None;
        self.changed.notify_all();
    }

    /// Nothing more can be said to be on disk.
    pub(crate) fn fail(&self, errno: Errno) {
        self.lock().failed = Some(errno);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Synced> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::audit::chain::seal::Digest;

    #[test]
    fn many_waiters_share_few_syncs() {
        let group = Arc::new(Group::default());
        let (written, syncs) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let threads: Vec<_> = (0..64)
            .map(|_| {
                let (group, written, syncs) = (group.clone(), written.clone(), syncs.clone());
                std::thread::spawn(move || {
                    for _ in 0..20 {
                        let next = written.fetch_add(1, Ordering::SeqCst) + 1;
                        let sync = || {
                            let next = written.load(Ordering::SeqCst);
                            syncs.fetch_add(1, Ordering::SeqCst);
                            std::thread::yield_now();
                            let head = Digest::ZERO;
                            Ok(Tip { next, head })
                        };
                        group.reach(next, sync).unwrap();
                        assert!(group.durable().next >= next);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert!(syncs.load(Ordering::SeqCst) <= 64 * 20);
    }

    #[test]
    fn a_failed_sync_stays_failed_until_there_is_a_new_file() {
        let group = Group::default();
        assert_eq!(group.reach(1, || Err(Errno::EIO)), Err(Errno::EIO));
        let fine = || {
            Ok(Tip {
                next: 9,
                head: Digest::ZERO,
            })
        };
        assert_eq!(group.reach(1, fine), Err(Errno::EIO));
        group.renew(Tip::START);
        assert_eq!(group.reach(1, fine), Ok(()));
    }
}
