//! The files that a login relies on, read anew each time: known_hosts, keys, certificates.
//!
//! What is added to known_hosts or changed in a key counts for the next connection without
//! a restart, and an idle session whose login relied on something that has changed since
//! is found out by a digest. Keeps nothing. Called by [`crate::ssh::login`], [`crate::ssh::client`]
//! and [`crate::ssh::host_keys::trust`].

use sha2::{Digest as _, Sha256};

use crate::config::{Dirs, FileError, Host, KeyPath, Secret, Snapshot};
use crate::ssh::error::{KeyProblem, SshError};
use crate::ssh::host_keys::KnownHosts;

/// The file as it is now; a missing one has no entries.
///
/// # Errors
/// It is there and cannot be read.
pub(crate) fn read_known_hosts(snapshot: &Snapshot) -> Result<(KnownHosts, [u8; 32]), SshError> {
    let bytes = known_hosts_bytes(snapshot)?;
    Ok((KnownHosts::parse(&bytes), digest(&bytes)))
}

pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn known_hosts_bytes(snapshot: &Snapshot) -> Result<Vec<u8>, SshError> {
    match snapshot.dirs().read_known_hosts(snapshot.known_hosts()) {
        Ok(content) => Ok(content.bytes.to_vec()),
        Err(FileError::Missing) => Ok(Vec::new()),
        Err(error) => Err(SshError::KnownHosts {
            cause: error.to_string(),
        }),
    }
}

/// A digest of every file that the logins of a route would use now. A file that cannot be
/// read leaves its mark too.
pub(crate) fn material_digest(snapshot: &Snapshot, route: &[&Host]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for host in route {
        for path in [&host.login.key_path, &host.login.cert_path]
            .into_iter()
            .flatten()
        {
            match snapshot.dirs().read_key(path) {
                Ok(secret) => {
                    digest.update([1]);
                    digest.update(Sha256::digest(secret.expose()));
                }
                Err(_) => digest.update([0]),
            }
        }
    }
    digest.finalize().into()
}

pub(crate) fn read_key(dirs: &Dirs, path: &KeyPath) -> Result<Secret, SshError> {
    dirs.read_key(path).map_err(|error| {
        let cause = format!("{path}: {error}");
        SshError::Key(match error {
            FileError::Missing => KeyProblem::Missing { cause },
            _ => KeyProblem::Unreadable { cause },
        })
    })
}

pub(crate) fn read_certificate(dirs: &Dirs, path: &KeyPath) -> Result<Secret, SshError> {
    dirs.read_key(path).map_err(|error| {
        SshError::Key(KeyProblem::Certificate {
            cause: format!("{path}: {error}"),
        })
    })
}
