//! The ordered boot and the exit codes: 0 done, 1 problems, 2 usage.
//!
//! Owns the order in which the process gives up what it may do, and who is called for
//! each subcommand. Holds no mechanism: `sys` does, and `config`, `policy`, `audit` and
//! `mcp` do their parts. Called by `main`.

mod confine;
mod identity;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use crate::audit::{Audit, Record, ServerStart, Ts};
use crate::cli::{self, Command, Options, Settings, UsageError};
use crate::config::{
    Dirs, Environment, Links, LoadError, Loaded, Snapshot, Warning, WarningKind, load,
};
use crate::sys::landlock::{Grants, RESOLVER_FILES};
use crate::sys::{process, signals, stdio, version};

use self::confine::{ConfineError, Confinement};
use self::identity::IdentityError;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Problems,
    Usage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Problems => 1,
            Outcome::Usage => 2,
        })
    }
}

/// Runs the program with its arguments, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Outcome {
    let environment = Environment::capture();
    let options = cli::parse(args, |name| environment.setting(name).map(OsStr::to_owned));
    match options {
        Ok(options) => dispatch(options, environment),
        Err(error) => refuse_usage(&error),
    }
}

fn dispatch(options: Options, environment: Environment) -> Outcome {
    match options.command {
        Command::Help => print(cli::HELP),
        Command::Version => print(&version_text()),
        _ => serve(&options.settings, environment),
    }
}

/// A step of the boot that failed.
#[derive(Debug)]
enum StartError {
    Descriptors(io::Error),
    Limits(io::Error),
    Signals(io::Error),
    /// Each problem has its record already.
    Configuration,
    Identity(IdentityError),
    Confine(ConfineError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptors(error) => write!(f, "cannot move stdin and stdout: {error}"),
            Self::Limits(error) => write!(f, "cannot set the process's limits: {error}"),
            Self::Signals(error) => write!(f, "cannot take the signals: {error}"),
            Self::Configuration => f.write_str("the configuration does not load"),
            Self::Identity(error) => error.fmt(f),
            Self::Confine(error) => error.fmt(f),
        }
    }
}

fn serve(settings: &Settings, environment: Environment) -> Outcome {
    let audit = Audit::to_stderr();
    match boot(settings, environment, &audit) {
        Ok(()) => Outcome::Done,
        Err(error) => {
            audit.emit(Record::error("start_failed", error));
            Outcome::Problems
        }
    }
}

/// From the process as it was started to one that serves and can do nothing else. Until
/// the sandbox is closed there is one thread.
fn boot(settings: &Settings, environment: Environment, audit: &Audit) -> Result<(), StartError> {
    let client = stdio::take().map_err(StartError::Descriptors)?;
    let signals = signals::take().map_err(StartError::Signals)?;
    process::restrict_new_files();
    process::forbid_dumps().map_err(StartError::Limits)?;
    let dirs = open(settings);
    let (snapshot, noticed) = configure(&dirs, &environment, audit)?;
    raise_limits(&snapshot).map_err(StartError::Limits)?;
    process::reduce_environment(&[]).map_err(StartError::Limits)?;
    let readable = || readable(&dirs, &environment);
    let identity = identity::settle(settings.user, readable).map_err(StartError::Identity)?;
    let grants = grants(&dirs);
    let confined = confine::close(settings.sandbox, identity, &snapshot, grants);
    let confined = confined.map_err(StartError::Confine)?;
    audit.emit(Record::ServerStart(first_record(&snapshot, &confined)));
    noticed.into_iter().for_each(|record| audit.emit(record));
    let input = stdio::Input::new(client.input, signals.stop());
    let output = stdio::Output::new(client.output);
    drop((input, output));
    signals.watch(|| {}).map_err(StartError::Signals)
}

fn open(settings: &Settings) -> Arc<Dirs> {
    let links = if settings.allow_links_beneath {
        Links::Beneath
    } else {
        Links::Refused
    };
    Arc::new(Dirs::open(
        &settings.config_dir,
        &settings.keys_dir,
        &settings.secrets_dir,
        links,
    ))
}

/// Loads the configuration. What was noticed is handed back, for after the first record;
/// what is wrong is put on the record here.
fn configure(
    dirs: &Arc<Dirs>,
    environment: &Environment,
    audit: &Audit,
) -> Result<(Snapshot, Vec<Record>), StartError> {
    match load(dirs, environment) {
        Ok(Loaded { snapshot, events }) => {
            let events = events.into_iter().map(Record::security);
            let noticed = events
                .chain(snapshot.warnings().iter().map(warning))
                .collect();
            Ok((snapshot, noticed))
        }
        Err(LoadError {
            problems, events, ..
        }) => {
            for event in events {
                audit.emit(Record::security(event));
            }
            for problem in problems {
                audit.emit(Record::config_error(
                    problem.place.file,
                    problem.for_operator(),
                ));
            }
            Err(StartError::Configuration)
        }
    }
}

fn warning(warning: &Warning) -> Record {
    match warning.kind {
        WarningKind::HostKeyPolicy => Record::host_key_policy_deprecated(warning, None),
        _ => Record::config_warning(warning.place.file, warning),
    }
}

/// A socket, a wake-up and a look-up for each task, beside what is open anyway.
fn raise_limits(snapshot: &Snapshot) -> io::Result<()> {
    let tasks = u64::from(snapshot.concurrency().max_tasks);
    process::raise_descriptor_limit(tasks * 4 + 256).map(drop)
}

/// Whether the present user can read everything that is configured.
fn readable(dirs: &Arc<Dirs>, environment: &Environment) -> bool {
    load(dirs, environment).is_ok_and(|loaded| loaded.snapshot.unreadable().is_empty())
}

fn grants(dirs: &Dirs) -> Grants<'_> {
    let directories = [dirs.config(), dirs.keys(), dirs.secrets()];
    Grants {
        read: directories
            .into_iter()
            .filter_map(|directory| directory.handle())
            .collect(),
        read_files: RESOLVER_FILES.map(AsRef::as_ref).to_vec(),
        ..Grants::default()
    }
}

fn first_record(snapshot: &Snapshot, confined: &Confinement) -> ServerStart {
    let now = Ts::now();
    ServerStart {
        ts: now,
        timestamp: now.iso(),
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        config_hash: hex(&snapshot.hash()),
        hosts: snapshot.hosts().len(),
        sandbox: confined.report.clone(),
        audit_file: false,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn version_text() -> String {
    let libraries = version::libraries();
    format!(
        "mcp-ssh-orchestrator {}\nlibssh2 {}\n{}\nzlib {}\n",
        env!("CARGO_PKG_VERSION"),
        libraries.libssh2,
        libraries.openssl,
        libraries.zlib
    )
}

/// Writes a report for people to stdout. A reader that went away is not a problem.
fn print(text: &str) -> Outcome {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(&format!("cannot write to stdout: {error}"));
            Outcome::Problems
        }
        _ => Outcome::Done,
    }
}

/// A person gets a sentence; the log of a server, where every line is JSON, a record.
fn refuse_usage(error: &UsageError) -> Outcome {
    if error.serving() && !io::stderr().is_terminal() {
        Audit::to_stderr().emit(Record::error("usage_error", error));
    } else {
        say(&error.to_string());
    }
    Outcome::Usage
}

/// One line on stderr. There is nobody left to tell if that fails.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
