//! Sessions to jump hosts that targets share: one login at a bastion for all that is reached
//! through it.
//!
//! Owns which of them are there, for which configuration and which way in. Somebody who needs
//! one that is being made waits for it, and hears of its failure instead of failing once more.
//! Another one beside it is made only where very many ask at the same time, because each can
//! open one tunnel at a time, or where an address behind it does not answer. One whose hops no
//! longer hold is not used. Logs in to nothing itself. Called by [`crate::ssh::login`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use nix::poll::PollFlags;

use crate::config::{Host, Snapshot};
use crate::model::names::HostAlias;
use crate::ssh::deadline::{Cancel, Control, Deadline};
use crate::ssh::error::SshError;
use crate::ssh::login::route::proof::Proof;
use crate::ssh::phase::Phase;
use crate::ssh::transport::relay::Trunk;
use crate::ssh::transport::wait::wait_for;

/// Requests that wait at one session before another one is made.
const WAITING: usize = 8;
/// Sessions side by side to one jump host.
const SIDE_BY_SIDE: usize = 8;
/// Longest sleep of who waits for one that is being made; it is woken before.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Bastions(Arc<Mutex<Vec<Entry>>>);

struct Entry {
    way: Way,
    place: Arc<Place>,
}

/// The hosts on the way to the one that carries, in order, in one configuration.
#[derive(Clone)]
struct Way {
    hosts: Vec<HostAlias>,
    configuration: Weak<Snapshot>,
}

struct Place {
    state: Mutex<State>,
}

struct State {
    stage: Stage,
    /// How many want a tunnel now.
    wanted: usize,
}

enum Stage {
    Making(Vec<Cancel>),
    Ready(Trunk, Arc<Proof>),
    Failed(SshError),
}

/// A session to a jump host, for one tunnel.
pub(crate) struct Lease {
    pub(crate) trunk: Trunk,
    pub(crate) proof: Arc<Proof>,
    _place: Wanted,
}

/// Counts as one that wants a tunnel.
struct Wanted(Arc<Place>);

impl PartialEq for Way {
    fn eq(&self, other: &Self) -> bool {
        self.hosts == other.hosts && self.configuration.ptr_eq(&other.configuration)
    }
}

impl Bastions {
    /// A session to the last of `hosts`: one that is there and `holds`, or one that `make` makes.
    ///
    /// # Errors
    /// Those of `make`, also where somebody else made it; time is up, the run is cancelled.
    pub(crate) fn lease(
        &self,
        hosts: &[&Host],
        configuration: &Arc<Snapshot>,
        control: &Control,
        holds: impl Fn(&Proof) -> bool,
        make: impl Fn() -> Result<(Trunk, Proof), SshError>,
    ) -> Result<Lease, SshError> {
        let way = Way {
            hosts: hosts.iter().map(|host| host.alias.clone()).collect(),
            configuration: Arc::downgrade(configuration),
        };
        loop {
            let (place, is_new) = self.choose(&way, &holds);
            if is_new {
                let made = make();
                let failed = made.as_ref().err().cloned();
                place.0.finish(made);
                if let Some(error) = failed {
                    self.forget_place(&place.0);
                    return Err(error);
                }
            }
            match place.0.wait(control)? {
                Ok((trunk, proof)) => {
                    return Ok(Lease {
                        trunk,
                        proof,
                        _place: place,
                    });
                }
                // The end of somebody else's time is no answer of the host.
                Err(error) if is_makers_own(&error) => self.forget_place(&place.0),
                Err(error) => return Err(error),
            }
        }
    }

    /// The one for the next tunnel, and whether it is to be made.
    fn choose(&self, way: &Way, holds: &impl Fn(&Proof) -> bool) -> (Wanted, bool) {
        let mut entries = self.entries();
        entries.retain(|entry| {
            entry.way.configuration.strong_count() > 0
                && entry.place.is_good(&entry.way == way, holds)
        });
        let same = entries.iter().filter(|entry| entry.way == *way);
        let least = same.clone().min_by_key(|entry| entry.place.lock().wanted);
        let found = least.filter(|entry| {
            entry.place.lock().wanted < WAITING || same.clone().count() >= SIDE_BY_SIDE
        });
        if let Some(entry) = found {
            return (Wanted::at(&entry.place), false);
        }
        let place = Arc::new(Place {
            state: Mutex::new(State {
                stage: Stage::Making(Vec::new()),
                wanted: 0,
            }),
        });
        let wanted = Wanted::at(&place);
        entries.push(Entry {
            way: way.clone(),
            place,
        });
        (wanted, true)
    }

    fn forget_place(&self, place: &Arc<Place>) {
        self.entries()
            .retain(|entry| !Arc::ptr_eq(&entry.place, place));
    }

    /// None of them is used for anything new; what they carry is carried to its end.
    pub(crate) fn forget(&self) {
        for entry in std::mem::take(&mut *self.entries()) {
            if let Stage::Ready(trunk, _) = &entry.place.lock().stage {
                trunk.retire();
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may be used for something new; one that may not is retired.
    fn is_good(&self, is_asked_for: bool, holds: &impl Fn(&Proof) -> bool) -> bool {
        match &self.lock().stage {
            Stage::Making(_) => true,
            Stage::Failed(_) => false,
            Stage::Ready(trunk, _) if trunk.is_retired() => false,
            Stage::Ready(trunk, proof) => {
                let good = !is_asked_for || holds(proof);
                if !good {
                    trunk.retire();
                }
                good
            }
        }
    }

    fn finish(&self, made: Result<(Trunk, Proof), SshError>) {
        let stage = match made {
            Ok((trunk, proof)) => Stage::Ready(trunk, Arc::new(proof)),
            Err(error) => Stage::Failed(error),
        };
        let before = std::mem::replace(&mut self.lock().stage, stage);
        if let Stage::Making(waiting) = before {
            waiting.iter().for_each(Cancel::wake);
        }
    }

    /// What became of it.
    fn wait(&self, control: &Control) -> Result<Result<(Trunk, Arc<Proof>), SshError>, SshError> {
        let watch = control.within(Phase::Connect, Deadline::Never);
        loop {
            match &mut self.lock().stage {
                Stage::Ready(trunk, proof) => return Ok(Ok((trunk.clone(), Arc::clone(proof)))),
                Stage::Failed(error) => return Ok(Err(error.clone())),
                Stage::Making(waiting) => waiting.push(control.cancel.clone()),
            }
            wait_for(
                control.cancel.as_fd(),
                PollFlags::empty(),
                &watch,
                LOOK_AGAIN,
            )?;
        }
    }
}

/// Whether it says something of the run that met it, and nothing of the host.
fn is_makers_own(error: &SshError) -> bool {
    match error {
        SshError::Hop { error, .. } => is_makers_own(error),
        SshError::Cancelled(_) | SshError::Local { .. } => true,
        SshError::Timeout { whole_run, .. } => *whole_run,
        _ => false,
    }
}

impl Wanted {
    fn at(place: &Arc<Place>) -> Self {
        place.lock().wanted += 1;
        Self(Arc::clone(place))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.wanted = state.wanted.saturating_sub(1);
    }
}
