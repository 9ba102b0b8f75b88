//! What the boot needs of the machine, and whether the user it becomes could use it.
//!
//! Owns the questions that the boot, `check` and `trust` ask alike: the audit file's
//! directory, the agent, what is readable, what the sandbox leaves open. Decides nothing.

use std::path::Path;
use std::sync::Arc;

use crate::audit::{AuditError, Place};
use crate::cli::Settings;
use crate::config::{Dirs, Environment, Loaded, Snapshot, load};
use crate::sys::landlock::{Grants, RESOLVER_FILES};
use crate::sys::process;

/// What becomes of what needs a file that the server's user cannot read.
pub(crate) const NEEDED: &str = "logins and reloads that need it fail";

/// Opens the directory of the audit file, which the user we become may not be able to.
pub(crate) fn open_audit_file(settings: &Settings) -> Result<Option<Place>, AuditError> {
    let Some(path) = &settings.audit_file else {
        return Ok(None);
    };
    let place = Place::open(path, settings.audit_rotate_bytes);
    place.map(Some).map_err(|failure| {
        let path = path.clone();
        AuditError::File { path, failure }
    })
}

pub(crate) fn agent_socket(environment: &Environment) -> Option<&Path> {
    environment.setting("SSH_AUTH_SOCK").map(Path::new)
}

/// Why the present user cannot ask the agent, where a login needs it.
pub(crate) fn agent_trouble(snapshot: &Snapshot, environment: &Environment) -> Option<String> {
    if !snapshot.needs_agent() {
        return None;
    }
    let Some(socket) = agent_socket(environment) else {
        return Some("SSH_AUTH_SOCK is not set: logins with it fail".to_owned());
    };
    if process::can_connect(socket) {
        return None;
    }
    Some(format!(
        "the server's user cannot connect to SSH_AUTH_SOCK ({}): logins with it fail; start \
         the server as the agent's user, or with --user",
        socket.display()
    ))
}

/// Whether the present user can read everything that is configured, ask the agent where
/// that is needed, and write the audit file.
pub(crate) fn usable(
    dirs: &Arc<Dirs>,
    environment: &Environment,
    audit_file: Option<&Path>,
) -> bool {
    let readable = load(dirs, environment).is_ok_and(|Loaded { snapshot, .. }| {
        let agent = agent_socket(environment).filter(|_| snapshot.needs_agent());
        snapshot.unreadable().is_empty() && agent.is_none_or(process::can_connect)
    });
    readable && audit_file.is_none_or(process::can_write_beside)
}

pub(crate) fn grants<'a>(dirs: &'a Dirs, place: Option<&'a Place>) -> Grants<'a> {
    let directories = [dirs.config(), dirs.keys(), dirs.secrets()];
    Grants {
        read: directories
            .into_iter()
            .filter_map(|directory| directory.handle())
            .collect(),
        read_files: RESOLVER_FILES.map(AsRef::as_ref).to_vec(),
        write: place.into_iter().map(Place::directory).collect(),
        ..Grants::default()
    }
}
