//! The ordered boot: from the process as it was started to one that serves and can do
//! nothing else.
//!
//! Owns the order in which the process gives up what it may do. Holds no mechanism: `sys`
//! does, and `config`, `audit`, `ssh` and `mcp` do their parts. Called by the parent.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use crate::audit::{self, Audit, AuditError, Linked, Record, ServerStart, Ts};
use crate::cli::commands::output::directories;
use crate::cli::{self, Outcome, Settings};
use crate::config::{Dirs, Environment, LoadError, Loaded, Snapshot, Store, load};
use crate::mcp;
use crate::mcp::wire::refusal;
use crate::model::memory::{Account, Resources};
use crate::ssh::{self, SshError, linked};
use crate::startup::accounts;
use crate::startup::identity::{self, IdentityError};
use crate::startup::inputs::{
    NEEDED, NoPlace, Places, agent_socket, agent_trouble, grants, usable, written,
};
use crate::startup::logins;
use crate::startup::metrics::{self, MetricsFile, Watched};
use crate::startup::presence::own::Presence;
use crate::startup::proof::{Hidden, Proof};
use crate::startup::sandbox::{self, ConfineError, Confinement, Demand, Scope};
use crate::startup::watch::{self, Watcher, Wish};
use crate::sys::signals::{self, EventFd, Told};
use crate::sys::single_threaded::SingleThreaded;
use crate::sys::stdio::{self, Stdio};
use crate::sys::{privileges, process, random};
use crate::task::Tasks;
use crate::task::approvals::desk::Desk;
use crate::task::transfer::directory::TransferDir;

pub(crate) fn run(alone: SingleThreaded, settings: &Settings, environment: Environment) -> Outcome {
    let audit = Audit::to_stderr();
    if settings.debug {
        audit.show_debug();
    }
    let mut client = None;
    match boot(alone, settings, environment, &audit, &mut client) {
        Ok(()) => Outcome::Done,
        Err(error) => {
            audit.emit(Record::error("start_failed", &error));
            audit.give_up();
            if let Some(client) = client {
                refuse(client, &error.for_client());
            }
            Outcome::Problems
        }
    }
}

/// Tells the client why there is no server: an answer to its first request.
pub(super) fn refuse(client: Stdio, reason: &str) {
    if client.output.is_terminal() {
        return;
    }
    let line = refusal::line(&stdio::first_line(&client.input), reason);
    // A client that is gone needs no answer.
    let _ = stdio::Output::new(client.output).write_all(line.as_bytes());
}

/// From the process as it was started to one that serves and can do nothing else. Until
/// the sandbox is closed there is one thread (closing it starts the resolvers' maker).
fn boot(
    alone: SingleThreaded,
    settings: &Settings,
    environment: Environment,
    audit: &Audit,
    client: &mut Option<Stdio>,
) -> Result<(), StartError> {
    *client = Some(stdio::take(&alone).map_err(StartError::Descriptors)?);
    let signals = signals::take(&alone).map_err(StartError::Signals)?;
    audit::install_panic_hook(audit);
    process::give_freed_memory_back(&alone);
    process::restrict_new_files();
    process::forbid_dumps().map_err(StartError::Limits)?;
    audit.started_by(accounts::name_of(privileges::user()));

    let dirs = directories(settings);
    let places = Places::open(settings, &dirs).map_err(StartError::Place)?;
    if let Some(syslog) = &places.syslog {
        audit.keep_for(Arc::clone(syslog));
    }
    // Root may become another user, who could not write to what root has made: later, then.
    if let Some(file) = places.log_file.as_ref().filter(|_| privileges::user() != 0) {
        audit.copy_to(Arc::clone(file));
    }
    let (snapshot, mut noticed) = configure(&dirs, &environment, audit)?;
    let resources = resources(&snapshot, &mut noticed).map_err(StartError::Limits)?;
    process::clear_environment(&alone).map_err(StartError::Limits)?;
    ssh::warm_up().map_err(StartError::Libraries)?;

    let readable = || usable(&dirs, &environment, &snapshot, &written(settings));
    let user = accounts::find_some(settings.user.as_ref()).map_err(StartError::Account)?;
    let identity = identity::settle(&alone, user, readable).map_err(StartError::Identity)?;
    let runtime = settings.runtime_dir.as_deref();
    let presence = match Presence::make(runtime, identity.uid, &settings.config_dir) {
        Ok(presence) => Some(presence),
        Err(error) if runtime.is_some() => return Err(StartError::Runtime(error)),
        Err(error) => {
            noticed.push(unfindable(&error));
            None
        }
    };
    noticed.extend(agent_trouble(&snapshot, &environment).map(agentless));
    let strangers = environment.strangers(&cli::VARIABLES);
    noticed.extend(strangers.iter().map(|text| stranger(text)));
    let grants = grants(&dirs, &places);
    let proof = Proof::before(&dirs, Some(&snapshot));
    let confined = sandbox::close(
        &alone,
        &Demand::of(settings),
        identity,
        Scope::of(&snapshot).and_syslog(places.syslog.is_some()),
        grants,
    );
    let confined = confined.map_err(StartError::Confine)?;
    places.trusted().map_err(StartError::Place)?;
    proof.after().map_err(StartError::Hidden)?;
    noticed.extend(snapshot.unreadable().iter().map(|path| unreadable(path)));

    let agent = agent_socket(&environment).map(std::path::PathBuf::from);
    let store = keep(snapshot, environment, &confined, audit);
    let start = first_record(&store.current(), &confined, places.kept.is_some());
    let Places {
        kept,
        log_file,
        desk,
        metrics,
        transfers,
        syslog: _,
    } = places;
    if let Some(file) = log_file {
        audit.copy_to(file);
    }
    // Closed and verified: from here on there may be threads, and each inherits the sandbox.
    alone.end();
    audit.send_to_syslog().map_err(StartError::Threads)?;
    audit.begin(kept, start).map_err(StartError::Audit)?;
    noticed.into_iter().for_each(|record| audit.emit(record));

    let stop = signals.stop();
    watch::record_attempts(&store, audit);
    let watcher = Watcher {
        store: Arc::clone(&store),
        audit: audit.clone(),
        presence,
    };
    let wishes = watch::start(watcher).map_err(StartError::Threads)?;
    let reopened = audit.clone();
    let told = move |what| {
        let wish = match what {
            // The audit file may have been set aside, the configuration been changed.
            Told::HangUp => Wish::Reload(reopened.reopen()),
            Told::Report => Wish::Report,
        };
        let _ = wishes.try_send(wish);
    };
    signals.watch(told).map_err(StartError::Threads)?;
    if let Some(client) = client.take() {
        let means = Means {
            hosts: ssh::Client::within(resources, agent, confined.resolvers.clone()),
            desk,
            metrics,
            transfers,
        };
        converse(client, &stop, means, store, &confined, audit)?;
    }
    audit.close(ending(&stop));
    Ok(())
}

/// What only the conversation needs.
struct Means {
    hosts: ssh::Client,
    desk: Option<Desk>,
    metrics: Option<MetricsFile>,
    transfers: Option<Arc<TransferDir>>,
}

/// The conversation with the client, from its first byte to its end.
fn converse(
    client: Stdio,
    stop: &Arc<EventFd>,
    Means {
        hosts,
        desk,
        metrics,
        transfers,
    }: Means,
    store: Arc<Store>,
    confined: &Confinement,
    audit: &Audit,
) -> Result<(), StartError> {
    let input = stdio::Input::new(client.input, Arc::clone(stop));
    let output = stdio::Output::new(client.output);
    let gone = stdio::Gone::watching(&input).map_err(StartError::Descriptors)?;
    let key = random::key().map_err(StartError::Random)?;
    let tasks = Tasks::new(audit.clone(), hosts, Arc::clone(&store), &key);
    let tasks = tasks.map_err(StartError::Threads)?;
    if let Some(desk) = desk {
        tasks.approve_at(desk);
    }
    if let Some(directory) = transfers {
        directory.sweep();
        tasks.transfer_in(directory);
    }
    if let Some(file) = metrics {
        let watched = Watched {
            audit: audit.clone(),
            tasks: tasks.clone(),
            store: Arc::downgrade(&store),
        };
        metrics::start(file, watched).map_err(StartError::Threads)?;
    }
    let server = mcp::Server {
        store,
        tasks,
        audit: audit.clone(),
        sandbox: confined.report.clone(),
        key,
    };
    mcp::serve(server, input, output, || gone.now()).map_err(StartError::Threads)
}

fn ending(stop: &EventFd) -> &'static str {
    if signals::raised(stop) {
        "signal"
    } else {
        "end_of_input"
    }
}

/// Keeps the configuration from now on. The record follows it: what is secret in it, and
/// what becomes of a command that cannot be recorded.
fn keep(
    first: Snapshot,
    environment: Environment,
    confined: &Confinement,
    audit: &Audit,
) -> Arc<Store> {
    let audit = audit.clone();
    let store = Store::new(environment, first, confined.admission());
    Arc::new(store.announcing(Box::new(move |snapshot| audit.follow(snapshot))))
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
            let failing = logins::failing(&snapshot);
            let warnings = snapshot.warnings().iter().chain(&failing);
            let warnings = warnings.map(Record::config_surprise);
            let noticed = events.chain(warnings).collect();
            Ok((snapshot, noticed))
        }
        Err(LoadError {
            problems, events, ..
        }) => {
            for event in events {
                audit.emit(Record::security(event));
            }
            for problem in problems {
                audit.emit(Record::config_problem(&problem));
            }
            Err(StartError::Configuration)
        }
    }
}

fn unfindable(error: &io::Error) -> Record {
    let text = format!(
        "no runtime directory ({error}): 'reload' and 'status' will not find this server; \
         give one with --runtime-dir"
    );
    Record::config_warning("runtime directory", text)
}

fn unreadable(path: &Path) -> Record {
    let text = format!("the server's user cannot read it: {NEEDED}");
    Record::config_warning(path.display(), text)
}

/// What the process may use, asked of the system while nothing hides it. Descriptors are
/// raised to what the configuration may need: with fewer, commands wait for one another.
fn resources(snapshot: &Snapshot, noticed: &mut Vec<Record>) -> io::Result<Resources> {
    let tasks = usize::try_from(snapshot.concurrency().max_tasks).unwrap_or(usize::MAX);
    let hosts = snapshot.hosts().len();
    // A configuration may grow: there is no second chance to raise it.
    let wanted = Resources::needed(tasks, hosts).max(1_024);
    let given = process::raise_descriptor_limit(u64::try_from(wanted).unwrap_or(u64::MAX))?;
    let descriptors = usize::try_from(given).unwrap_or(usize::MAX);
    let resources = Resources {
        memory: Account::within(process::memory_limit()),
        descriptors,
    };
    if descriptors < wanted {
        let text = format!(
            "{descriptors} descriptors (RLIMIT_NOFILE) where max_tasks: {tasks} and {hosts} hosts \
             may need {wanted}: {} commands run at a time, and {} sessions are kept",
            resources.tasks_at_a_time(tasks),
            resources.idle_sessions(tasks)
        );
        noticed.push(Record::config_warning("limits", text));
    }
    Ok(resources)
}

fn agentless(trouble: String) -> Record {
    Record::config_warning("credentials.yml", format!("agent: true, and {trouble}"))
}

fn stranger(text: &str) -> Record {
    Record::config_warning("environment", text)
}

fn first_record(snapshot: &Snapshot, confined: &Confinement, audit_file: bool) -> ServerStart {
    let now = Ts::now();
    let libraries = linked::libraries();
    ServerStart {
        ts: now,
        timestamp: now.iso(),
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        config_hash: snapshot.hash(),
        hosts: snapshot.hosts().len(),
        sandbox: confined.report.clone(),
        audit_file,
        linked: Linked {
            libssh2: libraries.libssh2,
            openssl: libraries.openssl,
            zlib: libraries.zlib,
            build: linked::build(),
        },
    }
}

/// A step of the boot that failed.
#[derive(Debug)]
enum StartError {
    Descriptors(io::Error),
    Limits(io::Error),
    Signals(io::Error),
    Threads(io::Error),
    /// The one that the command line names.
    Runtime(io::Error),
    Random(io::Error),
    /// Where the command line wants something written.
    Place(NoPlace),
    /// Each problem has its record already.
    Configuration,
    Libraries(SshError),
    /// What `--user` names.
    Account(String),
    Identity(IdentityError),
    Confine(ConfineError),
    Hidden(Hidden),
    Audit(AuditError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptors(error) => write!(f, "cannot move stdin and stdout: {error}"),
            Self::Limits(error) => write!(f, "cannot set the process's limits: {error}"),
            Self::Signals(error) => write!(f, "cannot take the signals: {error}"),
            Self::Threads(error) => write!(f, "cannot start a thread: {error}"),
            Self::Runtime(error) => write!(f, "--runtime-dir: {error}"),
            Self::Place(error) => error.fmt(f),
            Self::Random(error) => write!(f, "the system gives no random bytes: {error}"),
            Self::Configuration => f.write_str("the configuration does not load"),
            Self::Libraries(error) => f.write_str(&error.for_operator()),
            Self::Account(error) => write!(f, "--user: {error}"),
            Self::Identity(error) => error.fmt(f),
            Self::Confine(error) => error.fmt(f),
            Self::Hidden(error) => error.fmt(f),
            Self::Audit(error) => error.fmt(f),
        }
    }
}

impl StartError {
    /// For the client, which shows it to a person: no path and no address.
    fn for_client(&self) -> String {
        const SEE: &str = "its log, and `mcp-ssh-orchestrator check`, say why";
        match self {
            Self::Configuration => format!("the configuration does not load; {SEE}"),
            Self::Confine(error @ ConfineError::Incomplete { .. }) => error.to_string(),
            Self::Identity(error) => error.to_string(),
            Self::Audit(_) | Self::Place(NoPlace("audit-file" | "audit-dir", _)) => {
                format!("the audit file cannot be kept; {SEE}")
            }
            Self::Hidden(_) => format!("the sandbox hides what it has to read; {SEE}"),
            _ => SEE.to_owned(),
        }
    }
}
