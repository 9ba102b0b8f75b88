//! `sh -c 'TEXT'`, read as its text.
//!
//! Owns the reading of a text within a text: the list of the inner one takes the place of
//! the shell, in a subshell, and its faults are told at the place of the quoted word. No
//! inner shell is started, so that nothing is read twice. Behind a wrapper that passes on
//! what it is given (`timeout 5 sh -c 'TEXT'`) the shell stays, and gets its text anew, from
//! the judged words. Refuses to look into anything but a shell with `-c` and one literal
//! word. Called by the simple command.

use std::borrow::Cow;

use crate::policy::hazard::wrappers;
use crate::policy::programs::invocation::Invocation;
use crate::policy::syntax::command::{
    AndOr, Assignment, Command, Compound, For, Input, List, Pipeline, Redirect, Simple, Variable,
    Word,
};
use crate::policy::syntax::reader::Reader;

/// Shells whose language the grammar is a part of.
const SHELLS: &[&str] = &["ash", "bash", "dash", "sh"];

/// Whether a command is a shell with a text that could be read in its place.
pub(crate) fn is_shell_text(words: &[Word<'_>]) -> bool {
    let [shell, option, text] = words else {
        return false;
    };
    let name = wrappers::base_name(&shell.text);
    SHELLS.contains(&name)
        && (shell.text == name || wrappers::is_system_path_of(&shell.text, name))
        && option.text == "-c"
        && text.is_literal()
}

/// Where such a shell begins behind wrappers that change nothing but how long it runs and
/// at what price.
pub(crate) fn behind_wrapper(words: &[Word<'_>]) -> Option<usize> {
    let at = words.len().checked_sub(3).filter(|at| *at > 0)?;
    let is_text = words.last().is_some_and(|word| word.shell)
        || is_shell_text(words.get(at..).unwrap_or_default());
    if !is_text {
        return None;
    }
    let invocation = Invocation::of(words);
    let (shell, wrappers) = invocation.levels.split_last()?;
    let passes = wrappers.iter().all(|level| level.passes());
    (passes && shell.range == (at..words.len())).then_some(at)
}

impl<'t> Reader<'t> {
    /// Reads such a text behind a wrapper, and puts its list in the place of the word.
    pub(crate) fn wrapped_text(&mut self, words: &mut [Word<'t>]) {
        if !self.shell_texts || behind_wrapper(words).is_none() {
            return;
        }
        let Some(text) = words.last_mut() else { return };
        if let Some(list) = self.text_within(text) {
            // As it was written it goes on to be what denies look at.
            (text.outputs, text.shell) = (vec![list], true);
        }
    }

    /// The list of such a text, put among the commands.
    pub(crate) fn shell_text(
        &mut self,
        assignments: &[Assignment<'_>],
        words: &[Word<'t>],
    ) -> Option<List<'t>> {
        let text = words
            .last()
            .filter(|_| self.shell_texts && assignments.is_empty() && is_shell_text(words))?;
        self.text_within(text)
    }

    fn text_within(&mut self, text: &Word<'t>) -> Option<List<'t>> {
        let (start, commands) = (text.start, self.commands.len());
        let found = self.deeper(|reader| {
            let mut inner = reader.inside(&text.text);
            let list = inner.whole();
            let list = Graft { start, commands }.list(list);
            Some((list, inner.words, inner.commands, inner.faults))
        });
        let (list, words, inner, faults) = found?;
        self.words = words;
        for fault in faults {
            self.fault(fault.code, start);
        }
        for command in inner {
            let command = Graft { start, commands }.simple(command, &self.input);
            self.commands.push(command);
        }
        Some(list)
    }
}

fn of_nobody(variable: Variable<'_>) -> Variable<'static> {
    Variable {
        name: Cow::Owned(variable.name.into_owned()),
        ..variable
    }
}

/// Makes a part of the inner text one of the outer: nothing is borrowed from it any more.
struct Graft {
    /// Where the inner text stands.
    start: usize,
    /// How many commands stand before its own.
    commands: usize,
}

impl Graft {
    fn list(&self, list: List<'_>) -> List<'static> {
        let items = list.items.into_iter();
        List {
            items: items.map(|item| self.and_or(item)).collect(),
        }
    }

    fn and_or(&self, item: AndOr<'_>) -> AndOr<'static> {
        let rest = item.rest.into_iter();
        AndOr {
            first: self.pipeline(item.first),
            rest: rest
                .map(|(connective, each)| (connective, self.pipeline(each)))
                .collect(),
        }
    }

    fn pipeline(&self, pipeline: Pipeline<'_>) -> Pipeline<'static> {
        let commands = pipeline.commands.into_iter();
        Pipeline {
            negated: pipeline.negated,
            commands: commands.map(|command| self.command(command)).collect(),
        }
    }

    fn command(&self, command: Command<'_>) -> Command<'static> {
        match command {
            Command::Simple(index) => Command::Simple(index + self.commands),
            Command::Compound(compound, redirects) => {
                let compound = match compound {
                    Compound::Group(list) => Compound::Group(self.list(list)),
                    Compound::Subshell(list) => Compound::Subshell(self.list(list)),
                    Compound::If(branches, otherwise) => Compound::If(
                        branches
                            .into_iter()
                            .map(|(condition, list)| (self.list(condition), self.list(list)))
                            .collect(),
                        otherwise.map(|list| self.list(list)),
                    ),
                    Compound::For(each) => Compound::For(Box::new(For {
                        name: Cow::Owned(each.name.into_owned()),
                        values: self.word(each.values),
                        body: self.list(each.body),
                    })),
                };
                Command::Compound(compound, self.redirects(redirects))
            }
        }
    }

    fn simple(&self, simple: Simple<'_>, outer: &Input) -> Simple<'static> {
        let assignments = simple.assignments.into_iter();
        let words = simple.words.into_iter();
        Simple {
            assignments: assignments
                .map(|each| Assignment {
                    name: Cow::Owned(each.name.into_owned()),
                    value: self.word(each.value),
                })
                .collect(),
            words: words.map(|word| self.word(word)).collect(),
            redirects: self.redirects(simple.redirects),
            input: match simple.input {
                Input::Login => outer.clone(),
                Input::Pipe(from) => {
                    Input::Pipe(from.start + self.commands..from.end + self.commands)
                }
            },
            directory: simple.directory,
            start: self.start,
            text: Cow::Owned(simple.text.into_owned()),
        }
    }

    fn redirects(&self, redirects: Vec<Redirect<'_>>) -> Vec<Redirect<'static>> {
        let redirects = redirects.into_iter();
        redirects
            .map(|each| match each {
                Redirect::InputFrom(file) => Redirect::InputFrom(self.word(file)),
                Redirect::ErrorsToOutput => Redirect::ErrorsToOutput,
                Redirect::OutputToNull => Redirect::OutputToNull,
                Redirect::FirstToNull => Redirect::FirstToNull,
                Redirect::ErrorsToNull => Redirect::ErrorsToNull,
                Redirect::BothToNull => Redirect::BothToNull,
                Redirect::InputFromNull => Redirect::InputFromNull,
            })
            .collect()
    }

    fn word(&self, word: Word<'_>) -> Word<'static> {
        Word {
            text: Cow::Owned(word.text.into_owned()),
            start: self.start,
            globs: word.globs,
            quoted: word.quoted,
            outputs: word
                .outputs
                .into_iter()
                .map(|list| self.list(list))
                .collect(),
            variables: word.variables.into_iter().map(of_nobody).collect(),
            shell: word.shell,
        }
    }
}
