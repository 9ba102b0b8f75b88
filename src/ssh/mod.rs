//! A judged command → its output and exit status, over SSH.
//!
//! Strict: connects only to a `PinnedAddress`, sends only what an `Authorised` holds, and
//! no credential before the host's key was found on record. Bounded: every wait has a
//! deadline that names its phase, every buffer a limit, whatever the peer does. Honest: a
//! command is sent at most once, and a result says what is not known.
//!
//! In the order of a run: [`deadline`] (time and the switch), [`client`] (the entrance),
//! [`session`] (idle ones, and the one request), [`transport`] (resolve, pin, connect, jump,
//! and the bytes), [`host_keys`] (verify), [`login`] (sign in); [`libssh2`] is the door to the
//! library.

pub(crate) mod access;
pub(crate) mod answers;
pub(crate) mod client;
pub(crate) mod deadline;
pub(crate) mod encoding;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod host_keys;
#[expect(
    unsafe_code,
    reason = "the door to libssh2; everything else goes through its safe types"
)]
pub(crate) mod libssh2;
pub(crate) mod login;
pub(crate) mod phase;
pub(crate) mod run_report;
pub(crate) mod said;
pub(crate) mod session;
pub(crate) mod transport;
pub(crate) mod unanswered;

use crate::config::Host;
use crate::ssh::host_keys::KnownHosts;

pub use crate::ssh::deadline::{Cancel, Control, Deadline};
pub(crate) use crate::ssh::libssh2::linked;
pub use crate::ssh::phase::Phase;
pub use crate::ssh::run_report::{
    Clearance, Ended, Exit, Flow, RunReport, Sink, Stage, Terminated,
};
pub(crate) use crate::ssh::run_report::{Negotiated, Source};
pub(crate) use answers::{Operator, Question};
pub use client::{Client, Job};
pub(crate) use error::NO_ADDRESS;
pub use error::SshError;
pub(crate) use error::{HostKeyProblem, KeyProblem, SudoProblem};
pub(crate) use libssh2::hpke;
pub(crate) use unanswered::Unanswered;

/// The hosts that a known_hosts file has no usable key for.
pub(crate) fn unknown(file: Vec<u8>, hosts: &[Host]) -> Vec<&Host> {
    let known_hosts = KnownHosts::new(file);
    let is_unknown = |host: &&Host| !known_hosts.knows(&login::record_name(host));
    hosts.iter().filter(is_unknown).collect()
}

/// Why a login by this key file would fail before it is tried.
pub(crate) fn key_trouble(file: &[u8], passphrase: bool) -> Option<String> {
    match login::private_key::inspect(file) {
        Ok(face) if face.encrypted && !passphrase => {
            Some("it is encrypted; name its passphrase in key_passphrase_secret".to_owned())
        }
        Ok(_) => None,
        Err(problem) => Some(problem.to_string()),
    }
}

/// Why a login by the agent's key in this file would fail before it is tried.
pub(crate) fn identity_trouble(file: &[u8]) -> Option<&'static str> {
    login::private_key::public_line(file).err()
}

/// Makes libssh2 and OpenSSL set themselves up, which opens files and makes system calls
/// that a sandbox refuses later. To be called before it closes.
///
/// # Errors
/// Out of memory; or a library that is linked in is not the one it should be.
pub fn warm_up() -> Result<(), SshError> {
    linked::check().map_err(|cause| SshError::Local {
        what: "the libraries linked in",
        cause,
    })?;
    libssh2::Session::new()
        .map(drop)
        .map_err(|fault| SshError::Local {
            what: "libssh2",
            cause: fault.text,
        })
}
