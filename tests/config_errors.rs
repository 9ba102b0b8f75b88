//! Nothing is skipped and nothing falls open: every mistake in the three files is an
//! error with its file, line, column and key, all of them at once; what loads but
//! surprises is a warning.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

mod common;

use std::sync::{Arc, OnceLock};

use common::{Scratch, Setup};
use mcp_ssh_orchestrator::config::event::{EventValue, SecurityEvent};
use mcp_ssh_orchestrator::config::{
    Dirs, Environment, Fault, Links, LoadError, Loaded, Mark, WarningKind, load_texts,
};

const SERVERS: &str = "hosts:\n  - {alias: web1, host: 10.0.0.1, credentials: ops, tags: [web]}\n";
const CREDENTIALS: &str = "entries:\n  - {name: ops, username: ops, agent: true}\n";
const POLICY: &str = "rules:\n  - {action: allow, commands: [uptime]}\n";

#[test]
fn the_starting_point_loads() {
    let loaded = load([SERVERS, CREDENTIALS, POLICY]).unwrap();
    assert!(loaded.events.is_empty());
    let warnings = loaded.snapshot.warnings();
    assert!(warnings.is_empty(), "{warnings:?}");
}

/// File, what stands in it, and the problem: line:column, key, fault, a part of what was
/// found, a part of what is accepted, the nearest known word.
type Case = (
    &'static str,
    &'static str,
    (usize, usize),
    &'static str,
    Fault,
    &'static str,
    &'static str,
    Option<&'static str>,
);

const ONE_PROBLEM: &[Case] = &[
    // The file as a whole.
    (
        "servers.yml",
        "",
        (1, 1),
        "",
        Fault::WrongType,
        "nothing",
        "a mapping with hosts",
        None,
    ),
    (
        "servers.yml",
        "- a\n",
        (1, 1),
        "",
        Fault::WrongType,
        "a list",
        "a mapping",
        None,
    ),
    (
        "servers.yml",
        "hosts: [\n",
        (2, 1),
        "",
        Fault::Syntax,
        "",
        "",
        None,
    ),
    (
        "servers.yml",
        "a: b: c\n",
        (1, 5),
        "",
        Fault::Syntax,
        "",
        "",
        None,
    ),
    (
        "servers.yml",
        "hosts: []\n---\nhosts: []\n",
        (2, 1),
        "",
        Fault::Syntax,
        "second document",
        "",
        None,
    ),
    (
        "servers.yml",
        "hosts: !!python/object:os.system []\n",
        (1, 8),
        "",
        Fault::Syntax,
        "tag",
        "",
        None,
    ),
    (
        "servers.yml",
        "hosts: []\nhosts: []\n",
        (2, 1),
        "",
        Fault::Duplicate,
        "first at line 1",
        "once",
        None,
    ),
    (
        "servers.yml",
        "{}\n",
        (1, 1),
        "hosts",
        Fault::Missing,
        "no list of hosts",
        "a list",
        None,
    ),
    (
        "servers.yml",
        "hosts:\n",
        (1, 6),
        "hosts",
        Fault::WrongType,
        "nothing",
        "a list",
        None,
    ),
    (
        "servers.yml",
        "hosts: []\nhost: x\n",
        (2, 1),
        "",
        Fault::UnknownKey,
        "'host'",
        "hosts",
        Some("hosts"),
    ),
    (
        "credentials.yml",
        "{}\n",
        (1, 1),
        "entries",
        Fault::Missing,
        "no list",
        "a list",
        None,
    ),
    (
        "policy.yml",
        "rules:\n",
        (1, 6),
        "rules",
        Fault::WrongType,
        "nothing",
        "a list",
        None,
    ),
    (
        "policy.yml",
        "rules: {}\n",
        (1, 8),
        "rules",
        Fault::WrongType,
        "a mapping",
        "a list",
        None,
    ),
    (
        "policy.yml",
        "limits:\n",
        (1, 7),
        "limits",
        Fault::WrongType,
        "nothing",
        "a mapping",
        None,
    ),
    // Hosts.
    (
        "servers.yml",
        "hosts: [x]\n",
        (1, 9),
        "hosts[0]",
        Fault::WrongType,
        "'x'",
        "alias",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{host: a, credentials: ops}]\n",
        (1, 9),
        "hosts[0].alias",
        Fault::Missing,
        "no alias",
        "A-Z",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: '', host: a, credentials: ops}]\n",
        (1, 17),
        "hosts[0].alias",
        Fault::Missing,
        "no alias",
        "A-Z",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a b, host: a, credentials: ops}]\n",
        (1, 17),
        "hosts[0].alias",
        Fault::BadValue,
        "'a b'",
        "letters",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, credentials: ops}]\n",
        (1, 9),
        "hosts[0].host",
        Fault::Missing,
        "no hostname",
        "address",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: 10.0.0.256, credentials: ops}]\n",
        (1, 26),
        "hosts[0].host",
        Fault::BadValue,
        "'10.0.0.256'",
        "IPv4",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: 'a:22', credentials: ops}]\n",
        (1, 26),
        "hosts[0].host",
        Fault::BadValue,
        "IPv6",
        "name",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: 1.5, credentials: ops}]\n",
        (1, 26),
        "hosts[0].host",
        Fault::WrongType,
        "number '1.5'",
        "address",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a}]\n",
        (1, 9),
        "hosts[0].credentials",
        Fault::Missing,
        "no credentials",
        "credentials.yml",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: op}]\n",
        (1, 42),
        "hosts[0].credentials",
        Fault::NoSuchName,
        "'op'",
        "credentials.yml",
        Some("ops"),
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, port: 0}]\n",
        (1, 53),
        "hosts[0].port",
        Fault::BadValue,
        "'0'",
        "1 to 65535",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, port: 65536}]\n",
        (1, 53),
        "hosts[0].port",
        Fault::BadValue,
        "'65536'",
        "1 to 65535",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, port: 022}]\n",
        (1, 53),
        "hosts[0].port",
        Fault::WrongType,
        "'022'",
        "1 to 65535",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, port: [22]}]\n",
        (1, 53),
        "hosts[0].port",
        Fault::WrongType,
        "a list",
        "1 to 65535",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, port: yes}]\n",
        (1, 53),
        "hosts[0].port",
        Fault::WrongType,
        "boolean 'yes'",
        "1 to 65535",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, tags: web}]\n",
        (1, 53),
        "hosts[0].tags",
        Fault::WrongType,
        "not a list",
        "a list",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, tags: [a b]}]\n",
        (1, 54),
        "hosts[0].tags[0]",
        Fault::BadValue,
        "'a b'",
        "letters",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, tags: [on]}]\n",
        (1, 54),
        "hosts[0].tags[0]",
        Fault::WrongType,
        "boolean 'on'",
        "in quotes",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, shell: bash}]\n",
        (1, 54),
        "hosts[0].shell",
        Fault::BadValue,
        "'bash'",
        "sh, direct",
        Some("sh"),
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, resolve: static}]\n",
        (1, 26),
        "hosts[0].host",
        Fault::BadValue,
        "resolve: static",
        "address",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, legacy_algorithms: 1}]\n",
        (1, 66),
        "hosts[0].legacy_algorithms",
        Fault::WrongType,
        "number '1'",
        "true or false",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, jump: b}]\n",
        (1, 53),
        "hosts[0].jump",
        Fault::NoSuchName,
        "'b'",
        "another host",
        Some("a"),
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, jump: a}]\n",
        (1, 53),
        "hosts[0].jump",
        Fault::BadValue,
        "a → a",
        "without a loop",
        None,
    ),
    (
        "servers.yml",
        "hosts: [{alias: a, host: a, credentials: ops, hostname: a}]\n",
        (1, 47),
        "hosts[0]",
        Fault::UnknownKey,
        "'hostname'",
        "x-",
        None,
    ),
    (
        "servers.yml",
        "hosts:\n  - {alias: a, host: a, credentials: ops}\n  - {alias: a, host: b, credentials: ops}\n",
        (3, 13),
        "hosts[1].alias",
        Fault::Duplicate,
        "first at line 2",
        "once",
        None,
    ),
    (
        "servers.yml",
        "x-a: &a {port: 1}\nhosts: [{alias: a, host: a, credentials: ops, <<: x}]\n",
        (2, 51),
        "<<",
        Fault::WrongType,
        "merged",
        "a mapping",
        None,
    ),
    // Credentials.
    (
        "credentials.yml",
        "entries: [{name: ops, agent: true}]\n",
        (1, 11),
        "entries[0].username",
        Fault::Missing,
        "no username",
        "printable",
        None,
    ),
    (
        "credentials.yml",
        "entries: [{name: ops, username: u}]\n",
        (1, 11),
        "entries[0]",
        Fault::Missing,
        "authentication",
        "key_path",
        None,
    ),
    (
        "credentials.yml",
        "entries: [{name: ops, username: u, password: ''}]\n",
        (1, 11),
        "entries[0]",
        Fault::Missing,
        "authentication",
        "key_path",
        None,
    ),
    (
        "credentials.yml",
        "entries: [{name: ops, username: u, key_path: ../k}]\n",
        (1, 46),
        "entries[0].key_path",
        Fault::Refused,
        "'..'",
        "keys directory",
        None,
    ),
    (
        "credentials.yml",
        "entries: [{name: ops, username: u, key_path: /etc/passwd}]\n",
        (1, 46),
        "entries[0].key_path",
        Fault::Refused,
        "elsewhere",
        "keys directory",
        None,
    ),
    (
        "credentials.yml",
        "entries: [{name: ops, username: u, password_secret: a.b}]\n",
        (1, 53),
        "entries[0].password_secret",
        Fault::Refused,
        "other characters",
        "A-Z",
        None,
    ),
    (
        "credentials.yml",
        "entries: [{name: ops, username: u, password: 12345}]\n",
        (1, 46),
        "entries[0].password",
        Fault::WrongType,
        "a number",
        "in quotes",
        None,
    ),
    (
        "credentials.yml",
        "entries: [{name: ops, username: u, agent: true, cert_path: c}]\n",
        (1, 60),
        "entries[0].cert_path",
        Fault::Missing,
        "without its key",
        "key_path",
        None,
    ),
    (
        "credentials.yml",
        "entries: [{name: ops, username: u, agent: true, passwd: x}]\n",
        (1, 49),
        "entries[0]",
        Fault::UnknownKey,
        "'passwd'",
        "password",
        Some("password"),
    ),
    (
        "credentials.yml",
        "entries: [{name: ops, username: u, agent: true}, {name: ops, username: v, agent: true}]\n",
        (1, 57),
        "entries[1].name",
        Fault::Duplicate,
        "first at line 1",
        "once",
        None,
    ),
    // Policy.
    (
        "policy.yml",
        "limits: {max_seconds: 0}\n",
        (1, 23),
        "limits.max_seconds",
        Fault::BadValue,
        "'0'",
        "1 to 86400",
        None,
    ),
    (
        "policy.yml",
        "limits: {max_seconds: -1}\n",
        (1, 23),
        "limits.max_seconds",
        Fault::WrongType,
        "'-1'",
        "1 to 86400",
        None,
    ),
    (
        "policy.yml",
        "limits: {max_seconds: 86401}\n",
        (1, 23),
        "limits.max_seconds",
        Fault::BadValue,
        "'86401'",
        "1 to 86400",
        None,
    ),
    (
        "policy.yml",
        "limits: {max_seconds: 99999999999999999999}\n",
        (1, 23),
        "limits.max_seconds",
        Fault::WrongType,
        "99999999999999999999",
        "1 to 86400",
        None,
    ),
    (
        "policy.yml",
        "limits: {max_output_bytes: 1e6}\n",
        (1, 28),
        "limits.max_output_bytes",
        Fault::WrongType,
        "'1e6'",
        "whole number",
        None,
    ),
    (
        "policy.yml",
        "limits: {max_output_bytes: 67108865}\n",
        (1, 28),
        "limits.max_output_bytes",
        Fault::BadValue,
        "67108865",
        "67108864",
        None,
    ),
    (
        "policy.yml",
        "limits: {on_output_cap: kill}\n",
        (1, 25),
        "limits.on_output_cap",
        Fault::BadValue,
        "'kill'",
        "stop, discard",
        None,
    ),
    (
        "policy.yml",
        "limits: {deny_substrings: reboot}\n",
        (1, 27),
        "limits.deny_substrings",
        Fault::WrongType,
        "not a list",
        "a list",
        None,
    ),
    (
        "policy.yml",
        "limits: {deny_substrings: [12]}\n",
        (1, 28),
        "limits.deny_substrings[0]",
        Fault::WrongType,
        "'12'",
        "quotes",
        None,
    ),
    (
        "policy.yml",
        "limits: {deny_substrings: ['']}\n",
        (1, 28),
        "limits.deny_substrings[0]",
        Fault::WrongType,
        "''",
        "a text",
        None,
    ),
    (
        "policy.yml",
        "limits: {max_second: 1}\n",
        (1, 10),
        "limits",
        Fault::UnknownKey,
        "'max_second'",
        "max_seconds",
        Some("max_seconds"),
    ),
    (
        "policy.yml",
        "limits: {require_known_host: maybe}\n",
        (1, 30),
        "limits.require_known_host",
        Fault::WrongType,
        "'maybe'",
        "true or false",
        None,
    ),
    (
        "policy.yml",
        "network: {allow_cidrs: [garbage]}\n",
        (1, 25),
        "network.allow_cidrs[0]",
        Fault::BadValue,
        "'garbage'",
        "10.0.0.0/8",
        None,
    ),
    (
        "policy.yml",
        "network: {allow_cidrs: [10.0.0.0/33]}\n",
        (1, 25),
        "network.allow_cidrs[0]",
        Fault::BadValue,
        "10.0.0.0/33",
        "10.0.0.0/8",
        None,
    ),
    (
        "policy.yml",
        "network: {allow_cidrs: 10.0.0.0/8}\n",
        (1, 24),
        "network.allow_cidrs",
        Fault::WrongType,
        "not a list",
        "a list",
        None,
    ),
    (
        "policy.yml",
        "network: {allow_ips: [10.0.0.0/8]}\n",
        (1, 23),
        "network.allow_ips[0]",
        Fault::BadValue,
        "a list of addresses",
        "allow_cidrs",
        None,
    ),
    (
        "policy.yml",
        "network: {block_ips: 10.0.0.1}\n",
        (1, 22),
        "network.block_ips",
        Fault::WrongType,
        "not a list",
        "a list",
        None,
    ),
    (
        "policy.yml",
        "network: {allow: [10.0.0.0/8]}\n",
        (1, 11),
        "network",
        Fault::UnknownKey,
        "'allow'",
        "allow_ips",
        None,
    ),
    (
        "policy.yml",
        "rules: [{commands: [uptime]}]\n",
        (1, 9),
        "rules[0].action",
        Fault::Missing,
        "no action",
        "allow, ask, deny",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: alow, commands: [uptime]}]\n",
        (1, 18),
        "rules[0].action",
        Fault::BadValue,
        "'alow'",
        "allow, ask, deny",
        Some("allow"),
    ),
    (
        "policy.yml",
        "rules: [{action: allow}]\n",
        (1, 9),
        "rules[0]",
        Fault::Missing,
        "match nothing",
        "commands",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: allow, commands: []}]\n",
        (1, 35),
        "rules[0].commands",
        Fault::Missing,
        "match nothing",
        "at least one",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: allow, commands: uptime}]\n",
        (1, 35),
        "rules[0].commands",
        Fault::WrongType,
        "not a list",
        "a list",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: allow, commands: [yes]}]\n",
        (1, 36),
        "rules[0].commands[0]",
        Fault::WrongType,
        "boolean 'yes'",
        "quotes",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: allow, commands: [a], binary: b}]\n",
        (1, 9),
        "rules[0]",
        Fault::BadValue,
        "more than one form",
        "exactly one",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: allow, commands: [a], arg_prefix: [b]}]\n",
        (1, 52),
        "rules[0].arg_prefix",
        Fault::BadValue,
        "has commands",
        "beside binary",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: allow, aliases: web, commands: [a]}]\n",
        (1, 34),
        "rules[0].aliases",
        Fault::WrongType,
        "not a list",
        "a list",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: allow, tags: web, commands: [a]}]\n",
        (1, 31),
        "rules[0].tags",
        Fault::WrongType,
        "not a list",
        "a list",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: allow, binary: a, path_args: {indices: [-1], patterns: [/a]}}]\n",
        (1, 58),
        "rules[0].path_args.indices",
        Fault::WrongType,
        "'-1'",
        "0 to 256",
        None,
    ),
    (
        "policy.yml",
        "rules: [{action: allow, binary: a, path_args: {indices: [1]}}]\n",
        (1, 47),
        "rules[0].path_args.patterns",
        Fault::Missing,
        "no patterns",
        "at least one",
        None,
    ),
    (
        "policy.yml",
        "overrides: {aliases: {web1: {max_seconds: x}}}\n",
        (1, 43),
        "overrides.aliases.web1.max_seconds",
        Fault::WrongType,
        "'x'",
        "1 to 86400",
        None,
    ),
    (
        "policy.yml",
        "overrides: {hosts: {}}\n",
        (1, 13),
        "overrides",
        Fault::UnknownKey,
        "'hosts'",
        "aliases, tags",
        None,
    ),
    (
        "policy.yml",
        "concurrency: {max_tasks: 0}\n",
        (1, 26),
        "concurrency.max_tasks",
        Fault::BadValue,
        "'0'",
        "1 to 4096",
        None,
    ),
    (
        "policy.yml",
        "approval_seconds: 0\n",
        (1, 19),
        "approval_seconds",
        Fault::BadValue,
        "'0'",
        "1 to 3600",
        None,
    ),
    (
        "policy.yml",
        "on_audit_failure: ignore\n",
        (1, 19),
        "on_audit_failure",
        Fault::BadValue,
        "'ignore'",
        "refuse, warn",
        None,
    ),
    (
        "policy.yml",
        "known_hosts_path: ../known_hosts\n",
        (1, 19),
        "known_hosts_path",
        Fault::Refused,
        "'..'",
        "keys directory",
        None,
    ),
    (
        "policy.yml",
        "version: 2\n",
        (1, 1),
        "",
        Fault::UnknownKey,
        "'version'",
        "rules",
        None,
    ),
];

#[test]
fn each_mistake_is_one_problem_with_its_place() {
    let mut wrong = Vec::new();
    for (file, text, (line, column), key, fault, found, accepted, nearest) in ONE_PROBLEM {
        let error = match load(with(file, text)) {
            Err(error) => error,
            Ok(_) => {
                wrong.push(format!("loads: {text}"));
                continue;
            }
        };
        let [problem] = error.problems.as_slice() else {
            wrong.push(format!("{} problems: {text}{error}", error.problems.len()));
            continue;
        };
        let at = Some(Mark {
            line: *line,
            column: *column,
        });
        let good = problem.place.file == *file
            && problem.place.at == at
            && problem.key == *key
            && problem.fault == *fault
            && problem.found.contains(found)
            && problem.accepted.contains(accepted)
            && problem.nearest.as_deref() == *nearest;
        if !good {
            wrong.push(format!("{text}{problem}\n{problem:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn all_mistakes_of_all_files_come_at_once_in_order() {
    let servers = "hosts:\n  - {alias: a, host: x y, port: 0, credentials: nobody}\n  - {}\n";
    let credentials = "entries:\n  - {name: ops}\n  - 5\n";
    let policy =
        "limits: {max_seconds: 0}\nrules:\n  - {action: allow}\nnetwork: {allow_ips: [x]}\n";
    let error = load([servers, credentials, policy]).err().unwrap();
    let places: Vec<String> = error.problems.iter().map(|p| p.place.to_string()).collect();
    assert_eq!(
        places,
        [
            "servers.yml:2:22",
            "servers.yml:2:33",
            "servers.yml:2:49",
            "servers.yml:3:5",
            "servers.yml:3:5",
            "servers.yml:3:5",
            "credentials.yml:2:5",
            "credentials.yml:2:5",
            "credentials.yml:3:5",
            "policy.yml:1:23",
            "policy.yml:3:5",
            "policy.yml:4:23",
        ],
        "{error}"
    );
    assert_eq!(error.for_operator().lines().count(), 12);
}

/// What is told to the assistant repeats nothing of the files.
#[test]
fn the_assistant_learns_the_place_and_the_kind_alone() {
    for (file, text, ..) in ONE_PROBLEM {
        let error = load(with(file, text)).err().unwrap();
        let told = error.for_assistant();
        assert!(told.starts_with(file), "{told}");
        for word in ["10.0.0.256", "/etc/passwd", "12345", "garbage", "'"] {
            assert!(
                !told.contains(word) || word == "'" && !told.contains("found"),
                "{told}"
            );
        }
    }
    let secret = "entries: [{name: ops, username: u, password: [hunter2]}]\n";
    let error = load([SERVERS, secret, POLICY]).err().unwrap();
    assert!(!format!("{error}{error:?}").contains("hunter2"));
}

#[test]
fn what_is_merely_surprising_is_a_warning() {
    use WarningKind::*;
    let cases: &[(&str, &str, &str, WarningKind, &str)] = &[
        ("servers.yml", "hosts: []\n", "hosts", NoEffect, "no host"),
        (
            "servers.yml",
            "hosts: [{alias: a, host: a, credentials: ops, tags: [x, x]}]\n",
            "hosts[0].tags[1]",
            NoEffect,
            "twice",
        ),
        (
            "credentials.yml",
            "entries: [{name: ops, username: u, key_path: gone}]\n",
            "entries[0].key_path",
            Absent,
            "no such file",
        ),
        (
            "credentials.yml",
            "entries: [{name: ops, username: u, password_secret: gone}]\n",
            "entries[0].password_secret",
            Absent,
            "MCP_SSH_SECRET_GONE",
        ),
        (
            "credentials.yml",
            "entries: [{name: ops, username: u, password: x}]\n",
            "entries[0].password",
            InlinePassword,
            "password_secret",
        ),
        (
            "policy.yml",
            "limits: {host_key_auto_add: true}\n",
            "limits.host_key_auto_add",
            HostKeyPolicy,
            "ignored",
        ),
        (
            "policy.yml",
            "limits: {require_known_host: no}\n",
            "limits.require_known_host",
            HostKeyPolicy,
            "ignored",
        ),
        (
            "policy.yml",
            "network: {require_known_host: false}\n",
            "network.require_known_host",
            HostKeyPolicy,
            "ignored",
        ),
        (
            "policy.yml",
            "overrides: {aliases: {web1: {require_known_host: false}}}\n",
            "overrides.aliases.web1.require_known_host",
            HostKeyPolicy,
            "ignored for web1",
        ),
        (
            "policy.yml",
            "overrides: {aliases: {'web*': {max_seconds: 5}}}\n",
            "overrides.aliases",
            NoEffect,
            "exact",
        ),
        (
            "policy.yml",
            "overrides: {tags: {wob: {max_seconds: 5}}}\n",
            "overrides.tags",
            NoEffect,
            "exact",
        ),
        (
            "policy.yml",
            "network: {allow_cidrs: [10.0.0.5/8]}\n",
            "network.allow_cidrs[0]",
            NoEffect,
            "10.0.0.0/8",
        ),
        (
            "policy.yml",
            "rules: []\n",
            "rules",
            Policy,
            "every command is denied",
        ),
        (
            "policy.yml",
            "rules: [{action: allow, aliases: ['db*'], commands: [uptime]}]\n",
            "rules[0]",
            NoEffect,
            "no host",
        ),
        (
            "policy.yml",
            "rules: [{action: deny, aliases: [web1], tags: [db], commands: [uptime]}]\n",
            "rules[0]",
            NoEffect,
            "no host",
        ),
    ];
    for (file, text, key, kind, part) in cases {
        let loaded = load(with(file, text)).unwrap_or_else(|error| panic!("{text}{error}"));
        let warnings = loaded.snapshot.warnings();
        assert!(
            warnings.iter().any(|warning| warning.place.file == *file
                && warning.key == *key
                && warning.kind == *kind
                && warning.text.contains(part)),
            "{text}{warnings:?}"
        );
    }
}

#[test]
fn what_the_python_loader_took_is_taken() {
    let servers = "\
x-base: &base {credentials: ops, tags: [a]}
hosts:
  - alias: one
    host: 10.0.0.1
    port: '2222'
    <<: *base
  - alias: two
    host: \"::1\"
    port: 22
    tags: []
    description:
    credentials: ops
    x-owner: {team: data, n: 3, on: yes}
";
    let credentials = "entries:\n  - name: ops\n    username: u\n    key_path: ''\n    password_secret:\n    agent: on\n";
    let policy = "limits: {max_output_bytes: 1_048_576}\nnetwork: {block_ips: [10.0.0.0/8], block_cidrs: ['::ffff:10.0.0.0/104', 10.1.2.3]}\n";
    let loaded = load([servers, credentials, policy]).unwrap_or_else(|error| panic!("{error}"));
    let [one, two] = loaded.snapshot.hosts() else {
        panic!("two hosts")
    };
    assert_eq!((one.port.get(), one.tags.len()), (2222, 1));
    assert_eq!(two.description, "");
    let extra = serde_json::to_string(&two.extra).unwrap();
    assert_eq!(extra, r#"{"x-owner":{"n":3,"on":true,"team":"data"}}"#);
}

#[test]
fn chains_of_three_jumps_are_the_longest() {
    let chain = |length: usize| {
        let hosts = (0..=length).map(|n| {
            let jump = if n < length {
                format!(", jump: h{}", n + 1)
            } else {
                String::new()
            };
            format!("  - {{alias: h{n}, host: h{n}, credentials: ops{jump}}}\n")
        });
        format!("hosts:\n{}", hosts.collect::<String>())
    };
    let servers = chain(3);
    let loaded = load([&servers, CREDENTIALS, POLICY]).unwrap();
    let alias = loaded.snapshot.hosts()[0].alias.clone();
    let route = loaded.snapshot.route(&alias);
    let route: Vec<&str> = route.iter().map(|host| host.alias.as_str()).collect();
    assert_eq!(route, ["h3", "h2", "h1", "h0"]);

    let servers = chain(4);
    let error = load([&servers, CREDENTIALS, POLICY]).err().unwrap();
    assert_eq!(error.problems.len(), 1, "{error}");
    let ring = "hosts:\n  - {alias: a, host: a, credentials: ops, jump: b}\n  - {alias: b, host: b, credentials: ops, jump: a}\n";
    let error = load([ring, CREDENTIALS, POLICY]).err().unwrap();
    assert_eq!(error.problems.len(), 2, "{error}");
}

/// What is wrong with the files themselves, and with their directory.
#[test]
fn files_that_are_not_taken_are_named_with_their_event() {
    let setup = Setup::new();
    let write = || {
        setup.write("servers.yml", SERVERS);
        setup.write("credentials.yml", CREDENTIALS);
        setup.write("policy.yml", POLICY);
    };
    write();
    let dirs = || {
        let dirs = Dirs::open(&setup.config, &setup.keys, &setup.secrets, Links::Refused);
        Arc::new(dirs)
    };
    let load = |dirs: &Arc<Dirs>| mcp_ssh_orchestrator::config::load(dirs, &Environment::default());
    assert!(load(&dirs()).is_ok());

    let path = setup.config.join("policy.yml");
    let full = path.display().to_string();
    let large = format!("{POLICY}#{}", "x".repeat(10 * 1024 * 1024));
    setup.write("policy.yml", &large);
    let error = load(&dirs()).err().unwrap();
    let expected = SecurityEvent {
        event_type: "file_size_limit_exceeded",
        attempted_path: Some(full.clone()),
        resolved_path: Some(full.clone()),
        reason: Some("yaml_file_too_large"),
        extra: vec![
            (
                "file_size",
                EventValue::Number(large.len().try_into().unwrap()),
            ),
            ("max_size", EventValue::Number(10 * 1024 * 1024)),
        ],
    };
    assert_eq!(error.events, [expected]);
    assert_eq!(error.problems[0].place.to_string(), "policy.yml");

    std::fs::remove_file(&path).unwrap();
    let error = load(&dirs()).err().unwrap();
    assert_eq!(
        (error.problems.len(), error.events.len()),
        (1, 0),
        "{error}"
    );
    assert!(error.problems[0].accepted.contains("init DIR"), "{error}");

    std::fs::create_dir(&path).unwrap();
    let error = load(&dirs()).err().unwrap();
    assert_eq!(error.events[0].reason, Some("path_is_directory"));
    std::fs::remove_dir(&path).unwrap();

    // A directory put in the place of the one that was opened isn't read in silence.
    write();
    let opened = dirs();
    assert!(load(&opened).is_ok());
    let moved = setup.config.with_extension("old");
    std::fs::rename(&setup.config, &moved).unwrap();
    std::fs::create_dir(&setup.config).unwrap();
    write();
    let error = load(&opened).err().unwrap();
    assert_eq!(error.problems.len(), 1, "{error}");
    assert_eq!(error.problems[0].fault, Fault::NeedsRestart);
    assert!(load(&dirs()).is_ok());

    // Without the other two directories there are warnings, without this one nothing.
    let none = setup.config.join("none");
    let bare = Arc::new(Dirs::open(&setup.config, &none, &none, Links::Refused));
    assert_eq!(load(&bare).unwrap().snapshot.warnings().len(), 2);
    let bare = Arc::new(Dirs::open(
        &none,
        &setup.keys,
        &setup.secrets,
        Links::Refused,
    ));
    let error = load(&bare).err().unwrap();
    assert_eq!(error.problems.len(), 1, "{error}");
    assert_eq!(error.problems[0].place.to_string(), "config directory");
}

/// A file of mistakes is answered by as many as a person can use, in time and memory that
/// don't grow with the square of it.
#[test]
fn a_flood_of_mistakes_is_bounded() {
    let hosts =
        (0..20_000).map(|n| format!("  - {{alias: h{n}, host: h{n}, credentials: op{n}}}\n"));
    let servers = format!("hosts:\n{}", hosts.collect::<String>());
    let error = load([&servers, CREDENTIALS, POLICY]).err().unwrap();
    assert_eq!(error.problems.len(), 201);
    let last = error.problems.last().unwrap();
    assert_eq!(last.to_string(), "servers.yml: found 19800 more problems");
}

/// Any bytes give an answer: no panic, no snapshot out of garbage.
#[test]
fn garbage_is_refused_and_never_a_crash() {
    let bases = [SERVERS, CREDENTIALS, POLICY];
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
    };
    let pieces = [
        "&a ",
        "*a",
        "<<: ",
        "? ",
        ": ",
        "- ",
        "\n",
        "\t",
        "[",
        "]",
        "{",
        "}",
        "|",
        ">",
        "'",
        "\"",
        "#",
        "!!str ",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "\u{feff}",
        "\0",
        "\u{85}",
        "é",
        ",",
        "~",
        "\\",
    ];
    for round in 0..3_000 {
        let mut texts = bases.map(str::to_owned);
        let text = &mut texts[round % 3];
        for _ in 0..=next(6) {
            let mut at = next(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            match next(3) {
                0 => text.insert_str(at, pieces[next(pieces.len())]),
                1 => text.truncate(at),
                _ => {
                    let rest = text.split_off(at);
                    text.push_str(rest.get(1..).unwrap_or_default());
                }
            }
        }
        if let Err(error) = load(texts.each_ref().map(String::as_str)) {
            assert!(!error.problems.is_empty(), "{texts:?}");
        }
    }
}

fn with(file: &str, text: &'static str) -> [&'static str; 3] {
    match file {
        "servers.yml" => [text, CREDENTIALS, POLICY],
        "credentials.yml" => [SERVERS, text, POLICY],
        _ => [SERVERS, CREDENTIALS, text],
    }
}

fn load(texts: [&str; 3]) -> Result<Loaded, LoadError> {
    static DIRS: OnceLock<(Scratch, Arc<Dirs>)> = OnceLock::new();
    let (_, dirs) = DIRS.get_or_init(|| {
        let scratch = Scratch::new("errors");
        let path = scratch.path();
        let dirs = Arc::new(Dirs::open(path, path, path, Links::Refused));
        (scratch, dirs)
    });
    load_texts(texts.map(str::as_bytes), dirs, &Environment::default())
}
