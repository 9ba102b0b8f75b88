//! `known_hosts`, as sshd(8) describes it under SSH_KNOWN_HOSTS FILE FORMAT, and the
//! decision whether a presented key is the host's.
//!
//! Pure: bytes in, decision out. A line that cannot be read grants nothing, as with
//! OpenSSH; one that would have revoked a key is not passed over, as it is there, because
//! that would fall open: it revokes, or is an error. A host's certificate counts where the
//! authority that signed it stands in a `@cert-authority` line for the host, and neither it nor
//! the key in it is revoked; without such a line the key in it is judged as if it stood alone.
//! Called by [`crate::ssh::login`] after the key exchange, before any
//! authentication, and by [`crate::ssh::host_keys::trust`].

pub(crate) mod certificate;
pub(crate) mod index;
pub(crate) mod line;
pub(crate) mod public_key;
pub(crate) mod trust;

use std::fmt;

use crate::model::names::Port;
use crate::ssh::error::{HostKeyProblem, SshError};
use crate::ssh::host_keys::certificate::{Certificate, Verifier};
use crate::ssh::host_keys::index::LineIndex;
use crate::ssh::host_keys::line::{Entry, Marker};
pub use crate::ssh::host_keys::public_key::PublicKey;

/// All that is on record.
#[derive(Debug, Default)]
pub struct KnownHosts {
    lines: LineIndex,
}

/// Whether a key can be added for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    New,
    OnRecord,
    /// This line has another key of this type for the host.
    Another(usize),
    Revoked,
}

/// The name under which a host is on record: the bare name in lower case for port 22,
/// `[name]:port` for any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordName {
    bare: String,
    full: String,
}

impl RecordName {
    pub fn new(host: &str, port: Port) -> Self {
        let bare = host.to_ascii_lowercase();
        // Made for each of ten thousand hosts at once, so without a detour.
        let mut full = String::with_capacity(bare.len() + "[]:65535".len());
        match port == Port::SSH {
            true => full.push_str(&bare),
            false => full.extend(["[", &bare, "]:", &port.to_string()]),
        }
        Self { bare, full }
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl KnownHosts {
    pub fn parse(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }

    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self {
            lines: LineIndex::new(bytes),
        }
    }

    /// The types of the keys on record for a host, for asking it for one of these.
    pub fn kinds_for(&self, name: &RecordName) -> Vec<String> {
        let kinds = self.kinds_of(&name.full);
        if kinds.is_empty() {
            self.kinds_of(&name.bare)
        } else {
            kinds
        }
    }

    /// Whether a key is on record for a host, or an authority may vouch for it.
    pub(crate) fn knows(&self, name: &RecordName) -> bool {
        self.lines.has_plain(&name.full)
            || !self.kinds_for(name).is_empty()
            || self.has_authority(name)
    }

    fn kinds_of(&self, name: &str) -> Vec<String> {
        self.matching(name, Marker::Plain)
            .filter_map(|entry| Some(entry.key?.kind().to_owned()))
            .collect()
    }

    /// Whether `presented` is the host's key.
    ///
    /// # Errors
    /// It is unknown, not the one on record, or revoked; or the file holds a line for this
    /// host that cannot be honoured.
    pub fn verify(&self, name: &RecordName, presented: &PublicKey) -> Result<(), SshError> {
        self.check_revoked(name, presented)?;
        if self.has(&name.full, presented) {
            return Ok(());
        }
        if let Some((line, recorded)) = self.other_key(&name.full) {
            return Err(SshError::HostKey(HostKeyProblem::Mismatch {
                host: name.to_string(),
                presented: presented.to_string(),
                recorded: recorded.to_string(),
                line,
            }));
        }
        // As the OpenSSH client does: the very key that is on record for the name itself
        // is no stranger on another port of it.
        if self.has(&name.bare, presented) {
            return Ok(());
        }
        if let Some(entry) = self.matching(&name.full, Marker::CertAuthority).next() {
            return Err(SshError::KnownHosts {
                cause: format!(
                    "line {}: {name} has an authority and no key of its own on record, and presented no \
                     certificate but {presented}",
                    self.lines.number(entry.start)
                ),
            });
        }
        Err(SshError::HostKey(HostKeyProblem::Unknown {
            host: name.to_string(),
            presented: presented.to_string(),
        }))
    }

    /// Whether an authority may vouch for the host.
    pub fn has_authority(&self, name: &RecordName) -> bool {
        let of = |name| self.matching(name, Marker::CertAuthority).next().is_some();
        of(&name.full) || of(&name.bare)
    }

    /// The same as [`KnownHosts::verify`] for what may be a certificate, at this time (seconds
    /// since 1970).
    ///
    /// # Errors
    /// As [`KnownHosts::verify`]; the certificate is not good for this host now.
    pub(crate) fn believe(
        &self,
        name: &RecordName,
        presented: &PublicKey,
        now: u64,
        verifier: &Verifier<'_>,
    ) -> Result<(), SshError> {
        if !Certificate::is_one(presented) {
            return self.verify(name, presented);
        }
        let refused = |certificate: String, why| {
            SshError::HostKey(HostKeyProblem::Certificate {
                host: name.to_string(),
                presented: certificate,
                why,
            })
        };
        let Some(certificate) = Certificate::read(presented) else {
            return Err(refused(presented.to_string(), "it cannot be read"));
        };
        for key in [presented, &certificate.key, &certificate.authority] {
            self.check_revoked(name, key)?;
        }
        let vouches = |name: &str| {
            self.matching(name, Marker::CertAuthority)
                .any(|entry| entry.key.as_ref() == Some(&certificate.authority))
        };
        match vouches(&name.full) || vouches(&name.bare) {
            true => certificate
                .check(&name.bare, now, verifier)
                .map_err(|why| refused(certificate.to_string(), why)),
            false => self.verify(name, &certificate.key),
        }
    }

    /// What the file says about a key that somebody wants to add.
    pub fn standing(&self, name: &RecordName, key: &PublicKey) -> Standing {
        if self.check_revoked(name, key).is_err() {
            return Standing::Revoked;
        }
        if self.has(&name.full, key) {
            return Standing::OnRecord;
        }
        let other = self.matching(&name.full, Marker::Plain).find(|entry| {
            entry
                .key
                .as_ref()
                .is_some_and(|other| other.kind() == key.kind())
        });
        other.map_or(Standing::New, |entry| {
            Standing::Another(self.lines.number(entry.start))
        })
    }

    fn check_revoked(&self, name: &RecordName, presented: &PublicKey) -> Result<(), SshError> {
        let revocations = [&name.full, &name.bare]
            .into_iter()
            .flat_map(|n| self.matching(n, Marker::Revoked));
        for entry in revocations {
            match &entry.key {
                Some(key) if key == presented => {
                    return Err(SshError::HostKey(HostKeyProblem::Revoked {
                        host: name.to_string(),
                        presented: presented.to_string(),
                        line: self.lines.number(entry.start),
                    }));
                }
                Some(_) => {}
                None => {
                    return Err(SshError::KnownHosts {
                        cause: format!(
                            "line {}: a @revoked key that cannot be read",
                            self.lines.number(entry.start)
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    fn has(&self, name: &str, presented: &PublicKey) -> bool {
        self.matching(name, Marker::Plain)
            .any(|entry| entry.key.as_ref() == Some(presented))
    }

    fn other_key(&self, name: &str) -> Option<(usize, PublicKey)> {
        self.matching(name, Marker::Plain)
            .find_map(|entry| Some((self.lines.number(entry.start), entry.key?)))
    }

    fn matching(&self, name: &str, marker: Marker) -> impl Iterator<Item = Entry> {
        let entries = self.lines.entries(name);
        entries.filter(move |entry| entry.marker == marker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, body: u8) -> PublicKey {
        let parts = if kind == "ssh-ed25519" { 1 } else { 2 };
        let mut blob = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
        blob.extend_from_slice(kind.as_bytes());
        for _ in 0..parts {
            blob.extend_from_slice(&[0, 0, 0, 32]);
            blob.extend_from_slice(&[body; 32]);
        }
        PublicKey::from_blob(blob).unwrap()
    }

    fn name(host: &str, port: u16) -> RecordName {
        RecordName::new(host, Port::new(port).unwrap())
    }

    fn verdict(file: &str, name: &RecordName, key: &PublicKey) -> &'static str {
        match KnownHosts::parse(file.as_bytes()).verify(name, key) {
            Ok(()) => "ok",
            Err(SshError::HostKey(HostKeyProblem::Unknown { .. })) => "unknown",
            Err(SshError::HostKey(HostKeyProblem::Mismatch { .. })) => "mismatch",
            Err(SshError::HostKey(HostKeyProblem::Revoked { .. })) => "revoked",
            Err(_) => "error",
        }
    }

    #[test]
    fn the_three_refusals_differ() {
        let (good, other) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2));
        let file = format!("web1 {}\n@revoked * {}\n", good.to_line(), other.to_line());
        assert_eq!(verdict(&file, &name("web1", 22), &good), "ok");
        assert_eq!(verdict(&file, &name("WEB1", 22), &good), "ok");
        assert_eq!(verdict(&file, &name("web2", 22), &good), "unknown");
        assert_eq!(
            verdict(&file, &name("web1", 22), &key("ssh-ed25519", 3)),
            "mismatch"
        );
        assert_eq!(verdict(&file, &name("web1", 22), &other), "revoked");
    }

    #[test]
    fn ports_wildcards_and_negation() {
        let good = key("ssh-ed25519", 1);
        let line = good.to_line();
        let file = format!("[web1]:2222,!bad*,*.example.com,?b {line} a comment\n");
        assert_eq!(verdict(&file, &name("web1", 2222), &good), "ok");
        assert_eq!(verdict(&file, &name("web1", 22), &good), "unknown");
        assert_eq!(verdict(&file, &name("a.b.example.com", 22), &good), "ok");
        assert_eq!(
            verdict(&file, &name("bad.example.com", 22), &good),
            "unknown"
        );
        assert_eq!(verdict(&file, &name("bb", 22), &good), "ok");
    }

    #[test]
    fn a_revocation_that_cannot_be_read_is_not_skipped() {
        let good = key("ssh-ed25519", 1);
        let file = format!("web1 {}\n@revoked * ssh-ed25519 AAAA!\n", good.to_line());
        assert_eq!(verdict(&file, &name("web1", 22), &good), "error");
        // Names that cannot be read may be any host's.
        for names in ["|2|AAAA|AAAA", "|1|AAAA", "|1|!|!"] {
            let bad = key("ssh-ed25519", 2).to_line();
            let file = format!(
                "web1 {}\nweb1 {bad}\n@revoked {names} {bad}\n",
                good.to_line()
            );
            let web1 = name("web1", 22);
            assert_eq!(verdict(&file, &web1, &good), "ok");
            assert_eq!(verdict(&file, &web1, &key("ssh-ed25519", 2)), "revoked");
        }
        let file = format!(
            "web1 {}\n@cert-authority * ssh-ed25519 AAAA!\n",
            good.to_line()
        );
        assert_eq!(verdict(&file, &name("web1", 22), &good), "ok");
    }

    #[test]
    fn a_comment_in_another_encoding_takes_no_line_out() {
        let (good, bad) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2));
        let latin1 = b" Schl\xfcssel\n";
        let mut file = b"web1 ".to_vec();
        file.extend_from_slice(good.to_line().as_bytes());
        file.extend_from_slice(latin1);
        file.extend_from_slice(
            format!("web1 {}\n@revoked * {}", bad.to_line(), bad.to_line()).as_bytes(),
        );
        file.extend_from_slice(latin1);
        let known = KnownHosts::parse(&file);
        assert_eq!(known.verify(&name("web1", 22), &good), Ok(()));
        assert!(matches!(
            known.verify(&name("web1", 22), &bad),
            Err(SshError::HostKey(HostKeyProblem::Revoked { .. }))
        ));
    }

    #[test]
    fn an_authority_grants_nothing() {
        let good = key("ssh-ed25519", 1);
        let file = format!("@cert-authority *.example.com {}\n", good.to_line());
        assert_eq!(verdict(&file, &name("a.example.com", 22), &good), "error");
        assert_eq!(verdict(&file, &name("b.example.net", 22), &good), "unknown");
    }

    /// What OpenSSH passes over in silence, each of them before a line that grants.
    #[test]
    fn a_revocation_that_openssh_would_miss_is_not_missed() {
        let bad = key("ssh-ed25519", 1);
        let line = bad.to_line();
        let web1 = name("web1", 22);
        for revocation in [
            format!("@Revoked * {line}"),
            format!("@REVOKED\tweb1\t{line}"),
            format!("\u{feff}@revoked * {line}"),
            format!("\x0c@revoked * {line}"),
            format!("@revoked @cert-authority * {line}"),
            format!("@cert-authority @revoked * {line}"),
            format!("@revoked @revoked web1 {line}"),
            format!("@revoked [web1]:22 {line}"),
            format!("@revoked web1\0 {line}"),
            format!("@revoked\0web2\0{line}"),
            format!("@revoked {line}"),
            format!("web1,@revoked {line}"),
        ] {
            for file in [
                format!("{revocation}\nweb1 {line}\n"),
                format!("web1 {line}\n{revocation}"),
                format!("web1 {line}\r\n{revocation}\r\n"),
            ] {
                assert_eq!(verdict(&file, &web1, &bad), "revoked", "{file:?}");
            }
            // It takes no other key along.
            let good = key("ssh-ed25519", 2);
            let file = format!("{revocation}\nweb1 {}\n", good.to_line());
            assert_eq!(verdict(&file, &web1, &good), "ok", "{file:?}");
        }
    }

    /// A carriage return in the middle of a line parts nothing: what follows it would be
    /// lost, a revocation with it.
    #[test]
    fn carriage_returns_end_lines_and_do_no_more() {
        let good = key("ssh-ed25519", 1);
        let line = good.to_line();
        let web1 = name("web1", 22);
        for file in [
            format!("web1 {line}\r\n"),
            format!("\r\nweb1 {line}\r"),
            format!("web1 {line} comment\r\r\n"),
        ] {
            assert_eq!(verdict(&file, &web1, &good), "ok", "{file:?}");
        }
        for file in [
            format!("web1 {line}\r@revoked * {line}\r"),
            format!("web1\r {line}\n"),
            format!("\rweb1 {line}\n"),
        ] {
            assert_eq!(verdict(&file, &web1, &good), "unknown", "{file:?}");
        }
        let file = format!("web1 {line}\n@revoked *,!web1\r {line}\n");
        assert_eq!(verdict(&file, &web1, &good), "revoked");
    }

    #[test]
    fn a_hash_of_ssh_keygen() {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        use hmac::{Hmac, KeyInit as _, Mac as _};
        // ssh-keygen -H on a file with one line for "web1".
        let salt = [7_u8; 20];
        let mac = Hmac::<sha1::Sha1>::new_from_slice(&salt)
            .unwrap()
            .chain_update("web1")
            .finalize();
        let good = key("ssh-rsa", 1);
        let file = format!(
            "|1|{}|{} {}\n",
            STANDARD.encode(salt),
            STANDARD.encode(mac.into_bytes()),
            good.to_line()
        );
        assert_eq!(verdict(&file, &name("web1", 22), &good), "ok");
        assert_eq!(verdict(&file, &name("web2", 22), &good), "unknown");
    }

    /// 100,000 hosts with keys of their own, as sshd(8)'s plain lines have them.
    #[test]
    fn a_name_among_very_many_is_found_at_once() {
        let good = key("ssh-ed25519", 1).to_line();
        let mut file = String::new();
        for number in 0..90_000 {
            file += &format!("web{number} {good}\n");
        }
        let other = key("ssh-ed25519", 2);
        file += &format!("last,second {}\n", other.to_line());
        let known = KnownHosts::parse(file.as_bytes());
        // The index is a small part of the file, whose bytes are held once.
        assert!(known.lines.size() <= file.len() + 90_002 * 8);
        assert_eq!(known.verify(&name("second", 22), &other), Ok(()));
        let refused = known.verify(&name("last", 22), &key("ssh-ed25519", 1));
        assert!(matches!(
            refused,
            Err(SshError::HostKey(HostKeyProblem::Mismatch {
                line: 90_001,
                ..
            }))
        ));
        // A name that is looked up reads its own lines alone.
        assert_eq!(known.lines.entries("web77").count(), 1);
        assert_eq!(known.lines.entries("web90000").count(), 0);
    }
}
