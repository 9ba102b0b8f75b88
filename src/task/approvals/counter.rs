//! The operator's side: what waits, and the word on it written down.
//!
//! Owns the reading of requests, of which nothing is believed, and the writing of grants: each
//! is written whole under a name of its own first, and none replaces another. What has expired
//! goes. Called by the subcommands `approvals`, `approve` and `deny`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::audit::Ts;
use crate::task::approvals::{
    BYTES_MAX, GRANTS, Grant, REQUESTS, Request, SUFFIX, file_name, is_id,
};

/// A request, and whose file it is.
pub(crate) struct Waiting {
    pub(crate) request: Request,
    pub(crate) owner: u32,
    /// There is a word on it already.
    pub(crate) answered: bool,
}

/// Everything that waits, the oldest first.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn waiting(path: &Path) -> io::Result<Vec<Waiting>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path.join(REQUESTS))? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let Some(id) = name.strip_suffix(SUFFIX).filter(|id| is_id(id)) else {
            continue;
        };
        // Answered or taken back since the listing, or none at all.
        if let Ok(waiting) = one(path, id) {
            found.push(waiting);
        }
    }
    found.sort_by_key(|waiting| waiting.request.asked);
    Ok(found)
}

/// One of them.
///
/// # Errors
/// There is none of that name, or it is not what it must be.
pub(crate) fn one(path: &Path, id: &str) -> io::Result<Waiting> {
    if !is_id(id) {
        return Err(io::Error::other("that is no id of a question"));
    }
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path.join(REQUESTS).join(file_name(id)))?;
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let request: Request = serde_json::from_slice(&bytes)?;
    if request.id != id {
        return Err(io::Error::other(
            "its file has the name of another question",
        ));
    }
    Ok(Waiting {
        owner: status.uid(),
        answered: path.join(GRANTS).join(file_name(id)).exists(),
        request,
    })
}

/// Writes the word down.
///
/// # Errors
/// There is one already, it is too late, or the directory is not this user's.
pub(crate) fn answer(path: &Path, request: &Request, approved: bool) -> io::Result<()> {
    if Ts::now().micros() > request.until {
        return Err(io::Error::other(
            "it is too late: nobody waits for it any more",
        ));
    }
    let grants = path.join(GRANTS);
    sweep(&grants);
    let grant = serde_json::to_vec_pretty(&Grant::on(request, approved))?;
    let making: PathBuf = grants.join(format!(".{}.{}", request.id, std::process::id()));
    let written = write(&making, &grant)
        // Unlike a rename, this replaces nothing.
        .and_then(|()| fs::hard_link(&making, grants.join(file_name(&request.id))));
    let removed = fs::remove_file(&making);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(io::Error::other("it was answered already"))
        }
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("{}: {error}", grants.display()),
        )),
        Ok(()) => removed,
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.set_permissions(mode)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes words that count no more.
fn sweep(grants: &Path) {
    let now = Ts::now().micros();
    let Ok(entries) = fs::read_dir(grants) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let old = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Grant>(&bytes).ok())
            .is_some_and(|grant| grant.until < now);
        if old {
            // Another operator may have been faster.
            let _ = fs::remove_file(&path);
        }
    }
}
