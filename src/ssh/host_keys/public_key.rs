//! A public key as it goes over the wire, is written into files, and is shown to people.
//!
//! Owns what counts as one: two keys are the same if their bytes are, so a key has to have
//! one spelling. Verifies nothing. Called by [`crate::ssh::host_keys`], [`crate::ssh::login::private_key`] and
//! [`crate::ssh::host_keys::trust`].

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::ssh::encoding::take_string;

/// A public key as its wire blob (RFC 4253 §6.6), whose first string is its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: String,
    blob: Vec<u8>,
}

impl PublicKey {
    /// `None` if the blob is not a type and some strings, whole and in the one spelling that
    /// the key has: what was cut short is no key, and what was stretched or pressed would
    /// be the same key under another fingerprint, which a revocation of it would miss.
    pub fn from_blob(blob: Vec<u8>) -> Option<Self> {
        let (kind, mut rest) = take_string(&blob)?;
        let kind = std::str::from_utf8(kind).ok()?.to_owned();
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        // A certificate goes on with numbers, and is not put on record.
        let is_certificate = kind.contains("-cert-v01@");
        let mut parts = Vec::new();
        while !rest.is_empty() && !is_certificate {
            let (part, after) = take_string(rest)?;
            parts.push(part);
            rest = after;
        }
        let is_well_formed = match (kind.as_str(), parts.as_slice()) {
            _ if is_certificate => true,
            ("ssh-ed25519", parts) => matches!(parts, [point] if point.len() == 32),
            ("ssh-rsa", parts) => {
                matches!(parts, [exponent, modulus] if is_natural(exponent) && is_natural(modulus))
            }
            (kind, parts) => match kind.strip_prefix("ecdsa-sha2-") {
                // Uncompressed, as RFC 5656 §3.1 leaves to choose and everybody does.
                Some(curve) => {
                    matches!(parts, [name, [4, ..]] if *name == curve.as_bytes())
                }
                None => true,
            },
        };
        is_well_formed.then_some(Self { kind, blob })
    }

    pub fn kind(&self) -> &str {
        &self.kind
    }

    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        format!(
            "SHA256:{}",
            STANDARD_NO_PAD.encode(Sha256::digest(&self.blob))
        )
    }

    /// Type and key in base64, as a line of a file has them.
    pub fn to_line(&self) -> String {
        format!("{} {}", self.kind, STANDARD.encode(&self.blob))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.fingerprint())
    }
}

/// Whether an mpint (RFC 4251 §5) is a number above zero without needless leading bytes.
fn is_natural(mpint: &[u8]) -> bool {
    match mpint {
        [] | [0] => false,
        [0, next, ..] => *next >= 0x80,
        [first, ..] => *first < 0x80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(parts: &[&[u8]]) -> Vec<u8> {
        let mut blob = Vec::new();
        for part in parts {
            blob.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
            blob.extend_from_slice(part);
        }
        blob
    }

    #[test]
    fn a_key_has_one_spelling() {
        let is_key = |parts: &[&[u8]]| PublicKey::from_blob(blob(parts)).is_some();
        assert!(is_key(&[b"ssh-rsa", &[1, 0, 1], &[0, 0x81, 7]]));
        assert!(is_key(&[b"ssh-rsa", &[3], &[0x71, 7]]));
        for modulus in [&[0, 0, 0x81, 7][..], &[0, 0x71, 7], &[0x81, 7], &[0], &[]] {
            assert!(!is_key(&[b"ssh-rsa", &[3], modulus]), "{modulus:?}");
            assert!(!is_key(&[b"ssh-rsa", modulus, &[3]]), "{modulus:?}");
        }
        assert!(!is_key(&[b"ssh-rsa", &[3], &[3], &[3]]));
        let (ecdsa, curve) = (b"ecdsa-sha2-nistp256", b"nistp256");
        assert!(is_key(&[ecdsa, curve, &[4; 65]]));
        assert!(!is_key(&[ecdsa, curve, &[2; 33]]));
        assert!(!is_key(&[ecdsa, curve, &[]]));
        assert!(!is_key(&[ecdsa, b"nistp384", &[4; 65]]));
        assert!(is_key(&[b"ssh-ed25519", &[4; 32]]));
        assert!(!is_key(&[b"ssh-ed25519", &[4; 31]]));
        assert!(!is_key(&[b"ssh-ed25519", &[4; 32], &[]]));
        assert!(!is_key(&[b"with blank", &[4]]) && !is_key(&[b""]));
        assert!(is_key(&[b"to-come@example.com", &[4]]));
        for kind in ["ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256"] {
            let kind = format!("{kind}-cert-v01@openssh.com");
            assert!(is_key(&[kind.as_bytes(), &[7; 32], &[0; 8]]), "{kind}");
        }
    }
}
