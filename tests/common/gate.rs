//! A gate that a command on a host waits at until the test opens it: an event in place of
//! a sleep.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::stat::Mode;

use super::scratch::Scratch;

/// A FIFO that the login user of the hosts may read. Opened as often as it is waited at.
pub(crate) struct Gate {
    path: PathBuf,
    _dir: Scratch,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let dir = Scratch::new("gate");
        let path = dir.path().join("gate");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        Gate { path, _dir: dir }
    }

    /// The shell command that waits at it.
    pub(crate) fn wait(&self) -> String {
        format!("read _ < {}", self.path.display())
    }

    /// Lets one command pass; waits for it to come if it is not there yet.
    pub(crate) fn open(&self) {
        fs::write(&self.path, "\n").unwrap();
    }
}
