//! Programs of the machine that the harness calls, and a look at its processes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where each needed program comes from, for the message when it is missing.
const PACKAGES: &[(&str, &str)] = &[
    ("sshd", "openssh-server"),
    ("ssh-keygen", "openssh-client"),
    ("dropbear", "dropbear-bin"),
    ("dropbearkey", "dropbear-bin"),
    ("tinysshd", "tinysshd"),
    ("tinysshd-makekey", "tinysshd"),
    ("tinysshd-printkey", "tinysshd"),
    ("tcpserver", "ucspi-tcp"),
    ("useradd", "passwd"),
    ("sudo", "sudo"),
    ("oathtool", "oathtool libpam-oath"),
    ("flock", "util-linux"),
    ("ssh-agent", "openssh-client"),
    ("ssh-add", "openssh-client"),
    ("jq", "jq"),
    ("systemd-analyze", "systemd"),
    ("docker-compose", "docker-compose"),
    ("node", "nodejs"),
    ("vrl", "cargo; cargo install --locked vrl"),
    ("rsyslogd", "rsyslog"),
    ("mtail", "mtail"),
    ("promtool", "prometheus"),
    ("prometheus-node-exporter", "prometheus-node-exporter"),
];

/// The absolute path of a program (`sshd` insists on one).
///
/// # Panics
/// When it is not installed; the message says what to install.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
    let found = path
        .split(':')
        .chain(more)
        .map(|dir| Path::new(dir).join(name))
        .find(|p| p.is_file());
    found.unwrap_or_else(|| {
        let package = PACKAGES.iter().find(|(tool, _)| *tool == name).map_or(name, |(_, p)| p);
        panic!("`{name}` is not installed: apt-get install {package} (scripts/test installs all it needs)")
    })
}

/// Makes a program by copying another. A process of its own writes it: what this one has open
/// for writing, a child that another test starts at this moment has open too, and the kernel
/// runs no file that is being written (execve(2), ETXTBSY).
///
/// # Panics
/// When it cannot be written.
pub(crate) fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let copied = Command::new(tool("cp"))
        .arg(from.as_ref())
        .arg(to.as_ref())
        .status();
    assert!(copied.unwrap().success(), "{}", to.as_ref().display());
}

/// Makes a program of this script, in the same way.
///
/// # Panics
/// When it cannot be written.
pub(crate) fn write_program(path: &Path, script: &str) {
    let mut writer = Command::new(tool("sh"))
        .args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    input.write_all(script.as_bytes()).unwrap();
    drop(input);
    assert!(writer.wait().unwrap().success(), "{}", path.display());
}

/// Runs a program to its end and returns what it printed.
///
/// # Panics
/// When it fails.
pub(crate) fn run(name: &str, args: &[&str]) -> String {
    let output = Command::new(tool(name)).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{name} {args:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The processes whose command line holds `text`, zombies excepted.
pub(crate) fn processes_with(text: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) && pid != std::process::id().cast_signed() {
            found.push(pid);
        }
    }
    found
}

/// Every descendant of a process, deepest last, the process itself first.
pub(crate) fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while next < all.len() {
        let of = all[next];
        let children =
            std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
        all.extend(
            children
                .split_whitespace()
                .filter_map(|c| c.parse::<u32>().ok()),
        );
        next += 1;
    }
    all
}
