//! A route → a session that is logged in: name, judged address, connection, host key,
//! login, once for each hop, in this order and in no other.
//!
//! Nothing is sent to an address before the network policy has pinned it, and no
//! credential before the host's key was found on record. A host behind others is reached
//! through a channel of the session before it, with its own address rules, key and login.
//! Called by [`crate::ssh::client`] when no idle session will do.

pub(crate) mod agent;
pub(crate) mod algorithms;
pub(crate) mod auth;
pub(crate) mod key_files;
pub(crate) mod limiter;
pub(crate) mod opening;
pub(crate) mod private_key;
pub(crate) mod retry;
pub(crate) mod unlocked;

use std::ffi::CString;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Host, HostAddress, Resolve, Secret, Snapshot};
use crate::model::security_event::SecurityEvent;
use crate::policy::network::{NetworkPolicy, PinnedAddress};
use crate::ssh::deadline::{Control, Watch};
use crate::ssh::error::{KeyProblem, ResolveFailure, SshError};
use crate::ssh::events::{host_key_event, rate_limit_event};
use crate::ssh::host_keys::{KnownHosts, PublicKey, RecordName};
use crate::ssh::libssh2::FaultKind;
use crate::ssh::login::algorithms::Offer;
use crate::ssh::login::auth::Credentials;
use crate::ssh::login::key_files::{
    KnownHostsCache, check_key, kept_for, material_digest, read_certificate, read_key,
};
use crate::ssh::login::limiter::{Logins, Permit};
use crate::ssh::login::opening::{explain_opening, offered_key_types};
use crate::ssh::login::unlocked::Unlocked;
use crate::ssh::phase::Phase;
use crate::ssh::run_report::Negotiated;
use crate::ssh::transport::connect::connect;
use crate::ssh::transport::link::{Carrier, Link, explain};
use crate::ssh::transport::resolve::Resolver;

/// A session at the end of its route.
pub(crate) struct Established {
    pub(crate) link: Link,
    pub(crate) proof: Proof,
    /// To be given back when the host has answered on a channel.
    pub(crate) permit: Permit,
}

/// What the logins of a route relied on: as long as all of it still holds, the session is
/// as good as a new one.
pub(crate) struct Proof {
    pub(crate) hops: Vec<Verified>,
    pub(crate) known_hosts: [u8; 32],
    pub(crate) material: [u8; 32],
    /// What the hops agreed on; nothing relies on it.
    pub(crate) negotiated: Arc<[Negotiated]>,
}

/// What was seen on the way, whether or not it led anywhere.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) events: Vec<SecurityEvent>,
    /// Of each hop whose key exchange was through.
    pub(crate) negotiated: Vec<Negotiated>,
    /// The last host's, once it was connected to.
    pub(crate) address: Option<IpAddr>,
}

pub(crate) struct Verified {
    pub(crate) address: PinnedAddress,
    pub(crate) name: RecordName,
    pub(crate) key: PublicKey,
}

/// Where a login gets what it needs from.
pub(crate) struct Means<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) resolver: &'a Resolver,
    pub(crate) logins: &'a Logins,
    pub(crate) known_hosts: &'a KnownHostsCache,
    pub(crate) agent: Option<&'a Path>,
    pub(crate) unlocked: &'a Unlocked,
}

/// # Errors
/// Any of this layer's; one of a hop before the last is wrapped in [`SshError::Hop`].
pub(crate) fn establish(
    means: &Means<'_>,
    route: &[&Host],
    control: &Control,
    seen: &mut Seen,
) -> Result<Established, SshError> {
    for (index, host) in route.iter().enumerate() {
        // Before any host is bothered: a try that cannot succeed counts against us there.
        check_key(means.snapshot, means.unlocked, host).map_err(|error| {
            if index.saturating_add(1) == route.len() {
                error
            } else {
                in_hop(host, error)
            }
        })?;
    }
    let (known_hosts, known_hosts_digest) = means.known_hosts.current(means.snapshot)?;
    // Before the logins: what changes during them makes the session one that is not kept.
    let material = material_digest(means.snapshot, route);
    let mut reached: Option<(Link, Permit)> = None;
    let mut hops = Vec::new();
    for (index, host) in route.iter().enumerate() {
        let hop = Hop {
            means,
            host,
            onward: route.len().saturating_sub(index.saturating_add(1)),
            known_hosts: &known_hosts,
            control,
        };
        let through = |error| {
            if hop.onward == 0 {
                error
            } else {
                in_hop(host, error)
            }
        };
        let (link, permit, verified) = hop.log_in(reached.take(), seen).map_err(through)?;
        hops.push(verified);
        reached = Some((link, permit));
    }
    let proof = Proof {
        hops,
        known_hosts: known_hosts_digest,
        material,
        negotiated: seen.negotiated.as_slice().into(),
    };
    match reached {
        Some((link, permit)) => Ok(Established {
            link,
            permit,
            proof,
        }),
        None => Err(SshError::Local {
            what: "route",
            cause: "no such host".into(),
        }),
    }
}

fn in_hop(host: &Host, error: SshError) -> SshError {
    SshError::Hop {
        alias: host.alias.to_string(),
        error: Box::new(error),
    }
}

/// A key that a host presented.
pub(crate) struct Presented {
    pub(crate) key: PublicKey,
    /// The algorithms of host keys that it has, as it says; `None` if that was not heard.
    pub(crate) offered: Option<Vec<String>>,
}

/// The key that the last host of a route presents when it is asked for one of this type,
/// believed by nobody. The hosts before it are logged in to as for a command.
///
/// # Errors
/// As [`establish`], up to the key exchange with the last host; one that has no key of this
/// type ends that exchange with [`SshError::Protocol`].
pub(crate) fn presented_key(
    means: &Means<'_>,
    route: &[&Host],
    kind: Option<&str>,
    control: &Control,
) -> Result<Presented, SshError> {
    let (known_hosts, _) = means.known_hosts.current(means.snapshot)?;
    let mut reached: Option<(Link, Permit)> = None;
    let mut seen = Seen::default();
    for (index, host) in route.iter().enumerate() {
        let hop = Hop {
            means,
            host,
            onward: route.len().saturating_sub(index.saturating_add(1)),
            known_hosts: &known_hosts,
            control,
        };
        if hop.onward > 0 {
            let logged_in = hop.log_in(reached.take(), &mut seen);
            let (link, permit, _) = logged_in.map_err(|error| in_hop(host, error))?;
            reached = Some((link, permit));
            continue;
        }
        let addresses = hop.addresses(&mut seen)?;
        let (before, passed) = reached.take().unzip();
        let (carrier, _, _permit) = hop.connect(before, &addresses)?;
        drop(passed);
        let mut link = Link::new(carrier)?;
        let session = link.session();
        let kinds = known_hosts.kinds_for(&record_name(host));
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        Offer::new(&kinds, host.legacy_algorithms)
            .apply(session)
            .and_then(|()| match kind {
                Some(kind) => algorithms::offer_only(session, kind),
                None => Ok(()),
            })
            .map_err(|fault| explain(Phase::Handshake, &fault))?;
        let key = shake_hands(&mut link, control)?;
        let offered = offered_key_types(&link.session().wire().opening());
        link.goodbye();
        return Ok(Presented { key, offered });
    }
    Err(SshError::Local {
        what: "route",
        cause: "no such host".into(),
    })
}

/// One host of the route.
struct Hop<'a> {
    means: &'a Means<'a>,
    host: &'a Host,
    /// How many more are to come after this one.
    onward: usize,
    known_hosts: &'a KnownHosts,
    control: &'a Control,
}

impl Hop<'_> {
    /// Connects and logs in; where the host turned the connection away before anything was
    /// asked of it, again after a pause.
    fn log_in(
        &self,
        before: Option<(Link, Permit)>,
        seen: &mut Seen,
    ) -> Result<(Link, Permit, Verified), SshError> {
        let addresses = self.addresses(seen)?;
        if before.is_some() {
            // The session to the host before is spent with the attempt.
            return self.attempt(before, &addresses, seen);
        }
        let mut tries = 0;
        loop {
            let error = match self.attempt(None, &addresses, seen) {
                Ok(reached) => return Ok(reached),
                Err(error) => error,
            };
            let Some(pause) = retry::pause_after(&error, tries) else {
                return Err(error);
            };
            tries = tries.saturating_add(1);
            if !retry::wait(pause, self.control)? {
                return Err(error);
            }
        }
    }

    fn attempt(
        &self,
        before: Option<(Link, Permit)>,
        addresses: &[PinnedAddress],
        seen: &mut Seen,
    ) -> Result<(Link, Permit, Verified), SshError> {
        let (before, passed) = before.unzip();
        let (carrier, address, permit) = self.connect(before, addresses)?;
        let ip = address.socket_addr().ip();
        seen.address = Some(ip);
        if let HostAddress::Name(name) = &self.host.address {
            self.means.resolver.worked(name.as_str(), ip);
        }
        // The host before has answered on a channel.
        drop(passed);
        match self.enter(carrier, seen) {
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
        seen: &mut Seen,
    ) -> Result<(Link, RecordName, PublicKey), SshError> {
        let mut link = Link::new(carrier)?;
        let name = record_name(self.host);
        let kinds = self.known_hosts.kinds_for(&name);
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        let offer = Offer::new(&kinds, self.host.legacy_algorithms);
        offer
            .apply(link.session())
            .map_err(|fault| explain(Phase::Handshake, &fault))?;
        let key = match shake_hands(&mut link, self.control) {
            Ok(key) => key,
            Err(error) => {
                let opening = link.session().wire().opening();
                return Err(explain_opening(error, &opening, &offer));
            }
        };
        link.session().wire().forget_opening();
        seen.negotiated.push(link.negotiated(&self.host.alias));
        self.known_hosts
            .verify(&name, &key)
            .inspect_err(|error| seen.events.extend(host_key_event(self.host, error)))?;
        link.believe(&key);
        self.sign_in(&mut link)?;
        link.set_logged_in();
        Ok((link, name, key))
    }

    /// The host's addresses that the policy allows.
    fn addresses(&self, seen: &mut Seen) -> Result<Vec<PinnedAddress>, SshError> {
        let watch = self.control.begin(Phase::Resolve);
        let found = addresses_of(self.host, self.means.resolver, &watch, &mut seen.events)?;
        pin(self.means.snapshot.policy().network(), self.host, &found)
    }

    fn connect(
        &self,
        before: Option<Link>,
        addresses: &[PinnedAddress],
    ) -> Result<(Carrier, PinnedAddress, Permit), SshError> {
        let logins = self.means.logins;
        let acquire = |address: PinnedAddress| {
            logins.acquire(address.socket_addr(), self.onward, self.control)
        };
        let Some(mut outer) = before else {
            let (stream, address, permit) = connect(addresses, self.control, acquire)?;
            return Ok((Carrier::Socket(stream), address, permit));
        };
        // Through a host, one after the other: a tunnel that was asked for and not answered is
        // still being asked for, and the next call would go on with that one, whatever address
        // it names.
        let mut last = SshError::NoAddressAllowed {
            refused: Vec::new(),
        };
        for &address in addresses {
            let permit = acquire(address)?;
            match self.tunnel(&mut outer, address) {
                Ok(()) => return Ok((Carrier::Tunnel(Box::new(outer)), address, permit)),
                Err(error @ SshError::Tunnel { .. }) => last = error,
                Err(error) => return Err(error),
            }
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
        let credentials = Credentials {
            user: &login.username,
            key: key.as_ref().map(Secret::expose),
            passphrase: login.passphrase.as_deref().map(Secret::expose),
            unlocked: (
                self.means.unlocked,
                kept_for(self.means.snapshot, self.host),
            ),
            certificate: certificate.as_ref().map(Secret::expose),
            password: login.password.as_deref().map(Secret::expose),
            agent: self.means.agent.filter(|_| login.agent),
        };
        if login.agent
            && credentials.agent.is_none()
            && credentials.key.is_none()
            && credentials.password.is_none()
        {
            return Err(SshError::Key(KeyProblem::Agent {
                cause: "SSH_AUTH_SOCK is not set".into(),
            }));
        }
        let phase = Phase::Authenticate;
        auth::sign_in(link, &credentials, &self.control.begin(phase))?;
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
fn shake_hands(link: &mut Link, control: &Control) -> Result<PublicKey, SshError> {
    let phase = Phase::Handshake;
    let watch = control.begin(phase);
    link.drive_faults(&watch, |session, descriptor| session.handshake(descriptor))?
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
