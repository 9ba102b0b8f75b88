//! One SSH server process: OpenSSH's `sshd`, dropbear or tinysshd, on addresses of its own.
//!
//! Owns its configuration file, host key, process tree and log. Ready means that it said
//! it listens, not that some time has passed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::feed::{DEADLINE, Feed};
use super::login::login;
use super::tools::{run, tool, tree};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    OpenSsh,
    Dropbear,
    /// Takes ed25519 keys alone, and one connection a process: `tcpserver` starts it. One
    /// address.
    Tiny,
}

pub(crate) struct Daemon {
    pub(crate) kind: Kind,
    pub(crate) dir: PathBuf,
    pub(crate) listens: Vec<SocketAddrV4>,
    /// Lines of `sshd_config` that win over the harness's own (the first value counts).
    pub(crate) first_lines: Vec<String>,
    /// Environment of the sessions, `PATH` included (OpenSSH only).
    pub(crate) session_env: Vec<(String, String)>,
    pub(crate) log: Arc<Feed<String>>,
    /// Its own service of PAM, and the name that sshd has to be called by for it.
    pam: Option<(PathBuf, PathBuf)>,
    process: Mutex<Option<Child>>,
}

impl Daemon {
    /// Prepares a server in `dir`, with a new host key; [`Daemon::start`] starts it.
    pub(crate) fn new(kind: Kind, dir: &Path, listens: Vec<SocketAddrV4>) -> Self {
        let daemon = Daemon {
            kind,
            dir: dir.to_owned(),
            listens,
            first_lines: Vec::new(),
            session_env: Vec::new(),
            log: Arc::default(),
            pam: None,
            process: Mutex::new(None),
        };
        daemon.new_host_key();
        daemon
    }

    /// Gives it a PAM service with this stack: sshd takes the one of its own name.
    pub(crate) fn ask_by(&mut self, stack: &str) {
        let address = self.listens[0];
        let name = format!("mcp-ssh-test-{}-{}", address.ip(), address.port());
        let service = Path::new("/etc/pam.d").join(&name);
        fs::write(&service, stack).unwrap();
        let program = self.dir.join(name);
        std::os::unix::fs::symlink(tool("sshd"), &program).unwrap();
        self.pam = Some((service, program));
    }

    /// Replaces the host key; takes effect with the next start.
    pub(crate) fn new_host_key(&self) {
        let key = self.dir.join("host_key");
        let _ = fs::remove_file(&key);
        let key = key.to_str().unwrap();
        let _ = fs::remove_dir_all(self.tiny_keys());
        match self.kind {
            Kind::OpenSsh => run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key],
            ),
            Kind::Dropbear => run("dropbearkey", &["-t", "ed25519", "-f", key]),
            Kind::Tiny => run("tinysshd-makekey", &[self.tiny_keys().to_str().unwrap()]),
        };
    }

    fn tiny_keys(&self) -> PathBuf {
        self.dir.join("tiny_keys")
    }

    /// `ssh-ed25519 AAAA…`, as it stands in known_hosts.
    pub(crate) fn public_host_key(&self) -> String {
        let key = self.dir.join("host_key");
        let text = match self.kind {
            Kind::OpenSsh => fs::read_to_string(key.with_extension("pub")).unwrap(),
            Kind::Dropbear => run("dropbearkey", &["-y", "-f", key.to_str().unwrap()]),
            Kind::Tiny => run("tinysshd-printkey", &[self.tiny_keys().to_str().unwrap()]),
        };
        let line = text.lines().find(|line| line.starts_with("ssh-")).unwrap();
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Starts the server and returns when it listens everywhere.
    ///
    /// # Panics
    /// When it ends instead; the message holds its log.
    pub(crate) fn start(&self) {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "already running");
        let from = self.log.len();
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let log = Arc::clone(&self.log);
        // Of this process: the end of one before it may be noticed only now.
        let ended = format!("(the server process ended) {}", child.id());
        let at_end = ended.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                log.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            log.push(at_end);
        });
        *process = Some(child);
        for address in &self.listens {
            let ready = match self.kind {
                Kind::OpenSsh => format!(
                    "Server listening on {} port {}.",
                    address.ip(),
                    address.port()
                ),
                Kind::Dropbear => "Not backgrounding".to_owned(),
                Kind::Tiny => "tcpserver: status: 0/".to_owned(),
            };
            let came = self.log.wait(from, DEADLINE, |line| {
                (line.contains(&ready) || *line == ended).then(|| *line != ended)
            });
            assert!(
                came == Some(true),
                "{:?} did not start:\n{}",
                self.kind,
                self.log.all().join("\n")
            );
        }
    }

    fn command(&self) -> Command {
        let mut command;
        match self.kind {
            Kind::OpenSsh => {
                let config = self.dir.join("sshd_config");
                fs::write(&config, self.sshd_config()).unwrap();
                command = match &self.pam {
                    Some((_, program)) => Command::new(program),
                    None => Command::new(tool("sshd")),
                };
                command.args(["-D", "-e", "-f"]).arg(config);
            }
            Kind::Dropbear => {
                command = Command::new(tool("dropbear"));
                command
                    .args(["-F", "-E", "-r"])
                    .arg(self.dir.join("host_key"));
                command.arg("-P").arg(self.dir.join("pid"));
                for address in &self.listens {
                    command.arg("-p").arg(address.to_string());
                }
                command.args(&self.first_lines);
            }
            Kind::Tiny => {
                let [address] = self.listens[..] else {
                    panic!("one address, not {:?}", self.listens)
                };
                command = Command::new(tool("tcpserver"));
                // No names are looked up, and nobody is asked who connects.
                command.args(["-v", "-H", "-R", "-l", "localhost", "-c", "100"]);
                command.args([address.ip().to_string(), address.port().to_string()]);
                command.arg(tool("tinysshd")).arg("-v");
                command.args(&self.first_lines).arg(self.tiny_keys());
            }
        }
        command
    }

    fn sshd_config(&self) -> String {
        let mut text = self.first_lines.join("\n") + "\n";
        for address in &self.listens {
            text += &format!("ListenAddress {address}\n");
        }
        let dir = self.dir.to_str().unwrap();
        let user = &login().name;
        // StrictModes: the directory lies in /tmp, which everyone can write.
        text += &format!(
            "HostKey {dir}/host_key\nAuthorizedKeysFile {dir}/authorized_keys\nPidFile none\n\
             StrictModes no\nUsePAM no\nUseDNS no\nPrintMotd no\nPrintLastLog no\nAllowUsers {user}\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n\
             MaxStartups 1000\nMaxSessions 100\n"
        );
        if penalises_sources() {
            text += "PerSourcePenalties no\n";
        }
        let env: Vec<String> = self
            .session_env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        text + "SetEnv " + &env.join(" ") + "\n"
    }

    /// The server's process id while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.lock().unwrap().as_ref().map(Child::id)
    }

    /// Ends the server and everything that runs in its sessions, as if it lost power.
    pub(crate) fn stop(&self) {
        let Some(mut child) = self.process.lock().unwrap().take() else {
            return;
        };
        let mut gone = tree(child.id());
        kill_all(&gone);
        let _ = child.wait();
        // Commands that left their session's process tree still carry its environment.
        let marker = format!("FLEET_HOST={}", self.dir.display());
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok())
            else {
                continue;
            };
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == marker.as_bytes())
            {
                kill_all(&[pid]);
                gone.push(pid);
            }
        }
        wait_for_end(&gone);
    }

    /// Ends the connections and their commands; the server goes on listening.
    pub(crate) fn cut(&self) {
        let own = self.pid().expect("the server runs");
        let gone = &tree(own)[1..];
        kill_all(gone);
        wait_for_end(gone);
    }

    /// Stops the processes of the server, or lets them go on: it neither answers nor
    /// closes, while the kernel still accepts connections for it.
    pub(crate) fn freeze(&self, frozen: bool) {
        let signal = if frozen {
            nix::sys::signal::SIGSTOP
        } else {
            nix::sys::signal::SIGCONT
        };
        for pid in tree(self.pid().expect("the server runs")) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), signal);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
        if let Some((service, _)) = &self.pam {
            let _ = fs::remove_file(service);
        }
    }
}

/// A process that has ended has closed its connections, also when nobody has asked for its
/// status yet.
fn wait_for_end(gone: &[u32]) {
    let is_there = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, state)| !state.starts_with('Z'))
    };
    super::feed::wait_until("the connections have ended", || !gone.iter().any(is_there));
}

fn kill_all(pids: &[u32]) {
    for pid in pids {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid.cast_signed()),
            nix::sys::signal::SIGKILL,
        );
    }
}

/// OpenSSH 9.8 and later shut out an address after a few failed logins, which tests of
/// failed logins would run into.
fn penalises_sources() -> bool {
    static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *KNOWN.get_or_init(|| {
        let output = Command::new(tool("sshd")).arg("-V").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let version = text.split("OpenSSH_").nth(1).unwrap_or("");
        let mut parts = version
            .split(|c: char| !c.is_ascii_digit())
            .map(|n| n.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (9, 8)
    })
}

/// A free port at `address`.
pub(crate) fn free_port(address: std::net::Ipv4Addr) -> u16 {
    TcpListener::bind((address, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
