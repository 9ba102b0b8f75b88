//! How long finished tasks stay readable: until their time is up, or until memory is
//! needed, the oldest first.
//!
//! Owns the order of expiry, the bound on their number and the names of those that had
//! to go early. Holds no output itself, counts no bytes ([`crate::task::output`] does) and has
//! no clock. Called by [`crate::task::registry`] under its lock; what this names, the registry
//! forgets.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Instant;

use crate::model::names::TaskId;

/// Most finished tasks that are kept, whatever their size.
pub(crate) const MAX_KEPT: usize = 4_096;
/// How many names of results that went early are remembered.
const MAX_REMEMBERED: usize = 1_024;

/// The place of a finished task among the others.
pub(crate) type Place = u64;

#[derive(Debug, Default)]
pub(crate) struct Results {
    next: Place,
    by_age: BTreeMap<Place, Kept>,
    by_expiry: BTreeSet<(Instant, Place)>,
    dropped: VecDeque<TaskId>,
    dropped_names: HashSet<TaskId>,
}

#[derive(Debug)]
struct Kept {
    id: TaskId,
    expires: Instant,
}

impl Results {
    /// Keeps a finished task until `expires`.
    pub(crate) fn keep(&mut self, id: TaskId, expires: Instant) {
        let place = self.next;
        self.next += 1;
        self.by_expiry.insert((expires, place));
        self.by_age.insert(place, Kept { id, expires });
    }

    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// When the next result expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.by_expiry.first().map(|(expires, _)| *expires)
    }

    /// Takes out one task whose time is up.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<TaskId> {
        let (_, place) = *self.by_expiry.first().filter(|(at, _)| *at <= now)?;
        Some(self.take(place)?.id)
    }

    /// Takes out the oldest task before its time, and remembers that it went.
    pub(crate) fn evict(&mut self) -> Option<TaskId> {
        let place = *self.by_age.keys().next()?;
        let id = self.take(place)?.id;
        self.dropped.push_back(id.clone());
        self.dropped_names.insert(id.clone());
        if self.dropped.len() > MAX_REMEMBERED
            && let Some(oldest) = self.dropped.pop_front()
        {
            self.dropped_names.remove(&oldest);
        }
        Some(id)
    }

    /// Whether this result went before its time.
    pub(crate) fn was_dropped(&self, id: &TaskId) -> bool {
        self.dropped_names.contains(id)
    }

    fn take(&mut self, place: Place) -> Option<Kept> {
        let kept = self.by_age.remove(&place)?;
        self.by_expiry.remove(&(kept.expires, place));
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn id(text: &str) -> TaskId {
        TaskId::parse(text).unwrap()
    }

    #[test]
    fn each_expires_at_its_own_time() {
        let now = Instant::now();
        let mut results = Results::default();
        results.keep(id("long"), now + Duration::from_secs(9));
        results.keep(id("short"), now + Duration::from_secs(1));
        assert_eq!(results.expire(now), None);
        assert_eq!(results.next_expiry(), Some(now + Duration::from_secs(1)));
        let later = now + Duration::from_secs(1);
        assert_eq!(results.expire(later), Some(id("short")));
        assert_eq!(results.expire(later), None);
        assert_eq!(results.len(), 1);
        assert!(!results.was_dropped(&id("short")));
    }

    #[test]
    fn the_oldest_go_first_and_are_remembered_for_a_while() {
        let later = Instant::now() + Duration::from_secs(9);
        let mut results = Results::default();
        for n in 0..MAX_REMEMBERED + 2 {
            results.keep(id(&format!("t{n}")), later);
        }
        for n in 0..MAX_REMEMBERED + 1 {
            assert_eq!(results.evict(), Some(id(&format!("t{n}"))));
        }
        assert!(!results.was_dropped(&id("t0")));
        assert!(results.was_dropped(&id("t1")));
        assert_eq!(results.len(), 1);
        assert_eq!(results.dropped.len(), results.dropped_names.len());
    }
}
