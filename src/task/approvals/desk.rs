//! The server's side: a question put down, and the operator's word on it awaited.
//!
//! Owns the two directories, held open, and whose they must be: `grants` belongs to another
//! user than the server's (and than whoever started it, unless that was root, whom nothing
//! here could stop), and nobody else can write in it. This is asked at each look, not at the
//! start alone. Refuses links, other users' files and what is too large. Called by `mcp`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::{Uid, UnlinkatFlags, geteuid, unlinkat};

use crate::audit::Ts;
use crate::task::approvals::{BYTES_MAX, Forgery, GRANTS, Grant, REQUESTS, Request, file_name};

/// The directories, opened before the sandbox closes.
pub(crate) struct Desk {
    requests: OwnedFd,
    grants: OwnedFd,
    shown: PathBuf,
    /// Whoever started the server.
    starter: Uid,
}

/// What the operator said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) approved: bool,
    /// Whose file it is.
    pub(crate) by: u32,
}

impl Desk {
    /// Opens what is there; makes nothing, because whose it is says everything.
    ///
    /// # Errors
    /// What is missing or not as it must be, with the command that mends it.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let within = |name: &str| {
            let path = path.join(name);
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            open(&path, flags, Mode::empty())
                .map_err(|errno| format!("{}: {}", path.display(), errno.desc()))
        };
        Ok(Self {
            requests: within(REQUESTS)?,
            grants: within(GRANTS)?,
            shown: path.to_owned(),
            starter: nix::unistd::getuid(),
        })
    }

    /// What the sandbox is to grant: writing in the first, reading in the second.
    pub(crate) fn directories(&self) -> (BorrowedFd<'_>, BorrowedFd<'_>) {
        (self.requests.as_fd(), self.grants.as_fd())
    }

    /// Why a grant would prove nothing, or a question not reach anybody.
    ///
    /// # Errors
    /// The reason, with what mends it.
    pub(crate) fn trusted(&self) -> Result<Uid, String> {
        let shown = self.shown.display();
        let grants = fstat(&self.grants).map_err(|errno| errno.desc().to_owned())?;
        let owner = Uid::from_raw(grants.st_uid);
        if owner == geteuid() {
            return Err(format!(
                "{shown}/{GRANTS} belongs to the server's own user ({owner}), so a client could \
                 write there: chown it to the operator's user"
            ));
        }
        if owner == self.starter && !self.starter.is_root() {
            return Err(format!(
                "{shown}/{GRANTS} belongs to whoever started the server ({owner}), as the client \
                 did: chown it to the operator's user"
            ));
        }
        if grants.st_mode & 0o022 != 0 {
            return Err(format!(
                "{shown}/{GRANTS} can be written by others: chmod go-w"
            ));
        }
        Ok(owner)
    }

    /// Puts a question down; it lies there until what is returned is dropped.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn ask(self: &Arc<Self>, request: Request) -> Result<Question, String> {
        // Made first: what was half written is taken away, too.
        let question = Question {
            desk: Arc::clone(self),
            request,
        };
        self.put_down(&question.request)?;
        Ok(question)
    }

    fn put_down(&self, request: &Request) -> Result<(), String> {
        let bytes = serde_json::to_vec_pretty(request).map_err(|error| error.to_string())?;
        self.write(&file_name(&request.id), &bytes)
    }

    /// Puts a file down, which lies there until what is returned is dropped.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn put(self: &Arc<Self>, name: &str, bytes: &[u8]) -> Result<Laid, String> {
        // Made first: what was half written is taken away, too.
        let laid = Laid {
            desk: Arc::clone(self),
            name: name.to_owned(),
        };
        self.write(name, bytes)?;
        Ok(laid)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let making = making(name);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        // The operator is somebody else, and has to read it.
        let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP | Mode::S_IROTH;
        let failed =
            |errno: Errno| format!("{}/{REQUESTS}: {}", self.shown.display(), errno.desc());
        let file = openat(
            &self.requests,
            making.as_str(),
            flags | OFlag::O_CLOEXEC,
            mode,
        );
        let mut file = File::from(file.map_err(failed)?);
        // Whatever the umask says.
        nix::sys::stat::fchmod(&file, mode).map_err(failed)?;
        file.write_all(bytes).map_err(|error| error.to_string())?;
        renameat(&self.requests, making.as_str(), &self.requests, name).map_err(failed)
    }

    /// Takes a question away: it was answered, or nobody waits for it any more.
    fn take_back(&self, name: &str) {
        for name in [name.to_owned(), making(name)] {
            // Gone already, or it stays to be seen by the operator: it grants nothing.
            let _ = unlinkat(&self.requests, name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }

    /// The operator's word, if it is there.
    ///
    /// # Errors
    /// There is something in its place that is none.
    fn look(&self, request: &Request) -> Result<Option<Word>, Forgery> {
        let Some((bytes, owner)) = self.granted(&file_name(&request.id))? else {
            return Ok(None);
        };
        let grant: Grant = serde_json::from_slice(&bytes).map_err(|_| Forgery::Malformed)?;
        let approved = grant.answers(request, Ts::now().micros())?;
        Ok(Some(Word {
            approved,
            by: owner.as_raw(),
        }))
    }

    /// A file of the operator's in `grants`, if it is there, and whose it is.
    ///
    /// # Errors
    /// There is something in its place that is none.
    pub(crate) fn granted(&self, name: &str) -> Result<Option<(Vec<u8>, Uid)>, Forgery> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.grants, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(None),
            Err(_) => return Err(Forgery::Owner),
        };
        let owner = self.trusted().map_err(|_| Forgery::Owner)?;
        let status = fstat(&file).map_err(|_| Forgery::Owner)?;
        if !is_of(&status, owner) {
            return Err(Forgery::Owner);
        }
        let mut bytes = Vec::new();
        let read = file.take(BYTES_MAX).read_to_end(&mut bytes);
        read.map_err(|_| Forgery::Malformed)?;
        Ok(Some((bytes, owner)))
    }
}

/// A question that lies at the desk.
pub(crate) struct Question {
    desk: Arc<Desk>,
    request: Request,
}

impl Question {
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// The operator's word on it, if it is there.
    ///
    /// # Errors
    /// There is something in its place that is none.
    pub(crate) fn look(&self) -> Result<Option<Word>, Forgery> {
        self.desk.look(&self.request)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.desk.take_back(&file_name(&self.request.id));
    }
}

/// A file that lies at the desk. Taken away when it is dropped.
pub(crate) struct Laid {
    desk: Arc<Desk>,
    name: String,
}

impl Drop for Laid {
    fn drop(&mut self) {
        self.desk.take_back(&self.name);
    }
}

/// Under which name a file is written before it has its own.
fn making(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!(".{stem}.new")
}

/// A regular file that this user alone can write. How many names it has says nothing: the
/// operator's hand gives it the second before it takes the first away.
fn is_of(status: &FileStat, owner: Uid) -> bool {
    let regular = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    regular && status.st_uid == owner.as_raw() && status.st_mode & 0o022 == 0
}
