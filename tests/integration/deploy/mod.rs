//! How it is installed and run: `README.md`, `deploy/`, `server.json`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

mod files;
mod logs;
mod readme;
mod schemas;
mod units;
mod watching;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    let full = root().join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()))
}

/// Every file of `deploy/`, by its path from the top.
fn deployed() -> Vec<String> {
    fn walk(directory: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&root().join("deploy"), &mut files);
    let name = |path: PathBuf| path.strip_prefix(root()).unwrap().display().to_string();
    let mut files: Vec<String> = files.into_iter().map(name).collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    files
}

/// What `scripts/test` puts into `target/deploy`: it is in no package of Debian 12.
fn installed(path: &str) -> PathBuf {
    let full = root().join("target/deploy").join(path);
    let how = "run scripts/test, or install it as its install_deploy_tools does";
    assert!(full.exists(), "{} is missing; {how}", full.display());
    full
}
