//! Whether a word may stand for what the description expects there.
//!
//! Owns the checks that need more than the kind: words that spread or are known only on
//! the host, scripts. Called by the walk.

use crate::policy::filter::{self, awk, sed, sql};
use crate::policy::programs::effects::Effects;
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::{Argument, Role, Unknown, What};
use crate::policy::syntax::command::OUTPUTS;

/// The role of an option's value, with what the value adds to these effects.
pub(crate) fn value_of<'w>(
    option: &'static str,
    kind: &'static Kind,
    word: Argument<'w>,
    effects: Effects,
) -> Role<'w> {
    let what = if word.spreads || !takes(kind, word) {
        // A value that becomes several words would make operands of the rest.
        What::Unknown(Unknown::Form)
    } else if !script(kind, word.text) {
        What::Unknown(Unknown::Script)
    } else {
        What::Value {
            option,
            kind,
            text: word.text,
        }
    };
    Role {
        what,
        effects: effects.and(kind.effects_of(word.text)),
    }
}

/// The role of an operand.
pub(crate) fn operand_of<'w>(
    kind: &'static Kind,
    word: Argument<'w>,
    effects: Effects,
) -> Role<'w> {
    let what = if !takes(kind, word) {
        What::Unknown(Unknown::Form)
    } else if !script(kind, word.text) {
        What::Unknown(Unknown::Script)
    } else {
        What::Operand {
            kind,
            text: word.text,
        }
    };
    Role {
        what,
        effects: effects.and(kind.effects_of(word.text)),
    }
}

pub(crate) fn takes(kind: &Kind, word: Argument<'_>) -> bool {
    if word.is_fed() {
        // Words of the input, behind `--`: names that can do no harm by being others.
        return matches!(
            kind,
            Kind::Text | Kind::Number | Kind::Word | Kind::Pid | Kind::Unit | Kind::Object
        );
    }
    if word.text.contains(OUTPUTS) {
        return kind.takes_filled(word.text);
    }
    if word.wild && !kind.takes_any_file(word.text) {
        return false;
    }
    // What is known only on the host can be checked for nothing.
    kind.takes(word.text) && (!word.open || *kind == Kind::Text)
}

/// Whether a script only computes and prints. `{}` does nothing, and is what `find -exec`
/// puts a file's name for: `/tmp/ {system("id")}` is a script of awk.
fn script(kind: &Kind, text: &str) -> bool {
    match kind {
        Kind::Awk | Kind::Jq if text == "{}" => false,
        Kind::Awk => awk::is_plain(text),
        Kind::Sed => sed::is_plain(text),
        Kind::Jq => filter::is_plain_jq(text),
        Kind::Sql => sql::is_plain(text, sql::Dialect::Postgres),
        Kind::Mysql => sql::is_plain(text, sql::Dialect::Mysql),
        Kind::Sqlite => sql::is_plain(text, sql::Dialect::Sqlite),
        _ => true,
    }
}
