//! What there is: whether the server answers, which hosts it knows, one of them.
//!
//! Owns `ssh_ping`, `ssh_list_hosts` and `ssh_describe_host`. Contacts nothing. Called by
//! [`crate::mcp::tools::serve`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::config::{Host, Resolve, Snapshot};
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::ranges::ranges_within;
use crate::mcp::tools::input::arguments::Args;
use crate::mcp::tools::input::selection::by_expression;
use crate::mcp::tools::unknown_host;
use crate::mcp::wire::json::Object;
use crate::policy::{Quotes, ShellMode};

/// Characters of all aliases in one answer, and of the text about them.
const NAMES: usize = 100_000;
const TEXT: usize = 16_000;
/// Most tags, and most descriptions, that are listed with their hosts.
const KEYS: usize = 100;

/// `ssh_ping`.
pub(crate) fn ping(call: &Call) -> Answer {
    match Args::of(call) {
        Ok(_) => Answer::of(Object::new().field("status", "pong")),
        Err(answer) => answer,
    }
}

/// `ssh_list_hosts`: which there are, and what they are for.
pub(crate) fn list_hosts(call: &Call) -> Answer {
    let snapshot = call.session.server.store.current();
    match chosen(call, &snapshot) {
        Ok(hosts) => list(&hosts, &snapshot),
        Err(answer) => answer,
    }
}

/// The hosts that the call asks for, in the order of the file.
fn chosen<'a>(call: &Call, snapshot: &'a Snapshot) -> Result<Vec<&'a Host>, Answer> {
    let args = Args::of(call)?;
    let text = args.text("text")?.to_lowercase();
    let aliases = match args.text("tag")? {
        "" => None,
        words => Some(by_expression(&args, snapshot, words)?),
    };
    let has_tag = |host: &Host| match &aliases {
        Some(aliases) => aliases.contains(&host.alias),
        None => true,
    };
    let has_text = |host: &Host| {
        let alias = host.alias.as_str().to_lowercase();
        alias.contains(&text) || host.description.to_lowercase().contains(&text)
    };
    let hosts = snapshot.hosts().iter();
    Ok(hosts
        .filter(|host| has_tag(host) && has_text(host))
        .collect())
}

/// Hosts with the same tags and description are told of in one line.
fn list(hosts: &[&Host], snapshot: &Snapshot) -> Answer {
    let mut room = NAMES;
    let fits = |host: &&&Host| match room.checked_sub(host.alias.as_str().len() + 3) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let fitting = hosts.iter().take_while(fits).count();
    let omitted = hosts.len() - fitting;
    let shown = hosts.iter().take(fitting);
    let aliases: Vec<&str> = shown.map(|host| host.alias.as_str()).collect();
    let hosts = hosts.get(..fitting).unwrap_or_default();
    let mut tags: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut descriptions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for host in hosts {
        let alias = host.alias.as_str();
        for tag in &host.tags {
            tags.entry(tag.as_str()).or_default().push(alias);
        }
        if !host.description.is_empty() {
            descriptions
                .entry(&host.description)
                .or_default()
                .push(alias);
        }
        let about = about(host);
        let at = *known.entry(about.clone()).or_insert(lines.len());
        match lines.get_mut(at) {
            Some((_, names)) => names.push(alias),
            None => lines.push((about, vec![alias])),
        }
    }
    let groups = groups(hosts, snapshot);
    let mut lines: Vec<String> = lines
        .into_iter()
        .map(|(about, names)| format!("{}{about}", ranges_within(&names, TEXT / 4).join(", ")))
        .collect();
    lines.extend(groups.iter().map(|(group, names)| {
        let names = ranges_within(names, TEXT / 16).join(", ");
        format!("group {group}: {names}")
    }));
    let mut room = TEXT;
    let fits = |line: &&String| match room.checked_sub(line.len() + 1) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let kept = lines.iter().take_while(fits).count();
    if kept < lines.len() {
        lines.truncate(kept);
        lines.push("[… more; ask with tag or text]".to_owned());
    }
    let short = |map: BTreeMap<&str, Vec<&str>>| -> BTreeMap<String, Vec<String>> {
        let map = map.into_iter();
        map.take(KEYS)
            .map(|(key, names)| (key.to_owned(), ranges_within(&names, TEXT / 16)))
            .collect()
    };
    let note = "More hosts than one answer holds: resources/list has all of them, in pages.";
    let (tags, groups) = (short(tags), short(groups));
    let descriptions = short(descriptions);
    let members = Object::new()
        .field("hosts", &aliases)
        .when(!tags.is_empty(), |answer| answer.field("tags", &tags))
        .when(!groups.is_empty(), |answer| answer.field("groups", &groups))
        .when(!descriptions.is_empty(), |answer| {
            answer.field("descriptions", &descriptions)
        })
        .when(omitted > 0, |answer| {
            answer.field("omitted", &omitted).field("note", note)
        });
    let count = match hosts.len() {
        1 => "1 host".to_owned(),
        count => format!("{count} hosts"),
    };
    let more = match omitted {
        0 => String::new(),
        _ => format!(" ({omitted} more; {note})"),
    };
    let text = format!("{count}{more}\n{}", lines.join("\n"));
    Answer::readable(text, members)
}

/// The groups that these hosts are in.
fn groups<'a>(hosts: &[&'a Host], snapshot: &'a Snapshot) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in snapshot.groups() {
        let members = group
            .places
            .iter()
            .filter_map(|at| snapshot.hosts().get(*at));
        let members: BTreeSet<&str> = members.map(|host| host.alias.as_str()).collect();
        let shown = hosts.iter().map(|host| host.alias.as_str());
        let shown: Vec<&str> = shown.filter(|alias| members.contains(alias)).collect();
        if !shown.is_empty() {
            groups.insert(group.name.as_str(), shown);
        }
    }
    groups
}

fn about(host: &Host) -> String {
    let tags: Vec<&str> = host.tags.iter().map(|tag| tag.as_str()).collect();
    let tags = match tags.is_empty() {
        true => String::new(),
        false => format!(" [{}]", tags.join(", ")),
    };
    match host.description.is_empty() {
        true => tags,
        false => format!("{tags} {}", host.description),
    }
}

/// `ssh_describe_host`.
pub(crate) fn describe_host(call: &Call) -> Answer {
    let alias = match Args::of(call).and_then(|args| args.alias()) {
        Ok(alias) => alias,
        Err(answer) => return answer,
    };
    let snapshot = call.session.server.store.current();
    match snapshot.host(&alias) {
        Some(host) => Answer::of(describe(host)),
        None => unknown_host("Error", &alias, &snapshot),
    }
}

/// The entry as `servers.yml` has it. Keys that are not there and change nothing stay out.
fn describe(host: &Host) -> Object {
    let tags: Vec<&str> = host.tags.iter().map(|tag| tag.as_str()).collect();
    let described = Object::new()
        .field("alias", host.alias.as_str())
        .field("host", &host.address.to_string())
        .field("port", &host.port.get())
        .field("credentials", &host.login.name)
        .field("tags", &tags)
        .field("description", &host.description)
        .when(host.shell == ShellMode::Login, |entry| {
            entry.field("shell", "login")
        })
        .when(matches!(host.shell, ShellMode::Direct(_)), |entry| {
            entry.field("shell", "direct")
        })
        .maybe(
            "quotes",
            match host.shell {
                ShellMode::Direct(Quotes::Single) => Some("single"),
                ShellMode::Direct(Quotes::Double) => Some("double"),
                ShellMode::Sh | ShellMode::Login | ShellMode::Direct(Quotes::None) => None,
            },
        )
        .when(host.resolve == Resolve::Static, |entry| {
            entry.field("resolve", "static")
        })
        .when(host.legacy_algorithms, |entry| {
            entry.field("legacy_algorithms", &true)
        })
        .maybe("jump", host.jump.as_ref().map(|jump| jump.as_str()));
    host.extra
        .iter()
        .fold(described, |entry, (key, value): (&String, &Value)| {
            entry.field(key, value)
        })
}
