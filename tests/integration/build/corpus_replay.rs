//! Every input that the fuzz targets know, run on stable: the seed corpora and whatever
//! was ever found. An empty corpus fails, and so does one without a target.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "../../../fuzz/src/lib.rs"]
#[allow(
    unreachable_pub,
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the library of the fuzz crate, in which a panic is a finding"
)]
mod fuzz;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(kind)
        .join(target);
    let Ok(entries) = fs::read_dir(&dir) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_known_input_holds() {
    let (mut seeds, mut regressions) = (0, 0);
    for (target, body) in fuzz::TARGETS {
        let corpus = inputs("corpus", target);
        assert!(!corpus.is_empty(), "fuzz/corpus/{target} is empty");
        let found = inputs("regressions", target);
        seeds += corpus.len();
        regressions += found.len();
        for file in corpus.iter().chain(&found) {
            let bytes = fs::read(file).unwrap();
            let outcome = std::panic::catch_unwind(|| body(&bytes));
            assert!(outcome.is_ok(), "{} does not hold", file.display());
        }
    }
    println!("{seeds} seeds and {regressions} regressions replayed");
}

#[test]
fn targets_corpora_and_dictionaries_belong_together() {
    let known: BTreeSet<String> = fuzz::TARGETS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |dir: &str, suffix: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(root.join(dir)).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        entries
            .map(|entry| name(entry.unwrap()).trim_end_matches(suffix).to_owned())
            .collect()
    };
    assert_eq!(names("fuzz_targets", ".rs"), known);
    assert_eq!(names("corpus", ""), known);
    assert_eq!(names("dictionaries", ".dict"), known);
    let found = names("regressions", "");
    let strays: Vec<&String> = found.difference(&known).collect();
    assert!(
        strays.is_empty(),
        "fuzz/regressions of no target: {strays:?}"
    );
}
