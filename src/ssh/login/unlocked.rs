//! Encrypted private keys, unlocked once for the logins of a while.
//!
//! A passphrase is made slow to try on purpose (bcrypt, `ssh-keygen -a`): fifty logins that
//! each unlock the same file cost fifty times that. Owns the keys that were unlocked: at most
//! [`KEPT`], in memory that is wiped, found only by who has both the same file and the same
//! passphrase, and gone when nothing has logged in with them for as long as idle sessions are
//! kept, or at a reload. With `session_idle_seconds: 0` none is kept. SECURITY.md says what
//! that trades. Writes nothing anywhere. Called by [`crate::ssh::login::auth`].

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::ssh::libssh2::{SecretCString, Session};
use crate::ssh::login::private_key;

/// Keys kept at a time, at most.
const KEPT: usize = 16;
const STACK: usize = 64 * 1024;

/// A private key file without a passphrase.
pub(crate) type Plain = Arc<Zeroizing<Vec<u8>>>;

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Unlocked(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something has another end than before.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    has_reaper: bool,
}

struct Entry {
    id: Id,
    until: Instant,
    /// `None` within: it is being unlocked, by whoever holds the lock. A passphrase that is
    /// wrong is not tried again by all who wait for it.
    key: Arc<Mutex<Option<Option<Plain>>>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Id(Zeroizing<[u8; 32]>);

impl Id {
    fn of(file: &[u8], passphrase: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(Sha256::digest(file));
        digest.update(passphrase);
        Self(Zeroizing::new(digest.finalize().into()))
    }
}

impl Unlocked {
    /// The file without its passphrase. `None`: that does not fit, or the file is not of
    /// OpenSSH's form (the others are not slow to unlock).
    pub(crate) fn key(&self, file: &[u8], passphrase: &[u8], keep: Duration) -> Option<Plain> {
        self.open(file, passphrase, keep, || unlock(file, passphrase))
    }

    /// The key of `file`, by `unlock` unless that was done a short while ago; it is kept for
    /// `keep` from now. `None`: `unlock` says that the passphrase does not fit.
    fn open(
        &self,
        file: &[u8],
        passphrase: &[u8],
        keep: Duration,
        unlock: impl FnOnce() -> Option<Plain>,
    ) -> Option<Plain> {
        let Some(until) = Instant::now().checked_add(keep).filter(|_| !keep.is_zero()) else {
            return unlock();
        };
        let slot = self.slot(Id::of(file, passphrase), until);
        // Whoever comes meanwhile waits here, as it would have to work.
        let mut key = slot.lock().unwrap_or_else(PoisonError::into_inner);
        key.get_or_insert_with(unlock).clone()
    }

    fn slot(&self, id: Id, until: Instant) -> Arc<Mutex<Option<Option<Plain>>>> {
        let mut state = self.0.lock();
        state.drop_old();
        let found = state.entries.iter_mut().find(|entry| entry.id == id);
        let slot = match found {
            Some(entry) => {
                entry.until = entry.until.max(until);
                Arc::clone(&entry.key)
            }
            None => {
                if state.entries.len() >= KEPT {
                    state.entries.remove(0);
                }
                let key = Arc::default();
                state.entries.push(Entry {
                    id,
                    until,
                    key: Arc::clone(&key),
                });
                key
            }
        };
        self.watch(&mut state);
        drop(state);
        self.0.changed.notify_one();
        slot
    }

    /// Forgets all of them; who logs in with one at the moment has it until then.
    pub(crate) fn forget(&self) {
        self.0.lock().entries.clear();
        self.0.changed.notify_one();
    }

    /// Sees to it that a thread waits for the end of the first; it ends with the last of them.
    /// Without it (no threads left) they still end at the next login.
    fn watch(&self, state: &mut State) {
        if state.has_reaper {
            return;
        }
        let weak = Arc::downgrade(&self.0);
        let builder = thread::Builder::new()
            .name("unlocked-keys".into())
            .stack_size(STACK);
        state.has_reaper = builder.spawn(move || reap(&weak)).is_ok();
    }
}

fn unlock(file: &[u8], passphrase: &[u8]) -> Option<Plain> {
    let public = private_key::inspect(file).ok()?.public?;
    let passphrase = SecretCString::new(passphrase)?;
    let private = Session::new()
        .ok()?
        .decrypt_key(file, passphrase.as_c_str())?;
    private_key::plain_file(&public, &private).map(Arc::new)
}

fn reap(weak: &Weak<Shared>) {
    while let Some(shared) = weak.upgrade() {
        let mut state = shared.lock();
        state.drop_old();
        let Some(next) = state.entries.iter().map(|entry| entry.until).min() else {
            state.has_reaper = false;
            return;
        };
        let left = next.saturating_duration_since(Instant::now());
        drop(shared.changed.wait_timeout(state, left));
    }
}

impl State {
    fn drop_old(&mut self) {
        let now = Instant::now();
        self.entries.retain(|entry| entry.until > now);
    }
}

impl Shared {
    /// A poisoned lock is taken as it is: nothing in here is left half-done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const KEEP: Duration = Duration::from_secs(60);

    fn plain(text: &str) -> Option<Plain> {
        Some(Arc::new(Zeroizing::new(text.into())))
    }

    fn text(key: Option<Plain>) -> Option<String> {
        key.map(|key| String::from_utf8_lossy(&key).into_owned())
    }

    #[test]
    fn many_at_once_unlock_it_once() {
        let (unlocked, count) = (Unlocked::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let key = unlocked.open(b"file", b"word", KEEP, || {
                        count.fetch_add(1, Ordering::SeqCst);
                        plain("key")
                    });
                    assert_eq!(text(key).as_deref(), Some("key"));
                });
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn another_file_or_passphrase_finds_nothing() {
        let unlocked = Unlocked::default();
        unlocked.open(b"file", b"word", KEEP, || plain("key"));
        for (file, word) in [(&b"file"[..], &b"words"[..]), (b"files", b"word")] {
            assert_eq!(text(unlocked.open(file, word, KEEP, || None)), None);
        }
        let found = unlocked.open(b"file", b"word", KEEP, || None);
        assert_eq!(text(found).as_deref(), Some("key"));
    }

    #[test]
    fn nothing_stays_where_nothing_is_to_be_kept() {
        let unlocked = Unlocked::default();
        unlocked.open(b"file", b"word", Duration::ZERO, || plain("key"));
        assert_eq!(text(unlocked.open(b"file", b"word", KEEP, || None)), None);
        unlocked.forget();
        let found = unlocked.open(b"file", b"word", Duration::from_nanos(1), || plain("key"));
        assert_eq!(text(found).as_deref(), Some("key"));
        while !unlocked.0.lock().entries.is_empty() {
            thread::yield_now();
        }
        unlocked.open(b"file", b"word", KEEP, || plain("key"));
        unlocked.forget();
        assert_eq!(text(unlocked.open(b"file", b"word", KEEP, || None)), None);
    }

    #[test]
    fn there_is_a_bound() {
        let unlocked = Unlocked::default();
        for n in 0..u8::MAX {
            unlocked.open(&[n], b"word", KEEP, || plain("key"));
        }
        assert_eq!(unlocked.0.lock().entries.len(), KEPT);
    }
}
