//! Promise: the C source that is compiled in has the fixes that SECURITY.md names.
//!
//! libssh2's release notes list each commit; the released 1.11.1 has none of these.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// An advisory about libssh2 and the commit that mends it.
const LIBSSH2: [(&str, &str); 10] = [
    ("CVE-2025-15661", "2dae3024"),
    ("CVE-2026-7598", "256d04b6"),
    ("CVE-2026-55199", "17626857"),
    ("CVE-2026-55200", "97acf3df"),
    ("CVE-2026-58050", "34497525"),
    ("CVE-2026-58051", "a9758da4"),
    ("CVE-2026-66032", "5e477614"),
    ("CVE-2026-66033", "a2ed82d4"),
    ("CVE-2026-66034", "a13bb6c7"),
    ("CVE-2026-66035", "42e33d81"),
];

#[test]
fn libssh2_is_mended() {
    let notes = source_of("libssh2-sys").join("libssh2/RELEASE-NOTES");
    let notes = std::fs::read_to_string(notes).unwrap();
    let security = include_str!("../../../SECURITY.md");
    for (advisory, commit) in LIBSSH2 {
        assert!(
            notes.contains(commit),
            "{advisory}: {commit} is not in libssh2's source"
        );
        assert!(
            security.contains(advisory),
            "SECURITY.md does not name {advisory}"
        );
    }
}

/// Where cargo keeps the source that `Cargo.lock` names.
fn source_of(package: &str) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let found: Vec<_> = packages
        .iter()
        .filter(|found| found["name"] == package)
        .collect();
    assert_eq!(found.len(), 1, "{package}");
    let manifest = PathBuf::from(found[0]["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().to_owned()
}
