//! `--metrics-file`: figures for node_exporter's textfile collector.
//!
//! Owns the file, which is replaced whole every [`PERIOD`], and what is in it beside the
//! record's counters: the queue, sessions, the age of the policy. No port is opened: a
//! collector reads the file. Each figure says by a label `server` whose it is, because a
//! collector takes two figures that differ in nothing for one; and of several servers that are
//! given one name (sessions of a client), each has a file of its own, `NAME-2.prom` and so on.
//! Started by `serve`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Weak;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod};

use crate::audit::chain::directory::open_parent;
use crate::audit::{Audit, Record, Ts};
use crate::config::Store;
use crate::task::Tasks;

/// How often the file is written.
const PERIOD: Duration = Duration::from_secs(5);

/// Most servers that share a name.
const SHARING: usize = 64;

/// The file's directory and name.
pub(crate) struct MetricsFile {
    directory: OwnedFd,
    name: String,
    /// Held as long as the name is ours.
    lock: Option<Flock<File>>,
}

impl MetricsFile {
    /// Opens the directory, before the sandbox closes.
    ///
    /// # Errors
    /// The path names no file, or its directory cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let opened = open_parent(path);
        let (directory, name) =
            opened.map_err(|failure| format!("{}: {failure}", path.display()))?;
        Ok(Self {
            directory,
            name,
            lock: None,
        })
    }

    /// Takes the first name that no living server has. By the user that the server becomes, so
    /// that the next one can do the same.
    fn claim(&mut self) -> io::Result<()> {
        let (stem, ending) = match self.name.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => (stem.to_owned(), format!(".{ending}")),
            _ => (self.name.clone(), String::new()),
        };
        let mut refused = None;
        for number in 1..=SHARING {
            let name = match number {
                1 => format!("{stem}{ending}"),
                _ => format!("{stem}-{number}{ending}"),
            };
            let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let mode = Mode::S_IRUSR | Mode::S_IWUSR;
            let lock = format!(".{name}.lock");
            let lock = match openat(&self.directory, lock.as_str(), flags, mode) {
                Ok(lock) => lock,
                // That of another user's server.
                Err(errno @ Errno::EACCES) => {
                    refused = Some(errno);
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            };
            match Flock::lock(File::from(lock), FlockArg::LockExclusiveNonblock) {
                Ok(lock) => {
                    (self.name, self.lock) = (name, Some(lock));
                    return Ok(());
                }
                Err((_, Errno::EWOULDBLOCK)) => {}
                Err((_, errno)) => return Err(errno.into()),
            }
        }
        let many = || io::Error::other("too many servers write figures under this name");
        Err(refused.map_or_else(many, io::Error::from))
    }

    /// What the label `server` says: the file's name without its ending.
    fn server(&self) -> String {
        let stem = self
            .name
            .rsplit_once('.')
            .map_or(&*self.name, |(stem, _)| stem);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        stem.chars()
            .map(|c| if plain(c) { c } else { '_' })
            .collect()
    }

    /// The directory, for the sandbox to grant.
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    fn write(&self, text: &str) -> io::Result<()> {
        // A collector reads `*.prom` alone.
        let making = format!(".{}.new", self.name);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP | Mode::S_IROTH;
        let mut file = File::from(openat(
            &self.directory,
            making.as_str(),
            flags | OFlag::O_CLOEXEC,
            mode,
        )?);
        // A collector is somebody else; the figures say nothing that is secret.
        fchmod(&file, mode)?;
        file.write_all(text.as_bytes())?;
        let name = self.name.as_str();
        Ok(renameat(
            &self.directory,
            making.as_str(),
            &self.directory,
            name,
        )?)
    }
}

/// What is looked at.
pub(crate) struct Watched {
    pub(crate) audit: Audit,
    pub(crate) tasks: Tasks,
    pub(crate) store: Weak<Store>,
}

/// Starts the thread. It ends with the configuration's store.
///
/// # Errors
/// No thread can be made.
pub(crate) fn start(mut file: MetricsFile, watched: Watched) -> io::Result<()> {
    let thread = thread::Builder::new().name("metrics".to_owned());
    let work = move || {
        let (mut hash, mut since, mut failing) = (String::new(), Instant::now(), false);
        while let Some(store) = watched.store.upgrade() {
            let now = store.current().hash();
            if now != hash {
                (hash, since) = (now, Instant::now());
            }
            let stale = store.rejected().is_some();
            drop(store);
            let claimed = match file.lock {
                Some(_) => Ok(()),
                None => file.claim(),
            };
            let figures = || labelled(&text(&watched, since.elapsed(), stale), &file.server());
            let written = claimed.and_then(|()| file.write(&figures()));
            if written.is_err() != failing {
                failing = !failing;
                if let Err(error) = written {
                    watched
                        .audit
                        .emit(Record::warning("metrics_file_failed", error));
                }
            }
            thread::sleep(PERIOD);
        }
    };
    thread.spawn(work).map(drop)
}

/// The same figures, each with the label `server`.
fn labelled(text: &str, server: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let labelled = match line.split_once('{') {
            _ if line.starts_with('#') => line.to_owned(),
            Some((name, rest)) => format!("{name}{{server=\"{server}\",{rest}"),
            None => {
                let (name, value) = line.split_once(' ').unwrap_or((line, ""));
                format!("{name}{{server=\"{server}\"}} {value}")
            }
        };
        let _ = writeln!(out, "{labelled}");
    }
    out
}

fn text(watched: &Watched, age: Duration, stale: bool) -> String {
    let mut out = watched.audit.figures();
    let counts = watched.tasks.counts();
    let health = watched.audit.health();
    let gauges = [
        (
            "mcp_ssh_commands_waiting",
            "Commands that wait for their turn.",
            counts.waiting,
        ),
        (
            "mcp_ssh_commands_running",
            "Commands that run.",
            counts.running,
        ),
        (
            "mcp_ssh_results_kept",
            "Results that can be asked for.",
            counts.finished,
        ),
        (
            "mcp_ssh_sessions_idle",
            "SSH sessions kept for the next command.",
            watched.tasks.idle_sessions(),
        ),
        (
            "mcp_ssh_policy_rejected",
            "1 if the files on disk do not load and an older policy is in force.",
            usize::from(stale),
        ),
        (
            "mcp_ssh_audit_failing",
            "1 if the audit file cannot be written.",
            usize::from(health.has_file && !health.is_written),
        ),
        (
            "mcp_ssh_audit_space_low",
            "1 if the audit file's disk has less room than warn_below, 2 if less than refuse_below.",
            health.space as usize,
        ),
    ];
    for (name, help, value) in gauges {
        let _ = writeln!(
            out,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
        );
    }
    if let Some(free) = health.free {
        let name = "mcp_ssh_audit_free_bytes";
        let _ = writeln!(
            out,
            "# HELP {name} Free room on the audit file's disk.\n# TYPE {name} gauge\n{name} {free}"
        );
    }
    let name = "mcp_ssh_policy_age_seconds";
    let _ = writeln!(
        out,
        "# HELP {name} Since when the policy in force is in force.\n# TYPE {name} gauge\n{name} {}",
        age.as_secs()
    );
    // A server that ended leaves its last figures behind.
    let name = "mcp_ssh_written_time_seconds";
    let _ = writeln!(
        out,
        "# HELP {name} When these figures were written, in Unix time.\n# TYPE {name} gauge\n{name} {}",
        Ts::now().micros() / 1_000_000
    );
    let name = "mcp_ssh_up";
    let _ = writeln!(
        out,
        "# HELP {name} A server that runs, by its process and version.\n# TYPE {name} gauge\n\
         {name}{{pid=\"{}\",version=\"{}\"}} 1",
        std::process::id(),
        env!("CARGO_PKG_VERSION")
    );
    out
}
