//! `servers.yml` → hosts in the file's order, each with its credentials.
//!
//! Owns what refers to another part of the configuration: credentials that exist, jump
//! hosts that exist and lead somewhere; groups are beside it. Called by `load`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::config::host::{Credential, Group, Host, HostAddress, JUMPS_MAX, Resolve};
use crate::config::read::credentials::Credentials;
use crate::config::read::groups::{self, Names};
use crate::config::schema::findings::Findings;
use crate::config::schema::keys::SERVERS;
use crate::config::schema::problem::{Fault, Mark, WarningKind, quote};
use crate::config::schema::section::{Section, Text};
use crate::config::yaml::scalar::Meaning;
use crate::config::yaml::tree::{Node, Value};
use crate::model::names::{HostAlias, InputError, Port, Tag};
use crate::policy::{Quotes, ShellMode};

const DESCRIPTION_MAX: usize = 1_000;

/// The hosts that could be read, where each alias stands, and the groups.
pub(crate) struct Servers {
    pub(crate) hosts: Vec<Host>,
    pub(crate) groups: Vec<Group>,
    pub(crate) places: BTreeMap<HostAlias, Mark>,
}

/// Without `credentials` no reference to them is judged: that file has its own problem.
pub(crate) fn read(
    root: &Node<'_>,
    findings: &mut Findings,
    credentials: Option<&Credentials>,
) -> Servers {
    let mut servers = Servers {
        hosts: Vec::new(),
        groups: Vec::new(),
        places: BTreeMap::new(),
    };
    let Some(file) = findings.document_section(root, &SERVERS) else {
        return servers;
    };
    let mut jumps = Vec::new();
    // Of hosts that could not be read too: a group that names them is not wrong for that.
    let mut names = BTreeSet::new();
    let mut whole = true;
    let entries = findings.subsections(&file, "hosts");
    if entries.as_ref().is_some_and(Vec::is_empty) {
        findings.warning(
            file.place("hosts"),
            "hosts",
            WarningKind::NoEffect,
            "there is no host, so nothing can run",
        );
    }
    for entry in entries.unwrap_or_default() {
        let alias = alias(&entry, findings, &mut servers.places);
        if let Some(jump) = findings.text(&entry, "jump") {
            jumps.push((alias.clone(), jump, entry.key("jump")));
        }
        let tags = tags(&entry, findings);
        for tag in &tags {
            if !names.contains(tag) {
                names.insert(tag.clone());
            }
        }
        match host(&entry, alias, tags, findings, credentials) {
            Some(host) => servers.hosts.push(host),
            None => whole = false,
        }
    }
    let next = known_jumps(jumps, findings, &servers.places);
    check_chains(&next, findings);
    for host in &mut servers.hosts {
        host.jump = next.get(&host.alias).map(|(jump, ..)| jump.clone());
    }
    let names = Names {
        tags: names.iter().map(Tag::as_str).collect(),
        aliases: servers.places.keys().map(HostAlias::as_str).collect(),
    };
    let hosts = whole.then_some(servers.hosts.as_slice());
    servers.groups = groups::read(&file, findings, hosts, &names);
    servers
}

fn alias(
    entry: &Section<'_>,
    findings: &mut Findings,
    places: &mut BTreeMap<HostAlias, Mark>,
) -> Option<HostAlias> {
    let text = findings.text(entry, "alias")?;
    let alias = match HostAlias::parse(text.value) {
        Ok(alias) => alias,
        Err(error) => {
            bad(findings, entry, "alias", text, &error);
            return None;
        }
    };
    match places.entry(alias.clone()) {
        Entry::Vacant(place) => {
            place.insert(text.at);
            Some(alias)
        }
        Entry::Occupied(first) => {
            let found = format!(
                "found the alias {} a second time (first at line {})",
                quote(text.value),
                first.get().line
            );
            findings.problem(
                text.at,
                entry.key("alias"),
                Fault::Duplicate,
                found,
                "each alias once",
            );
            None
        }
    }
}

fn host(
    entry: &Section<'_>,
    alias: Option<HostAlias>,
    tags: Vec<Tag>,
    findings: &mut Findings,
    credentials: Option<&Credentials>,
) -> Option<Host> {
    let address = address(entry, findings);
    let port = findings.number(entry, "port").map(port);
    let login = login(entry, findings, credentials);
    let description = findings.text(entry, "description");
    if let Some(text) = description.filter(|text| text.value.chars().count() > DESCRIPTION_MAX) {
        findings.problem(
            text.at,
            entry.key("description"),
            Fault::BadValue,
            format!("found {} characters", text.value.chars().count()),
            format!("a text of at most {DESCRIPTION_MAX} characters"),
        );
    }
    let shell = shell(entry, findings);
    let resolve = match findings.one_of(entry, "resolve") {
        Some("static") => Resolve::Static,
        _ => Resolve::Dns,
    };
    if let (Resolve::Static, Some(HostAddress::Name(_))) = (resolve, &address) {
        findings.problem(
            entry.place("host"),
            entry.key("host"),
            Fault::BadValue,
            "found a name, but resolve: static looks no name up",
            "an IPv4 or IPv6 address, or resolve: dns",
        );
    }
    let legacy = findings.boolean(entry, "legacy_algorithms");
    Some(Host {
        alias: alias?,
        line: entry.at.line,
        address: address?,
        port: port.unwrap_or(Some(Port::SSH))?,
        login: login?,
        tags,
        description: description.map_or_else(String::new, |text| text.value.to_owned()),
        extra: entry
            .extras()
            .map(|(key, node)| (key.to_owned(), json(node)))
            .collect::<Map<String, Json>>(),
        shell,
        resolve,
        legacy_algorithms: legacy.is_some_and(|(legacy, _)| legacy),
        jump: None,
    })
}

fn shell(entry: &Section<'_>, findings: &mut Findings) -> ShellMode {
    let mode = findings.one_of(entry, "shell");
    let quotes = findings.one_of(entry, "quotes");
    if quotes.is_some() && mode != Some("direct") {
        findings.problem(
            entry.place("quotes"),
            entry.key("quotes"),
            Fault::BadValue,
            "found quotes on a host that has a shell",
            "quotes beside shell: direct",
        );
    }
    match mode {
        Some("direct") => ShellMode::Direct(match quotes {
            Some("single") => Quotes::Single,
            Some("double") => Quotes::Double,
            _ => Quotes::None,
        }),
        Some("login") => ShellMode::Login,
        _ => ShellMode::Sh,
    }
}

fn port(number: u64) -> Option<Port> {
    u16::try_from(number).ok().and_then(Port::new)
}

fn address(entry: &Section<'_>, findings: &mut Findings) -> Option<HostAddress> {
    let text = findings.text(entry, "host")?;
    HostAddress::parse(text.value)
        .map_err(|why| {
            findings.problem(
                text.at,
                entry.key("host"),
                Fault::BadValue,
                format!("found {}: {why}", quote(text.value)),
                "an IPv4 or IPv6 address, or a DNS name of at most 253 characters",
            );
        })
        .ok()
}

fn login(
    entry: &Section<'_>,
    findings: &mut Findings,
    credentials: Option<&Credentials>,
) -> Option<Arc<Credential>> {
    let text = findings.text(entry, "credentials")?;
    let credentials = credentials?;
    if !credentials.names.contains_key(text.value) {
        findings.no_such_name(
            text,
            entry.key("credentials"),
            credentials.names.keys().map(String::as_str),
            "the `name` of an entry of credentials.yml",
        );
    }
    credentials.by_name.get(text.value).cloned()
}

fn tags(entry: &Section<'_>, findings: &mut Findings) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    for (index, text) in findings
        .texts(entry, "tags")
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let key = || format!("tags[{index}]");
        match Tag::parse(text.value) {
            Ok(tag) if tags.contains(&tag) => findings.warning(
                text.at,
                entry.key(&key()),
                WarningKind::NoEffect,
                "the tag is there twice",
            ),
            Ok(tag) => tags.push(tag),
            Err(error) => bad(findings, entry, &key(), text, &error),
        }
    }
    tags
}

/// A name that isn't one: the bound is the error's own.
fn bad(
    findings: &mut Findings,
    entry: &Section<'_>,
    key: &str,
    text: Text<'_>,
    error: &InputError,
) {
    let accepted = match error {
        InputError::TooLong { max, .. } => format!("at most {max} characters"),
        InputError::InvalidCharacters { accepted, .. } => (*accepted).to_owned(),
        other => other.to_string(),
    };
    let found = format!("found {}", quote(text.value));
    findings.problem(text.at, entry.key(key), Fault::BadValue, found, accepted);
}

type Jumps = BTreeMap<HostAlias, (HostAlias, Mark, String)>;

/// The jump hosts that exist.
fn known_jumps(
    jumps: Vec<(Option<HostAlias>, Text<'_>, String)>,
    findings: &mut Findings,
    places: &BTreeMap<HostAlias, Mark>,
) -> Jumps {
    let mut next = Jumps::new();
    for (alias, text, key) in jumps {
        match HostAlias::parse(text.value) {
            Ok(jump) if places.contains_key(&jump) => {
                if let Some(alias) = alias {
                    next.insert(alias, (jump, text.at, key));
                }
            }
            _ => findings.no_such_name(
                text,
                key,
                places.keys().map(HostAlias::as_str),
                "the alias of another host",
            ),
        }
    }
    next
}

/// Every chain ends, after at most [`JUMPS_MAX`] jumps.
fn check_chains(next: &Jumps, findings: &mut Findings) {
    for (start, (_, at, key)) in next {
        let chain: Vec<&HostAlias> =
            std::iter::successors(Some(start), |alias| next.get(*alias).map(|(jump, ..)| jump))
                .take(JUMPS_MAX + 2)
                .collect();
        if chain.len() <= JUMPS_MAX + 1 {
            continue;
        }
        let shown: Vec<&str> = chain.iter().map(|alias| alias.as_str()).collect();
        findings.problem(
            *at,
            key.clone(),
            Fault::BadValue,
            format!("found the chain {} …", shown.join(" → ")),
            format!("a chain of at most {JUMPS_MAX} jumps, without a loop"),
        );
    }
}

/// A node as JSON, with YAML 1.1's scalars; numbers that JSON doesn't have stay texts.
fn json(node: &Node<'_>) -> Json {
    match &node.value {
        Value::List(items) => Json::Array(items.iter().map(|item| json(item)).collect()),
        Value::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|entry| (entry.key.to_string(), json(&entry.value)))
                .collect(),
        ),
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Json::Null,
            Meaning::Boolean(value) => Json::Bool(value),
            Meaning::Text(text) => Json::String(text.to_owned()),
            Meaning::Number(text) => match serde_json::from_str(text) {
                Ok(Json::Number(number)) => Json::Number(number),
                _ => Json::String(text.to_owned()),
            },
        },
    }
}
