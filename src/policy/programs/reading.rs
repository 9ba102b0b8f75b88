//! The words of one invocation → what each of them is and does.
//!
//! Owns the walk over the words by a program's description, as the program's own parser
//! would walk: clusters, glued values, values in the next word, `--`, subcommands. Where it
//! is unsure, the word is unknown. Decides nothing. Called by the rules, the deny rules and
//! `policy explain`.

use std::ops::Range;

use crate::policy::filter::{self, awk, sed};
use crate::policy::programs::catalogue;
use crate::policy::programs::description::{Description, Form, Need, Opt, Style, Value};
use crate::policy::programs::effects::Effects;
use crate::policy::programs::kind::Kind;

/// One word of a command, as far as it is known before it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Argument<'w> {
    pub(crate) text: &'w str,
    /// The remote shell may make several words of it (`/var/log/*.log`).
    pub(crate) spreads: bool,
    /// Part of it is only known on the host (`"$(date +%F)"`).
    pub(crate) open: bool,
}

impl<'w> Argument<'w> {
    /// A word that is what it says.
    pub(crate) fn plain(text: &'w str) -> Self {
        Self {
            text,
            spreads: false,
            open: false,
        }
    }
}

/// What one word is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What<'w> {
    Program,
    Verb(&'w str),
    /// One or more options without a value; the name of the last.
    Option(&'static str),
    /// A value, with the option that it belongs to; in the same word or the one behind it.
    Value {
        option: &'static str,
        kind: &'static Kind,
        text: &'w str,
    },
    Operand {
        kind: &'static Kind,
        text: &'w str,
    },
    /// `--`.
    End,
    /// A word of the command that this one runs.
    Inner,
    Unknown(Unknown),
}

/// Why a word is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Option,
    /// No subcommand of this name.
    Verb,
    /// One operand too many.
    Operand,
    /// Not of the form that the option or operand has.
    Form,
    /// The script does more than compute and print, or may.
    Script,
    /// The value that belongs to this option is missing.
    Value,
}

/// A word with what it does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Role<'w> {
    pub(crate) what: What<'w>,
    pub(crate) effects: Effects,
}

/// An invocation, read.
#[derive(Debug)]
pub(crate) struct Reading<'w> {
    pub(crate) description: &'static Description,
    /// Of the innermost subcommand.
    pub(crate) form: &'static Form,
    /// One for each word.
    pub(crate) roles: Vec<Role<'w>>,
    /// The words of the command that this one runs.
    pub(crate) inner: Option<Range<usize>>,
    /// Nothing that must be there is missing.
    pub(crate) complete: bool,
}

impl Reading<'_> {
    /// What all words together do; `None` if one of them is unknown or something is missing.
    pub(crate) fn effects(&self) -> Option<Effects> {
        self.complete.then_some(())?;
        self.roles
            .iter()
            .try_fold(Effects::READS, |all, role| match role.what {
                What::Unknown(_) => None,
                _ => Some(all.and(role.effects)),
            })
    }

    /// The files that it reads, word by word.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (usize, &'static Kind, &str)> {
        self.roles
            .iter()
            .enumerate()
            .filter_map(|(at, role)| match role.what {
                What::Value { kind, text, .. } | What::Operand { kind, text } if kind.is_read() => {
                    Some((at, kind, text))
                }
                _ => None,
            })
    }
}

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
    let unless = walk.unless();
    if let Some(program) = walk.roles.first_mut() {
        program.effects = program.effects.and(unless);
    }
    let form = walk.form();
    let lacks_operand = form.operands.iter().skip(walk.operand).any(|operand| {
        matches!(operand.need, Need::One) || (operand.need == Need::Some && walk.operands == 0)
    });
    let lacks_verb = !form.subs.is_empty() && !form.alone && walk.operands == 0;
    Reading {
        description,
        form,
        complete: !lacks_operand && !lacks_verb,
        roles: walk.roles,
        inner: walk.inner,
    }
}

struct Walk<'a, 'w> {
    words: &'a [Argument<'w>],
    at: usize,
    root: &'static Form,
    /// From the program to the innermost subcommand.
    forms: Vec<&'static Form>,
    roles: Vec<Role<'w>>,
    /// Index of the next operand of the innermost form.
    operand: usize,
    /// How many operands the innermost form has had, or how many of a repeated one.
    operands: usize,
    only_operands: bool,
    /// The options so far, each by the first of its names.
    seen: Vec<&'static str>,
    inner: Option<Range<usize>>,
}

impl<'w> Walk<'_, 'w> {
    fn form(&self) -> &'static Form {
        self.forms.last().copied().unwrap_or(self.root)
    }

    /// What it does because an option that would keep it from it is not there.
    fn unless(&self) -> Effects {
        let mut all = Effects::READS;
        for (names, effects) in self.forms.iter().flat_map(|form| &form.unless) {
            let known = |name: &&str| {
                let option = self.option(name).or_else(|| self.form().keyword(name));
                option.is_some_and(|option| self.seen.contains(&option.name))
            };
            if !names.iter().any(known) {
                all = all.and(*effects);
            }
        }
        all
    }

    fn step(&mut self) {
        let Some(word) = self.words.get(self.at).copied() else {
            return;
        };
        let text = word.text;
        let form = self.form();
        let options_over =
            self.only_operands || (form.style == Style::Posix && (self.operands > 0));
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
            return self.unknown(Unknown::Option);
        }
        self.cluster(word);
    }

    /// `-abc`, the last of which may have a value.
    fn cluster(&mut self, word: Argument<'w>) {
        let letters = word.text.get(1..).unwrap_or_default();
        if letters.bytes().all(|b| b.is_ascii_digit()) && self.forms.iter().any(|f| f.digits) {
            return self.push(What::Option("-NUMBER"), Effects::READS);
        }
        let mut effects = Effects::READS;
        let mut name = "";
        for (at, letter) in letters.char_indices() {
            let mut buffer = [b'-', 0, 0, 0, 0];
            let length = letter
                .encode_utf8(buffer.get_mut(1..).unwrap_or_default())
                .len();
            let spelled = buffer.get(..=length).unwrap_or_default();
            let Some(option) = std::str::from_utf8(spelled)
                .ok()
                .and_then(|o| self.option(o))
            else {
                return self.unknown(Unknown::Option);
            };
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            effects = effects.and(option.effects);
            name = option.name;
            self.seen.push(name);
            match option.value {
                Value::None => {}
                Value::Optional(_) if rest.is_empty() => {}
                Value::Two(..) => return self.unknown(Unknown::Option),
                Value::Required(_) | Value::Optional(_) => {
                    let glued = (!rest.is_empty()).then_some(rest);
                    return self.take_with(option, glued, word, effects);
                }
            }
        }
        if word.spreads || word.open {
            return self.unknown(Unknown::Form);
        }
        self.push(What::Option(name), effects);
    }

    fn take(&mut self, option: &'static Opt, glued: Option<&'w str>, word: Argument<'w>) {
        self.take_with(option, glued, word, option.effects);
    }

    fn take_with(
        &mut self,
        option: &'static Opt,
        glued: Option<&'w str>,
        word: Argument<'w>,
        effects: Effects,
    ) {
        self.seen.push(option.name);
        match (&option.value, glued) {
            (Value::None, None) => self.push(What::Option(option.name), effects),
            (Value::None | Value::Two(..), Some(_)) => self.unknown(Unknown::Option),
            (Value::Optional(_), None) => self.push(What::Option(option.name), effects),
            (Value::Required(kind) | Value::Optional(kind), Some(text)) => {
                let value = Argument { text, ..word };
                let what = value_of(option.name, kind, value);
                self.push(what, effects);
            }
            (Value::Required(kind), None) => {
                self.push(What::Option(option.name), effects);
                self.value(option.name, kind);
            }
            (Value::Two(first, second), None) => {
                self.push(What::Option(option.name), effects);
                self.value(option.name, first);
                self.value(option.name, second);
            }
        }
    }

    /// The next word as the value of an option.
    fn value(&mut self, option: &'static str, kind: &'static Kind) {
        let Some(word) = self.words.get(self.at).copied() else {
            // The option's own word stands for what is missing.
            if let Some(role) = self.roles.last_mut() {
                role.what = What::Unknown(Unknown::Value);
            }
            return;
        };
        let what = value_of(option, kind, word);
        self.push(what, kind.effects());
    }

    fn operand_word(&mut self, word: Argument<'w>) {
        let text = word.text;
        let form = self.form();
        if !form.subs.is_empty() && self.operands == 0 && !word.spreads && !word.open {
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
            let what = value_of(
                "+",
                kind,
                Argument {
                    text: number,
                    ..word
                },
            );
            return self.push(what, kind.effects());
        }
        if !word.open
            && !word.spreads
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
        let Some(operand) = form.operands.get(self.operand) else {
            return self.unknown(Unknown::Operand);
        };
        if operand.kind.is_program() {
            return self.program(&operand.kind, operand.effects);
        }
        let repeats = matches!(operand.need, Need::Any | Need::Some);
        self.operands += 1;
        if !repeats {
            self.operand += 1;
        }
        if (word.spreads && !repeats) || !takes(&operand.kind, word) {
            return self.unknown(Unknown::Form);
        }
        let what = match script(&operand.kind, text) {
            true => What::Operand {
                kind: &operand.kind,
                text,
            },
            false => What::Unknown(Unknown::Script),
        };
        self.push(what, operand.effects);
    }

    /// `ps aux`: options without a dash, whose values are the next words.
    fn letters(&mut self, text: &'w str) {
        let Some(letters) = &self.form().letters else {
            return;
        };
        self.push(What::Option("letters"), Effects::READS);
        for letter in text.chars().filter(|c| letters.valued.contains(*c)) {
            let mut buffer = [b'-', 0, 0, 0, 0];
            let length = letter
                .encode_utf8(buffer.get_mut(1..).unwrap_or_default())
                .len();
            let spelled = buffer.get(..=length).unwrap_or_default();
            let option = std::str::from_utf8(spelled)
                .ok()
                .and_then(|name| self.option(name));
            match option.map(|option| (&option.value, option.name)) {
                Some((Value::Required(kind), name)) => self.value(name, kind),
                _ => {
                    if let Some(role) = self.roles.last_mut() {
                        role.what = What::Unknown(Unknown::Option);
                    }
                }
            }
        }
    }

    /// The command that this one runs, from here on.
    fn program(&mut self, kind: &'static Kind, effects: Effects) {
        let start = self.at;
        let rest = self.words.get(start..).unwrap_or_default();
        let length = match kind {
            Kind::ProgramUntil => rest
                .iter()
                .position(|word| word.text == ";" || word.text == "+"),
            _ => Some(rest.len()),
        };
        let Some(length) = length.filter(|_| self.inner.is_none()) else {
            return self.unknown(Unknown::Operand);
        };
        self.inner = Some(start..start + length);
        for _ in 0..length {
            self.push(What::Inner, effects);
        }
        self.operands += 1;
    }

    /// An option of the innermost form, or of one around it whose options go anywhere.
    fn option(&self, name: &str) -> Option<&'static Opt> {
        let mut forms = self.forms.iter().rev();
        let innermost = forms.next()?;
        innermost.option(name).or_else(|| {
            forms
                .filter(|form| form.style != Style::Posix)
                .find_map(|form| form.option(name))
        })
    }

    fn push(&mut self, what: What<'w>, effects: Effects) {
        self.roles.push(Role { what, effects });
        self.at += 1;
    }

    fn unknown(&mut self, why: Unknown) {
        self.push(What::Unknown(why), Effects::READS);
    }
}

fn value_of<'w>(option: &'static str, kind: &'static Kind, word: Argument<'w>) -> What<'w> {
    // A value that becomes several words would make operands of the rest.
    if word.spreads || !takes(kind, word) {
        return What::Unknown(Unknown::Form);
    }
    if !script(kind, word.text) {
        return What::Unknown(Unknown::Script);
    }
    What::Value {
        option,
        kind,
        text: word.text,
    }
}

fn takes(kind: &Kind, word: Argument<'_>) -> bool {
    // What is known only on the host can be checked for nothing.
    kind.takes(word.text) && (!word.open || *kind == Kind::Text)
}

/// Whether a script only computes and prints.
fn script(kind: &Kind, text: &str) -> bool {
    match kind {
        Kind::Awk => awk::is_plain(text),
        Kind::Sed => sed::is_plain(text),
        Kind::Jq => filter::is_plain_jq(text),
        _ => true,
    }
}
