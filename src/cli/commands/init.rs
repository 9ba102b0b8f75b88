//! `init DIR`: a commented starting set of the three files.
//!
//! Owns the promise that nothing is overwritten: either all three files are new, or none
//! is written. What is written is the `config/` folder of the repository, which the tests
//! hold against `check`. Called by `startup`.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::cli::Outcome;
use crate::cli::commands::output::{self, say};
use crate::config::files::directories::FILES;

/// The texts of [`FILES`], in that order.
const TEXTS: [&str; 3] = [
    include_str!("../../../config/servers.yml"),
    include_str!("../../../config/credentials.yml"),
    include_str!("../../../config/policy.yml"),
];

/// Why nothing was written.
#[derive(Debug)]
enum InitError {
    /// These are there already.
    Exists(Vec<PathBuf>),
    /// The directory or a file couldn't be made.
    Write { path: PathBuf, error: io::Error },
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(paths) => {
                let paths: Vec<String> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                write!(
                    f,
                    "nothing was written: {} there already; name another directory, or move {} away",
                    if let [one] = paths.as_slice() {
                        format!("{one} is")
                    } else {
                        format!("{} are", paths.join(", "))
                    },
                    if paths.len() == 1 { "it" } else { "them" }
                )
            }
            Self::Write { path, error } => {
                write!(f, "nothing was written: {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for InitError {}

pub(crate) fn run(dir: &Path) -> Outcome {
    match init(dir) {
        Ok(text) => output::text(&text, true),
        Err(error) => {
            say(&error.to_string());
            Outcome::Problems
        }
    }
}

/// Writes the three files into `dir`, which is made if it isn't there. The text says
/// what was written and what to do next.
///
/// # Errors
/// One of the files exists, or can't be written; then none of them was written.
fn init(dir: &Path) -> Result<String, InitError> {
    let paths = FILES.map(|file| dir.join(file));
    let exist: Vec<PathBuf> = paths
        .iter()
        .filter(|path| is_there(path))
        .cloned()
        .collect();
    if !exist.is_empty() {
        return Err(InitError::Exists(exist));
    }
    fs::create_dir_all(dir).map_err(|error| InitError::Write {
        path: dir.to_owned(),
        error,
    })?;
    for (index, (path, text)) in paths.iter().zip(TEXTS).enumerate() {
        if let Err(error) = write_new(path, text) {
            for written in paths.iter().take(index) {
                let _ = fs::remove_file(written);
            }
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => InitError::Exists(vec![path.clone()]),
                _ => InitError::Write {
                    path: path.clone(),
                    error,
                },
            });
        }
    }
    let [servers, credentials, policy] = paths.each_ref().map(|path| path.display());
    let dir = dir.display();
    Ok(format!(
        "Wrote {servers}\n      {credentials}\n      {policy}\n\n\
         Next: put your hosts, logins and rules in place of the examples, then run\n  \
         mcp-ssh-orchestrator check --config-dir {dir}\n"
    ))
}

/// A link that leads nowhere is there, too.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}
