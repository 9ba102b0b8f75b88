//! What a text is, once it was understood: a tree of commands, and its leaves.
//!
//! Owns the types of the shell's command language (POSIX.1-2024, XCU 2.9 and 2.10) as far
//! as it is read here: words, simple commands, pipelines, AND-OR lists, groups, subshells,
//! `if`. A `for` is unrolled into a group, but for those of its words that only the host
//! knows: each of them is a loop there. The leaves stand in
//! one vector, in the order in which a shell reaches them, and the tree names them by
//! index, so that whoever judges needs no tree. Refuses nothing and reads nothing: the
//! lexer makes these. Called by all that judges or renders.

use std::borrow::Cow;
use std::ops::Range;

use crate::policy::decision::reason::Code;
use crate::policy::rule::glob::EXPANDED;

/// Stands in [`Word::text`] for what a command in `"$(…)"` prints. No command may hold it.
pub(crate) const OUTPUT: char = '\u{E002}';
/// Stands in [`Word::text`] for `$?`. No command may hold it.
pub const STATUS: char = '\u{E003}';
/// As [`OUTPUT`], of a command that prints digits, or nothing: one number, or several, with
/// blanks, commas or line breaks between them and blanks before them.
pub const NUMBER: char = '\u{E004}';
/// As [`OUTPUT`], of a command that prints a name, or nothing: letters, digits and `._+~-`, the
/// first of them a letter or digit.
pub const NAME: char = '\u{E005}';
/// As [`OUTPUT`], of a command that prints a text that begins with a letter or digit, or nothing.
pub(crate) const TEXT: char = '\u{E006}';
/// A whole word without quotes, of which the shell makes none, one or several [`NUMBER`]s.
pub const NUMBERS: char = '\u{E007}';
/// The same of [`NAME`]s.
pub const NAMES: char = '\u{E008}';
/// What stands for the output of a command.
pub const OUTPUTS: [char; 6] = [OUTPUT, NUMBER, NAME, TEXT, NUMBERS, NAMES];

/// A text that was understood whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<'t> {
    /// Every simple command, in order, those inside `"$(…)"` before the one they are in. At
    /// least one.
    pub commands: Vec<Simple<'t>>,
    /// How they hang together.
    pub tree: List<'t>,
}

/// AND-OR lists, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List<'t> {
    pub items: Vec<AndOr<'t>>,
}

/// Pipelines between `&&` and `||`, which bind alike and from the left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AndOr<'t> {
    pub first: Pipeline<'t>,
    pub rest: Vec<(Connective, Pipeline<'t>)>,
}

/// `&&` or `||`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connective {
    And,
    Or,
}

/// Commands between `|`, perhaps behind a `!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline<'t> {
    pub negated: bool,
    /// At least one.
    pub commands: Vec<Command<'t>>,
}

/// One element of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'t> {
    /// Index into [`Parsed::commands`].
    Simple(usize),
    Compound(Compound<'t>, Vec<Redirect<'t>>),
}

/// A compound command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compound<'t> {
    /// `{ …; }`, and the rounds of a `for`.
    Group(List<'t>),
    /// `( … )`, and the text behind `sh -c`.
    Subshell(List<'t>),
    /// Condition and consequence of `if` and of each `elif`; then what stands behind `else`.
    If(Vec<(List<'t>, List<'t>)>, Option<List<'t>>),
    /// A `for` over what the host makes of one word.
    For(Box<For<'t>>),
}

/// A loop that the host runs, once for each of its values, which are all judged as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct For<'t> {
    /// As the text has it; the host is given another ([`Variable::on_host`]).
    pub name: Cow<'t, str>,
    /// [`NUMBERS`] or [`NAMES`] by itself, or a path with wildcards. Of none of these is a value
    /// empty.
    pub values: Word<'t>,
    pub body: List<'t>,
}

/// Where a word has the variable of such a loop, and how much of its text stands for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable<'t> {
    /// Byte offset into the word's text.
    pub at: usize,
    /// Bytes; with something in it that [`Word::globs`] names.
    pub length: usize,
    pub name: Cow<'t, str>,
}

impl Variable<'_> {
    /// Whether it stands at this place of the word's text.
    pub(crate) fn holds(&self, at: usize) -> bool {
        (self.at..self.at.saturating_add(self.length)).contains(&at)
    }

    /// The name that the host knows it by: never one that means something to a shell or a
    /// program, as `PATH` and `IFS` do.
    pub(crate) fn on_host(name: &str) -> String {
        format!("mcp_ssh_each_{name}")
    }
}

/// One program with its words, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simple<'t> {
    pub assignments: Vec<Assignment<'t>>,
    /// The program first; at least one.
    pub words: Vec<Word<'t>>,
    pub redirects: Vec<Redirect<'t>>,
    /// Where its standard input comes from, unless a redirection says otherwise.
    pub input: Input,
    /// Where it starts, as far as the commands before it tell.
    pub directory: Directory,
    /// Byte offset of its first word.
    pub start: usize,
    /// Its text as it was written, redirections included; with the values in place of the
    /// variables in a loop.
    pub text: Cow<'t, str>,
}

/// Where a command's standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Input {
    /// From the login: what the request gives it to read, mostly nothing.
    #[default]
    Login,
    /// From these commands, by a pipe.
    Pipe(Range<usize>),
}

/// The directory in which a command starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Directory {
    /// That of the login.
    #[default]
    Home,
    /// This one: a `cd` that succeeded stands before it.
    Known(String),
    /// One of these, each of the kinds above: a `cd` that may have failed stands before it.
    OneOf(Vec<Directory>),
    /// One that only the host knows.
    Unknown,
}

impl Directory {
    /// Each that it may be.
    pub fn alternatives(&self) -> &[Directory] {
        match self {
            Self::OneOf(several) => several,
            one => std::slice::from_ref(one),
        }
    }
}

/// `NAME=value` before a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment<'t> {
    pub name: Cow<'t, str>,
    pub value: Word<'t>,
}

/// The redirections there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect<'t> {
    ErrorsToOutput,
    OutputToNull,
    FirstToNull,
    ErrorsToNull,
    /// bash's `&>`; sent as `>/dev/null 2>&1`.
    BothToNull,
    InputFromNull,
    InputFrom(Word<'t>),
}

/// A word with its quotes taken away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word<'t> {
    /// What the host puts in has one character here: see [`Word::globs`].
    pub text: Cow<'t, str>,
    /// Byte offset of its first byte, quotes included, into the judged text.
    pub start: usize,
    /// Byte offsets into `text` of what the host expands, in order: `*` and `?`, a `~` at
    /// the beginning, [`OUTPUTS`], [`STATUS`].
    pub globs: Vec<usize>,
    /// Whether any part of it was quoted or escaped.
    pub quoted: bool,
    /// What stands for each of [`OUTPUTS`] that no variable does, in order.
    pub outputs: Vec<List<'t>>,
    /// The variables of loops that the host runs, in order.
    pub variables: Vec<Variable<'t>>,
    /// It is the text behind a shell's `-c`, understood: its one output, for which nothing
    /// stands in the text, is the list that the shell runs.
    pub shell: bool,
}

/// Why a text was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What names the refusal: characters before words before programs.
    pub code: Code,
    /// Byte offset into the text.
    pub position: usize,
    /// Everything that was found, in the order of the text.
    pub faults: Vec<Fault>,
}

/// One thing that is not in the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub code: Code,
    /// Byte offset into the text.
    pub position: usize,
}

impl Redirect<'_> {
    /// As the canonical form writes it; `None` for the one that names a file.
    pub fn as_str(&self) -> Option<&'static str> {
        Some(match self {
            Self::ErrorsToOutput => "2>&1",
            Self::OutputToNull => ">/dev/null",
            Self::FirstToNull => "1>/dev/null",
            Self::ErrorsToNull => "2>/dev/null",
            Self::BothToNull => ">/dev/null 2>&1",
            Self::InputFromNull => "</dev/null",
            Self::InputFrom(_) => return None,
        })
    }
}

impl<'t> Simple<'t> {
    /// Whether something is given to it to read: a pipe, or a file by a redirection.
    pub fn is_fed(&self) -> bool {
        match self.redirects.iter().rev().find_map(Redirect::input) {
            Some(from) => from.is_some(),
            None => matches!(self.input, Input::Pipe(_)),
        }
    }

    /// Whether it would read what the whole text is fed: nothing else is given to it.
    pub(crate) fn reads_login_input(&self) -> bool {
        let redirected = self.redirects.iter().rev().find_map(Redirect::input);
        redirected.is_none() && self.input == Input::Login
    }

    /// The files that its redirections read.
    pub fn read_by_redirect(&self) -> impl Iterator<Item = &Word<'t>> {
        self.redirects.iter().filter_map(|each| match each {
            Redirect::InputFrom(file) => Some(file),
            _ => None,
        })
    }

    /// The words as a person reads them, joined by a blank.
    pub fn shown(&self) -> String {
        let words: Vec<Cow<'_, str>> = self.words.iter().map(Word::shown).collect();
        words.join(" ")
    }
}

impl<'t> Redirect<'t> {
    /// Of one that sets standard input: the file, or `None` for `/dev/null`.
    fn input(&self) -> Option<Option<&Word<'t>>> {
        match self {
            Self::InputFrom(file) => Some(Some(file)),
            Self::InputFromNull => Some(None),
            _ => None,
        }
    }
}

impl<'t> Word<'t> {
    /// A word that stands nowhere in the text.
    pub fn made(text: impl Into<Cow<'t, str>>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Whether the host changes nothing of it.
    pub fn is_literal(&self) -> bool {
        self.globs.is_empty()
    }

    /// Whether the shell puts names of files for what stands at this byte of the text.
    pub(crate) fn is_wildcard(&self, at: usize) -> bool {
        let wild = matches!(self.text.as_bytes().get(at), Some(b'*' | b'?'));
        wild && self.globs.contains(&at)
    }

    /// Whether it begins with a `~` that the shell replaces by the login's home.
    pub fn is_below_home(&self) -> bool {
        self.text.starts_with('~') && self.globs.first() == Some(&0)
    }

    /// The text with what the host expands as [`EXPANDED`], so that only a `*` of a
    /// pattern takes it.
    pub(crate) fn expanded(&self) -> Cow<'_, str> {
        if self.globs.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        let mark = |(at, c)| {
            if self.globs.contains(&at) {
                EXPANDED
            } else {
                c
            }
        };
        Cow::Owned(self.text.char_indices().map(mark).collect())
    }

    /// Whether the shell makes none, one or several words of it, each an output.
    pub(crate) fn is_several(&self) -> bool {
        self.text.contains([NUMBERS, NAMES])
    }

    /// The same; of such as [`Word::is_several`], one.
    pub(crate) fn as_one(&self) -> Self {
        let stand_in = match self.text.contains(NUMBERS) {
            true => NUMBER,
            false => NAME,
        };
        Self {
            text: match self.is_several() {
                true => Cow::Owned(stand_in.to_string()),
                false => self.text.clone(),
            },
            ..self.clone()
        }
    }

    /// For a person: with `$(…)`, `$?` and `$NAME` where the text has a stand-in.
    pub fn shown(&self) -> Cow<'_, str> {
        let mut text = Cow::Borrowed(&*self.text);
        for variable in self.variables.iter().rev() {
            let place = variable.at..variable.at.saturating_add(variable.length);
            if text
                .get(place.clone())
                .is_some_and(|part| part.contains(OUTPUTS))
            {
                text.to_mut()
                    .replace_range(place, &format!("${}", variable.name));
            }
        }
        match shown(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(shown) => Cow::Owned(shown),
        }
    }
}

/// The same of a part of a word's text.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(OUTPUTS) && !text.contains(STATUS) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(OUTPUTS, "$(…)").replace(STATUS, "$?"))
}
