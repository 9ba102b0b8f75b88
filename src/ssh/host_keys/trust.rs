//! `trust ALIAS`: a host's keys, and putting them on record.
//!
//! The only thing that ever adds to `known_hosts`, and only from the command line: no tool
//! call leads here. Refuses to touch a host that has another key on record already: such a
//! line is taken out by hand, by somebody who knows why. Asks nobody: the person's side is
//! `cli::commands::trust` and its neighbour for many hosts, the only callers.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::config::{FileError, Host, Snapshot};
use crate::model::names::HostAlias;
use crate::model::threads::Maker;
use crate::ssh::deadline::{Cancel, Control, Deadline};
use crate::ssh::encoding::take_string;
use crate::ssh::error::SshError;
use crate::ssh::host_keys::{KnownHosts, PublicKey, RecordName, Standing};
use crate::ssh::login::algorithms::host_key_kinds;
use crate::ssh::login::key_files::{KnownHostsCache, known_hosts_bytes};
use crate::ssh::login::limiter::Logins;
use crate::ssh::login::route::presented::{Presented, presented_key};
use crate::ssh::login::unlocked::Unlocked;
use crate::ssh::login::{Means, record_name};
use crate::ssh::transport::resolve::Resolver;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trusted {
    Added(usize),
    /// All of them are on record.
    Already,
}

/// Why nothing was added.
#[derive(Debug)]
pub(crate) enum TrustError {
    UnknownHost,
    /// The host presented no key at all.
    Unreachable(SshError),
    KnownHosts(SshError),
    /// A key is marked `@revoked`.
    Revoked(String),
    /// This line of the file has another key.
    Another {
        line: usize,
        presented: String,
    },
    Write(FileError),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownHost => f.write_str("no such alias in servers.yml"),
            Self::Unreachable(error) => write!(f, "the host's keys could not be fetched: {error}"),
            Self::KnownHosts(error) => error.fmt(f),
            Self::Revoked(key) => {
                write!(f, "known_hosts marks the presented key as revoked: {key}")
            }
            Self::Another { line, presented } => write!(
                f,
                "known_hosts line {line} has another key of this host (presented: {presented}); \
                 if the host was reinstalled, take that line out first"
            ),
            Self::Write(error) => write!(f, "known_hosts could not be written: {error}"),
        }
    }
}

impl std::error::Error for TrustError {}

/// With what a host is reached.
pub(crate) struct Reach<'a> {
    /// The agent's socket, for jump hosts whose entries say `agent: true`.
    pub agent: Option<&'a Path>,
    /// Of the threads that look names up.
    pub resolvers: Maker,
}

/// The keys that a host presents, and what known_hosts says of each.
pub(crate) struct Offer {
    snapshot: Arc<Snapshot>,
    name: RecordName,
    keys: Vec<PublicKey>,
    /// The file as it was when the keys were fetched.
    known: KnownHosts,
}

/// Fetches a host's keys.
///
/// # Errors
/// There is no such host, it cannot be reached, or known_hosts cannot be read.
pub(crate) fn fetch(
    snapshot: &Arc<Snapshot>,
    alias: &HostAlias,
    reach: &Reach<'_>,
    wanted: Wanted<'_>,
) -> Result<Offer, TrustError> {
    let host = snapshot.host(alias).ok_or(TrustError::UnknownHost)?;
    let keys = presented_keys(snapshot, host, reach, wanted)?;
    let file = known_hosts_bytes(snapshot).map_err(TrustError::KnownHosts)?;
    Ok(Offer {
        snapshot: Arc::clone(snapshot),
        name: record_name(host),
        keys,
        known: KnownHosts::parse(&file),
    })
}

impl Offer {
    pub(crate) fn name(&self) -> &RecordName {
        &self.name
    }

    pub(crate) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    pub(crate) fn is_on_record(&self, key: &PublicKey) -> bool {
        self.known.standing(&self.name, key) == Standing::OnRecord
    }

    /// Whether the key is to be added.
    ///
    /// # Errors
    /// The host has another key on record, or this one is revoked.
    pub(crate) fn is_new(&self, key: &PublicKey) -> Result<bool, TrustError> {
        is_new(&self.known, &self.name, key)
    }

    /// Adds to what is on record by now: while the host was asked and a person compared,
    /// others may have added to it, or revoked what is to be added.
    ///
    /// # Errors
    /// See [`TrustError`]; then nothing was added.
    pub(crate) fn add(&self, chosen: Vec<PublicKey>) -> Result<Trusted, TrustError> {
        add(&self.snapshot, &self.name, chosen)
    }
}

fn add(
    snapshot: &Snapshot,
    name: &RecordName,
    chosen: Vec<PublicKey>,
) -> Result<Trusted, TrustError> {
    let (dirs, path) = (snapshot.dirs(), snapshot.known_hosts());
    let _turn = dirs.hold_known_hosts(path).map_err(TrustError::Write)?;
    let file = known_hosts_bytes(snapshot).map_err(TrustError::KnownHosts)?;
    let known = KnownHosts::parse(&file);
    let mut new = Vec::new();
    for key in chosen {
        if is_new(&known, name, &key)? {
            new.push(key);
        }
    }
    if new.is_empty() {
        return Ok(Trusted::Already);
    }
    dirs.replace_known_hosts(path, &with_lines(file, name, &new))
        .map_err(TrustError::Write)?;
    Ok(Trusted::Added(new.len()))
}

/// Which of a host's keys are asked for. A key exchange shows one key, and sshd takes no second
/// exchange before the login (its monitor signs once), so each further type is a connection
/// that comes to nothing, which counts against us there (sshd's `PerSourcePenalties`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted<'f> {
    /// Every key it has: a connection for each type that it offers.
    Every,
    /// The one with this fingerprint: one connection, and others only until it is found.
    Named(&'f str),
    /// The one it presents to a client of ours, preferably of a type that is on record: one
    /// connection.
    One,
}

fn presented_keys(
    snapshot: &Arc<Snapshot>,
    host: &Host,
    reach: &Reach<'_>,
    wanted: Wanted<'_>,
) -> Result<Vec<PublicKey>, TrustError> {
    let resolver = Resolver::new(reach.resolvers.clone());
    let means = Means {
        snapshot,
        resolver: &resolver,
        logins: &Logins::default(),
        known_hosts: &KnownHostsCache::default(),
        agent: reach.agent,
        unlocked: &Unlocked::default(),
        bastions: None,
        operator: None,
    };
    let route = snapshot.route(&host.alias);
    let local = |e: io::Error| SshError::Local {
        what: "eventfd",
        cause: e.to_string(),
    };
    let cancel = Cancel::new()
        .map_err(local)
        .map_err(TrustError::Unreachable)?;
    let control = Control::new(Deadline::Never, cancel);
    let first = presented_key(&means, &route, None, &control).map_err(TrustError::Unreachable)?;
    let others = match wanted {
        Wanted::One => Vec::new(),
        // Its offer says which types it has, so that it is asked for no other.
        Wanted::Every | Wanted::Named(_) => {
            host_key_kinds(first.offered.as_deref(), host.legacy_algorithms)
        }
    };
    let mut keys = vec![first.key];
    for kind in others {
        if keys.iter().any(|key| key.kind() == kind) {
            continue;
        }
        if let Wanted::Named(wanted) = wanted
            && keys.iter().any(|key| key.fingerprint() == wanted)
        {
            break;
        }
        match presented_key(&means, &route, Some(kind), &control) {
            Ok(Presented { key, .. }) if !keys.contains(&key) => keys.push(key),
            // A type that it does not have after all.
            Ok(_) | Err(SshError::Protocol { .. } | SshError::NoCommon { .. }) => {}
            Err(error) => return Err(TrustError::Unreachable(error)),
        }
    }
    keys.sort_by(|a, b| a.kind().cmp(b.kind()));
    Ok(keys)
}

/// Whether a key is to be added; `false`: it is on record.
fn is_new(known: &KnownHosts, name: &RecordName, key: &PublicKey) -> Result<bool, TrustError> {
    match known.standing(name, key) {
        Standing::New => Ok(true),
        Standing::OnRecord => Ok(false),
        Standing::Another(line) => Err(TrustError::Another {
            line,
            presented: key.to_string(),
        }),
        Standing::Revoked => Err(TrustError::Revoked(key.to_string())),
    }
}

/// As `ssh-keygen -l` shows a key: bits, fingerprint, name, type.
pub(crate) fn describe(key: &PublicKey, name: &RecordName) -> String {
    let (bits, label) = size_and_type(key);
    format!("{bits} {} {name} ({label})", key.fingerprint())
}

/// A key's bits and the name of its type, as OpenSSH shows them.
pub(crate) fn size_and_type(key: &PublicKey) -> (usize, &str) {
    match key.kind() {
        "ssh-ed25519" => (256, "ED25519"),
        "ecdsa-sha2-nistp256" => (256, "ECDSA"),
        "ecdsa-sha2-nistp384" => (384, "ECDSA"),
        "ecdsa-sha2-nistp521" => (521, "ECDSA"),
        "ssh-rsa" => (rsa_bits(key.blob()).unwrap_or(0), "RSA"),
        other => (0, other),
    }
}

/// Bits of the modulus (RFC 4253 §6.6: type, e, n).
fn rsa_bits(blob: &[u8]) -> Option<usize> {
    let (_, rest) = take_string(blob)?;
    let (_, rest) = take_string(rest)?;
    let (modulus, _) = take_string(rest)?;
    let start = modulus.iter().position(|&byte| byte != 0)?;
    let significant = modulus.get(start..)?;
    let (first, rest) = significant.split_first()?;
    let top = usize::try_from(u8::BITS.saturating_sub(first.leading_zeros())).ok()?;
    rest.len().checked_mul(8)?.checked_add(top)
}

/// The file with the new lines at its end.
fn with_lines(mut file: Vec<u8>, name: &RecordName, keys: &[PublicKey]) -> Vec<u8> {
    if file.last().is_some_and(|&byte| byte != b'\n') {
        file.push(b'\n');
    }
    for key in keys {
        file.extend_from_slice(format!("{name} {}\n", key.to_line()).as_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::Port;
    use base64::Engine as _;

    #[test]
    fn a_key_is_described_as_ssh_keygen_does() {
        let blob = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let blob = base64::engine::general_purpose::STANDARD
            .decode(blob)
            .unwrap();
        let key = PublicKey::from_blob(blob).unwrap();
        let name = RecordName::new("Web1", Port::new(2222).unwrap());
        let line = describe(&key, &name);
        assert!(line.starts_with("256 SHA256:"), "{line}");
        assert!(line.ends_with(" [web1]:2222 (ED25519)"), "{line}");
    }

    #[test]
    fn lines_are_added_on_lines_of_their_own() {
        let blob = [&[0, 0, 0, 3][..], b"abc", &[0, 0, 0, 1, 7]].concat();
        let key = PublicKey::from_blob(blob).unwrap();
        let name = RecordName::new("web1", Port::SSH);
        let file = with_lines(
            b"old ssh-rsa AAAA".to_vec(),
            &name,
            std::slice::from_ref(&key),
        );
        assert_eq!(
            String::from_utf8(file).unwrap(),
            format!("old ssh-rsa AAAA\nweb1 {}\n", key.to_line())
        );
    }
}
