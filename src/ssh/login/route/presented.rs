//! The keys that a host presents, for `trust`: asked for up to the key exchange, and believed
//! by nobody.
//!
//! The hosts on the way to it are logged in to as for a command. Puts nothing on record. Called
//! by [`crate::ssh::host_keys::trust`].

use crate::config::Host;
use crate::ssh::deadline::Control;
use crate::ssh::error::SshError;
use crate::ssh::host_keys::PublicKey;
use crate::ssh::login::algorithms::Offer;
use crate::ssh::login::opening::offered_key_types;
use crate::ssh::login::route::hop::{Hop, Means, Seen, record_name, shake_hands};
use crate::ssh::login::walk;
use crate::ssh::phase::Phase;
use crate::ssh::transport::link::{Link, explain};

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
/// As [`crate::ssh::login::establish`], up to the key exchange with the last host; one that has no key of this
/// type ends that exchange with [`SshError::Protocol`].
pub(crate) fn presented_key(
    means: &Means<'_>,
    route: &[&Host],
    kind: Option<&str>,
    control: &Control,
) -> Result<Presented, SshError> {
    let (known_hosts, _) = means.known_hosts.current(means.snapshot)?;
    let mut seen = Seen::default();
    let Some((last, before)) = route.split_last() else {
        return Err(SshError::Local {
            what: "route",
            cause: "no such host".into(),
        });
    };
    let hop = Hop {
        means,
        host: last,
        onward: 0,
        known_hosts: &known_hosts,
        control,
    };
    let addresses = hop.addresses(&mut seen)?;
    let (carrier, _, permit) = match before {
        [] => hop.connect(&addresses)?,
        before => {
            let (link, _passed, _) = walk(means, before, 1, &known_hosts, control, &mut seen)?;
            hop.connect_through(link, &addresses)?
        }
    };
    let mut link = Link::new(carrier)?;
    let session = link.session();
    let kinds = known_hosts.kinds_for(&record_name(last));
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let mut offer = Offer::new(&kinds, last.legacy_algorithms);
    if let Some(kind) = kind {
        offer = offer.only(kind);
    }
    offer
        .apply(session)
        .map_err(|fault| explain(Phase::Handshake, &fault))?;
    let key = shake_hands(&mut link, control, &permit)?;
    let offered = offered_key_types(&link.session().wire().opening());
    link.goodbye();
    Ok(Presented { key, offered })
}
