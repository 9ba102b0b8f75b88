//! The texts of the descriptions, read a second time: for what may be tried, not for what
//! it means. The reader of the crate decides that.

use std::collections::BTreeMap;

/// A program with what may stand behind it.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) names: Vec<&'static str>,
    pub(crate) sets: Vec<&'static str>,
    pub(crate) helpers: Vec<&'static str>,
    pub(crate) may_write: Vec<&'static str>,
    pub(crate) through: bool,
    pub(crate) form: Form,
    /// Lines that are options, counted by name.
    pub(crate) options: usize,
}

#[derive(Default, Clone)]
pub(crate) struct Form {
    pub(crate) options: Vec<Choice>,
    pub(crate) keys: Vec<(&'static str, &'static str)>,
    pub(crate) words: Vec<Choice>,
    pub(crate) operands: Vec<(&'static str, Need)>,
    pub(crate) subs: Vec<(Vec<&'static str>, Form)>,
    pub(crate) letters: Vec<String>,
    pub(crate) digits: bool,
    pub(crate) plus: Option<&'static str>,
}

/// An option under one of its names, with the kinds of its values.
#[derive(Clone)]
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) value: Value,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Value {
    None,
    /// Glued or in the next word.
    Either,
    Next,
    Glued,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Need {
    Maybe,
    One,
    Any,
    Some,
}

/// All programs of all families.
pub(crate) fn programs(
    families: impl Iterator<Item = (&'static str, &'static str)>,
) -> Vec<Program> {
    let mut programs = Vec::new();
    for (_, text) in families {
        let lines: Vec<(usize, &str)> = text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|line| {
                (
                    (line.len() - line.trim_start().len()) / 2,
                    line.trim_start(),
                )
            })
            .collect();
        let mut at = 0;
        while let Some((0, head)) = lines.get(at) {
            at += 1;
            let mut program = Program {
                names: Vec::new(),
                sets: Vec::new(),
                helpers: Vec::new(),
                may_write: Vec::new(),
                through: false,
                form: Form::default(),
                options: 0,
            };
            let start = at;
            program.form = form(&lines, &mut at, 1);
            for (depth, line) in &lines[start..at] {
                let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
                match keyword {
                    "sets" if *depth == 1 => program.sets = rest.split(' ').collect(),
                    "helpers" if *depth == 1 => program.helpers = rest.split(' ').collect(),
                    "may-write" if *depth == 1 => program.may_write = rest.split(' ').collect(),
                    "through" if *depth == 1 => program.through = true,
                    _ => {}
                }
            }
            program.options = count(&program.form);
            // `programs`: several with the same lines, `a=b` is one.
            let (keyword, names) = head.split_once(' ').unwrap_or((head, ""));
            let groups: Vec<Vec<&str>> = match keyword {
                "programs" => names
                    .split(' ')
                    .map(|one| one.split('=').collect())
                    .collect(),
                _ => vec![names.split(' ').collect()],
            };
            programs.extend(groups.into_iter().map(|names| Program {
                names,
                ..program.clone()
            }));
        }
    }
    programs
}

fn count(form: &Form) -> usize {
    let own = form.options.len() + form.words.len() + form.keys.len();
    own + form
        .subs
        .iter()
        .map(|(_, sub)| 1 + count(sub))
        .sum::<usize>()
}

fn form(lines: &[(usize, &'static str)], at: &mut usize, depth: usize) -> Form {
    let mut form = Form::default();
    while let Some((own, line)) = lines.get(*at) {
        if *own < depth {
            break;
        }
        *at += 1;
        // `each`: names that are not one, with `=` between those that are.
        let each = line.strip_prefix("each ");
        let (keyword, rest) = each.unwrap_or(line).split_once(' ').unwrap_or((line, ""));
        let rest = rest.split(" : ").next().unwrap_or_default();
        let words: Vec<&'static str> = rest.split(' ').filter(|word| !word.is_empty()).collect();
        let kinds = match keyword {
            "flag" | "word" => 0,
            "values" => 2,
            _ => 1,
        };
        let (names, kinds) = words.split_at(words.len().saturating_sub(kinds));
        let names: Vec<&'static str> = match each {
            Some(_) => names.iter().flat_map(|name| name.split('=')).collect(),
            None => names.to_vec(),
        };
        let add = |to: &mut Vec<Choice>, value: Value| {
            for name in &names {
                to.push(Choice {
                    name,
                    kinds: kinds.to_vec(),
                    value,
                });
            }
        };
        match keyword {
            "flag" => add(&mut form.options, Value::None),
            "value" => add(&mut form.options, Value::Either),
            "next" | "values" => add(&mut form.options, Value::Next),
            "optional" => {
                add(&mut form.options, Value::Glued);
                add(&mut form.options, Value::None);
            }
            "word" => add(&mut form.words, Value::None),
            "pair" => add(&mut form.words, Value::Next),
            "key" => form.keys.extend(names.iter().map(|name| (*name, kinds[0]))),
            "digits" => form.digits = true,
            "plus" => form.plus = kinds.first().copied(),
            "letters" => {
                let flags = words.get(1).copied().unwrap_or_default();
                form.letters.extend(flags.chars().map(String::from));
                form.letters.push("aux".to_owned());
            }
            "bundle" => {
                for option in form.options.clone() {
                    let letter = option.name.trim_start_matches('-');
                    if letter.len() == 1 && option.value == Value::None {
                        form.letters.push(letter.to_owned());
                    }
                }
            }
            "operand" => form.operands.extend(operand(rest)),
            "sub" => form.subs.push((
                words
                    .iter()
                    .flat_map(|names| names.split('='))
                    .flat_map(spellings)
                    .collect(),
                self::form(lines, at, depth + 1),
            )),
            _ => {}
        }
    }
    form
}

fn operand(text: &'static str) -> Option<(&'static str, Need)> {
    let need = [("...", Need::Any), ("+", Need::Some), ("!", Need::One)];
    let found = need
        .iter()
        .find_map(|(mark, need)| Some((text.strip_suffix(mark)?, *need)));
    (!text.is_empty()).then(|| found.unwrap_or((text, Need::Maybe)))
}

/// `a[ddress]`: the shortest.
fn spellings(name: &'static str) -> Vec<&'static str> {
    vec![name.split('[').next().unwrap_or(name)]
}

/// How many programs, names and options are described.
pub(crate) fn figures(programs: &[Program]) -> BTreeMap<&'static str, usize> {
    BTreeMap::from([
        ("programs", programs.len()),
        (
            "names",
            programs.iter().map(|program| program.names.len()).sum(),
        ),
        (
            "options",
            programs.iter().map(|program| program.options).sum(),
        ),
    ])
}
