//! The files that a login relies on: keys and certificates, read anew each time, and
//! known_hosts, read anew when it changed.
//!
//! What is added to known_hosts or changed in a key counts for the next connection without
//! a restart, and an idle session whose login relied on something that has changed since
//! is found out by a digest. Keeps no key. Called by [`crate::ssh::login`], [`crate::ssh::client`]
//! and [`crate::ssh::host_keys::trust`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::config::files::beneath::FileState;
use crate::config::{Dirs, FileError, Host, KeyPath, KnownHostsPath, Secret, Snapshot};
use crate::ssh::error::{KeyProblem, SshError};
use crate::ssh::host_keys::{KnownHosts, PublicKey};
use crate::ssh::login::private_key;
use crate::ssh::login::unlocked::Unlocked;

/// known_hosts as it was read last: read once for all logins, and again when it changed.
/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct KnownHostsCache(Arc<Mutex<Option<Kept>>>);

#[derive(Clone)]
struct Kept {
    path: KnownHostsPath,
    state: FileState,
    /// The file had been left alone for a while when it was read: its state says when it
    /// changes from then on. One that had just been written could be written once more
    /// within the same tick of the file system's clock.
    is_settled: bool,
    known: Arc<KnownHosts>,
    digest: [u8; 32],
}

/// How long a file must have been left alone, to be recognised by its state.
const SETTLED: Duration = Duration::from_secs(2);

impl KnownHostsCache {
    /// The file as it is now, with its digest; a missing one has no entries.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(crate) fn current(
        &self,
        snapshot: &Snapshot,
    ) -> Result<(Arc<KnownHosts>, [u8; 32]), SshError> {
        let (dirs, path) = (snapshot.dirs(), snapshot.known_hosts());
        // Held while the file is read: whoever comes meanwhile takes what was read.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept
            && kept.is_settled
            && kept.path == *path
            && dirs.known_hosts_state(path) == Ok(kept.state)
        {
            return Ok((Arc::clone(&kept.known), kept.digest));
        }
        let content = match dirs.read_known_hosts(path) {
            Ok(content) => content,
            Err(FileError::Missing) => {
                *kept = None;
                return Ok((Arc::default(), digest(&[])));
            }
            Err(error) => return Err(unreadable(&error)),
        };
        let fresh = Kept {
            path: path.clone(),
            state: content.state,
            is_settled: content.state.is_older_than(SETTLED),
            digest: digest(&content.bytes),
            known: Arc::new(KnownHosts::parse(&content.bytes)),
        };
        let found = (Arc::clone(&fresh.known), fresh.digest);
        *kept = Some(fresh);
        Ok(found)
    }
}

fn unreadable(error: &FileError) -> SshError {
    if let Some(shortage) = shortage("known_hosts", *error) {
        return shortage;
    }
    SshError::KnownHosts {
        cause: error.to_string(),
    }
}

/// What cannot be read because this machine has nothing left to read it with.
fn shortage(what: &'static str, error: FileError) -> Option<SshError> {
    let cause = || error.to_string();
    error.is_shortage().then(|| SshError::Local {
        what,
        cause: cause(),
    })
}

pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn known_hosts_bytes(snapshot: &Snapshot) -> Result<Vec<u8>, SshError> {
    match snapshot.dirs().read_known_hosts(snapshot.known_hosts()) {
        Ok(content) => Ok(content.bytes.to_vec()),
        Err(FileError::Missing) => Ok(Vec::new()),
        Err(error) => Err(unreadable(&error)),
    }
}

/// A digest of every file that the logins of a route would use now. A file that cannot be
/// read leaves its mark too.
pub(crate) fn material_digest(snapshot: &Snapshot, route: &[&Host]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for host in route {
        let login = &host.login;
        let paths = [&login.key_path, &login.cert_path, &login.identity];
        for path in paths.into_iter().flatten() {
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
        if let Some(shortage) = shortage("private key", error) {
            return shortage;
        }
        let cause = format!("{path}: {error}");
        SshError::Key(match error {
            FileError::Missing => KeyProblem::Missing { cause },
            _ => KeyProblem::Unreadable { cause },
        })
    })
}

pub(crate) fn read_certificate(dirs: &Dirs, path: &KeyPath) -> Result<Secret, SshError> {
    dirs.read_key(path).map_err(|error| {
        if let Some(shortage) = shortage("user certificate", error) {
            return shortage;
        }
        SshError::Key(KeyProblem::Certificate {
            cause: format!("{path}: {error}"),
        })
    })
}

/// The public key of the one that the agent is to use.
pub(crate) fn read_identity(dirs: &Dirs, path: &KeyPath) -> Result<PublicKey, SshError> {
    let file = dirs.read_key(path).map_err(|error| {
        if let Some(shortage) = shortage("identity", error) {
            return shortage;
        }
        SshError::Key(KeyProblem::Identity {
            cause: format!("{path}: {error}"),
        })
    })?;
    private_key::public_line(file.expose()).map_err(|cause| {
        SshError::Key(KeyProblem::Identity {
            cause: format!("{path}: {cause}"),
        })
    })
}

/// Whether the key that is all that a host's login has can be used.
///
/// # Errors
/// It is not there, not whole, or has another passphrase or none.
pub(crate) fn check_key(
    snapshot: &Snapshot,
    unlocked: &Unlocked,
    host: &Host,
) -> Result<(), SshError> {
    let login = &host.login;
    let Some(path) = &login.key_path else {
        return Ok(());
    };
    if login.agent || login.password.is_some() {
        return Ok(());
    }
    let key = read_key(snapshot.dirs(), path)?;
    let face = private_key::inspect(key.expose()).map_err(SshError::Key)?;
    let keep = kept_for(snapshot, host);
    match login.passphrase.as_deref().filter(|_| face.encrypted) {
        None if face.encrypted => {
            return Err(SshError::Key(KeyProblem::Passphrase { given: false }));
        }
        // Where it is not kept, once is enough.
        Some(passphrase) if face.public.is_some() && !keep.is_zero() => {
            let plain = unlocked.key(key.expose(), passphrase.expose(), keep);
            plain.ok_or(SshError::Key(KeyProblem::Passphrase { given: true }))?;
        }
        _ => {}
    }
    if let Some(path) = &login.cert_path {
        let certificate = read_certificate(snapshot.dirs(), path)?;
        private_key::certificate_line(certificate.expose()).map_err(SshError::Key)?;
    }
    Ok(())
}

/// How long a key that was unlocked for this host's login is kept after it: as its sessions.
pub(crate) fn kept_for(snapshot: &Snapshot, host: &Host) -> Duration {
    let limits = snapshot.policy().limits(host.alias.as_str(), &host.tags);
    Duration::from_secs(u64::from(limits.session_idle_seconds))
}
