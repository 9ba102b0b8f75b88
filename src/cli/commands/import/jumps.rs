//! `ProxyJump` → the alias of the host before: one that is imported, or one made for it.
//!
//! Owns the forms `[user@]host[:port]`, several of them with commas, `none`, and the
//! `ProxyCommand` that was written before there was a `ProxyJump`. Called by `ssh_config` and by
//! the inventories.

use crate::cli::commands::import::fleet::{Fleet, Found, is_alias};

/// Longest chain of hosts, as in `servers.yml`.
const CHAIN_MAX: usize = 3;

/// One host of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hop {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// Puts aliases in the place of what was written. `evaluate` says what is known of a name.
pub(crate) fn resolve(fleet: &mut Fleet, evaluate: &dyn Fn(&str) -> Found) {
    let written: Vec<(usize, String)> = fleet
        .hosts
        .iter()
        .enumerate()
        .filter_map(|(index, host)| Some((index, host.jump.clone()?)))
        .collect();
    for (index, text) in written {
        let jump = match text.eq_ignore_ascii_case("none") {
            true => None,
            false => of_chain(fleet, index, &text, evaluate),
        };
        if let Some(host) = fleet.hosts.get_mut(index) {
            host.jump = jump;
        }
    }
}

/// The alias of the last host of a chain, which reaches the one at `index`.
fn of_chain(
    fleet: &mut Fleet,
    index: usize,
    text: &str,
    evaluate: &dyn Fn(&str) -> Found,
) -> Option<String> {
    let own = fleet.hosts.get(index)?.alias.clone();
    let hops: Option<Vec<Hop>> = text.split(',').map(|hop| Hop::parse(hop.trim())).collect();
    let Some(hops) = hops.filter(|hops| hops.len() <= CHAIN_MAX) else {
        fleet.note(format!(
            "{own}: `ProxyJump {text}` is left out: at most {CHAIN_MAX} of [user@]host[:port]"
        ));
        return None;
    };
    let mut before: Option<String> = None;
    for (place, hop) in hops.into_iter().enumerate() {
        // Spelled as an alias, it is that host, if that one is reached the same way.
        let known = fleet.hosts.iter().find(|host| host.alias == hop.host);
        if let Some(known) = known.filter(|known| place == 0 || known.jump == before)
            && hop.user.is_none()
            && hop.port.is_none()
        {
            before = Some(known.alias.clone());
            continue;
        }
        let mut host = evaluate(&hop.host);
        host.login.user = hop.user.clone().unwrap_or(host.login.user);
        host.port = hop.port.or(host.port);
        // Only the first host of a chain is reached as its own entry says.
        if place > 0 {
            host.jump.clone_from(&before);
        }
        before = Some(alias_of(fleet, host)?);
    }
    match before {
        Some(before) if before == own => {
            fleet.note(format!("{own}: its jump is itself, and is left out"));
            None
        }
        before => before,
    }
}

/// The alias of a host that is like this one; it is added if there is none.
fn alias_of(fleet: &mut Fleet, wanted: Found) -> Option<String> {
    let like = |host: &&Found| {
        (&host.host, host.port.unwrap_or(22), &host.login)
            == (&wanted.host, wanted.port.unwrap_or(22), &wanted.login)
            && host.jump == wanted.jump
    };
    if let Some(known) = fleet.hosts.iter().find(like) {
        return Some(known.alias.clone());
    }
    let named = fleet.hosts.iter().find(|host| host.alias == wanted.alias);
    let same_login = |host: &Found| host.login == wanted.login && host.port == wanted.port;
    if let Some(known) = named.filter(|host| same_login(host)) {
        return Some(known.alias.clone());
    }
    let taken = |alias: &str| fleet.hosts.iter().any(|host| host.alias == alias);
    let base: String = match taken(&wanted.alias) || !is_alias(&wanted.alias) {
        false => wanted.alias.clone(),
        true => format!("jump-{}", wanted.alias)
            .chars()
            .filter(|c| is_alias(&c.to_string()))
            .collect(),
    };
    let alias = match taken(&base) {
        false => base,
        true => (2..)
            .map(|number| format!("{base}-{number}"))
            .find(|alias| !taken(alias))?,
    };
    fleet.note(format!("{alias} was added: others are reached through it"));
    fleet.hosts.push(Found {
        alias: alias.clone(),
        jump: wanted
            .jump
            .filter(|jump| !jump.eq_ignore_ascii_case("none")),
        ..wanted
    });
    Some(alias)
}

impl Hop {
    /// `[user@]host[:port]`, `ssh://…` of the same, IPv6 in brackets.
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, after)) => (host, Some(after.strip_prefix(':')?)),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
            None => None,
        };
        (!host.is_empty()).then(|| Self {
            user,
            host: host.to_owned(),
            port,
        })
    }
}

/// The host of `ssh [-q] -W %h:%p HOST` and of `ssh HOST nc %h %p`.
pub(crate) fn of_proxy_command(arguments: &[String]) -> Option<String> {
    let words: Vec<&str> = arguments
        .iter()
        .flat_map(|argument| argument.split_whitespace())
        .filter(|word| !matches!(*word, "-q" | "-T" | "-x" | "exec"))
        .collect();
    let (program, rest) = words.split_first()?;
    if !matches!(*program, "ssh" | "/usr/bin/ssh") {
        return None;
    }
    let plain =
        |host: &str| (!host.starts_with('-') && !host.contains('%')).then(|| host.to_owned());
    match rest {
        ["-W", "%h:%p" | "[%h]:%p", host] | [host, "-W", "%h:%p" | "[%h]:%p"] => plain(host),
        [host, "nc" | "/bin/nc" | "netcat", "%h", "%p"] => plain(host),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_hop() {
        let hop = |user: Option<&str>, host: &str, port| {
            Some(Hop {
                user: user.map(str::to_owned),
                host: host.to_owned(),
                port,
            })
        };
        assert_eq!(Hop::parse("bastion"), hop(None, "bastion", None));
        assert_eq!(Hop::parse("me@b:2222"), hop(Some("me"), "b", Some(2222)));
        assert_eq!(Hop::parse("ssh://b:22"), hop(None, "b", Some(22)));
        assert_eq!(Hop::parse("[::1]:22"), hop(None, "::1", Some(22)));
        for wrong in ["", "b:0", "b:x", "me@"] {
            assert_eq!(Hop::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn proxy_commands_that_are_jumps() {
        for (command, host) in [
            ("ssh -W %h:%p bastion", Some("bastion")),
            ("ssh -q bastion -W %h:%p", Some("bastion")),
            ("ssh bastion nc %h %p", Some("bastion")),
            ("nc -X 5 -x p:1080 %h %p", None),
            ("ssh -W %h:%p -oX=y", None),
        ] {
            let words = [command.to_owned()];
            assert_eq!(of_proxy_command(&words).as_deref(), host, "{command}");
        }
    }
}
