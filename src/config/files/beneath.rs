//! Files beneath a directory, and nothing else, whatever the path says.
//!
//! Owns the opening of every configuration, key and secret file: by `openat2(2)` with
//! `RESOLVE_BENEATH` from a directory that was opened once, so that the kernel, not a
//! comparison of texts, decides what is inside; what was opened is what is examined and
//! read. Where the system has no such call, `walk` keeps the same promise. Links are refused on the way and at its end; with [`Links::Beneath`] those that
//! stay beneath are followed. Regular files only, and never more bytes than asked for.
//! Called by `dirs`.

use std::fs::{Metadata, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};
use zeroize::Zeroizing;

pub use crate::config::files::error::FileError;
use crate::config::files::error::{file_error, io_error};
use crate::config::files::walk;
use crate::model::security_event::{EventValue, SecurityEvent};

/// What becomes of symbolic links beneath a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    Refused,
    /// Followed while they stay beneath; how Kubernetes mounts secrets and config maps.
    Beneath,
}

/// A directory whose files are read: opened once, so that a directory put in its place
/// later is not what is read.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The same directory by another name, where its path leads over links.
    canonical: PathBuf,
    handle: Result<OwnedFd, Errno>,
    links: Links,
    /// There is no `openat2(2)` here.
    by_walking: bool,
}

/// A path that can only mean something beneath a directory: relative, of plain names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelativePath(PathBuf);

/// A file's bytes, wiped when dropped, and who may read it.
pub struct FileContent {
    /// Which file in which state this is.
    pub state: FileState,
    pub bytes: Zeroizing<Vec<u8>>,
    /// Permission bits, `0o000` to `0o777`.
    pub mode: u32,
    /// Whether the file belongs to the user this process runs as.
    pub own: bool,
}

/// Which file in which state: another one after an edit, a replacement, or a swap of the
/// directory that its link leads into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    modified: (i64, i64),
    /// Of the inode: also where an edit puts the time of modification back.
    changed: (i64, i64),
}

impl FileState {
    /// When its content was last written, as far as its times say.
    pub fn modified_at(&self) -> SystemTime {
        let (seconds, nanoseconds) = self.modified;
        let seconds = u64::try_from(seconds).unwrap_or(0);
        let nanoseconds = u32::try_from(nanoseconds).unwrap_or(0);
        UNIX_EPOCH + Duration::new(seconds, nanoseconds)
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            mode: metadata.mode() & 0o777,
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file has been left alone for so long. A clock that was set back says no.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        let last = self.modified.0.max(self.changed.0);
        let last = Duration::from_secs(u64::try_from(last).unwrap_or(u64::MAX));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // Rounded down to seconds, so one more.
        now.is_ok_and(|now| {
            now > last
                .saturating_add(age)
                .saturating_add(Duration::from_secs(1))
        })
    }
}

impl FileContent {
    /// Whether someone else can read or change it. The group's bits count only for a
    /// file of one's own, as OpenSSH has it: elsewhere (a Kubernetes `fsGroup`) the group
    /// is the one way for the server to read the file.
    pub fn is_open_to_others(&self) -> bool {
        let bits = if self.own { 0o077 } else { 0o027 };
        self.mode & bits != 0
    }
}

impl RelativePath {
    /// A path beneath a directory: relative, not empty, no `..` in it, no NUL.
    pub fn new(path: impl AsRef<Path>) -> Option<Self> {
        let path = path.as_ref();
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return None;
        }
        let mut plain = PathBuf::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => plain.push(name),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        (!plain.as_os_str().is_empty()).then_some(Self(plain))
    }

    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl Directory {
    /// Opens a directory by the path the operator gave, which may lead over links.
    /// One that can't be opened gives its error at each read.
    pub fn open(path: impl Into<PathBuf>, links: Links) -> Self {
        let path = path.into();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let handle = open(&path, flags, Mode::empty());
        let by_walking = handle.as_ref().is_ok_and(lacks_openat2);
        let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
        Self {
            path,
            canonical,
            handle,
            links,
            by_walking,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The opened directory, for the sandbox to grant; `None` if it couldn't be opened.
    pub fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.handle.as_ref().ok().map(AsFd::as_fd)
    }

    /// # Errors
    /// Why the directory couldn't be opened.
    pub fn available(&self) -> Result<(), FileError> {
        match &self.handle {
            Ok(_) => Ok(()),
            Err(Errno::ENOTDIR) if self.path.exists() => Err(FileError::NotADirectory),
            Err(errno) => Err(file_error(*errno)),
        }
    }

    /// Whether another directory has taken the place of the one that was opened.
    pub fn was_replaced(&self) -> bool {
        let (Ok(handle), Ok(now)) = (&self.handle, std::fs::metadata(&self.path)) else {
            return false;
        };
        nix::sys::stat::fstat(handle)
            .is_ok_and(|then| (then.st_dev, then.st_ino) != (now.dev(), now.ino()))
    }

    /// Whether any user of the machine can put a file in another one's place. Not with the
    /// sticky bit, with which one's own alone can be replaced.
    pub fn is_open_to_all(&self) -> bool {
        let handle = self.handle.as_ref().ok();
        let status = handle.and_then(|handle| nix::sys::stat::fstat(handle).ok());
        status.is_some_and(|status| status.st_mode & 0o1002 == 0o002)
    }

    /// An absolute path that the text says is within this directory, relative to it.
    pub fn relative(&self, absolute: &Path) -> Option<RelativePath> {
        [&self.path, &self.canonical]
            .into_iter()
            .find_map(|base| RelativePath::new(absolute.strip_prefix(base).ok()?))
    }

    /// Reads a whole file of at most `max` bytes.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn read(&self, path: &RelativePath, max: u64) -> Result<FileContent, FileError> {
        let mut file = std::fs::File::from(self.open_beneath(path)?);
        let metadata = file.metadata().map_err(|error| io_error(&error))?;
        if metadata.is_dir() {
            return Err(FileError::Directory);
        }
        if !metadata.is_file() {
            return Err(FileError::NotRegular);
        }
        let size = metadata.len();
        if size > max {
            return Err(FileError::TooLarge { size, max });
        }
        // One byte more than the file has, in a buffer that never moves: what doesn't
        // fit has grown meanwhile, and no copy of a secret is left behind by growing.
        let room = usize::try_from(size).map_err(|_| FileError::TooLarge { size, max })? + 1;
        let mut bytes = Zeroizing::new(vec![0; room]);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..)
            && !rest.is_empty()
        {
            match file.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(&error)),
            }
        }
        if filled == room {
            return Err(FileError::Changed);
        }
        bytes.truncate(filled);
        Ok(FileContent {
            state: FileState::of(&metadata),
            bytes,
            mode: metadata.mode() & 0o777,
            own: metadata.uid() == nix::unistd::geteuid().as_raw(),
        })
    }

    /// The state that the file is in now, without reading it.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn state(&self, path: &RelativePath) -> Result<FileState, FileError> {
        let file = std::fs::File::from(self.open_beneath(path)?);
        let metadata = file.metadata().map_err(|error| io_error(&error))?;
        Ok(FileState::of(&metadata))
    }

    /// Puts a file with these bytes in the place of `path`, atomically: it is written
    /// beside it, synchronised, and renamed. What was there, a link included, is replaced,
    /// not written through; its mode is kept, a new file's is 0644.
    ///
    /// # Errors
    /// See [`FileError`]; the old file is untouched.
    pub fn replace(&self, path: &RelativePath, bytes: &[u8]) -> Result<(), FileError> {
        let name = path.0.file_name().ok_or(FileError::Missing)?;
        let parent = self.parent_of(path)?;
        let mut temporary = name.to_owned();
        temporary.push(format!(".{}.new", std::process::id()));
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let file = openat(
            &parent,
            temporary.as_os_str(),
            flags | OFlag::O_CLOEXEC,
            Mode::S_IRUSR | Mode::S_IWUSR,
        )
        .map_err(file_error)?;
        let mode = self.state(path).map_or(0o644, |state| state.mode);
        let mut file = std::fs::File::from(file);
        let written = file
            .write_all(bytes)
            .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
            .and_then(|()| file.sync_all())
            .map_err(|error| io_error(&error))
            .and_then(|()| {
                renameat(&parent, temporary.as_os_str(), &parent, name).map_err(file_error)
            });
        if written.is_err() {
            let _ = unlinkat(&parent, temporary.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
        written.and_then(|()| fsync(&parent).map_err(file_error))
    }

    /// The directory itself, opened for reading: a handle that was opened with `O_PATH`
    /// can't be synchronised.
    /// Keeps everybody else who asks for this from the directory that `path` is in, until
    /// the result is dropped (flock(2)); waits for who was first. For reading a file and
    /// replacing it by what was made of it. A file system without such locks (NFS has none
    /// for directories) keeps nobody away.
    ///
    /// # Errors
    /// See [`FileError`]; the directory can't be opened.
    pub fn hold(&self, path: &RelativePath) -> Result<std::fs::File, FileError> {
        let parent = std::fs::File::from(self.parent_of(path)?);
        while let Err(error) = parent.lock()
            && error.kind() == std::io::ErrorKind::Interrupted
        {}
        Ok(parent)
    }

    fn parent_of(&self, path: &RelativePath) -> Result<OwnedFd, FileError> {
        match path.0.parent().and_then(RelativePath::new) {
            Some(parent) => self.open_with(&parent, OFlag::O_RDONLY | OFlag::O_DIRECTORY),
            None => self.reopen(),
        }
    }

    fn reopen(&self) -> Result<OwnedFd, FileError> {
        let handle = self.handle.as_ref().map_err(|errno| file_error(*errno))?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(handle, ".", flags, Mode::empty()).map_err(file_error)
    }

    fn open_beneath(&self, path: &RelativePath) -> Result<OwnedFd, FileError> {
        // Not blocking: opening a pipe must not wait for its writer.
        self.open_with(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
    }

    fn open_with(&self, path: &RelativePath, flags: OFlag) -> Result<OwnedFd, FileError> {
        // A rename in the directory can make the kernel unsure that it stayed beneath
        // (EAGAIN, openat2(2)); a Kubernetes swap is such a rename.
        const TRIES: usize = 64;
        const RACES: usize = 3;
        let handle = self.handle.as_ref().map_err(|errno| file_error(*errno))?;
        let resolve = match self.links {
            Links::Refused => ResolveFlag::RESOLVE_NO_SYMLINKS,
            Links::Beneath => ResolveFlag::empty(),
        };
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(resolve | ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let mut missing = 0;
        for _ in 0..TRIES {
            let opened = if self.by_walking {
                let follow = self.links == Links::Beneath;
                walk::open(handle.as_fd(), path.as_path(), flags, follow)
            } else {
                openat2(handle, path.as_path(), how)
            };
            match opened {
                Err(Errno::EAGAIN) => {}
                // What a link led to may have gone while it was followed; the link leads
                // to its successor by then.
                Err(Errno::ENOENT) if self.links == Links::Beneath && missing < RACES => {
                    missing += 1;
                }
                result => return result.map_err(file_error),
            }
        }
        Err(FileError::Changed)
    }

    /// The security event of a file that was refused, if its reason is in the log
    /// contract.
    pub fn refusal(
        &self,
        attempted: &str,
        path: &RelativePath,
        error: FileError,
    ) -> Option<SecurityEvent> {
        Some(SecurityEvent {
            event_type: "file_validation_failed",
            attempted_path: Some(attempted.to_owned()),
            resolved_path: Some(self.path.join(path.as_path()).display().to_string()),
            reason: Some(error.reason()?),
            extra: match error {
                FileError::Outside => vec![("base_dir", self.base())],
                _ => Vec::new(),
            },
        })
    }

    /// The security event of a file that is too large.
    pub fn too_large(
        &self,
        path: &RelativePath,
        reason: &'static str,
        size: u64,
        max: u64,
    ) -> SecurityEvent {
        let full = self.path.join(path.as_path()).display().to_string();
        SecurityEvent {
            event_type: "file_size_limit_exceeded",
            attempted_path: Some(full.clone()),
            resolved_path: Some(full),
            reason: Some(reason),
            extra: vec![
                ("file_size", EventValue::Number(size)),
                ("max_size", EventValue::Number(max)),
            ],
        }
    }

    /// `resolved_path` of a path that was refused before anything was looked up.
    pub fn at(&self, attempted: &str) -> String {
        self.path.join(attempted).display().to_string()
    }

    /// `base_dir` of a security event.
    pub fn base(&self) -> EventValue {
        EventValue::Text(self.path.display().to_string())
    }
}

/// Asked once for each directory, by opening it from itself. EPERM is what container
/// profiles say that are older than the call.
fn lacks_openat2(directory: &OwnedFd) -> bool {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH);
    let answer = openat2(directory, ".", how);
    matches!(answer, Err(Errno::ENOSYS | Errno::EPERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_has_plain_names_only() {
        for refused in [
            "", ".", "/", "/a", "..", "a/..", "a/../b", "../a", "a\0b", "./..",
        ] {
            assert_eq!(RelativePath::new(refused), None, "{refused:?}");
        }
        for (given, plain) in [
            ("a", "a"),
            ("./a", "a"),
            ("a//b", "a/b"),
            ("a/./b/", "a/b"),
            ("...", "..."),
        ] {
            let path = RelativePath::new(given).unwrap();
            assert_eq!(path.as_path(), Path::new(plain), "{given:?}");
        }
    }
}
