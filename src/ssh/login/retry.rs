//! When a connection that came to nothing is tried again.
//!
//! Only before authentication, where the host knows nothing of us and nothing was asked of
//! it: a port that is not open yet, a connection that is reset or closed before the key
//! exchange is through, as sshd does beyond `MaxStartups` and dropbear beyond its five.
//! Never after an answer: a refused login, a wrong key, a host that says to stay away.
//! Called by [`crate::ssh::login`].

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use nix::libc::{ECONNREFUSED, ECONNRESET};
use nix::poll::PollFlags;

use crate::ssh::deadline::Control;
use crate::ssh::error::SshError;
use crate::ssh::phase::Phase;
use crate::ssh::transport::wait::wait_for;

/// After a refusal: a service that restarts is back soon, one that is not there is not
/// worth more.
const REFUSED: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(300)];
/// After a connection was closed before the key exchange: others are logging in.
const CLOSED: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(3200),
];

/// How long to wait before the next try, if there is to be one; `tries` have failed and been
/// tried again before this.
pub(crate) fn pause_after(error: &SshError, tries: usize) -> Option<Duration> {
    let pauses: &[Duration] = match error {
        SshError::Connect { errno, .. } if *errno == ECONNREFUSED => &REFUSED,
        SshError::Connect { errno, .. } if *errno == ECONNRESET => &CLOSED,
        SshError::LinkLost {
            phase: Phase::Handshake,
            ..
        } => &CLOSED,
        _ => return None,
    };
    let pause = *pauses.get(tries)?;
    // Half of it by chance: those that were turned away together must not come back together.
    let nanos = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX).max(2);
    let chance = RandomState::new().hash_one(tries) % (nanos / 2);
    Some(pause / 2 + Duration::from_nanos(chance))
}

/// Waits; false if the run's time would be up before.
///
/// # Errors
/// The run is cancelled.
pub(crate) fn wait(pause: Duration, control: &Control) -> Result<bool, SshError> {
    if control.deadline.left().is_some_and(|left| left <= pause) {
        return Ok(false);
    }
    let Some(end) = Instant::now().checked_add(pause) else {
        return Ok(false);
    };
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(true);
        }
        // A wake that is no cancel changes nothing.
        let watch = control.begin(Phase::Connect);
        wait_for(control.cancel.as_fd(), PollFlags::empty(), &watch, left)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_turned_away_before_the_login_is_tried_again() {
        let closed = |phase| SshError::LinkLost {
            phase,
            cause: String::new(),
        };
        for (tries, longest) in CLOSED.into_iter().enumerate() {
            let pause = pause_after(&closed(Phase::Handshake), tries).unwrap();
            assert!(pause >= longest / 2 && pause <= longest);
        }
        assert_eq!(pause_after(&closed(Phase::Handshake), CLOSED.len()), None);
        for error in [
            closed(Phase::Authenticate),
            closed(Phase::Run),
            SshError::NoCredentials,
            SshError::TurnedAway {
                said: String::new(),
            },
        ] {
            assert_eq!(pause_after(&error, 0), None, "{error:?}");
        }
    }
}
