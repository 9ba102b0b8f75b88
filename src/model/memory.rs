//! One account of memory, in bytes, over all that a client or a host can make the server hold.
//!
//! Owns the two sums and what they may come to: what calls take (commands that wait, the hosts
//! of a run on a tag, open questions), of which one more is refused when it would not fit; and
//! all together, with outputs, results and idle sessions, which make room for one another.
//! Measures nothing: whoever holds something says how much, as an estimate on the high side.
//! Made by `startup` from the limit that the system sets; used by `ssh`, `task` and `mcp`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MIB: usize = 1024 * 1024;
/// Where nothing limits the process.
const UNLIMITED: usize = 128 * MIB;
/// A limit beyond this gives no larger account: nothing here needs it.
const MOST: usize = 1024 * MIB;
/// What the process takes for itself: the program, its configuration, threads, a line that
/// is being read.
const PROCESS: usize = 16 * MIB;
/// The least that an account has, however little there is: one call must fit.
const LEAST: usize = 8 * MIB;

/// What the process may use of the machine.
#[derive(Debug, Clone)]
pub struct Resources {
    pub memory: Arc<Account>,
    /// Most descriptors that can be open.
    pub descriptors: usize,
}

impl Default for Resources {
    /// Those of a process that nothing limits.
    fn default() -> Self {
        Self {
            memory: Account::within(None),
            descriptors: 65_536,
        }
    }
}

impl Resources {
    /// Descriptors that are open whatever runs.
    const ALWAYS_OPEN: usize = 64;
    /// Of one command: its wake-up, a socket or two while it connects, a file that is read.
    const OF_A_TASK: usize = 4;

    /// How many descriptors so many commands at a time need, with a kept session for each of
    /// so many hosts.
    pub fn needed(tasks: usize, hosts: usize) -> usize {
        Self::ALWAYS_OPEN + tasks.saturating_mul(Self::OF_A_TASK).saturating_add(hosts)
    }

    /// How many of `wanted` commands can run at a time. At least one: it may fail, and says why.
    pub fn tasks_at_a_time(&self, wanted: usize) -> usize {
        let own = self.descriptors.saturating_sub(Self::ALWAYS_OPEN);
        wanted.min(own / (Self::OF_A_TASK + 1)).max(1)
    }

    /// How many idle sessions can be kept beside so many commands at a time.
    pub fn idle_sessions(&self, wanted_tasks: usize) -> usize {
        let tasks = self.tasks_at_a_time(wanted_tasks);
        let own = self.descriptors.saturating_sub(Self::needed(tasks, 0));
        own.max(1)
    }
}

/// Shared by all that hold memory for somebody else.
#[derive(Debug)]
pub struct Account {
    /// The system limits the process: what runs counts too, and waits where it does not fit.
    limited: bool,
    most: usize,
    most_for_calls: usize,
    held: AtomicUsize,
    calls: AtomicUsize,
}

impl Account {
    /// The account of a process that may have so many bytes.
    pub fn within(limit: Option<u64>) -> Arc<Self> {
        let limited = limit.is_some_and(|bytes| bytes < MOST as u64);
        let bytes = limit.and_then(|bytes| usize::try_from(bytes).ok());
        let all = bytes.unwrap_or(UNLIMITED).min(MOST);
        // An allocator keeps more than is asked of it: a quarter is left for that.
        let most = (all.saturating_sub(PROCESS) / 4 * 3).max(LEAST);
        Self::of(most, limited)
    }

    /// An account of exactly so many bytes.
    pub fn of(most: usize, limited: bool) -> Arc<Self> {
        Arc::new(Self {
            limited,
            most,
            most_for_calls: most / 2,
            held: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        })
    }

    /// What calls may hold together.
    pub fn most_for_calls(&self) -> usize {
        self.most_for_calls
    }

    /// Whether more is held than may be: whoever can give something up should.
    pub fn is_exceeded(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.most
    }

    /// Whether so much more could be held for what is to run. Always, where the system sets
    /// no limit.
    pub fn has_room_to_run(&self, bytes: usize) -> bool {
        !self.limited || !self.lacks(bytes)
    }

    /// Whether so much more could be kept of what is only kept because it may be useful: a
    /// quarter stays free of that.
    pub fn has_room_to_keep(&self, bytes: usize) -> bool {
        !self.lacks(bytes.saturating_add(self.most / 4))
    }

    /// Whether so much more would be too much.
    pub fn lacks(&self, bytes: usize) -> bool {
        self.held.load(Ordering::Relaxed).saturating_add(bytes) > self.most
    }

    /// Takes so much for a call, if it fits.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        let fits = |calls: usize| {
            let calls = calls.checked_add(bytes)?;
            (calls <= self.most_for_calls).then_some(calls)
        };
        let order = Ordering::Relaxed;
        self.calls.fetch_update(order, order, fits).ok()?;
        self.held.fetch_add(bytes, order);
        Some(Held {
            account: Arc::clone(self),
            bytes,
            for_call: true,
        })
    }

    /// Counts so much, whether it fits or not.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Held {
            account: Arc::clone(self),
            bytes,
            for_call: false,
        }
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub struct Held {
    account: Arc<Account>,
    bytes: usize,
    for_call: bool,
}

impl Held {
    /// It has become so much. Not for a call's.
    pub fn becomes(&mut self, bytes: usize) {
        let held = &self.account.held;
        if bytes >= self.bytes {
            held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.for_call {
            self.account.calls.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_refused_and_the_rest_is_counted() {
        let account = Account::of(1_000, true);
        let first = account.reserve(400).unwrap();
        assert!(account.reserve(101).is_none());
        let second = account.reserve(100).unwrap();
        let mut output = account.hold(400);
        assert!(!account.is_exceeded());
        assert!(account.has_room_to_run(100) && !account.has_room_to_run(101));
        assert!(!account.has_room_to_keep(1));
        output.becomes(501);
        assert!(account.is_exceeded());
        output.becomes(1);
        drop((first, second));
        assert!(account.reserve(500).is_some());
        drop(output);
        assert_eq!(account.held.load(Ordering::Relaxed), 0);
        assert_eq!(account.calls.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn few_descriptors_are_shared_out() {
        let few = |descriptors| Resources {
            descriptors,
            ..Resources::default()
        };
        assert_eq!(few(16).tasks_at_a_time(512), 1);
        assert_eq!(few(1_024).tasks_at_a_time(512), 192);
        assert_eq!(few(1_024).idle_sessions(512), 192);
        let enough = few(Resources::needed(512, 3_000));
        assert_eq!(enough.tasks_at_a_time(512), 512);
        assert_eq!(enough.idle_sessions(512), 3_000);
    }

    #[test]
    fn its_size_follows_the_limit() {
        let most = |limit| Account::within(limit).most / MIB;
        assert_eq!(most(None), 84);
        assert_eq!(most(Some(64 << 20)), 36);
        assert_eq!(most(Some(256 << 20)), 180);
        assert_eq!(most(Some(1 << 20)), 8);
        assert_eq!(most(Some(u64::MAX)), most(Some(1 << 40)));
        assert!(Account::within(None).has_room_to_run(usize::MAX));
    }
}
