//! How a run gets a channel: of an idle session that still holds, of one that others use, or of a
//! new one.
//!
//! Before the host has opened the channel nothing is asked of it that could run, so a session
//! that turns out to be dead, or has no place, is simply passed over. Sends no command. Called by
//! [`crate::ssh::client`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ssh::client::{Client, Job};
use crate::ssh::deadline::{Control, Deadline};
use crate::ssh::error::SshError;
use crate::ssh::login::route::proof::Proof;
use crate::ssh::login::{self, Established, Means, Seen};
use crate::ssh::phase::Phase;
use crate::ssh::run_report::{RunReport, Sink, Stage};
use crate::ssh::session::channel::{Channel, NotOpened};
use crate::ssh::session::exec;
use crate::ssh::session::pool::{Key, Parked};
use crate::ssh::session::sharing::{Choice, Failure, InUse, Seat};
use crate::ssh::session::spare::{Ready, Spare};
use crate::ssh::transport::link::Link;

/// How long a session that is there may take to open a channel before a new one is made instead.
const PROBE: Duration = Duration::from_secs(3);

impl Client {
    /// An open channel: of an idle session that still holds, of one that others use, or of a
    /// new one.
    pub(super) fn session(
        &self,
        job: &Job<'_>,
        key: &Key,
        anew: bool,
        control: &Control,
        sink: &mut dyn Sink,
        report: &mut RunReport,
    ) -> Result<InUse, SshError> {
        let era = self.pool.era();
        let (maker, idle) = loop {
            if anew {
                break (self.sharing.alone(), None);
            }
            let seat = match self.sharing.choose(key, || self.pool.take(key)) {
                Choice::Make(maker, idle) => break (maker, idle),
                Choice::Join(seat) => seat,
            };
            if let Some(found) = self.join(job, key, seat, era, control, report)? {
                report.reused = true;
                sink.stage(Stage::Connected);
                return Ok(found);
            }
        };
        match self.make(job, key, idle, control, sink, report) {
            Ok((link, proof)) => {
                let apart = keeps_commands_apart(&link);
                if !apart {
                    self.sharing.narrow(key, 1);
                }
                let most = self.sharing.most(key);
                let (connection, channel) =
                    Channel::first(link, Arc::clone(&proof), most, &control.cancel);
                Ok(InUse {
                    channel,
                    proof,
                    seat: maker.made(&connection),
                })
            }
            Err(error) => {
                maker.failed(Failure {
                    error: error.clone(),
                    address: report.target_ip,
                    negotiated: report.negotiated.clone(),
                });
                Err(error)
            }
        }
    }

    /// A channel of a connection that another run uses or makes; `None`: it has none for us.
    ///
    /// # Errors
    /// The connection could not be made, the run's time is up, or it is cancelled.
    fn join(
        &self,
        job: &Job<'_>,
        key: &Key,
        seat: Seat,
        era: u64,
        control: &Control,
        report: &mut RunReport,
    ) -> Result<Option<InUse>, SshError> {
        let connection = match seat.wait(control)? {
            Ok(connection) => connection,
            Err(None) => return Ok(None),
            Err(Some(failure)) => {
                report.target_ip = failure.address;
                report.negotiated = failure.negotiated;
                return Err(failure.error);
            }
        };
        let proof = Arc::clone(connection.proof());
        let route = job.snapshot.route(&job.host.alias);
        if !proof.still_holds(job.snapshot, &self.known_hosts, &route) {
            connection.retire();
            return Ok(None);
        }
        let Some(mut channel) = Channel::join(&connection, &control.cancel) else {
            return Ok(None);
        };
        // That the host opens it shows that it is there: nothing was asked of it before.
        let opened = channel.open(control, PROBE);
        match opened {
            Ok(()) => {
                return Ok(Some(InUse {
                    channel,
                    proof,
                    seat,
                }));
            }
            Err(NotOpened::Full(most)) => {
                self.sharing.narrow(key, most);
                self.leave(job, key, channel, true, proof, era);
            }
            // Whoever found that out has taken it from those who come after.
            Err(NotOpened::Gone) => {}
            Err(NotOpened::Over(error)) => return Err(error),
        }
        Ok(None)
    }

    /// A session with an open channel: the idle one, another idle one, or a new one.
    fn make(
        &self,
        job: &Job<'_>,
        key: &Key,
        idle: Option<Parked>,
        control: &Control,
        sink: &mut dyn Sink,
        report: &mut RunReport,
    ) -> Result<(Link, Arc<Proof>), SshError> {
        let route = job.snapshot.route(&job.host.alias);
        let mut next = idle;
        while let Some(parked) = next.take() {
            if let Some(ready) = self.revive(job, key, parked, control)? {
                report.reused = true;
                sink.stage(Stage::Connected);
                return Ok(ready);
            }
            next = self.pool.take(key);
        }
        let means = Means {
            snapshot: job.snapshot,
            resolver: &self.resolver,
            logins: &self.logins,
            known_hosts: &self.known_hosts,
            agent: self.agent.as_deref().map(PathBuf::as_path),
            unlocked: &self.unlocked,
            bastions: Some((&self.bastions, job.snapshot)),
            operator: self.operator.get(),
        };
        let mut seen = Seen::default();
        let established = login::establish(&means, &route, control, &mut seen);
        report.events.append(&mut seen.events);
        // Also of a login that failed: whoever reads the record wants to know where.
        report.target_ip = seen.address;
        if !seen.negotiated.is_empty() {
            report.negotiated = Some(seen.negotiated.into());
        }
        let Established {
            mut link,
            proof,
            permit,
        } = established?;
        sink.stage(Stage::Connected);
        match exec::open(&mut link, &control.begin(Phase::Run)) {
            Ok(()) => Ok((link, Arc::new(proof))),
            Err(error) => {
                permit.failed();
                Err(error)
            }
        }
    }

    /// The channel of an idle session that still holds; nothing has been asked of its host yet,
    /// so that one that turns out to be dead is simply replaced.
    fn revive(
        &self,
        job: &Job<'_>,
        key: &Key,
        parked: Parked,
        control: &Control,
    ) -> Result<Option<(Link, Arc<Proof>)>, SshError> {
        let route = job.snapshot.route(&job.host.alias);
        let Parked {
            mut link,
            proof,
            mut spare,
            ..
        } = parked;
        if !proof.still_holds(job.snapshot, &self.known_hosts, &route) {
            link.goodbye();
            return Ok(None);
        }
        let watch = control.within(Phase::Run, Deadline::after(PROBE));
        // An end that the network has told must be seen, whoever reads the socket.
        let alive = link.catch_up(&watch).is_ok() && link.seems_alive();
        if let Some(spare) = &mut spare {
            spare.look(&mut link);
        }
        let unanswered = spare.as_ref().is_some_and(Spare::is_awaited);
        if !alive {
            if unanswered {
                // It hung up on being asked for one.
                self.pool.refuses_spares(key);
            }
            link.goodbye();
            return Ok(None);
        }
        let ready = match spare {
            Some(spare) => spare.take(&mut link, self.fresh, &watch),
            None => exec::reopen(&mut link, &watch).map(|()| Ready::Granted),
        };
        match ready {
            Ok(ready) => {
                if let Ready::Refused = ready {
                    self.pool.refuses_spares(key);
                }
                return Ok(Some((link, proof)));
            }
            Err(
                error @ (SshError::Cancelled(_)
                | SshError::Timeout {
                    whole_run: true, ..
                }),
            ) => {
                return Err(error);
            }
            // No answer: the others would have none either, one after the other.
            Err(SshError::Timeout { .. }) => self.pool.discard(key),
            Err(_) if unanswered => self.pool.refuses_spares(key),
            Err(_) => {}
        }
        Ok(None)
    }
}

/// Whether the host is known to let a second command on a session be without harm to the first:
/// some hang up on it.
fn keeps_commands_apart(link: &Link) -> bool {
    let known = ["SSH-2.0-OpenSSH_", "SSH-2.0-dropbear"];
    link.host_is_any_of(&known)
}
