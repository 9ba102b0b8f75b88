//! `help` and `version`.
//!
//! Owns nothing but the printing: the pages are `cli::help`'s and `cli::pages`'s, the versions come from the
//! libraries themselves. Called by `startup`.

use crate::cli::args::Name;
use crate::cli::commands::output;
use crate::cli::pages::pages;
use crate::cli::{HELP, Outcome};
use crate::ssh::linked;

pub(crate) fn help(topics: &[Name]) -> Outcome {
    match topics {
        [] => output::text(HELP, true),
        topics => output::text(&pages(topics), true),
    }
}

/// The program's version, those of the libraries, and how it was built.
pub(crate) fn version() -> Outcome {
    let libraries = linked::libraries();
    output::print(|out| {
        writeln!(out, "mcp-ssh-orchestrator {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "libssh2 {}", libraries.libssh2)?;
        writeln!(out, "{}", libraries.openssl)?;
        writeln!(out, "zlib {}", libraries.zlib)?;
        writeln!(out, "build: {}", linked::build())?;
        Ok(true)
    })
}
