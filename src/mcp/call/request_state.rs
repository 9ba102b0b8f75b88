//! What a modern client carries between a question and its answer.
//!
//! Owns `requestState`: the client could have made or kept anything it sends back, so a
//! state is tagged under a key of its own, bound to a digest of the call it was made for,
//! good for a time, and good once. What the person was shown stays here, and comes back
//! with the state. Called by `approval`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::model::keys::TagKey;
use crate::model::memory::Held;
use crate::policy::Shown;
use crate::task::approvals::desk::Question;

/// Most states that are out at one time; the oldest is given up for a new one.
const MAX_OUT: usize = 1024;

/// Makes states and takes them back.
pub(crate) struct RequestStates {
    key: TagKey,
    out: Mutex<Out>,
}

#[derive(Default)]
struct Out {
    last: u64,
    states: BTreeMap<u64, Issued>,
}

/// A question that a client carries.
pub(crate) struct Issued {
    pub(crate) put: Put,
    pub(crate) since: Instant,
    pub(crate) good_for: Duration,
    _held: Held,
}

/// What a client carries the state of.
pub(crate) enum Put {
    /// A form; a yes is for what it showed.
    Form(Vec<Shown>),
    /// A link to the operator's page. A yes is none to a command: it is the operator's.
    Link(Box<Question>),
}

/// Why a state is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not made here, or made for something else.
    Forged,
    /// Accepted before, or given up.
    Replayed,
    /// Made here for this, too long ago.
    Expired,
}

impl RequestStates {
    pub(crate) fn new(key: TagKey) -> Self {
        Self {
            key,
            out: Mutex::default(),
        }
    }

    /// A state for one question, put by the call with this digest.
    pub(crate) fn issue(&self, call: [u8; 32], put: Put, good_for: Duration, held: Held) -> String {
        let mut out = self.lock();
        let too_many = match out.states.len() >= MAX_OUT {
            // Numbers only grow: the first is the oldest.
            true => out.states.pop_first(),
            false => None,
        };
        out.last += 1;
        let number = out.last;
        let issued = Issued {
            put,
            since: Instant::now(),
            good_for,
            _held: held,
        };
        out.states.insert(number, issued);
        drop(out);
        // What it has at the operator's desk is taken away, which is no work for the lock.
        drop(too_many);
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.extend(self.tag(number, &call).finalize().into_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether this is a state that is out, for whatever call.
    pub(crate) fn knows(&self, state: &str) -> bool {
        let number = URL_SAFE_NO_PAD.decode(state).ok().and_then(|bytes| {
            let (number, _) = bytes.split_at_checked(8)?;
            Some(u64::from_be_bytes(number.try_into().ok()?))
        });
        number.is_some_and(|number| self.lock().states.contains_key(&number))
    }

    /// Takes a state back for the call with this digest; what was issued with it.
    ///
    /// # Errors
    /// See [`Fault`]. A state that was made for this is used up in any case.
    pub(crate) fn redeem(&self, state: &str, call: &[u8; 32]) -> Result<Issued, Fault> {
        let bytes = URL_SAFE_NO_PAD.decode(state).map_err(|_| Fault::Forged)?;
        let (number, tag) = bytes.split_at_checked(8).ok_or(Fault::Forged)?;
        let number = u64::from_be_bytes(number.try_into().map_err(|_| Fault::Forged)?);
        // Compared in constant time.
        self.tag(number, call)
            .verify_slice(tag)
            .map_err(|_| Fault::Forged)?;
        let issued = self.lock().states.remove(&number).ok_or(Fault::Replayed)?;
        if issued.since.elapsed() > issued.good_for {
            return Err(Fault::Expired);
        }
        Ok(issued)
    }

    /// Takes questions away from the operator whose state was not brought back in time; when
    /// the next one is due. The states stay, to be told as too late.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let (mut late, mut next) = (Vec::new(), None::<Instant>);
        let mut out = self.lock();
        for issued in out.states.values_mut() {
            let due = issued.since + issued.good_for;
            match &issued.put {
                Put::Form(_) => {}
                Put::Link(_) if due <= now => {
                    late.push(std::mem::replace(&mut issued.put, Put::Form(Vec::new())));
                }
                Put::Link(_) => next = Some(next.map_or(due, |next| next.min(due))),
            }
        }
        drop(out);
        drop(late);
        next
    }

    /// Nobody will bring anything back.
    pub(crate) fn give_up(&self) {
        let all = std::mem::take(&mut self.lock().states);
        drop(all);
    }

    fn tag(&self, number: u64, call: &[u8; 32]) -> Hmac<Sha256> {
        let mut mac = self.key.mac();
        mac.update(&number.to_be_bytes());
        mac.update(call);
        mac
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::memory::Account;

    fn issue(states: &RequestStates, call: [u8; 32], good_for: Duration) -> String {
        let held = Account::of(1_000, false).hold(0);
        states.issue(call, Put::Form(Vec::new()), good_for, held)
    }

    const LONG: Duration = Duration::from_secs(60);

    fn states(process: u8) -> RequestStates {
        RequestStates::new(TagKey::derive(&[process; 64], "requestState"))
    }

    fn fault(states: &RequestStates, state: &str, call: [u8; 32]) -> Option<Fault> {
        states.redeem(state, &call).err()
    }

    #[test]
    fn a_state_is_good_once_and_for_what_it_was_made_for() {
        let here = states(1);
        let state = issue(&here, [7; 32], LONG);
        assert_eq!(fault(&here, &state, [8; 32]), Some(Fault::Forged));
        assert_eq!(fault(&here, &state, [7; 32]), None);
        assert_eq!(fault(&here, &state, [7; 32]), Some(Fault::Replayed));
        assert_eq!(fault(&states(2), &state, [7; 32]), Some(Fault::Forged));
    }

    #[test]
    fn an_old_state_is_used_up_and_refused() {
        let here = states(1);
        let state = issue(&here, [7; 32], Duration::ZERO);
        assert_eq!(fault(&here, &state, [7; 32]), Some(Fault::Expired));
        assert_eq!(fault(&here, &state, [7; 32]), Some(Fault::Replayed));
    }

    #[test]
    fn a_late_form_is_told_as_late_whoever_looked_before() {
        let here = states(1);
        let old = issue(&here, [7; 32], Duration::ZERO);
        assert_eq!(here.expire(Instant::now()), None);
        assert_eq!(fault(&here, &old, [7; 32]), Some(Fault::Expired));
        let good = issue(&here, [7; 32], LONG);
        here.give_up();
        assert!(!here.knows(&good));
    }

    #[test]
    fn every_bit_of_a_state_counts() {
        let here = states(1);
        let bytes = URL_SAFE_NO_PAD.decode(issue(&here, [7; 32], LONG)).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let state = URL_SAFE_NO_PAD.encode(bytes);
            assert_eq!(fault(&here, &state, [7; 32]), Some(Fault::Forged));
        }
        for state in ["", "AAAA", "\u{2603}", "a b"] {
            assert_eq!(fault(&here, state, [7; 32]), Some(Fault::Forged));
        }
    }

    #[test]
    fn how_many_are_out_is_bounded() {
        let here = states(1);
        let first = issue(&here, [0; 32], LONG);
        for _ in 0..MAX_OUT {
            issue(&here, [0; 32], LONG);
        }
        assert_eq!(fault(&here, &first, [0; 32]), Some(Fault::Replayed));
        assert_eq!(here.lock().states.len(), MAX_OUT);
    }
}
