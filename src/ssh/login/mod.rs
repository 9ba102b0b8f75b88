//! A route → a session that is logged in: name, judged address, connection, host key,
//! login, once for each hop, in this order and in no other.
//!
//! Nothing is sent to an address before the network policy has pinned it, and no
//! credential before the host's key was found on record. A host behind others is reached
//! through a channel of the session before it, with its own address rules, key and login; the
//! session to the last of those before it is shared by all hosts behind ([`route`]).
//! Called by [`crate::ssh::client`] when no idle session will do.

pub(crate) mod agent;
pub(crate) mod algorithms;
pub(crate) mod auth;
pub(crate) mod key_files;
pub(crate) mod limiter;
pub(crate) mod opening;
pub(crate) mod private_key;
pub(crate) mod retry;
pub(crate) mod route;
pub(crate) mod unlocked;

use std::cell::RefCell;
use std::sync::Arc;

use crate::config::{Host, Snapshot};
use crate::ssh::deadline::Control;
use crate::ssh::error::SshError;
use crate::ssh::host_keys::KnownHosts;
use crate::ssh::login::key_files::{check_key, kept_for, material_digest};
use crate::ssh::login::limiter::Permit;
use crate::ssh::login::route::bastions::Bastions;
use crate::ssh::login::route::hop::{Hop, Way};
pub(crate) use crate::ssh::login::route::hop::{Means, Seen, addresses_of, pin, record_name};
use crate::ssh::login::route::proof::{Proof, Verified};
use crate::ssh::transport::link::Link;
use crate::ssh::transport::relay::Trunk;

/// A session at the end of its route.
pub(crate) struct Established {
    pub(crate) link: Link,
    pub(crate) proof: Proof,
    /// To be given back when the host has answered on a channel.
    pub(crate) permit: Permit,
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
    let (known_hosts, digest) = means.known_hosts.current(means.snapshot)?;
    // Before the logins: what changes during them makes the session one that is not kept.
    let material = material_digest(means.snapshot, route);
    let (link, permit, hops) = match (means.bastions, route) {
        (Some(shared), [before @ .., last]) if !before.is_empty() => {
            let means = (means, shared);
            through_bastion(means, before, last, &known_hosts, digest, control, seen)?
        }
        _ => walk(means, route, 0, &known_hosts, control, seen)?,
    };
    let proof = Proof {
        hops,
        known_hosts: digest,
        material,
        negotiated: seen.negotiated.as_slice().into(),
    };
    Ok(Established {
        link,
        permit,
        proof,
    })
}

/// A session at the end of a way, with what is to be given back when the host has answered on
/// a channel, and whom it led past.
pub(crate) type Reached = (Link, Permit, Vec<Verified>);

/// Logs in to one host after the other; `after` more are to come behind them.
pub(crate) fn walk(
    means: &Means<'_>,
    hosts: &[&Host],
    after: usize,
    known_hosts: &KnownHosts,
    control: &Control,
    seen: &mut Seen,
) -> Result<Reached, SshError> {
    let mut reached: Option<(Link, Permit)> = None;
    let mut hops = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let behind = hosts.len().saturating_sub(index.saturating_add(1));
        let hop = Hop {
            means,
            host,
            onward: behind.saturating_add(after),
            known_hosts,
            control,
        };
        let way = match reached.take() {
            Some((link, permit)) => Way::Through(link, permit),
            None => Way::Direct,
        };
        let (link, permit, verified) = hop.log_in(way, seen).map_err(|error| {
            if hop.onward == 0 {
                error
            } else {
                in_hop(host, error)
            }
        })?;
        hops.push(verified);
        reached = Some((link, permit));
    }
    match reached {
        Some((link, permit)) => Ok((link, permit, hops)),
        None => Err(SshError::Local {
            what: "route",
            cause: "no such host".into(),
        }),
    }
}

/// Logs in to a host behind others by a session to the last of these that several share.
fn through_bastion(
    (means, (bastions, configuration)): (&Means<'_>, (&Bastions, &Arc<Snapshot>)),
    before: &[&Host],
    last: &Host,
    known_hosts: &KnownHosts,
    digest: [u8; 32],
    control: &Control,
    seen: &mut Seen,
) -> Result<Reached, SshError> {
    let on_the_way = RefCell::new(Seen::default());
    let led_past: RefCell<Option<Arc<Proof>>> = RefCell::default();
    let make = || {
        let mut seen = on_the_way.borrow_mut();
        seen.negotiated.clear();
        let material = material_digest(means.snapshot, before);
        let (link, permit, hops) = walk(means, before, 1, known_hosts, control, &mut seen)?;
        let idle = before.last().map(|host| kept_for(means.snapshot, host));
        let proof = Proof {
            hops,
            known_hosts: digest,
            material,
            negotiated: seen.negotiated.as_slice().into(),
        };
        Ok((Trunk::start(link, permit, idle.unwrap_or_default())?, proof))
    };
    let holds = |proof: &Proof| proof.still_holds(means.snapshot, means.known_hosts, before);
    let lend = || {
        let lease = bastions.lease(before, configuration, control, holds, make)?;
        *led_past.borrow_mut() = Some(Arc::clone(&lease.proof));
        Ok(lease)
    };
    let hop = Hop {
        means,
        host: last,
        onward: 0,
        known_hosts,
        control,
    };
    let mut own = Seen::default();
    let reached = hop.log_in(Way::Shared(&lend), &mut own);
    let on_the_way = on_the_way.into_inner();
    let led_past = led_past.into_inner();
    seen.events.extend(on_the_way.events);
    seen.events.append(&mut own.events);
    match &led_past {
        Some(proof) => seen.negotiated.extend_from_slice(&proof.negotiated),
        None => seen.negotiated.extend(on_the_way.negotiated),
    }
    seen.negotiated.append(&mut own.negotiated);
    seen.address = own.address.or(on_the_way.address);
    let (link, permit, verified) = reached?;
    let mut hops = led_past.map_or_else(Vec::new, |proof| proof.hops.clone());
    hops.push(verified);
    Ok((link, permit, hops))
}

fn in_hop(host: &Host, error: SshError) -> SshError {
    SshError::Hop {
        alias: host.alias.to_string(),
        error: Box::new(error),
    }
}
