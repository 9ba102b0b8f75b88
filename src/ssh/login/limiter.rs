//! How many logins are under way to one address at a time.
//!
//! Owns the bound that keeps a default sshd from refusing what this server itself caused
//! (`MaxStartups 10:30:100`, sshd_config(5): from ten unauthenticated connections on, it
//! drops some). Counts by the address that is connected to, because several aliases and
//! jump hosts may be one sshd. Connects to nothing. Called by [`crate::ssh::login`] before
//! each connection of each hop.
//!
//! Who goes on to another hop keeps its turn here while it waits for one there. So that
//! no two wait for each other, each hop that is still to come leaves one place more to
//! those with a shorter way: whoever waits, one of those before it waits for fewer hops.
//!
//! sshd counts a login until its own process for the session has closed a pipe after
//! authentication, which is certain only when it answers on a channel: until then a
//! [`Permit`] has to be kept. A login that failed is counted a while longer.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use crate::ssh::deadline::{Cancel, Control, Deadline};
use crate::ssh::error::SshError;
use crate::ssh::phase::Phase;
use crate::ssh::transport::wait::wait_for;

/// Logins under way to one address, at most: what dropbear takes from one address
/// (`MAX_UNAUTH_PER_IP`), and half of what sshd takes without dropping any.
const MAX_IN_FLIGHT: usize = 5;

/// How many more once the host has said that it is OpenSSH, which takes nine from everybody
/// together without dropping any: two are left to others.
const MORE_FOR_OPENSSH: usize = 3;

/// How long a failed login still counts: sshd has to notice that it is over.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Longest sleep of a waiting login; it is woken long before.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The logins under way, by address. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Logins(Arc<Mutex<HashMap<SocketAddr, Gate>>>);

#[derive(Default)]
struct Gate {
    under_way: usize,
    /// How many may be beyond [`MAX_IN_FLIGHT`].
    more: usize,
    /// Until when each failed login counts.
    failed: Vec<Instant>,
    waiting: VecDeque<Arc<Waiter>>,
}

struct Waiter {
    granted: AtomicBool,
    onward: usize,
    cancel: Cancel,
}

/// The right to one login. To be dropped when the host has answered on a channel.
pub(crate) struct Permit {
    logins: Logins,
    address: SocketAddr,
}

impl Logins {
    /// Waits for its turn, first come first served among those with as many hops `onward`
    /// from here.
    ///
    /// # Errors
    /// The run was cancelled, or its time is up.
    pub(crate) fn acquire(
        &self,
        address: SocketAddr,
        onward: usize,
        control: &Control,
    ) -> Result<Permit, SshError> {
        let permit = || Permit {
            logins: self.clone(),
            address,
        };
        let watch = control.within(Phase::Connect, Deadline::Never);
        watch.check()?;
        let waiter = Arc::new(Waiter {
            granted: AtomicBool::new(false),
            onward,
            cancel: control.cancel.clone(),
        });
        self.gates()
            .entry(address)
            .or_default()
            .waiting
            .push_back(Arc::clone(&waiter));
        loop {
            let most = {
                let mut gates = self.gates();
                let gate = gates.entry(address).or_default();
                gate.grant();
                gate.next_change().unwrap_or(LOOK_AGAIN)
            };
            if waiter.granted.load(Ordering::SeqCst) {
                return Ok(permit());
            }
            if let Err(error) = wait_for(control.cancel.as_fd(), PollFlags::POLLIN, &watch, most) {
                self.gates().entry(address).or_default().leave(&waiter);
                if waiter.granted.load(Ordering::SeqCst) {
                    // It came at the last moment: the next one's.
                    drop(permit());
                }
                return Err(error);
            }
        }
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<SocketAddr, Gate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The host has said what it is: as many logins as that takes may be under way.
    pub(crate) fn heard(&self, version: &str) {
        let mut gates = self.logins.gates();
        if let Some(gate) = gates.get_mut(&self.address) {
            gate.more = match version.starts_with("SSH-2.0-OpenSSH_") {
                true => MORE_FOR_OPENSSH,
                false => 0,
            };
            gate.grant();
        }
    }

    /// Gives it back after a login that failed: the host may count it a while longer.
    pub(crate) fn failed(self) {
        let mut gates = self.logins.gates();
        if let Some(gate) = gates.get_mut(&self.address) {
            gate.failed.push(Instant::now() + AFTER_FAILURE);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut gates = self.logins.gates();
        if let Some(gate) = gates.get_mut(&self.address) {
            gate.under_way = gate.under_way.saturating_sub(1);
            gate.grant();
            if gate.is_idle() {
                gates.remove(&self.address);
            }
        }
    }
}

impl Gate {
    /// Gives those that wait what is free.
    fn grant(&mut self) {
        let now = Instant::now();
        self.failed.retain(|until| *until > now);
        while let Some(next) = self.next() {
            self.under_way += 1;
            next.granted.store(true, Ordering::SeqCst);
            next.cancel.wake();
        }
    }

    /// The first in line for whom there is room.
    fn next(&mut self) -> Option<Arc<Waiter>> {
        let taken = self.under_way + self.failed.len();
        let most = MAX_IN_FLIGHT + self.more;
        let fits = |waiter: &Arc<Waiter>| taken + waiter.onward < most;
        let index = self.waiting.iter().position(fits)?;
        self.waiting.remove(index)
    }

    /// In how long a failed login stops counting.
    fn next_change(&self) -> Option<Duration> {
        let next = self.failed.iter().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn is_idle(&self) -> bool {
        self.under_way == 0 && self.failed.is_empty() && self.waiting.is_empty()
    }

    fn leave(&mut self, waiter: &Arc<Waiter>) {
        self.waiting.retain(|other| !Arc::ptr_eq(other, waiter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    const ADDRESS: &str = "127.0.0.1:22";

    fn control() -> Control {
        Control::new(
            Deadline::after(Duration::from_secs(30)),
            Cancel::new().unwrap(),
        )
    }

    fn acquire(logins: &Logins, control: &Control) -> Result<Permit, SshError> {
        logins.acquire(ADDRESS.parse().unwrap(), 0, control)
    }

    fn waiting(logins: &Logins) -> usize {
        let gates = logins.gates();
        gates
            .get(&ADDRESS.parse().unwrap())
            .map_or(0, |gate| gate.waiting.len())
    }

    #[test]
    fn the_next_one_in_line_gets_what_is_given_back() {
        let logins = Logins::default();
        let mut held: Vec<_> = (0..MAX_IN_FLIGHT)
            .map(|_| acquire(&logins, &control()).unwrap())
            .collect();
        let other = logins.acquire("127.0.0.1:23".parse().unwrap(), 0, &control());
        assert!(other.is_ok(), "another address has its own bound");
        let (got, order) = mpsc::channel();
        thread::scope(|scope| {
            for number in 0..2 {
                while waiting(&logins) < number {
                    thread::yield_now();
                }
                let (logins, got) = (&logins, got.clone());
                scope.spawn(move || {
                    let permit = acquire(logins, &control()).unwrap();
                    got.send(number).unwrap();
                    permit
                });
            }
            while waiting(&logins) < 2 {
                thread::yield_now();
            }
            held.pop();
            assert_eq!(order.recv(), Ok(0));
            assert_eq!(order.recv(), Ok(1));
        });
        held.clear();
        drop(other);
        assert!(logins.gates().is_empty());
    }

    #[test]
    fn openssh_is_asked_for_more_and_no_other() {
        let logins = Logins::default();
        let held: Vec<_> = (0..MAX_IN_FLIGHT)
            .map(|_| acquire(&logins, &control()).unwrap())
            .collect();
        let (got, more) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..=MORE_FOR_OPENSSH {
                let (logins, got) = (&logins, got.clone());
                scope.spawn(move || got.send(acquire(logins, &control()).unwrap()).unwrap());
            }
            while waiting(&logins) <= MORE_FOR_OPENSSH {
                thread::yield_now();
            }
            held[0].heard("SSH-2.0-dropbear_2024.86");
            assert_eq!(waiting(&logins), MORE_FOR_OPENSSH + 1);
            held[0].heard("SSH-2.0-OpenSSH_9.2p1");
            let more: Vec<_> = more.iter().take(MORE_FOR_OPENSSH).collect();
            assert_eq!(waiting(&logins), 1);
            drop(more);
        });
    }

    #[test]
    fn who_is_cancelled_leaves_the_line() {
        let logins = Logins::default();
        let _held: Vec<_> = (0..MAX_IN_FLIGHT)
            .map(|_| acquire(&logins, &control()).unwrap())
            .collect();
        let waiter = control();
        thread::scope(|scope| {
            let result = scope.spawn(|| acquire(&logins, &waiter).map(drop));
            while waiting(&logins) == 0 {
                thread::yield_now();
            }
            waiter.cancel.cancel();
            assert_eq!(
                result.join().unwrap(),
                Err(SshError::Cancelled(Phase::Connect))
            );
        });
        assert_eq!(waiting(&logins), 0);
    }

    #[test]
    fn a_failed_login_counts_a_while_longer() {
        let logins = Logins::default();
        let mut held: Vec<_> = (0..MAX_IN_FLIGHT)
            .map(|_| acquire(&logins, &control()).unwrap())
            .collect();
        let begun = Instant::now();
        held.pop().unwrap().failed();
        drop(acquire(&logins, &control()).unwrap());
        assert!(begun.elapsed() >= AFTER_FAILURE);
    }
}
