//! The other half of the sandbox's check: what must be readable still is.
//!
//! Owns the list of files that are read once before the sandbox closes and once after. Some
//! file systems (Docker Desktop's shared folders) answer differently to a process that is
//! confined, and without this the first login would find that out. Called by the boot, by
//! `check` and by `trust`.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::files::beneath::{Directory, RelativePath};
use crate::config::files::directories::{FILES, KEY_MAX, YAML_MAX};
use crate::config::{Dirs, Snapshot};

/// Most entries of the secrets directory that are read.
const SECRETS: usize = 256;

/// What could be read before.
pub(crate) struct Proof {
    files: Vec<(PathBuf, Read)>,
}

type Read = Box<dyn Fn() -> Result<(), String>>;

/// What can no longer be read.
#[derive(Debug)]
pub(crate) struct Hidden {
    path: PathBuf,
    error: String,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} could be read and, with the sandbox closed, cannot be any more ({}): its file \
             system answers differently to a confined process (shared folders of Docker Desktop \
             do); keep the directories in a named volume or on the host's own file system, or \
             start with --sandbox=off",
            self.path.display(),
            self.error
        )
    }
}

impl Proof {
    /// To be taken as the user that the process stays.
    pub(crate) fn before(dirs: &Arc<Dirs>, snapshot: Option<&Snapshot>) -> Self {
        let mut files = Vec::new();
        for directory in [dirs.config(), dirs.keys(), dirs.secrets()] {
            files.push(listing(directory));
        }
        for name in FILES.into_iter().filter_map(RelativePath::new) {
            files.push(file(dirs, Dirs::config, name, YAML_MAX));
        }
        for name in entries(dirs.secrets()) {
            files.push(file(dirs, Dirs::secrets, name, KEY_MAX));
        }
        if let Some(snapshot) = snapshot {
            let keys = snapshot
                .logins()
                .filter_map(|login| login.key_path.as_ref());
            files.extend(keys.map(|key| file(dirs, Dirs::keys, key.relative().clone(), KEY_MAX)));
            let known_hosts = snapshot.known_hosts().clone();
            let path = dirs.known_hosts_file(&known_hosts);
            let dirs = Arc::clone(dirs);
            files.push((
                path,
                Box::new(move || {
                    let read = dirs.read_known_hosts(&known_hosts);
                    read.map(drop).map_err(|error| error.to_string())
                }),
            ));
        }
        files.retain(|(_, read)| read().is_ok());
        Self { files }
    }

    /// # Errors
    /// The first of them that cannot be read any more.
    pub(crate) fn after(&self) -> Result<(), Hidden> {
        self.files.iter().try_for_each(|(path, read)| {
            read().map_err(|error| Hidden {
                path: path.clone(),
                error,
            })
        })
    }
}

fn listing(directory: &Directory) -> (PathBuf, Read) {
    let path = directory.path().to_owned();
    let again = path.clone();
    let read = move || {
        fs::read_dir(&again)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    (path, Box::new(read))
}

fn file(
    dirs: &Arc<Dirs>,
    directory: fn(&Dirs) -> &Directory,
    name: RelativePath,
    max: u64,
) -> (PathBuf, Read) {
    let path = directory(dirs).path().join(name.as_path());
    let dirs = Arc::clone(dirs);
    let read = move || {
        let read = directory(&dirs).read(&name, max);
        read.map(drop).map_err(|error| error.to_string())
    };
    (path, Box::new(read))
}

fn entries(directory: &Directory) -> Vec<RelativePath> {
    let entries = fs::read_dir(directory.path())
        .into_iter()
        .flatten()
        .flatten();
    entries
        .take(SECRETS)
        .filter_map(|entry| RelativePath::new(entry.file_name()))
        .collect()
}
