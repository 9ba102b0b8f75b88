//! `policy sets`: the ready-made sets of described programs.
//!
//! Owns the words around them; what is described stands in the policy's own data. Called by
//! `startup`.

use std::fmt::Write as _;

use crate::cli::Outcome;
use crate::cli::commands::output;
use crate::policy::programs::catalogue;

pub(crate) fn run() -> Outcome {
    output::text(&sets(), true)
}

fn sets() -> String {
    let mut out = format!(
        "Sets for `reads:` rules, with the programs of each (descriptions {}).\n\
         A set grants what only reads; `also:` adds follows, network, secrets or writes;\n\
         files need `paths:`. See what one command does: policy explain COMMAND\n",
        catalogue::VERSION
    );
    for set in catalogue::sets() {
        let mut names: Vec<&str> = catalogue::of_sets(&[set])
            .flat_map(|description| description.names.iter().copied())
            .collect();
        names.sort_unstable();
        let _ = writeln!(out, "\n{set}: {} programs", names.len());
        for line in wrapped(&names) {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = writeln!(
        out,
        "\n{} programs are described.",
        catalogue::all().count()
    );
    out
}

/// Joined by blanks into lines of at most 90 characters.
fn wrapped(names: &[&str]) -> Vec<String> {
    let mut lines = vec![String::new()];
    for name in names {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.len() + name.len() >= 90);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(name);
        }
    }
    lines
}
