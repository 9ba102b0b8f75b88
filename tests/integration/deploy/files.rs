//! Promise: what `deploy/` holds can be read by what it is for, names no variable or option
//! that the program does not have, and leaves none of the confinement away.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeSet;

use mcp_ssh_orchestrator::testing::config::yaml::node::parse;
use serde_json::Value;

use super::{deployed, read};
use crate::common::{Setup, run_cli};

#[test]
fn every_file_is_well_formed() {
    let mut parsed = 0;
    for file in deployed() {
        let text = read(&file);
        match file.rsplit('.').next().unwrap() {
            "json" => drop(serde_json::from_str::<Value>(&text).unwrap()),
            "yaml" => {
                for document in text.split("\n---\n") {
                    let parsed = parse(document.as_bytes());
                    assert!(parsed.is_ok(), "{file}: {:?}", parsed.err());
                }
            }
            _ => continue,
        }
        parsed += 1;
    }
    assert!(parsed >= 7, "{parsed}");
}

#[test]
fn variables_and_options_are_those_of_the_program() {
    let help = run_cli(&Setup::new(), &["--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let mut found = BTreeSet::new();
    let files = deployed();
    for file in files
        .iter()
        .map(String::as_str)
        .chain(["README.md", "server.json"])
    {
        for word in read(file).split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            if let Some(rest) = word.strip_prefix("MCP_SSH_") {
                let secret = rest.starts_with("SECRET_");
                assert!(secret || help.contains(word), "{file}: {word}");
                found.insert(word.to_owned());
            }
        }
    }
    assert!(found.len() >= 5, "{found:?}");
    for file in [
        "deploy/compose/compose.yaml",
        "deploy/systemd/mcp-ssh-orchestrator@.service",
    ] {
        let words: Vec<String> = read(file)
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | '[' | ']'))
            .filter(|word| word.starts_with("--audit-"))
            .map(str::to_owned)
            .collect();
        assert!(!words.is_empty(), "{file}");
        for word in words {
            assert!(help.contains(&word), "{file}: {word}");
        }
    }
}

#[test]
fn a_container_has_the_same_memory_everywhere() {
    for (file, limit) in [
        ("README.md", "--memory=64m"),
        ("Dockerfile", "--memory=64m"),
        ("server.json", "\"--memory\", \"value\": \"64m\""),
        ("deploy/compose/compose.yaml", "mem_limit: 64m"),
        (
            "deploy/kubernetes/mcp-ssh-orchestrator.yaml",
            "limits: {memory: 64Mi}",
        ),
        (
            "deploy/quadlet/mcp-ssh-orchestrator@.container",
            "--memory=64m",
        ),
        ("scripts/container-test", "limit=$((64 * 1024 * 1024))"),
    ] {
        assert!(read(file).contains(limit), "{file}: {limit}");
    }
}

#[test]
fn the_pod_is_confined() {
    let pod = read("deploy/kubernetes/mcp-ssh-orchestrator.yaml");
    for line in [
        "runAsNonRoot: true",
        "runAsUser: 10001",
        "fsGroup: 10001",
        "seccompProfile: {type: RuntimeDefault}",
        "allowPrivilegeEscalation: false",
        "readOnlyRootFilesystem: true",
        "capabilities: {drop: [ALL]}",
        "automountServiceAccountToken: false",
        "stdin: true",
        "MCP_SSH_ALLOW_LINKS_BENEATH, value: \"1\"",
    ] {
        assert!(pod.contains(line), "{line}");
    }
    assert_eq!(pod.matches("readOnly: true").count(), 3);
}

/// One version, one name and one program; that they are well formed is `schemas`' matter.
#[test]
fn registry_entries_are_of_this_program() {
    let json = |file: &str| serde_json::from_str::<Value>(&read(file)).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let server = json("server.json");
    assert_eq!(server["version"], version);
    let package = &server["packages"][0];
    let image = package["identifier"].as_str().unwrap();
    assert!(image.ends_with(&format!(":{version}")), "{image}");
    let label = format!(
        "io.modelcontextprotocol.server.name=\"{}\"",
        server["name"].as_str().unwrap()
    );
    assert!(
        read("Dockerfile").contains(&label),
        "the image carries {label}"
    );

    let bundle = json("deploy/registry/mcpb-manifest.json");
    assert_eq!(bundle["version"], version);
    assert_eq!(bundle["server"]["type"], "binary");
    let command = bundle["server"]["mcp_config"]["command"].as_str().unwrap();
    assert!(command.ends_with(bundle["server"]["entry_point"].as_str().unwrap()));
}
