//! `reload` and `status`: the operator's word to the servers that run.
//!
//! Owns whose servers are meant and what becomes of each answer. Finding and asking is
//! `presence`'s, the printing `cli::commands::servers`'s. Called by the parent.

use crate::cli::commands::output::say;
use crate::cli::commands::servers::{self, Answered, Named};
use crate::cli::{Outcome, Settings};
use crate::startup::accounts;
use crate::startup::identity::DEFAULT_USER;
use crate::startup::presence::find::{Found, servers as running};
use crate::startup::presence::{Answer, Question};
use crate::sys::privileges;

pub(crate) fn run(settings: &Settings, question: Question) -> Outcome {
    let users = match users(settings) {
        Ok(users) => users,
        Err(error) => {
            say(&error);
            return Outcome::Problems;
        }
    };
    let mut answers = Vec::new();
    for uid in &users {
        match running(settings.runtime_dir.as_deref(), *uid) {
            Ok(found) => answers.extend(found.into_iter().map(|found| ask(found, question))),
            Err(error) => {
                say(&format!("--runtime-dir: {error}"));
                return Outcome::Problems;
            }
        }
    }
    let users: Vec<String> = users.iter().map(u32::to_string).collect();
    servers::run(&users.join(" or "), &answers)
}

/// Whose servers. Root starts them, and they become another user by default.
fn users(settings: &Settings) -> Result<Vec<u32>, String> {
    let own = privileges::user();
    Ok(match &settings.user {
        Some(account) => vec![accounts::find(account)?.uid],
        None if privileges::is_root() => vec![own, DEFAULT_USER.uid],
        None => vec![own],
    })
}

fn ask(found: Found, question: Question) -> (Named, Result<Answered, String>) {
    let identified = &found.identified;
    let named = Named {
        pid: identified.pid,
        version: identified.version.clone(),
        config_dir: identified.config_dir.clone(),
        since: identified.since.clone(),
    };
    let answer = found.ask(question).map_err(|silent| silent.to_string());
    (named, answer.map(|answer| told(question, answer)))
}

fn told(question: Question, answer: Answer) -> Answered {
    let Answer {
        in_force,
        config_hash,
        hosts,
        problems,
        audit,
        ..
    } = answer;
    let well = audit.is_none();
    let (word, well) = match (question, in_force) {
        (Question::Reload, true) => ("reloaded", well),
        (Question::Reload, false) => ("REFUSED, the old configuration stays in force", false),
        (Question::Status, true) if well => ("well", true),
        (Question::Status, true) => ("IN TROUBLE", false),
        (Question::Status, false) => ("the files do not load, the old ones are in force", well),
    };
    Answered {
        word,
        well,
        hosts,
        config_hash,
        notes: problems.into_iter().chain(audit).collect(),
    }
}
