//! A host's key is on record before anything is trusted to it: decided as OpenSSH decides,
//! over generated files; unknown, changed and revoked are three refusals, before any
//! login; and only `trust` on the command line adds to the record.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::common::{Fleet, HostSpec, Proxy, Scratch, Server, Setup, run, run_cli, tool};
use mcp_ssh_orchestrator::testing::model::names::Port;
use mcp_ssh_orchestrator::testing::ssh::SshError;
use mcp_ssh_orchestrator::testing::ssh::error::HostKeyProblem;
use mcp_ssh_orchestrator::testing::ssh::host_keys::{KnownHosts, PublicKey, RecordName};
use serde_json::{Value, json};

/// A key pair on disk.
struct Pair {
    file: PathBuf,
    /// Type and base64.
    line: String,
    key: PublicKey,
}

fn pairs(dir: &Path) -> Vec<Pair> {
    let kinds: [(&str, &[&str]); 4] = [
        ("a", &["-t", "ed25519"]),
        ("b", &["-t", "ed25519"]),
        ("c", &["-t", "ecdsa"]),
        ("d", &["-t", "rsa", "-b", "2048"]),
    ];
    let make = |(name, args): &(&str, &[&str])| {
        let file = dir.join(name);
        run(
            "ssh-keygen",
            &[
                args,
                &["-q", "-N", "", "-C", "", "-f", file.to_str().unwrap()][..],
            ]
            .concat(),
        );
        let public = fs::read_to_string(file.with_extension("pub")).unwrap();
        let line = public
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ");
        let blob = openssl::base64::decode_block(line.split(' ').nth(1).unwrap()).unwrap();
        Pair {
            file,
            line,
            key: PublicKey::from_blob(blob).unwrap(),
        }
    };
    kinds.iter().map(make).collect()
}

/// A small generator: the same files at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // Knuth's MMIX constants; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

const NAMES: &[(&str, u16)] = &[
    ("web1", 22),
    ("web1", 2222),
    ("web2.example.com", 22),
    ("WEB2.example.com", 2222),
    ("10.0.0.1", 22),
    ("2001:db8::1", 2222),
];

const PATTERNS: &[&str] = &[
    "web1",
    "Web1",
    "[web1]:2222",
    "[web1]:22",
    "web1,10.0.0.1",
    "web?",
    "*",
    "!web1,*",
    "*.example.com",
    "*.example.com,!web2.*",
    "[*]:2222",
    "[web2.example.com]:2222",
    "10.0.0.*",
    "[2001:db8::1]:2222",
    "web10",
    ",web1",
    "web1,",
];

fn file(dice: &mut Dice, pairs: &[Pair], dir: &Path) -> String {
    let mut text = String::new();
    for _ in 0..1 + dice.roll(5) {
        let key = &pairs[dice.roll(pairs.len())].line;
        let mut line = match dice.roll(12) {
            // Of `[name]:22`, OpenSSH says that it is nobody.
            0 => format!("@revoked {} {key}", dice.pick(PATTERNS)).replace("]:22 ", "]:222 "),
            1 => format!("@cert-authority {} {key}", dice.pick(PATTERNS)),
            2 => format!("# {} {key}", dice.pick(PATTERNS)),
            3 => format!("@unheard-of {} {key}", dice.pick(PATTERNS)),
            4 => format!("{} {}", dice.pick(PATTERNS), &key[..key.len() / 2]),
            5 => String::new(),
            6 | 7 => hashed(
                dir,
                dice.pick(&["web1", "[web1]:2222", "web2.example.com", "10.0.0.1"]),
                key,
            ),
            _ => format!("{} {key}", dice.pick(PATTERNS)),
        };
        match dice.roll(6) {
            0 => line += " a comment",
            1 => line = line.replace(' ', "\t"),
            2 => line = format!("  {line}"),
            _ => {}
        }
        text += &line;
        text.push('\n');
    }
    text
}

/// The line as `ssh-keygen -H` writes it.
fn hashed(dir: &Path, name: &str, key: &str) -> String {
    let file = dir.join("to-hash");
    fs::write(&file, format!("{name} {key}\n")).unwrap();
    let _ = Command::new(tool("ssh-keygen"))
        .args(["-q", "-H", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    fs::read_to_string(file).unwrap().trim().to_owned()
}

fn verdict(known: &KnownHosts, name: (&str, u16), key: &PublicKey) -> &'static str {
    let record = RecordName::new(name.0, Port::new(name.1).unwrap());
    match known.verify(&record, key) {
        Ok(()) => "accepted",
        Err(SshError::HostKey(HostKeyProblem::Revoked { .. })) => "revoked",
        Err(SshError::HostKey(HostKeyProblem::Mismatch { .. })) => "changed",
        // OpenSSH says no more of an authority than that the key is unknown.
        Err(SshError::HostKey(HostKeyProblem::Unknown { .. }) | SshError::KnownHosts { .. }) => {
            "unknown"
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn names_are_found_as_ssh_keygen_finds_them() {
    let dir = Scratch::new("known");
    let pairs = pairs(dir.path());
    let mut dice = Dice(1);
    let path = dir.path().join("known_hosts");
    let mut found = 0;
    for _ in 0..60 {
        let text = file(&mut dice, &pairs, dir.path());
        fs::write(&path, &text).unwrap();
        let known = KnownHosts::parse(text.as_bytes());
        for (name, port) in NAMES {
            let asked = if *port == 22 {
                (*name).to_owned()
            } else {
                format!("[{name}]:{port}")
            };
            let output = Command::new(tool("ssh-keygen"))
                .args(["-F", &asked, "-f"])
                .arg(&path)
                .output()
                .unwrap();
            let listed = String::from_utf8(output.stdout).unwrap();
            let record = RecordName::new(name, Port::new(*port).unwrap());
            for pair in &pairs {
                let is_listed = listed.lines().any(|line| {
                    let is_marked = line.trim_start().starts_with('@');
                    !line.starts_with('#')
                        && !is_marked
                        && line.replace('\t', " ").contains(&pair.line)
                });
                let standing = known.standing(&record, &pair.key);
                let on_record = matches!(
                    standing,
                    mcp_ssh_orchestrator::testing::ssh::host_keys::Standing::OnRecord
                );
                let revoked = matches!(
                    standing,
                    mcp_ssh_orchestrator::testing::ssh::host_keys::Standing::Revoked
                );
                if !revoked {
                    assert_eq!(
                        on_record, is_listed,
                        "{asked} {}\n{text}\n{listed}",
                        pair.line
                    );
                }
                found += usize::from(is_listed);
            }
        }
    }
    assert!(found > 50, "only {found} names were found at all");
}

#[test]
fn keys_are_judged_as_the_openssh_client_judges_them() {
    let dir = Scratch::new("known");
    let pairs = pairs(dir.path());
    let mut dice = Dice(2);
    let path = dir.path().join("known_hosts");
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..80 {
        let text = file(&mut dice, &pairs, dir.path());
        fs::write(&path, &text).unwrap();
        let name = NAMES[dice.roll(NAMES.len())];
        let pair = &pairs[dice.roll(pairs.len())];
        let ours = verdict(&KnownHosts::parse(text.as_bytes()), name, &pair.key);
        let theirs = client_verdict(dir.path(), &path, name, pair);
        assert_eq!(ours, theirs, "{name:?} {}\n{text}", pair.line);
        *seen.entry(ours).or_insert(0) += 1;
    }
    assert!(seen.len() == 4, "not every verdict came up: {seen:?}");
}

/// Files that no careful person writes: something odd at every joint of every line. What is
/// let in is what OpenSSH lets in, so it misses none of the revocations that OpenSSH sees.
#[test]
fn nothing_odd_lets_more_in_than_openssh() {
    const FILES: [&str; 4] = [
        "web1 KEY a comment\n",
        "web0,web1 KEY\n@revoked web1 KEY\n",
        "@revoked *,!web2 KEY\nweb1 KEY",
        "web1 KEY\r\n@revoked *,!web1 KEY\r\n",
    ];
    const ODDITIES: [&str; 11] = [
        "\r",
        "\x0c",
        "\x0b",
        "\0",
        "\u{a0}",
        "\u{feff}",
        ",",
        "!",
        "#",
        "@revoked ",
        "=",
    ];
    let dir = Scratch::new("known");
    let pair = &pairs(dir.path())[0];
    let path = dir.path().join("known_hosts");
    let (mut accepted, mut refused) = (0, 0);
    for file in FILES {
        let text = file.replace("KEY", &pair.line);
        let joint = |(at, _): (usize, &str)| [at, at + 1];
        let mut joints: Vec<usize> = text
            .match_indices([' ', ',', '\n', '@', '!', '\r'])
            .flat_map(joint)
            .chain([0, text.len(), text.find("AAAAI").unwrap()])
            .collect();
        joints.sort_unstable();
        joints.dedup();
        for (at, odd) in joints.iter().flat_map(|at| ODDITIES.map(|odd| (*at, odd))) {
            let mut text = text.clone();
            text.insert_str(at, odd);
            let name = ("web1", 22);
            if verdict(&KnownHosts::parse(text.as_bytes()), name, &pair.key) != "accepted" {
                refused += 1;
                continue;
            }
            accepted += 1;
            fs::write(&path, &text).unwrap();
            let theirs = client_verdict(dir.path(), &path, name, pair);
            assert_eq!(theirs, "accepted", "{text:?}");
        }
    }
    assert!(
        accepted > 50 && refused > 300,
        "{accepted} accepted, {refused} refused"
    );
}

/// A file of a large site: a hundred thousand lines, and the last of them revokes.
#[test]
fn the_last_of_very_many_lines_counts() {
    let dir = Scratch::new("known");
    let pairs = pairs(dir.path());
    let (good, bad) = (&pairs[0], &pairs[1]);
    let mut text = String::new();
    for number in 0..100_000 {
        text += &format!(
            "web{number},10.0.{}.{} {}\n",
            number / 256,
            number % 256,
            bad.line
        );
    }
    text += &format!(
        "last {}\nlast {}\n@revoked last {}",
        good.line, bad.line, bad.line
    );
    let known = KnownHosts::parse(text.as_bytes());
    assert_eq!(verdict(&known, ("web99999", 22), &bad.key), "accepted");
    assert_eq!(verdict(&known, ("web99999", 22), &good.key), "changed");
    assert_eq!(verdict(&known, ("last", 22), &good.key), "accepted");
    assert_eq!(verdict(&known, ("last", 22), &bad.key), "revoked");
}

/// What `ssh` says when this host, which it is told to reach through a program, has this key.
fn client_verdict(
    dir: &Path,
    known: &Path,
    (name, port): (&str, u16),
    pair: &Pair,
) -> &'static str {
    let config = dir.join("sshd_config");
    let lines = format!(
        "HostKey {}\nPidFile none\nUsePAM no\nLogLevel QUIET\n",
        pair.file.display()
    );
    fs::write(&config, lines).unwrap();
    let proxy = format!(
        "ProxyCommand={} -i -f {}",
        tool("sshd").display(),
        config.display()
    );
    let known = format!("UserKnownHostsFile={}", known.display());
    let output = Command::new(tool("ssh"))
        .args([
            "-F",
            "none",
            "-o",
            &proxy,
            "-o",
            &known,
            "-o",
            "GlobalKnownHostsFile=none",
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "BatchMode=yes",
            "-o",
            "PreferredAuthentications=none",
        ])
        .args([
            "-o",
            "UpdateHostKeys=no",
            "-p",
            &port.to_string(),
            "-l",
            "nobody",
            name,
            "true",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let holds = |text: &str| said.contains(text);
    match () {
        () if holds("REVOKED HOST KEY") => "revoked",
        () if holds("REMOTE HOST IDENTIFICATION HAS CHANGED") => "changed",
        () if holds("host key is known for") || holds("No matching host key") => "unknown",
        () if holds("Permission denied") => "accepted",
        () => panic!("ssh said: {said}"),
    }
}

fn output(result: &Value) -> &str {
    let said = result["why"].as_str();
    said.or(result["output"].as_str()).unwrap()
}

#[test]
fn unknown_changed_and_revoked_are_three_refusals_before_any_login() {
    let fleet = Fleet::of(&["web1"]);
    let host = fleet.host("web1");
    let known = host.known_hosts_line();
    let server = Server::start(&fleet.setup);

    fleet.setup.key("known_hosts", "");
    let ran = server.run("web1", "echo hello");
    assert_eq!(
        output(&ran),
        "SSH host key not found: Add host to known_hosts"
    );
    assert_eq!(
        (&ran["exit_code"], &ran["target_ip"]),
        (&json!(-1), &json!(host.address.to_string()))
    );
    let event = server.wait_type("host_key_unknown");
    let fingerprint = fingerprint(&host.public_host_key());
    assert!(
        event["presented_key"]
            .as_str()
            .unwrap()
            .contains(&fingerprint),
        "{event}"
    );

    // Added while the server runs: that is enough.
    fleet.setup.key("known_hosts", &known);
    assert_eq!(output(&server.run("web1", "echo hello")), "hello");

    fleet.setup.key(
        "known_hosts",
        &format!("{known}@revoked * {}\n", host.public_host_key()),
    );
    let ran = server.run("web1", "echo hello");
    assert_eq!(
        output(&ran),
        "SSH host key verification failed: Host key is revoked"
    );
    assert!(
        server.wait_type("host_key_revoked")["presented_key"]
            .as_str()
            .unwrap()
            .contains(&fingerprint)
    );

    fleet.setup.key("known_hosts", &known);
    host.change_host_key();
    let ran = server.run("web1", "echo hello");
    assert_eq!(
        output(&ran),
        "SSH host key verification failed: Host key mismatch"
    );
    let event = server.wait_type("host_key_mismatch");
    assert!(
        event["recorded_key"]
            .as_str()
            .unwrap()
            .contains(&fingerprint),
        "{event}"
    );
    assert_eq!(event["known_hosts_line"], 1);

    // One login in all, and no attempt at another.
    assert_eq!(host.logins(), 1);
    assert!(!host.log().join("\n").contains("Failed "));
    server.finish();
}

fn fingerprint(line: &str) -> String {
    let dir = Scratch::new("fingerprint");
    let file = dir.path().join("key.pub");
    fs::write(&file, line).unwrap();
    let said = run("ssh-keygen", &["-l", "-f", file.to_str().unwrap()]);
    said.split_whitespace().nth(1).unwrap().to_owned()
}

/// A host with a key of each type, on disk beside the fleet's own.
fn with_all_types() -> (Fleet, Scratch) {
    let dir = Scratch::new("types");
    let mut spec = HostSpec::new("web1");
    for (kind, more) in [("ecdsa", &[][..]), ("rsa", &["-b", "2048"])] {
        let file = dir.path().join(kind);
        run(
            "ssh-keygen",
            &[
                &["-q", "-t", kind, "-N", "", "-f", file.to_str().unwrap()],
                more,
            ]
            .concat(),
        );
        spec = spec.sshd(&format!("HostKey {}", file.display()));
    }
    (Fleet::with(vec![spec]), dir)
}

#[test]
fn another_key_type_there_is_no_false_alarm() {
    let (fleet, dir) = with_all_types();
    let server = Server::start(&fleet.setup);
    let host = fleet.host("web1");
    let name = format!("[{}]:{}", host.address, host.port);
    for kind in ["ecdsa", "rsa"] {
        let key = fs::read_to_string(dir.path().join(format!("{kind}.pub"))).unwrap();
        fleet.setup.key("known_hosts", &format!("{name} {key}"));
        let ran = server.run("web1", &format!("echo {kind}"));
        assert_eq!(output(&ran), kind);
    }
    server.finish();
}

fn trust(setup: &Setup, args: &[&str], answer: &str) -> Output {
    let mut child = begin_trust(setup, args);
    let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
    child.wait_with_output().unwrap()
}

/// What `trust` says to an answer that it gets after something else has happened.
fn trust_meanwhile(setup: &Setup, alias: &str, meanwhile: impl FnOnce()) -> Output {
    let mut child = begin_trust(setup, &[alias]);
    let mut shown = Vec::new();
    let mut out = child.stdout.take().unwrap();
    while !shown.ends_with(b"[yes/no] ") {
        let mut byte = [0];
        out.read_exact(&mut byte).unwrap();
        shown.extend(byte);
    }
    meanwhile();
    child.stdin.take().unwrap().write_all(b"yes\n").unwrap();
    child.wait_with_output().unwrap()
}

fn begin_trust(setup: &Setup, args: &[&str]) -> Child {
    setup
        .command()
        .args(["trust"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A person takes time to compare fingerprints.
#[test]
fn what_is_added_meanwhile_is_kept_and_counts() {
    let fleet = Fleet::of(&["web1", "web2", "web3"]);
    let setup = &fleet.setup;
    let file = setup.keys.join("known_hosts");
    let entry = |alias: &str| fleet.host(alias).known_hosts_line();
    fs::write(&file, "").unwrap();
    let said = trust_meanwhile(setup, "web1", || {
        assert_eq!(trust(setup, &["web2"], "yes\n").status.code(), Some(0));
    });
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        entry("web2") + &entry("web1")
    );
    // The same one twice.
    let said = trust_meanwhile(setup, "web3", || {
        assert_eq!(trust(setup, &["web3"], "yes\n").status.code(), Some(0));
    });
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 3);
    // Revoked by somebody who heard of it first.
    let revocation = format!("@revoked * {}\n", fleet.host("web1").public_host_key());
    fs::write(&file, "").unwrap();
    let said = trust_meanwhile(setup, "web1", || fs::write(&file, &revocation).unwrap());
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), revocation);
    assert!(String::from_utf8_lossy(&said.stderr).contains("revoked"));
}

/// Scripts do that for a whole fleet at once: each takes its turn.
#[test]
fn one_adds_at_a_time() {
    let fleet = Fleet::of(&["web1"]);
    let file = fleet.setup.keys.join("known_hosts");
    fs::write(&file, "").unwrap();
    let turn = fs::File::open(&fleet.setup.keys).unwrap();
    turn.lock().unwrap();
    let key = fingerprint(&fleet.host("web1").public_host_key());
    let child = begin_trust(&fleet.setup, &["web1", "--fingerprint", &key]);
    let waits = format!(" {} ", child.id());
    crate::common::wait_until("it waits for its turn", || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let mut waiting = locks.lines().filter(|line| line.contains("-> FLOCK"));
        waiting.any(|line| line.contains(&waits))
    });
    fs::write(&file, "other.example ssh-ed25519 AAAA\n").unwrap();
    drop(turn);
    let said = child.wait_with_output().unwrap();
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let added = fs::read_to_string(&file).unwrap();
    let expected = fleet.host("web1").known_hosts_line();
    assert_eq!(added, format!("other.example ssh-ed25519 AAAA\n{expected}"));
}

/// A connection that comes to nothing counts against us there.
#[test]
fn trust_asks_only_for_the_types_that_a_host_has() {
    let (fleet, _dir) = with_all_types();
    let proxy = Proxy::before(fleet.host("web1"));
    let (entry, _) = proxy.entry("proxied", fleet.host("web1"));
    fleet
        .setup
        .write("servers.yml", &format!("hosts:\n{entry}"));
    fs::write(fleet.setup.keys.join("known_hosts"), "").unwrap();
    let on_record = || fs::read_to_string(fleet.setup.keys.join("known_hosts")).unwrap();
    let said = trust(&fleet.setup, &["proxied"], "yes\n");
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert_eq!(on_record().lines().count(), 1, "{}", on_record());
    assert_eq!(proxy.connections(), 1);
    // Of the type that is on record: nothing else is asked.
    assert_eq!(trust(&fleet.setup, &["proxied"], "").status.code(), Some(0));
    assert_eq!(proxy.connections(), 2);

    let said = trust(&fleet.setup, &["proxied", "--all-types"], "yes\n");
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert_eq!(on_record().lines().count(), 3, "{}", on_record());
    assert_eq!(proxy.connections(), 5);

    // The first that is asked for, and no more.
    fs::write(fleet.setup.keys.join("known_hosts"), "").unwrap();
    let ed25519 = fingerprint(&fleet.host("web1").public_host_key());
    let line = ["proxied", "--fingerprint", &ed25519];
    assert_eq!(trust(&fleet.setup, &line, "").status.code(), Some(0));
    assert_eq!(proxy.connections(), 6);
}

/// sshd of OpenSSH 9.8 and later bans whom too many connections without a login come from.
#[test]
fn trust_leaves_one_connection_in_the_log() {
    let (fleet, _dir) = with_all_types();
    fs::write(fleet.setup.keys.join("known_hosts"), "").unwrap();
    let said = trust(&fleet.setup, &["web1"], "yes\n");
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    fleet.host("web1").wait_log("[preauth]");
    let log = fleet.host("web1").log();
    let connections = log.iter().filter(|line| line.contains("Connection from"));
    assert_eq!(connections.count(), 1, "{log:#?}");
}

#[test]
fn trust_shows_and_adds_what_a_person_confirms() {
    let (fleet, dir) = with_all_types();
    let setup = &fleet.setup;
    let file = setup.keys.join("known_hosts");
    fs::write(&file, "# kept\nother.example ssh-ed25519 AAAA").unwrap();
    let said = trust(setup, &["web1", "--all-types"], "no\n");
    assert_eq!(said.status.code(), Some(1));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "# kept\nother.example ssh-ed25519 AAAA"
    );
    let shown = String::from_utf8(said.stdout).unwrap();
    for kind in ["ecdsa", "rsa"] {
        let public = dir.path().join(format!("{kind}.pub"));
        let line = run("ssh-keygen", &["-l", "-f", public.to_str().unwrap()]);
        let words: Vec<&str> = line.split_whitespace().collect();
        // Bits, fingerprint and type as ssh-keygen has them; the name is the host's.
        assert!(
            shown.contains(&format!("{} {} ", words[0], words[1])),
            "{shown}\n{line}"
        );
        assert!(shown.contains(words.last().unwrap()), "{shown}");
    }
    // End of input is not a yes.
    assert_eq!(trust(setup, &["web1"], "").status.code(), Some(1));

    let said = trust(setup, &["web1", "--all-types"], "yes\n");
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let added = fs::read_to_string(&file).unwrap();
    assert!(
        added.starts_with("# kept\nother.example ssh-ed25519 AAAA\n["),
        "{added}"
    );
    assert_eq!(added.lines().count(), 5);
    let again = trust(setup, &["web1"], "");
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), added);

    let server = Server::start(setup);
    assert_eq!(output(&server.run("web1", "echo hello")), "hello");
    server.finish();
}

#[test]
fn trust_by_fingerprint_takes_that_key_alone() {
    let (fleet, dir) = with_all_types();
    let setup = &fleet.setup;
    setup.key("known_hosts", "");
    let wrong = run_cli(
        setup,
        &[
            "trust",
            "web1",
            "--fingerprint",
            "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ],
    );
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(
        fs::read_to_string(setup.keys.join("known_hosts")).unwrap(),
        ""
    );
    let key = fs::read_to_string(dir.path().join("ecdsa.pub")).unwrap();
    let right = run_cli(
        setup,
        &["trust", "web1", "--fingerprint", &fingerprint(&key)],
    );
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    let added = fs::read_to_string(setup.keys.join("known_hosts")).unwrap();
    assert_eq!(added.lines().count(), 1);
    assert!(added.contains("ecdsa-sha2-nistp256"), "{added}");
}

#[test]
fn trust_does_not_replace_a_key() {
    let fleet = Fleet::of(&["web1"]);
    fleet.host("web1").change_host_key();
    let before = fs::read_to_string(fleet.setup.keys.join("known_hosts")).unwrap();
    let said = trust(&fleet.setup, &["web1"], "yes\n");
    assert_eq!(said.status.code(), Some(1));
    let why = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(why.contains("line 1 has another key"), "{why}");
    assert_eq!(
        fs::read_to_string(fleet.setup.keys.join("known_hosts")).unwrap(),
        before
    );
    assert_eq!(
        trust(&fleet.setup, &["no-such-alias"], "yes\n")
            .status
            .code(),
        Some(1)
    );
}

/// A host that the network policy shuts off is not asked for its keys either.
#[test]
fn trust_connects_to_allowed_addresses_alone() {
    let fleet = Fleet::of(&["web1"]);
    let setup = &fleet.setup;
    setup.key("known_hosts", "");
    let block = format!("network:\n  block_ips: [{}]\n", fleet.host("web1").address);
    let policy = crate::common::policy_allowing(&["echo *"]).replacen("network:\n", &block, 1);
    setup.write("policy.yml", &policy);
    let said = trust(setup, &["web1"], "yes\n");
    assert_eq!(said.status.code(), Some(1));
    let why = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(why.contains("policy"), "{why}");
    let record = fs::read_to_string(setup.keys.join("known_hosts")).unwrap();
    assert_eq!(record, "");
    let log = fleet.host("web1").log().join("\n");
    assert!(!log.contains("Connection from"), "{log}");
}

#[test]
fn no_tool_call_adds_to_the_record() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.key("known_hosts", "");
    let server = Server::start(&fleet.setup);
    let tools = server.request("tools/list", json!({}))["tools"]
        .as_array()
        .unwrap()
        .clone();
    assert!(
        tools
            .iter()
            .all(|tool| !tool["name"].as_str().unwrap().contains("trust"))
    );
    for _ in 0..3 {
        server.run("web1", "echo hello");
    }
    server.finish();
    assert_eq!(
        fs::read_to_string(fleet.setup.keys.join("known_hosts")).unwrap(),
        ""
    );
}
