//! Deny rules matched by what a command means, whatever its spelling.
//!
//! Owns the comparison of a deny pattern with an invocation as its program's description
//! reads it: `systemctl restart sshd*` holds for every invocation that restarts a unit of
//! that name, wherever the operand stands, behind `-q`, `--` or other operands, with a path
//! before the program, behind wrappers, with wildcards in the words. Of a program that nobody
//! described every word counts, in any order. Never less than the textual views: those are
//! tried too. Called by the deny rules.

use std::collections::HashMap;

use crate::policy::deny::same;
use crate::policy::deny::tidy::tidy;
use crate::policy::hazard::wrappers::{self, base_name};
use crate::policy::programs::catalogue;
use crate::policy::programs::description::Form;
use crate::policy::programs::invocation::{Invocation, Level, arguments};
use crate::policy::programs::reading::{Reading, What};
use crate::policy::programs::walk::read;
use crate::policy::rule::glob::{self, EXPANDED, Token};
use crate::policy::syntax::command::Word;

/// What may stand between programs within a text.
const SEPARATORS: &[char] = &[' ', '\n', ';', '|', '&', '(', ')', '{', '}', '`', '\'', '"'];

/// All deny patterns that name a program, by it.
#[derive(Debug, Default)]
pub(crate) struct Meanings {
    entries: Vec<Entry>,
    /// By every name of the program, in lower case.
    by_program: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Entry {
    id: usize,
    /// In lower case.
    program: String,
    /// Subcommands, as the description spells them.
    verbs: Vec<String>,
    needs: Vec<Need>,
}

/// What some word of the invocation must be.
#[derive(Debug)]
enum Need {
    /// An option under any of its names.
    Option(Vec<String>),
    /// A signal, by its number.
    Signal(usize),
    /// A value or an operand that one of these takes, in lower case.
    Word(Vec<Vec<Token>>),
}

impl Meanings {
    /// Adds a pattern, cut into words. One that does not name its program has no meaning
    /// beyond its text.
    pub(crate) fn add(&mut self, id: usize, words: &[Vec<Token>], any_of: Vec<Vec<Token>>) {
        let Some((program, rest)) = words.split_first() else {
            return;
        };
        // `uptime*` alone is the program with any operands.
        let program = match program.split_last() {
            Some((Token::Star, name)) if rest.is_empty() => glob::literal(name),
            _ => glob::literal(program),
        };
        let Some(program) = program.filter(|name| !name.is_empty()) else {
            return;
        };
        let program = glob::fold_text(base_name(&program));
        let description = catalogue::find(&program);
        let mut entry = Entry {
            id,
            program: program.clone(),
            verbs: Vec::new(),
            needs: Vec::new(),
        };
        // From the program to the innermost subcommand.
        let mut forms: Vec<&'static Form> = description.map(|d| &d.form).into_iter().collect();
        let rest: Vec<Vec<Token>> = rest
            .iter()
            .map(|word| word.iter().map(Token::folded).collect())
            .collect();
        let mut rest = rest.iter().peekable();
        while let Some(word) = rest.next() {
            let next = rest.peek().and_then(|next| glob::literal(next));
            match glob::literal(word) {
                Some(text) => {
                    let alone = same::signal_of(&program, &text, None);
                    let signal = alone.or_else(|| {
                        let signal = same::signal_of(&program, &text, next.as_deref())?;
                        rest.next();
                        Some(signal)
                    });
                    match signal {
                        Some(signal) => entry.needs.push(Need::Signal(signal)),
                        None => entry.literal(&text, &mut forms),
                    }
                }
                None if *word == [Token::Star] => {}
                None => entry.needs.push(Need::Word(vec![word.clone()])),
            }
        }
        if !any_of.is_empty() {
            entry.needs.push(Need::Word(any_of));
        }
        let index = self.entries.len();
        let names: Vec<&str> = match description {
            Some(description) => description.names.clone(),
            None => vec![&program],
        };
        for name in names {
            let place = self.by_program.entry(name.to_owned()).or_default();
            place.push(index);
        }
        self.entries.push(entry);
    }

    /// The first entry that holds and that `hit` confirms.
    pub(crate) fn find(
        &self,
        words: &[Word<'_>],
        invocation: &Invocation<'_>,
        mut hit: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        let known = invocation.levels.iter().find_map(|level| {
            let own = words.get(level.range.clone())?;
            self.find_in(level, own, &mut hit)
        });
        known.or_else(|| {
            let last = invocation.innermost()?;
            let understood = last.reading.as_ref().and_then(Reading::effects);
            if understood.is_some() {
                return None;
            }
            self.behind_unknown(words.get(last.range.clone())?, &mut hit)
        })
    }

    /// Behind a program of which nothing is known but that it runs others or code, every
    /// word may be a program, those within a quoted text too.
    fn behind_unknown(
        &self,
        words: &[Word<'_>],
        hit: &mut impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let name = base_name(&words.first()?.text);
        let is_code = wrappers::is_interpreter(name) || wrappers::wrapper(name).is_some();
        if !is_code && wrappers::inner_program_after(name).is_none() {
            return None;
        }
        let mut parts: Vec<Word<'_>> = Vec::new();
        for word in words.iter().skip(1) {
            if !word.text.contains(SEPARATORS) {
                parts.push(word.clone());
                continue;
            }
            let pieces = word
                .text
                .split(SEPARATORS)
                .filter(|piece| !piece.is_empty());
            parts.extend(pieces.map(|piece| Word::made(piece.to_owned())));
        }
        let arguments = arguments(&parts);
        (0..parts.len()).find_map(|start| {
            let own = parts.get(start..)?;
            let level = Level {
                range: start..parts.len(),
                reading: read(arguments.get(start..)?),
                // Whose it is means nothing to a deny.
                is_the_systems: true,
            };
            self.find_in(&level, own, hit)
        })
    }

    fn find_in(
        &self,
        level: &Level<'_>,
        own: &[Word<'_>],
        hit: &mut impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let program = own.first()?;
        let name = glob::fold_text(base_name(&program.expanded()));
        let spelled = !name.contains(EXPANDED);
        // Nearly always there is none for the program, and nothing to compare.
        let entries = match spelled {
            true => self.by_program.get(&name)?.as_slice(),
            false => &[],
        };
        let seen = Seen::new(level, own);
        let mut holds = |index: &usize| {
            let entry = self.entries.get(*index)?;
            (entry.holds(&seen) && hit(entry.id)).then_some(entry.id)
        };
        if spelled {
            return entries.iter().find_map(holds);
        }
        // The remote shell makes a name of it: any that fits.
        let name = wild(&name);
        (0..self.entries.len()).find_map(|index| {
            let entry = self.entries.get(index)?;
            let program: Vec<Token> = entry.program.chars().map(Token::Text).collect();
            glob::overlap(&program, &name).then(|| holds(&index))?
        })
    }
}

impl Entry {
    /// A word of the pattern that is spelled out.
    fn literal(&mut self, text: &str, forms: &mut Vec<&'static Form>) {
        if let Some(sub) = forms.last().and_then(|form| form.sub(text)) {
            self.verbs
                .extend(sub.names.first().map(|name| name.whole()));
            forms.push(&sub.form);
            return;
        }
        let Some(letters) = text.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            let text: Vec<Token> = text.chars().map(Token::Text).collect();
            self.needs.push(Need::Word(vec![text]));
            return;
        };
        if text == "--" {
            return;
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) if text.starts_with("--") => (name, Some(value)),
            _ => (text, None),
        };
        let known = forms.iter().any(|form| form.option(name).is_some());
        if known || text.starts_with("--") || letters.chars().count() == 1 {
            self.needs.push(Need::Option(names_of(name, forms)));
        } else {
            for letter in letters.chars() {
                let name = format!("-{letter}");
                self.needs.push(Need::Option(names_of(&name, forms)));
            }
        }
        if let Some(value) = value {
            let value: Vec<Token> = value.chars().map(Token::Text).collect();
            self.needs.push(Need::Word(vec![value]));
        }
    }

    fn holds(&self, seen: &Seen) -> bool {
        let verbs = match seen.described {
            true => {
                let like = |verb: &str| same::verbs_like(&self.program, verb);
                self.verbs.iter().all(|verb| {
                    let mut given = seen.verbs.iter();
                    given.any(|given| given == verb || like(verb).contains(&given.as_str()))
                })
            }
            false => self.verbs.iter().all(|verb| seen.has_word(verb)),
        };
        verbs
            && self.needs.iter().all(|need| match need {
                Need::Option(names) => names.iter().any(|name| seen.has_option(name)),
                Need::Signal(number) => {
                    let sent = same::signals_of(&self.program, &seen.words);
                    sent.contains(number)
                }
                Need::Word(patterns) => patterns.iter().any(|tokens| seen.has(tokens)),
            })
    }
}

/// Every name of an option, folded.
fn names_of(name: &str, forms: &[&Form]) -> Vec<String> {
    let mut forms = forms.iter().rev();
    let Some((form, option)) = forms.find_map(|form| Some((form, form.option(name)?))) else {
        return vec![name.to_owned()];
    };
    form.options
        .iter()
        .filter(|(_, other)| other.name == option.name)
        .map(|(name, _)| glob::fold_text(name))
        .collect()
}

/// What an invocation says, in lower case, ready to be compared.
struct Seen {
    described: bool,
    verbs: Vec<String>,
    /// Every word behind the program.
    words: Vec<String>,
    /// Values and operands, and every form in which they mean the same.
    values: Vec<Vec<Token>>,
}

impl Seen {
    fn new(level: &Level<'_>, words: &[Word<'_>]) -> Self {
        let folded: Vec<String> = words
            .iter()
            .skip(1)
            .map(|word| glob::fold_text(&word.expanded()))
            .collect();
        let mut seen = Self {
            described: level.reading.is_some(),
            verbs: Vec::new(),
            words: Vec::new(),
            values: Vec::new(),
        };
        let program = words.first().map_or("", |word| base_name(&word.text));
        for word in &folded {
            seen.value(word);
            let others = same::sorts_like(program, word).map(wild);
            seen.values.extend(others);
            if let Some((_, value)) = word.split_once('=') {
                seen.value(value);
            }
        }
        if let Some(reading) = &level.reading {
            let mut form = &reading.description.form;
            for role in &reading.roles {
                match role.what {
                    What::Verb(text) => {
                        if let Some(sub) = form.sub(text) {
                            seen.verbs
                                .extend(sub.names.first().map(|name| name.whole()));
                            form = &sub.form;
                        }
                    }
                    What::Value { text, .. } | What::Operand { text, .. } => {
                        seen.value(&glob::fold_text(text));
                    }
                    _ => {}
                }
            }
        }
        seen.words = folded;
        seen
    }

    fn value(&mut self, text: &str) {
        self.values.push(wild(text));
        // Objects with their type or namespace before them: `pod/x`.
        if let Some((_, name)) = text.split_once('/').filter(|(kind, _)| !kind.is_empty()) {
            self.values.push(wild(name));
        }
        match text.strip_suffix(".service") {
            Some(unit) => self.values.push(wild(unit)),
            None if !text.contains('/') => self.values.push(wild(&format!("{text}.service"))),
            None => {}
        }
        if let Some(tidy) = tidy(text) {
            self.values.push(wild(&tidy));
        }
    }

    fn has(&self, tokens: &[Token]) -> bool {
        self.values.iter().any(|value| glob::overlap(tokens, value))
    }

    fn has_word(&self, text: &str) -> bool {
        self.words.iter().any(|word| word == text)
    }

    fn has_option(&self, name: &str) -> bool {
        self.words.iter().any(|word| match name.strip_prefix("--") {
            Some(long) => word.strip_prefix("--").is_some_and(|word| {
                let word = word.split('=').next().unwrap_or(word);
                // Programs take abbreviations.
                !word.is_empty() && (word == long || long.starts_with(word))
            }),
            None => match (name.strip_prefix('-'), word.strip_prefix('-')) {
                (Some(_), _) if word == name => true,
                (Some(letter), Some(cluster)) if !cluster.starts_with('-') => {
                    letter.chars().count() == 1 && cluster.contains(letter)
                }
                _ => false,
            },
        })
    }
}

/// A text in which a wildcard of the program's own, or of the shell, is anything.
fn wild(text: &str) -> Vec<Token> {
    text.chars()
        .map(|c| match c {
            EXPANDED | '*' => Token::Star,
            '?' => Token::One,
            c => Token::Text(c),
        })
        .collect()
}
