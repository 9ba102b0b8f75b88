//! Completion of aliases, tags and task ids while somebody types them.
//!
//! Owns what is offered: what begins with what was typed, at most a hundred. Offers only
//! names a client can list anyway. Called by `dispatch`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::Snapshot;
use crate::mcp::feature::{prompts, resources};
use crate::mcp::protocol::peer::Caller;
use crate::mcp::wire::json::{Json, Object};
use crate::mcp::wire::message::{Params, RpcError};
use crate::task::Tasks;

/// Most values in one answer (the protocol's bound).
const MOST: usize = 100;

/// `completion/complete`.
///
/// # Errors
/// No argument with a name and a value, or a reference to something that is not there.
pub(crate) fn complete(
    snapshot: &Snapshot,
    tasks: &Tasks,
    caller: &Caller,
    params: &Params,
) -> Result<Json, RpcError> {
    let text = |object: Option<&Value>, key: &str| -> Option<String> {
        object?.get(key)?.as_str().map(str::to_owned)
    };
    let argument = params.get("argument");
    let (Some(name), Some(typed)) = (text(argument, "name"), text(argument, "value")) else {
        return Err(RpcError::invalid_params("argument needs name and value"));
    };
    let reference = params.get("ref");
    let all = match text(reference, "type").as_deref() {
        Some("ref/resource")
            if text(reference, "uri").is_some_and(|uri| resources::is_listed(&uri)) =>
        {
            names(snapshot, tasks, &name)
        }
        Some("ref/prompt")
            if text(reference, "name").is_some_and(|name| prompts::exists(&name)) =>
        {
            names(snapshot, tasks, &name)
        }
        _ => {
            return Err(RpcError::invalid_params(
                "ref names no prompt or resource template",
            ));
        }
    };
    let matching: Vec<&String> = all.iter().filter(|name| name.starts_with(&typed)).collect();
    let shown: Vec<&&String> = matching.iter().take(MOST).collect();
    let completion = Object::new()
        .field("values", &shown)
        .field("total", &matching.len())
        .field("hasMore", &(matching.len() > MOST))
        .end();
    Ok(caller.result().json("completion", &completion).end())
}

/// What an argument of this name could be, sorted.
fn names(snapshot: &Snapshot, tasks: &Tasks, argument: &str) -> BTreeSet<String> {
    let hosts = snapshot.hosts().iter();
    match argument {
        "alias" | "host" => hosts.map(|host| host.alias.to_string()).collect(),
        "tag" => hosts
            .flat_map(|host| host.tags.iter().map(ToString::to_string))
            .chain(snapshot.groups().iter().map(|group| group.name.to_string()))
            .collect(),
        "task_id" => {
            let tasks = tasks.list();
            tasks.iter().map(|task| task.id.to_string()).collect()
        }
        _ => BTreeSet::new(),
    }
}
