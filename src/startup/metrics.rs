//! `--metrics-file`: figures for node_exporter's textfile collector.
//!
//! Owns the file, which is replaced whole every [`PERIOD`], and what is in it beside the
//! record's counters: the queue, sessions, the age of the policy. No port is opened: a
//! collector reads the file. Started by `serve`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Weak;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod};

use crate::audit::{Audit, Record};
use crate::config::Store;
use crate::task::Tasks;

/// How often the file is written.
const PERIOD: Duration = Duration::from_secs(5);

/// The file's directory and name.
pub(crate) struct MetricsFile {
    directory: OwnedFd,
    name: String,
}

impl MetricsFile {
    /// Opens the directory, before the sandbox closes.
    ///
    /// # Errors
    /// The path names no file, or its directory cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let of_path = |text: &str| format!("{}: {text}", path.display());
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| of_path("that is no file's name"))?;
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(parent.unwrap_or(Path::new(".")), flags, Mode::empty());
        Ok(Self {
            directory: directory.map_err(|errno| of_path(errno.desc()))?,
            name: name.to_owned(),
        })
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
pub(crate) fn start(file: MetricsFile, watched: Watched) -> io::Result<()> {
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
            let written = file.write(&text(&watched, since.elapsed(), stale));
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

fn text(watched: &Watched, age: Duration, stale: bool) -> String {
    let mut out = watched.audit.figures();
    let counts = watched.tasks.counts();
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
            usize::from(watched.audit.trouble().is_some()),
        ),
    ];
    for (name, help, value) in gauges {
        let _ = writeln!(
            out,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
        );
    }
    let name = "mcp_ssh_policy_age_seconds";
    let _ = writeln!(
        out,
        "# HELP {name} Since when the policy in force is in force.\n# TYPE {name} gauge\n{name} {}",
        age.as_secs()
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
