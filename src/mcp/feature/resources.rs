//! What can be browsed: the hosts, each host, its tags, what the policy lets be done there.
//!
//! Owns the four resources and their addresses; the files of skills are read here too, from
//! `skills`. They show that credentials exist, never
//! which, and what the policy amounts to for a host, never its text. Called by `dispatch`,
//! and by `subscriptions` to tell what a reload changed.

use serde_json::Value;

use crate::audit::{Audit, Sandbox};
use crate::config::{Host, Snapshot};
use crate::mcp::call::answer::how_many_fit;
use crate::mcp::feature::cursor::Pager;
use crate::mcp::feature::skills;
use crate::mcp::protocol::handshake::STATIC_MS;
use crate::mcp::protocol::peer::Caller;
use crate::mcp::wire::json::{Json, Object, array};
use crate::mcp::wire::message::{Params, RpcError};
use crate::model::names::{CommandText, HostAlias};
use crate::policy::Verdict;

const HOSTS: &str = "ssh://hosts";
const MIME: &str = "application/json";

struct Template {
    uri: &'static str,
    name: &'static str,
    title: &'static str,
    description: &'static str,
}

static TEMPLATES: [Template; 3] = [
    Template {
        uri: "ssh://host/{alias}",
        name: "ssh_host",
        title: "Host Details",
        description: "One host: address, port, tags, description",
    },
    Template {
        uri: "ssh://host/{alias}/tags",
        name: "ssh_host_tags",
        title: "Host Tags",
        description: "The tags of one host",
    },
    Template {
        uri: "ssh://host/{alias}/capabilities",
        name: "ssh_host_capabilities",
        title: "Host Capability Summary",
        description: "Limits, network state and a few policy probes for one host",
    },
];

/// What a resource's address says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Hosts,
    Host(HostAlias),
    Tags(HostAlias),
    Capabilities(HostAlias),
}

impl Address {
    /// `None` for anything that cannot be an address of ours.
    pub(crate) fn parse(uri: &str) -> Option<Self> {
        if uri == HOSTS {
            return Some(Self::Hosts);
        }
        let rest = uri.strip_prefix("ssh://host/")?;
        let (alias, make): (&str, fn(HostAlias) -> Self) = match rest.split_once('/') {
            None => (rest, Self::Host),
            Some((alias, "tags")) => (alias, Self::Tags),
            Some((alias, "capabilities")) => (alias, Self::Capabilities),
            Some(_) => return None,
        };
        HostAlias::parse(alias).ok().map(make)
    }

    /// The resource's text, whole; `None` where there is no such host.
    pub(crate) fn content(&self, snapshot: &Snapshot) -> Option<Json> {
        match self {
            Self::Hosts => Some(hosts(snapshot, usize::MAX)),
            Self::Host(alias) => snapshot.host(alias).map(entry),
            Self::Tags(alias) => snapshot.host(alias).map(tags),
            Self::Capabilities(alias) => snapshot
                .host(alias)
                .map(|host| capabilities(snapshot, host)),
        }
    }
}

/// Whether this is the address of a template, or of the one resource that has none.
pub(crate) fn is_listed(uri: &str) -> bool {
    uri == HOSTS || TEMPLATES.iter().any(|template| template.uri == uri)
}

/// The aliases in the file's order: what the list of resources depends on.
pub(crate) fn aliases(snapshot: &Snapshot) -> Vec<&HostAlias> {
    snapshot.hosts().iter().map(|host| &host.alias).collect()
}

/// `resources/list`: all hosts as one, then each; then the skills, for clients of the
/// revision that has them (others have the prompts).
pub(crate) fn list(
    snapshot: &Snapshot,
    pager: &Pager,
    caller: &Caller,
    params: &Params,
) -> Result<Json, RpcError> {
    let hosts = snapshot.hosts().iter().map(Listed::Host);
    let skills = match caller.version.is_modern() {
        true => skills::all(),
        false => &[],
    };
    let all = std::iter::once(Listed::Hosts)
        .chain(hosts)
        .chain(skills.iter().map(Listed::Skill));
    // Only a page of entries is made.
    let (page, next) = pager.page("resources", params, all.collect())?;
    let structured = caller.version.has_structure();
    let entries: Vec<Json> = page
        .into_iter()
        .map(|listed| listed.entry(structured))
        .collect();
    let result = caller
        .result()
        .json("resources", &array(&entries))
        .maybe("nextCursor", next);
    Ok(caller.keep_for(0, result).end())
}

/// What the list of resources has an entry for.
enum Listed<'a> {
    Hosts,
    Host(&'a Host),
    Skill(&'static skills::Skill),
}

impl Listed<'_> {
    fn entry(&self, structured: bool) -> Json {
        let (uri, name, title, description, mime) = match self {
            Self::Hosts => (
                HOSTS,
                "ssh_hosts",
                "Registered SSH Hosts",
                "All hosts",
                MIME,
            ),
            Self::Host(host) => {
                let alias = host.alias.as_str();
                let uri = &format!("ssh://host/{alias}");
                return describe(structured, [uri, alias, alias, &host.description, MIME]);
            }
            Self::Skill(skill) => {
                let (uri, name) = (skill.uri.as_str(), skill.name.as_str());
                (uri, name, skill.title, skill.description, skills::MIME)
            }
        };
        describe(structured, [uri, name, title, description, mime])
    }
}

fn describe(structured: bool, [uri, name, title, description, mime]: [&str; 5]) -> Json {
    Object::new()
        .field("uri", uri)
        .field("name", name)
        .when(structured, |entry| entry.field("title", title))
        .field("description", description)
        .field("mimeType", mime)
        .json("annotations", &for_assistant())
        .end()
}

/// `resources/templates/list`.
pub(crate) fn templates(pager: &Pager, caller: &Caller, params: &Params) -> Result<Json, RpcError> {
    let structured = caller.version.has_structure();
    let (page, _) = pager.page("templates", params, TEMPLATES.iter().collect())?;
    let entries: Vec<Json> = page
        .into_iter()
        .map(|template: &Template| {
            Object::new()
                .field("uriTemplate", template.uri)
                .field("name", template.name)
                .when(structured, |entry| entry.field("title", template.title))
                .field("description", template.description)
                .field("mimeType", MIME)
                .json("annotations", &for_assistant())
                .end()
        })
        .collect();
    let result = caller.result().json("resourceTemplates", &array(&entries));
    Ok(caller.keep_for(STATIC_MS, result).end())
}

/// Whom the resources are for.
fn for_assistant() -> Json {
    Object::new().field("audience", &["assistant"]).end()
}

/// `resources/read`.
pub(crate) fn read(
    snapshot: &Snapshot,
    server: (&Sandbox, &Audit),
    caller: &Caller,
    params: &Params,
) -> Result<Json, RpcError> {
    let uri = uri(params)?;
    if let Some(skill) = skills::find(uri) {
        return Ok(contents(
            caller,
            STATIC_MS,
            [uri, skills::MIME, &skill.text],
        ));
    }
    let content = Address::parse(uri).and_then(|address| match address {
        Address::Hosts => {
            let entries: Vec<Json> = snapshot.hosts().iter().map(entry).collect();
            Some(hosts(snapshot, how_many_fit(&entries)))
        }
        Address::Capabilities(alias) => snapshot
            .host(&alias)
            .map(|host| capabilities_of(server, snapshot, host)),
        address => address.content(snapshot),
    });
    let content = content.ok_or_else(|| not_found(caller, uri))?;
    Ok(contents(caller, 0, [uri, MIME, content.as_str()]))
}

fn contents(caller: &Caller, keep_for: u32, [uri, mime, text]: [&str; 3]) -> Json {
    let contents = Object::new()
        .field("uri", uri)
        .field("mimeType", mime)
        .field("text", text)
        .end();
    let result = caller.result().json("contents", &array([&contents]));
    caller.keep_for(keep_for, result).end()
}

/// The address that a subscription names, if there is something there.
///
/// # Errors
/// No `uri`, or nothing there.
pub(crate) fn known_uri(
    snapshot: &Snapshot,
    caller: &Caller,
    params: &Params,
) -> Result<String, RpcError> {
    let uri = uri(params)?;
    let content = Address::parse(uri).and_then(|address| address.content(snapshot));
    // A skill never changes, which is no reason to say that there is none.
    match content.is_some() || skills::find(uri).is_some() {
        true => Ok(uri.to_owned()),
        false => Err(not_found(caller, uri)),
    }
}

/// The address in these parameters.
///
/// # Errors
/// There is none.
pub(crate) fn uri(params: &Params) -> Result<&str, RpcError> {
    params
        .get("uri")
        .and_then(Value::as_str)
        .ok_or_else(|| RpcError::invalid_params("uri is required"))
}

fn not_found(caller: &Caller, uri: &str) -> RpcError {
    let message = match Address::parse(uri) {
        _ if uri == "ssh://host/" => "alias is required",
        Some(_) => "Host alias not found: ssh_list_hosts tells which there are",
        None => "Resource not found: read ssh://hosts, or ssh://host/{alias}",
    };
    let error = if caller.version.is_modern() {
        RpcError::invalid_params(message)
    } else {
        RpcError::resource_not_found(message)
    };
    let uri: String = uri.chars().take(1000).collect();
    error.with_data(Object::new().field("uri", &uri).end())
}

/// The first `most` hosts of all.
fn hosts(snapshot: &Snapshot, most: usize) -> Json {
    let all = snapshot.hosts();
    let entries: Vec<Json> = all.iter().take(most).map(entry).collect();
    let omitted = all.len() - entries.len();
    let note = "More hosts than one answer holds: resources/list has all of them, in pages.";
    Object::new()
        .field("count", &all.len())
        .json("hosts", &array(&entries))
        .when(omitted > 0, |list| {
            list.field("omitted", &omitted).field("note", note)
        })
        .end()
}

/// What may be known of a host without its credentials' name.
fn entry(host: &Host) -> Json {
    Object::new()
        .field("alias", host.alias.as_str())
        .field("host", &host.address.to_string())
        .field("port", &host.port.get())
        .field("tags", &tag_names(host))
        .field("description", &host.description)
        .field("has_credentials_ref", &true)
        .end()
}

fn tags(host: &Host) -> Json {
    Object::new()
        .field("alias", host.alias.as_str())
        .field("tags", &tag_names(host))
        .end()
}

fn tag_names(host: &Host) -> Vec<&str> {
    host.tags.iter().map(|tag| tag.as_str()).collect()
}

/// What depends on the configuration alone.
fn capabilities(snapshot: &Snapshot, host: &Host) -> Json {
    summary(snapshot, host).end()
}

/// The same, how the server is confined, and how its record does.
fn capabilities_of((sandbox, audit): (&Sandbox, &Audit), snapshot: &Snapshot, host: &Host) -> Json {
    let health = audit.health();
    let audit = Object::new()
        .field("file", &health.has_file)
        .field("written", &health.is_written)
        .field("space", health.space.name())
        .end();
    let confined = Object::new()
        .field("level", sandbox.level)
        .field("landlock_abi", &sandbox.landlock_abi)
        .field("seccomp", &sandbox.seccomp)
        .field("no_new_privs", &sandbox.no_new_privs)
        .field("rights", &sandbox.rights)
        .field("missing", &sandbox.missing)
        .end();
    summary(snapshot, host)
        .json("sandbox", &confined)
        .json("audit", &audit)
        .end()
}

fn summary(snapshot: &Snapshot, host: &Host) -> Object {
    let policy = snapshot.policy();
    let limits = policy.limits(host.alias.as_str(), &host.tags);
    let limits = Object::new()
        .field("max_seconds", &limits.max_seconds)
        .field("max_output_bytes", &limits.max_output_bytes)
        .field("require_known_host", &true)
        .field("host_key_auto_add", &false)
        .field("task_result_ttl", &limits.task_result_ttl)
        .field("task_progress_interval", &limits.task_progress_interval)
        .field("deny_patterns_enabled", &!limits.deny_substrings.is_empty())
        .end();
    let network = Object::new()
        .field("require_known_host", &true)
        .field("allowlist_enabled", &policy.network().allowlist_enabled())
        .field("blocklist_enabled", &policy.network().blocklist_enabled())
        .end();
    let features = Object::new()
        .field("supports_async", &true)
        .field("supports_cancellation", &true)
        .end();
    Object::new()
        .field("alias", host.alias.as_str())
        .field("tags", &tag_names(host))
        .json("limits", &limits)
        .json("policy_probes", &probes(snapshot, host))
        .json("network", &network)
        .json("features", &features)
}

/// A few commands, judged as a plan is: nothing is recorded, nothing is sent.
fn probes(snapshot: &Snapshot, host: &Host) -> Json {
    let docker = host.tags.iter().any(|tag| tag.as_str() == "docker");
    let all = [
        ("basic_diagnostics", "uptime", true),
        ("filesystem_overview", "df -h", true),
        ("docker_status", "docker ps", docker),
    ];
    let probes: Vec<Json> = all
        .iter()
        .filter(|(_, _, wanted)| *wanted)
        .filter_map(|(probe, command, _)| {
            let text = CommandText::parse(command).ok()?;
            let verdict = snapshot.policy().judge(&host.subject(), &text);
            let allowed = matches!(verdict, Verdict::Allow(_));
            let object = Object::new()
                .field("probe", probe)
                .field("command", command);
            Some(object.field("allowed", &allowed).end())
        })
        .collect();
    array(&probes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly() {
        let web = || HostAlias::parse("web-1").unwrap();
        assert_eq!(Address::parse("ssh://hosts"), Some(Address::Hosts));
        assert_eq!(
            Address::parse("ssh://host/web-1"),
            Some(Address::Host(web()))
        );
        assert_eq!(
            Address::parse("ssh://host/web-1/tags"),
            Some(Address::Tags(web()))
        );
        assert_eq!(
            Address::parse("ssh://host/web-1/capabilities"),
            Some(Address::Capabilities(web()))
        );
        for wrong in [
            "",
            "ssh://",
            "ssh://host/",
            "ssh://host/a b",
            "ssh://host/a/b",
            "ssh://host/a/tags/",
            "SSH://hosts",
            "ssh://hosts/",
            "ssh://host/../hosts",
            "test://nope/none",
        ] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }
}
