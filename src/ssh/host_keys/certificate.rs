//! A host's certificate (PROTOCOL.certkeys of OpenSSH): what it says, and whether an authority's
//! word holds for a host at a time.
//!
//! Owns the reading of one, and every condition but who the authority is: kind, names, times,
//! options, signature. Stricter than OpenSSH before 10 in one thing: a certificate without
//! names is nobody's, not everybody's. Checks no signature itself. Called by
//! [`crate::ssh::host_keys::KnownHosts`].

use std::fmt;

use crate::ssh::encoding::{put_string, take_string};
use crate::ssh::host_keys::public_key::PublicKey;

/// What the types of certificates end in.
const SUFFIX: &str = "-cert-v01@openssh.com";
/// The certificate of a host; that of a user is 1.
const HOST: u32 = 2;

/// Says whether a signature over some bytes is this key's, by this algorithm.
pub(crate) type Verifier<'v> = dyn Fn(&Signature<'_>) -> bool + 'v;

/// A signature to be checked.
pub(crate) struct Signature<'a> {
    pub(crate) algorithm: &'a str,
    pub(crate) key: &'a PublicKey,
    /// Algorithm and signature (RFC 4253 section 6.6).
    pub(crate) blob: &'a [u8],
    pub(crate) signed: &'a [u8],
}

/// A certificate that could be read.
pub(crate) struct Certificate<'a> {
    /// The key that it is about, as if it stood alone.
    pub(crate) key: PublicKey,
    pub(crate) authority: PublicKey,
    kind: u32,
    names: Vec<&'a [u8]>,
    /// Seconds since 1970; the second one is not within.
    times: (u64, u64),
    has_options: bool,
    signature: &'a [u8],
    signed: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(crate) fn is_one(key: &PublicKey) -> bool {
        key.kind().ends_with(SUFFIX)
    }

    /// `None`: not whole, or with something behind it.
    pub(crate) fn read(presented: &'a PublicKey) -> Option<Self> {
        let plain_kind = presented.kind().strip_suffix(SUFFIX)?;
        let whole = presented.blob();
        let (_kind, rest) = take_string(whole)?;
        let (_nonce, rest) = take_string(rest)?;
        let parts = match plain_kind {
            "ssh-ed25519" => 1,
            "ssh-rsa" => 2,
            kind if kind.starts_with("ecdsa-sha2-") => 2,
            _ => return None,
        };
        let mut plain = Vec::new();
        put_string(&mut plain, plain_kind.as_bytes())?;
        let mut rest = rest;
        for _ in 0..parts {
            let (part, after) = take_string(rest)?;
            put_string(&mut plain, part)?;
            rest = after;
        }
        let (_serial, rest) = rest.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (_id, rest) = take_string(rest)?;
        let (names, rest) = take_string(rest)?;
        let (after, rest) = rest.split_first_chunk::<8>()?;
        let (before, rest) = rest.split_first_chunk::<8>()?;
        let (options, rest) = take_string(rest)?;
        let (_extensions, rest) = take_string(rest)?;
        let (_reserved, rest) = take_string(rest)?;
        let (authority, rest) = take_string(rest)?;
        let signed = whole.get(..whole.len().checked_sub(rest.len())?)?;
        let (signature, rest) = take_string(rest)?;
        let authority = PublicKey::from_blob(authority.to_vec())?;
        // A chain of certificates is none that OpenSSH reads.
        if !rest.is_empty() || Self::is_one(&authority) {
            return None;
        }
        Some(Self {
            key: PublicKey::from_blob(plain)?,
            authority,
            kind: u32::from_be_bytes(*kind),
            names: strings(names)?,
            times: (u64::from_be_bytes(*after), u64::from_be_bytes(*before)),
            has_options: !options.is_empty(),
            signature,
            signed,
        })
    }

    /// Whether it is good for the host of this name at this time, if its authority is.
    ///
    /// # Errors
    /// What it lacks, in words.
    pub(crate) fn check(
        &self,
        name: &str,
        now: u64,
        verifier: &Verifier<'_>,
    ) -> Result<(), &'static str> {
        let (after, before) = self.times;
        let faults = [
            (self.kind != HOST, "it is no host's certificate"),
            (self.names.is_empty(), "it names no host"),
            (
                !self.names.contains(&name.as_bytes()),
                "it does not name this host",
            ),
            (now < after, "it is not valid yet"),
            (now >= before, "it has expired"),
            (
                self.has_options,
                "it has critical options, and a host's may have none",
            ),
        ];
        match faults.into_iter().find(|(is_so, _)| *is_so) {
            Some((_, fault)) => Err(fault),
            None if self.is_signed(verifier) => Ok(()),
            None => Err("its signature is wrong"),
        }
    }

    /// By the authority's key, with nothing that is older than SHA-2.
    fn is_signed(&self, verifier: &Verifier<'_>) -> bool {
        let Some((algorithm, rest)) = take_string(self.signature) else {
            return false;
        };
        // The library goes by where the signature has to begin, whatever length stands there.
        if !take_string(rest).is_some_and(|(_, behind)| behind.is_empty()) {
            return false;
        }
        let kind = self.authority.kind();
        let fits = match kind {
            "ssh-rsa" => matches!(algorithm, b"rsa-sha2-256" | b"rsa-sha2-512"),
            kind => algorithm == kind.as_bytes(),
        };
        let algorithm = std::str::from_utf8(algorithm).unwrap_or_default();
        fits && verifier(&Signature {
            algorithm,
            key: &self.authority,
            blob: self.signature,
            signed: self.signed,
        })
    }
}

impl fmt::Display for Certificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, certified by {}", self.key, self.authority)
    }
}

fn strings(mut list: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !list.is_empty() {
        let (one, after) = take_string(list)?;
        found.push(one);
        list = after;
    }
    Some(found)
}

/// Signature algorithms of hosts that have a certificate, best first.
pub(crate) const ALGORITHMS: [&str; 6] = [
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
];

#[cfg(test)]
mod tests {
    use super::*;

    struct Parts {
        kind: u32,
        names: Vec<u8>,
        times: (u64, u64),
        options: Vec<u8>,
        algorithm: &'static [u8],
    }

    fn text(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_string(&mut out, bytes).unwrap();
        out
    }

    fn made(parts: &Parts) -> Vec<u8> {
        let authority = [text(b"ssh-ed25519"), text(&[9; 32])].concat();
        let (after, before) = parts.times;
        [
            text(b"ssh-ed25519-cert-v01@openssh.com"),
            text(&[1; 32]),
            text(&[7; 32]),
            vec![0; 8],
            parts.kind.to_be_bytes().to_vec(),
            text(b"id"),
            text(&parts.names),
            after.to_be_bytes().to_vec(),
            before.to_be_bytes().to_vec(),
            text(&parts.options),
            text(b""),
            text(b""),
            text(&authority),
            text(&[text(parts.algorithm), text(&[3; 64])].concat()),
        ]
        .concat()
    }

    fn good() -> Parts {
        Parts {
            kind: HOST,
            names: [text(b"web1"), text(b"10.0.0.1")].concat(),
            times: (100, 200),
            options: Vec::new(),
            algorithm: b"ssh-ed25519",
        }
    }

    fn said(parts: &Parts, name: &str, now: u64) -> Result<(), &'static str> {
        let key = PublicKey::from_blob(made(parts)).unwrap();
        Certificate::read(&key)
            .unwrap()
            .check(name, now, &|signature| {
                assert!(signature.signed.ends_with(&[9; 32]));
                true
            })
    }

    #[test]
    fn every_condition_counts() {
        assert_eq!(said(&good(), "web1", 100), Ok(()));
        assert_eq!(said(&good(), "10.0.0.1", 199), Ok(()));
        for (name, now, parts) in [
            ("web2", 150, good()),
            ("WEB1", 150, good()),
            ("web", 150, good()),
            ("web1", 99, good()),
            ("web1", 200, good()),
            ("web1", 150, Parts { kind: 1, ..good() }),
            (
                "web1",
                150,
                Parts {
                    names: Vec::new(),
                    ..good()
                },
            ),
            (
                "web1",
                150,
                Parts {
                    names: text(b"web*"),
                    ..good()
                },
            ),
            (
                "web1",
                150,
                Parts {
                    options: text(b"x"),
                    ..good()
                },
            ),
            (
                "web1",
                150,
                Parts {
                    algorithm: b"ssh-rsa",
                    ..good()
                },
            ),
            (
                "web1",
                150,
                Parts {
                    times: (200, 100),
                    ..good()
                },
            ),
        ] {
            assert!(said(&parts, name, now).is_err(), "{name} {now}");
        }
        let key = PublicKey::from_blob(made(&good())).unwrap();
        let certificate = Certificate::read(&key).unwrap();
        assert_eq!(
            certificate.check("web1", 150, &|_| false),
            Err("its signature is wrong")
        );
        assert_eq!(certificate.key.kind(), "ssh-ed25519");
    }

    #[test]
    fn what_is_not_whole_is_none() {
        let whole = made(&good());
        let read = |bytes: &[u8]| {
            let key = PublicKey::from_blob(bytes.to_vec());
            key.is_some_and(|key| Certificate::read(&key).is_some())
        };
        assert!(read(&whole));
        for cut in 0..whole.len() {
            assert!(!read(&whole[..cut]), "{cut}");
        }
        assert!(!read(&[whole, vec![0]].concat()));
    }
}
