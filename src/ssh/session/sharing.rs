//! Who shares a connection: runs on one host of one configuration that are there at the same
//! time, as many as the host permits channels.
//!
//! Owns which connections are in use or being made, and how many runs are on each or on their
//! way to it. Who finds one that is being made waits for it, and hears of its failure instead
//! of failing once more. A host that permits fewer channels is remembered with their number,
//! until a reload. Opens and logs in to nothing; idle sessions are
//! [`crate::ssh::session::pool`]'s. Called by [`crate::ssh::client`].

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::PollFlags;

use crate::ssh::deadline::{Cancel, Control, Deadline};
use crate::ssh::error::SshError;
use crate::ssh::login::route::proof::Proof;
use crate::ssh::phase::Phase;
use crate::ssh::run_report::Negotiated;
use crate::ssh::session::channel::Channel;
use crate::ssh::session::connection::Connection;
use crate::ssh::session::pool::Key;
use crate::ssh::transport::wait::wait_for;

/// Runs on one connection, at most: sshd permits ten sessions (`MaxSessions`), one of which may
/// not be let go of yet.
const MOST: usize = 8;
/// Longest sleep of who waits for one that is being made; it is woken before.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Sharing(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    places: Vec<(Key, Arc<Place>)>,
    /// Hosts that permit fewer than [`MOST`] at once.
    narrow: Vec<(Key, usize)>,
}

struct Place(Mutex<Inner>);

struct Inner {
    stage: Stage,
    /// How many are there or on their way.
    wanted: usize,
    /// A reload has taken it away.
    cleared: bool,
}

enum Stage {
    Making(Vec<Cancel>),
    Ready(Arc<Connection>),
    Failed(Option<Failure>),
}

/// Why there is no connection, for all who waited for it.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) error: SshError,
    pub(crate) address: Option<IpAddr>,
    pub(crate) negotiated: Option<Arc<[Negotiated]>>,
}

/// Counts as one that is there, or on its way.
pub(crate) struct Seat(Arc<Place>);

/// What a run has of a connection.
pub(crate) struct InUse {
    pub(crate) channel: Channel,
    pub(crate) proof: Arc<Proof>,
    pub(crate) seat: Seat,
}

/// Who is to make one, for itself and those who wait.
pub(crate) struct Maker {
    sharing: Sharing,
    place: Arc<Place>,
    /// Its own, until it has it for good.
    seat: Option<Seat>,
}

/// What a run is to do.
pub(crate) enum Choice<T> {
    /// With what was found for it.
    Make(Maker, Option<T>),
    Join(Seat),
}

impl Sharing {
    /// An idle session (`idle` finds one) is taken before a place on a connection that is in
    /// use, as it needs no word of the host; and that before a connection of its own.
    pub(crate) fn choose<T>(&self, key: &Key, idle: impl FnOnce() -> Option<T>) -> Choice<T> {
        let mut state = self.lock();
        let found = idle();
        if found.is_none() {
            state.places.retain(|(_, place)| place.is_good());
            let most = state.most(key);
            let same = state.places.iter().filter(|(other, _)| other == key);
            let least = same.min_by_key(|(_, place)| place.lock().wanted);
            if let Some((_, place)) = least.filter(|(_, place)| place.lock().wanted < most) {
                return Choice::Join(Seat::at(place));
            }
        }
        let maker = self.alone();
        state.places.push((key.clone(), Arc::clone(&maker.place)));
        Choice::Make(maker, found)
    }

    /// For a connection of which nobody else hears.
    pub(crate) fn alone(&self) -> Maker {
        let place = Arc::new(Place(Mutex::new(Inner {
            stage: Stage::Making(Vec::new()),
            wanted: 0,
            cleared: false,
        })));
        Maker {
            sharing: self.clone(),
            seat: Some(Seat::at(&place)),
            place,
        }
    }

    /// How many runs may be on one connection to this host.
    pub(crate) fn most(&self, key: &Key) -> usize {
        self.lock().most(key)
    }

    /// The host permits no more than so many on one connection.
    pub(crate) fn narrow(&self, key: &Key, most: usize) {
        let mut state = self.lock();
        let most = most.min(state.most(key)).max(1);
        // Those of a configuration that is gone are nobody's.
        state
            .narrow
            .retain(|(other, _)| other != key && other.is_current());
        state.narrow.push((key.clone(), most));
    }

    /// Nobody new is let on what is there or being made.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.narrow = Vec::new();
        for (_, place) in std::mem::take(&mut state.places) {
            let mut place = place.lock();
            place.cleared = true;
            if let Stage::Ready(connection) = &place.stage {
                connection.retire();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn most(&self, key: &Key) -> usize {
        let narrow = self.narrow.iter().find(|(other, _)| other == key);
        narrow.map_or(MOST, |(_, most)| *most)
    }
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_good(&self) -> bool {
        match &self.lock().stage {
            Stage::Making(_) => true,
            Stage::Ready(connection) => connection.takes_more(),
            Stage::Failed(_) => false,
        }
    }
}

impl Seat {
    fn at(place: &Arc<Place>) -> Self {
        place.lock().wanted += 1;
        Self(Arc::clone(place))
    }

    /// What became of it. A failure of which nothing is told says something of the run that met
    /// it, and nothing of the host.
    ///
    /// # Errors
    /// The run's time is up, or it is cancelled.
    pub(crate) fn wait(
        &self,
        control: &Control,
    ) -> Result<Result<Arc<Connection>, Option<Failure>>, SshError> {
        let watch = control.within(Phase::Connect, Deadline::Never);
        loop {
            match &mut self.0.lock().stage {
                Stage::Ready(connection) => return Ok(Ok(Arc::clone(connection))),
                Stage::Failed(failure) => return Ok(Err(failure.clone())),
                Stage::Making(waiting) => waiting.push(control.cancel.clone()),
            }
            let switch = control.cancel.as_fd();
            wait_for(switch, PollFlags::empty(), &watch, LOOK_AGAIN)?;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut place = self.0.lock();
        place.wanted = place.wanted.saturating_sub(1);
    }
}

impl Maker {
    /// It is there.
    pub(crate) fn made(mut self, connection: &Arc<Connection>) -> Seat {
        self.finish(Stage::Ready(Arc::clone(connection)));
        let seat = self.seat.take();
        seat.unwrap_or_else(|| Seat::at(&self.place))
    }

    /// There is none, and why.
    pub(crate) fn failed(mut self, failure: Failure) {
        let is_own = is_makers_own(&failure.error);
        self.finish(Stage::Failed((!is_own).then_some(failure)));
    }

    fn finish(&mut self, stage: Stage) {
        let mut place = self.place.lock();
        if let (Stage::Ready(connection), true) = (&stage, place.cleared) {
            connection.retire();
        }
        if let Stage::Making(waiting) = std::mem::replace(&mut place.stage, stage) {
            waiting.iter().for_each(Cancel::wake);
        }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        let unfinished = matches!(self.place.lock().stage, Stage::Making(_));
        if unfinished {
            // Nobody waits for ever, whatever happened.
            self.finish(Stage::Failed(None));
        }
        let mut state = self.sharing.lock();
        state.places.retain(|(_, place)| place.is_good());
    }
}

/// Whether it says something of the run that met it, and nothing of the host.
fn is_makers_own(error: &SshError) -> bool {
    match error {
        SshError::Hop { error, .. } => is_makers_own(error),
        SshError::Cancelled(_) | SshError::Local { .. } | SshError::Superseded => true,
        SshError::Timeout { whole_run, .. } => *whole_run,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> Control {
        Control::new(
            Deadline::after(Duration::from_secs(30)),
            Cancel::new().unwrap(),
        )
    }

    fn choose(sharing: &Sharing, key: &Key) -> Choice<()> {
        sharing.choose(key, || None)
    }

    /// For each of so many, whether it is to make one.
    fn makers(sharing: &Sharing, key: &Key, count: usize) -> (Vec<bool>, Vec<Choice<()>>) {
        let all: Vec<_> = (0..count).map(|_| choose(sharing, key)).collect();
        let makes = |choice: &Choice<()>| matches!(choice, Choice::Make(..));
        (all.iter().map(makes).collect(), all)
    }

    #[test]
    fn as_many_as_the_host_permits_share_one() {
        let (sharing, key) = (Sharing::default(), Key::of("web1").unwrap());
        let (makes, all) = makers(&sharing, &key, 2 * MOST);
        let first: Vec<_> = makes
            .iter()
            .enumerate()
            .filter(|(_, makes)| **makes)
            .collect();
        assert_eq!(first, [(0, &true), (MOST, &true)]);
        // Another host has its own.
        let other = choose(&sharing, &Key::of("web2").unwrap());
        assert!(matches!(other, Choice::Make(..)));
        drop(all);
        sharing.narrow(&key, 2);
        sharing.narrow(&key, 5);
        assert_eq!(sharing.most(&key), 2);
        let (makes, _all) = makers(&sharing, &key, 4);
        assert_eq!(makes, [true, false, true, false]);
    }

    #[test]
    fn an_idle_one_is_taken_first() {
        let (sharing, key) = (Sharing::default(), Key::of("web1").unwrap());
        let _first = choose(&sharing, &key);
        let second = sharing.choose(&key, || Some("idle"));
        assert!(matches!(second, Choice::Make(_, Some("idle"))));
    }

    #[test]
    fn who_waits_hears_of_the_hosts_failure_and_not_of_the_makers_own() {
        let failure = |error| Failure {
            error,
            address: None,
            negotiated: None,
        };
        for (error, is_told) in [
            (SshError::NoCredentials, true),
            (SshError::Cancelled(Phase::Connect), false),
        ] {
            let (sharing, key) = (Sharing::default(), Key::of("web1").unwrap());
            let Choice::Make(maker, _) = choose(&sharing, &key) else {
                panic!("nobody else is there");
            };
            let Choice::Join(seat) = choose(&sharing, &key) else {
                panic!("one is being made");
            };
            maker.failed(failure(error));
            let told = seat.wait(&control()).unwrap().err().unwrap();
            assert_eq!(told.is_some(), is_told);
            // The next one tries anew.
            assert!(matches!(choose(&sharing, &key), Choice::Make(..)));
        }
    }

    /// Whatever becomes of its thread.
    #[test]
    fn who_waits_for_one_that_gave_up_does_not_wait_for_ever() {
        let (sharing, key) = (Sharing::default(), Key::of("web1").unwrap());
        let maker = choose(&sharing, &key);
        let Choice::Join(seat) = choose(&sharing, &key) else {
            panic!("one is being made");
        };
        drop(maker);
        assert!(matches!(seat.wait(&control()), Ok(Err(None))));
    }
}
