//! A directory with a chain for each run of a server.
//!
//! Owns the names in it (`MOMENT-RUN.jsonl`, so that they sort by time), what becomes of
//! chains whose server was killed, and how much is kept. Many servers share one: each locks
//! its own file, and none writes into that of another that lives. Refuses to remove what is
//! locked. Called by [`crate::audit::Audit`] at the start and by the committer later.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::audit::chain::directory::{Place, open_directory, program};
use crate::audit::chain::seal::Digest;
use crate::audit::failure::Failure;
use crate::audit::timestamp::Ts;

/// What the name of a chain's current file ends with.
const SUFFIX: &str = ".jsonl";

/// How much is kept. Nothing that a living server writes counts as old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Bytes of all files together; 0 is all.
    pub bytes: u64,
    /// Age of a file's last record; zero is any.
    pub age: Duration,
}

/// The directory, held open.
pub struct Archive {
    directory: OwnedFd,
    path: PathBuf,
    rotate_bytes: u64,
    keep: Keep,
    binary: Digest,
}

struct Found {
    name: String,
    bytes: u64,
    /// Seconds since the epoch.
    changed: u64,
}

impl Archive {
    /// Opens the directory and takes the running program's SHA-256: to be called before the
    /// sandbox closes.
    ///
    /// # Errors
    /// It cannot be opened, or the program not be read.
    pub fn open(path: &Path, rotate_bytes: u64, keep: Keep) -> Result<Self, Failure> {
        Ok(Self {
            directory: open_directory(path)?,
            path: path.to_owned(),
            rotate_bytes,
            keep,
            binary: program()?,
        })
    }

    /// The directory, for the sandbox to grant.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where this run's chain is to be.
    ///
    /// # Errors
    /// There are no descriptors.
    pub(crate) fn own(&self, began: Ts, boot: &str) -> Result<Place, Failure> {
        self.place(format!("{}-{boot}{SUFFIX}", began.compact()))
    }

    /// The current file of every chain that is there.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub(crate) fn chains(&self) -> Result<Vec<Place>, Failure> {
        let names: BTreeSet<String> = self
            .list()?
            .into_iter()
            // A crash between two renames leaves the next file alone.
            .map(|found| match found.name.strip_suffix(".next") {
                Some(name) => name.to_owned(),
                None => found.name,
            })
            .filter(|name| name.ends_with(SUFFIX))
            .collect();
        names.into_iter().map(|name| self.place(name)).collect()
    }

    fn place(&self, name: String) -> Result<Place, Failure> {
        let directory = self.directory.try_clone().map_err(Failure::Read)?;
        let shown = self.path.join(&name);
        Ok(Place::within(
            directory,
            name,
            shown,
            self.rotate_bytes,
            self.binary,
        ))
    }

    /// Removes what is too old, and the oldest of what is too much. Says how many files went.
    ///
    /// # Errors
    /// The directory cannot be listed, or a file not be removed.
    pub(crate) fn retain(&self, now: Ts) -> Result<usize, Failure> {
        if self.keep == Keep::default() {
            return Ok(0);
        }
        let mut found = self.list()?;
        // Names begin with the moment; what was set aside has its own moment behind that.
        found.sort_by(|a, b| (a.changed, &a.name).cmp(&(b.changed, &b.name)));
        let mut bytes: u64 = found.iter().map(|found| found.bytes).sum();
        let seconds = now.micros() / 1_000_000;
        let mut removed = 0;
        for file in found {
            let age = seconds.saturating_sub(file.changed);
            let old = !self.keep.age.is_zero() && age > self.keep.age.as_secs();
            let much = self.keep.bytes > 0 && bytes > self.keep.bytes;
            if (old || much) && self.remove(&file.name)? {
                bytes = bytes.saturating_sub(file.bytes);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes a file that nobody writes; whether it went.
    fn remove(&self, name: &str) -> Result<bool, Failure> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => file,
            // Another server was faster, or it is not ours.
            Err(Errno::ENOENT | Errno::EACCES | Errno::ELOOP) => return Ok(false),
            Err(errno) => return Err(Failure::Open(errno)),
        };
        let file = std::fs::File::from(file);
        let Ok(_locked) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            return Ok(false);
        };
        match unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(Failure::Remove(errno)),
        }
    }

    /// The files of records, in no order.
    fn list(&self) -> Result<Vec<Found>, Failure> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let handle = openat(&self.directory, ".", flags, Mode::empty());
        let handle = handle.map_err(Failure::Directory)?;
        let mut directory = Dir::from_fd(handle).map_err(Failure::Directory)?;
        let mut found = Vec::new();
        for entry in directory.iter() {
            let entry = entry.map_err(Failure::Directory)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if !name.contains(SUFFIX) {
                continue;
            }
            // Gone since.
            let Ok(status) = fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
                continue;
            };
            found.push(Found {
                name: name.to_owned(),
                bytes: u64::try_from(status.st_size).unwrap_or_default(),
                changed: u64::try_from(status.st_mtime).unwrap_or_default(),
            });
        }
        Ok(found)
    }
}
