//! Hosts and logins as the two files, ready to be looked over.
//!
//! Owns the YAML and the names of credentials: one for each login that differs. Called by
//! `import`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cli::commands::import::fleet::{Fleet, Found, Login};

pub(crate) fn servers(fleet: &Fleet) -> String {
    let names = names(fleet);
    let mut out = format!(
        "# {} hosts, imported. Look them over, then: mcp-ssh-orchestrator check\n\
         # Their credentials: the same command with --credentials. Their keys: trust ALIAS.\n\
         hosts:\n",
        fleet.hosts.len()
    );
    for found in &fleet.hosts {
        let _ = writeln!(out, "  - alias: {}", quoted(&found.alias));
        let _ = writeln!(out, "    host: {}", quoted(&found.host));
        if let Some(port) = found.port.filter(|port| *port != 22) {
            let _ = writeln!(out, "    port: {port}");
        }
        let name = names.get(&found.login).map_or("", String::as_str);
        let _ = writeln!(out, "    credentials: {}", quoted(name));
        if !found.tags.is_empty() {
            let _ = writeln!(out, "    tags: [{}]", list(&found.tags));
        }
        if let Some(jump) = &found.jump {
            let _ = writeln!(out, "    jump: {}", quoted(jump));
        }
        if !found.also.is_empty() {
            let _ = writeln!(out, "    x-also: [{}]", list(&found.also));
        }
    }
    out
}

pub(crate) fn credentials(fleet: &Fleet) -> String {
    let mut out =
        "# Imported. The keys go into the keys directory, under these names, mode 0400.\n\
                   entries:\n"
            .to_owned();
    for (login, name) in names(fleet) {
        let _ = writeln!(out, "  - name: {}", quoted(&name));
        let _ = writeln!(out, "    username: {}", quoted(&login.user));
        if let Some(key) = &login.key {
            let _ = writeln!(
                out,
                "    key_path: {}  # {}",
                quoted(base_name(key)),
                comment(key)
            );
        }
        if let (Some(certificate), Some(_)) = (&login.certificate, &login.key) {
            let _ = writeln!(out, "    cert_path: {}", quoted(base_name(certificate)));
        }
        if login.password {
            let _ = writeln!(out, "    password_secret: {}", quoted(&secret_name(&name)));
        }
        if login.key.is_none() && !login.password {
            out.push_str("    agent: true  # no key is named: those of the agent, as ssh does\n");
        }
    }
    out
}

/// A name for each login, in the order of the logins: the user's, with the key's where a
/// user has several.
fn names(fleet: &Fleet) -> BTreeMap<Login, String> {
    let mut logins: Vec<&Login> = fleet
        .hosts
        .iter()
        .map(|found: &Found| &found.login)
        .collect();
    logins.sort();
    logins.dedup();
    let mut names: BTreeMap<Login, String> = BTreeMap::new();
    for login in &logins {
        let same_user = logins
            .iter()
            .filter(|other| other.user == login.user)
            .count();
        let wanted = match (&login.key, same_user) {
            (Some(key), 2..) => format!("{}-{}", login.user, base_name(key)),
            _ => login.user.clone(),
        };
        let wanted: String = wanted
            .chars()
            .map(|c| match c.is_ascii_alphanumeric() || "._-".contains(c) {
                true => c,
                false => '_',
            })
            .take(90)
            .collect();
        let taken = |name: &str| names.values().any(|known| known == name);
        let name = match taken(&wanted) {
            false => wanted,
            true => (2..)
                .map(|number| format!("{wanted}-{number}"))
                .find(|name| !taken(name))
                .unwrap_or_default(),
        };
        names.insert((*login).clone(), name);
    }
    names
}

fn secret_name(name: &str) -> String {
    format!("{}_password", name.replace('.', "_"))
}

pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    quoted.join(", ")
}

/// What stands behind a `#`: on one line.
fn comment(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A scalar: plain where YAML takes it for a text whatever it is, else in quotes.
fn quoted(text: &str) -> String {
    const WORDS: [&str; 9] = ["yes", "no", "on", "off", "true", "false", "null", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    // An address of IPv4 is no number in YAML.
    let address = text.parse::<std::net::Ipv4Addr>().is_ok();
    match plain || address {
        true => text.to_owned(),
        false => serde_json::to_string(text).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        for (text, written) in [
            ("web1", "web1"),
            ("10.0.0.1", "10.0.0.1"),
            ("1e3", "\"1e3\""),
            ("No", "\"No\""),
            ("fe80::1", "\"fe80::1\""),
            ("a b", "\"a b\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(text), written);
        }
    }

    #[test]
    fn each_login_has_a_name_of_its_own() {
        let host = |user: &str, key: Option<&str>| Found {
            login: Login {
                user: user.to_owned(),
                key: key.map(str::to_owned),
                ..Login::default()
            },
            ..Found::default()
        };
        let fleet = Fleet {
            hosts: vec![
                host("ops", Some("~/.ssh/a")),
                host("ops", Some("/x/a")),
                host("ops", None),
                host("app", None),
            ],
            notes: Vec::new(),
        };
        let names: Vec<String> = names(&fleet).into_values().collect();
        assert_eq!(names, ["app", "ops", "ops-a", "ops-a-2"]);
    }
}
