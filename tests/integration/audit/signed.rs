//! Promise: what `audit sign` has signed proves to somebody else that no record up to there was
//! changed, removed or written anew as a whole; only a signature of somebody who may, for this
//! purpose, counts. Both ways with OpenSSH's own `ssh-keygen`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::common::{Fleet, Launch, Scratch, Server, run_cli, tool, wait_until};

const NAMESPACE: &str = "audit-heads@mcp-ssh-orchestrator.github.io";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A key of the operator, without a passphrase.
fn key(directory: &Path, name: &str, kind: &[&str]) -> PathBuf {
    let path = directory.join(name);
    let args = [&["-q", "-N", "", "-C", name, "-f", text(&path), "-t"], kind].concat();
    let made = Command::new(tool("ssh-keygen")).args(args).status();
    assert!(made.unwrap().success());
    path
}

fn public(key: &Path) -> String {
    let line = fs::read_to_string(key.with_extension("pub")).unwrap();
    let mut words = line.split_whitespace();
    format!("{} {}", words.next().unwrap(), words.next().unwrap())
}

/// One of several records, and who may sign their heads.
struct Bench {
    fleet: Fleet,
    scratch: Scratch,
    records: PathBuf,
    allowed: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let fleet = Fleet::of(&["web1"]);
        fleet.allow(&["uptime"]);
        let scratch = Scratch::new(name);
        let records = scratch.path().join("records");
        fs::create_dir(&records).unwrap();
        let allowed = scratch.path().join("allowed_signers");
        Self {
            fleet,
            scratch,
            records,
            allowed,
        }
    }

    fn start(&self, args: &[&str]) -> Server {
        let args = [&["--audit-dir", text(&self.records)], args].concat();
        Launch::default().args(&args).start(&self.fleet.setup)
    }

    fn key(&self, name: &str, kind: &[&str]) -> PathBuf {
        key(self.scratch.path(), name, kind)
    }

    fn allow(&self, lines: &str) {
        fs::write(&self.allowed, lines).unwrap();
    }

    fn sign(&self, key: &Path, to: &str) -> (Output, PathBuf) {
        let to = self.scratch.path().join(to);
        let args = [
            "audit",
            "sign",
            text(&self.records),
            "--key",
            text(key),
            "--out",
            text(&to),
        ];
        (run_cli(&self.fleet.setup, &args), to)
    }

    fn signed(&self, key: &Path, to: &str) -> PathBuf {
        let (output, to) = self.sign(key, to);
        assert!(output.status.success(), "{output:?}");
        to
    }

    fn verify_with(&self, statement: &Path, more: &[&str]) -> (bool, String) {
        let allowed = text(&self.allowed);
        let args = [
            "audit",
            "verify",
            text(&self.records),
            "--signed",
            text(statement),
        ];
        let args = [&args[..], &["--allowed-signers", allowed], more].concat();
        let output = run_cli(&self.fleet.setup, &args);
        let report = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), report)
    }

    fn verify(&self, statement: &Path) -> (bool, String) {
        self.verify_with(statement, &[])
    }

    fn refused(&self, statement: &Path, why: &str) {
        let (sound, report) = self.verify(statement);
        assert!(!sound && report.contains(why), "{why}: {report}");
        assert!(report.contains("NOT SOUND"), "{report}");
        assert!(!report.contains("\nsigned: "), "{report}");
    }
}

/// `ssh-keygen -Y sign` of a file, as a person runs it; the signature is beside it.
fn sign_by_hand(key: &Path, namespace: &str, file: &Path) {
    let _ = fs::remove_file(file.with_extension("txt.sig"));
    let args = ["-Y", "sign", "-n", namespace, "-f", text(key), text(file)];
    let output = Command::new(tool("ssh-keygen"))
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn newest(directory: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| text(path).ends_with(".jsonl"))
        .collect();
    files.sort();
    files.pop().unwrap()
}

#[test]
fn ssh_keygen_takes_what_we_sign_and_we_take_what_it_signs() {
    let bench = Bench::new("signed");
    let server = bench.start(&[]);
    server.run("web1", "uptime");
    server.finish();
    let living = bench.start(&[]);
    living.run("web1", "uptime");
    let kinds: [(&str, &[&str]); 3] = [
        ("ed25519", &["ed25519"]),
        ("ecdsa", &["ecdsa", "-b", "384"]),
        ("rsa", &["rsa", "-b", "2048"]),
    ];
    let keys = kinds.map(|(name, kind)| (name, bench.key(name, kind)));
    let lines = keys.iter().map(|(name, key)| {
        format!(
            "{name}@ops.example namespaces=\"{NAMESPACE}\" {}\n",
            public(key)
        )
    });
    bench.allow(&lines.collect::<String>());
    for (name, key) in &keys {
        let statement = bench.signed(key, &format!("{name}.txt"));
        let written = fs::read_to_string(&statement).unwrap();
        assert_eq!(written.matches("\nhead ").count(), 2, "{written}");
        // As somebody who has nothing of ours checks it.
        let who = format!("{name}@ops.example");
        let signature = format!("{}.sig", text(&statement));
        let args = [
            "-Y",
            "verify",
            "-f",
            text(&bench.allowed),
            "-I",
            &who,
            "-n",
            NAMESPACE,
        ];
        let checked = Command::new(tool("ssh-keygen"))
            .args(args)
            .args(["-s", &signature])
            .stdin(File::open(&statement).unwrap())
            .output()
            .unwrap();
        assert!(checked.status.success(), "{name}: {checked:?}");
        let (sound, report) = bench.verify(&statement);
        assert!(sound && report.contains(&who), "{report}");
        assert_eq!(report.matches("\nsigned: ").count(), 2, "{report}");
        // The other way round.
        sign_by_hand(key, NAMESPACE, &statement);
        let (sound, report) = bench.verify_with(&statement, &["--signer", &who]);
        assert!(sound, "{report}");
        let (sound, report) = bench.verify_with(&statement, &["--signer", "eve@ops.example"]);
        assert!(!sound && report.contains("does not count"), "{report}");
    }
    // What came later is told, and so is a chain that nobody signed.
    let statement = bench.scratch.path().join("ed25519.txt");
    let (_, before) = bench.verify(&statement);
    assert!(before.contains("; 0 came after it"), "{before}");
    living.run("web1", "uptime");
    living.finish();
    bench.start(&[]).finish();
    let (sound, report) = bench.verify(&statement);
    assert!(sound && report.contains("; not signed"), "{report}");
    assert!(report.contains("3 of 3 chains are sound"), "{report}");
    assert_eq!(report.matches("; 0 came after it").count(), 1, "{report}");

    // Nothing is written over.
    let (output, _) = bench.sign(&keys[0].1, "ed25519.txt");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && told.contains("is there already"),
        "{told}"
    );
    // Without a place it is with the records, and not taken for one of them.
    let args = [
        "audit",
        "sign",
        text(&bench.records),
        "--key",
        text(&keys[0].1),
    ];
    assert!(run_cli(&bench.fleet.setup, &args).status.success());
    let found = fs::read_dir(&bench.records).unwrap();
    let names: Vec<String> = found
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("heads-"))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let beside = names.iter().find(|name| name.ends_with(".txt")).unwrap();
    let (sound, report) = bench.verify(&bench.records.join(beside));
    assert!(
        sound && report.contains("3 of 3 chains are sound"),
        "{report}"
    );
}

#[test]
fn a_key_of_an_agent_signs_and_a_passphrase_is_not_guessed() {
    let bench = Bench::new("agent");
    bench.start(&[]).finish();
    let key = bench.key("ops", &["ed25519"]);
    bench.allow(&format!("ops {}\n", public(&key)));
    let socket = bench.scratch.path().join("agent");
    let mut agent = Command::new(tool("ssh-agent"))
        .args(["-D", "-a", text(&socket)])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the agent listens", || socket.exists());
    let added = Command::new(tool("ssh-add"))
        .args(["-q", text(&key)])
        .env("SSH_AUTH_SOCK", &socket)
        .status();
    assert!(added.unwrap().success());
    fs::remove_file(&key).unwrap();
    let statement = bench.scratch.path().join("heads.txt");
    let public = key.with_extension("pub");
    let mut command = bench.fleet.setup.command();
    command.args([
        "audit",
        "sign",
        text(&bench.records),
        "--key",
        text(&public),
    ]);
    command
        .args(["--out", text(&statement)])
        .env("SSH_AUTH_SOCK", &socket);
    let output = command.stdin(Stdio::null()).output().unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(bench.verify(&statement).0);

    // Where there is no ssh-keygen, nothing is taken for good.
    let mut command = bench.fleet.setup.command();
    command.args(["audit", "verify", text(&bench.records)]);
    command.args(["--signed", text(&statement)]);
    command.args(["--allowed-signers", text(&bench.allowed)]);
    let output = command.env("PATH", "/nonexistent").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("there is no ssh-keygen here"), "{told}");

    // Without the agent there is nothing to sign with, and nothing is written.
    let (output, none) = bench.sign(&public, "none.txt");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && told.contains("did not sign"),
        "{told}"
    );
    assert!(!none.exists() && !none.with_extension("txt.sig").exists());
}

#[test]
fn only_a_signature_for_this_by_one_who_may_counts() {
    let bench = Bench::new("forged");
    bench.start(&[]).finish();
    let (ops, eve) = (
        bench.key("ops", &["ed25519"]),
        bench.key("eve", &["ed25519"]),
    );
    let statement = bench.signed(&ops, "heads.txt");
    let signature = statement.with_extension("txt.sig");
    let mine = public(&ops);
    for (lines, why) in [
        (format!("ops {mine}\n"), ""),
        (
            format!("ops,others namespaces=\"git,{NAMESPACE}\" {mine}\n"),
            "",
        ),
        (format!("* valid-after=\"20200101\" {mine}\n"), ""),
        (format!("eve {}\n", public(&eve)), "does not count"),
        (String::new(), "does not count"),
        (
            format!("ops namespaces=\"file,git\" {mine}\n"),
            "does not count",
        ),
        (
            format!("ops valid-before=\"20200101\" {mine}\n"),
            "does not count",
        ),
        (
            format!("ops valid-after=\"20990101\" {mine}\n"),
            "does not count",
        ),
        (
            format!("ops not-understood=\"x\" {mine}\n"),
            "does not count",
        ),
        (format!("ops cert-authority {mine}\n"), "does not count"),
    ] {
        bench.allow(&lines);
        if why.is_empty() {
            let (sound, report) = bench.verify(&statement);
            assert!(sound, "{lines}: {report}");
        } else {
            bench.refused(&statement, why);
        }
    }
    bench.allow(&format!(
        "ops {mine}\neve namespaces=\"file\" {}\n",
        public(&eve)
    ));
    let (good, sealed) = (fs::read(&statement).unwrap(), fs::read(&signature).unwrap());
    // Another purpose, another key.
    sign_by_hand(&ops, "file", &statement);
    bench.refused(&statement, "does not count");
    sign_by_hand(&eve, NAMESPACE, &statement);
    bench.refused(&statement, "does not count");
    // Another statement, another signature, none.
    fs::write(&signature, &sealed).unwrap();
    let changed = String::from_utf8(good.clone()).unwrap();
    fs::write(&statement, changed.replace("head ", "head 1")).unwrap();
    bench.refused(&statement, "does not count");
    fs::write(&statement, &good).unwrap();
    assert!(bench.verify(&statement).0);
    let armoured = String::from_utf8(sealed.clone()).unwrap();
    let at = armoured.lines().nth(4).unwrap();
    let flipped: String = at.chars().rev().collect();
    fs::write(&signature, armoured.replace(at, &flipped)).unwrap();
    bench.refused(&statement, "does not count");
    fs::write(&signature, "").unwrap();
    bench.refused(&statement, "does not count");
    fs::remove_file(&signature).unwrap();
    bench.refused(&statement, "heads.txt.sig: No such file");
    // Well signed, and no statement.
    for wrong in ["", "hello\n", "mcp-ssh-orchestrator audit heads 2\n"] {
        fs::write(&statement, wrong).unwrap();
        sign_by_hand(&ops, NAMESPACE, &statement);
        bench.refused(&statement, "heads.txt: ");
    }
}

/// The lines as somebody writes them who can compute seals.
fn written_anew(path: &Path, change: impl Fn(String) -> String) -> String {
    let mut prev = "0".repeat(64);
    let mut out = String::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let (body, _) = line.rsplit_once(",\"sha256\":").unwrap();
        let body = body.replace(record["prev"].as_str().unwrap(), &prev);
        let body = change(body);
        prev = Sha256::digest(&body)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        out.push_str(&format!("{body},\"sha256\":\"{prev}\"}}\n"));
    }
    out
}

#[test]
fn what_was_signed_cannot_be_cut_off_replaced_or_written_anew() {
    let bench = Bench::new("anew");
    let ops = bench.key("ops", &["ed25519"]);
    bench.allow(&format!("ops {}\n", public(&ops)));
    let server = bench.start(&[]);
    server.run("web1", "uptime");
    server.run("web1", "uptime");
    server.finish();
    let statement = bench.signed(&ops, "heads.txt");
    let path = newest(&bench.records);
    let good = fs::read_to_string(&path).unwrap();
    assert!(bench.verify(&statement).0);
    let attacked = |text: &str, why: &str| {
        fs::write(&path, text).unwrap();
        let (sound, report) = bench.verify(&statement);
        assert!(!sound && report.contains(why), "{report}");
        assert!(!report.contains("\nsigned: "), "{report}");
        let last = report.lines().last().unwrap();
        assert!(last.starts_with("NOT SOUND: "), "{report}");
        fs::write(&path, &good).unwrap();
    };
    // Sound by itself, each of them: only the signature shows it.
    let anew = written_anew(&path, |body| {
        body.replace("\"exit_code\":0", "\"exit_code\":1")
    });
    attacked(&anew, "written anew");
    assert_eq!(
        written_anew(&path, |body| body),
        good,
        "the test can compute seals"
    );
    let lines: Vec<&str> = good.lines().collect();
    let cut = lines[..lines.len() - 1].join("\n") + "\n";
    attacked(&cut, "was cut off");
    // The head is there, and what is before it is not whole.
    let holed = [&lines[..2], &lines[3..]].concat().join("\n") + "\n";
    attacked(&holed, "not whole");
    attacked(&good.replace("\"web1\"", "\"web2\""), "BROKEN");
    // Another chain under its name, and none at all.
    let other = bench.scratch.path().join("other");
    fs::create_dir(&other).unwrap();
    let args = ["--audit-dir", text(&other)];
    Launch::default()
        .args(&args)
        .start(&bench.fleet.setup)
        .finish();
    attacked(
        &fs::read_to_string(newest(&other)).unwrap(),
        "removed or written anew",
    );
    fs::rename(
        newest(&other),
        bench.records.join("20300101T000000Z-00.jsonl"),
    )
    .unwrap();
    fs::remove_file(&path).unwrap();
    let (sound, report) = bench.verify(&statement);
    assert!(
        !sound && report.contains("removed or written anew"),
        "{report}"
    );
    fs::write(&path, &good).unwrap();
    // Under another name it is still what was signed.
    fs::rename(&path, bench.records.join("moved.jsonl")).unwrap();
    assert!(bench.verify(&statement).0);
    // What is not sound is not signed.
    fs::write(bench.records.join("moved.jsonl"), holed).unwrap();
    let (output, none) = bench.sign(&ops, "none.txt");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        !output.status.success() && told.contains("nothing was signed"),
        "{told}"
    );
    assert!(!none.exists());
}

#[test]
fn rotated_and_compressed_files_of_many_chains_stay_proved() {
    let bench = Bench::new("rotated");
    let ops = bench.key("ops", &["ed25519"]);
    bench.allow(&format!("ops {}\n", public(&ops)));
    bench.start(&[]).finish();
    let server = bench.start(&["--audit-rotate-bytes", "4K"]);
    for _ in 0..4 {
        server.run("web1", "uptime");
    }
    let statement = bench.signed(&ops, "heads.txt");
    for _ in 0..4 {
        server.run("web1", "uptime");
    }
    server.finish();
    let parts: Vec<PathBuf> = fs::read_dir(&bench.records)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(parts.len() > 4, "{parts:?}");
    for part in parts.iter().filter(|part| !text(part).ends_with(".jsonl")) {
        let packed = Command::new(tool("gzip")).arg(part).status();
        assert!(packed.unwrap().success());
    }
    let (sound, report) = bench.verify(&statement);
    assert!(
        sound && report.contains("2 of 2 chains are sound"),
        "{report}"
    );
    assert_eq!(report.matches("\nsigned: ").count(), 2, "{report}");
    // Files that are named are one chain, and what is signed of the other one is missed.
    let one = newest(&bench.records);
    let args = ["audit", "verify", text(&one), "--signed", text(&statement)];
    let args = [&args[..], &["--allowed-signers", text(&bench.allowed)]].concat();
    let output = run_cli(&bench.fleet.setup, &args);
    assert!(!output.status.success());
}
