//! argv and environment → [`Options`]: what was asked of the program, as types.
//!
//! Owns those types and the exit codes; the words and their help are in the files beside this
//! one, `parse` reads a line, and `commands` owns what is printed for a person. Called by
//! `startup`.

pub(crate) mod args;
pub(crate) mod commands;
pub(crate) mod help;
pub(crate) mod pages;
pub(crate) mod parse;
pub(crate) mod sandbox;
pub(crate) mod values;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) use help::HELP;
pub use parse::parse;
pub(crate) use sandbox::{Right, Sandbox};
pub(crate) use values::{Account, Id};

use crate::audit;
use crate::cli::args::Name;
use crate::cli::commands::audit::signed::Trusted;
use crate::cli::commands::import::Source;

/// The variables that stand for an absent flag, and the one that has none.
pub(crate) const VARIABLES: [&str; 18] = [
    "MCP_SSH_CONFIG_DIR",
    "MCP_SSH_KEYS_DIR",
    "MCP_SSH_SECRETS_DIR",
    "MCP_SSH_ALLOW_LINKS_BENEATH",
    "MCP_SSH_SANDBOX",
    "MCP_SSH_SANDBOX_FLOOR",
    "MCP_SSH_AUDIT_FILE",
    "MCP_SSH_AUDIT_ROTATE_BYTES",
    "MCP_SSH_AUDIT_DIR",
    "MCP_SSH_AUDIT_KEEP_BYTES",
    "MCP_SSH_AUDIT_KEEP_DAYS",
    "MCP_SSH_LOG_FILE",
    "MCP_SSH_LOG_SYSLOG",
    "MCP_SSH_APPROVALS_DIR",
    "MCP_SSH_METRICS_FILE",
    "MCP_SSH_TRANSFER_DIR",
    "MCP_SSH_RUNTIME_DIR",
    "MCP_SSH_DEBUG",
];

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

/// What the program was asked to do, and with what.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub command: Command,
    pub settings: Settings,
}

/// One subcommand with its operands.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Serve,
    Check {
        json: bool,
    },
    Init {
        dir: PathBuf,
    },
    Import {
        source: Source,
        /// The person's own, or the system's, where none is named.
        file: Option<PathBuf>,
        credentials: bool,
    },
    Plan {
        alias: String,
        command: String,
        json: bool,
    },
    PolicyTest {
        file: PathBuf,
    },
    /// What each word of a command is.
    PolicyExplain {
        command: String,
    },
    PolicySets,
    /// Rules for what records say was denied.
    PolicySuggest {
        files: Vec<PathBuf>,
    },
    PolicyTables,
    Trust {
        hosts: Selection,
        fingerprint: Option<String>,
        all_types: bool,
    },
    Approvals {
        watch: bool,
    },
    /// The operator's word on a request.
    Answer {
        id: String,
        approved: bool,
        sure: bool,
    },
    Reload,
    Status,
    AuditVerify {
        files: Vec<PathBuf>,
        head: Option<String>,
        signed: Option<Trusted>,
    },
    AuditSign {
        files: Vec<PathBuf>,
        key: PathBuf,
        out: Option<PathBuf>,
    },
    AuditShow {
        files: Vec<PathBuf>,
        alias: Option<String>,
        since: Option<String>,
        denied: bool,
        shown: Shown,
        follow: bool,
    },
    AuditReport {
        files: Vec<PathBuf>,
        html: PathBuf,
    },
    Completions {
        shell: Shell,
    },
    Manual,
    /// Of the whole, or of some subcommands.
    Help {
        topics: Vec<Name>,
    },
    Version,
}

/// Which hosts of servers.yml are meant.
#[derive(Debug, PartialEq, Eq)]
pub enum Selection {
    All,
    Tag(String),
    Aliases(Vec<String>),
}

/// In which form records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Lines,
    Json,
    Csv,
}

/// A shell that completions are printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// What holds for every subcommand; a flag wins over its environment variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    pub config_dir: PathBuf,
    pub keys_dir: PathBuf,
    pub secrets_dir: PathBuf,
    pub allow_links_beneath: bool,
    pub audit_file: Option<PathBuf>,
    pub audit_dir: Option<PathBuf>,
    pub audit_keep: audit::Keep,
    pub log_file: Option<PathBuf>,
    pub log_syslog: Option<audit::Target>,
    pub approvals_dir: Option<PathBuf>,
    pub metrics_file: Option<PathBuf>,
    /// Where files are transferred to and from.
    pub transfer_dir: Option<PathBuf>,
    /// Bytes at which the audit file is set aside; 0 is never.
    pub audit_rotate_bytes: u64,
    pub sandbox: Sandbox,
    /// What must hold whatever the level says.
    pub sandbox_floor: Vec<Right>,
    pub user: Option<Account>,
    /// Where the server can be found by `reload` and `status`.
    pub runtime_dir: Option<PathBuf>,
    /// Whether the log says what is only there to find a fault.
    pub debug: bool,
}

/// Whom the process becomes when it was started as root, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub uid: u32,
    pub gid: u32,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// A command line that was not understood, in words for the person who typed it.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError {
    message: String,
    serving: bool,
}

impl UsageError {
    /// Whether the server was asked for, whose stderr is a log of JSON lines.
    pub fn serving(&self) -> bool {
        self.serving
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; see mcp-ssh-orchestrator --help", self.message)
    }
}

impl std::error::Error for UsageError {}
