//! `completions SHELL`: what a shell may propose after the program's name.
//!
//! Owns the three shells' forms; words and flags come from the tables that the command line
//! itself is read with. Called by `startup`.

use std::fmt::Write as _;

use crate::cli::args::{COMMANDS, FLAGS, Flag, Name, about};
use crate::cli::commands::output;
use crate::cli::sandbox::{Right, Sandbox};
use crate::cli::{Outcome, Shell};

const PROGRAM: &str = "mcp-ssh-orchestrator";

pub(crate) fn run(shell: Shell) -> Outcome {
    let text = match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    };
    output::text(&text, true)
}

/// What a value is completed with.
enum Values {
    Files,
    Directories,
    Words(String),
    Unknown,
}

fn values(flag: &Flag) -> Values {
    match flag.value {
        "DIR" => Values::Directories,
        "PATH" => Values::Files,
        "LEVEL" => Values::Words(Sandbox::ALL.map(Sandbox::name).join(" ")),
        "NAME,..." => Values::Words(Right::ALL.map(Right::name).join(" ")),
        _ => Values::Unknown,
    }
}

fn first_words() -> Vec<&'static str> {
    let mut words: Vec<&str> = COMMANDS.iter().map(|row| row.0).collect();
    words.dedup();
    words
}

fn second_words(first: &str) -> Vec<&'static str> {
    let rows = COMMANDS
        .iter()
        .filter(|row| row.0 == first && !row.1.is_empty());
    rows.map(|row| row.1).collect()
}

fn flags_of(name: Name) -> String {
    let flags = FLAGS.iter().filter(|flag| flag.commands.contains(&name));
    let mut words: Vec<String> = flags.map(|flag| format!("--{}", flag.name)).collect();
    words.push("--help".to_owned());
    words.join(" ")
}

fn bash() -> String {
    let mut out = format!(
        "# bash completion of {PROGRAM}\n\
         _mcp_ssh_orchestrator() {{\n\
         \x20   local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} flags words\n\
         \x20   case $before in\n"
    );
    for flag in FLAGS.iter().filter(|flag| !flag.value.is_empty()) {
        let reply = match values(flag) {
            Values::Files => "mapfile -t COMPREPLY < <(compgen -f -- \"$word\")".to_owned(),
            Values::Directories => "mapfile -t COMPREPLY < <(compgen -d -- \"$word\")".to_owned(),
            Values::Words(words) => {
                format!("mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$word\")")
            }
            Values::Unknown => "COMPREPLY=()".to_owned(),
        };
        let _ = writeln!(out, "        --{}) {reply}; return ;;", flag.name);
    }
    out.push_str("    esac\n    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    for (first, second, name, _) in COMMANDS {
        let pattern = if second.is_empty() {
            format!("'{first} '*")
        } else {
            format!("'{first} {second}'")
        };
        let _ = writeln!(out, "        {pattern}) flags='{}' ;;", flags_of(*name));
    }
    let _ = writeln!(
        out,
        "        *) flags='{} --version' ;;\n    esac",
        flags_of(Name::Serve)
    );
    let _ = writeln!(
        out,
        "    if [[ $word == -* ]]; then mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$word\"); return; fi"
    );
    out.push_str("    case $before in\n");
    for first in first_words() {
        let second = second_words(first);
        if !second.is_empty() {
            let _ = writeln!(out, "        {first}) words='{}' ;;", second.join(" "));
        }
    }
    let _ = writeln!(
        out,
        "        completions) words='bash zsh fish' ;;\n    esac\n    \
         if [[ $COMP_CWORD -eq 1 ]]; then words='{}'; fi\n    \
         if [[ -n $words ]]; then mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\"); \
         else mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); fi\n}}\n\
         complete -F _mcp_ssh_orchestrator {PROGRAM}",
        first_words().join(" ")
    );
    out
}

/// A text between single quotes of zsh and fish.
fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''")
}

fn zsh() -> String {
    let mut out = format!("#compdef {PROGRAM}\n\n_arguments -s \\\n");
    for flag in FLAGS {
        // Brackets and colons have a meaning in what _arguments reads.
        let plain = |text: &str| {
            quoted(text)
                .replace('[', "\\[")
                .replace(']', "\\]")
                .replace(':', "\\:")
        };
        let action = match values(flag) {
            Values::Files => ":file:_files".to_owned(),
            Values::Directories => ":directory:_files -/".to_owned(),
            Values::Words(words) => format!(":value:({words})"),
            Values::Unknown if flag.value.is_empty() => String::new(),
            Values::Unknown => format!(":{}:", plain(flag.value)),
        };
        let _ = writeln!(out, "  '--{}[{}]{action}' \\", flag.name, plain(flag.about));
    }
    let mut words = first_words();
    words.retain(|word| *word != "stdio");
    let _ = writeln!(
        out,
        "  '(-h --help)'{{-h,--help}}'[print the page of options]' \\\n  \
         '(-V --version)'{{-V,--version}}'[print the versions]' \\\n  \
         '1:command:({})' \\\n  '*:operand:->operand'\n\n\
         if [[ $state == operand ]]; then\n  case $words[2] in",
        words.join(" ")
    );
    for first in words {
        let second = second_words(first);
        if !second.is_empty() {
            let _ = writeln!(
                out,
                "    {first}) if (( CURRENT == 3 )); then _values command {}; else _files; fi ;;",
                second.join(" ")
            );
        }
    }
    out.push_str("    completions) _values shell bash zsh fish ;;\n    *) _files ;;\n  esac\nfi\n");
    out
}

fn fish() -> String {
    let mut out = format!("# fish completion of {PROGRAM}\n");
    let alone = "__fish_use_subcommand";
    for (first, second, name, _) in COMMANDS {
        if second.is_empty() {
            let text = quoted(about(*name));
            let _ = writeln!(
                out,
                "complete -c {PROGRAM} -n {alone} -a {first} -d '{text}'"
            );
        } else {
            let _ = writeln!(out, "complete -c {PROGRAM} -n {alone} -a {first}");
            let text = quoted(about(*name));
            let _ = writeln!(
                out,
                "complete -c {PROGRAM} -n '__fish_seen_subcommand_from {first}' -a {second} -d '{text}'"
            );
        }
    }
    let _ = writeln!(
        out,
        "complete -c {PROGRAM} -n '__fish_seen_subcommand_from completions' -f -a 'bash zsh fish'"
    );
    for flag in FLAGS {
        let value = match values(flag) {
            Values::Files => " -r -F".to_owned(),
            Values::Directories => " -x -a '(__fish_complete_directories)'".to_owned(),
            Values::Words(words) => format!(" -x -a '{words}'"),
            Values::Unknown if flag.value.is_empty() => String::new(),
            Values::Unknown => " -x".to_owned(),
        };
        let text = quoted(flag.about);
        let _ = writeln!(
            out,
            "complete -c {PROGRAM} -l {}{value} -d '{text}'",
            flag.name
        );
    }
    let _ = writeln!(
        out,
        "complete -c {PROGRAM} -s h -l help -d 'print the page of options'\n\
         complete -c {PROGRAM} -s V -l version -d 'print the versions'"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_flag_is_proposed() {
        for (shell, text) in [("bash", bash()), ("zsh", zsh()), ("fish", fish())] {
            for (first, second, ..) in COMMANDS {
                let there = text.contains(first) && text.contains(second);
                assert!(there || *first == "stdio", "{shell}: {first} {second}");
            }
            for flag in FLAGS {
                assert!(text.contains(flag.name), "{shell}: {}", flag.name);
            }
        }
    }
}
