//! A gate that a command on a host waits at until the test opens it: an event in place of
//! a sleep.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::stat::Mode;

use super::scratch::Scratch;

/// A FIFO that the login user of the hosts may read. Each opening lets one command pass,
/// now or when it comes.
pub(crate) struct Gate {
    path: PathBuf,
    /// Held open for both ways, so that a reader waits for a line instead of finding an end.
    fifo: File,
    _dir: Scratch,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let dir = Scratch::new("gate");
        let path = dir.path().join("gate");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let fifo = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        Gate {
            path,
            fifo,
            _dir: dir,
        }
    }

    /// The shell command that waits at it. A shell reads byte by byte, so one line wakes one.
    pub(crate) fn wait(&self) -> String {
        format!("read _ < {}", self.path.display())
    }

    pub(crate) fn open(&self) {
        (&self.fifo).write_all(b"\n").unwrap();
    }
}
