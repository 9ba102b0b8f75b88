//! `audit report [FILE|DIR]... --html FILE`: what happened, on one page.
//!
//! Owns the reading, in one pass, and the exit code. What is counted is `figures`'s, the page
//! `html`'s. Proves nothing: `audit verify` does, and a record that does not match its seal
//! is counted as that. Called by `startup`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::Outcome;
use crate::cli::commands::audit::figures::Report;
use crate::cli::commands::audit::html;
use crate::cli::commands::audit::records::{self, Read};
use crate::cli::commands::output::say;

pub(crate) fn run(paths: &[PathBuf], to: &Path) -> Outcome {
    let written = read(paths).and_then(|report| {
        let page = html::page(&report);
        fs::write(to, page)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", to.display())))?;
        Ok(report.damaged)
    });
    match written {
        Ok(0) => Outcome::Done,
        Ok(damaged) => {
            say(&format!(
                "{damaged} lines are not as they were written: see 'audit verify'"
            ));
            Outcome::Problems
        }
        Err(error) => {
            say(&format!("mcp-ssh-orchestrator: {error}"));
            Outcome::Problems
        }
    }
}

fn read(paths: &[PathBuf]) -> io::Result<Report> {
    let mut report = Report::default();
    records::each(paths, |read| {
        match read {
            Read::Record(record) => report.take(&record),
            Read::NoRecord(_) => report.damaged += 1,
        }
        Ok(())
    })?;
    Ok(report)
}
