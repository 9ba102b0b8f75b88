//! Promise: the source keeps its shape. Modules depend on each other in one direction,
//! each file says what it is for, none is too long, and unsafe code, printing, sockets
//! and system calls are only where they belong.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a file, tests left out.
const LONGEST: usize = 500;

/// Each module, and those it may use. `main → startup → mcp → task → {ssh, audit} →
/// {policy, config} → std`; whoever is higher may use all that is lower.
const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &["startup"]),
    ("lib", &[]),
    // For tests, benches and fuzz targets alone: it shows them what they may look at.
    (
        "testing",
        &[
            "sys", "task", "ssh", "audit", "policy", "config", "model", "mcp", "cli",
        ],
    ),
    (
        "startup",
        &[
            "cli", "sys", "mcp", "task", "ssh", "audit", "policy", "config", "model",
        ],
    ),
    (
        "cli",
        &[
            "ssh", "audit", "config", "policy", "model", "sys", "startup",
        ],
    ),
    ("sys", &[]),
    (
        "mcp",
        &["task", "ssh", "audit", "policy", "config", "model"],
    ),
    ("task", &["ssh", "audit", "policy", "config", "model"]),
    ("ssh", &["policy", "config", "model"]),
    ("audit", &["policy", "config", "model"]),
    ("config", &["policy", "model"]),
    ("policy", &["model", "config"]),
    ("model", &[]),
];

/// A word, and the only files that may say it in code.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("unsafe", &["sys/", "ssh/libssh2/"]),
    ("libssh2_sys", &["sys/linked_versions.rs", "ssh/libssh2/"]),
    ("saphyr_parser", &["config/yaml/"]),
    ("landlock::", &["sys/", "startup/", "testing.rs"]),
    ("seccompiler::", &["sys/"]),
    ("TcpStream", &["ssh/"]),
    ("UdpSocket", &[]),
    ("TcpListener", &[]),
    ("UnixListener", &[]),
    ("UnixStream", &["ssh/"]),
    ("to_socket_addrs", &["ssh/"]),
    ("println!", &[]),
    ("eprintln!", &[]),
    ("dbg!", &[]),
    ("todo!", &[]),
    ("unimplemented!", &[]),
    ("process::exit", &[]),
    ("set_var", &["sys/process.rs"]),
    ("process::Command", &[]),
    (
        "std::env::",
        &[
            "main.rs",
            "sys/",
            "startup/",
            "config/secrets/environment.rs",
        ],
    ),
];

#[test]
fn modules_depend_in_one_direction() {
    let mut wrong = Vec::new();
    for file in sources() {
        let module = file.module();
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            panic!("{}: the module has no place in the direction", file.name);
        };
        for used in used_modules(&file.code) {
            let fits =
                |allowed: &&str| used == **allowed || used.starts_with(&format!("{allowed}::"));
            let own = used == module || used.starts_with(&format!("{module}::"));
            if !own && !allowed.iter().any(fits) {
                wrong.push(format!("{}: crate::{used}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_file_says_what_it_is_for() {
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|file| {
            let head = file.text.lines().take_while(|line| line.starts_with("//!"));
            head.map(str::len).sum::<usize>() < 80 && file.name != "main.rs"
        })
        .map(|file| file.name)
        .collect();
    assert!(wrong.is_empty(), "no `//!` head that says it: {wrong:#?}");
}

#[test]
fn no_file_is_too_long() {
    let wrong: Vec<_> = sources()
        .into_iter()
        .map(|file| (file.lines_without_tests(), file.name))
        .filter(|(lines, _)| *lines > LONGEST)
        .collect();
    assert!(wrong.is_empty(), "more than {LONGEST} lines: {wrong:#?}");
}

#[test]
fn dangerous_words_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for file in sources() {
        for (word, places) in ONLY_IN {
            let here = places.iter().any(|place| file.name.starts_with(place));
            if !here && has_word(&file.code, word) {
                wrong.push(format!("{}: {word}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_allow_has_its_reason() {
    let mut wrong = Vec::new();
    for file in sources() {
        for word in ["allow(", "expect("] {
            for (at, _) in file.text.match_indices(&format!("[{word}")) {
                let attribute = &file.text[at..];
                let end = attribute.find(")]").unwrap();
                if !attribute[..end].contains("reason =") {
                    wrong.push(format!("{}: {}", file.name, &attribute[..end]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// SECURITY.md names the tests that hold its promises; these are there.
#[test]
fn the_tests_that_are_promised_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let tests = names_of_tests(&root.join("tests"));
    let mut promised = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in last.split('`').skip(1).step_by(2) {
            let word = |c: char| c.is_ascii_lowercase() || c == '_' || c == '-';
            if name.chars().all(word) && !NO_TESTS.contains(&name) {
                promised += 1;
                let there = tests.contains(name) || root.join("scripts").join(name).exists();
                assert!(there, "{name}: {row}");
            }
        }
    }
    assert!(promised > 30, "only {promised}");
}

/// Each file of tests, as it is named: `integration/policy/corpus.rs` is `policy_corpus`,
/// and a file whose name says enough by itself, such as `host_keys.rs`, is that name.
fn names_of_tests(root: &Path) -> BTreeSet<String> {
    let mut files = Vec::new();
    collect(root, &mut files);
    let mut names = BTreeSet::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let inside = path.strip_prefix(root).unwrap().with_extension("");
        let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap()).collect();
        match parts.as_slice() {
            [binary, "main"] => drop(names.insert((*binary).to_owned())),
            [.., folder, file] if text.contains("#[test]") => {
                names.extend([(*file).to_owned(), format!("{folder}_{file}")]);
            }
            _ => {}
        }
    }
    names
}

/// Words in those columns that are something else.
const NO_TESTS: &[&str] = &["bind", "execve", "export", "declare", "libssh"];

/// The checks above see what they should.
#[test]
fn the_reader_of_sources_reads() {
    let code = strip(concat!(
        "use crate::config::types::{A, B}; // crate::mcp\n",
        "/* crate::task */ let s = \"crate::ssh \\\" \"; let r = r#\"crate::sys\"#;\n",
        "let c = '\"'; crate::audit::x(); use crate::{policy, mcp::Server};\n",
        "fn f<'a>(x: &'a str) { crate::cli::y() }",
    ));
    let used = used_modules(&code);
    assert_eq!(
        used,
        [
            "config::types",
            "audit::x",
            "cli::y",
            "policy",
            "mcp::Server"
        ]
    );
    assert!(has_word("an unsafe block", "unsafe") && !has_word("unsafe_code", "unsafe"));
    assert!(sources().len() > 40);
}

struct Source {
    /// Relative to `src/`.
    name: String,
    text: String,
    /// Without comments and without what is in quotes, tests left out.
    code: String,
}

impl Source {
    fn module(&self) -> &str {
        let first = self.name.split('/').next().unwrap();
        first.trim_end_matches(".rs")
    }

    fn lines_without_tests(&self) -> usize {
        without_tests(&self.text).lines().count()
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        Source {
            name: path.strip_prefix(&root).unwrap().display().to_string(),
            code: strip(without_tests(&text)),
            text,
        }
    };
    paths.into_iter().map(read).collect()
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn without_tests(text: &str) -> &str {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    &text[..end]
}

/// Takes out comments and the contents of literals.
fn strip(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = |i: usize| characters.get(i).copied().unwrap_or('\0');
    let mut code = String::new();
    let mut i = 0;
    while i < characters.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < characters.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                i += 2;
                while i < characters.len() && (at(i), at(i + 1)) != ('*', '/') {
                    i += 1;
                }
                i += 2;
            }
            ('r', '"' | '#') if !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') => {
                let hashes = (i + 1..).take_while(|i| at(*i) == '#').count();
                if at(i + 1 + hashes) != '"' {
                    code.push('r');
                    i += 1;
                    continue;
                }
                i += hashes + 2;
                let closes = |i: usize| at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#');
                while i < characters.len() && !closes(i) {
                    i += 1;
                }
                i += hashes + 1;
            }
            ('"', _) => {
                i += 1;
                while i < characters.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character, not a lifetime.
            ('\'', '\\') => {
                i += 3;
                while i < characters.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (character, _) => {
                code.push(character);
                i += 1;
            }
        }
    }
    code
}

/// What follows `crate::`, two names deep, in order of appearance; groups come last.
fn used_modules(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    let mut grouped = Vec::new();
    for (start, found) in code.match_indices("crate::") {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[start + found.len()..];
        match rest.strip_prefix('{') {
            None => used.push(path(rest)),
            Some(group) => {
                // A group within the group belongs to the name before it.
                let mut depth = 0;
                let mut item = String::new();
                for character in group.chars() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => grouped.push(path(item.trim_start())),
                        _ if depth == 0 => item.push(character),
                        _ => {}
                    }
                    if character == ',' && depth == 0 {
                        item.clear();
                    }
                }
                grouped.push(path(item.trim_start()));
            }
        }
    }
    used.extend(grouped);
    used.retain(|name| !name.is_empty());
    used
}

fn path(text: &str) -> String {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    let mut parts = text.split("::");
    let first: String = parts
        .next()
        .unwrap_or("")
        .chars()
        .take_while(|c| name(*c))
        .collect();
    let complete = text[first.len()..].starts_with("::");
    let second = parts.next().filter(|_| complete);
    let second: String = second
        .unwrap_or("")
        .chars()
        .take_while(|c| name(*c))
        .collect();
    if second.is_empty() {
        first
    } else {
        format!("{first}::{second}")
    }
}

fn has_word(code: &str, word: &str) -> bool {
    let name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, found)| {
        let ends_open = word.ends_with(|c: char| !(c.is_alphanumeric() || c == '_'));
        let after = code[at + found.len()..].chars().next();
        !name(code[..at].chars().next_back()) && (ends_open || !name(after))
    })
}
