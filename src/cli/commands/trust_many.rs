//! `trust ALIAS... | --tag TAG | --all`: the keys of many hosts, compared in one table.
//!
//! Owns the table, the one question and the threads that fetch: each host is connected to
//! once, several at a time, so that a fleet is asked in the time of its slowest hosts. The
//! keys are fetched and put on record by `ssh`. Called by `startup`.

use std::fmt::Write as _;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::cli::Outcome;
use crate::cli::commands::output::{self, say};
use crate::cli::commands::trust::ask;
use crate::config::Snapshot;
use crate::model::names::HostAlias;
use crate::model::text::visible;
use crate::ssh::host_keys::PublicKey;
use crate::ssh::host_keys::trust::{
    Offer, Reach, TrustError, Trusted, Wanted, fetch, size_and_type,
};

/// Most hosts that are connected to at a time.
const AT_ONCE: usize = 32;
/// Stack of a thread that fetches; a key exchange takes less than half of it.
const STACK: usize = 512 * 1024;

/// What became of one host.
enum Found {
    New(Offer, PublicKey),
    Known(PublicKey),
    /// Another key is on record, or this one is revoked.
    Refused(PublicKey, TrustError),
    Failed(TrustError),
}

/// Fetches, shows, asks once, adds.
pub(crate) fn run(snapshot: &Arc<Snapshot>, aliases: &[HostAlias], reach: &Reach<'_>) -> Outcome {
    let found = match fetch_all(snapshot, aliases, reach) {
        Ok(found) => found,
        Err(error) => {
            say(&format!("cannot start a thread: {error}"));
            return Outcome::Problems;
        }
    };
    let table = table(aliases, &found);
    if output::text(&table, true) == Outcome::Problems {
        return Outcome::Problems;
    }
    let wrong = found
        .iter()
        .filter(|found| matches!(found, Found::Refused(..) | Found::Failed(_)))
        .count();
    let new: Vec<(&HostAlias, &Offer, &PublicKey)> = aliases
        .iter()
        .zip(&found)
        .filter_map(|(alias, found)| match found {
            Found::New(offer, key) => Some((alias, offer, key)),
            _ => None,
        })
        .collect();
    let added = new.is_empty() || confirmed(new.len()) && add_all(snapshot, &new);
    if wrong > 0 {
        say(&format!(
            "{wrong} of {} hosts have no key on record",
            found.len()
        ));
    }
    if added && wrong == 0 {
        Outcome::Done
    } else {
        Outcome::Problems
    }
}

fn confirmed(count: usize) -> bool {
    let question = format!(
        "Compare these fingerprints with what the hosts themselves say (ssh-keygen -l).\n\
         Trust the {count} new ones? [yes/no] "
    );
    match ask(&question) {
        Ok(true) => true,
        Ok(false) => {
            say("nothing was added: the answer was not 'yes'");
            false
        }
        Err(error) => {
            say(&format!("terminal: {error}"));
            false
        }
    }
}

fn add_all(snapshot: &Arc<Snapshot>, new: &[(&HostAlias, &Offer, &PublicKey)]) -> bool {
    let mut well = true;
    let mut count = 0;
    for (alias, offer, key) in new {
        match offer.add(vec![(*key).clone()]) {
            Ok(Trusted::Added(more)) => count += more,
            Ok(Trusted::Already) => {}
            Err(error) => {
                well = false;
                say(&format!("{alias}: {error}"));
            }
        }
    }
    let file = snapshot.dirs().known_hosts_file(snapshot.known_hosts());
    say(&format!("{count} added to {}", file.display()));
    well
}

/// In the order of the aliases, whichever answers first.
fn fetch_all(
    snapshot: &Arc<Snapshot>,
    aliases: &[HostAlias],
    reach: &Reach<'_>,
) -> io::Result<Vec<Found>> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..aliases.len().min(AT_ONCE) {
            let work = || {
                while let Some((at, alias)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    aliases.get(at).map(|alias| (at, alias))
                } {
                    let one = examine(snapshot, alias, reach);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.push((at, one));
                }
            };
            let thread = thread::Builder::new().name("trust".to_owned());
            thread.stack_size(STACK).spawn_scoped(scope, work)?;
        }
        Ok::<_, io::Error>(())
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, found)| found).collect())
}

fn examine(snapshot: &Arc<Snapshot>, alias: &HostAlias, reach: &Reach<'_>) -> Found {
    let offer = match fetch(snapshot, alias, reach, Wanted::One) {
        Ok(offer) => offer,
        Err(error) => return Found::Failed(error),
    };
    let Some(key) = offer.keys().first().cloned() else {
        return Found::Failed(TrustError::UnknownHost);
    };
    match offer.is_new(&key) {
        Ok(true) => Found::New(offer, key),
        Ok(false) => Found::Known(key),
        Err(error) => Found::Refused(key, error),
    }
}

fn table(aliases: &[HostAlias], found: &[Found]) -> String {
    let names = aliases.iter().map(|alias| alias.as_str().chars().count());
    let width = names.chain([5]).max().unwrap_or(5);
    let mut out = format!(
        "{:<width$}  {:<9}  {:<50}  TYPE\n",
        "ALIAS", "STATE", "FINGERPRINT"
    );
    for (alias, found) in aliases.iter().zip(found) {
        let (state, key, why) = match found {
            Found::New(_, key) => ("new", Some(key), None),
            Found::Known(key) => ("on record", Some(key), None),
            Found::Refused(key, why) => ("REFUSED", Some(key), Some(why)),
            Found::Failed(why) => ("FAILED", None, Some(why)),
        };
        let alias = alias.as_str();
        let shown = key.map(|key| {
            let (bits, kind) = size_and_type(key);
            format!("{:<50}  {kind} {bits}", key.fingerprint())
        });
        let line = format!("{alias:<width$}  {state:<9}  {}", shown.unwrap_or_default());
        let _ = writeln!(out, "{}", line.trim_end());
        if let Some(why) = why {
            let _ = writeln!(out, "{:<width$}  {}", "", visible(&why.to_string()));
        }
    }
    out
}
