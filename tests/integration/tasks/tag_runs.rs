//! One command on all hosts of a tag: judged whole first, in parallel, in the file's order,
//! and no host's trouble is another's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{
    Fleet, Gate, HostSpec, Server, members, policy_allowing, processes_with, wait_until,
};
use serde_json::{Value, json};

fn web(count: usize) -> Fleet {
    let spec = |n: usize| HostSpec::new(&format!("web{n}")).tags(&["web"]);
    Fleet::with((1..=count).map(spec).collect())
}

fn on_web(server: &Server, command: &str, more: Value) -> Value {
    let mut arguments = json!({"tag": "web", "command": command});
    let more = more.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(more);
    server.tool("ssh_run_on_tag", arguments)
}

fn aliases(run: &Value) -> Vec<&str> {
    let results = run["results"].as_array().unwrap();
    results
        .iter()
        .map(|r| r["alias"].as_str().unwrap())
        .collect()
}

/// The fields of a summary that are not zero.
fn summary(run: &Value) -> Value {
    let mut all = run["summary"].as_object().unwrap().clone();
    let total = all["total"].as_u64().unwrap();
    let parts: u64 = all
        .iter()
        .filter(|(k, _)| *k != "total")
        .map(|(_, v)| v.as_u64().unwrap())
        .sum();
    assert_eq!(total, parts, "the summary adds up");
    all.retain(|_, count| count != 0);
    Value::Object(all)
}

#[test]
fn results_come_in_the_files_order_whoever_ends_first() {
    let fleet = web(3);
    let gate = Gate::new();
    fleet.host("web1").stub(
        "hostname",
        &format!("#!/bin/sh\n{}\necho one\n", gate.wait()),
    );
    fleet.host("web2").stub("hostname", "#!/bin/sh\necho two\n");
    fleet
        .host("web3")
        .stub("hostname", "#!/bin/sh\necho three >&2; exit 3\n");
    let server = Server::start(&fleet.setup);
    let call = server.begin_call(
        "ssh_run_on_tag",
        json!({"tag": "web", "command": "hostname"}),
    );
    // The two others have ended while the first still runs: they ran in parallel.
    server.wait_record("web2's end", |r| {
        r["type"] == "audit" && r["alias"] == "web2"
    });
    server.wait_record("web3's end", |r| {
        r["type"] == "audit" && r["alias"] == "web3"
    });
    gate.open();
    let frame = server.response(&call);
    let run = &members(&frame["result"]);
    assert_eq!(aliases(run), ["web1", "web2", "web3"]);
    let outputs: Vec<_> = run["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["output"].clone())
        .collect();
    assert_eq!(outputs, [json!("one"), json!("two"), json!(null)]);
    assert_eq!(run["results"][2]["stderr"], "three");
    assert_eq!(run["results"][2]["exit_code"], 3);
    assert_eq!(
        summary(run),
        json!({"total": 3, "succeeded": 2, "failed": 1})
    );
    server.finish();
}

#[test]
fn a_tag_that_nobody_has_is_an_error_that_names_the_nearest() {
    let fleet = web(1);
    let server = Server::start(&fleet.setup);
    for tag in ["we", "webs", "WEB"] {
        let arguments = json!({"tag": tag, "command": "true"});
        let said = server.tool_error("ssh_run_on_tag", arguments);
        assert!(
            said.contains(&format!("no host has the tag {tag}")),
            "{said}"
        );
        assert!(said.contains("nearest: web"), "{said}");
    }
    server.finish();
}

#[test]
fn every_host_is_judged_on_its_own_and_all_of_them_before_any_runs() {
    let fleet = web(3);
    let policy = policy_allowing(&["hostname"])
        + "  - action: deny\n    aliases: [web2]\n    commands: [hostname]\n";
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    let run = on_web(&server, "hostname", json!({}));
    assert_eq!(aliases(&run), ["web1", "web2", "web3"]);
    let denied = &run["results"][1];
    assert_eq!(
        (&denied["denied"], &denied["reason"]),
        (&json!(true), &json!("policy"))
    );
    assert!(denied["hint"].as_str().unwrap().contains("ssh_plan"));
    assert_eq!(
        summary(&run),
        json!({"total": 3, "succeeded": 2, "denied": 1})
    );
    assert_eq!(fleet.host("web2").logins(), 0);
    let records = server.finish().records;
    let decisions: Vec<_> = records
        .iter()
        .filter(|r| r["type"] == "policy_decision")
        .collect();
    assert_eq!(decisions.len(), 3);
    let denied = records
        .iter()
        .position(|r| r["type"] == "policy_decision" && r["allowed"] == false);
    let first_run = records.iter().position(|r| r["type"] == "progress");
    assert!(denied < first_run, "denied before anything ran");
    let audits = records.iter().filter(|r| r["type"] == "audit");
    assert_eq!(audits.count(), 2);
}

#[test]
fn hosts_that_refuse_vanish_hang_or_flood_are_nobody_elses_trouble() {
    let fleet = web(6);
    fleet.setup.write(
        "policy.yml",
        &policy_allowing(&["hostname"]).replace(
            "max_seconds: 30",
            "max_seconds: 4\n  max_output_bytes: 2000",
        ),
    );
    let ready = Gate::new();
    fleet
        .host("web1")
        .stub("hostname", "#!/bin/sh\necho fine\n");
    fleet.host("web2").stop(); // refuses
    fleet.host("web3").freeze(); // accepts and says nothing
    fleet.host("web4").stub(
        "hostname",
        &format!("#!/bin/sh\necho partial\n{}\n", ready.wait()),
    ); // vanishes
    fleet
        .host("web5")
        .stub("hostname", "#!/bin/sh\nexec yes flood\n"); // floods
    fleet
        .host("web6")
        .stub("hostname", "#!/bin/sh\necho also fine\n");
    let server = Server::start(&fleet.setup);
    let call = server.begin_call(
        "ssh_run_on_tag",
        json!({"tag": "web", "command": "hostname"}),
    );
    server.wait_record("output of web4", |r| {
        r["type"] == "progress"
            && r["bytes_read"] == 8
            && r["task_id"]
                .as_str()
                .is_some_and(|id| id.starts_with("web4:"))
    });
    fleet.host("web4").cut();
    let frame = server.response(&call);
    let run = &members(&frame["result"]);
    assert_eq!(
        aliases(run),
        ["web1", "web2", "web3", "web4", "web5", "web6"]
    );
    let of = |n: usize| &run["results"][n - 1];
    assert_eq!(
        (&of(1)["exit_code"], &of(1)["output"]),
        (&json!(0), &json!("fine"))
    );
    assert_eq!(
        (&of(6)["exit_code"], &of(6)["output"]),
        (&json!(0), &json!("also fine"))
    );
    for n in 2..=5 {
        assert_eq!(of(n)["exit_code"], -1, "{}", of(n));
    }
    assert!(
        of(2)["why"].as_str().unwrap().contains("refused"),
        "{}",
        of(2)
    );
    assert_eq!(of(3)["reason"], "timeout", "{}", of(3));
    assert!(
        of(4)["output"].as_str().unwrap().starts_with("partial"),
        "{}",
        of(4)
    );
    assert_eq!(of(4)["outcome"], "unknown", "{}", of(4));
    assert_eq!(
        (&of(5)["truncated"], &of(5)["terminated"]),
        (&json!(true), &json!("confirmed"))
    );
    assert_eq!(
        summary(run),
        json!({"total": 6, "succeeded": 2, "failed": 3, "timed_out": 1})
    );
    // Each has its decision and its end on record, once.
    let records = server.finish().records;
    for n in 1..=6 {
        let count = |kind: &str| {
            records
                .iter()
                .filter(|r| r["type"] == kind && r["alias"] == format!("web{n}"))
                .count()
        };
        assert_eq!((count("policy_decision"), count("audit")), (1, 1), "web{n}");
    }
    fleet.host("web3").thaw();
}

#[test]
fn a_batch_bounds_how_many_run_at_a_time() {
    let fleet = web(5);
    let gate = Gate::new();
    for machine in &fleet.machines {
        machine.stub("hostname", &format!("#!/bin/sh\n{}\nexit 0\n", gate.wait()));
    }
    let server = Server::start(&fleet.setup);
    let call = server.begin_call(
        "ssh_run_on_tag",
        json!({"tag": "web", "command": "hostname", "batch": 2}),
    );
    for _ in 0..5 {
        gate.open();
    }
    let frame = server.response(&call);
    let run = &members(&frame["result"]);
    assert_eq!(summary(run), json!({"total": 5, "succeeded": 5}));
    // By the record, the third was begun only after the first had ended, and so on.
    let records = server.finish().records;
    // One that connects slowly says so more than once.
    let mut begun = std::collections::HashSet::new();
    let (mut now, mut most) = (0, 0);
    for record in &records {
        match (record["type"].as_str(), record["phase"].as_str()) {
            (Some("progress"), Some("connecting")) => {
                now += i32::from(begun.insert(record["task_id"].to_string()));
            }
            (Some("audit"), _) => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    assert_eq!(most, 2);
}

#[test]
fn after_too_many_failures_no_further_host_is_begun() {
    let fleet = web(6);
    for machine in &fleet.machines {
        machine.stub("hostname", "#!/bin/sh\nexit 1\n");
    }
    fleet.host("web1").stub("hostname", "#!/bin/sh\nexit 0\n");
    let server = Server::start(&fleet.setup);
    let run = on_web(
        &server,
        "hostname",
        json!({"batch": 1, "max_failures": 2, "group_identical": false}),
    );
    assert_eq!(
        aliases(&run),
        ["web1", "web2", "web3", "web4", "web5", "web6"]
    );
    assert_eq!(
        summary(&run),
        json!({"total": 6, "succeeded": 1, "failed": 2, "not_run": 3})
    );
    for n in 4..=6 {
        assert_eq!(fleet.host(&format!("web{n}")).logins(), 0);
    }
    let records = server.finish().records;
    let audits = records.iter().filter(|r| r["type"] == "audit");
    assert_eq!(audits.count(), 3);
    let decisions = records.iter().filter(|r| r["type"] == "policy_decision");
    assert_eq!(decisions.count(), 6, "all were judged");
}

#[test]
fn a_host_that_the_network_policy_denies_has_not_failed() {
    let fleet = web(2);
    let out = "  - alias: out\n    host: 192.0.2.1\n    port: 22\n    credentials: fleet\n    tags: [web]\n";
    let servers = fleet
        .servers_yaml()
        .replace("hosts:\n", &format!("hosts:\n{out}"));
    fleet.setup.write("servers.yml", &servers);
    let server = Server::start(&fleet.setup);
    let run = on_web(&server, "true", json!({"batch": 1, "max_failures": 1}));
    assert_eq!(
        summary(&run),
        json!({"total": 3, "succeeded": 2, "denied": 1})
    );
}

#[test]
fn equal_outputs_are_given_once_with_their_hosts() {
    let fleet = web(5);
    for (n, script) in [
        (1, "echo same"),
        (2, "echo other"),
        (3, "echo same"),
        (4, "echo same; exit 1"),
        (5, "echo same"),
    ] {
        fleet
            .host(&format!("web{n}"))
            .stub("hostname", &format!("#!/bin/sh\n{script}\n"));
    }
    let server = Server::start(&fleet.setup);
    let run = on_web(&server, "hostname", json!({"group_identical": true}));
    let groups = run["groups"].as_array().unwrap();
    let found: Vec<_> = groups
        .iter()
        .map(|g| {
            (
                g["aliases"].clone(),
                g["output"].clone(),
                g["exit_code"].clone(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [(json!(["web1", "web3", "web5"]), json!("same"), json!(0)),]
    );
    // Whoever differs stands alone.
    assert_eq!(aliases(&run), ["web2", "web4"]);
    assert_eq!(run["results"][0]["output"], "other");
    assert_eq!(run["results"][1]["exit_code"], 1);
    assert_eq!(
        summary(&run),
        json!({"total": 5, "succeeded": 4, "failed": 1})
    );
    server.finish();
}

#[test]
fn the_reply_fits_its_budget_and_says_what_it_leaves_out() {
    let fleet = web(4);
    for n in 1..=3 {
        fleet
            .host(&format!("web{n}"))
            .stub("hostname", "#!/bin/sh\nseq -f '\"%06.0f\"' 80000\n");
    }
    fleet
        .host("web4")
        .stub("hostname", "#!/bin/sh\necho short\n");
    let server = Server::start(&fleet.setup);
    let call = server.begin_call(
        "ssh_run_on_tag",
        json!({"tag": "web", "command": "hostname", "group_identical": false}),
    );
    let frame = server.response(&call);
    assert!(frame.to_string().len() <= 64 * 1024);
    let run = &members(&frame["result"]);
    assert_eq!(run["results"][3]["output"], "short");
    let whole: String = (1..=80_000).map(|n| format!("\"{n:06}\"\n")).collect();
    for result in &run["results"].as_array().unwrap()[..3] {
        let shown = result["output"].as_str().unwrap();
        assert!(shown.len() > 3_000, "{} bytes", shown.len());
        assert!(shown.starts_with("\"000001\"\n") && shown.ends_with("\n\"080000\""));
        assert!(
            result.to_string().contains("ssh_get_task_output"),
            "says how to read the rest"
        );
        // And there it is.
        let mut text = String::new();
        let mut offset = json!(0);
        loop {
            let page = server.tool(
                "ssh_get_task_output",
                json!({"task_id": result["task_id"], "offset": offset}),
            );
            text += page["text"].as_str().unwrap();
            offset = page["next_offset"].clone();
            if offset == page["available"] {
                break;
            }
        }
        assert!(text == whole);
    }
    server.finish();
}

#[test]
fn cancelling_the_call_ends_all_of_it() {
    let fleet = web(4);
    for machine in &fleet.machines {
        machine.stub("hostname", "#!/bin/sh\nexec sleep 4713\n");
    }
    let server = Server::start(&fleet.setup);
    let call = server.begin_call(
        "ssh_run_on_tag",
        json!({"tag": "web", "command": "hostname", "batch": 3}),
    );
    wait_until("three remote commands", || {
        processes_with("sleep 4713").len() == 3
    });
    server.notify("notifications/cancelled", json!({"requestId": call}));
    wait_until("the end of all", || processes_with("sleep 4713").is_empty());
    for _ in 0..3 {
        server.wait_record("a cancelled end", |r| {
            r["type"] == "audit" && r["cancelled"] == true
        });
    }
    assert_eq!(fleet.host("web4").logins(), 0, "the fourth was not begun");
    assert_eq!(server.tool("ssh_ping", json!({}))["status"], "pong");
    let records = server.finish().records;
    assert_eq!(records.iter().filter(|r| r["type"] == "audit").count(), 3);
}

/// Who waits for the answer has it within the time limit of one host, however many there are;
/// who takes a task waits for all of them.
#[test]
fn the_answer_comes_before_a_client_gives_up() {
    let fleet = web(3);
    let policy = policy_allowing(&["hostname"]).replace("max_seconds: 30", "max_seconds: 4");
    fleet.setup.write("policy.yml", &policy);
    let gate = Gate::new();
    let held = format!("#!/bin/sh\n{}\necho one\n", gate.wait());
    fleet.host("web1").stub("hostname", &held);
    let server = Server::start(&fleet.setup);
    let run = on_web(&server, "hostname", json!({"batch": 1}));
    assert_eq!(
        summary(&run),
        json!({"total": 3, "timed_out": 1, "not_run": 2}),
        "{run}"
    );
    let text = run.to_string();
    assert!(text.contains("the time of this call was over"), "{text}");
    assert!(
        ["web2", "web3"]
            .iter()
            .all(|alias| fleet.host(alias).logins() == 0)
    );

    let arguments = json!({"tag": "web", "command": "hostname", "batch": 1});
    let call = json!({"name": "ssh_run_on_tag", "arguments": arguments, "task": {}});
    let task = server.request("tools/call", call)["task"].clone();
    let result = server.request("tasks/result", json!({"taskId": task["taskId"]}));
    assert_eq!(
        summary(&members(&result)),
        json!({"total": 3, "timed_out": 1, "succeeded": 2}),
        "{result}"
    );
    server.finish();
}
