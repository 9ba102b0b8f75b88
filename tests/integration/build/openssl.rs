//! The C libraries are built as this server needs them: OpenSSL with its locks and without
//! code that loads libraries, libssh2 without assertions that a hostile server could fail.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;

#[test]
fn openssl_has_its_locks() {
    // A static build takes them away unless scripts/openssl-configure is used.
    mcp_ssh_orchestrator::testing::ssh::warm_up().unwrap();
}

#[test]
fn openssl_loads_nothing() {
    // Directories that it would load from, as OPENSSL_info(3) tells them.
    for place in ["MODULESDIR", "ENGINESDIR"] {
        assert!(
            binary_holds(&format!("{place}: \"/nonexistent\"")),
            "OpenSSL was built without scripts/openssl-configure, or before it changed: \
             cargo clean -p openssl-sys"
        );
    }
    // A function of the code that loads them, as it names itself in errors.
    assert!(!binary_holds("dlfcn_load"));
}

/// By the names under which its providers offer algorithms.
#[test]
fn openssl_has_what_ssh_uses_and_little_else() {
    assert!(binary_holds("AES-256-GCM:id-aes256-GCM:"));
    for unused in ["SM4-GCM:1.2.", "ARIA-256-GCM:1.2.", "SLH-DSA-SHA2-128s:"] {
        assert!(
            !binary_holds(unused),
            "{unused} OpenSSL was built before scripts/openssl-configure changed: \
             cargo clean -p openssl-sys"
        );
    }
}

/// By a table of it: how many bytes of a register of 64 are meant, as a mask.
#[test]
fn openssl_has_no_assembler_for_the_widest_registers() {
    let masks: Vec<u8> = (1..=16)
        .flat_map(|bytes| ((1u64 << bytes) - 1).to_le_bytes())
        .collect();
    assert!(
        !binary_has(&masks),
        "OpenSSL was built before scripts/openssl-configure changed: cargo clean -p openssl-sys"
    );
}

#[test]
fn libssh2_asserts_nothing() {
    assert!(
        binary_holds("ssh-connection"),
        "this is not a binary with libssh2 in it"
    );
    // What an assertion of its transport.c would print.
    assert!(!binary_holds("(len % blocksize) == 0"));
}

fn binary_holds(text: &str) -> bool {
    binary_has(text.as_bytes())
}

fn binary_has(bytes: &[u8]) -> bool {
    let binary = fs::read(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator")).unwrap();
    let mut parts = binary.windows(bytes.len());
    parts.any(|part| part == bytes)
}
