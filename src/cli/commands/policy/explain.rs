//! `policy explain COMMAND`: what each word of a command is, and what it does.
//!
//! Owns the page; the reading is the policy's own. Needs no configuration: it says what is
//! known, not what is allowed. Called by `startup`.

use std::fmt::Write as _;

use crate::cli::Outcome;
use crate::cli::commands::output;
use crate::policy::programs::description::Condition;
use crate::policy::programs::effects::Effects;
use crate::policy::programs::invocation::{Invocation, Level};
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::{Reading, Unknown, What};
use crate::policy::syntax::command::{self, Word};
use crate::policy::syntax::lexer::{self, Options};

pub(crate) fn run(text: &str) -> Outcome {
    match lexer::parse_through_shells(text, Options { globs: true }) {
        Ok(parsed) => {
            let mut out = String::new();
            let mut known = true;
            for command in &parsed.commands {
                let words: Vec<Word<'_>> = command.words.iter().map(Word::as_one).collect();
                let invocation = Invocation::of(&words);
                let _ = writeln!(out, "{}", command.shown());
                for level in &invocation.levels {
                    let words: Vec<&str> = words
                        .get(level.range.clone())
                        .unwrap_or_default()
                        .iter()
                        .map(|word| &*word.text)
                        .collect();
                    known &= explain(&mut out, level, &words);
                }
            }
            output::text(&out, known)
        }
        Err(refusal) => {
            let mut out = String::new();
            for fault in &refusal.faults {
                let code = fault.code;
                let _ = writeln!(
                    out,
                    "{}: byte {}: {}. {}.",
                    code.as_str(),
                    fault.position,
                    code.why(),
                    code.hint()
                );
            }
            output::text(&out, false)
        }
    }
}

/// One program of the chain; whether all of it is known.
fn explain(out: &mut String, level: &Level<'_>, words: &[&str]) -> bool {
    let name = words.first().copied().unwrap_or_default();
    let Some(reading) = &level.reading else {
        let _ = writeln!(
            out,
            "  {name}: not described: a set never grants it, a wildcard with plain names only; spell \
             the whole command out under commands"
        );
        return false;
    };
    let described = reading.description;
    let _ = writeln!(out, "  {name}: {}", described.source);
    for (role, word) in reading.roles.iter().zip(words).skip(1) {
        let mut said = said(reading, &role.what, word);
        if role.effects != Effects::READS && !matches!(role.what, What::Unknown(_)) {
            said = format!("{said} ({})", role.effects);
        }
        if !said.is_empty() {
            let word = command::shown(word);
            let _ = writeln!(out, "    {word:<24} {said}");
        }
    }
    if reading.roles.len() > words.len() {
        let _ = writeln!(
            out,
            "    words of its input       nobody sees them before it runs"
        );
    }
    let all = reading.effects().unwrap_or(reading.together);
    for condition in conditions(reading) {
        // Only by what is not there: what is there was just said.
        if condition.given.is_empty() && condition.effects.within(all) && !condition.with_operand {
            let missing = condition.missing.join(", ");
            let _ = writeln!(out, "    without {missing}: {}", condition.effects);
        }
    }
    if !reading.complete {
        let _ = writeln!(out, "    something that it needs is missing");
    }
    let effects = reading.effects();
    let _ = match effects {
        Some(effects) => writeln!(
            out,
            "    does: {effects}; sets: {}",
            match described.sets.is_empty() {
                true => "none".to_owned(),
                false => described.sets.join(", "),
            }
        ),
        None => writeln!(
            out,
            "    does: unknown, so that no wildcard and no set grants it"
        ),
    };
    effects.is_some()
}

/// What is said of options of which none was given, of the program and of its subcommand.
fn conditions<'r>(reading: &'r Reading<'_>) -> impl Iterator<Item = &'r Condition> {
    let given = |names: &[&str]| {
        reading.roles.iter().any(|role| match role.what {
            What::Option(option) | What::Value { option, .. } => names.contains(&option),
            _ => false,
        })
    };
    let root = &reading.description.form;
    let forms = [
        Some(root),
        Some(reading.form).filter(|form| !std::ptr::eq(*form, root)),
    ];
    let all = forms
        .into_iter()
        .flatten()
        .flat_map(|form| &form.conditions);
    all.filter(move |condition| !given(&condition.missing))
}

fn said(reading: &Reading<'_>, what: &What<'_>, word: &str) -> String {
    match what {
        What::Program | What::Inner => String::new(),
        What::Verb(_) => "subcommand".to_owned(),
        What::Option(_) => "option".to_owned(),
        What::Value { option, kind, .. } => format!("value of {option}: {}", named(kind)),
        What::Operand { kind, .. } => named(kind),
        What::End => "ends the options".to_owned(),
        What::Unknown(why) => {
            let left_out = reading.form.reason_without(word);
            let why = match why {
                Unknown::Option => "an option that is not described",
                Unknown::Verb => "no subcommand that is described",
                Unknown::Operand => "one operand more than is described",
                Unknown::Form => "not of the form that belongs here",
                Unknown::Script => "a script that may do more than compute and print",
                Unknown::Value => "an option without its value",
            };
            match left_out {
                Some(reason) => format!("UNKNOWN: left out on purpose: {reason}"),
                None => format!("UNKNOWN: {why}"),
            }
        }
    }
}

fn named(kind: &Kind) -> String {
    match kind {
        Kind::Path => "a file that is read".to_owned(),
        Kind::Tree => "a directory that is read with what is below it".to_owned(),
        Kind::Place => "a place of which only numbers and names are shown".to_owned(),
        Kind::Write => "a file that is written".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}
