//! Runs a judged command on a host: the one entrance from the task layer.
//!
//! Holds 'at most once': a command is sent once, after its channel is open ([`crate::ssh::access`]),
//! and whatever happens from then on is the result; but where the host of a session that was there refuses the request, or the
//! session ended before it was sent, so that nothing ran, a new session is asked.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::config::{Host, Snapshot};
use crate::model::memory::Resources;
use crate::model::security_event::SecurityEvent;
use crate::model::threads::Maker;
use crate::policy::Authorised;
use crate::ssh::answers::Operator;
use crate::ssh::deadline::Control;
use crate::ssh::error::{SshError, SudoProblem};
use crate::ssh::login;
use crate::ssh::login::key_files::KnownHostsCache;
use crate::ssh::login::limiter::Logins;
use crate::ssh::login::route::bastions::Bastions;
use crate::ssh::login::route::proof::Proof;
use crate::ssh::login::unlocked::Unlocked;
use crate::ssh::phase::Phase;
use crate::ssh::run_report::{Clearance, Ended, RunReport, Sink, Source, Stage};
use crate::ssh::session::channel::Channel;
use crate::ssh::session::exec;
use crate::ssh::session::feed::Feed;
use crate::ssh::session::pool::{Key, Parked, Pool};
use crate::ssh::session::sharing::{InUse, Sharing};
use crate::ssh::session::spare::{self, Spare};
use crate::ssh::session::sudo::{Prompting, RefusedPasswords};
use crate::ssh::session::window::Window;
use crate::ssh::transport::link::Link;
use crate::ssh::transport::resolve::Resolver;

/// Bytes that an idle session takes: most of libssh2's for it is never touched.
const SESSION: usize = 48 * 1024;

/// Cheap to clone; all clones share the resolver's memory and the idle sessions.
#[derive(Clone)]
pub struct Client {
    pub(super) resolver: Resolver,
    pub(super) logins: Logins,
    pub(super) known_hosts: KnownHostsCache,
    pub(super) pool: Pool,
    pub(super) sharing: Sharing,
    pub(super) bastions: Bastions,
    pub(super) unlocked: Unlocked,
    pub(super) refused_passwords: RefusedPasswords,
    pub(super) resources: Resources,
    pub(super) agent: Option<Arc<PathBuf>>,
    pub(super) operator: Arc<OnceLock<Arc<dyn Operator>>>,
    /// How long a spare channel shows that its host is there.
    pub(super) fresh: Duration,
}

/// One command for one host.
pub struct Job<'a> {
    pub snapshot: &'a Arc<Snapshot>,
    pub host: &'a Host,
    pub command: &'a Authorised,
    /// Asked in the moment in which the request is sent.
    pub clearance: &'a dyn Clearance,
    /// Holds what the command is given to read, where that is not in memory.
    pub source: Option<&'a dyn Source>,
}

impl Client {
    /// `agent` is the agent's socket (`SSH_AUTH_SOCK`), used by entries with `agent: true`.
    pub fn new(agent: Option<PathBuf>) -> Self {
        Self::within(Resources::default(), agent, Maker::default())
    }

    /// The same for a process that may use so much, and has a maker of resolvers' threads.
    pub fn within(resources: Resources, agent: Option<PathBuf>, resolvers: Maker) -> Self {
        Self {
            resolver: Resolver::new(resolvers),
            logins: Logins::default(),
            known_hosts: KnownHostsCache::default(),
            pool: Pool::default(),
            sharing: Sharing::default(),
            bastions: Bastions::default(),
            unlocked: Unlocked::default(),
            refused_passwords: RefusedPasswords::default(),
            resources,
            agent: agent.map(Arc::new),
            operator: Arc::default(),
            fresh: spare::FRESH,
        }
    }

    /// The same with another bound on how long a spare channel shows that its host is there.
    pub fn with_fresh(self, fresh: Duration) -> Self {
        Self { fresh, ..self }
    }

    /// Lets logins ask a person; the first time counts.
    pub(crate) fn ask(&self, operator: Arc<dyn Operator>) {
        let _ = self.operator.set(operator);
    }

    /// Runs the command. Never panics; every failure is in the report.
    pub fn run(&self, job: &Job<'_>, control: &Control, sink: &mut dyn Sink) -> RunReport {
        sink.stage(Stage::Connecting);
        let mut report = RunReport::new();
        let era = self.pool.era();
        let key = Key::new(&job.host.alias, job.snapshot);
        // Whoever put this job together held a permit; that it is one for this host, by the
        // policy of this configuration, is looked at where the command is sent.
        let other = match job.command {
            command if command.alias() != &job.host.alias => Some("judged for another host"),
            command if command.policy() != job.snapshot.policy().id() => {
                Some("judged by another policy")
            }
            _ => None,
        };
        if let Some(cause) = other {
            return report.fail(SshError::Local {
                what: "command",
                cause: cause.into(),
            });
        }
        let password = job.host.login.sudo.as_ref();
        if let Some(password) = password
            && job.command.raised().is_some()
            && self.refused_passwords.has(&job.host.alias, password)
        {
            return report.fail(SshError::Sudo(SudoProblem::WrongBefore));
        }
        let mut anew = false;
        loop {
            let found = self.session(job, &key, anew, control, sink, &mut report);
            let InUse {
                mut channel,
                proof,
                seat: _seat,
            } = match found {
                Ok(found) => found,
                Err(error) => return report.fail(error),
            };
            report.target_ip = last_address(&proof);
            report.negotiated = Some(Arc::clone(&proof.negotiated));
            sink.stage(Stage::Running);
            let sudo = Prompting::of(job.command, password.map(Arc::as_ref));
            let line = match &sudo {
                Some(sudo) => sudo.exec_line(leash_seconds(control)),
                None => job.command.exec_line(leash_seconds(control)),
            };
            exec::run(
                &mut channel,
                &line,
                (
                    Feed::of(job.command, sudo, job.source),
                    Window::new(&self.resources.memory),
                ),
                job.clearance,
                control,
                sink,
                &mut report,
            );
            let is_good = report.ended == Ended::Exited && !report.spent;
            self.leave(job, &key, channel, is_good, proof, era);
            if is_good {
                return report;
            }
            if let (Some(SshError::Sudo(SudoProblem::Wrong)), Some(password)) =
                (&report.error, password)
            {
                self.refused_passwords.add(&job.host.alias, password);
            }
            // It did not run, so a new connection may be asked.
            if report.reused && refused(&report) {
                // Some servers take one command a connection and refuse the next; the others
                // would be no better.
                self.pool.discard(&key);
                self.pool.refuses_spares(&key);
                self.sharing.narrow(&key, 1);
            } else if !(report.reused && !report.sent && lost(&report)) {
                return report;
            }
            anew = true;
            report = RunReport::new();
        }
    }

    /// Gives up a channel; the last one's session is kept, if it is good for more.
    pub(super) fn leave(
        &self,
        job: &Job<'_>,
        key: &Key,
        channel: Channel,
        is_good: bool,
        proof: Arc<Proof>,
        era: u64,
    ) {
        match channel.leave(is_good) {
            Some((link, true)) => self.keep(job, key.clone(), link, proof, era),
            Some((link, false)) => link.goodbye(),
            None => {}
        }
    }

    /// Keeps the session for the next command where there is room for it, with a channel where
    /// the host grants one.
    fn keep(&self, job: &Job<'_>, key: Key, mut link: Link, proof: Arc<Proof>, era: u64) {
        let memory = &self.resources.memory;
        let idle = idle_time(job);
        link.close_channel();
        if !memory.has_room_to_keep(SESSION) {
            return link.goodbye();
        }
        let spare = match !idle.is_zero() && self.pool.takes_spares(&key) {
            // In one piece with the close.
            true => Spare::ask(&mut link),
            false => None,
        };
        if spare.is_none() {
            // A link that is lost is found out when it is taken.
            let _ = link.flush(Phase::Close);
        }
        let parked = Parked {
            link,
            proof,
            spare,
            _held: memory.hold(SESSION),
        };
        let tasks = usize::try_from(job.snapshot.concurrency().max_tasks).unwrap_or(usize::MAX);
        let most = self.resources.idle_sessions(tasks);
        self.pool.park(key, parked, idle, era, most);
    }

    /// Whether a host's name resolves to an address that the policy allows, without
    /// connecting: for an answer before a task is made. What it meets goes to `events`.
    ///
    /// # Errors
    /// [`SshError::Resolve`] or [`SshError::NoAddressAllowed`]; the time is up.
    pub fn check_network(
        &self,
        snapshot: &Snapshot,
        host: &Host,
        control: &Control,
        events: &mut Vec<SecurityEvent>,
    ) -> Result<(), SshError> {
        let watch = control.begin(Phase::Resolve);
        let found = login::addresses_of(host, &self.resolver, &watch, events)?;
        login::pin(snapshot.policy().network(), host, &found).map(drop)
    }

    /// Drops idle sessions, unlocked keys and remembered addresses; sessions in use are dropped when
    /// their run ends. For a reload.
    pub fn drop_sessions(&self) {
        self.pool.clear();
        self.sharing.clear();
        self.bastions.forget();
        self.unlocked.forget();
        self.resolver.forget();
    }

    /// Drops idle sessions, the oldest first, until so much more can be held.
    pub(crate) fn drop_idle_sessions(&self, bytes: usize) {
        while self.resources.memory.lacks(bytes) && self.pool.drop_oldest() {}
    }

    pub(crate) fn resources(&self) -> &Resources {
        &self.resources
    }

    /// How many idle sessions are kept.
    pub fn idle_sessions(&self) -> usize {
        self.pool.len()
    }

    /// How many of them have a channel for the next command.
    pub fn warm_sessions(&self) -> usize {
        self.pool.warm()
    }
}

/// When the host ends a command by itself: some time after this server would have. In steps,
/// so that what is sent is the same from run to run, as far as it can be.
fn leash_seconds(control: &Control) -> u32 {
    const STEP: u64 = 10;
    const MOST: u64 = 400 * 86_400;
    let left = control.deadline.left().map_or(MOST, |left| left.as_secs());
    let seconds = (left.min(MOST) / STEP + 2) * STEP;
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

fn last_address(proof: &Proof) -> Option<IpAddr> {
    proof.hops.last().map(|hop| hop.address.socket_addr().ip())
}

/// Whether the host said no to the request itself.
fn refused(report: &RunReport) -> bool {
    matches!(
        report.error,
        Some(SshError::Refused {
            what: "command",
            ..
        })
    )
}

/// Whether the session ended under it.
fn lost(report: &RunReport) -> bool {
    matches!(
        report.error,
        Some(SshError::LinkLost { .. } | SshError::Protocol { .. } | SshError::Local { .. })
    )
}

/// How long the host's session may be kept; zero: not at all.
fn idle_time(job: &Job<'_>) -> Duration {
    let limits = job
        .snapshot
        .policy()
        .limits(job.host.alias.as_str(), &job.host.tags);
    Duration::from_secs(u64::from(limits.session_idle_seconds))
}
