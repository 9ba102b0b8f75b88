//! What `check` says of rules over programs that nobody described, and of wildcards that
//! grant less than they seem to.
//!
//! Owns those warnings; none of them changes a decision. Called by the lints.

use crate::policy::hazard::wrappers::base_name;
use crate::policy::programs::catalogue;
use crate::policy::programs::effects::Effects;
use crate::policy::rule::glob::{self, Token};
use crate::policy::source::{RuleForm, RuleSource};

/// What to say of a pattern of `commands:` that leaves words free.
pub(crate) fn of_pattern(words: &[Vec<Token>], trusting: bool) -> Option<String> {
    let wild = words.iter().any(|word| glob::literal(word).is_none());
    if trusting || !wild {
        return None;
    }
    let (first, rest) = words.split_first()?;
    // `uptime*` alone is the program with any words.
    let name = match first.split_last() {
        Some((Token::Star, name)) if rest.is_empty() => glob::literal(name)?,
        _ => glob::literal(first)?,
    };
    of_program(&name)
}

/// What to say of a rule of another form.
pub(crate) fn of_rule(rule: &RuleSource) -> Vec<String> {
    if rule.trust_arguments {
        return Vec::new();
    }
    match &rule.form {
        RuleForm::Simple { binaries, max_args } if *max_args != Some(0) => binaries
            .iter()
            .filter_map(|name| of_program(name))
            .collect(),
        RuleForm::Structured {
            binary,
            allow_extra_args: true,
            ..
        } => of_program(binary).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn of_program(name: &str) -> Option<String> {
    let name = base_name(name);
    if name.is_empty() {
        return None;
    }
    match catalogue::find(name) {
        None => Some(format!(
            "nothing is known about {name}: a wildcard takes plain names only, no options, \
             paths or NAME=VALUE; spell the words, or set trust_arguments: true on the rule"
        )),
        Some(description) if description.form.effects.has(Effects::EXECUTES) => Some(format!(
            "{name} runs code or commands, which no wildcard grants: spell the words, or set \
             trust_arguments: true on the rule"
        )),
        Some(_) => None,
    }
}
