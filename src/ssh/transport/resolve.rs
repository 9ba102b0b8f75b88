//! A name → its addresses, in bounded time, without asking more often than is decent.
//!
//! getaddrinfo(3) cannot be given a deadline or be interrupted, so each look-up runs on a
//! helper thread that a run waits for and can walk away from; their number is bounded, and
//! who comes to more waits for one to be free.
//! Answers are kept for a minute, refusals too, and runs that want the same name at the
//! same time share one look-up. Judges nothing: the network policy judges every address.
//! Called by [`crate::ssh::login`].

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::model::threads::Maker;
use crate::ssh::deadline::{Cancel, Watch};
use crate::ssh::error::{ResolveFailure, SshError};
use crate::ssh::transport::wait::wait_for_wake;

/// Look-ups a second for one name; more are refused, and are a security event.
pub(crate) const LOOKUPS_PER_SECOND: usize = 10;
/// How long an answer counts, whatever it is.
const KEEP: Duration = Duration::from_secs(60);
/// Look-ups at the same time. One that hangs occupies its place until the C library gives
/// up, so that a dead name server costs this many threads and no more.
const LOOKUPS_AT_ONCE: usize = 16;
/// Names remembered; the oldest go first. Bounds a configuration with very many hosts.
const NAMES_MAX: usize = 4096;
/// getaddrinfo takes its answer buffers from the stack.
const STACK: usize = 256 * 1024;

type Answer = Result<Arc<[IpAddr]>, Arc<str>>;
type LookUp = dyn Fn(&str) -> Result<Vec<IpAddr>, String> + Send + Sync;

/// Cheap to clone; all clones share one memory.
#[derive(Clone)]
pub(crate) struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    look_up: Box<LookUp>,
    threads: Maker,
}

#[derive(Default)]
struct State {
    names: HashMap<String, Name>,
    at_work: usize,
    /// Those who wait for a helper to be free.
    queue: Vec<Cancel>,
}

#[derive(Default)]
struct Name {
    answer: Option<(Instant, Answer)>,
    /// Those who wait for the look-up that is under way, if one is.
    waiting: Option<Vec<Cancel>>,
    /// When the last look-ups started, within a second.
    recent: VecDeque<Instant>,
    /// The address that was connected to last.
    worked: Option<IpAddr>,
}

impl Resolver {
    /// Asks the C library, and through it /etc/hosts and the name servers, on threads of this
    /// maker.
    pub(crate) fn new(threads: Maker) -> Self {
        Self::with(threads, |name| {
            // The port is of no use here, but the interface wants one.
            let found = (name, 0).to_socket_addrs().map_err(|e| e.to_string())?;
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found.map(|found| found.ip().to_canonical()) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            Ok(addresses)
        })
    }

    fn with(
        threads: Maker,
        look_up: impl Fn(&str) -> Result<Vec<IpAddr>, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                look_up: Box::new(look_up),
                threads,
            }),
        }
    }

    /// The addresses of `name`; at least one. The one that was last connected to comes first,
    /// then they are in the C library's order (RFC 6724), the families by turns (RFC 8305,
    /// section 4).
    ///
    /// # Errors
    /// There is none, too many look-ups a second, all helpers are busy for as long as the
    /// phase may take, the phase's time is up, or the run is cancelled.
    pub(crate) fn resolve(&self, name: &str, watch: &Watch<'_>) -> Result<Arc<[IpAddr]>, SshError> {
        let fail = |why| SshError::Resolve {
            name: name.to_owned(),
            why,
        };
        loop {
            let mut state = self.shared.lock();
            if let Some(answer) = state.fresh(name) {
                let worked = state.names.get(name).and_then(|name| name.worked);
                return answer
                    .map(|found| in_order(&found, worked))
                    .map_err(|cause| fail(ResolveFailure::Lookup(cause.to_string())));
            }
            let all_busy = !state.is_under_way(name) && state.at_work >= LOOKUPS_AT_ONCE;
            if all_busy {
                state.queue.push(watch.cancel().clone());
            } else {
                if !state.is_under_way(name) {
                    state.start(name).map_err(fail)?;
                    self.spawn(name).map_err(|cause| {
                        state.finish(name, None);
                        SshError::Local {
                            what: "resolver thread",
                            cause,
                        }
                    })?;
                }
                state.wait_for(name, watch.cancel());
            }
            drop(state);
            match wait_for_wake(watch) {
                Err(SshError::Timeout {
                    whole_run: false, ..
                }) if all_busy => return Err(fail(ResolveFailure::Busy)),
                woken => woken?,
            }
        }
    }

    /// `address` is the one of `name` that could be connected to.
    pub(crate) fn worked(&self, name: &str, address: IpAddr) {
        if let Some(name) = self.shared.lock().names.get_mut(name) {
            name.worked = Some(address);
        }
    }

    /// Forgets all answers: the next run asks again.
    pub(crate) fn forget(&self) {
        for name in self.shared.lock().names.values_mut() {
            name.answer = None;
        }
    }

    fn spawn(&self, name: &str) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let name = name.to_owned();
        let work = move || {
            let answer = match (shared.look_up)(&name) {
                Ok(addresses) if addresses.is_empty() => Err("no address".into()),
                Ok(addresses) => Ok(addresses.into()),
                Err(cause) => Err(cause.into()),
            };
            shared.lock().finish(&name, Some(answer));
        };
        let builder = thread::Builder::new()
            .name("resolve".into())
            .stack_size(STACK);
        let started = self.shared.threads.spawn(builder, work);
        started.map_err(|e| e.to_string())
    }
}

fn in_order(found: &[IpAddr], worked: Option<IpAddr>) -> Arc<[IpAddr]> {
    let first_family = found.first().is_some_and(IpAddr::is_ipv4);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) = found
        .iter()
        .partition(|address| address.is_ipv4() == first_family);
    let mut turns = Vec::with_capacity(found.len());
    for place in 0..first.len().max(second.len()) {
        turns.extend(first.get(place));
        turns.extend(second.get(place));
    }
    // Stable: all others keep their order.
    turns.sort_by_key(|address| Some(*address) != worked);
    turns.into()
}

impl Shared {
    /// A poisoned lock is taken as it is: nothing in here is left half-done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fresh(&self, name: &str) -> Option<Answer> {
        let (at, answer) = self.names.get(name)?.answer.as_ref()?;
        (at.elapsed() < KEEP).then(|| answer.clone())
    }

    fn is_under_way(&self, name: &str) -> bool {
        self.names
            .get(name)
            .is_some_and(|name| name.waiting.is_some())
    }

    fn start(&mut self, name: &str) -> Result<(), ResolveFailure> {
        self.make_room();
        let entry = self.names.entry(name.to_owned()).or_default();
        let now = Instant::now();
        entry
            .recent
            .retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        if entry.recent.len() >= LOOKUPS_PER_SECOND {
            return Err(ResolveFailure::RateLimit);
        }
        entry.recent.push_back(now);
        entry.waiting = Some(Vec::new());
        self.at_work = self.at_work.saturating_add(1);
        Ok(())
    }

    fn wait_for(&mut self, name: &str, waiter: &Cancel) {
        if let Some(waiting) = self
            .names
            .get_mut(name)
            .and_then(|name| name.waiting.as_mut())
        {
            waiting.push(waiter.clone());
        }
    }

    /// Without an answer, the next to ask asks anew.
    fn finish(&mut self, name: &str, answer: Option<Answer>) {
        self.at_work = self.at_work.saturating_sub(1);
        // All of them, since one that is woken may have been cancelled meanwhile.
        self.queue.drain(..).for_each(|waiter| waiter.wake());
        let Some(entry) = self.names.get_mut(name) else {
            return;
        };
        entry.answer = answer.map(|answer| (Instant::now(), answer));
        for waiter in entry.waiting.take().unwrap_or_default() {
            waiter.wake();
        }
    }

    fn make_room(&mut self) {
        if self.names.len() < NAMES_MAX {
            return;
        }
        self.names.retain(|_, name| {
            name.waiting.is_some()
                || name
                    .answer
                    .as_ref()
                    .is_some_and(|(at, _)| at.elapsed() < KEEP)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::deadline::{Control, Deadline};
    use crate::ssh::phase::Phase;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    fn control(after: Duration) -> Control {
        Control::new(Deadline::after(after), Cancel::new().unwrap())
    }

    fn counting(answer: Result<Vec<IpAddr>, String>) -> (Resolver, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let resolver = Resolver::with(Maker::default(), move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            answer.clone()
        });
        (resolver, count)
    }

    #[test]
    fn answers_and_refusals_are_kept() {
        for answer in [
            Ok(vec!["192.0.2.1".parse().unwrap()]),
            Err("no such name".to_owned()),
        ] {
            let (resolver, count) = counting(answer.clone());
            let control = control(Duration::from_secs(60));
            for _ in 0..5 {
                let got = resolver.resolve("web1", &control.begin(Phase::Resolve));
                assert_eq!(got.is_ok(), answer.is_ok());
            }
            assert_eq!(count.load(Ordering::SeqCst), 1);
        }
    }

    #[test]
    fn the_eleventh_look_up_in_a_second_is_refused() {
        let (resolver, count) = counting(Ok(vec!["192.0.2.1".parse().unwrap()]));
        let control = control(Duration::from_secs(60));
        let results: Vec<_> = (0..=LOOKUPS_PER_SECOND)
            .map(|_| {
                resolver.forget();
                resolver.resolve("web1", &control.begin(Phase::Resolve))
            })
            .collect();
        assert_eq!(count.load(Ordering::SeqCst), LOOKUPS_PER_SECOND);
        assert!(matches!(
            results.last(),
            Some(Err(SshError::Resolve {
                why: ResolveFailure::RateLimit,
                ..
            }))
        ));
    }

    #[test]
    fn a_hanging_look_up_is_left_behind_and_shared() {
        let (release, hold) = mpsc::channel::<()>();
        let hold = Mutex::new(hold);
        let resolver = Resolver::with(Maker::default(), move |_| {
            let _ = hold.lock().unwrap().recv();
            Ok(vec!["192.0.2.1".parse().unwrap()])
        });
        let short = control(Duration::from_millis(20));
        let error = resolver
            .resolve("web1", &short.begin(Phase::Resolve))
            .unwrap_err();
        assert!(matches!(
            error,
            SshError::Timeout {
                phase: Phase::Resolve,
                whole_run: true
            }
        ));
        let cancelled = control(Duration::from_secs(60));
        cancelled.cancel.cancel();
        let error = resolver
            .resolve("web1", &cancelled.begin(Phase::Resolve))
            .unwrap_err();
        assert!(matches!(error, SshError::Cancelled(Phase::Resolve)));
        let other = resolver.clone();
        let waiter = thread::spawn(move || {
            let control = control(Duration::from_secs(60));
            other
                .resolve("web1", &control.begin(Phase::Resolve))
                .map(|found| found.len())
        });
        release.send(()).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), 1);
    }

    #[test]
    fn a_fleet_that_is_looked_up_at_once_takes_turns() {
        let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (highest, running) = (Arc::clone(&most), Arc::clone(&now));
        let resolver = Resolver::with(Maker::default(), move |_| {
            highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(5));
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(vec!["192.0.2.1".parse().unwrap()])
        });
        let resolve = |number: usize| {
            let (resolver, name) = (resolver.clone(), format!("web{number}"));
            thread::spawn(move || {
                let control = control(Duration::from_secs(60));
                resolver
                    .resolve(&name, &control.begin(Phase::Resolve))
                    .map(|found| found.len())
            })
        };
        let all: Vec<_> = (0..LOOKUPS_AT_ONCE * 5).map(resolve).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), Ok(1));
        }
        assert!(most.load(Ordering::SeqCst) <= LOOKUPS_AT_ONCE);
    }

    #[test]
    fn hanging_look_ups_are_bounded() {
        let resolver = Resolver::with(Maker::default(), |_| {
            thread::park_timeout(Duration::from_secs(5));
            Ok(Vec::new())
        });
        let short = control(Duration::from_millis(1));
        for i in 0..LOOKUPS_AT_ONCE {
            let _ = resolver.resolve(&format!("web{i}"), &short.begin(Phase::Resolve));
        }
        let long = control(Duration::from_secs(60));
        let watch = long.within(Phase::Resolve, Deadline::after(Duration::from_millis(20)));
        assert!(matches!(
            resolver.resolve("one more", &watch),
            Err(SshError::Resolve {
                why: ResolveFailure::Busy,
                ..
            })
        ));
    }

    #[test]
    fn what_worked_comes_first_and_families_take_turns() {
        let list =
            |text: &str| -> Vec<IpAddr> { text.split(' ').map(|ip| ip.parse().unwrap()).collect() };
        let found = list("::1 ::2 ::3 1.1.1.1 1.1.1.2");
        let turns = in_order(&found, None);
        assert_eq!(*turns, list("::1 1.1.1.1 ::2 1.1.1.2 ::3"));
        let worked = in_order(&found, Some("1.1.1.2".parse().unwrap()));
        assert_eq!(*worked, list("1.1.1.2 ::1 1.1.1.1 ::2 ::3"));
    }
}
