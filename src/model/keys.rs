//! Keys for what a client carries and brings back, and for names that nobody guesses: one
//! for each purpose.
//!
//! Owns how they are derived from the one random key of this process, so that a tag made
//! for one purpose never passes for another: a cursor can never be an approval. Hands out
//! no key, only what computes tags. Called by `mcp` and `task`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The key of one purpose.
pub(crate) struct TagKey([u8; 64]);

impl TagKey {
    /// HMAC-SHA-256 of the purpose under the key of the process (RFC 5869 section 2.3 with
    /// a single block): whoever learns one derived key learns none of the others.
    pub(crate) fn derive(process: &[u8; 64], purpose: &str) -> Self {
        let mut mac = Hmac::<Sha256>::new(process.into());
        mac.update(purpose.as_bytes());
        let derived = mac.finalize().into_bytes();
        // HMAC fills a key up to its block size with zeros (RFC 2104 section 2).
        let mut key = [0; 64];
        key.iter_mut()
            .zip(derived)
            .for_each(|(to, from)| *to = from);
        Self(key)
    }

    /// 128 bits for this number, which nobody who has seen others can guess, in 39 digits:
    /// a model pays less for digits than for letters.
    pub(crate) fn token(&self, number: u64) -> String {
        let mut mac = self.mac();
        mac.update(&number.to_be_bytes());
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        let first = bytes.first_chunk().copied().unwrap_or_default();
        format!("{:039}", u128::from_be_bytes(first))
    }

    /// HMAC-SHA-256 under this key, for the parts to be added.
    pub(crate) fn mac(&self) -> Hmac<Sha256> {
        Hmac::new((&self.0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_of_one_length_and_differ() {
        let key = TagKey::derive(&[1; 64], "task");
        let tokens: std::collections::BTreeSet<String> = (0..1000).map(|n| key.token(n)).collect();
        assert_eq!(tokens.len(), 1000);
        let digits =
            |token: &String| token.len() == 39 && token.bytes().all(|b| b.is_ascii_digit());
        assert!(tokens.iter().all(digits));
        assert!(!tokens.contains(&TagKey::derive(&[2; 64], "task").token(0)));
    }

    #[test]
    fn each_purpose_and_each_process_has_its_own_key() {
        let tag = |process: u8, purpose: &str| {
            let mut mac = TagKey::derive(&[process; 64], purpose).mac();
            mac.update(b"the same text");
            mac.finalize().into_bytes()
        };
        assert_eq!(tag(1, "a"), tag(1, "a"));
        assert_ne!(tag(1, "a"), tag(1, "b"));
        assert_ne!(tag(1, "a"), tag(2, "a"));
    }
}
