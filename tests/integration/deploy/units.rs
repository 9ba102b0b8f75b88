//! Promise: the systemd units are ones that systemd takes, and confine what they start.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::process::Command;

use super::read;
use crate::common::{Scratch, tool};

/// With the program where the units expect it.
fn units() -> Scratch {
    let scratch = Scratch::new("units");
    let program = env!("CARGO_BIN_EXE_mcp-ssh-orchestrator");
    for (folder, name) in [
        ("systemd", "mcp-ssh-orchestrator.socket"),
        ("systemd", "mcp-ssh-orchestrator@.service"),
        ("gateway", "mcp-ssh-gateway.service"),
    ] {
        let unit = read(&format!("deploy/{folder}/{name}"));
        // `verify` looks for users of this machine and for the page of a package.
        let unit = unit
            .replace("/usr/bin/mcp-ssh-orchestrator", program)
            .replace("Documentation=man:mcp-ssh-orchestrator(1)\n", "")
            .replace("SocketGroup=mcp-ssh", "SocketGroup=daemon")
            .replace("/usr/bin/node", program)
            .replace("User=mcp-ssh", "User=daemon")
            .replace("Group=www-data", "Group=daemon")
            .replace("Group=mcp-ssh", "Group=daemon");
        fs::write(scratch.path().join(name), unit).unwrap();
    }
    scratch
}

#[test]
fn systemd_takes_them() {
    let scratch = units();
    let output = Command::new(tool("systemd-analyze"))
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(scratch.path().join("mcp-ssh-orchestrator.socket"))
        .arg(scratch.path().join("mcp-ssh-orchestrator@.service"))
        .arg(scratch.path().join("mcp-ssh-gateway.service"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("mcp-ssh-"))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

/// 0.0 is best, 10.0 worst; a service without any of it has 9.6.
#[test]
fn the_service_is_scored_as_confined() {
    let scratch = units();
    let output = Command::new(tool("systemd-analyze"))
        .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
        .arg(scratch.path().join("mcp-ssh-orchestrator@.service"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("Overall exposure level"), "{said}");
}
