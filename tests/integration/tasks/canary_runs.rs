//! A run in steps: a few hosts first, the others only if these did what was expected.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use serde_json::{Value, json};

use crate::common::{Fleet, Gate, HostSpec, Server, members, text_of};

fn web(count: usize) -> Fleet {
    let spec = |n: usize| HostSpec::new(&format!("web{n}")).tags(&["web"]);
    Fleet::with((1..=count).map(spec).collect())
}

fn stub(fleet: &Fleet, scripts: &[&str]) {
    for (n, script) in scripts.iter().enumerate() {
        let host = fleet.host(&format!("web{}", n + 1));
        host.stub("hostname", &format!("#!/bin/sh\n{script}\n"));
    }
}

fn call(server: &Server, more: Value) -> Value {
    let mut arguments = json!({"tag": "web", "command": "hostname"});
    let more = more.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(more);
    server.call("ssh_run_on_tag", arguments)
}

#[test]
fn each_step_waits_for_the_one_before() {
    let fleet = web(6);
    let gate = Gate::new();
    stub(&fleet, &[&*gate.wait(); 6]);
    let server = Server::start(&fleet.setup);
    let arguments = json!({"tag": "web", "command": "hostname", "batch": ["1", 2, "50%"]});
    let id = server.begin_call("ssh_run_on_tag", arguments);
    for _ in 0..6 {
        gate.open();
    }
    let run = members(&server.response(&id)["result"]);
    assert_eq!(run["summary"], json!({"total": 6, "succeeded": 6}));
    // By the record: 1, then 2 together, then 3, none before the step's last has ended.
    let mut begun = std::collections::HashSet::new();
    let (mut ended, mut at) = (0, Vec::new());
    for record in &server.finish().records {
        match (record["type"].as_str(), record["phase"].as_str()) {
            (Some("progress"), Some("connecting"))
                if begun.insert(record["task_id"].to_string()) =>
            {
                at.push(ended);
            }
            (Some("audit"), _) => ended += 1,
            _ => {}
        }
    }
    assert_eq!(at, [0, 1, 1, 3, 3, 3]);
}

#[test]
fn a_canary_that_fails_keeps_the_others_from_starting() {
    let fleet = web(5);
    stub(&fleet, &["exit 3"]);
    let server = Server::start(&fleet.setup);
    let result = call(&server, json!({"batch": "1, 100%"}));
    assert_eq!(result["isError"], true, "{result}");
    let text = text_of(&result);
    let run: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        run["summary"],
        json!({"total": 5, "succeeded": 0, "failed": 1, "not_run": 4})
    );
    let others = &run["groups"][0];
    assert_eq!(others["aliases"], json!(["web[2-5]"]), "{run}");
    assert_eq!(others["not_run"], true);
    assert!(
        others["why"].as_str().unwrap().starts_with("not started"),
        "{run}"
    );
    for n in 2..=5 {
        assert_eq!(fleet.host(&format!("web{n}")).logins(), 0);
    }
    // As many as are said may fail.
    let run = members(&call(
        &server,
        json!({"batch": ["1", "2"], "max_failures": 2}),
    ));
    assert_eq!(
        run["summary"],
        json!({"total": 5, "succeeded": 4, "failed": 1})
    );
}

#[test]
fn what_is_expected_decides_what_failed() {
    let fleet = web(5);
    let scripts = [
        "echo v2; exit 1",
        "echo v2; exit 1",
        "echo v1; exit 1",
        "echo v2",
        "echo v2; exit 1",
    ];
    stub(&fleet, &scripts);
    let server = Server::start(&fleet.setup);
    let result = call(&server, json!({"expect_exit": 1, "expect_text": "v2"}));
    let run = members(&result);
    assert_eq!(
        run["summary"],
        json!({"total": 5, "succeeded": 3, "failed": 2})
    );
    assert_eq!(run["comparison"], "3 equal, 2 differ in 2 ways: web3, web4");
    assert_eq!(run["groups"][0]["aliases"], json!(["web1", "web2", "web5"]));
    assert_eq!(run["groups"][0].get("unmet"), None);
    let alone: Vec<(&str, &str)> = run["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["alias"].as_str().unwrap(),
                one["unmet"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        alone,
        [
            (
                "web3",
                "not as expected: the expected text is not in its output"
            ),
            ("web4", "not as expected: exit 1 was expected"),
        ]
    );
    let text = text_of(&result);
    let first = "web: 5 hosts, 3 succeeded, 2 failed; 3 equal, 2 differ in 2 ways: web3, web4\n";
    assert!(text.starts_with(first), "{text}");
    assert!(
        text.contains("web3: exit 1\nnote: not as expected"),
        "{text}"
    );

    // Alike, and still each by itself: nobody overlooks one.
    stub(&fleet, &["echo v1", "echo v1"]);
    let run = members(&call(
        &server,
        json!({"expect_exit": 1, "expect_text": "v2"}),
    ));
    let alone: Vec<&Value> = run["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["alias"])
        .collect();
    assert_eq!(alone, ["web1", "web2", "web3", "web4", "web5"], "{run}");

    // In steps, what is not as expected stops it.
    let run = call(&server, json!({"batch": ["1", "4"], "expect_text": "v9"}));
    let run: Value = serde_json::from_str(&text_of(&run)).unwrap();
    assert_eq!(run["summary"]["not_run"], 4, "{run}");
}

#[test]
fn a_pause_is_told_kept_and_ended_by_a_cancel() {
    let fleet = web(3);
    stub(&fleet, &["echo a", "echo a", "echo a"]);
    let server = Server::start(&fleet.setup);
    let arguments =
        json!({"tag": "web", "command": "hostname", "batch": ["1"], "pause_seconds": 1});
    let params =
        json!({"name": "ssh_run_on_tag", "arguments": arguments, "_meta": {"progressToken": "q"}});
    let run = members(&server.request("tools/call", params));
    assert_eq!(run["summary"], json!({"total": 3, "succeeded": 3}));
    let said: Vec<String> = server
        .frames()
        .iter()
        .filter_map(|frame| Some(frame["params"]["message"].as_str()?.to_owned()))
        .filter(|said| said.contains("pause"))
        .collect();
    assert_eq!(
        said,
        [
            "1 of 3 hosts done (step 1 of 3, pause of 1 s)",
            "2 of 3 hosts done (step 2 of 3, pause of 1 s)",
        ]
    );

    let mut long = arguments;
    long["pause_seconds"] = json!(15);
    let params =
        json!({"name": "ssh_run_on_tag", "arguments": long, "_meta": {"progressToken": "p"}});
    let id = server.begin("tools/call", params);
    server.wait_frame("the pause", |frame| {
        let said = frame["params"]["message"].as_str().unwrap_or_default();
        said.contains("(step 1 of 3, pause of 15 s)")
    });
    server.notify("notifications/cancelled", json!({"requestId": id}));
    server.wait_record("the run's end", |record| {
        record["type"] == "policy_decision"
            && record["alias"] == "web3"
            && record["request_id"] == id
    });
    assert_eq!(server.tool("ssh_ping", json!({}))["status"], "pong");
    server.finish();

    // A pause that no host could be begun behind is not waited for.
    let server = Server::start(&fleet.setup);
    let run = members(&call(&server, json!({"batch": [1], "pause_seconds": 3600})));
    assert_eq!(
        run["summary"],
        json!({"total": 3, "succeeded": 1, "not_run": 2})
    );
    assert!(run.to_string().contains("time of this call"), "{run}");
}

#[test]
fn a_batch_that_cannot_be_read_is_refused() {
    let fleet = web(1);
    let server = Server::start(&fleet.setup);
    for (more, said) in [
        (json!({"batch": ["0"]}), "batch must be"),
        (json!({"batch": ["1", "101%"]}), "batch must be"),
        (json!({"batch": [true]}), "batch must be"),
        (json!({"batch": [1.5]}), "batch must be"),
        (json!({"batch": vec!["1"; 51]}), "at most 50 steps"),
        (json!({"pause_seconds": 5}), "pause_seconds is between"),
        (
            json!({"batch": ["1", "2"], "pause_seconds": 3601}),
            "pause_seconds must be",
        ),
        (json!({"expect_exit": 256}), "expect_exit must be"),
    ] {
        let result = call(&server, more.clone());
        assert_eq!(result["isError"], true, "{more}");
        assert!(text_of(&result).contains(said), "{more}: {result}");
    }
    assert_eq!(fleet.host("web1").logins(), 0);
}
