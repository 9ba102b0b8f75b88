//! `trust`: what comes before the conversation about hosts' keys.
//!
//! Owns the confinement of a process that talks to a host nobody knows yet: it becomes
//! the owner of known_hosts, and the sandbox lets it write that directory and nothing
//! else. The conversation is `cli::commands::trust`'s. Called by the parent.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::{fmt, fs};

use crate::cli::commands::{
    self,
    output::{directories, say},
};
use crate::cli::{Outcome, Selection, Settings, User};
use crate::config::{Environment, LoadError, Loaded, Snapshot, load};
use crate::model::names::{HostAlias, InputError, Tag};
use crate::model::threads::Maker;
use crate::ssh::host_keys::trust::Reach;
use crate::ssh::{self, SshError};
use crate::startup::accounts;
use crate::startup::identity::{self, IdentityError};
use crate::startup::inputs::{Places, grants};
use crate::startup::proof::{Hidden, Proof};
use crate::startup::sandbox::{self, ConfineError, Demand, Scope};
use crate::sys::privileges;
use crate::sys::single_threaded::SingleThreaded;

/// Why nothing was added.
#[derive(Debug)]
enum Refusal {
    /// No alias, or no tag.
    Name(InputError),
    UnknownHost(HostAlias),
    /// None has the tag, or there is none at all.
    NoHost,
    /// What `--user` names.
    Account(String),
    Configuration(LoadError),
    Libraries(SshError),
    Identity(IdentityError),
    Confine(ConfineError),
    Hidden(Hidden),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::UnknownHost(alias) => write!(f, "{alias}: no such alias in servers.yml"),
            Self::NoHost => f.write_str("no host of servers.yml is meant"),
            Self::Account(error) => write!(f, "--user: {error}"),
            Self::Configuration(error) => f.write_str(&error.for_operator()),
            Self::Libraries(error) => f.write_str(&error.for_operator()),
            Self::Identity(error) => error.fmt(f),
            Self::Confine(error) => error.fmt(f),
            Self::Hidden(error) => error.fmt(f),
        }
    }
}

pub(crate) fn run(
    alone: SingleThreaded,
    settings: &Settings,
    environment: &Environment,
    hosts: &Selection,
    (fingerprint, all_types): (Option<&str>, bool),
) -> Outcome {
    match prepare(alone, settings, environment, hosts) {
        Ok(Prepared {
            snapshot,
            aliases,
            resolvers,
        }) => {
            let agent = environment.setting("SSH_AUTH_SOCK").map(Path::new);
            let reach = Reach { agent, resolvers };
            let snapshot = Arc::new(snapshot);
            match (hosts, aliases.as_slice()) {
                (Selection::Aliases(_), [alias]) => {
                    commands::trust::run(&snapshot, alias, (fingerprint, all_types), &reach)
                }
                (_, aliases) => commands::trust_many::run(&snapshot, aliases, &reach),
            }
        }
        Err(refusal) => {
            say(&refusal.to_string());
            Outcome::Problems
        }
    }
}

/// What there is to do, in a process that is confined to what that needs.
struct Prepared {
    snapshot: Snapshot,
    aliases: Vec<HostAlias>,
    /// Of the threads that look names up, which may do less than this one.
    resolvers: Maker,
}

/// Reads the configuration and closes the sandbox.
fn prepare(
    alone: SingleThreaded,
    settings: &Settings,
    environment: &Environment,
    hosts: &Selection,
) -> Result<Prepared, Refusal> {
    let dirs = directories(settings);
    let Loaded { snapshot, .. } = load(&dirs, environment).map_err(Refusal::Configuration)?;
    let aliases = chosen(&snapshot, hosts)?;
    ssh::warm_up().map_err(Refusal::Libraries)?;

    let user = accounts::find_some(settings.user.as_ref()).map_err(Refusal::Account)?;
    let user = user.or_else(|| owner(&snapshot));
    let identity = identity::settle(&alone, user, || false).map_err(Refusal::Identity)?;
    let file = dirs.known_hosts_file(snapshot.known_hosts());
    let places = Places::default();
    let mut grants = grants(&dirs, &places);
    let directories = [dirs.keys(), dirs.config()];
    let home = directories
        .into_iter()
        .find(|directory| file.starts_with(directory.path()));
    grants
        .write
        .extend(home.and_then(|directory| directory.handle()));
    let proof = Proof::before(&dirs, Some(&snapshot));
    let confined = sandbox::close(
        &alone,
        &Demand::of(settings),
        identity,
        Scope::of(&snapshot),
        grants,
    )
    .map_err(Refusal::Confine)?;
    proof.after().map_err(Refusal::Hidden)?;
    // Names are looked up on threads of their own.
    alone.end();
    Ok(Prepared {
        snapshot,
        aliases,
        resolvers: confined.resolvers,
    })
}

/// The hosts that are meant, each once, in the order of the file or of the line.
fn chosen(snapshot: &Snapshot, hosts: &Selection) -> Result<Vec<HostAlias>, Refusal> {
    let mut aliases: Vec<HostAlias> = match hosts {
        Selection::All => snapshot
            .hosts()
            .iter()
            .map(|host| host.alias.clone())
            .collect(),
        Selection::Tag(tag) => {
            let tag = Tag::parse(tag).map_err(Refusal::Name)?;
            let tagged = snapshot.hosts_with_tag(&tag);
            tagged.map(|host| host.alias.clone()).collect()
        }
        Selection::Aliases(names) => {
            let mut found = Vec::new();
            for name in names {
                let alias = HostAlias::parse(name).map_err(Refusal::Name)?;
                if snapshot.host(&alias).is_none() {
                    return Err(Refusal::UnknownHost(alias));
                }
                if !found.contains(&alias) {
                    found.push(alias);
                }
            }
            found
        }
    };
    aliases.dedup();
    if aliases.is_empty() {
        return Err(Refusal::NoHost);
    }
    Ok(aliases)
}

/// Whose known_hosts is, or would be: for root, who could otherwise leave a file there
/// that the server cannot replace.
fn owner(snapshot: &Snapshot) -> Option<User> {
    if !privileges::is_root() {
        return None;
    }
    let file = snapshot.dirs().known_hosts_file(snapshot.known_hosts());
    let found = [Some(file.as_path()), file.parent()].into_iter().flatten();
    let found = found.filter_map(|path| fs::metadata(path).ok()).next();
    found.map(|metadata| User {
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}
