//! The Python project's argument cases, replayed whole: alias, command, tag, task id,
//! `max_lines`, through the types that every tool parses its arguments with, and through
//! the tools of the real binary.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use mcp_ssh_orchestrator::audit::Record;
use mcp_ssh_orchestrator::config::types::{
    CommandText, HostAlias, InputError, MaxLines, Tag, TaskId,
};
use serde_json::Value;

#[test]
fn every_argument_is_accepted_or_refused_as_expected() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for case in cases() {
        if case["field"] == "tool_call" {
            continue;
        }
        seen += 1;
        if let Err(why) = replay(&case) {
            wrong.push(format!("{}: {why}", case["id"]));
        }
    }
    assert!(seen > 50, "the corpus is empty or cut off: {seen} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn cases() -> impl Iterator<Item = Value> {
    include_str!("data/cases/input.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

fn replay(case: &Value) -> Result<(), String> {
    let value = &case["value"];
    let text = || text_of(value);
    let result = match case["field"].as_str().unwrap() {
        "alias" => HostAlias::parse(&text()).map(|_| ()),
        "command" => CommandText::parse(&text()).map(|_| ()),
        "tag" => Tag::parse(&text()).map(|_| ()),
        "task_id" => TaskId::parse(&text()).map(|_| ()),
        // A value of another type is refused by the schema, before it comes here.
        "max_lines" if value.as_i64().is_none() => return Ok(()),
        "max_lines" => MaxLines::new(value.as_i64().unwrap()).map(|_| ()),
        other => return Err(format!("unknown field {other}")),
    };
    match (&result, case["expect"].as_str().unwrap()) {
        (Ok(()), "ok") => Ok(()),
        (Err(error), "error") => refused(case, error),
        _ => Err(format!("{result:?}")),
    }
}

fn refused(case: &Value, error: &InputError) -> Result<(), String> {
    let message = error.to_string();
    for key in ["message_contains", "also_contains"] {
        if let Some(wanted) = case[key].as_str()
            && !message.contains(wanted)
        {
            return Err(format!("'{message}' doesn't contain '{wanted}'"));
        }
    }
    let record = Record::injection(error)
        .map(|record| serde_json::from_str::<Value>(&record.to_json()).unwrap());
    let Some(expected) = case["security_event"].as_str() else {
        return match record {
            None => Ok(()),
            Some(record) => Err(format!("an event that isn't expected: {record}")),
        };
    };
    let record = record.ok_or("no security event")?;
    if record["type"] != expected {
        return Err(format!("another event: {record}"));
    }
    for (key, value) in case["event_fields"].as_object().into_iter().flatten() {
        if record[key] != *value {
            return Err(format!("{key}: {record}"));
        }
    }
    Ok(())
}

fn text_of(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let part = |key: &str| value[key].as_str().unwrap_or_default();
    let count = usize::try_from(value["count"].as_u64().unwrap()).unwrap();
    format!(
        "{}{}{}",
        part("prefix"),
        part("repeat").repeat(count),
        part("suffix")
    )
}
