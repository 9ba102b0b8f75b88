//! `manual`: the manual page, in the form that man(1) reads.
//!
//! Owns its sections; subcommands and flags come from the tables that the command line itself
//! is read with. Called by `startup`.

use std::fmt::Write as _;

use crate::cli::args::{COMMANDS, FLAGS, about};
use crate::cli::commands::output;
use crate::cli::{Outcome, VARIABLES};

pub(crate) fn run() -> Outcome {
    output::text(&page(), true)
}

fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut out = format!(
        ".TH MCP-SSH-ORCHESTRATOR 1 \"\" \"mcp-ssh-orchestrator {version}\" \"User Commands\"\n\
         .SH NAME\nmcp-ssh-orchestrator \\- MCP server that runs policy-checked commands over SSH\n\
         .SH SYNOPSIS\n.B mcp-ssh-orchestrator\n[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]\n\
         .SH DESCRIPTION\n\
         Speaks the Model Context Protocol on standard input and output and lets an assistant run\n\
         commands over SSH: only what the policy in the configuration allows, on hosts whose keys\n\
         are known. Logs one JSON object a line on standard error.\n\
         .SH COMMANDS\n"
    );
    for (first, second, name, operands) in COMMANDS.iter().filter(|row| row.0 != "stdio") {
        let words = format!("{first} {second}");
        let _ = writeln!(
            out,
            ".TP\n.B {}{}\n{}.",
            plain(words.trim()),
            if operands.is_empty() {
                String::new()
            } else {
                format!(" {}", plain(operands))
            },
            sentence(about(*name))
        );
    }
    out.push_str(".SH OPTIONS\n");
    for flag in FLAGS {
        let _ = writeln!(
            out,
            ".TP\n.BR \\-\\-{} {}\n{}. Of: {}.",
            plain(flag.name),
            if flag.value.is_empty() {
                String::new()
            } else {
                format!("\" {}\"", plain(flag.value))
            },
            text(flag.about),
            commands(flag.commands)
        );
    }
    out.push_str(
        ".TP\n.BR \\-h \", \" \\-\\-help\nPrint the page of options.\n\
         .TP\n.BR \\-V \", \" \\-\\-version\n\
         Print the versions of the program and of the libraries in it.\n\
         .SH ENVIRONMENT\nEach stands for an absent option of its name; an empty one counts as unset.\n",
    );
    for variable in VARIABLES {
        let _ = writeln!(out, ".TP\n.B {}", plain(variable));
    }
    out.push_str(
        ".TP\n.B MCP_SSH_SECRET_NAME\nThe value of the secret \\fINAME\\fR.\n\
         .SH SIGNALS\nSIGHUP: everything is read again, and an audit file that was set aside is\n\
         followed by a new one (the same as \\fBreload\\fR). SIGUSR1: a report for \\fBstatus\\fR\n\
         is left in the runtime directory.\n\
         .SH EXIT STATUS\n0: done. 1: problems were found, or the server could not start. 2: usage.\n\
         .SH SEE ALSO\n.BR ssh-keygen (1),\n.BR sshd (8)\n",
    );
    out
}

fn commands(names: &[crate::cli::args::Name]) -> String {
    let words = names.iter().map(|name| crate::cli::args::spelling(*name).0);
    words.collect::<Vec<_>>().join(", ")
}

/// A hyphen is one, and a backslash is no escape.
fn plain(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// A line that begins with a dot would be a request to the formatter.
fn text(text: &str) -> String {
    format!("\\&{}", plain(text))
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().to_string());
    plain(&format!(
        "{}{}",
        first.unwrap_or_default(),
        characters.as_str()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_flag_and_variable_is_there() {
        let page = page();
        for (first, second, ..) in COMMANDS.iter().filter(|row| row.0 != "stdio") {
            let words = plain(format!("{first} {second}").trim());
            assert!(page.contains(&format!("\n.B {words}")), "{words}");
        }
        assert!(FLAGS.iter().all(|flag| page.contains(&plain(flag.name))));
        assert!(VARIABLES.iter().all(|name| page.contains(name)));
    }
}
