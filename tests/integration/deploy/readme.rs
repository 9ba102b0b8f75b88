//! Promise: the lines of `README.md` do what it says: the set-up is run as it stands, and
//! every client's entry starts this program with variables that it knows.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::read;
use crate::common::{Fleet, Scratch, Setup, tool};

const PROGRAM: &str = "/usr/local/bin/mcp-ssh-orchestrator";
const VARIABLES: [(&str, &str); 3] = [
    ("MCP_SSH_CONFIG_DIR", "/etc/mcp-ssh/config"),
    ("MCP_SSH_KEYS_DIR", "/etc/mcp-ssh/keys"),
    ("MCP_SSH_SECRETS_DIR", "/etc/mcp-ssh/secrets"),
];

/// The fenced blocks of a language, each with the line above it.
fn blocks(language: &str) -> Vec<(String, String)> {
    let page = read("README.md");
    let mut found = Vec::new();
    let mut rest = page.as_str();
    while let Some((before, behind)) = rest.split_once(&format!("```{language}\n")) {
        let (block, after) = behind.split_once("\n```").unwrap();
        let title = before.trim_end().lines().last().unwrap_or_default();
        found.push((title.to_owned(), block.to_owned()));
        rest = after;
    }
    found
}

/// From `init` to `plan`, with a host that is there in place of the examples. Building and
/// installing are what brought this test here.
#[test]
fn the_set_up_works_line_by_line() {
    let (_, block) = blocks("sh")
        .into_iter()
        .find(|(_, block)| block.contains(" init "))
        .unwrap();
    let fleet = Fleet::of(&["web1"]);
    fleet.allow(&["uptime"]);
    let scratch = Scratch::new("readme");
    let place = scratch.path().join("mcp-ssh");
    let bin = scratch.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"),
        bin.join("mcp-ssh-orchestrator"),
    )
    .unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut exports = String::new();
    let mut done = Vec::new();
    for line in block.lines() {
        let line = line.replace("/etc/mcp-ssh", &place.display().to_string());
        if line.starts_with("export ") {
            exports.push_str(&format!("{line}\n"));
            continue;
        }
        let line = line.replace("sudo install -d -o \"$USER\"", "install -d");
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        match words.as_slice() {
            ["install", "-d"] | ["ssh-keygen", _] => {}
            ["mcp-ssh-orchestrator", _] => {}
            _ => continue,
        }
        let mut shell = Command::new(tool("sh"))
            .args(["-ec", &format!("{exports}{line}")])
            .env("PATH", &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = shell.stdin.take().unwrap().write_all(b"yes\n");
        let output = shell.wait_with_output().unwrap();
        let said = format!(
            "{line}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{said}");
        done.push(words[1].to_owned());
        if words[1] == "init" {
            // "make them yours"
            for name in ["servers.yml", "credentials.yml", "policy.yml"] {
                fs::copy(
                    fleet.setup.config.join(name),
                    place.join("config").join(name),
                )
                .unwrap();
            }
            for entry in fs::read_dir(&fleet.setup.keys).unwrap() {
                let entry = entry.unwrap();
                if entry.file_name() != "known_hosts" {
                    fs::copy(entry.path(), place.join("keys").join(entry.file_name())).unwrap();
                }
            }
        }
        if words[1] == "plan" {
            assert!(said.contains("allow"), "{said}");
        }
    }
    assert_eq!(done, ["-d", "init", "-t", "trust", "check", "plan"]);
}

/// `scripts/pictures` draws it anew.
#[test]
fn the_picture_of_check_says_what_check_says() {
    let setup = Setup::new();
    for name in ["servers.yml", "credentials.yml", "policy.yml"] {
        setup.write(name, &read(&format!("tests/data/picture/{name}")));
    }
    let output = setup.command().arg("check").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let picture = read(".github/check.svg");
    // Its text without what styles it; lines are broken elsewhere.
    let mut shown = String::new();
    for piece in picture.split('<') {
        shown.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
    }
    let plain = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace()).collect() };
    let shown = plain(
        &shown
            .replace("&gt;", ">")
            .replace("&lt;", "<")
            .replace("&amp;", "&"),
    );
    let errors: Vec<&str> = said
        .split("\n\n")
        .filter(|part| part.contains("error:") && !part.contains("keys/"))
        .collect();
    assert_eq!(errors.len(), 4, "{said}");
    for error in errors {
        assert!(shown.contains(&plain(error)), "{error}\n{shown}");
    }
}

#[test]
fn every_client_starts_this_program() {
    let variables: Value = VARIABLES
        .iter()
        .map(|(name, path)| (*name, *path))
        .collect();
    let mut clients = 0;
    for (title, block) in blocks("json") {
        // Others are examples of the record, one object a line.
        if !block.starts_with("{\n") {
            continue;
        }
        let entry: Value =
            serde_json::from_str(&block).unwrap_or_else(|error| panic!("{title}: {error}"));
        let server = ["mcpServers", "servers", "mcp"]
            .iter()
            .find_map(|key| entry.get(key)?.get("ssh"));
        let Some(server) = server else { continue };
        clients += 1;
        if server["command"] == "docker" {
            let args: Vec<&str> = server["args"]
                .as_array()
                .unwrap()
                .iter()
                .map(|arg| arg.as_str().unwrap())
                .collect();
            assert_eq!(args.last(), Some(&"mcp-ssh-orchestrator"));
            for place in ["config", "keys", "secrets"] {
                assert!(
                    args.iter()
                        .any(|arg| arg.ends_with(&format!("/{place}:/app/{place}:ro"))),
                    "{title}"
                );
            }
            continue;
        }
        let command = &server["command"];
        assert!(
            *command == PROGRAM || *command == json!([PROGRAM]),
            "{title}: {command}"
        );
        let env = server.get("env").or(server.get("environment")).unwrap();
        assert_eq!(*env, variables, "{title}");
    }
    assert!(clients >= 4, "{clients} entries");
    for (language, marker) in [
        ("toml", "[mcp_servers.ssh]"),
        ("python", "MCPServerStdio("),
        ("sh", "claude mcp add"),
    ] {
        let (_, block) = blocks(language)
            .into_iter()
            .find(|(_, block)| block.contains(marker))
            .unwrap();
        assert!(block.contains(PROGRAM), "{marker}");
        for (name, path) in VARIABLES {
            assert!(
                block.contains(name) && block.contains(path),
                "{marker}: {name}"
            );
        }
    }
}
