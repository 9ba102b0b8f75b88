//! Promise: room on the audit file's disk is looked at before it is gone. It is said once, no
//! command begins with less than the operator wants, and what runs can still end on record.
//! The disk is a small tmpfs. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::audit_disk::{ledger_with_log, own_mounts, refused, sh, start};
use crate::common::{Fleet, Launch, policy_allowing, wait_until};
use crate::ledger::{assert_sound, count, ended, records, run};
use mcp_ssh_orchestrator::testing::audit::{Audit, Patterns};
use mcp_ssh_orchestrator::testing::model::names::OnAuditFailure;
use mcp_ssh_orchestrator::testing::model::room::{AuditSpace, Room};

fn take(directory: &Path, kib: u32) {
    sh(
        &format!("dd if=/dev/zero of=taken-{kib} bs=1024 count={kib} 2>/dev/null"),
        directory,
    );
}

fn events(records: &[Value], reason: &str) -> usize {
    let low =
        |record: &&Value| record["event_type"] == "audit_space_low" && record["reason"] == reason;
    records.iter().filter(low).count()
}

fn recovered(log: &Path) -> usize {
    let log = records(log);
    let said = log.iter().filter(|r| r["msg"] == "audit_space_recovered");
    said.count()
}

fn on_a_small_disk(name: &str, bounds: AuditSpace, told: impl FnOnce(&Audit, &Path, &Path)) {
    let scratch = own_mounts(name);
    sh(
        "mkdir small && mount -t tmpfs -o size=1024k none small",
        scratch.path(),
    );
    let small = scratch.path().join("small");
    let log = scratch.path().join("log");
    let audit = ledger_with_log(&small.join("audit.jsonl"), &log);
    audit.mind_space(bounds);
    told(&audit, &small, &log);
}

#[test]
fn low_space_is_said_and_then_refuses_what_begins() {
    let bounds = AuditSpace {
        warn_below: Room::Percent(50),
        refuse_below: Room::Bytes(256 * 1024),
    };
    on_a_small_disk("space", bounds, |audit, small, log| {
        let path = small.join("audit.jsonl");
        // The bound is kept to whatever becomes of a record that cannot be written.
        audit.configure(Patterns::none(), OnAuditFailure::Warn);
        run(audit, 1);
        assert_eq!(events(&records(log), "warn_below"), 0);

        take(small, 600);
        let open = start(audit, 2).unwrap();
        run(audit, 3);
        assert_eq!(events(&records(log), "warn_below"), 1, "once, not at each");

        take(small, 250);
        for number in 4..8 {
            refused(audit, number, "audit_space: refuse_below");
        }
        assert_eq!(events(&records(log), "refuse_below"), 1);
        let trouble = audit.trouble().unwrap();
        assert!(trouble.contains("bytes are free"), "{trouble}");
        // There is room for the end of what runs: that is what the bound is for.
        open.finish(ended());
        assert_sound(&[&path]);

        fs::remove_file(small.join("taken-250")).unwrap();
        run(audit, 8);
        assert_eq!(recovered(log), 1);
        fs::remove_file(small.join("taken-600")).unwrap();
        run(audit, 9);
        assert_eq!(recovered(log), 2);
        assert!(audit.trouble().is_none());
        audit.close("end_of_input");

        let report = assert_sound(&[&path]);
        assert!(report.contains("5 commands started, 5 ended"), "{report}");
        // It is in the chain too, each refusal with its decision.
        let found = records(&path);
        assert_eq!(events(&found, "warn_below"), 1);
        assert_eq!(events(&found, "refuse_below"), 1);
        assert_eq!(count(&found, "policy_decision"), 9);
        let log = records(log);
        let refusals = log.iter().filter(|r| r["msg"] == "audit_refused");
        assert_eq!(refusals.count(), 4);
    });
}

#[test]
fn without_bounds_nothing_is_said() {
    let bounds = AuditSpace {
        warn_below: Room::Percent(0),
        refuse_below: Room::Bytes(0),
    };
    on_a_small_disk("no-space", bounds, |audit, small, log| {
        take(small, 900);
        run(audit, 1);
        assert_eq!(events(&records(log), "warn_below"), 0);
        assert!(audit.trouble().is_none());
    });
}

#[test]
fn a_server_says_it_everywhere() {
    let scratch = own_mounts("space-server");
    sh(
        "mkdir small && mount -t tmpfs -o size=1024k,mode=777 none small && chmod 755 .",
        scratch.path(),
    );
    let small = fs::canonicalize(scratch.path().join("small")).unwrap();
    let (file, figures) = (small.join("audit.jsonl"), scratch.path().join("own.prom"));
    let fleet = Fleet::of(&["web1"]);
    let bounds = "audit_space: {warn_below: 50%, refuse_below: 262_144}\n";
    let policy = policy_allowing(&["true"]) + bounds;
    fleet.setup.write("policy.yml", &policy);
    let args = [
        "--audit-file",
        file.to_str().unwrap(),
        "--metrics-file",
        figures.to_str().unwrap(),
    ];
    let server = Launch::default().args(&args).start(&fleet.setup);
    let space = || {
        let uri = json!({"uri": "ssh://host/web1/capabilities"});
        let read = server.request("resources/read", uri);
        let text = read["contents"][0]["text"].as_str().unwrap();
        serde_json::from_str::<Value>(text).unwrap()["audit"].clone()
    };
    let figure = |line: &str| {
        let text = fs::read_to_string(&figures).unwrap_or_default();
        text.lines().any(|found| found == line)
    };
    assert_eq!(server.run("web1", "true")["exit_code"], 0);
    let well = json!({"file": true, "written": true, "space": "enough"});
    assert_eq!(space(), well);

    take(&small, 600);
    assert_eq!(server.run("web1", "true")["exit_code"], 0);
    assert_eq!(space()["space"], "low");

    take(&small, 250);
    let asked = json!({"alias": "web1", "command": "true"});
    let said = server.call("ssh_run", asked).to_string();
    assert!(said.contains("nearly full"), "{said}");
    assert!(!said.contains("small"), "no path: {said}");
    assert_eq!(space()["space"], "refusing");
    wait_until("the figures say so", || {
        figure("mcp_ssh_audit_space_low{server=\"own\"} 2")
            && figure("mcp_ssh_audit_failing{server=\"own\"} 0")
    });

    fs::remove_file(small.join("taken-250")).unwrap();
    fs::remove_file(small.join("taken-600")).unwrap();
    assert_eq!(server.run("web1", "true")["exit_code"], 0);
    assert_eq!(space(), well);
    server.finish();
    assert_sound(&[&file]);
    let found = records(&file);
    assert_eq!(events(&found, "warn_below"), 1);
    assert_eq!(events(&found, "refuse_below"), 1);
}
