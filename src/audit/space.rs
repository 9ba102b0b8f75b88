//! Room on the audit file's disk, looked at before there is none.
//!
//! Owns the look, what `audit_space` of `policy.yml` makes of it, and that each change is put
//! on record once. With little room the ends of running commands are still written; what
//! begins none is [`crate::audit::record::command`]'s business. Called by `health`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use crate::audit::record::Record;
use crate::model::room::AuditSpace;
use crate::model::security_event::{EventValue, SecurityEvent};

/// A bound is left behind once a sixteenth more than it is free: who is near it is not told
/// at every step.
const CLEAR: u64 = 16;

/// How the disk does. The later one is the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Standing {
    #[default]
    Enough,
    /// Less is free than `warn_below`.
    Low,
    /// Less is free than `refuse_below`: no command begins.
    Refusing,
}

impl Standing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Enough => "enough",
            Self::Low => "low",
            Self::Refusing => "refusing",
        }
    }
}

/// Free and all bytes of the file system, as an unprivileged writer has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Free {
    pub(crate) bytes: u64,
    pub(crate) of: u64,
}

impl Free {
    /// A file system without a size of its own has no bound that it could come near to.
    fn standing(self, bounds: AuditSpace) -> Standing {
        if self.of == 0 {
            Standing::Enough
        } else if self.bytes < bounds.refuse_below.of(self.of) {
            Standing::Refusing
        } else if self.bytes < bounds.warn_below.of(self.of) {
            Standing::Low
        } else {
            Standing::Enough
        }
    }

    /// The same with some distance to each bound.
    fn clear_of(self, bounds: AuditSpace) -> Standing {
        let bytes = self.bytes - self.bytes / (CLEAR + 1);
        Self { bytes, ..self }.standing(bounds)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Space(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bounds: AuditSpace,
    /// What is on record.
    said: Standing,
    /// That it cannot be told is on record.
    unknown: bool,
}

impl Space {
    pub(crate) fn follow(&self, bounds: AuditSpace) {
        self.lock().bounds = bounds;
    }

    /// What a look comes to, and what is to be put on record of it.
    pub(crate) fn judge(
        &self,
        free: Result<Free, Errno>,
    ) -> (Result<Standing, Errno>, Option<Record>) {
        let mut state = self.lock();
        let bounds = state.bounds;
        let free = match free {
            Ok(free) => free,
            Err(errno) => {
                let first = !std::mem::replace(&mut state.unknown, true);
                let text = format!("cannot tell how much room is left: {}", errno.desc());
                let record = first.then(|| Record::warning("audit_space_unknown", text));
                return (Err(errno), record);
            }
        };
        state.unknown = false;
        let (standing, said) = (free.standing(bounds), state.said);
        let record = if standing > said {
            state.said = standing;
            Some(event(free, bounds, standing))
        } else if free.clear_of(bounds) < said {
            state.said = free.clear_of(bounds);
            let text = match state.said {
                Standing::Enough => format!("{} bytes are free again", free.bytes),
                _ => format!("{} bytes are free: commands begin again", free.bytes),
            };
            Some(Record::warning("audit_space_recovered", text))
        } else {
            None
        };
        (Ok(standing), record)
    }

    pub(crate) fn refuses_below(&self) -> bool {
        !self.lock().bounds.refuse_below.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn event(free: Free, bounds: AuditSpace, standing: Standing) -> Record {
    let (reason, bound) = match standing {
        Standing::Refusing => ("refuse_below", bounds.refuse_below),
        Standing::Low | Standing::Enough => ("warn_below", bounds.warn_below),
    };
    Record::security(SecurityEvent {
        event_type: "audit_space_low",
        reason: Some(reason),
        extra: vec![
            ("free_bytes", EventValue::Number(free.bytes)),
            ("bound_bytes", EventValue::Number(bound.of(free.of))),
            ("disk_bytes", EventValue::Number(free.of)),
        ],
        ..SecurityEvent::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::room::Room;

    fn look(space: &Space, bytes: u64) -> (Standing, Option<&'static str>) {
        let (standing, record) = space.judge(Ok(Free { bytes, of: 10_000 }));
        let said = record.map(|record| match record {
            Record::SecurityEvent(_) => "event",
            _ => "recovered",
        });
        (standing.unwrap(), said)
    }

    #[test]
    fn each_change_is_said_once_and_none_at_every_step() {
        let space = Space::default();
        space.follow(AuditSpace {
            warn_below: Room::Percent(10),
            refuse_below: Room::Bytes(500),
        });
        assert_eq!(look(&space, 1_000), (Standing::Enough, None));
        assert_eq!(look(&space, 999), (Standing::Low, Some("event")));
        assert_eq!(look(&space, 998), (Standing::Low, None));
        // Back over the bound, and not clear of it.
        assert_eq!(look(&space, 1_001), (Standing::Enough, None));
        assert_eq!(look(&space, 999), (Standing::Low, None));
        assert_eq!(look(&space, 499), (Standing::Refusing, Some("event")));
        assert_eq!(look(&space, 500), (Standing::Low, None));
        assert_eq!(look(&space, 600), (Standing::Low, Some("recovered")));
        assert_eq!(look(&space, 5_000), (Standing::Enough, Some("recovered")));
        assert_eq!(look(&space, 0), (Standing::Refusing, Some("event")));
        assert_eq!(look(&space, 5_000), (Standing::Enough, Some("recovered")));
    }

    #[test]
    fn what_has_no_size_has_room() {
        let free = Free { bytes: 0, of: 0 };
        let bounds = AuditSpace {
            refuse_below: Room::Bytes(1),
            ..AuditSpace::default()
        };
        assert_eq!(free.standing(bounds), Standing::Enough);
    }

    #[test]
    fn what_cannot_be_told_is_said_once() {
        let space = Space::default();
        assert!(space.judge(Err(Errno::EIO)).1.is_some());
        assert!(space.judge(Err(Errno::EIO)).1.is_none());
        assert_eq!(look(&space, 9_000), (Standing::Enough, None));
        assert!(space.judge(Err(Errno::EIO)).1.is_some());
    }
}
