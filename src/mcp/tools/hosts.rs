//! What there is: whether the server answers, which hosts it knows, one of them.
//!
//! Owns `ssh_ping`, `ssh_list_hosts` and `ssh_describe_host`. Contacts nothing. Called by
//! [`crate::mcp::tools::serve`].

use serde_json::Value;

use crate::config::{Host, Resolve};
use crate::mcp::call::Call;
use crate::mcp::call::answer::{Answer, how_many_fit};
use crate::mcp::tools::arguments::Args;
use crate::mcp::tools::unknown_host;
use crate::mcp::wire::json::{Json, Object, array};
use crate::policy::ShellMode;

/// `ssh_ping`.
pub(crate) fn ping(call: &Call) -> Answer {
    match Args::of(call) {
        Ok(_) => Answer::of(Object::new().field("status", "pong")),
        Err(answer) => answer,
    }
}

/// `ssh_list_hosts`.
pub(crate) fn list_hosts(call: &Call) -> Answer {
    if let Err(answer) = Args::of(call) {
        return answer;
    }
    let snapshot = call.session.server.store.current();
    let hosts = snapshot.hosts().iter();
    let mut aliases: Vec<Json> = hosts.map(|host| Json::of(host.alias.as_str())).collect();
    let fitting = how_many_fit(&aliases);
    let omitted = aliases.len() - fitting;
    aliases.truncate(fitting);
    let note = "More hosts than one answer holds: resources/list has all of them, in pages.";
    Answer::of(
        Object::new()
            .json("hosts", &array(&aliases))
            .when(omitted > 0, |answer| {
                answer.field("omitted", &omitted).field("note", note)
            }),
    )
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
        None => unknown_host("Error", &alias),
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
        .when(host.shell == ShellMode::Direct, |entry| {
            entry.field("shell", "direct")
        })
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
