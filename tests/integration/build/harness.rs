//! The harness keeps its own promises: real servers on their own addresses, a login that
//! works, a validator that refuses, nothing left behind.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::process::Command;

use crate::common::{Era, Fleet, HostSpec, Scratch, processes_with, run, tool, violations};
use serde_json::json;

/// OpenSSH's own client against a host of the fleet, with the fleet's key and known_hosts.
fn ssh(fleet: &Fleet, alias: &str, command: &str) -> (bool, String) {
    let host = fleet.host(alias);
    let key = fleet.setup.keys.join("id_fleet");
    let known = fleet.setup.keys.join("known_hosts");
    let output = Command::new(tool("ssh"))
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "StrictHostKeyChecking=yes",
        ])
        .args(["-o", "GlobalKnownHostsFile=/dev/null", "-o"])
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(key)
        .args(["-p", &host.port.to_string()])
        .arg(format!("{}@{}", crate::common::login().name, host.address))
        .arg(command)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

#[test]
fn hosts_are_separate_and_reached_by_their_own_key() {
    let fleet = Fleet::with(vec![
        HostSpec::new("one").env("ROLE", "first"),
        HostSpec::new("two").dropbear(),
    ]);
    fleet
        .host("one")
        .stub("uptime", "#!/bin/sh\necho stubbed $ROLE\n");
    assert_ne!(fleet.host("one").address, fleet.host("two").address);
    assert_eq!(
        ssh(&fleet, "one", "uptime"),
        (true, "stubbed first\n".into())
    );
    assert_eq!(ssh(&fleet, "two", "echo hello"), (true, "hello\n".into()));
    fleet.host("one").wait_log("Accepted publickey");
    fleet.host("two").wait_log("auth succeeded");
    fleet.host("one").change_host_key();
    assert!(
        !ssh(&fleet, "one", "true").0,
        "the old known_hosts must no longer do"
    );
    fleet.write_all();
    assert!(ssh(&fleet, "one", "true").0);
}

#[test]
fn stopping_a_host_ends_what_runs_on_it() {
    let fleet = Fleet::of(&["one"]);
    let marker = "4711.25";
    let (done, _) = ssh(
        &fleet,
        "one",
        &format!("nohup sleep {marker} >/dev/null 2>&1 & echo started"),
    );
    assert!(done);
    let sleep = format!("sleep {marker}");
    crate::common::wait_until("the sleep runs", || !processes_with(&sleep).is_empty());
    fleet.host("one").stop();
    crate::common::wait_until("the sleep is gone", || processes_with(&sleep).is_empty());
    assert!(!ssh(&fleet, "one", "true").0);
    fleet.host("one").start();
    assert!(ssh(&fleet, "one", "true").0);
}

#[test]
fn a_crowd_shares_a_few_servers() {
    let fleet = Fleet::crowd(20);
    assert_eq!(fleet.machines.len(), 20);
    assert!(ssh(&fleet, "node-000", "true").0 && ssh(&fleet, "node-019", "true").0);
}

#[test]
fn scratch_is_gone_with_its_handle() {
    let scratch = Scratch::new("probe");
    let path = scratch.path().to_owned();
    run("touch", &[path.join("file").to_str().unwrap()]);
    drop(scratch);
    assert!(!path.exists());
}

#[test]
fn the_validator_takes_right_frames_and_refuses_wrong_ones() {
    for era in Era::ALL {
        let right = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete"}});
        let nothing: Vec<String> = Vec::new();
        assert_eq!(
            era.check("JSONRPCMessage", &right),
            nothing,
            "{}",
            era.name()
        );
        for wrong in [
            json!({"id": 1, "result": {}}),
            json!({"jsonrpc": "2.0", "id": 1.5, "result": {}}),
            json!("text"),
        ] {
            assert_ne!(
                era.check("JSONRPCMessage", &wrong),
                nothing,
                "{}: {wrong}",
                era.name()
            );
        }
    }
    let era = Era::V2025_11_25;
    let tool = json!({"name": "a", "inputSchema": {"type": "object"}});
    assert!(
        era.check("ListToolsResult", &json!({"tools": [tool]}))
            .is_empty()
    );
    assert!(
        !era.check("ListToolsResult", &json!({"tools": [{"name": "a"}]}))
            .is_empty()
    );
    assert!(
        !era.check(
            "ListToolsResult",
            &json!({"tools": [{"name": "a", "inputSchema": {"type": "array"}}]})
        )
        .is_empty()
    );
    let modern = Era::V2026_07_28;
    assert!(
        !modern
            .check("ListToolsResult", &json!({"tools": []}))
            .is_empty(),
        "resultType and ttlMs are missing"
    );
}

#[test]
fn the_validator_knows_each_keyword_it_meets() {
    let schema = json!({
        "type": "object", "required": ["n"], "additionalProperties": false,
        "properties": {
            "n": {"type": "integer", "minimum": 1, "maximum": 3},
            "s": {"type": ["string", "null"], "minLength": 2, "maxLength": 3},
            "l": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1, "maxItems": 2},
            "o": {"oneOf": [{"const": 1}, {"type": "boolean"}, {"const": true}]},
            "x": {"not": {"type": "string"}}
        }
    });
    for right in [
        json!({"n": 1}),
        json!({"n": 3, "s": null, "l": ["a"], "o": 1, "x": 5}),
        json!({"n": 2.0, "s": "äö"}),
    ] {
        assert!(
            violations(&schema, &right).is_empty(),
            "{right}: {:?}",
            violations(&schema, &right)
        );
    }
    let wrong = [
        json!({}),
        json!({"n": 0}),
        json!({"n": 4}),
        json!({"n": 1.5}),
        json!({"n": 1, "m": 1}),
        json!({"n": 1, "s": "a"}),
        json!({"n": 1, "s": "abcd"}),
        json!({"n": 1, "l": []}),
        json!({"n": 1, "l": ["c"]}),
        json!({"n": 1, "l": ["a", "a", "a"]}),
        json!({"n": 1, "o": true}),
        json!({"n": 1, "o": 2}),
        json!({"n": 1, "x": "s"}),
        json!([]),
    ];
    for wrong in wrong {
        assert!(
            !violations(&schema, &wrong).is_empty(),
            "{wrong} should be refused"
        );
    }
}
