//! How the subcommands that print and end do both, and what several of them need first.
//!
//! Owns stdout outside the protocol: buffered, and a reader that goes away is no problem.
//! What goes wrong is one line on stderr. Called by the commands beside it and by
//! `startup`.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use crate::cli::{Outcome, Settings};
use crate::config::{Dirs, Environment, Host, Links, Snapshot, load};
use crate::model::names::HostAlias;

/// What was printed, and whether all is well.
pub(crate) type Printed = io::Result<bool>;

/// Prints a text; `well` decides the exit code.
pub(crate) fn text(text: &str, well: bool) -> Outcome {
    print(|out| out.write_all(text.as_bytes()).map(|()| well))
}

/// Runs a report with a buffered stdout.
pub(crate) fn print(report: impl FnOnce(&mut dyn Write) -> Printed) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    let well = report(&mut out).and_then(|well| out.flush().map(|()| well));
    match well {
        Ok(true) => Outcome::Done,
        Ok(false) => Outcome::Problems,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::Done,
        Err(error) => {
            say(&format!("mcp-ssh-orchestrator: {error}"));
            Outcome::Problems
        }
    }
}

/// One line on stderr. There is nobody left to tell if that fails.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The three directories that the command line names.
pub(crate) fn directories(settings: &Settings) -> Arc<Dirs> {
    let links = if settings.allow_links_beneath {
        Links::Beneath
    } else {
        Links::Refused
    };
    Arc::new(Dirs::open(
        &settings.config_dir,
        &settings.keys_dir,
        &settings.secrets_dir,
        links,
    ))
}

/// The configuration; what is wrong with it is said.
pub(crate) fn configuration(settings: &Settings, environment: &Environment) -> Option<Snapshot> {
    match load(&directories(settings), environment) {
        Ok(loaded) => Some(loaded.snapshot),
        Err(error) => {
            say(&error.for_operator());
            None
        }
    }
}

pub(crate) fn host<'s>(snapshot: &'s Snapshot, alias: &str) -> Option<&'s Host> {
    snapshot.host(&HostAlias::parse(alias).ok()?)
}
