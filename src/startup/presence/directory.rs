//! Where the servers of a user leave their files.
//!
//! Owns the names, and what a directory must be before it is used: the user's own, closed
//! to everybody else, and no link. Others may write in `/dev/shm` and `/tmp`, so a directory
//! that somebody else has put there is passed over. Called by the two files beside it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};

/// A runtime directory that is what it must be, held open.
pub(crate) struct Runtime {
    pub(crate) descriptor: OwnedFd,
    pub(crate) path: PathBuf,
}

/// Where to look, in this order: what the command line names, else the places that
/// outlive a session, a private `/tmp` and a read-only container.
pub(crate) fn places(named: Option<&Path>, uid: u32) -> Vec<PathBuf> {
    let bases = match named {
        Some(base) => vec![base.to_owned()],
        None => vec![
            PathBuf::from(format!("/run/user/{uid}")),
            PathBuf::from("/dev/shm"),
            PathBuf::from("/tmp"),
        ],
    };
    let within = |base: PathBuf| base.join(format!("mcp-ssh-orchestrator-{uid}"));
    bases.into_iter().map(within).collect()
}

/// Opens a directory that is there.
///
/// # Errors
/// There is none, or it is not what it must be.
pub(crate) fn opened(path: &Path, uid: u32) -> io::Result<Runtime> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let descriptor = open(path, flags, Mode::empty())?;
    let found = fstat(&descriptor)?;
    let refused = |what: &str| Err(io::Error::other(format!("{}: {what}", path.display())));
    if found.st_uid != uid {
        return refused("it belongs to another user");
    }
    if found.st_mode & 0o077 != 0 {
        return refused("it must be closed to others: chmod 700");
    }
    Ok(Runtime {
        descriptor,
        path: path.to_owned(),
    })
}

/// Opens the first of the places that can be used, making it where its parent is there.
///
/// # Errors
/// None of them can be used, and why not.
pub(crate) fn made(places: &[PathBuf], uid: u32) -> io::Result<Runtime> {
    let mut why = Vec::new();
    for place in places {
        let made = match nix::unistd::mkdir(place, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => opened(place, uid),
            Err(errno) => Err(io::Error::other(format!(
                "{}: {}",
                place.display(),
                errno.desc()
            ))),
        };
        match made {
            Ok(runtime) => return Ok(runtime),
            Err(error) => why.push(error.to_string()),
        }
    }
    Err(io::Error::other(why.join("; ")))
}

impl Runtime {
    /// Opens a file of it, and no link.
    ///
    /// # Errors
    /// It cannot be opened, or is not a regular file.
    pub(crate) fn file(&self, name: &str, how: OFlag) -> io::Result<File> {
        let flags = how | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = nix::fcntl::openat(&self.descriptor, name, flags, mode)?;
        let found = fstat(&file)?;
        if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(File::from(file))
    }

    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        let flags = nix::unistd::UnlinkatFlags::NoRemoveDir;
        Ok(nix::unistd::unlinkat(&self.descriptor, name, flags)?)
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(nix::fcntl::renameat(
            &self.descriptor,
            from,
            &self.descriptor,
            to,
        )?)
    }

    /// The names of the servers' files.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            if name.ends_with(SUFFIX) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// What the name of a server's file ends with; one in the making has another.
pub(crate) const SUFFIX: &str = ".server";
