//! The bodies of the fuzz targets: bytes in, a panic where a property does not hold.
//!
//! Called by `fuzz_targets/` with what libFuzzer makes up, and by `tests/integration/build/corpus_replay.rs`
//! (which includes this file) with the corpora and the regressions, on stable, in every
//! run of the tests. They use nothing but the crate's public interface.

pub mod audit_verify;
pub mod cleaning;
pub mod decision;
pub mod descriptions;
pub mod dice;
pub mod frames;
pub mod known_hosts;
pub mod lexer;
pub mod paths;
pub mod pattern;
pub mod redaction;
pub mod secrets;
pub mod session;
pub mod yaml;

/// A target: its name (of its corpus, dictionary and binary, too) and its body.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("decision", decision::run),
    ("descriptions", descriptions::run),
    ("pattern", pattern::run),
    ("lexer", lexer::run),
    ("session", session::run),
    ("frames", frames::run),
    ("cleaning", cleaning::run),
    ("known_hosts", known_hosts::run),
    ("audit_verify", audit_verify::run),
    ("paths", paths::run),
    ("redaction", redaction::run),
    ("secrets", secrets::run),
    ("yaml", yaml::run),
];
