//! The walk over the words of an invocation, as the program's own parser would walk.
//!
//! Owns clusters, glued values, values in the next word, `--`, and what options do together;
//! `operands` owns the words that are no options. Where it is unsure, the word is unknown.
//! Decides nothing. Called by the rules, the deny rules and `policy explain`.

use std::ops::Range;

use crate::policy::programs::catalogue;
use crate::policy::programs::description::{Description, Form, Here, Need, Opt, Style, Value};
use crate::policy::programs::effects::Effects;
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::{Argument, Reading, Role, Unknown, What};
use crate::policy::programs::values::value_of;

/// What an option that is a number is called, in conditions too.
const NUMBER: &str = "-NUMBER";

/// Reads the words by the description of their program; `None` if there is none.
pub(crate) fn read<'w>(words: &[Argument<'w>]) -> Option<Reading<'w>> {
    let program = words.first()?.text;
    let name = program.rsplit('/').next().unwrap_or(program);
    let description = catalogue::find(name)?;
    Some(read_as(description, words))
}

/// Reads the words by this description, whatever the first of them is.
pub(crate) fn read_as<'w>(
    description: &'static Description,
    words: &[Argument<'w>],
) -> Reading<'w> {
    let form = &description.form;
    let mut walk = Walk {
        words,
        at: 1,
        root: form,
        forms: vec![form],
        roles: Vec::with_capacity(words.len()),
        operand: 0,
        operands: 0,
        last_operand: None,
        only_operands: false,
        seen: Vec::new(),
        inner: None,
    };
    walk.roles.push(Role {
        what: What::Program,
        effects: form.effects,
    });
    while walk.at < words.len() {
        walk.step();
    }
    let complete = walk.end_operands();
    let together = walk.together();
    if let Some(program) = walk.roles.first_mut() {
        program.effects = program.effects.and(together);
    }
    walk.together_by_verb();
    walk.refuse_unseen_to_others();
    let form = walk.form();
    let deep = walk.has_one_of(&form.deep);
    Reading {
        description,
        form,
        complete,
        together,
        deep,
        here: walk.here(deep),
        roles: walk.roles,
        inner: walk.inner,
    }
}

pub(super) struct Walk<'a, 'w> {
    pub(super) words: &'a [Argument<'w>],
    pub(super) at: usize,
    pub(super) root: &'static Form,
    /// From the program to the innermost subcommand.
    pub(super) forms: Vec<&'static Form>,
    pub(super) roles: Vec<Role<'w>>,
    /// Index of the next operand of the innermost form.
    pub(super) operand: usize,
    /// How many operands the innermost form has had.
    pub(super) operands: usize,
    /// Which word was the last of them.
    pub(super) last_operand: Option<usize>,
    pub(super) only_operands: bool,
    /// The options so far, each by the first of its names.
    pub(super) seen: Vec<&'static str>,
    pub(super) inner: Option<Range<usize>>,
}

impl<'w> Walk<'_, 'w> {
    pub(super) fn form(&self) -> &'static Form {
        self.forms.last().copied().unwrap_or(self.root)
    }

    /// Whether one of these options or keywords was given, under whatever name.
    pub(super) fn has_one_of(&self, names: &[&'static str]) -> bool {
        names.iter().any(|name| {
            let name = self.first_name(name);
            self.seen.contains(&name)
        })
    }

    /// How often they were given.
    fn count_of(&self, names: &[&'static str]) -> usize {
        let mut names: Vec<&str> = names.iter().map(|name| self.first_name(name)).collect();
        names.sort_unstable();
        names.dedup();
        let given = self.seen.iter();
        given.filter(|seen| names.contains(seen)).count()
    }

    fn first_name(&self, name: &'static str) -> &'static str {
        let option = self.option(name).or_else(|| self.form().keyword(name));
        option.map_or(name, |option| option.name)
    }

    /// What the words do together: by an option that is not there, by how many they are.
    fn together(&self) -> Effects {
        self.together_in(0, self.root)
    }

    /// The same by what a subcommand says, which is its own effect.
    fn together_by_verb(&mut self) {
        let forms: Vec<&'static Form> = self.forms.iter().skip(1).copied().collect();
        for (at, form) in forms.into_iter().enumerate() {
            let effects = self.together_in(at + 1, form);
            let is_verb = |role: &&mut Role<'_>| matches!(role.what, What::Verb(_));
            if let Some(verb) = self.roles.iter_mut().filter(is_verb).nth(at) {
                verb.effects = verb.effects.and(effects);
            }
        }
    }

    /// What another host is told, somebody has seen: no word that is known only on the host may
    /// be part of it, since it may be the contents of a file.
    fn refuse_unseen_to_others(&mut self) {
        let mut roles = self.roles.iter();
        if !roles.any(|role| role.effects.has(Effects::NETWORK)) {
            return;
        }
        for (role, word) in self.roles.iter_mut().zip(self.words) {
            let is_told = matches!(role.what, What::Value { .. } | What::Operand { .. });
            if word.open && is_told {
                role.what = What::Unknown(Unknown::Form);
            }
        }
    }

    /// By the form that is the one of this number from the program on.
    fn together_in(&self, number: usize, form: &'static Form) -> Effects {
        let mut all = Effects::READS;
        for condition in &form.conditions {
            let given = &condition.given;
            // A group that stands twice wants two of them (`-t -t`).
            let enough = |names: &Vec<&'static str>| {
                let wanted = given.iter().filter(|other| *other == names).count();
                self.count_of(names) >= wanted
            };
            if condition.with_operand && self.operands == 0 {
                continue;
            }
            if given.iter().all(enough) && !self.has_one_of(&condition.missing) {
                all = all.and(condition.effects);
            }
        }
        if number + 1 != self.forms.len() {
            return all;
        }
        if self.operands == 0 {
            all = all.and(form.bare);
        }
        for (wanted, count, effects) in &form.having {
            let is_one = |role: &&Role<'_>| matches!(role.what, What::Operand { kind, .. } if kind == wanted);
            if self.roles.iter().filter(is_one).count() == *count {
                all = all.and(*effects);
            }
        }
        all
    }

    /// What it reads without being given a path.
    fn here(&self, deep: bool) -> Option<&'static Kind> {
        let form = self.form();
        let reads = form.here == Here::Always || (form.here == Here::Deep && deep);
        let given = self.roles.iter().any(
            |role| matches!(role.what, What::Operand { kind, .. } if kind.is_read() || *kind == Kind::Place),
        );
        let mut kinds = form.operands.iter().map(|operand| &operand.kind);
        let kind = kinds.find(|kind| kind.is_read())?;
        (reads && !given).then_some(if deep { &Kind::Tree } else { kind })
    }

    fn step(&mut self) {
        let Some(word) = self.words.get(self.at).copied() else {
            return;
        };
        let text = word.text;
        let form = self.form();
        let options_over = self.only_operands
            || form.style == Style::None
            || (form.style == Style::Posix && self.operands > 0);
        if options_over || !text.starts_with('-') || text.len() == 1 {
            return self.operand_word(word);
        }
        if text == "--" && form.style != Style::Long {
            self.only_operands = true;
            return self.push(What::End, Effects::READS);
        }
        if word.open && !text.contains('=') {
            return self.unknown(Unknown::Option);
        }
        if let Some(option) = self.option(text) {
            return self.take(option, None, word);
        }
        if let Some((name, value)) = text.split_once('=')
            && let Some(option) = self.option(name)
        {
            return self.take(option, Some(value), word);
        }
        if text.starts_with("--") || form.style == Style::Long {
            return match &form.any_option {
                Some(kind) => self.any_option(kind, word),
                None => self.unknown(Unknown::Option),
            };
        }
        self.cluster(word);
    }

    /// `--name` that is not listed: whatever its value is, the words up to the next option
    /// are part of it.
    fn any_option(&mut self, kind: &'static Kind, word: Argument<'w>) {
        let (name, value) = match word.text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.text, None),
        };
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        // Some versions take the beginning of a name for the whole.
        let left_out = self.forms.iter().any(|form| {
            form.without
                .iter()
                .any(|(known, _)| known.starts_with(name))
        });
        if left_out || word.open || !name.starts_with("--") || !name.bytes().all(plain) {
            return self.unknown(Unknown::Option);
        }
        match value {
            Some(text) => {
                let value = Argument { text, ..word };
                let role = value_of("--*", kind, value, Effects::READS);
                self.push(role.what, role.effects);
            }
            None => self.push(What::Option("--*"), Effects::READS),
        }
        while let Some(word) = self.words.get(self.at).copied() {
            if word.text.starts_with('-') {
                break;
            }
            let role = value_of("--*", kind, word, Effects::READS);
            self.push(role.what, role.effects);
        }
    }

    /// `-abc`, the last of which may have a value.
    fn cluster(&mut self, word: Argument<'w>) {
        let letters = word.text.get(1..).unwrap_or_default();
        if letters.bytes().all(|b| b.is_ascii_digit()) && self.forms.iter().any(|f| f.digits) {
            self.saw(NUMBER);
            return self.push(What::Option(NUMBER), Effects::READS);
        }
        let mut effects = Effects::READS;
        let mut name = "";
        for (at, letter) in letters.char_indices() {
            let Some(option) = self.letter(letter) else {
                return self.unknown(Unknown::Option);
            };
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            effects = effects.and(option.effects);
            name = option.name;
            match option.value {
                Value::None => self.saw(name),
                Value::Optional(_) if rest.is_empty() => self.saw(name),
                Value::Two(..) => return self.unknown(Unknown::Option),
                Value::Next(_) if !rest.is_empty() => return self.unknown(Unknown::Option),
                Value::Required(_) | Value::Next(_) | Value::Optional(_) => {
                    let glued = (!rest.is_empty()).then_some(rest);
                    return self.take_with(option, glued, word, effects);
                }
            }
        }
        if word.wild || word.open {
            return self.unknown(Unknown::Form);
        }
        self.push(What::Option(name), effects);
    }

    pub(super) fn take(
        &mut self,
        option: &'static Opt,
        glued: Option<&'w str>,
        word: Argument<'w>,
    ) {
        self.take_with(option, glued, word, option.effects);
    }

    fn take_with(
        &mut self,
        option: &'static Opt,
        glued: Option<&'w str>,
        word: Argument<'w>,
        effects: Effects,
    ) {
        self.saw(option.name);
        // What an option makes of the operands, some versions hear too late.
        let form = self.form();
        let makes = |names: &[&str]| names.contains(&option.name);
        if self.operands > 0
            && (makes(&form.first_by) || form.instead.iter().any(|(names, _)| makes(names)))
        {
            return self.unknown(Unknown::Option);
        }
        match (&option.value, glued) {
            (Value::None, None) => self.push(What::Option(option.name), effects),
            (Value::None | Value::Next(_) | Value::Two(..), Some(_)) => {
                self.unknown(Unknown::Option)
            }
            (Value::Optional(_), None) => self.push(What::Option(option.name), effects),
            (Value::Required(kind) | Value::Optional(kind), Some(text)) => {
                if kind.is_program() {
                    return self.unknown(Unknown::Option);
                }
                let value = Argument { text, ..word };
                let role = value_of(option.name, kind, value, effects);
                self.push(role.what, role.effects);
            }
            (Value::Required(kind) | Value::Next(kind), None) => {
                self.push(What::Option(option.name), effects);
                self.value(option.name, kind, effects);
            }
            (Value::Two(first, second), None) => {
                self.push(What::Option(option.name), effects);
                self.value(option.name, first, effects);
                self.value(option.name, second, effects);
            }
        }
    }

    /// The next word as the value of an option.
    pub(super) fn value(&mut self, option: &'static str, kind: &'static Kind, effects: Effects) {
        let Some(word) = self.words.get(self.at).copied() else {
            // The option's own word stands for what is missing.
            if let Some(role) = self.roles.last_mut() {
                role.what = What::Unknown(Unknown::Value);
            }
            return;
        };
        if kind.is_program() {
            return self.program(kind, effects);
        }
        // Where options end at the first operand, the value is one more file.
        let file_elsewhere = self.operands > 0
            && self.form().style == Style::Gnu
            && *kind == Kind::Text
            && word.text.contains('/')
            && self.rest_is_read();
        let role = if file_elsewhere {
            Role {
                what: What::Unknown(Unknown::Form),
                effects,
            }
        } else {
            value_of(option, kind, word, effects)
        };
        self.push(role.what, role.effects);
    }

    /// Whether one more operand would be a file that is read.
    fn rest_is_read(&self) -> bool {
        let operand = self.form().operands.get(self.operand);
        operand.is_some_and(|operand| {
            operand.kind.is_read() && matches!(operand.need, Need::Any | Need::Some)
        })
    }

    /// The option of one letter.
    pub(super) fn letter(&self, letter: char) -> Option<&'static Opt> {
        let mut buffer = [b'-', 0, 0, 0, 0];
        let length = letter.encode_utf8(buffer.get_mut(1..)?).len();
        self.option(std::str::from_utf8(buffer.get(..=length)?).ok()?)
    }

    /// An option of the innermost form, or of one around it whose options go anywhere.
    pub(super) fn option(&self, name: &str) -> Option<&'static Opt> {
        let mut forms = self.forms.iter().rev();
        let innermost = forms.next()?;
        innermost.option(name).or_else(|| {
            forms
                .filter(|form| form.style != Style::Posix)
                .find_map(|form| form.option(name))
        })
    }

    pub(super) fn saw(&mut self, name: &'static str) {
        self.seen.push(name);
    }

    pub(super) fn push(&mut self, what: What<'w>, effects: Effects) {
        self.roles.push(Role { what, effects });
        self.at += 1;
    }

    pub(super) fn unknown(&mut self, why: Unknown) {
        self.push(What::Unknown(why), Effects::READS);
    }
}
