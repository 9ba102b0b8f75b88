//! `groups:` of `servers.yml`: names for hosts that are chosen by an expression.
//!
//! Owns what the names in an expression stand for (a group, a tag, an alias, in that order of
//! looking, never two of them), that groups lead to no circle, and that no group is called
//! like a tag, an alias or a word of the grammar. A group chooses hosts and grants nothing:
//! rules go by the tags that a host's own entry has. Called by `servers`.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::host::{Group, Host};
use crate::config::schema::findings::Findings;
use crate::config::schema::problem::{Fault, WarningKind, nearest, quote};
use crate::config::schema::section::{Section, Text};
use crate::model::expression::{Expression, RESERVED};
use crate::model::names::Tag;

/// Stands for every host.
const ALL: &str = "all";
/// What a word is called that would otherwise be two things.
const TAG: &str = "tag:";
const ALIAS: &str = "alias:";

const NAME: &str = "1 to 50 of A-Z a-z 0-9 . _ -, and the name of no tag, no host and no other group; not all, and, or, not";
const KNOWN: &str = "names of tags, hosts and groups; tag:NAME and alias:NAME where both exist";

/// One entry whose name and expression could be read.
struct Entry<'n> {
    name: Tag,
    of: Expression,
    text: Text<'n>,
    key: String,
}

/// The groups; `hosts` only if all of them could be read, `names` are what is written.
pub(crate) fn read(
    file: &Section<'_>,
    findings: &mut Findings,
    hosts: Option<&[Host]>,
    names: &Names<'_>,
) -> Vec<Group> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for section in findings.subsections(file, "groups").unwrap_or_default() {
        let name = name(&section, findings, names, &entries);
        let expression = expression(&section, findings);
        if let (Some(name), Some((of, text))) = (name, expression) {
            entries.push(Entry {
                name,
                of,
                text,
                key: section.key("of"),
            });
        }
    }
    let before = findings.count();
    check_names(&entries, names, findings);
    if findings.count() > before {
        return Vec::new();
    }
    check_circles(&entries, findings);
    if findings.count() > before {
        return Vec::new();
    }
    match hosts {
        Some(hosts) => chosen(&entries, hosts, findings),
        None => Vec::new(),
    }
}

/// What the hosts are called.
pub(crate) struct Names<'a> {
    pub(crate) tags: BTreeSet<&'a str>,
    pub(crate) aliases: BTreeSet<&'a str>,
}

fn name(
    section: &Section<'_>,
    findings: &mut Findings,
    names: &Names<'_>,
    entries: &[Entry<'_>],
) -> Option<Tag> {
    let text = findings.text(section, "name")?;
    let said = quote(text.value);
    let known = entries.iter().any(|one| one.name.as_str() == text.value);
    let (fault, found) = match Tag::parse(text.value) {
        Err(_) => (Fault::BadValue, format!("found {said}")),
        Ok(_) if text.value == ALL || RESERVED.contains(&text.value) => (
            Fault::BadValue,
            format!("found {said}, which means something else in expressions"),
        ),
        Ok(_) if names.tags.contains(text.value) => (
            Fault::Duplicate,
            format!("found {said}, which is a tag of a host"),
        ),
        Ok(_) if names.aliases.contains(text.value) => (
            Fault::Duplicate,
            format!("found {said}, which is the alias of a host"),
        ),
        Ok(_) if known => (Fault::Duplicate, format!("found {said} a second time")),
        Ok(name) => return Some(name),
    };
    findings.problem(text.at, section.key("name"), fault, found, NAME);
    None
}

fn expression<'n>(
    section: &Section<'n>,
    findings: &mut Findings,
) -> Option<(Expression, Text<'n>)> {
    let text = findings.text(section, "of")?;
    match Expression::parse(text.value) {
        Ok(expression) => Some((expression, text)),
        Err(error) => {
            findings.problem(
                text.at,
                section.key("of"),
                Fault::BadValue,
                format!("found {}: {error}", quote(text.value)),
                "such as web and not (canary or db1)",
            );
            None
        }
    }
}

/// Every name stands for one thing.
fn check_names(entries: &[Entry<'_>], names: &Names<'_>, findings: &mut Findings) {
    let groups: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    for entry in entries {
        let at = entry.text.at;
        for name in entry.of.names() {
            let (tag, alias) = (names.tags.contains(name), names.aliases.contains(name));
            let explicit = match (name.strip_prefix(TAG), name.strip_prefix(ALIAS)) {
                (Some(tag), _) => Some(names.tags.contains(tag)),
                (_, Some(alias)) => Some(names.aliases.contains(alias)),
                (None, None) => None,
            };
            if tag && alias {
                let found = format!(
                    "found {}, which is both a tag and a host's alias",
                    quote(name)
                );
                let accepted = format!("{TAG}{name} or {ALIAS}{name}");
                findings.problem(at, entry.key.clone(), Fault::BadValue, found, accepted);
            } else if !(tag
                || alias
                || name == ALL
                || groups.contains(name)
                || explicit == Some(true))
            {
                let all = groups.iter().chain(&names.tags).chain(&names.aliases);
                findings.near(
                    at,
                    entry.key.clone(),
                    Fault::NoSuchName,
                    format!("found {}, which nothing is called", quote(name)),
                    KNOWN,
                    || nearest(name, all.copied()).map(str::to_owned),
                );
            }
        }
    }
}

/// No group is a part of itself.
fn check_circles(entries: &[Entry<'_>], findings: &mut Findings) {
    let parts: BTreeMap<&str, Vec<&str>> = entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.of.names()))
        .collect();
    for entry in entries {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = entry.of.names();
        while let Some(name) = next.pop() {
            if seen.insert(name) {
                next.extend(parts.get(name).into_iter().flatten());
            }
        }
        if seen.contains(entry.name.as_str()) {
            findings.problem(
                entry.text.at,
                entry.key.clone(),
                Fault::BadValue,
                format!(
                    "found a circle: the group {} is a part of itself",
                    entry.name
                ),
                "groups that do not lead back to themselves",
            );
        }
    }
}

/// The hosts of each, once every name is known and there is no circle.
fn chosen(entries: &[Entry<'_>], hosts: &[Host], findings: &mut Findings) -> Vec<Group> {
    let mut known: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    // Each round settles those whose groups are settled: as many rounds as there are groups.
    for _ in entries {
        for entry in entries {
            if known.contains_key(entry.name.as_str()) {
                continue;
            }
            let mut of = |name: &str| -> Result<BTreeSet<usize>, ()> {
                match known.get(name) {
                    Some(places) => Ok(places.clone()),
                    None if entries.iter().any(|other| other.name.as_str() == name) => Err(()),
                    None => Ok(places(name, hosts)),
                }
            };
            if let Ok(places) = entry.of.choose(hosts.len(), &mut of) {
                known.insert(entry.name.as_str(), places);
            }
        }
        if known.len() == entries.len() {
            break;
        }
    }
    let mut groups = Vec::with_capacity(entries.len());
    for entry in entries {
        let places = known.remove(entry.name.as_str()).unwrap_or_default();
        if places.is_empty() {
            findings.warning(
                entry.text.at,
                entry.key.clone(),
                WarningKind::NoEffect,
                format!("no host is in the group {}", entry.name),
            );
        }
        groups.push(Group {
            name: entry.name.clone(),
            places,
        });
    }
    groups
}

fn places(name: &str, hosts: &[Host]) -> BTreeSet<usize> {
    let is = |host: &Host| match (name.strip_prefix(TAG), name.strip_prefix(ALIAS)) {
        (Some(tag), _) => host.tags.iter().any(|own| own.as_str() == tag),
        (_, Some(alias)) => host.alias.as_str() == alias,
        (None, None) => {
            host.alias.as_str() == name || host.tags.iter().any(|own| own.as_str() == name)
        }
    };
    let mut places: BTreeSet<usize> = (hosts.iter().enumerate())
        .filter(|(_, host)| is(host))
        .map(|(at, _)| at)
        .collect();
    if places.is_empty() && name == ALL {
        places.extend(0..hosts.len());
    }
    places
}
