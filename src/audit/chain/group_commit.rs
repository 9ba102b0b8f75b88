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
    /// Everything before this is on disk, but for what is lost.
    durable: Tip,
    leading: bool,
    /// The error of a sync that failed. It stays: after it the kernel may have dropped
    /// what was not written, and a later sync would succeed without it (fsync(2)).
    failed: Option<Errno>,
    /// Rises with each new file: what a sync of an older one says is no news of this one.
    file: u64,
    /// Records of a file before this one that never came to disk.
    lost: Option<Lost>,
}

/// The records `after..before`, and why they are lost.
struct Lost {
    after: u64,
    before: u64,
    errno: Errno,
}

impl Default for Synced {
    fn default() -> Self {
        Self {
            durable: Tip::START,
            leading: false,
            failed: None,
            file: 0,
            lost: None,
        }
    }
}

impl Synced {
    /// Whether every record before number `next` is on disk; `None`: not yet known.
    fn answer(&self, next: u64) -> Option<Result<(), Errno>> {
        if let Some(lost) = &self.lost
            && lost.after < next
            && next <= lost.before
        {
            return Some(Err(lost.errno));
        }
        if let Some(errno) = self.failed {
            return Some(Err(errno));
        }
        (self.durable.next >= next).then_some(Ok(()))
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
            if let Some(answer) = state.answer(next) {
                return answer;
            }
            if state.leading {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.leading = true;
            let file = state.file;
            drop(state);
            let synced = sync();
            state = self.lock();
            state.leading = false;
            match synced {
                // A rotation came between: the sync may have been that of the file before,
                // which is not this one's to answer for.
                _ if state.file != file => {}
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

    /// A new file is in use and on disk up to `tip`: an old failure is over. `old` is what
    /// the last sync of the file before came to, which ended before record `end`: whoever
    /// waits for one of its records must not be told that it is on disk if it is not.
    pub(crate) fn renew(&self, tip: Tip, old: Result<(), Errno>, end: u64) {
        let mut state = self.lock();
        if let Err(errno) = old {
            let after = match &state.lost {
                // Nothing has come to disk since the loss before.
                Some(lost) if lost.before >= state.durable.next => lost.after,
                _ => state.durable.next,
            };
            state.lost = Some(Lost {
                after,
                before: end,
                errno,
            });
        }
        state.durable = tip;
        state.failed = None;
        state.file = state.file.wrapping_add(1);
        self.changed.notify_all();
    }

    /// Nothing more can be said to be on disk.
    pub(crate) fn fail(&self, errno: Errno) {
        let mut state = self.lock();
        state.failed = Some(errno);
        state.file = state.file.wrapping_add(1);
        drop(state);
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
        group.renew(Tip::START, Ok(()), 0);
        assert_eq!(group.reach(1, fine), Ok(()));
    }

    /// A sync that takes long, a rotation meanwhile, and then the sync of the file before
    /// fails.
    #[test]
    fn a_late_failure_of_the_old_file_is_not_the_new_ones() {
        let group = Group::default();
        let tip = |next| Tip {
            next,
            head: Digest::ZERO,
        };
        let late = || {
            group.renew(tip(5), Ok(()), 3);
            Err(Errno::EIO)
        };
        // The rotation had synced the old file before it was left.
        assert_eq!(group.reach(2, late), Ok(()));
        assert_eq!(group.reach(6, || Ok(tip(6))), Ok(()));
    }

    #[test]
    fn what_the_old_file_lost_is_not_said_to_be_on_disk() {
        let group = Group::default();
        let tip = |next| Tip {
            next,
            head: Digest::ZERO,
        };
        assert_eq!(group.reach(2, || Ok(tip(2))), Ok(()));
        assert_eq!(group.reach(4, || Err(Errno::EIO)), Err(Errno::EIO));
        group.renew(tip(7), Err(Errno::EIO), 5);
        let unasked = || unreachable!();
        assert_eq!(group.reach(2, unasked), Ok(()));
        for lost in 3..=5 {
            assert_eq!(group.reach(lost, unasked), Err(Errno::EIO), "{lost}");
        }
        assert_eq!(group.reach(7, unasked), Ok(()));
    }
}
