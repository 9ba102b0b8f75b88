//! A real `ssh-agent`, for as long as it is held.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::feed::wait_until;
use super::scratch::Scratch;
use super::tools::tool;

pub(crate) struct Agent {
    process: Child,
    pub(crate) socket: PathBuf,
    _dir: Scratch,
}

impl Agent {
    pub(crate) fn start() -> Self {
        let dir = Scratch::new("agent");
        let socket = dir.path().join("socket");
        let process = Command::new(tool("ssh-agent"))
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the agent listens", || socket.exists());
        Agent {
            process,
            socket,
            _dir: dir,
        }
    }

    pub(crate) fn add(&self, key: &Path) {
        let done = Command::new(tool("ssh-add"))
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status()
            .unwrap();
        assert!(done.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
