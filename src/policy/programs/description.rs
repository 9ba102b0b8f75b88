//! A description: what each option, subcommand and operand of a program is.
//!
//! Owns the types, and the reading of the text that reviewers read (`data/*.txt`):
//!
//! ```text
//! program NAME [NAME...]                  the same program under other names
//!   source WHAT-WAS-READ                  man page and version, where variants differ
//!   sets SET...                           the ready-made sets that it belongs to
//!   helpers PROGRAM...                    programs that it may start by itself (gzip)
//!   may-write FILE...                     files that it opens for writing by itself (a lock)
//!   through                               changes nothing: what it runs is judged instead
//!   feeds                                 adds words of its input to what it runs
//!   style gnu|posix|long                  options anywhere; before operands only; `-name` whole
//!   does EFFECT...                        what it does by being run at all
//!   unless NAME... : EFFECT...            what it does where none of these options is given
//!   alone                                 has subcommands, and may be run without one
//!   digits                                `-5` is an option
//!   plus KIND                             `+5` is an option
//!   flag NAME... [: EFFECT...]            an option without a value
//!   value NAME... KIND [: EFFECT...]      a value, glued, behind `=` or in the next word
//!   optional NAME... KIND [: EFFECT...]   a value glued or behind `=` only, or none
//!   values NAME... KIND KIND [: EFFECT]   two values, in the next two words
//!   key NAME... KIND [: EFFECT...]        an operand `NAME=VALUE`
//!   pair NAME... KIND [: EFFECT...]       an operand NAME with the next word as its value
//!   word NAME... [: EFFECT...]            an operand that is this word
//!   letters first|any FLAGS [VALUED]      operands such as `aux` are options without a dash
//!   operand KIND[!|...|+] [: EFFECT...]   by position: one or none, one, any number, at least one
//!   sub NAME... [: EFFECT...]             a subcommand; what is indented below it is its own
//!   without WORD... -- REASON             known, and left out on purpose
//! ```
//!
//! `a[ddress]` stands for every abbreviation from `a` on. What a description does not list
//! is unknown, and unknown is never granted by a wildcard or a set. Called by the catalogue.

use crate::policy::programs::effects::Effects;
use crate::policy::programs::kind::Kind;

/// A program, as far as it is known.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) names: Vec<&'static str>,
    pub(crate) source: &'static str,
    pub(crate) sets: Vec<&'static str>,
    pub(crate) helpers: Vec<&'static str>,
    pub(crate) may_write: Vec<&'static str>,
    /// Changes nothing: what it runs is judged instead.
    pub(crate) through: bool,
    /// Adds words of its input to what it runs.
    pub(crate) feeds: bool,
    pub(crate) form: Form,
}

/// A program or a subcommand with what may stand behind it.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) style: Style,
    /// Of being run at all.
    pub(crate) effects: Effects,
    /// Of being run without any of these options (`docker stats` without `--no-stream`).
    pub(crate) unless: Vec<(Vec<&'static str>, Effects)>,
    /// May be run without a subcommand.
    pub(crate) alone: bool,
    pub(crate) digits: bool,
    pub(crate) plus: Option<Kind>,
    /// Sorted by name, each with its dashes.
    options: Vec<(&'static str, Opt)>,
    pub(crate) keys: Vec<(&'static str, Opt)>,
    pub(crate) keywords: Vec<(Abbreviable, Opt)>,
    pub(crate) letters: Option<Letters>,
    pub(crate) operands: Vec<Operand>,
    pub(crate) subs: Vec<Sub>,
    /// Names that were left out on purpose, with the reason.
    pub(crate) without: Vec<(&'static str, &'static str)>,
}

/// Where options may stand and how they look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Style {
    /// Anywhere, `-abc` is three of them, `--name=value`.
    #[default]
    Gnu,
    /// The same, before the first operand only.
    Posix,
    /// `-name` is one, wherever it stands.
    Long,
}

#[derive(Debug, Clone)]
pub(crate) struct Opt {
    /// The first of its names.
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    pub(crate) effects: Effects,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    None,
    Required(Kind),
    Optional(Kind),
    Two(Kind, Kind),
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    pub(crate) effects: Effects,
}

/// How often an operand may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Maybe,
    One,
    Any,
    Some,
}

#[derive(Debug)]
pub(crate) struct Sub {
    pub(crate) names: Vec<Abbreviable>,
    pub(crate) form: Form,
}

/// A name with the least of it that is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abbreviable {
    least: &'static str,
    rest: &'static str,
}

/// Options without a dash: `ps aux`, `tar tf`.
#[derive(Debug)]
pub(crate) struct Letters {
    pub(crate) first_only: bool,
    pub(crate) flags: &'static str,
    pub(crate) valued: &'static str,
}

impl Abbreviable {
    fn new(text: &'static str) -> Self {
        match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            Some((least, rest)) => Self { least, rest },
            None => Self {
                least: text,
                rest: "",
            },
        }
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        text.strip_prefix(self.least).is_some_and(|more| {
            self.rest == more || (!self.rest.is_empty() && self.rest.starts_with(more))
        })
    }

    /// Spelled out.
    pub(crate) fn whole(&self) -> String {
        format!("{}{}", self.least, self.rest)
    }
}

impl Form {
    /// The option of exactly this name, dashes included.
    pub(crate) fn option(&self, name: &str) -> Option<&Opt> {
        let at = self
            .options
            .binary_search_by(|(known, _)| (*known).cmp(name));
        self.options.get(at.ok()?).map(|(_, option)| option)
    }

    pub(crate) fn options(&self) -> impl Iterator<Item = &(&'static str, Opt)> {
        self.options.iter()
    }

    pub(crate) fn keyword(&self, text: &str) -> Option<&Opt> {
        let mut keywords = self.keywords.iter();
        keywords
            .find(|(name, _)| name.is(text))
            .map(|(_, found)| found)
    }

    pub(crate) fn sub(&self, text: &str) -> Option<&Sub> {
        self.subs
            .iter()
            .find(|sub| sub.names.iter().any(|name| name.is(text)))
    }

    /// Why a word is not described, where a description says so.
    pub(crate) fn reason_without(&self, text: &str) -> Option<&'static str> {
        let mut without = self.without.iter();
        without
            .find(|(name, _)| *name == text)
            .map(|(_, reason)| *reason)
    }
}

/// Reads one description, from its `program` line on.
///
/// # Errors
/// The number of the line within it, from 0, and what is wrong there.
pub(crate) fn parse(text: &'static str) -> Result<Description, (usize, String)> {
    let mut lines = Lines { lines: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        let body = line.trim_start();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        let indent = line.len() - body.len();
        if indent % 2 == 1 || line.contains('\t') || body != body.trim_end() {
            return Err((number, "indent by two blanks, none at the end".to_owned()));
        }
        lines.lines.push((number, indent / 2, body));
    }
    let mut at = 0;
    lines.program(&mut at)
}

struct Lines {
    lines: Vec<(usize, usize, &'static str)>,
}

type Failure = (usize, String);

impl Lines {
    fn program(&self, at: &mut usize) -> Result<Description, Failure> {
        let Some((number, 0, head)) = self.lines.first().copied() else {
            return Err((0, "a description begins with `program NAME`".to_owned()));
        };
        let mut words = head.split(' ');
        if words.next() != Some("program") {
            return Err((
                number,
                "a description begins with `program NAME`".to_owned(),
            ));
        }
        let mut description = Description {
            names: words.collect(),
            source: "",
            sets: Vec::new(),
            helpers: Vec::new(),
            may_write: Vec::new(),
            through: false,
            feeds: false,
            form: Form::default(),
        };
        *at = 1;
        // What only the program as a whole has stands before its options.
        while let Some((_, 1, line)) = self.lines.get(*at).copied() {
            let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
            match keyword {
                "source" => description.source = rest,
                "sets" => description.sets = rest.split(' ').collect(),
                "helpers" => description.helpers = rest.split(' ').collect(),
                "may-write" => description.may_write = rest.split(' ').collect(),
                "through" => description.through = true,
                "feeds" => description.feeds = true,
                _ => break,
            }
            *at += 1;
        }
        if description.names.is_empty() || description.source.is_empty() {
            return Err((number, "`program` needs a name, and a `source`".to_owned()));
        }
        description.form = self.form(at, 1)?;
        match self.lines.get(*at) {
            Some((number, _, line)) => Err((*number, format!("does not belong here: {line}"))),
            None => Ok(description),
        }
    }

    /// All lines at this depth, with what is below their `sub`s.
    fn form(&self, at: &mut usize, depth: usize) -> Result<Form, Failure> {
        let mut form = Form::default();
        while let Some((number, indent, line)) = self.lines.get(*at).copied() {
            if indent < depth {
                break;
            }
            if indent > depth {
                return Err((number, "indented too far".to_owned()));
            }
            *at += 1;
            self.line(&mut form, line, at, depth)
                .map_err(|(inner, text)| (inner.unwrap_or(number), text))?;
        }
        form.options.sort_by_key(|(name, _)| *name);
        if let Some([(name, _), ..]) = form
            .options
            .windows(2)
            .find(|pair| matches!(pair, [(a, _), (b, _)] if a == b))
        {
            let number = self.lines.first().map_or(0, |(number, ..)| *number);
            return Err((number, format!("{name} is described twice")));
        }
        Ok(form)
    }

    fn line(
        &self,
        form: &mut Form,
        line: &'static str,
        at: &mut usize,
        depth: usize,
    ) -> Result<(), (Option<usize>, String)> {
        let fail = |text: &str| (None, format!("{text}: {line}"));
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        if keyword == "without" {
            let (names, reason) = rest.split_once(" -- ").ok_or_else(|| fail("no reason"))?;
            form.without
                .extend(names.split(' ').map(|name| (name, reason)));
            return Ok(());
        }
        let (words, effects) = match rest.split_once(" : ") {
            Some((words, effects)) => (words, effects),
            None => (rest, ""),
        };
        let effects = effects_of(effects).ok_or_else(|| fail("no such effect"))?;
        let words: Vec<&'static str> = words.split(' ').filter(|word| !word.is_empty()).collect();
        let kind = |word: &'static str| Kind::named(word).ok_or_else(|| fail("no such kind"));
        match (keyword, words.as_slice()) {
            ("style", ["gnu"]) => form.style = Style::Gnu,
            ("style", ["posix"]) => form.style = Style::Posix,
            ("style", ["long"]) => form.style = Style::Long,
            ("does", names @ [_, ..]) => {
                form.effects = form
                    .effects
                    .and(effects_of(&names.join(" ")).ok_or_else(|| fail("no such effect"))?);
            }
            ("unless", [_, ..]) if effects != Effects::READS => form.unless.push((words, effects)),
            ("alone", []) => form.alone = true,
            ("digits", []) => form.digits = true,
            ("plus", [name]) => form.plus = Some(kind(name)?),
            ("flag", names @ [name, ..]) => {
                add(&mut form.options, names, name, Value::None, effects);
            }
            ("value", [names @ .., last]) if !names.is_empty() => {
                let value = kind(last)?;
                let effects = effects.and(value.effects());
                let name = names.first().copied().unwrap_or_default();
                add(
                    &mut form.options,
                    names,
                    name,
                    Value::Required(value),
                    effects,
                );
            }
            ("optional", [names @ .., last]) if !names.is_empty() => {
                let value = kind(last)?;
                let effects = effects.and(value.effects());
                let name = names.first().copied().unwrap_or_default();
                add(
                    &mut form.options,
                    names,
                    name,
                    Value::Optional(value),
                    effects,
                );
            }
            ("values", [names @ .., first, second]) if !names.is_empty() => {
                let (first, second) = (kind(first)?, kind(second)?);
                let effects = effects.and(first.effects()).and(second.effects());
                let name = names.first().copied().unwrap_or_default();
                add(
                    &mut form.options,
                    names,
                    name,
                    Value::Two(first, second),
                    effects,
                );
            }
            ("key", [names @ .., last]) if !names.is_empty() => {
                let value = kind(last)?;
                let effects = effects.and(value.effects());
                let name = names.first().copied().unwrap_or_default();
                add(&mut form.keys, names, name, Value::Required(value), effects);
            }
            ("pair", [names @ .., last]) if !names.is_empty() => {
                let value = kind(last)?;
                let effects = effects.and(value.effects());
                keywords(form, names, Value::Required(value), effects);
            }
            ("word", names @ [_, ..]) => keywords(form, names, Value::None, effects),
            ("letters", [place @ ("first" | "any"), flags, valued @ ..]) => {
                form.letters = Some(Letters {
                    first_only: *place == "first",
                    flags,
                    valued: valued.first().copied().unwrap_or_default(),
                });
            }
            ("operand", [operand]) => {
                let (name, need) = need(operand);
                let kind = kind(name)?;
                form.operands.push(Operand {
                    effects: effects.and(kind.effects()),
                    kind,
                    need,
                });
            }
            ("sub", names @ [_, ..]) => {
                let mut below = self
                    .form(at, depth + 1)
                    .map_err(|(n, text)| (Some(n), text))?;
                below.effects = below.effects.and(effects);
                form.subs.push(Sub {
                    names: names.iter().map(|name| Abbreviable::new(name)).collect(),
                    form: below,
                });
            }
            _ => return Err(fail("not a line of a description")),
        }
        Ok(())
    }
}

fn need(operand: &'static str) -> (&'static str, Need) {
    if let Some(name) = operand.strip_suffix("...") {
        (name, Need::Any)
    } else if let Some(name) = operand.strip_suffix('+') {
        (name, Need::Some)
    } else if let Some(name) = operand.strip_suffix('!') {
        (name, Need::One)
    } else {
        (operand, Need::Maybe)
    }
}

fn keywords(form: &mut Form, names: &[&'static str], value: Value, effects: Effects) {
    for name in names {
        let option = Opt {
            name,
            value: value.clone(),
            effects,
        };
        form.keywords.push((Abbreviable::new(name), option));
    }
}

fn add(
    to: &mut Vec<(&'static str, Opt)>,
    names: &[&'static str],
    first: &'static str,
    value: Value,
    effects: Effects,
) {
    for name in names {
        let option = Opt {
            name: first,
            value: value.clone(),
            effects,
        };
        to.push((name, option));
    }
}

fn effects_of(names: &str) -> Option<Effects> {
    let mut effects = Effects::READS;
    for name in names.split(' ').filter(|name| !name.is_empty()) {
        effects = effects.and(Effects::named(name)?);
    }
    Some(effects)
}
