//! The text that reviewers read (`data/*.txt`) → a description.
//!
//! Owns how each line is read, and refuses what is no line of a description; the head of
//! `description` says what there is. Called by the catalogue.

use crate::policy::programs::description::{
    Abbreviable, Condition, Description, Form, Here, Letters, Need, Operand, Opt, Style, Sub, Value,
};
use crate::policy::programs::effects::Effects;
use crate::policy::programs::kind::Kind;

/// The names in the head of a text: of one program, or of each of several. A head that is
/// none has no names.
pub(crate) fn names(text: &'static str) -> Vec<Vec<&'static str>> {
    let head = text.lines().next().unwrap_or_default();
    let (keyword, names) = head.split_once(' ').unwrap_or((head, ""));
    let names: Vec<&str> = names.split(' ').filter(|name| !name.is_empty()).collect();
    match keyword {
        "program" | "programs" => groups(keyword == "programs", &names),
        _ => Vec::new(),
    }
}

/// Reads one description, from its `program` line on; of `programs` the one with this number.
///
/// # Errors
/// The number of the line within it, from 0, and what is wrong there.
pub(crate) fn parse(text: &'static str, group: usize) -> Result<Description, (usize, String)> {
    let names = names(text).into_iter().nth(group).unwrap_or_default();
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
    lines.program(&mut at, names)
}

struct Lines {
    lines: Vec<(usize, usize, &'static str)>,
}

type Failure = (usize, String);

impl Lines {
    fn program(&self, at: &mut usize, names: Vec<&'static str>) -> Result<Description, Failure> {
        let Some((number, 0, _)) = self.lines.first().copied() else {
            return Err((0, "a description begins with `program NAME`".to_owned()));
        };
        let mut description = Description {
            names,
            source: "",
            sets: Vec::new(),
            helpers: Vec::new(),
            may_write: Vec::new(),
            through: false,
            raises: false,
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
                "raises" => description.raises = true,
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
        // What is read stays, of hundreds of programs.
        form.options.shrink_to_fit();
        form.subs.shrink_to_fit();
        form.operands.shrink_to_fit();
        form.without.shrink_to_fit();
        form.conditions.shrink_to_fit();
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
        // `each`: the names are not one under several names, but each its own.
        let (each, line) = match line.strip_prefix("each ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        if each && !matches!(keyword, "flag" | "value" | "optional" | "sub") {
            return Err(fail("no `each` of these"));
        }
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
            ("style", ["none"]) => form.style = Style::None,
            ("does", names @ [_, ..]) => {
                form.effects = form
                    .effects
                    .and(effects_of(&names.join(" ")).ok_or_else(|| fail("no such effect"))?);
            }
            ("unless" | "operands-unless" | "when", [_, ..]) if effects != Effects::READS => {
                let mut parts = words.split(|word| *word == "unless");
                let first = parts.next().unwrap_or_default().to_vec();
                let second = parts.next().unwrap_or_default().to_vec();
                let (given, missing) = match keyword {
                    "unless" | "operands-unless" => (Vec::new(), first),
                    _ => {
                        let groups = first.split(|word| *word == "and");
                        (groups.map(<[_]>::to_vec).collect(), second)
                    }
                };
                form.conditions.push(Condition {
                    given,
                    missing,
                    with_operand: keyword == "operands-unless",
                    effects,
                });
            }
            ("bare", names @ [_, ..]) => {
                form.bare = effects_of(&names.join(" ")).ok_or_else(|| fail("no such effect"))?;
            }
            ("having", [name, count]) => {
                let count = count.parse().map_err(|_| fail("no number"))?;
                form.having.push((kind(name)?, count, effects));
            }
            ("first-by", [_, ..]) => form.first_by = words,
            ("last-by", [_, ..]) => form.last_by = words,
            ("apart", [_, ..]) => form.apart = words,
            ("deep", [_, ..]) => form.deep = words,
            ("here", ["always"]) => form.here = Here::Always,
            ("here", ["deep"]) => form.here = Here::Deep,
            ("bundle", []) => form.bundle = true,
            ("instead", [names @ .., last]) if !names.is_empty() => {
                let kind = kind(last)?;
                let operand = Operand {
                    effects: effects.and(kind.effects()),
                    kind,
                    need: Need::Any,
                };
                form.instead.push((names.to_vec(), operand));
            }
            ("any-option", [name]) => form.any_option = Some(kind(name)?),
            ("alone", []) => form.alone = true,
            ("alone", [_, ..]) => form.alone_with = words,
            ("digits", []) => form.digits = true,
            ("plus", [name]) => form.plus = Some(kind(name)?),
            ("flag", names @ [_, ..]) => {
                for names in groups(each, names) {
                    let name = names.first().copied().unwrap_or_default();
                    add(&mut form.options, &names, name, Value::None, effects);
                }
            }
            ("value", [names @ .., last]) if !names.is_empty() => {
                for names in groups(each, names) {
                    let value = kind(last)?;
                    let effects = effects.and(value.effects());
                    let name = names.first().copied().unwrap_or_default();
                    let value = Value::Required(value);
                    add(&mut form.options, &names, name, value, effects);
                }
            }
            ("next", [names @ .., last]) if !names.is_empty() => {
                let value = kind(last)?;
                let effects = effects.and(value.effects());
                let name = names.first().copied().unwrap_or_default();
                add(&mut form.options, names, name, Value::Next(value), effects);
            }
            ("optional", [names @ .., last]) if !names.is_empty() => {
                for names in groups(each, names) {
                    let value = kind(last)?;
                    let effects = effects.and(value.effects());
                    let name = names.first().copied().unwrap_or_default();
                    let value = Value::Optional(value);
                    add(&mut form.options, &names, name, value, effects);
                }
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
                let start = *at;
                for names in groups(each, names) {
                    // Each has a form of its own, of the same lines.
                    *at = start;
                    let mut below = self
                        .form(at, depth + 1)
                        .map_err(|(n, text)| (Some(n), text))?;
                    below.effects = below.effects.and(effects);
                    form.subs.push(Sub {
                        names: names.iter().map(|name| Abbreviable::new(name)).collect(),
                        form: below,
                    });
                }
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

/// The names that belong together: all of them, or with `each` those with `=` between them.
fn groups(each: bool, names: &[&'static str]) -> Vec<Vec<&'static str>> {
    match each {
        true => names.iter().map(|name| name.split('=').collect()).collect(),
        false => vec![names.to_vec()],
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
