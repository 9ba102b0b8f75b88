//! known_hosts: no file lets in a key that is not written in it for the host, and a
//! revocation always wins.
//!
//! Input: the host's name, a zero byte, two bytes of port, the file. `@K` in it stands for
//! the presented key, so that the fuzzer need not guess base64.

use mcp_ssh_orchestrator::testing::model::names::Port;
use mcp_ssh_orchestrator::testing::ssh::host_keys::{KnownHosts, PublicKey, RecordName};

use super::dice::Dice;

/// An Ed25519 key as its wire blob: 51 bytes, so that its base64 has one spelling.
const KEY: &[u8; 51] = b"\0\0\0\x0bssh-ed25519\0\0\0\x200123456789abcdef0123456789abcdef";
const LINE: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm";

pub fn run(data: &[u8]) {
    let mut dice = Dice::new(data);
    let host = String::from_utf8_lossy(dice.field()).into_owned();
    let port = u16::from_be_bytes([dice.byte(), dice.byte()]);
    let file = replace(dice.rest(), b"@K", LINE.as_bytes());
    let Some(port) = Port::new(port) else { return };
    let name = RecordName::new(&host, port);
    let key = PublicKey::from_blob(KEY.to_vec()).expect("the key has a type");
    assert_eq!(key.to_line(), LINE);

    let known = KnownHosts::parse(&file);
    known
        .kinds_for(&name)
        .iter()
        .for_each(|kind| assert!(!kind.is_empty()));
    let base64 = &LINE.as_bytes()[12..];
    let holds_key = |line: &[u8]| line.windows(base64.len()).any(|part| part == base64);
    if known.verify(&name, &key).is_ok() {
        let granting = |line: &[u8]| {
            // Of white space, sshd(8) knows blanks and tabs only: a form feed belongs to a name.
            let begin = line.iter().position(|byte| !b" \t".contains(byte));
            let line = &line[begin.unwrap_or(line.len())..];
            holds_key(line) && !line.starts_with(b"#") && !line.starts_with(b"@revoked")
        };
        assert!(
            file.split(|byte| *byte == b'\n').any(granting),
            "let in from nowhere"
        );
    }

    // The last two are passed over by OpenSSH.
    for marker in ["@revoked *", "@Revoked *", "@cert-authority @revoked *"] {
        let line = format!("\n{marker} {LINE}\n");
        for revoked in [
            [file.as_slice(), line.as_bytes()].concat(),
            [line.as_bytes(), file.as_slice()].concat(),
        ] {
            assert!(
                KnownHosts::parse(&revoked).verify(&name, &key).is_err(),
                "a revoked key was let in"
            );
        }
    }

    let without: Vec<&[u8]> = file
        .split(|byte| *byte == b'\n')
        .filter(|line| !holds_key(line))
        .collect();
    let without = KnownHosts::parse(&without.join(&b'\n'));
    assert!(
        without.verify(&name, &key).is_err(),
        "let in without its key"
    );
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}
