//! Where the audit file lives: its directory, held open, and the names in it.
//!
//! Owns every opening and renaming. All of it goes through the directory's descriptor,
//! so that a path that changes meaning later changes nothing here, and so that the
//! sandbox can grant this one directory. Refuses links, files that are not regular and
//! files another server has locked. Called by the ledger; `startup` makes the [`Place`]
//! before it gives up its rights.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{Gid, UnlinkatFlags, fchown, fsync, unlinkat};
use sha2::{Digest as _, Sha256};

use crate::audit::chain::seal::Digest;
use crate::audit::failure::Failure;

/// Size at which a file is set aside and the next one begun, in bytes, unless told
/// otherwise: it bounds what a start has to read.
pub const ROTATE_BYTES: u64 = 64 * 1_048_576;

/// An audit file's directory and name, before anything is written.
pub struct Place {
    directory: OwnedFd,
    name: String,
    shown: PathBuf,
    rotate_bytes: u64,
    pub(crate) binary: Digest,
}

/// A file of the chain, locked against other servers as long as it is held.
pub(crate) type Locked = Flock<File>;

impl Place {
    /// Opens the directory of `path` and takes the running program's SHA-256, which
    /// needs `/proc`: to be called before the sandbox closes. The file itself is neither
    /// opened nor made yet, so that it is made by the user the server becomes.
    ///
    /// `rotate_bytes` is the size at which the file is set aside, 0 for never.
    ///
    /// # Errors
    /// The path names no file, its directory can't be opened, or the program can't be
    /// read.
    pub fn open(path: &Path, rotate_bytes: u64) -> Result<Self, Failure> {
        let (directory, name) = open_parent(path)?;
        Ok(Self {
            directory,
            name,
            shown: path.to_owned(),
            rotate_bytes,
            binary: program()?,
        })
    }

    /// A file of a directory that is open.
    pub(crate) fn within(
        directory: OwnedFd,
        name: String,
        shown: PathBuf,
        rotate_bytes: u64,
        binary: Digest,
    ) -> Self {
        Self {
            directory,
            name,
            shown,
            rotate_bytes,
            binary,
        }
    }

    /// The directory, for the sandbox to grant: reading, writing, making, renaming and
    /// removing files directly in it.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The path as the operator wrote it.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// What the file's name stands for now.
    pub(crate) fn status(&self) -> Result<Option<FileStat>, Failure> {
        self.status_of(&self.name)
    }

    /// Opens and locks the file, making it if there is none. A file that a rotation had
    /// prepared when the server died is taken into use first.
    pub(crate) fn take(&self) -> Result<Locked, Failure> {
        if self.status()?.is_none_or(|status| status.st_size == 0)
            && self.status_of(&self.next_name())?.is_some()
        {
            let next = self.lock(&self.next_name(), OFlag::empty())?;
            self.rename(&self.next_name(), &self.name)?;
            return self.settled(next);
        }
        let file = self.lock(&self.name, OFlag::O_CREAT)?;
        self.discard_next()?;
        self.settled(file)
    }

    /// The same for a file that is there: makes none.
    pub(crate) fn take_existing(&self) -> Result<Locked, Failure> {
        if self.status()?.is_none() {
            let next = self.lock(&self.next_name(), OFlag::empty())?;
            self.rename(&self.next_name(), &self.name)?;
            return self.settled(next);
        }
        let file = self.lock(&self.name, OFlag::empty())?;
        self.settled(file)
    }

    /// Makes a file that is not there yet. It gets its name when it is locked, so that
    /// nobody takes it for one whose server is gone.
    pub(crate) fn make(&self) -> Result<Locked, Failure> {
        if self.status()?.is_some() {
            return Err(Failure::InUse);
        }
        let file = self.prepare_next(None)?;
        self.switch(None)?;
        self.settled(file)
    }

    /// Makes the file that is to follow, under a name of its own, with the mode and the
    /// group of the one before.
    pub(crate) fn prepare_next(&self, like: Option<&FileStat>) -> Result<Locked, Failure> {
        self.discard_next()?;
        let file = self.lock(&self.next_name(), OFlag::O_CREAT | OFlag::O_EXCL)?;
        if let Some(like) = like {
            let own = fstat(&*file).map_err(Failure::Open)?;
            let regrouped = own.st_gid == like.st_gid
                || fchown(&*file, None, Some(Gid::from_raw(like.st_gid))).is_ok();
            let mut mode = Mode::from_bits_truncate(like.st_mode) & Mode::from_bits_truncate(0o777);
            if !regrouped {
                // What that group may is none of another's business.
                mode -= Mode::S_IRWXG;
            }
            fchmod(&*file, mode).map_err(Failure::Rotate)?;
        }
        Ok(file)
    }

    /// Puts the prepared file in the place of the current one, which gets the name
    /// `aside` if it is still there. A crash between the two renames leaves the prepared
    /// file alone, which [`Self::take`] then finds.
    ///
    /// # Errors
    /// A rename failed; the current file has its name then, as before.
    pub(crate) fn switch(&self, aside: Option<&str>) -> Result<(), Failure> {
        let Some(aside) = aside else {
            return self.rename(&self.next_name(), &self.name);
        };
        let aside = format!("{}.{aside}", self.name);
        self.rename(&self.name, &aside)?;
        self.rename(&self.next_name(), &self.name).inspect_err(|_| {
            // The chain goes on in the current file, so that is where the name has to
            // lead. If this fails as well, appends go on by the open descriptor, and the
            // failure that is handed on is reported with the path.
            let _ = self.rename(&aside, &self.name);
        })
    }

    /// A file's name is on disk only once its directory is.
    pub(crate) fn sync_directory(&self) -> Result<(), Errno> {
        fsync(&self.directory)
    }

    /// Size at which a file that has `length` bytes is to be set aside.
    pub(crate) fn rotate_at(&self, length: u64) -> u64 {
        match self.rotate_bytes {
            0 => u64::MAX,
            bytes => length.saturating_add(bytes),
        }
    }

    /// Removes a prepared file that was not taken into use.
    pub(crate) fn discard_next(&self) -> Result<(), Failure> {
        let next = self.next_name();
        match unlinkat(&self.directory, next.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Failure::Rotate(errno)),
        }
    }

    fn next_name(&self) -> String {
        format!("{}.next", self.name)
    }

    fn status_of(&self, name: &str) -> Result<Option<FileStat>, Failure> {
        match fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Failure::Open(errno)),
        }
    }

    fn lock(&self, name: &str, create: OFlag) -> Result<Locked, Failure> {
        let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        // O_NONBLOCK: a FIFO in the file's place must be refused, not waited for.
        let opened = openat(
            &self.directory,
            name,
            flags | create | OFlag::O_NONBLOCK,
            mode,
        );
        let file = File::from(opened.map_err(Failure::Open)?);
        let status = fstat(&file).map_err(Failure::Open)?;
        if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(Failure::NotRegular);
        }
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => Failure::InUse,
            errno => Failure::Open(errno),
        })
    }

    /// The lock counts only if the name still stands for the file: another server may
    /// have rotated it away between the opening and the locking.
    fn settled(&self, file: Locked) -> Result<Locked, Failure> {
        let own = fstat(&*file).map_err(Failure::Open)?;
        match self.status()? {
            Some(named) if same_file(&own, &named) => {
                self.sync_directory().map_err(Failure::Sync)?;
                Ok(file)
            }
            _ => Err(Failure::InUse),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        renameat(&self.directory, from, &self.directory, to).map_err(Failure::Rotate)
    }
}

/// Whether two descriptions are of one file.
pub(crate) fn same_file(one: &FileStat, other: &FileStat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Opens the directory that a file is to be in; with the file's name there.
pub(crate) fn open_parent(path: &Path) -> Result<(OwnedFd, String), Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(Failure::NotAFileName)?.to_owned();
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Ok((open_directory(parent)?, name))
}

/// Opens a directory that files are kept in.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, Mode::empty()).map_err(Failure::Directory)
}

/// The running program's SHA-256.
pub(crate) fn program() -> Result<Digest, Failure> {
    hash_of(Path::new("/proc/self/exe")).map_err(Failure::Program)
}

fn hash_of(path: &Path) -> io::Result<Digest> {
    let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
    let mut chunk = [0; 65_536];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Digest::from_hasher(hasher)),
            count => hasher.update(chunk.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_that_fails_half_way_leaves_the_name_with_the_chain() {
        let name = format!("mcp-ssh-rotation-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let place = Place::open(&directory.join("audit"), 0).unwrap();
        let file = place.take().unwrap();
        // Nothing was prepared, so the second rename has nothing to rename.
        assert!(place.switch(Some("aside")).is_err());
        let named = place.status().unwrap().unwrap();
        assert!(same_file(&fstat(&*file).unwrap(), &named));
        let found = std::fs::read_dir(&directory).unwrap().count();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found, 1);
    }
}
