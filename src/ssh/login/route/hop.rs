//! One host of a route: its name, a judged address, a connection, its key, the login, in this
//! order and in no other.
//!
//! Nothing is sent to an address before the network policy has pinned it, and no credential
//! before the host's key was found on record. What the way to it is, and what comes behind it,
//! is [`crate::ssh::login`]'s, the caller.

use std::ffi::CString;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::config::{AnsweredBy, Host, HostAddress, Prompt, Resolve, Secret, Snapshot};
use crate::model::security_event::SecurityEvent;
use crate::policy::network::{NetworkPolicy, PinnedAddress};
use crate::ssh::answers::{Asking, Operator, PATIENCE};
use crate::ssh::deadline::{Control, Deadline, Watch};
use crate::ssh::error::{KeyProblem, ResolveFailure, SshError};
use crate::ssh::events::{host_key_event, rate_limit_event};
use crate::ssh::host_keys::{KnownHosts, PublicKey, RecordName};
use crate::ssh::libssh2::FaultKind;
use crate::ssh::login::algorithms::Offer;
use crate::ssh::login::auth::{self, Credentials};
use crate::ssh::login::key_files::{
    KnownHostsCache, kept_for, read_certificate, read_identity, read_key,
};
use crate::ssh::login::limiter::{Logins, Permit};
use crate::ssh::login::opening::explain_opening;
use crate::ssh::login::retry;
use crate::ssh::login::route::bastions::{Bastions, Lease};
use crate::ssh::login::route::proof::{Verified, now, signed_by};
use crate::ssh::login::unlocked::Unlocked;
use crate::ssh::phase::Phase;
use crate::ssh::run_report::Negotiated;
use crate::ssh::transport::connect::connect;
use crate::ssh::transport::link::{Carrier, Link, explain};
use crate::ssh::transport::relay::NoTunnel;
use crate::ssh::transport::resolve::Resolver;

/// How many sessions to a jump host are given up for another one before a host behind it is.
const ANOTHER: usize = 5;

/// What was seen on the way, whether or not it led anywhere.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) events: Vec<SecurityEvent>,
    /// Of each hop whose key exchange was through.
    pub(crate) negotiated: Vec<Negotiated>,
    /// The last host's, once it was connected to.
    pub(crate) address: Option<IpAddr>,
}

/// Where a login gets what it needs from.
pub(crate) struct Means<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) resolver: &'a Resolver,
    pub(crate) logins: &'a Logins,
    pub(crate) known_hosts: &'a KnownHostsCache,
    pub(crate) agent: Option<&'a Path>,
    pub(crate) unlocked: &'a Unlocked,
    /// Sessions that several runs may share, where they may, and the configuration they are of.
    pub(crate) bastions: Option<(&'a Bastions, &'a Arc<Snapshot>)>,
    /// Who asks the person that types codes.
    pub(crate) operator: Option<&'a Arc<dyn Operator>>,
}

/// How a host is reached.
pub(crate) enum Way<'w> {
    Direct,
    /// By the session to the host before, which is spent with it.
    Through(Link, Permit),
    /// By a tunnel of one that others use, too.
    Shared(&'w dyn Fn() -> Result<Lease, SshError>),
}

/// One host of the route.
pub(crate) struct Hop<'a> {
    pub(crate) means: &'a Means<'a>,
    pub(crate) host: &'a Host,
    /// How many more are to come after this one.
    pub(crate) onward: usize,
    pub(crate) known_hosts: &'a KnownHosts,
    pub(crate) control: &'a Control,
}

impl Hop<'_> {
    /// Connects and logs in; where the host turned the connection away before anything was
    /// asked of it, again after a pause.
    pub(crate) fn log_in(
        &self,
        way: Way<'_>,
        seen: &mut Seen,
    ) -> Result<(Link, Permit, Verified), SshError> {
        let addresses = self.addresses(seen)?;
        let mut way = Some(way);
        let mut tries = 0;
        loop {
            let again = match &way {
                Some(Way::Direct) => Some(Way::Direct),
                Some(Way::Shared(lend)) => Some(Way::Shared(*lend)),
                // The session to the host before is spent with the attempt.
                Some(Way::Through(..)) | None => None,
            };
            let attempt = way.take().unwrap_or(Way::Direct);
            let error = match self.attempt(attempt, &addresses, seen) {
                Ok(reached) => return Ok(reached),
                Err(error) => error,
            };
            let pause = retry::pause_after(&error, tries).filter(|_| again.is_some());
            let Some(pause) = pause else {
                return Err(error);
            };
            way = again;
            tries = tries.saturating_add(1);
            if !retry::wait(pause, self.control)? {
                return Err(error);
            }
        }
    }

    fn attempt(
        &self,
        way: Way<'_>,
        addresses: &[PinnedAddress],
        seen: &mut Seen,
    ) -> Result<(Link, Permit, Verified), SshError> {
        let (carrier, address, permit) = match way {
            Way::Direct => self.connect(addresses)?,
            Way::Through(before, passed) => {
                let reached = self.connect_through(before, addresses)?;
                // The host before has answered on a channel.
                drop(passed);
                reached
            }
            Way::Shared(lend) => self.connect_shared(lend, addresses)?,
        };
        let ip = address.socket_addr().ip();
        seen.address = Some(ip);
        if let HostAddress::Name(name) = &self.host.address {
            self.means.resolver.worked(name.as_str(), ip);
        }
        match self.enter(carrier, &permit, seen) {
            Ok((link, name, key)) => Ok((link, permit, Verified { address, name, key })),
            Err(error) => {
                permit.failed();
                Err(error)
            }
        }
    }

    /// Key exchange, host key, login.
    fn enter(
        &self,
        carrier: Carrier,
        permit: &Permit,
        seen: &mut Seen,
    ) -> Result<(Link, RecordName, PublicKey), SshError> {
        let mut link = Link::new(carrier)?;
        let name = record_name(self.host);
        let kinds = self.known_hosts.kinds_for(&name);
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        let mut offer = Offer::new(&kinds, self.host.legacy_algorithms);
        if self.known_hosts.has_authority(&name) {
            offer = offer.with_certificates();
        }
        offer
            .apply(link.session())
            .map_err(|fault| explain(Phase::Handshake, &fault))?;
        let key = match shake_hands(&mut link, self.control, permit) {
            Ok(key) => key,
            Err(error) => {
                let opening = link.session().wire().opening();
                return Err(explain_opening(error, &opening, &offer));
            }
        };
        link.session().wire().forget_opening();
        let legacy = self.host.legacy_algorithms;
        let negotiated = link.negotiated(&self.host.alias, legacy);
        seen.negotiated.push(negotiated);
        self.known_hosts
            .believe(&name, &key, now(), &signed_by)
            .inspect_err(|error| seen.events.extend(host_key_event(self.host, error)))?;
        link.believe(&key);
        self.sign_in(&mut link)?;
        link.set_logged_in();
        Ok((link, name, key))
    }

    /// The host's addresses that the policy allows.
    pub(crate) fn addresses(&self, seen: &mut Seen) -> Result<Vec<PinnedAddress>, SshError> {
        let watch = self.control.begin(Phase::Resolve);
        let found = addresses_of(self.host, self.means.resolver, &watch, &mut seen.events)?;
        pin(self.means.snapshot.policy().network(), self.host, &found)
    }

    fn acquire(&self, address: PinnedAddress) -> Result<Permit, SshError> {
        let logins = self.means.logins;
        logins.acquire(address.socket_addr(), self.onward, self.control)
    }

    pub(crate) fn connect(
        &self,
        addresses: &[PinnedAddress],
    ) -> Result<(Carrier, PinnedAddress, Permit), SshError> {
        let acquire = |address| self.acquire(address);
        let (stream, address, permit) = connect(addresses, self.control, acquire)?;
        Ok((Carrier::Socket(Arc::new(stream)), address, permit))
    }

    pub(crate) fn connect_through(
        &self,
        mut outer: Link,
        addresses: &[PinnedAddress],
    ) -> Result<(Carrier, PinnedAddress, Permit), SshError> {
        // Through a host, one after the other: a tunnel that was asked for and not answered is
        // still being asked for, and the next call would go on with that one, whatever address
        // it names.
        let mut last = SshError::NoAddressAllowed {
            refused: Vec::new(),
        };
        for &address in addresses {
            let permit = self.acquire(address)?;
            match self.tunnel(&mut outer, address) {
                Ok(()) => return Ok((Carrier::Tunnel(Box::new(outer)), address, permit)),
                Err(error @ SshError::Tunnel { .. }) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn connect_shared(
        &self,
        lend: &dyn Fn() -> Result<Lease, SshError>,
        addresses: &[PinnedAddress],
    ) -> Result<(Carrier, PinnedAddress, Permit), SshError> {
        let mut last = SshError::NoAddressAllowed {
            refused: Vec::new(),
        };
        let mut given_up: usize = 0;
        let mut next = addresses.iter().copied().peekable();
        while let Some(&address) = next.peek() {
            // The session before the turn: who has a turn here must not wait for one there.
            let lease = lend()?;
            let permit = self.acquire(address)?;
            match lease.trunk.open(address, self.control) {
                Ok(end) => return Ok((Carrier::Conduit(end), address, permit)),
                Err(NoTunnel::Failed(error @ SshError::Tunnel { .. })) => last = error,
                Err(NoTunnel::Failed(error)) => return Err(error),
                Err(NoTunnel::Busy | NoTunnel::Gone) if given_up < ANOTHER => {
                    lease.trunk.retire();
                    given_up = given_up.saturating_add(1);
                    continue;
                }
                Err(NoTunnel::Busy | NoTunnel::Gone) => {
                    return Err(SshError::LinkLost {
                        phase: Phase::Connect,
                        cause: "the sessions to the jump host go away".into(),
                    });
                }
            }
            next.next();
        }
        Err(last)
    }

    fn tunnel(&self, outer: &mut Link, address: PinnedAddress) -> Result<(), SshError> {
        let socket = address.socket_addr();
        let ip = CString::new(socket.ip().to_string()).unwrap_or_default();
        let watch = self.control.begin(Phase::Connect);
        let opened =
            outer.drive_faults(&watch, |session, _| session.open_tunnel(&ip, socket.port()))?;
        opened.map_err(|fault| match fault.kind {
            FaultKind::Channel => SshError::Tunnel {
                address: socket,
                cause: fault.text,
            },
            _ => explain(Phase::Connect, &fault),
        })
    }

    fn sign_in(&self, link: &mut Link) -> Result<(), SshError> {
        let login = &self.host.login;
        let dirs = self.means.snapshot.dirs();
        let key = login
            .key_path
            .as_ref()
            .map(|path| read_key(dirs, path))
            .transpose()?;
        let certificate = login
            .cert_path
            .as_ref()
            .map(|path| read_certificate(dirs, path))
            .transpose()?;
        let identity = login
            .identity
            .as_ref()
            .filter(|_| self.means.agent.is_some())
            .map(|path| read_identity(dirs, path))
            .transpose()?;
        let credentials = Credentials {
            user: &login.username,
            legacy_algorithms: self.host.legacy_algorithms,
            key: key.as_ref().map(Secret::expose),
            passphrase: login.passphrase.as_deref().map(Secret::expose),
            unlocked: (
                self.means.unlocked,
                kept_for(self.means.snapshot, self.host),
            ),
            certificate: certificate.as_ref().map(Secret::expose),
            password: login.password.as_deref().map(Secret::expose),
            prompts: &login.prompts,
            asking: &|| Asking {
                operator: self.means.operator.cloned(),
                alias: self.host.alias.clone(),
                user: login.username.clone(),
                until: match self.control.deadline {
                    Deadline::At(at) => Some(at),
                    Deadline::Never => None,
                },
                given_up: {
                    let cancel = self.control.cancel.clone();
                    Box::new(move || cancel.is_cancelled())
                },
            },
            agent: self.means.agent.filter(|_| login.agent),
            identity: identity.as_ref(),
        };
        if login.agent
            && credentials.agent.is_none()
            && credentials.key.is_none()
            && credentials.password.is_none()
            && credentials.prompts.is_empty()
        {
            return Err(SshError::Key(KeyProblem::Agent {
                cause: "SSH_AUTH_SOCK is not set".into(),
            }));
        }
        let phase = Phase::Authenticate;
        let asks = |prompt: &Prompt| matches!(prompt.by, AnsweredBy::Operator);
        let watch = match login.prompts.iter().any(asks) {
            true => {
                // A person takes their time beside the host's.
                let own = phase.limit().unwrap_or_default();
                let deadline = Deadline::after(own.saturating_add(PATIENCE));
                self.control.within(phase, deadline)
            }
            false => self.control.begin(phase),
        };
        auth::sign_in(link, &credentials, &watch)?;
        // Whatever each method's call said: the one word that counts is the host's.
        if link.session().is_authenticated() {
            Ok(())
        } else {
            Err(SshError::Protocol {
                phase,
                cause: "the host did not say that we are in".into(),
            })
        }
    }
}

/// Banner and key exchange, with what was offered before; the host's key, not yet believed.
pub(crate) fn shake_hands(
    link: &mut Link,
    control: &Control,
    permit: &Permit,
) -> Result<PublicKey, SshError> {
    let phase = Phase::Handshake;
    let watch = control.begin(phase);
    let mut heard = false;
    link.drive_faults(&watch, |session, descriptor| {
        let step = session.handshake(descriptor);
        // It comes long before the end, and others may be waiting for what it allows.
        if !heard && let Some(version) = session.peer_version() {
            heard = true;
            permit.heard(&version);
        }
        step
    })?
    .map_err(|fault| explain(phase, &fault))?;
    link.session()
        .host_key()
        .and_then(PublicKey::from_blob)
        .ok_or_else(|| SshError::Protocol {
            phase,
            cause: "the host has no readable key".into(),
        })
}

/// The addresses of a host, judged by nobody yet.
pub(crate) fn addresses_of(
    host: &Host,
    resolver: &Resolver,
    watch: &Watch<'_>,
    events: &mut Vec<SecurityEvent>,
) -> Result<Vec<IpAddr>, SshError> {
    match &host.address {
        HostAddress::Literal(ip) => Ok(vec![*ip]),
        HostAddress::Name(name) => match host.resolve {
            Resolve::Dns => resolver
                .resolve(name.as_str(), watch)
                .inspect_err(|error| events.extend(rate_limit_event(error)))
                .map(|found| found.to_vec()),
            Resolve::Static => Err(SshError::Resolve {
                name: name.as_str().to_owned(),
                why: ResolveFailure::Static,
            }),
        },
    }
}

/// Judges every address.
///
/// # Errors
/// None is allowed.
pub(crate) fn pin(
    network: &NetworkPolicy,
    host: &Host,
    found: &[IpAddr],
) -> Result<Vec<PinnedAddress>, SshError> {
    let pinned: Vec<_> = found
        .iter()
        .filter_map(|ip| network.pin(*ip, host.port).ok())
        .collect();
    if pinned.is_empty() {
        return Err(SshError::NoAddressAllowed {
            refused: found.to_vec(),
        });
    }
    Ok(pinned)
}

pub(crate) fn record_name(host: &Host) -> RecordName {
    RecordName::new(&host.address.to_string(), host.port)
}
