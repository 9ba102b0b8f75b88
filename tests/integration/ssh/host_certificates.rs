//! Host certificates are believed where the OpenSSH client believes them: authority on record
//! for the host, names, times, options, signature, revocation. In one thing this server is
//! stricter: a certificate without names is nobody's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{Fleet, HostSpec, Machine, Scratch, Server, login, run, run_cli, tool};
use crate::direct::Direct;
use mcp_ssh_orchestrator::testing::ssh::SshError;
use mcp_ssh_orchestrator::testing::ssh::error::HostKeyProblem;

/// A host that shows a certificate, made after its start, and what makes it.
struct Certified {
    fleet: Fleet,
    dir: Scratch,
}

impl Certified {
    /// `kind` are arguments of `ssh-keygen` for the host's key.
    fn new(kind: &[&str]) -> Self {
        let dir = Scratch::new("certified");
        let key = dir.path().join("key");
        make_key(&key, kind);
        let spec = HostSpec::new("web1")
            .sshd(&format!("HostKey {}", key.display()))
            .sshd(&format!(
                "HostCertificate {}",
                dir.path().join("key-cert.pub").display()
            ));
        Certified {
            fleet: Fleet::with(vec![spec]),
            dir,
        }
    }

    fn host(&self) -> &Machine {
        self.fleet.host("web1")
    }

    fn address(&self) -> String {
        self.host().address.to_string()
    }

    fn authority(&self, name: &str, kind: &[&str]) -> PathBuf {
        let file = self.dir.path().join(name);
        make_key(&file, kind);
        file
    }

    /// Gives the host a certificate with these options of `ssh-keygen`.
    fn certify(&self, authority: &Path, options: &[&str]) {
        let public = self.dir.path().join("key.pub");
        let authority = authority.to_str().unwrap();
        let fixed = ["-q", "-s", authority, "-I", "the host"];
        run(
            "ssh-keygen",
            &[&fixed[..], options, &[public.to_str().unwrap()]].concat(),
        );
        self.host().stop();
        self.host().start();
    }

    fn know(&self, text: &str) {
        self.fleet.setup.key("known_hosts", text);
    }

    fn names(&self) -> String {
        format!("[{}]:{}", self.address(), self.host().port)
    }

    fn ours(&self) -> Result<(), SshError> {
        let ran = Direct::of(&self.fleet.setup).run("web1", "echo hello");
        match ran.report.error {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    fn theirs(&self) -> bool {
        let keys = &self.fleet.setup.keys;
        let status = Command::new(tool("ssh"))
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "StrictHostKeyChecking=yes",
            ])
            .args(["-o", "GlobalKnownHostsFile=none", "-o", "UpdateHostKeys=no"])
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                keys.join("known_hosts").display()
            ))
            .arg("-i")
            .arg(keys.join("id_fleet"))
            .arg("-p")
            .arg(self.host().port.to_string())
            .arg(format!("{}@{}", login().name, self.address()))
            .arg("true")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        status.success()
    }

    #[track_caller]
    fn both_say(&self, expected: bool, case: &str) {
        let ours = self.ours();
        assert_eq!(
            (ours.is_ok(), self.theirs()),
            (expected, expected),
            "{case}: {ours:?}"
        );
    }
}

fn make_key(file: &Path, kind: &[&str]) {
    let fixed = ["-q", "-N", "", "-C", "", "-f", file.to_str().unwrap()];
    run("ssh-keygen", &[&fixed[..], kind].concat());
}

fn public(file: &Path) -> String {
    let text = fs::read_to_string(file.with_extension("pub")).unwrap();
    text.trim().to_owned()
}

const KINDS: [&[&str]; 5] = [
    &["-t", "ed25519"],
    &["-t", "rsa", "-b", "2048"],
    &["-t", "ecdsa", "-b", "256"],
    &["-t", "ecdsa", "-b", "384"],
    &["-t", "ecdsa", "-b", "521"],
];

#[test]
fn every_kind_of_key_and_of_authority() {
    for (number, host_kind) in KINDS.iter().enumerate() {
        let kind = KINDS[(number + 1) % KINDS.len()];
        let host = Certified::new(host_kind);
        let authority = host.authority("ca", kind);
        host.certify(&authority, &["-h", "-n", &host.address()]);
        host.know(&format!(
            "@cert-authority {} {}\n",
            host.names(),
            public(&authority)
        ));
        host.both_say(true, &format!("{host_kind:?} by {kind:?}"));
        // The right name, signed by another authority.
        let other = host.authority("other", kind);
        host.know(&format!(
            "@cert-authority {} {}\n",
            host.names(),
            public(&other)
        ));
        host.both_say(false, &format!("{host_kind:?} by another {kind:?}"));
    }
}

#[test]
fn names_times_options_and_kinds_count() {
    let host = Certified::new(&["-t", "ed25519"]);
    let authority = host.authority("ca", &["-t", "ed25519"]);
    let (address, names) = (host.address(), host.names());
    let line = format!("@cert-authority {names} {}\n", public(&authority));
    host.know(&line);
    let several = format!("other,{address}");
    let wild = format!("{}*", &address[..4]);
    for (expected, options) in [
        (true, &["-h", "-n", &address][..]),
        (true, &["-h", "-n", &several]),
        (true, &["-h", "-n", &address, "-V", "-1h:+1h"]),
        (
            true,
            &["-h", "-n", &address, "-O", "extension:x@example.com=y"],
        ),
        (false, &["-h", "-n", "other"]),
        (false, &["-h", "-n", &wild]),
        (false, &["-h", "-n", &names]),
        (false, &["-h", "-n", &address, "-V", "-2h:-1h"]),
        (false, &["-h", "-n", &address, "-V", "+1h:+2h"]),
        (
            false,
            &["-h", "-n", &address, "-O", "critical:x@example.com=y"],
        ),
    ] {
        host.certify(&authority, options);
        host.both_say(expected, &format!("{options:?}"));
    }
    // A user's certificate is none of a host's: sshd itself does not show it.
    host.certify(&authority, &["-n", &address]);
    host.both_say(false, "a user's");
    // Nobody's, though OpenSSH before 10 says everybody's.
    host.certify(&authority, &["-h"]);
    let refused = host.ours();
    let Err(SshError::HostKey(HostKeyProblem::Certificate { why, .. })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(why, "it names no host");
}

#[test]
fn who_may_vouch_is_what_known_hosts_says() {
    let host = Certified::new(&["-t", "ed25519"]);
    let authority = host.authority("ca", &["-t", "ed25519"]);
    let stranger = host.authority("stranger", &["-t", "ed25519"]);
    let (address, names) = (host.address(), host.names());
    host.certify(&authority, &["-h", "-n", &address]);
    let (ca, key) = (public(&authority), public(&host.dir.path().join("key")));
    let other = public(&stranger);
    for (expected, text) in [
        (true, format!("@cert-authority * {ca}\n")),
        (true, format!("@cert-authority {address} {ca}\n")),
        (
            true,
            format!("@cert-authority {names} {other}\n@cert-authority {names} {ca}\n"),
        ),
        // The key that it is about is known by itself.
        (true, format!("{names} {key}\n")),
        (
            true,
            format!("@cert-authority {names} {other}\n{names} {key}\n"),
        ),
        (false, format!("@cert-authority other {ca}\n")),
        (
            false,
            format!("@cert-authority *,!{names},!{address} {ca}\n"),
        ),
        // An authority's key is no host's.
        (false, format!("{names} {ca}\n")),
        (false, format!("@cert-authority * {ca}\n@revoked * {ca}\n")),
        (false, format!("@cert-authority * {ca}\n@revoked * {key}\n")),
        (
            true,
            format!("@cert-authority * {ca}\n@revoked * {other}\n"),
        ),
        (
            true,
            format!("@cert-authority * {ca}\n@revoked other {key}\n"),
        ),
    ] {
        host.know(&text);
        host.both_say(expected, &text);
    }
}

#[test]
fn the_server_says_what_is_wrong_with_it() {
    let host = Certified::new(&["-t", "ed25519"]);
    let authority = host.authority("ca", &["-t", "ed25519"]);
    let (address, names) = (host.address(), host.names());
    host.know(&format!("@cert-authority {names} {}\n", public(&authority)));
    // check does not miss a key of its own.
    let check = run_cli(&host.fleet.setup, &["check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(!text.contains("known_hosts has no key"), "{text}");
    host.certify(&authority, &["-h", "-n", &address, "-V", "-2h:-1h"]);
    let server = Server::start(&host.fleet.setup);
    let ran = server.run("web1", "echo hello");
    assert_eq!(ran["code"], "host_key:certificate", "{ran}");
    let event = server.wait_record("the event", |record| {
        record["event_type"] == "host_certificate_refused"
    });
    assert_eq!(event["reason"], "it has expired", "{event}");
    // Renewed on the host: nothing has to be done here, and sessions are kept as ever.
    host.certify(&authority, &["-h", "-n", &address]);
    for _ in 0..2 {
        assert_eq!(server.run("web1", "echo hello")["output"], "hello");
    }
    assert_eq!(host.host().logins(), 1);
}
