//! The end of the server: no new work, remote processes ended, every record written, in
//! two seconds at most.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, HostSpec, Server, policy_allowing, processes_with, wait_until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A server with running, waiting and finished tasks, and one on a host that hangs.
fn busy(fleet: &Fleet, sleep: &str) -> Server {
    for alias in ["web1", "web2"] {
        fleet
            .host(alias)
            .stub("hostname", &format!("#!/bin/sh\nsleep {sleep} | cat\n"));
    }
    fleet.setup.write(
        "policy.yml",
        &(policy_allowing(&["hostname", "echo *"]) + "concurrency: {max_per_host: 2}\n"),
    );
    fleet.host("hung").freeze();
    let server = Server::start(&fleet.setup);
    assert_eq!(server.run("web1", "echo before")["exit_code"], 0);
    for alias in ["web1", "web1", "web1", "web2", "hung"] {
        let task = server.tool(
            "ssh_run_async",
            json!({"alias": alias, "command": "hostname"}),
        );
        assert_eq!(task["status"], "pending");
    }
    wait_until("the remote commands", || {
        processes_with(&format!("sleep {sleep}")).len() == 3
    });
    server.wait_record("the hung host", |r| {
        r["type"] == "progress"
            && r["task_id"]
                .as_str()
                .is_some_and(|id| id.starts_with("hung:"))
    });
    server
}

fn check(records: &[Value]) {
    let of = |kind: &str| {
        records
            .iter()
            .filter(|r| r["type"] == kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("policy_decision").len(), 6);
    let audits = of("audit");
    assert_eq!(
        audits.len(),
        6,
        "each command has its end on record: {audits:?}"
    );
    let cancelled = audits
        .iter()
        .filter(|r| r["cancelled"] == true && r["exit_code"] == -1);
    assert_eq!(cancelled.count(), 5);
}

fn hosts() -> Fleet {
    Fleet::with(["web1", "web2", "hung"].map(HostSpec::new).into())
}

#[test]
fn the_end_of_input_ends_everything() {
    let fleet = hosts();
    let server = busy(&fleet, "4721");
    let done = server.finish();
    assert_eq!(done.status.code(), Some(0));
    wait_until("the end of the remote commands", || {
        processes_with("sleep 4721").is_empty()
    });
    check(&done.records);
    fleet.host("hung").thaw();
}

#[test]
fn sigterm_ends_everything() {
    let fleet = hosts();
    let server = busy(&fleet, "4722");
    server.signal(Signal::SIGTERM);
    let status = server.wait_exit();
    assert_eq!(status.code(), Some(0));
    wait_until("the end of the remote commands", || {
        processes_with("sleep 4722").is_empty()
    });
    check(&server.finish().records);
    fleet.host("hung").thaw();
}

#[test]
fn a_remote_process_that_ignores_term_is_killed_in_time() {
    let fleet = Fleet::of(&["web1"]);
    fleet.host("web1").stub(
        "hostname",
        "#!/bin/sh\ntrap '' TERM HUP\nsleep 4723\nsleep 4723\n",
    );
    let server = Server::start(&fleet.setup);
    server.tool(
        "ssh_run_async",
        json!({"alias": "web1", "command": "hostname"}),
    );
    wait_until("the remote command", || {
        !processes_with("sleep 4723").is_empty()
    });
    let done = server.finish();
    assert_eq!(done.status.code(), Some(0));
    wait_until("the end of the remote command", || {
        processes_with("sleep 4723").is_empty()
    });
    let audit = done.records.iter().find(|r| r["type"] == "audit").unwrap();
    assert_eq!(audit["cancelled"], true);
}
