//! What is said of very many hosts stays under 1 MiB, names every host as far as that goes,
//! and says how to get what it leaves out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeMap;

use crate::common::{Fleet, HostSpec, Server, policy_allowing};
use serde_json::{Value, json};

const FRAME: usize = 1 << 20;

/// `crowd` names of one host that are all of the tag `many`: two that may be connected to
/// (the first and the last), and in turns one that no rule allows and one at an address
/// that the network policy blocks. In the order of the file.
fn fleet(crowd: usize) -> (Fleet, Vec<String>) {
    let fleet = Fleet::with(vec![HostSpec::new("live-first").tags(&["many"])]);
    let first = fleet.servers_yaml();
    let entry = first.strip_prefix("hosts:\n").unwrap();
    let address = fleet.host("live-first").address.to_string();
    let mut names = vec!["live-first".to_owned()];
    let mut yaml = first.clone();
    for n in 2..crowd {
        let kind = if n % 2 == 0 { "denied" } else { "blocked" };
        let name = format!("{kind}-{n:05}.in-a-data-centre-with-long-names.example.com");
        let own = entry.replace("live-first", &name);
        yaml += &match kind {
            "blocked" => own.replace(&address, "192.0.2.1"),
            _ => own,
        };
        names.push(name);
    }
    yaml += &entry.replace("live-first", "live-last");
    names.push("live-last".to_owned());
    fleet.setup.write("servers.yml", &yaml);
    let policy = policy_allowing(&["hostname"]);
    let policy = policy.replace("[\"*\"]", "[\"live-*\", \"blocked-*\"]");
    fleet.setup.write("policy.yml", &policy);
    fleet
        .host("live-first")
        .stub("hostname", "#!/bin/sh\necho here\n");
    (fleet, names)
}

fn run(server: &Server, more: Value) -> Value {
    let mut arguments = json!({"tag": "many", "command": "hostname"});
    let more = more.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(more);
    let call = server.begin_call("ssh_run_on_tag", arguments);
    let frame = server.response(&call);
    let length = frame.to_string().len();
    assert!(length < FRAME, "{length} bytes");
    let result = &frame["result"];
    let text: Value = serde_json::from_str(&crate::common::text_of(result)).unwrap();
    assert_eq!(text, result["structuredContent"]);
    text
}

/// Each host that is named with how it ended, from the entries and from the rest.
fn named(run: &Value) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for entry in run["results"].as_array().unwrap() {
        let end = match &entry["denied"] {
            Value::Bool(true) => "denied",
            _ => entry["status"].as_str().unwrap_or("completed"),
        };
        named.insert(entry["alias"].as_str().unwrap().to_owned(), end.to_owned());
    }
    for (end, hosts) in run["rest"].as_object().into_iter().flatten() {
        for alias in hosts.as_array().unwrap() {
            let twice = named.insert(alias.as_str().unwrap().to_owned(), end.clone());
            assert_eq!(twice, None, "{alias}");
        }
    }
    named
}

fn expected(names: &[String]) -> BTreeMap<String, String> {
    let end = |name: &str| {
        if name.starts_with("live") {
            "completed"
        } else {
            "denied"
        }
    };
    names
        .iter()
        .map(|name| (name.clone(), end(name).to_owned()))
        .collect()
}

fn notes(run: &Value) -> String {
    run["notes"].to_string()
}

#[test]
fn hundreds_of_hosts_have_whole_entries() {
    let (fleet, names) = fleet(700);
    let server = Server::start(&fleet.setup);
    let run = run(&server, json!({}));
    assert_eq!(named(&run), expected(&names));
    assert_eq!(run["notes"], json!(null));
    let results = run["results"].as_array().unwrap();
    assert_eq!(results[699]["output"], "here");
    let hints = results.iter().filter(|entry| entry["hint"].is_string());
    assert_eq!(hints.count(), 698);
    server.finish();
}

#[test]
fn beyond_a_thousand_hosts_the_entries_are_short() {
    let (fleet, names) = fleet(1_500);
    let server = Server::start(&fleet.setup);
    for more in [json!({}), json!({"group_identical": true})] {
        let run = run(&server, more.clone());
        assert_eq!(named(&run), expected(&names));
        assert_eq!(run["results"].as_array().unwrap().len(), 1_500);
        assert!(
            notes(&run).contains("ssh_get_task_result"),
            "{}",
            run["notes"]
        );
        let summary = &run["summary"];
        assert_eq!(
            (&summary["succeeded"], &summary["denied"]),
            (&json!(2), &json!(1_498))
        );
        let last = run["results"].as_array().unwrap().last().unwrap();
        if more["group_identical"] == true {
            let place = usize::try_from(last["group"].as_u64().unwrap()).unwrap();
            let group = &run["groups"][place];
            assert_eq!(
                (&group["output"], &group["hosts"]),
                (&json!("here"), &json!(2))
            );
        }
        // The rest of an entry is where the note says.
        let task = json!({"task_id": last["task_id"]});
        let result = server.tool("ssh_get_task_result", task);
        assert_eq!(result["output"], "here");
    }
    server.finish();
}

#[test]
fn of_thousands_the_last_are_named_by_how_they_ended() {
    let (fleet, names) = fleet(4_000);
    let server = Server::start(&fleet.setup);
    let run = run(&server, json!({}));
    assert_eq!(named(&run), expected(&names));
    let shown = run["results"].as_array().unwrap().len();
    assert!((500..4_000).contains(&shown), "{shown}");
    let text = format!("{} hosts at the end have no entry", 4_000 - shown);
    assert!(notes(&run).contains(&text), "{}", run["notes"]);
    assert_eq!(run["rest"]["completed"], json!(["live-last"]));
    server.finish();
}

#[test]
fn a_list_of_hosts_says_what_it_leaves_out_and_where_it_is() {
    let (fleet, names) = fleet(8_000);
    let server = Server::start(&fleet.setup);
    let frame = |method: &str, params: Value| {
        let frame = server.response(&server.begin(method, params));
        let length = frame.to_string().len();
        assert!(length < FRAME, "{length} bytes");
        frame["result"].clone()
    };
    let listed = frame(
        "tools/call",
        json!({"name": "ssh_list_hosts", "arguments": {}}),
    );
    let resource = frame("resources/read", json!({"uri": "ssh://hosts"}));
    let resource: Value =
        serde_json::from_str(resource["contents"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(resource["count"], 8_000);
    for list in [&listed["structuredContent"], &resource] {
        let shown = list["hosts"].as_array().unwrap();
        assert!((1_000..8_000).contains(&shown.len()), "{}", shown.len());
        for (host, name) in shown.iter().zip(&names) {
            assert!(host == name || host["alias"] == *name, "{host}");
        }
        assert_eq!(list["omitted"], 8_000 - shown.len());
        assert!(list["note"].as_str().unwrap().contains("resources/list"));
    }
    // There they all are.
    let mut params = json!({});
    let mut uris = Vec::new();
    loop {
        let page = frame("resources/list", params);
        let page_uris = page["resources"].as_array().unwrap().iter();
        uris.extend(page_uris.map(|entry| entry["uri"].as_str().unwrap().to_owned()));
        match &page["nextCursor"] {
            Value::Null => break,
            cursor => params = json!({"cursor": cursor}),
        }
    }
    let expected = names.iter().map(|name| format!("ssh://host/{name}"));
    assert!(uris[1..].iter().cloned().eq(expected));
    server.finish();
}
