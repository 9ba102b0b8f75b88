//! The three directories a server reads: config, keys, secrets.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use super::canary::Canaries;
use super::scratch::{Scratch, make_dir};

pub(crate) struct Setup {
    pub(crate) config: PathBuf,
    pub(crate) keys: PathBuf,
    pub(crate) secrets: PathBuf,
    pub(crate) canaries: Canaries,
    env: Mutex<BTreeMap<String, String>>,
    _dir: Scratch,
}

impl Setup {
    /// Three empty directories.
    pub(crate) fn new() -> Self {
        let dir = Scratch::new("setup");
        let of = |name: &str| {
            let path = dir.path().join(name);
            make_dir(&path, 0o700);
            path
        };
        let (config, keys, secrets) = (of("config"), of("keys"), of("secrets"));
        Setup {
            config,
            keys,
            secrets,
            canaries: Canaries::default(),
            env: Mutex::default(),
            _dir: dir,
        }
    }

    /// Writes a file of the config directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        self.put(&self.config.join(name), text, 0o644);
    }

    /// Writes a file of the keys directory, readable by its owner alone.
    pub(crate) fn key(&self, name: &str, text: &str) {
        self.put(&self.keys.join(name), text, 0o600);
    }

    /// Writes a file of the secrets directory; its content becomes a canary.
    pub(crate) fn secret(&self, name: &str, text: &str) {
        self.canaries.plant(text.trim());
        self.put(&self.secrets.join(name), text, 0o600);
    }

    /// Sets an environment variable of the server.
    pub(crate) fn env(&self, name: &str, value: &str) {
        self.env.lock().unwrap().insert(name.into(), value.into());
    }

    fn put(&self, path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The binary under test with this configuration and no other environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"));
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command.env("MCP_SSH_CONFIG_DIR", &self.config);
        command.env("MCP_SSH_KEYS_DIR", &self.keys);
        command.env("MCP_SSH_SECRETS_DIR", &self.secrets);
        // What scripts/sanitize says.
        for (name, of) in [
            ("ASAN_OPTIONS", "ASAN_OPTIONS"),
            ("MCP_SSH_TEST_SANDBOX", "MCP_SSH_SANDBOX"),
        ] {
            if let Some(value) = std::env::var_os(name) {
                command.env(of, value);
            }
        }
        command.envs(self.env.lock().unwrap().iter());
        command
    }
}

/// Runs a subcommand of the binary to its end, with nothing on standard input.
pub(crate) fn run_cli(setup: &Setup, args: &[&str]) -> Output {
    setup
        .command()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}
