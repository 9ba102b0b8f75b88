//! Promise: what `deploy/` has for Kubernetes, compose, registries, bundles and Loki is taken by
//! the schema, the program or the grammar that it is written for, and each of these would find
//! a slip.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{installed, read, root};
use crate::common::{Scratch, tool};

/// What a program says of a file of `deploy/` as it stands, then of that file with a slip in it.
fn judged(file: &str, slip: (&str, &str), judge: impl Fn(&Path) -> Output) -> [Output; 2] {
    judged_as(file, |text| text, slip, judge)
}

/// The same of a file that is not delivered as it stands.
fn judged_as(
    file: &str,
    delivered: impl Fn(String) -> String,
    slip: (&str, &str),
    judge: impl Fn(&Path) -> Output,
) -> [Output; 2] {
    let scratch = Scratch::new("schemas");
    let text = delivered(read(file));
    assert!(text.contains(slip.0), "{file} has no {}", slip.0);
    [text.clone(), text.replace(slip.0, slip.1)].map(|text| {
        let path = scratch.path().join(Path::new(file).file_name().unwrap());
        fs::write(&path, text).unwrap();
        judge(&path)
    })
}

fn expect(of: &str, [ours, with_a_slip]: [Output; 2], named: &str) {
    assert!(ours.status.success(), "{of}: {ours:?}");
    assert!(!with_a_slip.status.success(), "{of}: {with_a_slip:?}");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&with_a_slip.stdout),
        String::from_utf8_lossy(&with_a_slip.stderr)
    );
    assert!(said.contains(named), "{of}: {said}");
}

#[test]
fn kubernetes_schemas_take_the_pod() {
    for version in ["1.28", "1.31", "1.34", "1.37"] {
        for (slip, named) in [
            (("stdin: true", "stdln: true"), "stdln"),
            (("runAsUser: 10001", "runAsUser: someone"), "someone"),
            (("capabilities: {drop", "capabilities: {dorp"), "dorp"),
        ] {
            let validate = |path: &Path| {
                Command::new(installed("python/bin/kubernetes-validate"))
                    .args(["--strict", "--kubernetes-version", version])
                    .arg(path)
                    .output()
                    .unwrap()
            };
            let file = "deploy/kubernetes/mcp-ssh-orchestrator.yaml";
            expect(version, judged(file, slip, validate), named);
        }
    }
}

#[test]
fn compose_takes_the_service() {
    for (slip, named) in [
        (("stdin_open: true", "stdin_opened: true"), "stdin_opened"),
        (("read_only: true", "read_only: perhaps"), "read_only"),
    ] {
        let config = |path: &Path| {
            Command::new(tool("docker-compose"))
                .arg("-f")
                .arg(path)
                .arg("config")
                .output()
                .unwrap()
        };
        let file = "deploy/compose/compose.yaml";
        expect("compose", judged(file, slip, config), named);
    }
}

#[test]
fn the_bundle_is_one_for_its_own_tool() {
    let validate = |path: &Path| {
        Command::new(tool("node"))
            .arg(installed("node/node_modules/.bin/mcpb"))
            .arg("validate")
            .arg(path)
            .output()
            .unwrap()
    };
    let slip = ("\"entry_point\":", "\"entrypoint\":");
    let file = "deploy/registry/mcpb-manifest.json";
    expect("mcpb", judged(file, slip, validate), "entry_point");
}

/// By the schema that the file names, and what the registry demands beside it. (skillsaw brings
/// both along; the registry itself has one for the network alone.)
#[test]
fn the_registry_takes_the_server() {
    let long = format!("\"Runs {}", "very ".repeat(20));
    for (slip, named) in [
        (("/2025-12-11/", "/2025-12-12/"), "schema version"),
        (("\"identifier\":", "\"identifyer\":"), "identifier"),
        (
            ("{\"type\": \"stdio\"}", "{\"type\": \"stdi\"}"),
            "transport",
        ),
        (("\"name\": \"--cap-drop\", ", ""), "runtimeArguments[1]"),
        (
            ("\"isRequired\": true", "\"isRequired\": \"yes\""),
            "runtimeArguments[4]",
        ),
        (("\"Runs ", long.as_str()), "description"),
        (
            ("\"version\": \"2.0.0\"", "\"version\": \"^2.0\""),
            "version",
        ),
        (
            ("\"source\": \"github\"", "\"source\": \"gitlab\""),
            "repository",
        ),
    ] {
        let validate = |path: &Path| {
            Command::new(installed("python/bin/skillsaw"))
                .args(["lint", "--no-color", "--no-plugins", "--no-custom-rules"])
                .args(["--type", "mcp-registry"])
                .args(["--rule", "mcp-registry-server-json-valid"])
                .arg(path.parent().unwrap())
                .output()
                .unwrap()
        };
        expect("skillsaw", judged("server.json", slip, validate), named);
    }
    // It is the registry's own, byte for byte.
    let python = installed("python/lib");
    let versions = fs::read_dir(python)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let schema = "site-packages/skillsaw/schemas/mcp_registry/v2025_12_11/server.schema.json";
    let schema = versions
        .map(|version| version.join(schema))
        .find_map(|path| fs::read(path).ok());
    let digest = Sha256::digest(schema.unwrap());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "3fba09590c99f61735d234822279f4223fab9e300c0a81e81c91ab62a4114de0"
    );
}

/// Docker's catalogue has types of Go and a program that asks its network; what they demand is
/// in `docker_catalogue.py`. The commit is put in when the package is made.
#[test]
fn dockers_catalogue_takes_the_server() {
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    let file = "deploy/registry/docker-catalogue.yaml";
    for (slip, named) in [
        ((COMMIT, "@COMMIT@"), "source.commit"),
        (("  project:", "  projects:"), "source.projects"),
        (("SSH Orchestrator", "SSH orchestrator"), "small letter"),
        (("SSH Orchestrator", "SSH Server"), "has Server"),
        (("name: mcp-", "name: MCP-"), "name has other"),
        (("    - ssh\n", "    - 22\n"), "meta.tags[0] is no str"),
        (
            ("image: mcp/mcp-ssh-orchestrator\n", ""),
            "image is missing",
        ),
        (("        type: string\n", ""), "directory has no type"),
        (("directory}}/keys", "dir}}/keys"), "dir is no parameter"),
        (
            ("directory}}/keys", "directory|volume|into}}/keys"),
            "a list",
        ),
    ] {
        let demanded = |path: &Path| {
            Command::new(installed("python/bin/python"))
                .arg(root().join("tests/data/deploy/docker_catalogue.py"))
                .arg(path)
                .output()
                .unwrap()
        };
        let with_a_commit = |text: String| text.replace("@COMMIT@", COMMIT);
        expect(file, judged_as(file, with_a_commit, slip, demanded), named);
    }
    let formatted = |path: &Path| {
        Command::new(tool("node"))
            .arg(installed("node/node_modules/prettier/bin/prettier.cjs"))
            .arg("--check")
            .arg(path)
            .output()
            .unwrap()
    };
    let slip = ("      directory:\n", "      directory :\n");
    expect(
        "prettier",
        judged(file, slip, formatted),
        "docker-catalogue",
    );
}

/// Every expression of the dashboard and of the alert rules.
fn expressions() -> Vec<String> {
    fn walk(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(text) if name == "expr" => into.push(text.to_owned()),
                        _ => walk(value, into),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, into)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    let dashboard = read("deploy/grafana/dashboard.json");
    walk(&serde_json::from_str(&dashboard).unwrap(), &mut found);
    let panels = found.len();
    for line in read("deploy/grafana/alerts.yaml").lines() {
        found.extend(line.trim().strip_prefix("expr: ").map(str::to_owned));
    }
    assert!(panels >= 8 && found.len() >= panels + 5, "{found:?}");
    found
}

#[test]
fn the_expressions_for_loki_are_logql() {
    let scratch = Scratch::new("logql");
    let path = scratch.path().join("expressions");
    let parsed = |expressions: &[String]| {
        fs::write(&path, expressions.join("\n")).unwrap();
        Command::new(tool("node"))
            .arg(root().join("tests/data/deploy/logql.mjs"))
            .arg(installed("node"))
            .stdin(File::open(&path).unwrap())
            .output()
            .unwrap()
    };
    let expressions = expressions();
    let ours = parsed(&expressions);
    assert!(ours.status.success(), "{ours:?}");
    for expression in expressions {
        let cut = expression[..expression.len() - 2].to_owned();
        let output = parsed(std::slice::from_ref(&cut));
        assert!(!output.status.success(), "{cut}: {output:?}");
    }
}
