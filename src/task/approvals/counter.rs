//! The operator's side: what waits, and the word on it written down.
//!
//! Owns the reading of requests, of which nothing is believed, and the writing of grants: each
//! is written whole under a name of its own first, and none replaces another. What has expired
//! goes. An answer at a login goes as soon as it was taken. Called by the subcommands `approvals`, `approve` and `deny`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::audit::Ts;
use crate::task::approvals::login::{self, LoginQuestion};
use crate::task::approvals::{
    BYTES_MAX, GRANTS, Grant, REQUESTS, Request, SUFFIX, file_name, is_id,
};

/// How long the server may take to fetch an answer that it waits for.
const FETCH: Duration = Duration::from_secs(3);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(50);

/// A request, and whose file it is.
pub(crate) struct Waiting {
    pub(crate) request: Request,
    pub(crate) owner: u32,
    /// There is a word on it already.
    pub(crate) answered: bool,
}

/// A question at a login, and whose file it is.
pub(crate) struct WaitingLogin {
    pub(crate) question: LoginQuestion,
    pub(crate) owner: u32,
    pub(crate) answered: bool,
}

/// Everything that waits, the oldest first.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn waiting(path: &Path) -> io::Result<Vec<Waiting>> {
    let ids = ids(path, SUFFIX)?;
    // Answered or taken back since the listing, or none at all.
    let mut found: Vec<_> = ids.iter().filter_map(|id| one(path, id).ok()).collect();
    found.sort_by_key(|waiting| waiting.request.asked);
    Ok(found)
}

/// Every login that waits for an answer, the oldest first.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn logins(path: &Path) -> io::Result<Vec<WaitingLogin>> {
    let ids = ids(path, login::SUFFIX)?;
    let mut found: Vec<_> = ids.iter().filter_map(|id| login(path, id).ok()).collect();
    found.sort_by_key(|waiting| waiting.question.asked);
    Ok(found)
}

fn ids(path: &Path, suffix: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path.join(REQUESTS))? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let id = name.strip_suffix(suffix).filter(|id| is_id(id));
        found.extend(id.map(str::to_owned));
    }
    Ok(found)
}

/// One of the logins.
///
/// # Errors
/// There is none of that name, or it is not what it must be.
pub(crate) fn login(path: &Path, id: &str) -> io::Result<WaitingLogin> {
    let name = format!("{id}{}", login::SUFFIX);
    let (bytes, owner) = read(path, id, &name)?;
    let question: LoginQuestion = serde_json::from_slice(&bytes)?;
    if question.id != id {
        return Err(another());
    }
    Ok(WaitingLogin {
        owner,
        answered: path.join(GRANTS).join(name).exists(),
        question,
    })
}

/// One of them.
///
/// # Errors
/// There is none of that name, or it is not what it must be.
pub(crate) fn one(path: &Path, id: &str) -> io::Result<Waiting> {
    let (bytes, owner) = read(path, id, &file_name(id))?;
    let request: Request = serde_json::from_slice(&bytes)?;
    if request.id != id {
        return Err(another());
    }
    Ok(Waiting {
        owner,
        answered: path.join(GRANTS).join(file_name(id)).exists(),
        request,
    })
}

fn another() -> io::Error {
    io::Error::other("its file has the name of another question")
}

/// A file of the server's, and whose it is.
fn read(path: &Path, id: &str, name: &str) -> io::Result<(Vec<u8>, u32)> {
    if !is_id(id) {
        return Err(io::Error::other("that is no id of a question"));
    }
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path.join(REQUESTS).join(name))?;
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok((bytes, status.uid()))
}

/// Writes the word down.
///
/// # Errors
/// There is one already, it is too late, or the directory is not this user's.
pub(crate) fn answer(path: &Path, request: &Request, approved: bool) -> io::Result<()> {
    in_time(request.until)?;
    let grant = serde_json::to_vec_pretty(&Grant::on(request, approved))?;
    put(path, &request.id, &file_name(&request.id), &grant)
}

/// Gives what was typed to the login that waits for it (none: the operator will not say), and
/// takes it away again once it was fetched.
///
/// # Errors
/// As for [`answer`]; it cannot be encrypted for that login.
pub(crate) fn type_in(
    path: &Path,
    question: &LoginQuestion,
    text: Option<&[u8]>,
) -> io::Result<()> {
    in_time(question.until)?;
    let typed = question.answered(text);
    let typed =
        typed.ok_or_else(|| io::Error::other("it is empty, too long, or the key is none"))?;
    let name = format!("{}{}", question.id, login::SUFFIX);
    put(
        path,
        &question.id,
        &name,
        &serde_json::to_vec_pretty(&typed)?,
    )?;
    let fetched = || !path.join(REQUESTS).join(&name).exists();
    let until = Instant::now() + FETCH;
    while !fetched() && Instant::now() < until {
        std::thread::sleep(LOOK);
    }
    fs::remove_file(path.join(GRANTS).join(&name))
}

fn in_time(until: u64) -> io::Result<()> {
    match Ts::now().micros() > until {
        true => Err(io::Error::other(
            "it is too late: nobody waits for it any more",
        )),
        false => Ok(()),
    }
}

/// Writes a file of the operator's, which replaces none.
fn put(path: &Path, id: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let grants = path.join(GRANTS);
    sweep(&grants);
    let making: PathBuf = grants.join(format!(".{id}.{}", std::process::id()));
    let written = write(&making, bytes)
        // Unlike a rename, this replaces nothing.
        .and_then(|()| fs::hard_link(&making, grants.join(name)));
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

/// What both kinds of words have.
#[derive(serde::Deserialize)]
struct Counting {
    until: u64,
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
            .and_then(|bytes| serde_json::from_slice::<Counting>(&bytes).ok())
            .is_some_and(|word| word.until < now);
        if old {
            // Another operator may have been faster.
            let _ = fs::remove_file(&path);
        }
    }
}
