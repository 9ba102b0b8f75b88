//! The Python project's argument cases, replayed whole: alias, command, tag, task id,
//! `max_lines`, through the types that every tool parses its arguments with, and through
//! the tools of the real binary.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, Server, text_of};
use mcp_ssh_orchestrator::testing::audit::Record;
use mcp_ssh_orchestrator::testing::model::names::{
    CommandText, HostAlias, InputError, MaxLines, Tag, TaskId,
};
use serde_json::{Value, json};

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
    include_str!("../../data/cases/input.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

fn replay(case: &Value) -> Result<(), String> {
    let value = &case["value"];
    let text = || text_of_value(value);
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

fn text_of_value(value: &Value) -> String {
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

/// Through the tools: every argument case as a call, with the text, the error flag and
/// the record that a client and an operator see.
#[test]
fn the_tools_refuse_what_the_types_refuse() {
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let server = Server::start(&fleet.setup);
    let mut wrong = Vec::new();
    for case in cases() {
        let (tool, arguments) = call_of(&case);
        let result = match server.ask("tools/call", json!({"name": tool, "arguments": arguments})) {
            // The schema's refusal of another type comes before the tool's.
            answer if answer["error"].is_object() && case["expect"] == "error" => continue,
            answer => answer["result"].clone(),
        };
        let text = text_of(&result);
        let refused = result["isError"] == true && text.starts_with("Error: ");
        let wanted = case["message_contains"].as_str().unwrap_or_default();
        // An accepted name may still be one that nothing has.
        let accepted = !refused
            || text.contains("not found")
            || text.contains("Host alias")
            || text.contains("no host has the tag");
        let good = match case["expect"].as_str().unwrap() {
            "ok" => accepted,
            _ => refused && text.contains(wanted),
        };
        if !good {
            wrong.push(format!("{}: {result}", case["id"]));
        }
    }
    for event in [
        "null_byte_injection_attempt",
        "control_character_injection_attempt",
    ] {
        let record = server.wait_type(event);
        assert_eq!(record["field"], "command", "{record}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.finish();
}

/// The call that brings a case's argument to a tool.
fn call_of(case: &Value) -> (String, Value) {
    let value = &case["value"];
    let argument = || match value {
        Value::Object(_) => Value::String(text_of_value(value)),
        other => other.clone(),
    };
    match case["field"].as_str().unwrap() {
        "alias" => (
            "ssh_plan".into(),
            json!({"alias": argument(), "command": "uptime"}),
        ),
        "command" => (
            "ssh_plan".into(),
            json!({"alias": "web1", "command": argument()}),
        ),
        "tag" => (
            "ssh_run_on_tag".into(),
            json!({"tag": argument(), "command": "uptime"}),
        ),
        "task_id" => ("ssh_get_task_status".into(), json!({"task_id": argument()})),
        "max_lines" => {
            let id = "web1:dd291cd6294b:1700000000000000";
            (
                "ssh_get_task_output".into(),
                json!({"task_id": id, "max_lines": argument()}),
            )
        }
        _ => (
            value["tool"].as_str().unwrap().into(),
            value["arguments"].clone(),
        ),
    }
}
