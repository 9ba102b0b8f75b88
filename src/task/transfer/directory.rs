//! The one local directory that files are transferred to and from.
//!
//! Owns every look at a name in it: each is one plain name, opened relative to the handle
//! that was opened before the sandbox closed, never through a link, and a regular file or
//! nothing. What is made is written beside, synced, and put in its place whole; it replaces
//! nothing unless that is wanted. What a server that was killed left beside is swept by the
//! next. Called by the files beside this one, by `startup`, and by the tools for a hash.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat};
use sha2::{Digest, Sha256};

use crate::audit::Ts;
use crate::policy::LocalName;
use crate::task::transfer::trouble::Trouble;

/// Bytes that are read or written at once.
const PIECE: usize = 64 * 1024;
/// What the names of files that are not whole begin and end with.
const BEGINNING: &str = ".mcp-ssh-";
const ENDING: &str = ".part";
/// How often another name is tried for what is being made.
const TRIES: usize = 16;
/// Deepest path whose parents are walked.
const DEPTH: usize = 1_024;

/// The directory, held open.
#[derive(Debug)]
pub(crate) struct TransferDir {
    handle: OwnedFd,
}

impl TransferDir {
    /// Opens it, before the sandbox closes.
    ///
    /// # Errors
    /// It is not there, is a link, or everybody can write in it: what mends it.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let of = |errno: Errno| format!("{}: {}", path.display(), errno.desc());
        let handle = open(path, flags, Mode::empty()).map_err(of)?;
        let status = fstat(&handle).map_err(of)?;
        if status.st_mode & 0o002 != 0 {
            return Err(format!(
                "{}: everybody can write there, and what is sent could be anybody's: chmod o-w",
                path.display()
            ));
        }
        Ok(Self { handle })
    }

    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Refuses to be, or to be above, a directory that matters: what may be written here must
    /// not be a rule, a key or a record.
    ///
    /// # Errors
    /// It is: `what` names the other.
    pub(crate) fn apart_from(&self, what: &str, other: BorrowedFd<'_>) -> Result<(), String> {
        let id = |status: FileStat| (status.st_dev, status.st_ino);
        let told = |errno: Errno| errno.desc().to_owned();
        let own = id(fstat(&self.handle).map_err(told)?);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut at = openat(other, ".", flags, Mode::empty()).map_err(told)?;
        for _ in 0..DEPTH {
            let here = id(fstat(&at).map_err(told)?);
            if here == own {
                return Err(format!(
                    "the {what} is this directory or lies beneath it: give one of its own"
                ));
            }
            let above = openat(&at, "..", flags, Mode::empty());
            // What lies above and cannot be opened is none that was opened.
            let Ok(above) = above else { return Ok(()) };
            if id(fstat(&above).map_err(told)?) == here {
                return Ok(());
            }
            at = above;
        }
        Err(format!("the {what} lies too deep to be told apart"))
    }

    /// Whether there is anything of this name.
    pub(crate) fn holds(&self, name: &LocalName) -> bool {
        fstatat(&self.handle, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// A file that is to be sent, and its size.
    ///
    /// # Errors
    /// It is not there, no regular file with one name, or cannot be read.
    pub(crate) fn file(&self, name: &LocalName, most: u64) -> Result<(File, u64), Trouble> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let flags = flags | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let opened = openat(&self.handle, name.as_str(), flags, Mode::empty());
        let file = opened.map(File::from).map_err(|errno| match errno {
            Errno::ENOENT => Trouble::Missing,
            Errno::ELOOP | Errno::ENXIO | Errno::ENODEV => Trouble::Kind,
            Errno::EACCES | Errno::EPERM => Trouble::Unreadable,
            errno => Trouble::System(errno.desc().to_owned()),
        })?;
        let status = fstat(&file).map_err(|errno| Trouble::System(errno.desc().to_owned()))?;
        let size = u64::try_from(status.st_size).unwrap_or_default();
        match () {
            () if !is_regular(&status) => Err(Trouble::Kind),
            // Somebody who may write here could have linked to what the server alone may read.
            () if status.st_nlink != 1 => Err(Trouble::Names),
            () if size > most => Err(Trouble::Large(size, most)),
            () => Ok((file, size)),
        }
    }

    /// Size and SHA-256 of a file that is to be sent. Stops when `given_up` says so.
    ///
    /// # Errors
    /// As for [`Self::file`]; it grew meanwhile.
    pub(crate) fn hash(
        &self,
        name: &LocalName,
        most: u64,
        given_up: impl Fn() -> bool,
    ) -> Result<(u64, [u8; 32]), Trouble> {
        let (mut file, size) = self.file(name, most)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; PIECE];
        let mut read: u64 = 0;
        loop {
            if given_up() {
                return Err(Trouble::Cancelled);
            }
            let count = file.read(&mut buffer).map_err(|error| system(&error))?;
            if count == 0 {
                break;
            }
            read = read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            // One that grows without end is not read without end.
            if read > size {
                return Err(Trouble::Changed);
            }
            digest.update(buffer.get(..count).unwrap_or_default());
        }
        match read == size {
            true => Ok((size, digest.finalize().into())),
            false => Err(Trouble::Changed),
        }
    }

    /// Begins a file, under a name that says that it is not whole.
    ///
    /// # Errors
    /// The system does not let it.
    pub(crate) fn make(self: &Arc<Self>) -> Result<Making, Trouble> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        for _ in 0..TRIES {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{BEGINNING}{:x}-{count:x}{ENDING}", Ts::now().micros());
            let file = match openat(&self.handle, name.as_str(), flags | OFlag::O_CLOEXEC, mode) {
                Ok(file) => File::from(file),
                Err(Errno::EEXIST) => continue,
                Err(errno) => return Err(system(&errno.into())),
            };
            // From here on it is taken away, whatever happens.
            let making = Making {
                directory: Arc::clone(self),
                name,
                file: Flock::lock(file, FlockArg::LockExclusiveNonblock).ok(),
            };
            // Another server may have swept it before it was locked.
            let there = making.file.as_ref().and_then(|file| fstat(&**file).ok());
            if there.is_some_and(|status| status.st_nlink == 1) {
                return Ok(making);
            }
        }
        Err(Trouble::System("no name is free".to_owned()))
    }

    /// Takes away what servers that were killed left beside. What a living one makes is locked.
    pub(crate) fn sweep(&self) {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let listed = openat(&self.handle, ".", flags, Mode::empty()).and_then(Dir::from_fd);
        let Ok(mut listed) = listed else { return };
        for entry in listed.iter().flatten() {
            let name = entry.file_name();
            let left = name
                .to_str()
                .is_ok_and(|name| name.starts_with(BEGINNING) && name.ends_with(ENDING));
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            if left && let Ok(file) = openat(&self.handle, name, flags, Mode::empty()) {
                let lock = Flock::lock(File::from(file), FlockArg::LockExclusiveNonblock);
                if lock.is_ok() {
                    // Another server may have been faster.
                    let _ = unlinkat(&self.handle, name, UnlinkatFlags::NoRemoveDir);
                }
            }
        }
    }
}

/// A file that is not whole yet. Taken away when it is dropped.
pub(crate) struct Making {
    directory: Arc<TransferDir>,
    name: String,
    /// Locked, so that no other server takes it for one that was left behind.
    file: Option<Flock<File>>,
}

impl Making {
    /// # Errors
    /// The disk is full, or fails.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let Some(file) = &mut self.file else {
            return Err(Trouble::System("the file is gone".to_owned()));
        };
        file.write_all(bytes).map_err(|error| system(&error))
    }

    /// Puts it in its place, whole; whether it took another one's.
    ///
    /// # Errors
    /// There is a file already and it was not to be replaced, or something that is none.
    pub(crate) fn place(self, name: &LocalName, overwrite: bool) -> Result<bool, Trouble> {
        let directory = &self.directory.handle;
        let refused = |errno: Errno| system(&errno.into());
        if let Some(file) = &self.file {
            file.sync_all().map_err(|error| system(&error))?;
        }
        let (own, wanted) = (self.name.as_str(), name.as_str());
        let there = fstatat(directory, wanted, AtFlags::AT_SYMLINK_NOFOLLOW).ok();
        let replaced = match &there {
            Some(_) if !overwrite => return Err(Trouble::Exists),
            Some(status) if !is_regular(status) => return Err(Trouble::Kind),
            there => there.is_some(),
        };
        let placed = match overwrite {
            true => renameat(directory, own, directory, wanted),
            // Unlike a rename, this replaces nothing.
            false => match linkat(directory, own, directory, wanted, AtFlags::empty()) {
                // A file system without hard links; nothing was there a moment ago.
                Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                    renameat(directory, own, directory, wanted)
                }
                linked => linked,
            },
        };
        match placed {
            Ok(()) => {}
            Err(Errno::EEXIST) => return Err(Trouble::Exists),
            Err(Errno::EISDIR) => return Err(Trouble::Kind),
            Err(errno) => return Err(refused(errno)),
        }
        // Where it cannot be synced by name, it is synced in its own time.
        let _ = fsync(directory);
        Ok(replaced)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let name = self.name.as_str();
        // After a rename there is none.
        let _ = unlinkat(&self.directory.handle, name, UnlinkatFlags::NoRemoveDir);
    }
}

fn is_regular(status: &FileStat) -> bool {
    SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

pub(crate) fn system(error: &io::Error) -> Trouble {
    let full = [Errno::ENOSPC, Errno::EDQUOT, Errno::EFBIG].map(|errno| Some(errno as i32));
    match full.contains(&error.raw_os_error()) {
        true => Trouble::Full,
        false => Trouble::System(error.to_string()),
    }
}
