//! Every frame of a raw conversation matches the official schema of its revision, in all
//! five revisions: negotiation, error codes, removed methods, odd input, the exit.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::path::Path;
use std::process::Command;

use crate::common::{Era, Fleet};

/// The checker judges by the schemas beside it, with a library of its own: what the
/// harness's validator overlooks, it sees.
fn framecheck(era: Era) {
    let fleet = Fleet::of(&["one", "two"]);
    let server = fleet.setup.command();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/clients/python/bin/python");
    assert!(
        python.exists(),
        "{} is missing: scripts/test installs it",
        python.display()
    );
    let mut check = Command::new(python);
    check
        .arg(root.join("tests/data/mcp/framecheck.py"))
        .args(["--eras", era.name(), "--"])
        .arg(server.get_program())
        .args(server.get_args());
    for (name, value) in server.get_envs() {
        match value {
            Some(value) => check.env(name, value),
            None => check.env_remove(name),
        };
    }
    let output = check.output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let passed = report
        .lines()
        .filter(|line| line.starts_with("PASS"))
        .count();
    assert!(
        output.status.success() && report.contains("TOTAL FAILS 0") && passed > 15,
        "{report}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn revision_2024_11_05() {
    framecheck(Era::V2024_11_05);
}

#[test]
fn revision_2025_03_26() {
    framecheck(Era::V2025_03_26);
}

#[test]
fn revision_2025_06_18() {
    framecheck(Era::V2025_06_18);
}

#[test]
fn revision_2025_11_25() {
    framecheck(Era::V2025_11_25);
}

#[test]
fn revision_2026_07_28() {
    framecheck(Era::V2026_07_28);
}
