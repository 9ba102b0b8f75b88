//! A fleet of loopback hosts and the configuration that names them.
//!
//! Owns the addresses (each host has its own of 127.0.0.0/8), the client key, known_hosts
//! and the default `servers.yml`, `credentials.yml` and `policy.yml`; a test replaces
//! what it is about.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::canary::Canaries;
use super::daemon::{Daemon, Kind, free_port};
use super::feed::{DEADLINE, Feed};
use super::login::login;
use super::scratch::{Scratch, make_dir};
use super::setup::Setup;
use super::tools::{run, write_program};

/// What a host of the fleet shall be.
pub(crate) struct HostSpec {
    alias: String,
    kind: Kind,
    tags: Vec<String>,
    sshd_lines: Vec<String>,
    env: Vec<(String, String)>,
    yaml_lines: Vec<String>,
    pam: Option<String>,
}

impl HostSpec {
    pub(crate) fn new(alias: &str) -> Self {
        HostSpec {
            alias: alias.into(),
            kind: Kind::OpenSsh,
            tags: Vec::new(),
            sshd_lines: Vec::new(),
            env: Vec::new(),
            yaml_lines: Vec::new(),
            pam: None,
        }
    }

    /// Asks by this stack of PAM instead of the machine's own for sshd.
    pub(crate) fn pam(mut self, stack: &str) -> Self {
        self.pam = Some(stack.into());
        self.sshd("UsePAM yes")
            .sshd("KbdInteractiveAuthentication yes")
    }

    pub(crate) fn tags(mut self, tags: &[&str]) -> Self {
        self.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self
    }

    /// A line of `sshd_config` that wins over the harness's (dropbear: an argument).
    pub(crate) fn sshd(mut self, line: &str) -> Self {
        self.sshd_lines.push(line.into());
        self
    }

    /// Whatever is asked for, this command runs (`$SSH_ORIGINAL_COMMAND` holds the wish).
    pub(crate) fn force_command(self, command: &str) -> Self {
        self.sshd(&format!("ForceCommand {command}"))
    }

    /// Lets the login user in by its password, too.
    pub(crate) fn password_login(self) -> Self {
        self.sshd("PasswordAuthentication yes")
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A further key of the host in `servers.yml`, such as `shell: direct`.
    pub(crate) fn yaml(mut self, line: &str) -> Self {
        self.yaml_lines.push(line.into());
        self
    }

    pub(crate) fn tiny(mut self) -> Self {
        self.kind = Kind::Tiny;
        self
    }

    pub(crate) fn dropbear(mut self) -> Self {
        self.kind = Kind::Dropbear;
        self
    }
}

/// A running host.
pub(crate) struct Machine {
    pub(crate) alias: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) tags: Vec<String>,
    yaml_lines: Vec<String>,
    stubs: PathBuf,
    daemon: Arc<Daemon>,
}

impl Machine {
    /// Puts an executable of this name first in the sessions' `PATH` (OpenSSH only).
    pub(crate) fn stub(&self, name: &str, script: &str) {
        write_program(&self.stubs.join(name), script);
    }

    /// The server's log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.daemon.log.all()
    }

    /// Waits for a log line that holds `text`, and returns it.
    pub(crate) fn wait_log(&self, text: &str) -> String {
        let found = self.daemon.log.wait(0, DEADLINE, |line| {
            line.contains(text).then(|| line.clone())
        });
        found.unwrap_or_else(|| {
            panic!(
                "no {text:?} in the log of {}:\n{}",
                self.alias,
                self.log().join("\n")
            )
        })
    }

    /// Logins so far, counted in the server's log.
    pub(crate) fn logins(&self) -> usize {
        self.log()
            .iter()
            .filter(|line| {
                (line.contains("Accepted ") && line.contains(" for "))
                    || line.contains("auth succeeded")
            })
            .count()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.daemon.pid()
    }

    /// Ends the server and all its sessions.
    pub(crate) fn stop(&self) {
        self.daemon.stop();
    }

    pub(crate) fn start(&self) {
        self.daemon.start();
    }

    /// Ends the sessions; the server goes on listening.
    pub(crate) fn cut(&self) {
        self.daemon.cut();
    }

    /// Accepts connections and says nothing, until [`Machine::thaw`].
    pub(crate) fn freeze(&self) {
        self.daemon.freeze(true);
    }

    pub(crate) fn thaw(&self) {
        self.daemon.freeze(false);
    }

    /// Comes back with another host key; known_hosts keeps the old one.
    pub(crate) fn change_host_key(&self) {
        self.daemon.stop();
        self.daemon.new_host_key();
        self.daemon.start();
    }

    /// `ssh-ed25519 AAAA…`
    pub(crate) fn public_host_key(&self) -> String {
        self.daemon.public_host_key()
    }

    /// The line for known_hosts.
    pub(crate) fn known_hosts_line(&self) -> String {
        format!(
            "[{}]:{} {}\n",
            self.address,
            self.port,
            self.public_host_key()
        )
    }

    fn yaml(&self) -> String {
        let mut text = format!(
            "  - alias: {}\n    host: {}\n    port: {}\n    credentials: fleet\n    tags: [{}]\n",
            self.alias,
            self.address,
            self.port,
            self.tags.join(", ")
        );
        for line in &self.yaml_lines {
            text += &format!("    {line}\n");
        }
        text
    }
}

/// Running hosts with a configuration that reaches them all.
pub(crate) struct Fleet {
    pub(crate) machines: Vec<Machine>,
    pub(crate) setup: Setup,
    dir: Scratch,
}

/// What the policy of a fleet allows unless a test says otherwise.
const COMMANDS: &[&str] = &[
    "uptime*", "echo *", "printf *", "id", "id *", "true", "false", "cat *", "sleep *", "seq *",
    "head *", "env", "hostname",
];

impl Fleet {
    /// Hosts of these names with the usual settings.
    pub(crate) fn of(aliases: &[&str]) -> Self {
        Self::with(aliases.iter().map(|alias| HostSpec::new(alias)).collect())
    }

    /// Gives the hosts another login, as lines of its entry.
    pub(crate) fn log_in_with(&self, lines: &[&str]) {
        let mut text = format!(
            "entries:\n  - name: fleet\n    username: {}\n",
            login().name
        );
        for line in lines {
            text += &format!("    {line}\n");
        }
        self.setup.write("credentials.yml", &text);
    }

    pub(crate) fn with(specs: Vec<HostSpec>) -> Self {
        let mut fleet = Self::empty();
        for spec in specs {
            let dir = fleet.dir.path().join(&spec.alias);
            make_dir(&dir, 0o711);
            let stubs = dir.join("bin");
            make_dir(&stubs, 0o755);
            let address = new_address();
            let mut daemon = Daemon::new(
                spec.kind,
                &dir,
                vec![SocketAddrV4::new(address, free_port(address))],
            );
            daemon.first_lines = spec.sshd_lines;
            if let Some(stack) = &spec.pam {
                daemon.ask_by(stack);
            }
            daemon.session_env = vec![
                (
                    "PATH".into(),
                    format!("{}:/usr/local/bin:/usr/bin:/bin", stubs.display()),
                ),
                // By this a command is found that left its session's process tree.
                ("FLEET_HOST".into(), dir.display().to_string()),
            ];
            daemon.session_env.extend(spec.env);
            fleet.authorise_at(&daemon);
            daemon.start();
            fleet.machines.push(Machine {
                alias: spec.alias,
                address,
                port: daemon.listens[0].port(),
                tags: spec.tags,
                yaml_lines: spec.yaml_lines,
                stubs,
                daemon: Arc::new(daemon),
            });
        }
        fleet.write_all();
        fleet
    }

    /// `count` hosts `node-000`, `node-001`, … tagged `crowd`, on as few server processes
    /// as can be: one listens on at most 16 addresses.
    pub(crate) fn crowd(count: usize) -> Self {
        let mut fleet = Self::empty();
        let numbers: Vec<usize> = (0..count).collect();
        for chunk in numbers.chunks(16) {
            let dir = fleet.dir.path().join(format!("crowd-{}", chunk[0]));
            make_dir(&dir, 0o711);
            let stubs = dir.join("bin");
            make_dir(&stubs, 0o755);
            let addresses: Vec<Ipv4Addr> = chunk.iter().map(|_| new_address()).collect();
            let listens = addresses
                .iter()
                .map(|a| SocketAddrV4::new(*a, free_port(*a)))
                .collect();
            let mut daemon = Daemon::new(Kind::OpenSsh, &dir, listens);
            daemon.session_env = vec![
                (
                    "PATH".into(),
                    format!("{}:/usr/local/bin:/usr/bin:/bin", stubs.display()),
                ),
                ("FLEET_HOST".into(), dir.display().to_string()),
            ];
            fleet.authorise_at(&daemon);
            daemon.start();
            let daemon = Arc::new(daemon);
            for (number, listen) in chunk.iter().zip(&daemon.listens) {
                fleet.machines.push(Machine {
                    alias: format!("node-{number:03}"),
                    address: *listen.ip(),
                    port: listen.port(),
                    tags: vec!["crowd".into()],
                    yaml_lines: Vec::new(),
                    stubs: stubs.clone(),
                    daemon: Arc::clone(&daemon),
                });
            }
        }
        fleet.write_all();
        fleet
    }

    fn empty() -> Self {
        let fleet = Fleet {
            machines: Vec::new(),
            setup: Setup::new(),
            dir: Scratch::new("fleet"),
        };
        fleet.new_key("id_fleet", &["-t", "ed25519", "-N", ""]);
        fleet
    }

    /// The host of this alias.
    pub(crate) fn host(&self, alias: &str) -> &Machine {
        self.machines
            .iter()
            .find(|m| m.alias == alias)
            .unwrap_or_else(|| panic!("no host {alias} in the fleet"))
    }

    pub(crate) fn canaries(&self) -> &Canaries {
        &self.setup.canaries
    }

    /// Makes a key pair in the keys directory with `ssh-keygen ARGS`; every host lets it
    /// in. Its private part becomes a canary. Returns the public line.
    pub(crate) fn new_key(&self, name: &str, args: &[&str]) -> String {
        let file = self.setup.keys.join(name);
        let mut all = vec!["-q", "-C", "fleet", "-f", file.to_str().unwrap()];
        all.extend(args);
        run("ssh-keygen", &all);
        let public_file = file.with_extension("pub");
        let public = fs::read_to_string(&public_file).unwrap();
        fs::remove_file(&public_file).unwrap();
        self.setup
            .canaries
            .plant_key(&fs::read_to_string(&file).unwrap());
        let all_public = self.dir.path().join("public_keys");
        let before = fs::read_to_string(&all_public).unwrap_or_default();
        fs::write(&all_public, before + &public).unwrap();
        for machine in &self.machines {
            self.authorise_at(&machine.daemon);
        }
        public
    }

    fn authorise_at(&self, daemon: &Daemon) {
        let keys = fs::read_to_string(self.dir.path().join("public_keys")).unwrap();
        match daemon.kind {
            Kind::OpenSsh => {
                let file = daemon.dir.join("authorized_keys");
                fs::write(&file, keys).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            }
            Kind::Dropbear | Kind::Tiny => login().authorise_in_home(&keys),
        }
    }

    /// Writes known_hosts and the three files anew from the running hosts.
    pub(crate) fn write_all(&self) {
        let known: String = self
            .machines
            .iter()
            .map(Machine::known_hosts_line)
            .collect();
        self.setup.key("known_hosts", &known);
        self.setup.write("servers.yml", &self.servers_yaml());
        self.setup
            .write("credentials.yml", &self.credentials_yaml());
        self.allow(COMMANDS);
    }

    /// `servers.yml` of the running hosts, for tests that add to it.
    pub(crate) fn servers_yaml(&self) -> String {
        "hosts:\n".to_owned() + &self.machines.iter().map(Machine::yaml).collect::<String>()
    }

    pub(crate) fn credentials_yaml(&self) -> String {
        format!(
            "entries:\n  - name: fleet\n    username: {}\n    key_path: id_fleet\n",
            login().name
        )
    }

    /// A policy that allows the commands these globs match, on every host.
    pub(crate) fn allow(&self, globs: &[&str]) {
        self.setup.write("policy.yml", &policy_allowing(globs));
    }
}

/// The text of a policy that allows what the globs match, anywhere on loopback.
pub(crate) fn policy_allowing(globs: &[&str]) -> String {
    let list: String = globs
        .iter()
        .map(|glob| format!("      - {glob:?}\n"))
        .collect();
    format!(
        "limits:\n  max_seconds: 30\nnetwork:\n  allow_cidrs: [127.0.0.0/8]\nrules:\n  \
         - action: allow\n    trust_arguments: true\n    aliases: [\"*\"]\n    commands:\n{list}"
    )
}

/// An address of 127.0.0.0/8 that no other fleet of this process has, and one of another
/// process hardly: the process id picks the network.
fn new_address() -> Ipv4Addr {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let pid = std::process::id();
    let third = (pid.wrapping_mul(7) + count / 250) % 256;
    Ipv4Addr::new(
        127,
        (16 + pid % 200) as u8,
        third as u8,
        (1 + count % 250) as u8,
    )
}
