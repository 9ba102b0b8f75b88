//! Idle sessions, kept for the next command to the same host.
//!
//! A session that is taken is in use until the last run on it is done. It is dropped when its
//! time is up, on a reload, and when there are too many. Whether it may be used again is
//! the taker's question ([`crate::ssh::client`]); this only keeps and drops.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Snapshot;
use crate::model::memory::Held;
use crate::model::names::HostAlias;
use crate::ssh::login::route::proof::Proof;
use crate::ssh::session::spare::Spare;
use crate::ssh::transport::link::Link;

/// Idle sessions kept for one host, at most.
const PER_HOST: usize = 8;
const STACK: usize = 64 * 1024;

/// What a session was made for: a host of one configuration. Another configuration never
/// finds it, not even one of the same files: it may have other secrets.
#[derive(Clone)]
pub(crate) struct Key {
    alias: HostAlias,
    configuration: Weak<Snapshot>,
}

impl Key {
    pub(crate) fn new(alias: &HostAlias, configuration: &Arc<Snapshot>) -> Self {
        Self {
            alias: alias.clone(),
            configuration: Arc::downgrade(configuration),
        }
    }

    /// One of no configuration.
    #[cfg(test)]
    pub(crate) fn of(alias: &str) -> Option<Self> {
        Some(Self {
            alias: HostAlias::parse(alias).ok()?,
            configuration: Weak::new(),
        })
    }

    /// Whether the configuration is still there.
    pub(crate) fn is_current(&self) -> bool {
        self.configuration.strong_count() > 0
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.alias == other.alias && self.configuration.ptr_eq(&other.configuration)
    }
}

/// A session that nobody uses.
pub(crate) struct Parked {
    pub(crate) link: Link,
    pub(crate) proof: Arc<Proof>,
    pub(crate) spare: Option<Spare>,
    /// What the account of memory knows of.
    pub(crate) _held: Held,
}

#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something was parked, or all is to go.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The one parked last is at the back.
    sessions: VecDeque<(Key, Instant, Parked)>,
    has_reaper: bool,
    /// Hosts that refused a spare channel.
    without_spare: Vec<Key>,
    /// Rises with each [`Pool::clear`]: what was in use then is not parked afterwards.
    era: u64,
}

impl Pool {
    /// To be given back to [`Pool::park`].
    pub(crate) fn era(&self) -> u64 {
        self.0.lock().era
    }

    /// The session parked last for `key`.
    pub(crate) fn take(&self, key: &Key) -> Option<Parked> {
        let mut state = self.0.lock();
        let index = state
            .sessions
            .iter()
            .rposition(|(other, until, _)| other == key && *until > Instant::now())?;
        state.sessions.remove(index).map(|(_, _, parked)| parked)
    }

    /// Keeps a session for `idle`, unless the pool was cleared since `era`; at most so many
    /// in all.
    pub(crate) fn park(&self, key: Key, parked: Parked, idle: Duration, era: u64, most: usize) {
        let Some(until) = Instant::now().checked_add(idle).filter(|_| !idle.is_zero()) else {
            return parked.link.goodbye();
        };
        parked.link.shrink();
        let mut state = self.0.lock();
        if state.era != era {
            drop(state);
            return parked.link.goodbye();
        }
        let same = state
            .sessions
            .iter()
            .filter(|(other, _, _)| *other == key)
            .count();
        let surplus = if same >= PER_HOST {
            state
                .sessions
                .iter()
                .position(|(other, _, _)| *other == key)
        } else {
            (state.sessions.len() >= most).then_some(0)
        };
        let surplus = surplus.and_then(|index| state.sessions.remove(index));
        state.sessions.push_back((key, until, parked));
        self.keep(&mut state);
        drop(state);
        self.0.changed.notify_one();
        if let Some((_, _, parked)) = surplus {
            parked.link.goodbye();
        }
    }

    /// Drops all sessions, and those in use as soon as they are done.
    pub(crate) fn clear(&self) {
        let mut state = self.0.lock();
        state.era = state.era.wrapping_add(1);
        let sessions = std::mem::take(&mut state.sessions);
        state.without_spare = Vec::new();
        drop(state);
        self.0.changed.notify_one();
        for (_, _, parked) in sessions {
            parked.link.goodbye();
        }
    }

    /// Drops the session that has been idle for longest, if there is one.
    pub(crate) fn drop_oldest(&self) -> bool {
        let oldest = self.0.lock().sessions.pop_front();
        let Some((_, _, parked)) = oldest else {
            return false;
        };
        parked.link.goodbye();
        true
    }

    /// Drops the idle sessions of `key`.
    pub(crate) fn discard(&self, key: &Key) {
        let mut state = self.0.lock();
        let all = std::mem::take(&mut state.sessions);
        let (gone, kept) = all.into_iter().partition(|(other, _, _)| other == key);
        state.sessions = kept;
        drop(state);
        let gone: VecDeque<(Key, Instant, Parked)> = gone;
        for (_, _, parked) in gone {
            parked.link.goodbye();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().sessions.len()
    }

    /// How many idle sessions have a spare channel that the host has granted.
    pub(crate) fn warm(&self) -> usize {
        let mut state = self.0.lock();
        let parked = state.sessions.iter_mut().map(|(_, _, parked)| parked);
        let is_warm = |parked: &mut Parked| {
            let alive = parked.link.seems_alive();
            let spare = parked.spare.as_mut();
            spare.is_some_and(|spare| {
                spare.look(&mut parked.link);
                alive && spare.is_granted()
            })
        };
        parked.map(is_warm).filter(|warm| *warm).count()
    }

    /// No spare channel is asked of this host again, until a reload.
    pub(crate) fn refuses_spares(&self, key: &Key) {
        let mut state = self.0.lock();
        // Those of a configuration that is gone are nobody's.
        state
            .without_spare
            .retain(|other| other != key && other.is_current());
        state.without_spare.push(key.clone());
    }

    pub(crate) fn takes_spares(&self, key: &Key) -> bool {
        !self.0.lock().without_spare.contains(key)
    }

    /// Sees to it that a thread waits for the sessions' time to be up; it ends with the
    /// last of them. Without it (no threads left) they still end at the next park.
    fn keep(&self, state: &mut State) {
        if state.has_reaper {
            return;
        }
        let weak = Arc::downgrade(&self.0);
        let builder = thread::Builder::new()
            .name("idle-sessions".into())
            .stack_size(STACK);
        state.has_reaper = builder.spawn(move || reap(&weak)).is_ok();
    }
}

fn reap(weak: &Weak<Shared>) {
    while let Some(shared) = weak.upgrade() {
        let mut state = shared.lock();
        let now = Instant::now();
        let mut over = Vec::new();
        let mut index = 0;
        while let Some((_, until, _)) = state.sessions.get(index) {
            if *until <= now {
                over.extend(state.sessions.remove(index));
            } else {
                index = index.saturating_add(1);
            }
        }
        let next = state.sessions.iter().map(|(_, until, _)| *until).min();
        if next.is_none() {
            state.has_reaper = false;
        }
        let done = match next {
            Some(next) if over.is_empty() => {
                drop(
                    shared
                        .changed
                        .wait_timeout(state, next.saturating_duration_since(now)),
                );
                false
            }
            Some(_) => false,
            None => true,
        };
        for (_, _, parked) in over {
            parked.link.goodbye();
        }
        if done {
            return;
        }
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

    #[test]
    fn a_host_that_refused_a_spare_is_asked_for_none_until_a_reload() {
        let key = |alias: &str| Key::of(alias).unwrap();
        let pool = Pool::default();
        pool.refuses_spares(&key("web1"));
        assert!(!pool.takes_spares(&key("web1")));
        assert!(pool.takes_spares(&key("web2")));
        pool.clear();
        assert!(pool.takes_spares(&key("web1")));
    }
}
