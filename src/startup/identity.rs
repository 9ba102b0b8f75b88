//! Whom the process becomes, and that it keeps no capability.
//!
//! Owns the choice: the user that was asked for, else 10001 if it can read what is
//! configured, else whoever started us; the calls are those of `sys::privileges`. Called
//! by the boot once everything is loaded and before the sandbox closes.

use std::{fmt, io};

use crate::cli::User;
use crate::sys::privileges::{self, PrivilegeError};
use crate::sys::process;
use crate::sys::single_threaded::SingleThreaded;

/// The user of the container image.
pub(crate) const DEFAULT_USER: User = User {
    uid: 10_001,
    gid: 10_001,
};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Why the process is still uid 0, if it is.
    pub still_root: Option<StillRoot>,
}

/// Why the process is still uid 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StillRoot {
    /// `--user 0`.
    Asked,
    /// The default user cannot use all that is configured.
    Unreadable,
    /// A container without CAP_SETUID.
    MayNotChange,
}

impl fmt::Display for StillRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let User { uid, gid } = DEFAULT_USER;
        f.write_str("the server runs as uid 0, without capabilities, ")?;
        match self {
            Self::Asked => f.write_str("as --user asks"),
            Self::Unreadable => write!(
                f,
                "because uid {uid} cannot read all of the configuration, keys and secrets (or \
                 write the audit directory, or ask the agent): chown them to {uid}:{gid}, or \
                 start the server with --user UID as their owner"
            ),
            Self::MayNotChange => write!(
                f,
                "because it may not become uid {uid}: start the container as {uid}:{gid} \
                 (--user {uid}:{gid})"
            ),
        }
    }
}

/// Why the process cannot go on as whom it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// `--user` names another user, and only root may change.
    #[error(
        "--user: the server was started as uid {0}, which may not become another user; start it as root, or \
         leave --user away"
    )]
    NotRoot(u32),
    /// `--user` cannot be obeyed.
    #[error(
        "--user: cannot become {user} ({error}); give the container CAP_SETUID and CAP_SETGID, or start it as that user"
    )]
    Become { user: User, error: PrivilegeError },
    /// No way to be sure of what is left.
    #[error("cannot give up privileges: {0}")]
    Privileges(PrivilegeError),
    #[error("cannot forbid memory dumps: {0}")]
    Dumps(io::Error),
}

/// Becomes the user that `wanted` and `readable` lead to, without any capability.
///
/// `readable` is asked as the default user whether it can read everything configured.
///
/// # Errors
/// `wanted` cannot be obeyed, or the kernel does not confirm that privileges are gone.
pub(crate) fn settle(
    _: &SingleThreaded,
    wanted: Option<User>,
    readable: impl FnOnce() -> bool,
) -> Result<Identity, IdentityError> {
    let still_root = if privileges::is_root() {
        privileges::drop_bounding_set();
        settle_root(wanted, readable)?
    } else {
        match wanted {
            Some(user) if user.uid != privileges::user() => {
                return Err(IdentityError::NotRoot(privileges::user()));
            }
            _ => None,
        }
    };
    privileges::drop_capabilities().map_err(IdentityError::Privileges)?;
    // A change of user makes the process dumpable again where the system says so.
    process::forbid_dumps().map_err(IdentityError::Dumps)?;
    Ok(Identity {
        uid: privileges::user(),
        gid: privileges::group(),
        still_root,
    })
}

fn settle_root(
    wanted: Option<User>,
    readable: impl FnOnce() -> bool,
) -> Result<Option<StillRoot>, IdentityError> {
    match wanted {
        Some(User { uid: 0, .. }) => Ok(Some(StillRoot::Asked)),
        Some(user) => {
            privileges::become_user(user.uid, user.gid)
                .map_err(|error| IdentityError::Become { user, error })?;
            Ok(None)
        }
        None => settle_by_default(readable),
    }
}

fn settle_by_default(readable: impl FnOnce() -> bool) -> Result<Option<StillRoot>, IdentityError> {
    let User { uid, gid } = DEFAULT_USER;
    match privileges::try_as(uid, gid, readable).map_err(IdentityError::Privileges)? {
        Some(true) => {
            privileges::become_user(uid, gid).map_err(IdentityError::Privileges)?;
            Ok(None)
        }
        Some(false) => Ok(Some(StillRoot::Unreadable)),
        None => Ok(Some(StillRoot::MayNotChange)),
    }
}
