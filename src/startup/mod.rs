//! From a command line to a subcommand: what boots, what only prints.
//!
//! Owns which subcommand goes which way. The boot is `serve`'s, its rehearsal `check`'s;
//! what is printed for a person is `cli::commands`'s. Called by `main`.

pub(crate) mod accounts;
pub(crate) mod ask;
pub(crate) mod check;
pub(crate) mod identity;
pub(crate) mod inputs;
pub(crate) mod logins;
pub(crate) mod metrics;
pub(crate) mod presence;
pub(crate) mod proof;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod trust;
pub(crate) mod watch;

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};

use crate::audit::{Audit, Record};
use crate::cli::commands::audit::forms::Form;
use crate::cli::commands::audit::show::Wanted;
use crate::cli::commands::{self, output::say};
use crate::cli::{self, Command, Options, Shown, UsageError};
use crate::config::Environment;
use crate::startup::presence::Question;
use crate::sys::single_threaded::SingleThreaded;
use crate::sys::{process, stdio};

pub use crate::cli::Outcome;

/// For somebody who started the server by hand, and not for a log.
const BY_HAND: &str = "This is a server for MCP clients: it speaks JSON-RPC on stdin and stdout, \
and its log follows. End it with Ctrl-D. To try the configuration: 'mcp-ssh-orchestrator check', \
'mcp-ssh-orchestrator plan ALIAS COMMAND'; for all commands: 'mcp-ssh-orchestrator help'.";

/// Runs the program with its arguments, the program's name first. It is alone, since nothing
/// has run before, unless something else runs it.
pub fn run(alone: io::Result<SingleThreaded>, args: impl IntoIterator<Item = OsString>) -> Outcome {
    let alone = match alone {
        Ok(alone) => alone,
        Err(error) => return refuse_company(&error),
    };
    let environment = Environment::capture();
    let options = cli::parse(args, |name| environment.setting(name).map(OsStr::to_owned));
    match options {
        Ok(options) => dispatch(alone, options, environment),
        Err(error) => refuse_usage(&alone, &error),
    }
}

fn dispatch(alone: SingleThreaded, options: Options, environment: Environment) -> Outcome {
    let settings = options.settings;
    match options.command {
        Command::Help { topics } => commands::about::help(&topics),
        Command::Version => commands::about::version(),
        Command::Check { json } => {
            // Asked before the filter closes, which has no terminal's ioctl(2).
            let colour = takes_colour();
            check::rehearse(&alone, &settings, &environment).print(json, colour)
        }
        Command::Init { dir } => commands::init::run(&dir),
        Command::Import {
            source,
            file,
            credentials,
        } => commands::import::run(source, file.as_deref(), credentials, &environment),
        Command::Trust {
            hosts,
            fingerprint,
            all_types,
        } => trust::run(
            alone,
            &settings,
            &environment,
            &hosts,
            (fingerprint.as_deref(), all_types),
        ),
        Command::Approvals { watch } => {
            let path = settings.approvals_dir.unwrap_or_default();
            commands::approvals::list(&path, watch)
        }
        Command::Answer { id, approved, sure } => {
            let path = settings.approvals_dir.unwrap_or_default();
            commands::approvals::answer(&path, &id, approved, sure)
        }
        Command::Reload => ask::run(&settings, Question::Reload),
        Command::Status => ask::run(&settings, Question::Status),
        Command::AuditVerify {
            files,
            head,
            signed,
        } => commands::audit::verify::run(&files, head.as_deref(), signed.as_ref()),
        Command::AuditSign { files, key, out } => {
            commands::audit::sign::run(&files, &key, out.as_deref())
        }
        Command::AuditShow {
            files,
            alias,
            since,
            denied,
            shown,
            follow,
        } => {
            let wanted = Wanted {
                alias,
                since,
                denied,
                form: match shown {
                    Shown::Json => Form::Json,
                    Shown::Csv => Form::Csv,
                    Shown::Lines => Form::Lines {
                        colour: takes_colour(),
                    },
                },
                follow,
            };
            commands::audit::show::run(&files, wanted)
        }
        Command::AuditReport { files, html } => commands::audit::report::run(&files, &html),
        Command::Plan {
            alias,
            command,
            json,
        } => commands::plan::run(&settings, &environment, &alias, &command, json),
        Command::PolicyTest { file } => commands::policy::test::run(&settings, &environment, &file),
        Command::PolicyExplain { command } => commands::policy::explain::run(&command),
        Command::PolicySuggest { files } => {
            match commands::output::configuration(&settings, &environment) {
                Some(snapshot) => commands::policy::suggest::run(&snapshot, &files),
                None => Outcome::Problems,
            }
        }
        Command::PolicySets => commands::policy::sets::run(),
        Command::PolicyTables => commands::policy::tables::run(),
        Command::Completions { shell } => commands::completions::run(shell),
        Command::Manual => commands::manual::run(),
        Command::Serve => {
            if io::stdin().is_terminal() && io::stderr().is_terminal() {
                say(BY_HAND);
            }
            serve::run(alone, &settings, environment)
        }
    }
}

/// Whether stdout is a terminal whose reader wants colours (no-color.org, and terminfo's
/// name for a terminal that has none).
fn takes_colour() -> bool {
    io::stdout().is_terminal()
        && !process::variable_is_set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb" && !term.is_empty())
}

/// Says why not even the arguments were read.
fn refuse_company(error: &io::Error) -> Outcome {
    if io::stderr().is_terminal() {
        say(&error.to_string());
    } else {
        Audit::to_stderr().emit(Record::error("start_failed", error));
    }
    Outcome::Problems
}

/// A person gets a sentence; the log of a server, where every line is JSON, a record.
fn refuse_usage(alone: &SingleThreaded, error: &UsageError) -> Outcome {
    if error.serving() && !io::stderr().is_terminal() {
        Audit::to_stderr().emit(Record::error("usage_error", error));
    } else {
        say(&error.to_string());
    }
    if error.serving()
        && let Ok(client) = stdio::take(alone)
    {
        serve::refuse(client, &error.to_string());
    }
    Outcome::Usage
}
