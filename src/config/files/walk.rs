//! Opening beneath a directory where there is no `openat2(2)`: gVisor, Linux before 5.6, a
//! container's profile that hides it.
//!
//! Owns the same promise as the kernel's `RESOLVE_BENEATH`, kept one name at a time: each is
//! opened from the directory before it and never over a link, so that no other process can
//! swap in a way out. `..` only comes from a link's text, and goes back to the directory that
//! this walk came from, never above the first. Called by `beneath`.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstatat};

/// Most links on one way, as in the kernel (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// Opens `path` beneath `root`; links that stay beneath are followed if `follow` says so.
///
/// # Errors
/// As of `openat2(2)`: `ELOOP` for a link that is not followed, `EXDEV` for a way out,
/// `EAGAIN` where the directory changed meanwhile.
pub(crate) fn open(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlag,
    follow: bool,
) -> Result<OwnedFd, Errno> {
    let mut ahead = names(path)?;
    let mut inside: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            inside.pop().ok_or(Errno::EXDEV)?;
            continue;
        }
        let here = inside.last().map_or(root, AsFd::as_fd);
        let last = ahead.is_empty();
        let wanted = if last {
            flags
        } else {
            OFlag::O_PATH | OFlag::O_DIRECTORY
        };
        let never_over_links = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(
            here,
            name.as_os_str(),
            wanted | never_over_links,
            Mode::empty(),
        ) {
            Ok(found) if last => return Ok(found),
            Ok(directory) => inside.push(directory),
            // ENOTDIR: a directory was asked for, and a link is none.
            Err(errno @ (Errno::ELOOP | Errno::ENOTDIR)) => {
                if !is_link(here, &name)? {
                    return Err(if errno == Errno::ELOOP {
                        Errno::EAGAIN
                    } else {
                        errno
                    });
                }
                links += 1;
                if !follow || links > MAX_LINKS {
                    return Err(Errno::ELOOP);
                }
                let target = readlinkat(here, name.as_os_str()).map_err(|error| match error {
                    Errno::EINVAL => Errno::EAGAIN,
                    other => other,
                })?;
                ahead.extend(names(Path::new(&target))?);
            }
            Err(errno) => return Err(errno),
        }
    }
    // The way ended in `..`: the directory that it led back to.
    let here = inside.last().map_or(root, AsFd::as_fd);
    openat(here, ".", flags | OFlag::O_CLOEXEC, Mode::empty())
}

/// The names of a path, the last one first.
fn names(path: &Path) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => names.push("..".into()),
            Component::CurDir => {}
            // An absolute link leads out, wherever it points.
            Component::RootDir | Component::Prefix(_) => return Err(Errno::EXDEV),
        }
    }
    names.reverse();
    Ok(names)
}

fn is_link(directory: BorrowedFd<'_>, name: &OsString) -> Result<bool, Errno> {
    let status = fstatat(directory, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
    Ok(kind == SFlag::S_IFLNK)
}
