//! The words of an invocation that are no options: subcommands, keywords, operands.
//!
//! Owns which operand of the description a word is, by position, and where another program
//! begins. Called by the walk.

use crate::policy::programs::description::{Need, Operand, Value};
use crate::policy::programs::effects::Effects;
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::{Argument, Unknown, What};
use crate::policy::programs::values::{operand_of, takes, value_of};
use crate::policy::programs::walk::Walk;
use crate::policy::syntax::command::OUTPUTS;

impl<'w> Walk<'_, 'w> {
    pub(super) fn operand_word(&mut self, word: Argument<'w>) {
        let text = word.text;
        let form = self.form();
        if !form.subs.is_empty() && self.operands == 0 && !word.wild && !word.open {
            if let Some(sub) = form.sub(text) {
                self.push(What::Verb(text), sub.form.effects);
                self.forms.push(&sub.form);
                self.operand = 0;
                self.operands = 0;
                // `--` before a subcommand ends the options of what stands before it.
                return;
            }
            if form.operands.is_empty() && form.keywords.is_empty() {
                return self.unknown(Unknown::Verb);
            }
        }
        if let Some(number) = text.strip_prefix('+')
            && let Some(kind) = &form.plus
            && !self.only_operands
        {
            let value = Argument {
                text: number,
                ..word
            };
            let role = value_of("+", kind, value, Effects::READS);
            return self.push(role.what, role.effects);
        }
        if form.bundle && self.at == 1 && !text.is_empty() && !word.open && !word.wild {
            return self.bundle(text);
        }
        if !word.open
            && !word.wild
            && let Some(option) = form.keyword(text)
        {
            self.operands += 1;
            return self.take(option, None, word);
        }
        if let Some((name, value)) = text.split_once('=')
            && let Some((_, option)) = form.keys.iter().find(|(known, _)| *known == name)
        {
            self.operands += 1;
            return self.take(option, Some(value), word);
        }
        if let Some(letters) = &form.letters
            && (self.operands == 0 || !letters.first_only)
            && !word.open
            && !text.is_empty()
            && text
                .chars()
                .all(|c| letters.flags.contains(c) || letters.valued.contains(c))
        {
            self.operands += 1;
            return self.letters(text);
        }
        self.positional(word);
    }

    fn positional(&mut self, word: Argument<'w>) {
        let form = self.form();
        let mut instead = form.instead.iter();
        let instead = instead.find(|(names, _)| self.has_one_of(names));
        if self.operands == 0 && self.has_one_of(&form.first_by) {
            self.operand = 1;
        }
        if instead.is_none() {
            self.pass_over(word);
        }
        if word.is_fed() && !self.only_operands {
            return self.unknown(Unknown::Operand);
        }
        let operand = instead
            .map(|(_, operand)| operand)
            .or_else(|| form.operands.get(self.operand));
        let Some(operand) = operand else {
            return self.unknown(Unknown::Operand);
        };
        self.last_operand = Some(self.roles.len());
        self.operands += 1;
        if operand.kind.is_program() {
            self.operand += 1;
            return self.program(&operand.kind, operand.effects);
        }
        let repeats = matches!(operand.need, Need::Any | Need::Some);
        if !repeats {
            self.operand += 1;
        }
        // A first letter that the host fills in may make an option of the word.
        let may_be_option =
            word.spreads && !self.only_operands && word.text.starts_with(['*', '?', '[']);
        if (word.spreads && !repeats) || may_be_option {
            return self.unknown(Unknown::Form);
        }
        // Where `-C 3` is an option and an operand, this is a file.
        let file_elsewhere =
            operand.kind == Kind::Text && word.text.contains('/') && self.has_one_of(&form.apart);
        if file_elsewhere {
            return self.unknown(Unknown::Form);
        }
        let role = operand_of(&operand.kind, word, operand.effects);
        self.push(role.what, role.effects);
    }

    /// Goes on to the operand that takes the word, past those that need not stand.
    fn pass_over(&mut self, word: Argument<'w>) {
        let form = self.form();
        while let Some(Operand { kind, need, .. }) = form.operands.get(self.operand) {
            let optional = match need {
                Need::One => false,
                Need::Maybe | Need::Any => true,
                Need::Some => self.operands > 0,
            };
            // What a command prints may be the name of a file, and would be one here.
            let may_be_file = kind.names_a_file() && word.text.contains(OUTPUTS);
            let last = form.operands.len() == self.operand + 1;
            if !optional || takes(kind, word) || last || may_be_file {
                return;
            }
            self.operand += 1;
        }
    }

    /// What the last operand is; whether any is missing.
    pub(super) fn end_operands(&mut self) -> bool {
        let form = self.form();
        let alone = form.alone || self.has_one_of(&form.alone_with);
        if !form.subs.is_empty() && !alone && self.operands == 0 {
            return false;
        }
        if form.instead.iter().any(|(names, _)| self.has_one_of(names)) {
            return true;
        }
        let repeats = |at: usize| {
            let operand = form.operands.get(at);
            operand.is_some_and(|operand| matches!(operand.need, Need::Any | Need::Some))
        };
        let mut given = self.operands;
        if self.operands == 0 && self.has_one_of(&form.first_by) {
            self.operand = 1;
        }
        if repeats(self.operand)
            && let Some(last) = form.operands.get(self.operand + 1)
            && last.need == Need::One
        {
            if self.has_one_of(&form.last_by) {
                self.operand += 2;
                return given > 0;
            }
            let place = self.last_operand.filter(|_| given > 1);
            let Some((place, word)) = place.and_then(|at| Some((at, *self.words.get(at)?))) else {
                return false;
            };
            let role = operand_of(&last.kind, word, last.effects);
            if let Some(known) = self.roles.get_mut(place) {
                *known = role;
                if word.spreads {
                    known.what = What::Unknown(Unknown::Form);
                }
            }
            self.operand += 2;
            given -= 1;
        }
        !form.operands.iter().skip(self.operand).any(|operand| {
            matches!(operand.need, Need::One) || (operand.need == Need::Some && given == 0)
        })
    }

    /// `tar tzf x`: options without a dash, whose values are the next words.
    fn bundle(&mut self, text: &'w str) {
        let mut effects = Effects::READS;
        let mut options = Vec::new();
        for letter in text.chars() {
            let Some(option) = self.letter(letter) else {
                return self.unknown(Unknown::Option);
            };
            self.saw(option.name);
            effects = effects.and(option.effects);
            options.push(option);
        }
        self.push(What::Option("letters"), effects);
        for option in options {
            match &option.value {
                Value::None => {}
                Value::Required(kind) | Value::Next(kind) => {
                    self.value(option.name, kind, option.effects)
                }
                Value::Optional(_) | Value::Two(..) => {
                    if let Some(role) = self.roles.last_mut() {
                        role.what = What::Unknown(Unknown::Option);
                    }
                }
            }
        }
    }

    /// `ps aux`: letters of their own, some with values in the next words.
    fn letters(&mut self, text: &'w str) {
        let Some(letters) = &self.form().letters else {
            return;
        };
        self.push(What::Option("letters"), Effects::READS);
        for letter in text.chars().filter(|c| letters.valued.contains(*c)) {
            match self
                .letter(letter)
                .map(|option| (&option.value, option.name))
            {
                Some((Value::Required(kind) | Value::Next(kind), name)) => {
                    self.value(name, kind, Effects::READS)
                }
                _ => {
                    if let Some(role) = self.roles.last_mut() {
                        role.what = What::Unknown(Unknown::Option);
                    }
                }
            }
        }
    }

    /// The command that this one runs, from here on.
    pub(super) fn program(&mut self, kind: &'static Kind, effects: Effects) {
        let start = self.at;
        let rest = self.words.get(start..).unwrap_or_default();
        let length = match kind {
            Kind::ProgramUntil => end_of_exec(rest),
            _ => Some(rest.len()),
        };
        let first = rest.first().copied();
        let begins = first.is_some_and(|first| takes(kind, first) && !first.wild);
        let Some(length) = length.filter(|_| begins && self.inner.is_none()) else {
            return self.unknown(Unknown::Operand);
        };
        self.inner = Some(start..start + length);
        for _ in 0..length {
            self.push(What::Inner, effects);
        }
        if *kind == Kind::ProgramUntil {
            self.push(What::End, effects);
        }
    }
}

/// How many words stand before the `;`, or before a `+` that follows `{}`.
fn end_of_exec(words: &[Argument<'_>]) -> Option<usize> {
    let mut before = "";
    for (at, word) in words.iter().enumerate() {
        if word.text == ";" || (word.text == "+" && before == "{}") {
            return Some(at);
        }
        before = word.text;
    }
    None
}
