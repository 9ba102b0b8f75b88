//! Logins that can be seen to fail before anybody tries them.
//!
//! Owns the comparison of what is configured with the key files and known_hosts. Connects
//! nowhere. Called by the boot and by `check`, whose warnings these are.

use crate::config::HostAddress;
use crate::config::files::beneath::FileError;
use crate::config::files::directories::FILES;
use crate::config::schema::problem::{Mark, Place, Warning, WarningKind};
use crate::config::snapshot::Snapshot;
use crate::ssh;

/// A warning for each login that can be seen to fail: the private key can't be used, or
/// the host's key isn't known.
pub(crate) fn failing(snapshot: &Snapshot) -> Vec<Warning> {
    let mut warnings = unusable_keys(snapshot);
    warnings.extend(odd_secrets(snapshot));
    warnings.extend(unknown_hosts(snapshot));
    warnings.extend(multicast_names(snapshot));
    warnings
}

/// Of the key files that are there: the others have their warnings from the load.
fn unusable_keys(snapshot: &Snapshot) -> Vec<Warning> {
    let logins = snapshot.logins().filter_map(|login| {
        let path = login.key_path.as_ref()?;
        let key = snapshot.dirs().read_key(path).ok()?;
        let trouble = ssh::key_trouble(key.expose(), login.passphrase.is_some())?;
        Some(Warning {
            place: Place::file(FILES[1]),
            key: login.name.clone(),
            kind: WarningKind::UnusableKey,
            text: format!("the key {path} can't be used: {trouble}"),
        })
    });
    let identities = snapshot.logins().filter_map(|login| {
        let path = login.identity.as_ref()?;
        let file = snapshot.dirs().read_key(path).ok()?;
        let trouble = ssh::identity_trouble(file.expose())?;
        Some(Warning {
            place: Place::file(FILES[1]),
            key: login.name.clone(),
            kind: WarningKind::UnusableKey,
            text: format!("the identity {path} can't be used: {trouble}"),
        })
    });
    logins.chain(identities).collect()
}

/// A byte order mark is no part of what was typed, but it is of what the host is sent.
fn odd_secrets(snapshot: &Snapshot) -> Vec<Warning> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    let logins = snapshot.logins().flat_map(|login| {
        let of = [
            ("password", &login.password),
            ("key's passphrase", &login.passphrase),
        ];
        of.into_iter().filter_map(|(what, secret)| {
            let secret = secret.as_ref()?;
            secret.expose().starts_with(MARK).then(|| Warning {
                place: Place::file(FILES[1]),
                key: login.name.clone(),
                kind: WarningKind::OddSecret,
                text: format!(
                    "the {what} begins with a byte order mark, which is sent as a part of it: save \
                     the file as plain text, without one"
                ),
            })
        })
    });
    logins.collect()
}

/// Names under `.local` belong to multicast DNS (RFC 6762), which takes a resolver of its own
/// and sockets that the sandbox closes: here they are looked up in /etc/hosts and by DNS.
fn multicast_names(snapshot: &Snapshot) -> Vec<Warning> {
    let hosts = snapshot.hosts().iter().filter_map(|host| {
        let HostAddress::Name(name) = &host.address else {
            return None;
        };
        let name = name.as_str();
        let last = name.rsplit('.').next()?;
        if !last.eq_ignore_ascii_case("local") || !name.contains('.') {
            return None;
        }
        Some(Warning {
            place: at_line(host.line),
            key: host.alias.to_string(),
            kind: WarningKind::MulticastName,
            text: format!(
                "{name} is a name of multicast DNS, which this server does not ask: it is found \
                 only if /etc/hosts or DNS has it; write the address instead"
            ),
        })
    });
    hosts.collect()
}

fn at_line(line: usize) -> Place {
    Place::at(FILES[0], Mark { line, column: 0 })
}

fn unknown_hosts(snapshot: &Snapshot) -> Vec<Warning> {
    let path = snapshot.known_hosts();
    let file = snapshot.dirs().known_hosts_file(path);
    let text = match snapshot.dirs().read_known_hosts(path) {
        Ok(mut content) => std::mem::take(&mut *content.bytes),
        Err(error) => {
            let shown = file.display();
            let text = match error {
                FileError::Missing => format!("{shown} isn't there, so every host is refused"),
                other => format!("{shown}: {other}, so every host is refused"),
            };
            return vec![Warning {
                place: Place::file("known_hosts"),
                key: String::new(),
                kind: WarningKind::UnknownHostKey,
                text: format!("{text}; `trust ALIAS` fetches and shows a host's key"),
            }];
        }
    };
    let unknown = ssh::unknown(text, snapshot.hosts());
    unknown
        .into_iter()
        .map(|host| Warning {
            place: Place::at(
                FILES[0],
                Mark {
                    line: host.line,
                    column: 0,
                },
            ),
            key: host.alias.to_string(),
            kind: WarningKind::UnknownHostKey,
            text: format!(
                "known_hosts has no key for it, so it is refused; `trust {}` fetches and shows it",
                host.alias
            ),
        })
        .collect()
}
