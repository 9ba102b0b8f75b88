//! The subcommands that print something and end: help, versions, the audit file.
//!
//! Owns how they write (to stdout, where a reader that goes away is no problem) and what
//! they exit with. What they print is made by the modules that know it. Called by
//! `startup`.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::audit::{self, Ts};
use crate::cli::commands::audit_show::{self, Filter, Since};
use crate::cli::commands::init;
use crate::ssh::linked;
use crate::startup::{Outcome, say};

/// What was printed, and whether all is well.
type Report = io::Result<bool>;

pub(crate) fn help() -> Outcome {
    print(|out| out.write_all(crate::cli::HELP.as_bytes()).map(|()| true))
}

pub(crate) fn version() -> Outcome {
    let libraries = linked::libraries();
    print(|out| {
        writeln!(out, "mcp-ssh-orchestrator {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "libssh2 {}", libraries.libssh2)?;
        writeln!(out, "{}", libraries.openssl)?;
        writeln!(out, "zlib {}", libraries.zlib)?;
        writeln!(out, "build: {}", linked::build())?;
        Ok(true)
    })
}

pub(crate) fn init(dir: &Path) -> Outcome {
    match init::init(dir) {
        Ok(text) => print(|out| out.write_all(text.as_bytes()).map(|()| true)),
        Err(error) => {
            say(&error.to_string());
            Outcome::Problems
        }
    }
}

pub(crate) fn audit_verify(files: &[PathBuf], head: Option<&str>) -> Outcome {
    print(|out| audit::verify(files, head, out))
}

pub(crate) fn audit_show(
    file: &Path,
    alias: Option<String>,
    since: Option<&str>,
    denied: bool,
) -> Outcome {
    let since = match since
        .map(|text| Since::parse(text, Ts::now()).ok_or(text))
        .transpose()
    {
        Ok(since) => since,
        Err(text) => return refuse(&format!("--since: '{text}' is none of: {}", Since::FORMS)),
    };
    let filter = Filter {
        alias,
        since,
        denied,
    };
    print(|out| audit_show::show(file, &filter, out))
}

fn refuse(text: &str) -> Outcome {
    say(text);
    Outcome::Usage
}

/// Runs a report with a buffered stdout.
pub(crate) fn print(report: impl FnOnce(&mut dyn Write) -> Report) -> Outcome {
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
