//! What the logins of a route relied on: as long as all of it still holds, the session is as
//! good as a new one.
//!
//! Compares; logs in to nothing. Called by [`crate::ssh::client`] for idle sessions, and by
//! [`crate::ssh::login`] for those that carry others.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::{Host, Snapshot};
use crate::policy::network::PinnedAddress;
use crate::ssh::host_keys::certificate::Signature;
use crate::ssh::host_keys::{PublicKey, RecordName};
use crate::ssh::libssh2::Session;
use crate::ssh::login::key_files::{KnownHostsCache, material_digest};
use crate::ssh::run_report::Negotiated;

pub(crate) struct Proof {
    pub(crate) hops: Vec<Verified>,
    pub(crate) known_hosts: [u8; 32],
    pub(crate) material: [u8; 32],
    /// What the hops agreed on; nothing relies on it.
    pub(crate) negotiated: Arc<[Negotiated]>,
}

#[derive(Clone)]
pub(crate) struct Verified {
    pub(crate) address: PinnedAddress,
    pub(crate) name: RecordName,
    pub(crate) key: PublicKey,
}

impl Proof {
    /// Whether the addresses are still allowed, the host keys still on record, the keys and
    /// certificates the same.
    pub(crate) fn still_holds(
        &self,
        snapshot: &Snapshot,
        known_hosts: &KnownHostsCache,
        route: &[&Host],
    ) -> bool {
        let allowed = |hop: &Verified| {
            let socket = hop.address.socket_addr();
            route.iter().any(|host| {
                snapshot.policy().network().pin(socket.ip(), host.port) == Ok(hop.address)
            })
        };
        let Ok((known, digest)) = known_hosts.current(snapshot) else {
            return false;
        };
        let on_record = digest == self.known_hosts || {
            let verified = |hop: &Verified| {
                let believed = known.believe(&hop.name, &hop.key, now(), &signed_by);
                believed.is_ok()
            };
            self.hops.iter().all(verified)
        };
        on_record
            && self.hops.iter().all(allowed)
            && material_digest(snapshot, route) == self.material
    }
}

/// Seconds since 1970. Before that no certificate is valid.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Whether an authority's signature is its own, by libssh2.
pub(crate) fn signed_by(signature: &Signature<'_>) -> bool {
    let Signature {
        algorithm,
        key,
        blob,
        signed,
    } = signature;
    Session::new().is_ok_and(|mut session| session.verifies(algorithm, key.blob(), blob, signed))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::model::names::Port;
    use crate::ssh::host_keys::KnownHosts;

    const CERTIFICATES: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/host_certificates.txt"
    ));

    /// By the library's own verifier: every byte of a certificate is under its signature, or is it.
    #[test]
    fn a_certificate_with_one_bit_changed_is_nobodys() {
        let name = RecordName::new("web1", Port::new(22).unwrap());
        let mut seen = 0;
        for line in CERTIFICATES.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, blob, kind, authority] = words.as_slice() else {
                panic!("{line}")
            };
            let known = format!("@cert-authority web1 {kind} {authority}\n");
            let known = KnownHosts::parse(known.as_bytes());
            let believed = |blob: &[u8]| {
                PublicKey::from_blob(blob.to_vec()).is_some_and(|key| {
                    let now = 1_700_000_000;
                    known.believe(&name, &key, now, &signed_by).is_ok()
                })
            };
            let blob = STANDARD.decode(blob).unwrap();
            assert!(believed(&blob), "{kind}");
            for at in 0..blob.len() {
                let mut changed = blob.clone();
                changed[at] ^= 1;
                assert!(!believed(&changed), "{kind}, byte {at}");
            }
            seen += 1;
        }
        assert_eq!(seen, 4);
    }
}
