//! What is said of very many hosts stays within the budget of an answer: hosts that are
//! alike are said once, all are counted, and what is left out is said.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

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

fn run(server: &Server, more: Value) -> (Value, String) {
    let mut arguments = json!({"tag": "many", "command": "hostname"});
    let more = more.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(more);
    let result = server.call("ssh_run_on_tag", arguments);
    let text = crate::common::text_of(&result);
    (result["structuredContent"].clone(), text)
}

#[test]
fn of_thousands_all_are_counted_and_those_alike_are_said_once() {
    let (fleet, _) = fleet(4_000);
    let server = Server::start(&fleet.setup);
    let (run, text) = run(&server, json!({}));
    let summary = json!({"total": 4_000, "succeeded": 2, "denied": 3_998});
    assert_eq!(run["summary"], summary);
    assert!(
        text.starts_with("many: 4000 hosts, 2 succeeded, 3998 denied\n"),
        "{text}"
    );
    let groups = run["groups"].as_array().unwrap();
    let hosts: Vec<u64> = groups
        .iter()
        .map(|group| group["hosts"].as_u64().unwrap())
        .collect();
    assert_eq!(hosts, [2, 1_999, 1_999]);
    assert_eq!(groups[0]["aliases"], json!(["live-first", "live-last"]));
    assert_eq!(groups[0]["output"], "here");
    for group in &groups[1..] {
        assert!(group["hint"].is_string(), "{group}");
        let last = group["aliases"].as_array().unwrap().last().unwrap();
        assert!(last.as_str().unwrap().starts_with("and "), "{last}");
    }
    assert_eq!(run["results"], json!([]));
    for all in [&text, &run.to_string()] {
        assert!(all.chars().count() < 18_000, "{}", all.len());
    }
    server.finish();
}

#[test]
fn entries_that_are_too_many_are_named_by_how_they_ended() {
    let (fleet, _) = fleet(1_500);
    let server = Server::start(&fleet.setup);
    let (run, text) = run(&server, json!({"group_identical": false}));
    let shown = run["results"].as_array().unwrap().len();
    assert!((10..400).contains(&shown), "{shown}");
    assert!(
        run["notes"][0].as_str().unwrap().contains("rest names"),
        "{}",
        run["notes"]
    );
    let rest = run["rest"]["denied"].as_array().unwrap();
    assert!(rest.last().unwrap().as_str().unwrap().starts_with("and "));
    assert_eq!(run["summary"]["total"], 1_500);
    assert!(text.contains("rest: {"), "{text}");
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
