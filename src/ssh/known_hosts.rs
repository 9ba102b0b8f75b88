//! `known_hosts`, as sshd(8) describes it under SSH_KNOWN_HOSTS FILE FORMAT, and the
//! decision whether a presented key is the host's.
//!
//! Pure: bytes in, decision out. A line that cannot be read grants nothing, as with
//! OpenSSH; one that would have revoked a key is an error, because skipping it would fall
//! open. Host certificates are not verified here, so a `@cert-authority` line never grants
//! anything, and says so when it is all there is for a host. Called by [`super::login`]
//! after the key exchange, before any authentication, and by [`super::trust`].

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::error::{HostKeyProblem, SshError};
use super::key::take_string;
use crate::config::types::Port;

/// All that is on record, in the order of the file.
#[derive(Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    line: usize,
    marker: Marker,
    names: Names,
    /// `None`: the key cannot be read (kept for revocations only).
    key: Option<PublicKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Plain,
    CertAuthority,
    Revoked,
}

#[derive(Debug)]
enum Names {
    /// `|1|salt|hash`: HMAC-SHA1 of one name, keyed with the salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// Comma-separated patterns with `*`, `?` and `!`, in lower case.
    Patterns(Vec<String>),
    /// Cannot be read (kept for revocations only): whoever it may be.
    Anyone,
}

/// A public key as its wire blob (RFC 4253 §6.6), whose first string is its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: String,
    blob: Vec<u8>,
}

impl PublicKey {
    /// `None` if the blob is not a type and some strings, whole: a key that was cut short
    /// is no other key, it is none.
    pub fn from_blob(blob: Vec<u8>) -> Option<Self> {
        let (kind, mut rest) = take_string(&blob)?;
        let kind = std::str::from_utf8(kind).ok()?;
        // A certificate goes on with numbers, and is not put on record.
        let is_certificate = kind.contains("-cert-v01@");
        let mut parts = 0_usize;
        while !rest.is_empty() && !is_certificate {
            rest = take_string(rest)?.1;
            parts = parts.saturating_add(1);
        }
        let whole = match kind {
            _ if is_certificate => true,
            "ssh-ed25519" => parts == 1,
            "ssh-rsa" => parts == 2,
            _ if kind.starts_with("ecdsa-sha2-") => parts == 2,
            _ => true,
        };
        if !whole {
            return None;
        }
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        Some(Self {
            kind: kind.to_owned(),
            blob,
        })
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
        let full = if port == Port::SSH {
            bare.clone()
        } else {
            format!("[{bare}]:{port}")
        };
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
        let entries = bytes
            .split(|&b| b == b'\n')
            .zip(1..)
            // A comment in another encoding must not take its line out.
            .filter_map(|(text, line)| parse_line(&String::from_utf8_lossy(text), line))
            .collect();
        Self { entries }
    }

    /// The types of the keys on record for a host, for asking it for one of these.
    pub fn kinds_for(&self, name: &RecordName) -> Vec<&str> {
        let kinds = self.kinds_of(&name.full);
        if kinds.is_empty() {
            self.kinds_of(&name.bare)
        } else {
            kinds
        }
    }

    fn kinds_of(&self, name: &str) -> Vec<&str> {
        self.matching(name, Marker::Plain)
            .filter_map(|entry| entry.key.as_ref().map(PublicKey::kind))
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
                    "line {}: @cert-authority is not supported, and {name} has no key of its own on record; \
                     presented {presented}",
                    entry.line
                ),
            });
        }
        Err(SshError::HostKey(HostKeyProblem::Unknown {
            host: name.to_string(),
            presented: presented.to_string(),
        }))
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
                .is_some_and(|other| other.kind == key.kind)
        });
        other.map_or(Standing::New, |entry| Standing::Another(entry.line))
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
                        line: entry.line,
                    }));
                }
                Some(_) => {}
                None => {
                    return Err(SshError::KnownHosts {
                        cause: format!("line {}: a @revoked key that cannot be read", entry.line),
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

    fn other_key(&self, name: &str) -> Option<(usize, &PublicKey)> {
        self.matching(name, Marker::Plain)
            .find_map(|entry| Some((entry.line, entry.key.as_ref()?)))
    }

    fn matching<'a, 'n>(
        &'a self,
        name: &'n str,
        marker: Marker,
    ) -> impl Iterator<Item = &'a Entry> + use<'a, 'n> {
        self.entries
            .iter()
            .filter(move |entry| entry.marker == marker && entry.names.matches(name))
    }
}

fn parse_line(text: &str, line: usize) -> Option<Entry> {
    let mut fields = text
        .split([' ', '\t', '\r'])
        .filter(|field| !field.is_empty());
    let mut first = fields.next()?;
    if first.starts_with('#') {
        return None;
    }
    let marker = match first {
        "@revoked" => Marker::Revoked,
        "@cert-authority" => Marker::CertAuthority,
        _ if first.starts_with('@') => return None,
        _ => Marker::Plain,
    };
    if marker != Marker::Plain {
        first = fields.next()?;
    }
    let names = match Names::parse(first) {
        None if marker == Marker::Revoked => Names::Anyone,
        names => names?,
    };
    let key = match (fields.next(), fields.next()) {
        (Some(kind), Some(text)) => read_key(kind, text),
        _ => None,
    };
    if key.is_none() && marker != Marker::Revoked {
        return None;
    }
    Some(Entry {
        line,
        marker,
        names,
        key,
    })
}

fn read_key(kind: &str, text: &str) -> Option<PublicKey> {
    let key = PublicKey::from_blob(STANDARD.decode(text).ok()?)?;
    (key.kind == kind).then_some(key)
}

impl Names {
    fn parse(field: &str) -> Option<Self> {
        let Some(hashed) = field.strip_prefix('|') else {
            return Some(Self::Patterns(
                field
                    .to_ascii_lowercase()
                    .split(',')
                    .map(str::to_owned)
                    .collect(),
            ));
        };
        let (salt, hash) = hashed.strip_prefix("1|")?.split_once('|')?;
        Some(Self::Hashed {
            salt: STANDARD.decode(salt).ok()?,
            hash: STANDARD.decode(hash).ok()?,
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok()),
            Self::Anyone => true,
            Self::Patterns(patterns) => {
                let mut found = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        Some(pattern) if wildcard(pattern.as_bytes(), name.as_bytes()) => {
                            return false;
                        }
                        None if wildcard(pattern.as_bytes(), name.as_bytes()) => found = true,
                        _ => {}
                    }
                }
                found
            }
        }
    }
}

/// `*` is any run of characters, `?` is one. Linear in pattern × text: after a mismatch only
/// the last star is tried again.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0_usize, 0_usize);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p = p.saturating_add(1);
            }
            Some(&want) if want == b'?' || want == c => {
                p = p.saturating_add(1);
                t = t.saturating_add(1);
            }
            _ => match retry {
                Some((star, from)) => {
                    p = star.saturating_add(1);
                    t = from.saturating_add(1);
                    retry = Some((star, t));
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|&b| b == b'*')
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

    #[test]
    fn a_hash_of_ssh_keygen() {
        // ssh-keygen -H on a file with one line for "web1".
        let salt = [7_u8; 20];
        let mac = Hmac::<Sha1>::new_from_slice(&salt)
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

    #[test]
    fn stars_do_not_blow_up() {
        let pattern = "*a".repeat(40) + "b";
        assert!(!wildcard(pattern.as_bytes(), "a".repeat(4000).as_bytes()));
        assert!(wildcard(b"*", b""));
        assert!(wildcard(b"a*b?", b"axxbc"));
    }
}
