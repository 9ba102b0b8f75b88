//! Who runs next: the waiting tasks, in order for each host and in turn between hosts.
//!
//! Owns the bounds on how many tasks run at once and how many may wait. Starts nothing
//! and knows nothing of threads, time or SSH. Called by [`crate::task::registry`] under its
//! lock.
//!
//! Each host has a lane, first come first served. Lanes that have waiting tasks stand in
//! a ring and are served in turn, so that a thousand tasks for one host do not hold up
//! the one task for another; a lane that is at its bound is passed over and keeps its
//! place.

use std::collections::{HashMap, VecDeque};

use crate::model::names::HostAlias;

/// Most tasks that may wait; the next one is refused.
pub(crate) const MAX_WAITING: usize = 4_096;

/// How many tasks may run at once. Both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) tasks: usize,
    pub(crate) per_host: usize,
}

/// The waiting and the number of the running.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    lanes: HashMap<HostAlias, Lane<T>>,
    /// Exactly the hosts whose lane has waiting tasks, in the order they are served.
    ring: VecDeque<HostAlias>,
    waiting: usize,
    running: usize,
}

#[derive(Debug)]
struct Lane<T> {
    running: usize,
    waiting: VecDeque<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            ring: VecDeque::new(),
            waiting: 0,
            running: 0,
        }
    }
}

impl<T: PartialEq> Queue<T> {
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// Puts a task at the end of its host's lane.
    ///
    /// # Errors
    /// The task, if [`MAX_WAITING`] wait already.
    pub(crate) fn push(&mut self, host: &HostAlias, task: T) -> Result<(), T> {
        if self.waiting >= MAX_WAITING {
            return Err(task);
        }
        let lane = self.lanes.entry(host.clone()).or_insert_with(|| Lane {
            running: 0,
            waiting: VecDeque::new(),
        });
        if lane.waiting.is_empty() {
            self.ring.push_back(host.clone());
        }
        lane.waiting.push_back(task);
        self.waiting += 1;
        Ok(())
    }

    /// Takes out the next task that may run, and counts it as running.
    pub(crate) fn admit(&mut self, bounds: Bounds) -> Option<T> {
        if self.running >= bounds.tasks {
            return None;
        }
        let lanes = &self.lanes;
        let turn = self
            .ring
            .iter()
            .position(|host| lanes.get(host).is_some_and(|l| l.running < bounds.per_host))?;
        let host = self.ring.remove(turn)?;
        let lane = self.lanes.get_mut(&host)?;
        let task = lane.waiting.pop_front()?;
        lane.running += 1;
        self.waiting -= 1;
        self.running += 1;
        if !lane.waiting.is_empty() {
            self.ring.push_back(host);
        }
        Some(task)
    }

    /// A task of this host, admitted just now, is the next one again.
    pub(crate) fn put_back(&mut self, host: &HostAlias, task: T) {
        let Some(lane) = self.lanes.get_mut(host) else {
            return;
        };
        lane.running = lane.running.saturating_sub(1);
        self.running = self.running.saturating_sub(1);
        self.ring.retain(|name| name != host);
        self.ring.push_front(host.clone());
        lane.waiting.push_front(task);
        self.waiting += 1;
    }

    /// A task of this host, admitted earlier, no longer runs.
    pub(crate) fn release(&mut self, host: &HostAlias) {
        if let Some(lane) = self.lanes.get_mut(host) {
            lane.running = lane.running.saturating_sub(1);
            self.running = self.running.saturating_sub(1);
        }
        self.tidy(host);
    }

    /// Takes out a task; false if it does not wait here (any more).
    pub(crate) fn remove(&mut self, host: &HostAlias, task: &T) -> bool {
        let Some(lane) = self.lanes.get_mut(host) else {
            return false;
        };
        let Some(place) = lane.waiting.iter().position(|waiting| waiting == task) else {
            return false;
        };
        lane.waiting.remove(place);
        self.waiting -= 1;
        if lane.waiting.is_empty() {
            self.ring.retain(|name| name != host);
        }
        self.tidy(host);
        true
    }

    /// Nothing waits any more.
    pub(crate) fn clear(&mut self) {
        for host in std::mem::take(&mut self.ring) {
            if let Some(lane) = self.lanes.get_mut(&host) {
                lane.waiting.clear();
            }
            self.tidy(&host);
        }
        self.waiting = 0;
    }

    /// How many tasks of the same host wait before this one.
    pub(crate) fn ahead(&self, host: &HostAlias, task: &T) -> Option<usize> {
        let lane = self.lanes.get(host)?;
        lane.waiting.iter().position(|waiting| waiting == task)
    }

    /// A lane without tasks is given up, so that names never pile up.
    fn tidy(&mut self, host: &HostAlias) {
        if let Some(lane) = self.lanes.get(host)
            && lane.running == 0
            && lane.waiting.is_empty()
        {
            self.lanes.remove(host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        tasks: 3,
        per_host: 2,
    };

    fn host(name: &str) -> HostAlias {
        HostAlias::parse(name).unwrap()
    }

    #[test]
    fn one_host_is_served_in_order_up_to_its_bound() {
        let mut queue = Queue::default();
        for task in 0..4 {
            queue.push(&host("a"), task).unwrap();
        }
        assert_eq!(queue.admit(BOUNDS), Some(0));
        assert_eq!(queue.admit(BOUNDS), Some(1));
        assert_eq!(queue.admit(BOUNDS), None);
        queue.release(&host("a"));
        assert_eq!(queue.admit(BOUNDS), Some(2));
        assert_eq!((queue.waiting(), queue.running()), (1, 2));
    }

    #[test]
    fn a_busy_host_does_not_hold_up_another() {
        let mut queue = Queue::default();
        for task in 0..100 {
            queue.push(&host("busy"), task).unwrap();
        }
        queue.push(&host("other"), 1000).unwrap();
        assert_eq!(queue.admit(BOUNDS), Some(0));
        assert_eq!(queue.admit(BOUNDS), Some(1000));
        assert_eq!(queue.admit(BOUNDS), Some(1));
        assert_eq!(queue.admit(BOUNDS), None);
        queue.release(&host("other"));
        assert_eq!(queue.admit(BOUNDS), None, "busy is at its bound");
    }

    #[test]
    fn hosts_take_turns_when_the_whole_is_full() {
        let mut queue = Queue::default();
        for (name, first) in [("a", 0), ("b", 10), ("c", 20)] {
            for task in first..first + 3 {
                queue.push(&host(name), task).unwrap();
            }
        }
        let one = Bounds {
            tasks: 1,
            per_host: 1,
        };
        let mut order = Vec::new();
        for name in ["a", "b", "c", "a", "b", "c", "a", "b", "c"] {
            order.push(queue.admit(one).unwrap());
            queue.release(&host(name));
        }
        assert_eq!(order, [0, 10, 20, 1, 11, 21, 2, 12, 22]);
        assert!(queue.lanes.is_empty() && queue.ring.is_empty());
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut queue = Queue::default();
        for task in 0..MAX_WAITING {
            queue.push(&host("a"), task).unwrap();
        }
        assert_eq!(queue.push(&host("b"), 7), Err(7));
        queue.clear();
        assert_eq!(queue.admit(BOUNDS), None);
        assert!(queue.lanes.is_empty() && queue.waiting() == 0);
    }

    #[test]
    fn what_is_put_back_comes_first() {
        let mut queue = Queue::default();
        queue.push(&host("a"), 1).unwrap();
        queue.push(&host("a"), 2).unwrap();
        queue.push(&host("b"), 3).unwrap();
        assert_eq!(queue.admit(BOUNDS), Some(1));
        queue.put_back(&host("a"), 1);
        assert_eq!((queue.waiting(), queue.running()), (3, 0));
        let order = [(); 3].map(|()| queue.admit(BOUNDS).unwrap());
        assert_eq!(order, [1, 3, 2]);
    }

    #[test]
    fn what_is_removed_is_gone_and_leaves_no_lane() {
        let mut queue = Queue::default();
        queue.push(&host("a"), 1).unwrap();
        queue.push(&host("a"), 2).unwrap();
        assert_eq!(queue.ahead(&host("a"), &2), Some(1));
        assert!(queue.remove(&host("a"), &1));
        assert!(!queue.remove(&host("a"), &1));
        assert!(queue.remove(&host("a"), &2));
        assert!(queue.lanes.is_empty() && queue.ring.is_empty());
        assert_eq!(queue.admit(BOUNDS), None);
    }
}
