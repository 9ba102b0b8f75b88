//! `reload` and `status`: what the running servers answered, for a person.
//!
//! Owns the sentences. The servers are found and asked by `startup`, the only caller.

use crate::cli::Outcome;
use crate::cli::commands::output::{self, say};
use crate::model::text::visible;

/// A server, as it called itself.
pub(crate) struct Named {
    pub(crate) pid: u32,
    pub(crate) version: String,
    pub(crate) config_dir: String,
    pub(crate) since: String,
}

/// What it answered, or why it did not.
pub(crate) type Told = Result<Answered, String>;

pub(crate) struct Answered {
    /// What is said of it in one word: `reloaded`, `well`, …
    pub(crate) word: &'static str,
    pub(crate) well: bool,
    pub(crate) hosts: usize,
    pub(crate) config_hash: String,
    /// What the operator has to know, a sentence each.
    pub(crate) notes: Vec<String>,
}

/// Prints a line a server, with what it says beneath.
pub(crate) fn run(user: &str, servers: &[(Named, Told)]) -> Outcome {
    if servers.is_empty() {
        say(&format!(
            "no server of user {user} is running (or it has another --runtime-dir, or runs in \
             a container: ask there)"
        ));
        return Outcome::Problems;
    }
    output::print(|out| {
        let mut well = true;
        for (server, told) in servers {
            let Named {
                pid,
                version,
                config_dir,
                since,
            } = server;
            let who = visible(&format!(
                "server {pid} ({version}, {config_dir}, since {since})"
            ));
            match told {
                Ok(answered) => {
                    well &= answered.well;
                    let hash = answered.config_hash.get(..12).unwrap_or_default();
                    let (word, hosts) = (answered.word, answered.hosts);
                    let line = format!("{who}: {word}; {hosts} hosts, configuration {hash}");
                    writeln!(out, "{}", visible(&line))?;
                    for note in &answered.notes {
                        writeln!(out, "  {}", visible(note))?;
                    }
                }
                Err(why) => {
                    well = false;
                    writeln!(out, "{who}: {why}")?;
                }
            }
        }
        out.flush()?;
        Ok(well)
    })
}
