//! Promise: the source keeps its shape. Modules depend on each other in one direction,
//! each file says what it is for, none is too long, and unsafe code, printing, sockets
//! and system calls are only where they belong.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

mod imports;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::imports::{circles, edges, without_parents};
use crate::sources::{Source, collect, has_word, sources, strip};

/// Most lines of a file, tests left out.
const LONGEST: usize = 500;

/// Most files in a folder, beside the `mod.rs` that declares them.
const MOST: usize = 12;

/// Each room, and those it may use: `main → startup → {cli, mcp} → task → {ssh, audit} →
/// config → policy → model → std`. Whoever is higher may use all that is lower; beside one
/// another are `cli` and `mcp`, `ssh` and `audit`. `sys` belongs to `startup` alone.
const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &["startup", "sys"]),
    (
        "startup",
        &[
            "cli", "mcp", "task", "ssh", "audit", "config", "policy", "model", "sys",
        ],
    ),
    (
        "cli",
        &["task", "ssh", "audit", "config", "policy", "model"],
    ),
    (
        "mcp",
        &["task", "ssh", "audit", "config", "policy", "model"],
    ),
    ("task", &["ssh", "audit", "config", "policy", "model"]),
    ("ssh", &["config", "policy", "model"]),
    ("audit", &["config", "policy", "model"]),
    ("config", &["policy", "model"]),
    ("policy", &["model"]),
    ("model", &[]),
    ("sys", &[]),
    // Shows tests, benches and fuzz targets what they may look at.
    (
        "testing",
        &[
            "cli", "mcp", "task", "ssh", "audit", "config", "policy", "model", "sys",
        ],
    ),
];

/// A word, and the only files that may say it in code.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("unsafe", &["sys/", "ssh/libssh2/"]),
    ("libssh2_sys", &["ssh/libssh2/"]),
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
fn rooms_depend_in_one_direction() {
    let sources = sources();
    let mut wrong = Vec::new();
    for (module, used) in edges(&sources) {
        let room = |module: &str| module.split("::").next().unwrap().to_owned();
        let own = room(&module);
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == own) else {
            panic!("{module}: the room has no place in the direction");
        };
        for used in used {
            let other = room(&used);
            if other != own && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{module} uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let found = circles(&without_parents(&edges(&sources())));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_folder_is_flat() {
    let mut folders = BTreeMap::<_, usize>::new();
    let declares = |file: &Source| file.name.ends_with("mod.rs");
    for file in sources().into_iter().filter(|file| !declares(file)) {
        let folder = file.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder.to_owned()).or_default() += 1;
    }
    folders.retain(|_, files| *files > MOST);
    assert!(folders.is_empty(), "more than {MOST} files: {folders:#?}");
}

/// What is public is not seen to be dead. Tests, benches and fuzz targets have `testing`.
#[test]
fn the_rooms_are_closed() {
    let sources = sources();
    let lib = sources.iter().find(|file| file.name == "lib.rs").unwrap();
    let public: Vec<_> = lib
        .code
        .lines()
        .filter(|line| line.starts_with("pub "))
        .collect();
    assert_eq!(
        public,
        [
            "pub mod testing;",
            "pub use startup::{Outcome, run};",
            "pub use sys::out_of_memory::RecordingAllocator;",
            "pub use sys::single_threaded::SingleThreaded;",
        ]
    );
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
        "let c = '\"'; crate::audit::x(); fn f<'a>(x: &'a str) { crate::cli::y() }",
    ));
    assert!(!code.contains("mcp") && !code.contains("task") && !code.contains("ssh"));
    assert!(!code.contains("sys") && code.contains("crate::cli::y()"));
    assert!(has_word("an unsafe block", "unsafe") && !has_word("unsafe_code", "unsafe"));
    assert!(sources().len() > 100);
}

#[test]
fn circles_are_seen_however_they_are_written() {
    let file = |name: &str, code: &str| Source {
        name: name.to_owned(),
        text: String::new(),
        code: code.to_owned(),
    };
    let sources = [
        file("a/mod.rs", "mod one; mod two; pub use one::One;"),
        file("a/one.rs", "use super::two::{self, Two as T};"),
        file("a/two.rs", "use std::io; use crate::{b::{x::X, y}, model};"),
        file("b/mod.rs", "mod x; mod y;"),
        file("b/x.rs", "fn f() { crate::a::one::g() }"),
        file("b/y.rs", "use self::z; use super::x;"),
        file("model.rs", ""),
    ];
    let all = edges(&sources);
    let used = |module: &str| all[module].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(used("a"), ["a::one"]);
    assert_eq!(used("a::one"), ["a::two"]);
    assert_eq!(used("a::two"), ["b::x", "b::y", "model"]);
    assert_eq!(used("b::y"), ["b::x"]);
    let circles = circles(&without_parents(&all));
    let names = ["a::one", "a::two", "b::x", "b::y"].map(str::to_owned);
    assert_eq!(circles, [BTreeSet::from(names)]);
}
