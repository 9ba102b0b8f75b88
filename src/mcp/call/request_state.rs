//! What a modern client carries between a question and its answer.
//!
//! Owns `requestState`: the client could have made or kept anything it sends back, so a
//! state is tagged with a key of this process, bound to a digest of what was asked, good
//! for a time, and good once. Called by `approval`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Most states that are out at one time; the oldest is given up for a new one.
const MAX_OUT: usize = 1024;

/// Makes states and takes them back.
pub(crate) struct Keeper {
    key: [u8; 64],
    out: Mutex<Out>,
}

#[derive(Default)]
struct Out {
    last: u64,
    states: HashMap<u64, Issued>,
}

#[derive(Clone, Copy)]
struct Issued {
    since: Instant,
    good_for: Duration,
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

impl Keeper {
    pub(crate) fn new(key: [u8; 64]) -> Self {
        Self {
            key,
            out: Mutex::default(),
        }
    }

    /// A state for one question.
    pub(crate) fn issue(&self, digest: [u8; 32], good_for: Duration) -> String {
        let mut out = self.lock();
        if out.states.len() >= MAX_OUT
            && let Some(oldest) = out.states.keys().min().copied()
        {
            out.states.remove(&oldest);
        }
        out.last += 1;
        let number = out.last;
        let since = Instant::now();
        out.states.insert(number, Issued { since, good_for });
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.extend(self.tag(number, &digest).finalize().into_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Takes a state back for the question with this digest; when it was issued.
    ///
    /// # Errors
    /// See [`Fault`]. A state that was made for this is used up in any case.
    pub(crate) fn redeem(&self, state: &str, digest: &[u8; 32]) -> Result<Instant, Fault> {
        let bytes = URL_SAFE_NO_PAD.decode(state).map_err(|_| Fault::Forged)?;
        let (number, tag) = bytes.split_at_checked(8).ok_or(Fault::Forged)?;
        let number = u64::from_be_bytes(number.try_into().map_err(|_| Fault::Forged)?);
        // Compared in constant time.
        self.tag(number, digest)
            .verify_slice(tag)
            .map_err(|_| Fault::Forged)?;
        let issued = self.lock().states.remove(&number).ok_or(Fault::Replayed)?;
        if issued.since.elapsed() > issued.good_for {
            return Err(Fault::Expired);
        }
        Ok(issued.since)
    }

    fn tag(&self, number: u64, digest: &[u8; 32]) -> Hmac<Sha256> {
        let mut mac = crate::mcp::keyed(&self.key);
        mac.update(b"requestState\0");
        mac.update(&number.to_be_bytes());
        mac.update(digest);
        mac
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_state_is_good_once_and_for_what_it_was_made_for() {
        let keeper = Keeper::new([1; 64]);
        let state = keeper.issue([7; 32], LONG);
        assert_eq!(keeper.redeem(&state, &[8; 32]), Err(Fault::Forged));
        assert!(keeper.redeem(&state, &[7; 32]).is_ok());
        assert_eq!(keeper.redeem(&state, &[7; 32]), Err(Fault::Replayed));
        assert_eq!(
            Keeper::new([2; 64]).redeem(&state, &[7; 32]),
            Err(Fault::Forged)
        );
    }

    #[test]
    fn an_old_state_is_used_up_and_refused() {
        let keeper = Keeper::new([1; 64]);
        let state = keeper.issue([7; 32], Duration::ZERO);
        assert_eq!(keeper.redeem(&state, &[7; 32]), Err(Fault::Expired));
        assert_eq!(keeper.redeem(&state, &[7; 32]), Err(Fault::Replayed));
    }

    #[test]
    fn every_bit_of_a_state_counts() {
        let keeper = Keeper::new([1; 64]);
        let bytes = URL_SAFE_NO_PAD.decode(keeper.issue([7; 32], LONG)).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let state = URL_SAFE_NO_PAD.encode(bytes);
            assert_eq!(keeper.redeem(&state, &[7; 32]), Err(Fault::Forged));
        }
        for state in ["", "AAAA", "\u{2603}", "a b"] {
            assert_eq!(keeper.redeem(state, &[7; 32]), Err(Fault::Forged));
        }
    }

    #[test]
    fn how_many_are_out_is_bounded() {
        let keeper = Keeper::new([1; 64]);
        let first = keeper.issue([0; 32], LONG);
        for _ in 0..MAX_OUT {
            keeper.issue([0; 32], LONG);
        }
        assert_eq!(keeper.redeem(&first, &[0; 32]), Err(Fault::Replayed));
        assert_eq!(keeper.lock().states.len(), MAX_OUT);
    }
}
