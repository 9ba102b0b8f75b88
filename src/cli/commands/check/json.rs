//! The report of `check` for a script.
//!
//! Owns its keys, which are an interface. Called by the parent.

use serde_json::{Value as Json, json};

use crate::cli::commands::check::{Counts, Report, Standing, legacy_hosts};
use crate::config::schema::problem::{Mark, Place, Problem, Warning};
use crate::config::snapshot::Snapshot;
use crate::model::security_event::SecurityEvent;

pub(crate) fn object(report: &Report) -> String {
    let object = json!({
        "ok": report.is_good(),
        "directories": report
            .directories()
            .into_iter()
            .map(|(name, path)| (name.to_owned(), path.into()))
            .collect::<serde_json::Map<String, Json>>(),
        "configuration": report.snapshot.as_ref().map(counts),
        "problems": report.problems.iter().map(problem_json).collect::<Vec<_>>(),
        "warnings": report.warnings.iter().map(warning_json).collect::<Vec<_>>(),
        "security_events": report.events.iter().map(event_json).collect::<Vec<_>>(),
        "machine": report.machine.iter().map(|fact| json!({
            "name": fact.name, "ok": fact.standing == Standing::Good, "text": fact.text,
            "warning": fact.standing == Standing::Warning,
        })).collect::<Vec<_>>(),
    });
    format!("{object:#}\n")
}

fn counts(snapshot: &Snapshot) -> Json {
    let counts = Counts::of(snapshot);
    let network = snapshot.policy().network();
    json!({
        "hosts": counts.hosts,
        "tags": counts.tags,
        "logins": counts.logins,
        "rules": counts.rules,
        "deny_substrings": counts.deny_substrings,
        "ports": snapshot.ports().iter().map(|port| port.get()).collect::<Vec<_>>(),
        "allowlist": network.allowlist_enabled(),
        "blocklist": network.blocklist_enabled(),
        "aliases": snapshot.hosts().iter().map(|host| host.alias.as_str()).collect::<Vec<_>>(),
        "legacy_algorithms": legacy_hosts(snapshot),
        "hash": snapshot.hash(),
    })
}

fn place_json(place: Place, key: &str) -> serde_json::Map<String, Json> {
    let mut map = serde_json::Map::new();
    map.insert("file".to_owned(), place.file.into());
    if let Some(Mark { line, column }) = place.at {
        map.insert("line".to_owned(), line.into());
        if column > 0 {
            map.insert("column".to_owned(), column.into());
        }
    }
    if !key.is_empty() {
        map.insert("key".to_owned(), key.into());
    }
    map
}

fn problem_json(problem: &Problem) -> Json {
    let mut map = place_json(problem.place, &problem.key);
    map.insert("fault".to_owned(), problem.fault.code().into());
    map.insert("found".to_owned(), problem.found.clone().into());
    map.insert("accepted".to_owned(), problem.accepted.clone().into());
    if let Some(nearest) = &problem.nearest {
        map.insert("nearest".to_owned(), nearest.clone().into());
    }
    Json::Object(map)
}

fn warning_json(warning: &Warning) -> Json {
    let mut map = place_json(warning.place, &warning.key);
    map.insert("kind".to_owned(), warning.kind.code().into());
    map.insert("text".to_owned(), warning.text.clone().into());
    Json::Object(map)
}

fn event_json(event: &SecurityEvent) -> Json {
    json!({
        "event_type": event.event_type,
        "reason": event.reason,
        "attempted_path": event.attempted_path,
    })
}
