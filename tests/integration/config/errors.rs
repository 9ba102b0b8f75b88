//! Nothing is skipped and nothing falls open: every mistake in the three files is an
//! error with its file, line, column and key, all of them at once; what loads but
//! surprises is a warning. The mistakes and the words for them are a table,
//! `data/config/mistakes.txt`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::common::{Scratch, Setup};
use mcp_ssh_orchestrator::testing::config::{
    Dirs, Environment, FILES, Fault, Links, LoadError, Loaded, load_texts,
};
use mcp_ssh_orchestrator::testing::model::security_event::{EventValue, SecurityEvent};

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

/// One case of `data/config/mistakes.txt`: what stands in a file, and what is said of it.
struct Case<'a> {
    file: &'static str,
    text: &'a str,
    said: Vec<&'a str>,
}

fn cases() -> Vec<Case<'static>> {
    const CASES: &str = include_str!("../../data/config/mistakes.txt");
    let blocks = CASES.split("\n\n").map(|block| block.trim_matches('\n'));
    let blocks = blocks.filter(|block| !block.is_empty() && !block.starts_with('#'));
    let cases: Vec<Case<'_>> = blocks
        .map(|block| {
            let said = block.find("=> ").unwrap_or_else(|| panic!("{block}"));
            let (text, said) = block.split_at(said);
            let said: Vec<&str> = said.lines().collect();
            let file = FILES.into_iter().find(|file| said[0].contains(file));
            let file = file.unwrap_or_else(|| panic!("{block}"));
            Case { file, text, said }
        })
        .collect();
    assert!(cases.len() > 90, "the table is empty or cut off");
    cases
}

#[test]
fn each_mistake_and_each_surprise_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for Case { file, text, said } in cases() {
        let told: Vec<String> = match load(with(file, text)) {
            Ok(loaded) => loaded
                .snapshot
                .warnings()
                .iter()
                .map(|warning| format!("=> warning {}: {warning}", warning.kind.code()))
                .collect(),
            Err(error) => error
                .problems
                .iter()
                .map(|problem| format!("=> error {}: {problem}", problem.fault.code()))
                .collect(),
        };
        let told: Vec<String> = told
            .iter()
            .map(|line| line.replace(keys(), "KEYS"))
            .collect();
        if told != said {
            wrong.push(format!("{text}{}", told.join("\n")));
        }
    }
    assert!(
        wrong.is_empty(),
        "told otherwise:\n\n{}\n",
        wrong.join("\n\n")
    );
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
    let mut errors = 0;
    for Case { file, text, .. } in cases() {
        let Err(error) = load(with(file, text)) else {
            continue;
        };
        errors += 1;
        let told = error.for_assistant();
        assert!(told.starts_with(file), "{told}");
        for word in ["10.0.0.256", "/etc/passwd", "12345", "garbage", "found"] {
            assert!(!told.contains(word), "{told}");
        }
    }
    assert!(errors > 80);
    let secret = "entries: [{name: ops, username: u, password: [hunter2]}]\n";
    let error = load([SERVERS, secret, POLICY]).err().unwrap();
    assert!(!format!("{error}{error:?}").contains("hunter2"));
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
    let load = |dirs: &Arc<Dirs>| {
        mcp_ssh_orchestrator::testing::config::load(dirs, &Environment::default())
    };
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

    fs::remove_file(&path).unwrap();
    let error = load(&dirs()).err().unwrap();
    assert_eq!(
        (error.problems.len(), error.events.len()),
        (1, 0),
        "{error}"
    );
    assert!(error.problems[0].accepted.contains("init DIR"), "{error}");

    fs::create_dir(&path).unwrap();
    let error = load(&dirs()).err().unwrap();
    assert_eq!(error.events[0].reason, Some("path_is_directory"));
    fs::remove_dir(&path).unwrap();

    // A directory put in the place of the one that was opened isn't read in silence.
    write();
    let opened = dirs();
    assert!(load(&opened).is_ok());
    let moved = setup.config.with_extension("old");
    fs::rename(&setup.config, &moved).unwrap();
    fs::create_dir(&setup.config).unwrap();
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
    let told = error.problems[0].for_operator();
    assert!(told.contains("MCP_SSH_CONFIG_DIR"), "{told}");

    // A file in a directory's place is no directory that may come yet.
    let file = Dirs::open(&setup.config, &path, &setup.secrets, Links::Refused);
    let error = load(&Arc::new(file)).err().unwrap();
    let told = error.problems[0].for_operator();
    assert!(told.contains("isn't a directory"), "{told}");
}

/// Whoever can write the policy decides what runs.
#[test]
fn what_anybody_can_change_is_told() {
    let setup = Setup::new();
    setup.write("servers.yml", SERVERS);
    setup.write("credentials.yml", CREDENTIALS);
    setup.write("policy.yml", POLICY);
    let told = |path: &Path, mode: u32| {
        let before = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let dirs = Dirs::open(&setup.config, &setup.keys, &setup.secrets, Links::Refused);
        let loaded =
            mcp_ssh_orchestrator::testing::config::load(&Arc::new(dirs), &Environment::default());
        fs::set_permissions(path, before).unwrap();
        let told = loaded
            .unwrap()
            .snapshot
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        told.join("\n")
    };
    let policy = setup.config.join("policy.yml");
    assert_eq!(told(&policy, 0o664), "");
    let text = told(&policy, 0o666);
    assert!(
        text.starts_with("policy.yml: ") && text.contains("0666"),
        "{text}"
    );
    // As Kubernetes mounts it: nobody can replace another one's file.
    assert_eq!(told(&setup.keys, 0o1777), "");
    for directory in [&setup.config, &setup.keys, &setup.secrets] {
        let text = told(directory, 0o777);
        assert!(text.contains(directory.to_str().unwrap()), "{text}");
    }
}

/// Where logins can't be read no host can, and a policy that names hosts is not to blame.
#[test]
fn a_mistake_in_one_file_is_not_told_of_another() {
    let policy = "rules: [{action: allow, tags: [web], commands: [uptime]}]\n\
                  overrides: {tags: {web: {max_seconds: 5}}}\n";
    let error = load([SERVERS, "entries: [{name: ops}]\n", policy])
        .err()
        .unwrap();
    assert_eq!(error.problems.len(), 2, "{error}");
    assert!(error.warnings.is_empty(), "{:?}", error.warnings);
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

fn with<'a>(file: &str, text: &'a str) -> [&'a str; 3] {
    match file {
        "servers.yml" => [text, CREDENTIALS, POLICY],
        "credentials.yml" => [SERVERS, text, POLICY],
        _ => [SERVERS, CREDENTIALS, text],
    }
}

/// One directory for all three, and empty.
fn place() -> &'static (Scratch, Arc<Dirs>) {
    static PLACE: OnceLock<(Scratch, Arc<Dirs>)> = OnceLock::new();
    PLACE.get_or_init(|| {
        let scratch = Scratch::new("errors");
        let path = scratch.path();
        let dirs = Arc::new(Dirs::open(path, path, path, Links::Refused));
        (scratch, dirs)
    })
}

fn keys() -> &'static str {
    place().0.path().to_str().unwrap()
}

fn load(texts: [&str; 3]) -> Result<Loaded, LoadError> {
    load_texts(
        texts.map(str::as_bytes),
        &place().1,
        &Environment::default(),
    )
}
