//! `trust ALIAS`: the conversation with a person about a host's keys.
//!
//! Owns what is shown and asked. The keys are fetched and put on record by `ssh`; the process
//! was confined by `startup`, the only caller.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use crate::cli::Outcome;
use crate::cli::commands::output::say;
use crate::config::Snapshot;
use crate::model::names::HostAlias;
use crate::ssh::host_keys::trust::{Offer, Reach, TrustError, Trusted, Wanted, describe, fetch};
use crate::ssh::host_keys::{PublicKey, RecordName};

/// Longest answer read from a person, in bytes.
const ANSWER_MAX: u64 = 256;

/// Why nothing was added.
enum Refusal {
    Trust(TrustError),
    /// None of the host's keys has the fingerprint.
    NoSuchFingerprint,
    /// The person did not say yes.
    Declined,
    Terminal(io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust(error) => error.fmt(f),
            Self::NoSuchFingerprint => {
                f.write_str("none of the host's keys has this fingerprint; nothing was added")
            }
            Self::Declined => f.write_str("nothing was added: the answer was not 'yes'"),
            Self::Terminal(error) => write!(f, "terminal: {error}"),
        }
    }
}

impl From<TrustError> for Refusal {
    fn from(error: TrustError) -> Self {
        Self::Trust(error)
    }
}

/// Fetches, shows, asks, adds: the key that the host presents to a client of ours, or those of
/// all types. With a fingerprint nobody is asked: the one key with it is taken, and no other.
pub(crate) fn run(
    snapshot: &Arc<Snapshot>,
    alias: &HostAlias,
    which: (Option<&str>, bool),
    reach: &Reach<'_>,
) -> Outcome {
    match attempt(snapshot, alias, which, reach) {
        Ok(Trusted::Added(_)) => {
            let file = snapshot.dirs().known_hosts_file(snapshot.known_hosts());
            say(&format!("added to {}", file.display()));
            Outcome::Done
        }
        Ok(Trusted::Already) => {
            say("nothing to add: it is in known_hosts already");
            Outcome::Done
        }
        Err(refusal) => {
            say(&refusal.to_string());
            Outcome::Problems
        }
    }
}

fn attempt(
    snapshot: &Arc<Snapshot>,
    alias: &HostAlias,
    (fingerprint, all_types): (Option<&str>, bool),
    reach: &Reach<'_>,
) -> Result<Trusted, Refusal> {
    let wanted = match fingerprint {
        _ if all_types => Wanted::Every,
        Some(fingerprint) => Wanted::Named(fingerprint),
        None => Wanted::One,
    };
    let offer = fetch(snapshot, alias, reach, wanted)?;
    let new = show(&offer)?;
    // Also where it was added by an earlier run of the same line, which must end as that did.
    let already = |key: &PublicKey| offer.is_on_record(key) && named(key, fingerprint);
    if new.is_empty() || offer.keys().iter().any(already) {
        return match fingerprint {
            Some(_) if !offer.keys().iter().any(|key| named(key, fingerprint)) => {
                Err(Refusal::NoSuchFingerprint)
            }
            _ => Ok(Trusted::Already),
        };
    }
    let chosen = match fingerprint {
        None if says_yes(offer.name()).map_err(Refusal::Terminal)? => new,
        None => return Err(Refusal::Declined),
        Some(wanted) => {
            let mut chosen = new;
            chosen.retain(|key| key.fingerprint() == wanted);
            if chosen.is_empty() {
                return Err(Refusal::NoSuchFingerprint);
            }
            chosen
        }
    };
    Ok(offer.add(chosen)?)
}

/// Whether the fingerprint that was given is this key's.
fn named(key: &PublicKey, fingerprint: Option<&str>) -> bool {
    fingerprint.is_some_and(|wanted| key.fingerprint() == wanted)
}

/// Shows every key; returns those that are not on record.
fn show(offer: &Offer) -> Result<Vec<PublicKey>, Refusal> {
    let mut new = Vec::new();
    let mut out = io::stdout().lock();
    for key in offer.keys() {
        let note = if offer.is_on_record(key) {
            " on record"
        } else {
            ""
        };
        writeln!(out, "{}{note}", describe(key, offer.name())).map_err(Refusal::Terminal)?;
        if offer.is_new(key)? {
            new.push(key.clone());
        }
    }
    Ok(new)
}

fn says_yes(name: &RecordName) -> io::Result<bool> {
    ask(&format!(
        "Compare these fingerprints with what the host itself says (ssh-keygen -l).\n\
         Trust them as the keys of {name}? [yes/no] "
    ))
}

/// Whether a person answers with yes.
///
/// # Errors
/// stdout or stdin fails.
pub(crate) fn ask(question: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    write!(out, "{question}")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().take(ANSWER_MAX).read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}
