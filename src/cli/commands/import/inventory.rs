//! An inventory of Ansible → hosts: groups become tags.
//!
//! Owns the variables that say where a host is and who logs in; `ini` and `yaml` read the two
//! forms. Passwords are never taken over. Called by `import`.

use std::path::Path;

use crate::cli::commands::import::fleet::{Fleet, Found, Login, Me, is_alias, text_of};
use crate::cli::commands::import::groups::{Inventory, Variables};
use crate::cli::commands::import::{ini, jumps, yaml};
use crate::model::names::Tag;

/// # Errors
/// The file cannot be read or is no inventory.
pub(crate) fn read(file: &Path, me: &Me) -> Result<Fleet, String> {
    let text = text_of(file)?;
    let named_yaml = file
        .extension()
        .is_some_and(|end| end == "yml" || end == "yaml");
    let inventory = match named_yaml {
        true => yaml::read(&text),
        false => ini::read(&text),
    };
    let inventory = inventory.map_err(|problem| format!("{}: {problem}", file.display()))?;
    Ok(fleet(&inventory, &me.user))
}

fn fleet(inventory: &Inventory, user: &str) -> Fleet {
    let mut fleet = Fleet::default();
    for (name, own) in &inventory.hosts {
        let groups = inventory.groups_of(name);
        let variables = inventory.variables(&groups, own);
        if let Some(connection) = variables.get("ansible_connection")
            && !matches!(connection.as_str(), "ssh" | "smart" | "paramiko")
        {
            fleet.note(format!(
                "{name} is left out: its ansible_connection is {connection:?}"
            ));
            continue;
        }
        if !is_alias(name) {
            fleet.note(format!(
                "{name:?} is left out: an alias has 1 to 100 of A-Z a-z 0-9 . _ -"
            ));
            continue;
        }
        let found = host(name, &groups, &variables, user, &mut fleet);
        fleet.hosts.push(found);
    }
    let plain = |name: &str| Found {
        alias: name.to_owned(),
        host: name.to_owned(),
        login: Login {
            user: user.to_owned(),
            ..Login::default()
        },
        ..Found::default()
    };
    jumps::resolve(&mut fleet, &plain);
    fleet
}

fn host(
    name: &str,
    groups: &[&str],
    variables: &Variables,
    user: &str,
    fleet: &mut Fleet,
) -> Found {
    let of = |names: &[&str]| names.iter().find_map(|name| variables.get(*name)).cloned();
    let mut jump = None;
    let mut certificate = None;
    for key in [
        "ansible_ssh_common_args",
        "ansible_ssh_extra_args",
        "ansible_ssh_args",
    ] {
        if let Some(arguments) = variables.get(key) {
            let words: Vec<&str> = arguments.split_whitespace().map(unquoted).collect();
            jump = jump.or_else(|| option(&words, "ProxyJump", Some("-J")));
            certificate = certificate.or_else(|| option(&words, "CertificateFile", None));
            if jump.is_none() {
                fleet.note(format!(
                    "{key} {arguments:?} of {name}: only ProxyJump and -J are taken over"
                ));
            }
        }
    }
    let secret = [
        "ansible_password",
        "ansible_ssh_pass",
        "ansible_ssh_password",
    ];
    let password = secret.iter().any(|name| variables.contains_key(*name));
    if password {
        fleet.note(format!(
            "the password of {name} is not printed: put it into the secrets directory"
        ));
    }
    if variables
        .keys()
        .any(|name| name.starts_with("ansible_become"))
    {
        fleet.note(
            "ansible_become: who may use sudo is said by rules (sudo: true), not by hosts"
                .to_owned(),
        );
    }
    let port = of(&["ansible_port", "ansible_ssh_port"]);
    let number = port.as_ref().map(|port| port.parse::<u16>());
    if let (Some(port), Some(Err(_))) = (&port, &number) {
        fleet.note(format!("{name}: {port:?} is no port, and is left out"));
    }
    Found {
        alias: name.to_owned(),
        also: Vec::new(),
        host: of(&["ansible_host", "ansible_ssh_host"]).unwrap_or_else(|| name.to_owned()),
        port: number.and_then(Result::ok),
        login: Login {
            user: of(&["ansible_user", "ansible_ssh_user"]).unwrap_or_else(|| user.to_owned()),
            key: of(&["ansible_ssh_private_key_file", "ansible_private_key_file"]),
            certificate,
            password,
        },
        tags: tags(groups, fleet),
        jump,
    }
}

/// The groups whose names can be tags.
fn tags(groups: &[&str], fleet: &mut Fleet) -> Vec<String> {
    let mut tags = Vec::new();
    for group in groups
        .iter()
        .filter(|group| !matches!(**group, "all" | "ungrouped"))
    {
        match Tag::parse(group) {
            Ok(_) => tags.push((*group).to_owned()),
            Err(_) => fleet.note(format!(
                "the group {group:?} is left out: a tag has 1 to 50 of A-Z a-z 0-9 . _ -"
            )),
        }
    }
    tags
}

/// The value of an option of ssh(1), as `-o NAME=VALUE` or by its letter.
fn option(words: &[&str], name: &str, letter: Option<&str>) -> Option<String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if letter.is_some_and(|letter| letter == *word) {
            return words.next().map(|value| (*value).to_owned());
        }
        let setting = match word.strip_prefix("-o") {
            Some("") => words.next().copied().unwrap_or_default(),
            Some(glued) => glued,
            None => continue,
        };
        if let Some((key, value)) = unquoted(setting).split_once('=')
            && key.eq_ignore_ascii_case(name)
        {
            return Some(value.to_owned());
        }
    }
    None
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_ssh() {
        let words = ["-C", "-o", "ProxyJump=me@b:22", "-oX=y"];
        assert_eq!(
            option(&words, "ProxyJump", Some("-J")).as_deref(),
            Some("me@b:22")
        );
        assert_eq!(
            option(&["-J", "b"], "ProxyJump", Some("-J")).as_deref(),
            Some("b")
        );
        assert_eq!(option(&["-J"], "ProxyJump", Some("-J")), None);
    }
}
