//! Promise: the systemd units are ones that systemd takes, also that which Podman makes of the
//! quadlet, and confine what they start.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{installed, read, root};
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
    verified(
        &units(),
        &[
            "mcp-ssh-orchestrator.socket",
            "mcp-ssh-orchestrator@.service",
            "mcp-ssh-gateway.service",
        ],
    );
}

/// Podman's own generator (of Debian 13: Debian 12's Podman has none) makes a unit of it, and
/// systemd takes that one.
#[test]
fn podman_makes_a_unit_of_the_quadlet_that_systemd_takes() {
    let generated = |quadlets: &Path, into: &Path| {
        Command::new(installed("quadlet"))
            .arg("-no-kmsg-log")
            .arg(into)
            .env("QUADLET_UNIT_DIRS", quadlets)
            .output()
            .unwrap()
    };
    let scratch = Scratch::new("quadlet");
    let output = generated(&root().join("deploy/quadlet"), scratch.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
    let name = "mcp-ssh-orchestrator@.service";
    let unit = fs::read_to_string(scratch.path().join(name)).unwrap();
    let (_, start) = unit.split_once("\nExecStart=").unwrap();
    let words: Vec<&str> = start.lines().next().unwrap().split(' ').collect();
    for word in [
        "--interactive",
        "--read-only",
        "--security-opt=no-new-privileges",
        "--memory=64m",
    ] {
        assert!(words.contains(&word), "{word}: {unit}");
    }
    for pair in [
        ["--cap-drop", "all"],
        ["--log-driver", "passthrough"],
        ["--user", "10001:10001"],
    ] {
        assert!(
            words.windows(2).any(|words| *words == pair),
            "{pair:?}: {unit}"
        );
    }
    assert_eq!(unit.matches(":ro ").count(), 3, "{unit}");
    let socket = read("deploy/systemd/mcp-ssh-orchestrator.socket");
    let socket = socket.replace("SocketGroup=mcp-ssh", "SocketGroup=daemon");
    fs::write(scratch.path().join("mcp-ssh-orchestrator.socket"), socket).unwrap();
    verified(&scratch, &["mcp-ssh-orchestrator.socket", name]);

    // A key that Podman does not know is one that the generator names.
    let slip = Scratch::new("quadlet-slip");
    let text = read("deploy/quadlet/mcp-ssh-orchestrator@.container");
    let text = text.replace("ReadOnly=true", "ReedOnly=true");
    fs::write(slip.path().join("mcp-ssh-orchestrator@.container"), text).unwrap();
    let output = generated(slip.path(), slip.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("ReedOnly"),
        "{said}"
    );
}

fn verified(scratch: &Scratch, units: &[&str]) {
    let output = Command::new(tool("systemd-analyze"))
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(units.iter().map(|unit| scratch.path().join(unit)))
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
