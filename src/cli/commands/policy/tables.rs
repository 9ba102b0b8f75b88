//! `policy tables`: what is built in and no configuration changes, for review.
//!
//! Owns the words around the tables; the tables are the policy's own. Called by `startup`.

use std::fmt::Write as _;

use crate::cli::Outcome;
use crate::cli::commands::output;
use crate::policy::deny::built_in::BUILT_IN_DENY_SUBSTRINGS;
use crate::policy::filter;
use crate::policy::hazard::programs::{self, exceptions};
use crate::policy::hazard::wrappers;
use crate::policy::programs::catalogue;

pub(crate) fn run() -> Outcome {
    output::text(&tables(), true)
}

fn tables() -> String {
    let mut out = format!(
        "version: {}\ndescriptions of programs: {} (policy sets, policy explain)\n",
        wrappers::VERSION,
        catalogue::VERSION
    );
    out.push_str(
        "\nbuilt-in deny list (programs where a program stands, whatever path or wrapper; the \
         other words anywhere behind it):\n",
    );
    for entry in BUILT_IN_DENY_SUBSTRINGS {
        let _ = writeln!(out, "  {entry:?}");
    }
    let mut section = |name: &str, words: &str| {
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        let _ = writeln!(out, "\n{name}:\n  {}", words.join(" "));
    };
    section(
        "reserved words (refused as programs)",
        wrappers::RESERVED_WORDS,
    );
    section(
        "evaluating builtins (refused as programs)",
        wrappers::EVALUATING_BUILTINS,
    );
    section(
        "interpreters (a rule must spell every word)",
        wrappers::INTERPRETERS,
    );
    section(
        "interpreters with a version behind the name",
        &wrappers::VERSIONED_INTERPRETERS.join(" "),
    );
    section("always allowed", &wrappers::ALWAYS_ALLOWED.join(" "));
    section(
        "directories a plain name stands for",
        &wrappers::SYSTEM_DIRECTORIES.join(" "),
    );
    let _ = writeln!(out, "\nwrappers (a rule must spell the program they run):");
    for wrapper in wrappers::WRAPPERS {
        let _ = match wrapper.operands {
            None => writeln!(out, "  {}: every word must be spelled", wrapper.name),
            Some(operands) => writeln!(
                out,
                "  {}: flags '{}', operands before the program {operands}",
                wrapper.name, wrapper.flags
            ),
        };
    }
    let _ = writeln!(out, "\nhazards (what a wildcard never grants):");
    for row in programs::rows() {
        for program in row.programs.split(' ') {
            let _ = match row.short {
                "*" => writeln!(out, "  {program}: every argument"),
                short => writeln!(
                    out,
                    "  {program}: -{short} | --{} | {}",
                    row.long.replace(' ', " --"),
                    row.words
                ),
            };
        }
    }
    for driven in exceptions::DRIVEN_BY_INPUT {
        let _ = writeln!(
            out,
            "  {}: reads commands from its input without operand {} or any of -{} {}",
            driven.told.program,
            driven.told.first,
            driven.letters,
            driven.unless.join(" ")
        );
    }
    for operand in exceptions::OPERAND_HAZARDS {
        let _ = writeln!(
            out,
            "  {}: operand {} and on",
            operand.program, operand.first
        );
    }
    for (program, parts) in exceptions::PART_HAZARDS {
        let _ = writeln!(out, "  {program}: a word with any of {parts}");
    }
    for (program, options) in exceptions::WHOLE_OPTIONS {
        let whole = options.replace(' ', " --");
        let _ = writeln!(out, "  {program}: no abbreviation is --{whole}");
    }
    for (program, letters, valued) in exceptions::LEADING_LETTERS {
        let _ = writeln!(out, "  {program}: -{letters}, if before any of {valued}");
    }
    let _ = writeln!(
        out,
        "  any beginning of a word counts: {}",
        exceptions::ABBREVIATING.join(" ")
    );
    let _ = writeln!(
        out,
        "  each piece of a word counts: {}",
        exceptions::JOINING.join(" ")
    );
    let _ = writeln!(out, "\nfilters (need no rule behind a pipe):");
    for filter in filter::FILTERS {
        let _ = writeln!(
            out,
            "  {}: -{} (with a value: {}), operands {}",
            filter.name, filter.short, filter.valued, filter.operands
        );
    }
    let _ = writeln!(out, "  awk and sed: programs that only compute and print");
    let _ = writeln!(out, "  long options: {}", filter::LONG_OPTIONS);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_name_their_version() {
        let text = tables();
        assert!(text.starts_with("version: "));
        assert!(text.contains("find: ") && text.contains("sudo: "));
    }
}
