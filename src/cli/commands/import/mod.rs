//! `import`: the fleet that people already have, as `servers.yml` and `credentials.yml`.
//!
//! Owns the choice of the source and where what it comes to is said. Reads files of the person
//! who types, connects to nothing and writes nothing but its output; passwords
//! are never printed. `ssh_config` and `inventory` read, `print` writes. Called by `startup`.

mod fleet;
mod groups;
mod ini;
mod inventory;
mod jumps;
mod print;
mod ssh_config;
mod yaml;

use std::path::{Path, PathBuf};

use crate::cli::Outcome;
use crate::cli::commands::import::fleet::Me;
use crate::cli::commands::output::{self, say};
use crate::config::Environment;

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    SshConfig,
    Ansible,
}

/// Prints `servers.yml`, or with `credentials` the other file.
pub(crate) fn run(
    source: Source,
    file: Option<&Path>,
    credentials: bool,
    environment: &Environment,
) -> Outcome {
    let text_of = |name: &str| Some(environment.setting(name)?.to_str()?.to_owned());
    let home = text_of("HOME").map(PathBuf::from);
    let user = text_of("USER").or_else(|| text_of("LOGNAME"));
    let me = Me {
        home: home.clone().unwrap_or_default(),
        user: user.unwrap_or_else(|| "root".to_owned()),
    };
    let read = match source {
        Source::SshConfig => {
            let file = match (file, &home) {
                (Some(file), _) => file.to_path_buf(),
                (None, Some(home)) => home.join(".ssh/config"),
                (None, None) => {
                    say("import ssh-config: name the file: HOME is not set");
                    return Outcome::Problems;
                }
            };
            ssh_config::read(&file, &me)
        }
        Source::Ansible => {
            let file = file.unwrap_or_else(|| Path::new("/etc/ansible/hosts"));
            inventory::read(file, &me)
        }
    };
    let fleet = match read {
        Ok(fleet) => fleet,
        Err(problem) => {
            say(&format!("import: {problem}"));
            return Outcome::Problems;
        }
    };
    for note in &fleet.notes {
        say(&format!("note: {note}"));
    }
    if fleet.hosts.is_empty() {
        say("import: no host with a name of its own is in there; nothing was printed");
        return Outcome::Problems;
    }
    let text = match credentials {
        true => print::credentials(&fleet),
        false => print::servers(&fleet),
    };
    output::text(&text, true)
}
