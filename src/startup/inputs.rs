//! What the boot needs of the machine, and whether the user it becomes could use it.
//!
//! Owns the questions that the boot, `check` and `trust` ask alike: the audit file's
//! directory, the agent, what is readable, what the sandbox leaves open. Decides nothing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::failure::Failure;
use crate::audit::{Archive, Kept, LogFile, Place, Syslog};
use crate::cli::Settings;
use crate::config::{Dirs, Environment, Snapshot, reads_again};
use crate::startup::metrics::MetricsFile;
use crate::sys::landlock::{Grants, RESOLVER_FILES};
use crate::sys::process;
use crate::task::approvals::REQUESTS;
use crate::task::approvals::desk::Desk;
use crate::task::transfer::directory::TransferDir;

/// What becomes of what needs a file that the server's user cannot read.
pub(crate) const NEEDED: &str = "logins and reloads that need it fail";

/// Everything that the command line wants written, each directory held open before rights
/// are given up.
#[derive(Default)]
pub(crate) struct Places {
    pub(crate) kept: Option<Kept>,
    pub(crate) log_file: Option<Arc<LogFile>>,
    pub(crate) syslog: Option<Arc<Syslog>>,
    pub(crate) desk: Option<Desk>,
    pub(crate) metrics: Option<MetricsFile>,
    pub(crate) transfers: Option<Arc<TransferDir>>,
}

/// A place that cannot be used: the option's name, and why.
#[derive(Debug)]
pub(crate) struct NoPlace(pub(crate) &'static str, pub(crate) String);

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}: {}", self.0, self.1)
    }
}

impl Places {
    /// `dirs` are those that nothing may be transferred to.
    ///
    /// # Errors
    /// The first that cannot be opened, or is where it must not be.
    pub(crate) fn open(settings: &Settings, dirs: &Dirs) -> Result<Self, NoPlace> {
        let (bytes, keep) = (settings.audit_rotate_bytes, settings.audit_keep);
        let of = |name: &'static str, path: &Path| {
            let path = path.display().to_string();
            move |failure: Failure| NoPlace(name, format!("{path}: {failure}"))
        };
        let kept = match (&settings.audit_file, &settings.audit_dir) {
            (Some(path), _) => {
                let place = Place::open(path, bytes).map_err(of("audit-file", path))?;
                Some(Kept::File(place))
            }
            (None, Some(path)) => {
                let archive = Archive::open(path, bytes, keep).map_err(of("audit-dir", path))?;
                Some(Kept::Directory(archive))
            }
            (None, None) => None,
        };
        let log_file = settings.log_file.as_deref();
        let log_file =
            log_file.map(|path| LogFile::open(path, bytes).map_err(of("log-file", path)));
        let syslog = settings.log_syslog.as_ref().map(Syslog::open).transpose();
        let desk = settings.approvals_dir.as_deref().map(Desk::open);
        let metrics = settings.metrics_file.as_deref().map(MetricsFile::open);
        let transfers = settings.transfer_dir.as_deref().map(TransferDir::open);
        let places = Self {
            transfers: transfers
                .transpose()
                .map_err(|error| NoPlace("transfer-dir", error))?
                .map(Arc::new),
            kept,
            log_file: log_file.transpose()?.map(Arc::new),
            syslog: syslog.map_err(|error| NoPlace("log-syslog", error.to_string()))?,
            desk: desk
                .transpose()
                .map_err(|error| NoPlace("approvals-dir", error))?,
            metrics: metrics
                .transpose()
                .map_err(|error| NoPlace("metrics-file", error))?,
        };
        places.transfers_apart(dirs)?;
        Ok(places)
    }

    /// What is transferred must not become a rule, a key, a record or a word of the operator's.
    fn transfers_apart(&self, dirs: &Dirs) -> Result<(), NoPlace> {
        let Some(transfers) = &self.transfers else {
            return Ok(());
        };
        let desk = self.desk.as_ref().map(Desk::directories);
        let others = [
            ("config directory", dirs.config().handle()),
            ("keys directory", dirs.keys().handle()),
            ("secrets directory", dirs.secrets().handle()),
            ("audit directory", self.kept.as_ref().map(Kept::directory)),
            (
                "directory of --log-file",
                self.log_file.as_deref().map(LogFile::directory),
            ),
            (
                "directory of --metrics-file",
                self.metrics.as_ref().map(MetricsFile::directory),
            ),
            ("directory of requests", desk.map(|(requests, _)| requests)),
            ("directory of grants", desk.map(|(_, grants)| grants)),
        ];
        for (what, other) in others {
            if let Some(other) = other {
                let apart = transfers.apart_from(what, other);
                apart.map_err(|error| NoPlace("transfer-dir", error))?;
            }
        }
        Ok(())
    }

    /// Whether a grant would prove anything, as the user that the server is now.
    ///
    /// # Errors
    /// It would not, and why.
    pub(crate) fn trusted(&self) -> Result<(), NoPlace> {
        let trusted = self.desk.as_ref().map(Desk::trusted).transpose();
        trusted
            .map(drop)
            .map_err(|error| NoPlace("approvals-dir", error))
    }
}

/// Files beside which the server's user has to be able to write.
pub(crate) fn written(settings: &Settings) -> Vec<PathBuf> {
    let within = settings.audit_dir.as_ref().map(|path| path.join("records"));
    let requests = settings.approvals_dir.as_ref();
    let requests = requests.map(|path| path.join(REQUESTS).join("one"));
    let transfers = settings.transfer_dir.as_ref();
    let transfers = transfers.map(|path| path.join("one"));
    let files = [
        settings.audit_file.clone(),
        within,
        settings.log_file.clone(),
        settings.metrics_file.clone(),
        requests,
        transfers,
    ];
    files.into_iter().flatten().collect()
}

pub(crate) fn agent_socket(environment: &Environment) -> Option<&Path> {
    environment.setting("SSH_AUTH_SOCK").map(Path::new)
}

/// Why the present user cannot ask the agent, where a login needs it.
pub(crate) fn agent_trouble(snapshot: &Snapshot, environment: &Environment) -> Option<String> {
    if !snapshot.needs_agent() {
        return None;
    }
    let Some(socket) = agent_socket(environment) else {
        return Some("SSH_AUTH_SOCK is not set: logins with it fail".to_owned());
    };
    if process::can_connect(socket) {
        return None;
    }
    Some(format!(
        "the server's user cannot connect to SSH_AUTH_SOCK ({}): logins with it fail; start \
         the server as the agent's user, or with --user",
        socket.display()
    ))
}

/// Whether the present user can read everything that is configured, ask the agent where
/// that is needed, and write the audit file.
pub(crate) fn usable(
    dirs: &Arc<Dirs>,
    environment: &Environment,
    snapshot: &Snapshot,
    written: &[PathBuf],
) -> bool {
    let agent = agent_socket(environment).filter(|_| snapshot.needs_agent());
    snapshot.unreadable().is_empty()
        && reads_again(dirs, environment, snapshot)
        && agent.is_none_or(process::can_connect)
        && written.iter().all(|path| process::can_write_beside(path))
}

pub(crate) fn grants<'a>(dirs: &'a Dirs, places: &'a Places) -> Grants<'a> {
    let desk = places.desk.as_ref().map(Desk::directories);
    let directories = [dirs.config(), dirs.keys(), dirs.secrets()];
    Grants {
        read: directories
            .into_iter()
            .filter_map(|directory| directory.handle())
            .chain(desk.map(|(_, grants)| grants))
            .collect(),
        read_files: RESOLVER_FILES.map(AsRef::as_ref).to_vec(),
        write: [
            places.kept.as_ref().map(Kept::directory),
            places.log_file.as_deref().map(LogFile::directory),
            places.metrics.as_ref().map(MetricsFile::directory),
            desk.map(|(requests, _)| requests),
            places.transfers.as_deref().map(TransferDir::handle),
        ]
        .into_iter()
        .flatten()
        .collect(),
        ..Grants::default()
    }
}
