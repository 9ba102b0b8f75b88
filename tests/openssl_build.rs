//! The C libraries are built as this server needs them: OpenSSL with its locks, libssh2
//! without assertions that a hostile server could fail.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;

#[test]
fn openssl_has_its_locks() {
    // A static build takes them away unless scripts/openssl-configure is used.
    mcp_ssh_orchestrator::ssh::warm_up().unwrap();
}

#[test]
fn libssh2_asserts_nothing() {
    let binary = fs::read(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator")).unwrap();
    let holds = |text: &str| {
        binary
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(
        holds("ssh-connection"),
        "this is not a binary with libssh2 in it"
    );
    // What an assertion of its transport.c would print.
    assert!(!holds("(len % blocksize) == 0"));
}
