//! The ordered boot and the exit codes: 0 done, 1 problems, 2 usage.
//!
//! Owns the order in which the process gives up what it may do, and who is called for
//! each subcommand. Holds no mechanism: `sys` does, and `config`, `policy`, `audit` and
//! `mcp` do their parts. Called by `main`.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::cli::{self, Command, Options, UsageError};
use crate::sys::{stdio, version};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Problems,
    Usage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Problems => 1,
            Outcome::Usage => 2,
        })
    }
}

/// Runs the program with its arguments, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Outcome {
    let options = match cli::parse(args, |name| std::env::var_os(name)) {
        Ok(options) => options,
        Err(error) => return refuse_usage(&error),
    };
    match dispatch(options) {
        Ok(outcome) => outcome,
        Err(error) => {
            say(&error.to_string());
            Outcome::Problems
        }
    }
}

/// A step of the boot that failed.
#[derive(Debug)]
enum StartError {
    Descriptors(io::Error),
    Output(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptors(error) => write!(f, "cannot move stdin and stdout: {error}"),
            Self::Output(error) => write!(f, "cannot write the report: {error}"),
        }
    }
}

fn dispatch(options: Options) -> Result<Outcome, StartError> {
    match options.command {
        Command::Help => print(cli::HELP),
        Command::Version => print(&version_text()),
        _ => serve(),
    }
}

fn serve() -> Result<Outcome, StartError> {
    let _stdio = stdio::take().map_err(StartError::Descriptors)?;
    Ok(Outcome::Done)
}

fn version_text() -> String {
    let libraries = version::libraries();
    format!(
        "mcp-ssh-orchestrator {}\nlibssh2 {}\n{}\nzlib {}\n",
        env!("CARGO_PKG_VERSION"),
        libraries.libssh2,
        libraries.openssl,
        libraries.zlib
    )
}

/// Writes a report for people to stdout. A reader that went away is not a problem.
fn print(text: &str) -> Result<Outcome, StartError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(StartError::Output(error)),
        _ => Ok(Outcome::Done),
    }
}

/// A person gets a sentence; the log of a server, where every line is JSON, a record.
fn refuse_usage(error: &UsageError) -> Outcome {
    if error.serving() && !io::stderr().is_terminal() {
        let record = serde_json::json!({
            "level": "error", "msg": "usage_error", "error": error.to_string()
        });
        say(&record.to_string());
    } else {
        say(&error.to_string());
    }
    Outcome::Usage
}

/// One line on stderr. There is nobody left to tell if that fails.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
