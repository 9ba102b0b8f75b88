//! A copy of the plain log in a file, for those whose client buries stderr.
//!
//! Owns its rotation by size ([`KEPT`] older ones stay) and the reopening after somebody
//! else renamed it. Written by one thread at a time under a lock. Its failure is said on
//! stderr once, and again when it is over. Called by [`crate::audit::Audit`] alone.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::audit::chain::directory::{open_parent, same_file};
use crate::audit::failure::Failure;

/// Older files that stay: `NAME.1` to `NAME.5`.
const KEPT: u32 = 5;

/// The file's directory and name, and the file once it is open.
pub struct LogFile {
    directory: OwnedFd,
    name: String,
    shown: PathBuf,
    rotate_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    length: u64,
}

impl LogFile {
    /// Opens the directory: to be called before the sandbox closes. The file itself is made
    /// by the user that the server becomes. `rotate_bytes` is the size at which it is set
    /// aside, 0 for never.
    ///
    /// # Errors
    /// The path names no file, or its directory can't be opened.
    pub fn open(path: &Path, rotate_bytes: u64) -> Result<Self, Failure> {
        let (directory, name) = open_parent(path)?;
        Ok(Self {
            directory,
            name,
            shown: path.to_owned(),
            rotate_bytes,
            state: Mutex::default(),
        })
    }

    /// The directory, for the sandbox to grant.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// Appends one line, without its newline.
    ///
    /// # Errors
    /// It is not in the file; the file is opened anew for the next one.
    pub(crate) fn write(&self, line: &str) -> Result<(), Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.append(&mut state, line);
        if written.is_err() {
            state.file = None;
        }
        written
    }

    fn append(&self, state: &mut State, line: &str) -> Result<(), Failure> {
        self.follow(state)?;
        if self.rotate_bytes > 0 && state.length >= self.rotate_bytes {
            self.rotate()?;
            state.file = None;
            self.follow(state)?;
        }
        let Some(file) = &mut state.file else {
            return Err(Failure::Deleted);
        };
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        if let Err(error) = file.write_all(&bytes) {
            // No half of a line stays, if the disk lets us.
            let length = i64::try_from(state.length).unwrap_or(i64::MAX);
            let _ = nix::unistd::ftruncate(&*file, length);
            return Err(Failure::Write(error));
        }
        state.length += bytes.len() as u64;
        Ok(())
    }

    /// Makes sure that the open file is the one the name stands for.
    fn follow(&self, state: &mut State) -> Result<(), Failure> {
        if let Some(file) = &state.file {
            let own = fstat(file).map_err(Failure::Open)?;
            if self.named()?.is_some_and(|named| same_file(&own, &named)) {
                return Ok(());
            }
        }
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NOFOLLOW;
        let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = openat(&self.directory, self.name.as_str(), flags, mode);
        let file = File::from(file.map_err(Failure::Open)?);
        let status = fstat(&file).map_err(Failure::Open)?;
        if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(Failure::NotRegular);
        }
        state.length = u64::try_from(status.st_size).unwrap_or_default();
        state.file = Some(file);
        Ok(())
    }

    fn named(&self) -> Result<Option<FileStat>, Failure> {
        match fstatat(
            &self.directory,
            self.name.as_str(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        ) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Failure::Open(errno)),
        }
    }

    /// `NAME` becomes `NAME.1`, that `NAME.2`, and so on.
    fn rotate(&self) -> Result<(), Failure> {
        for number in (1..KEPT).rev() {
            let from = format!("{}.{number}", self.name);
            self.rename(&from, &format!("{}.{}", self.name, number + 1))?;
        }
        self.rename(&self.name, &format!("{}.1", self.name))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        match renameat(&self.directory, from, &self.directory, to) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Failure::Rotate(errno)),
        }
    }
}
