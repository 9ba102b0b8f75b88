//! One simple command: assignments, program, words, redirections (XCU 2.9.1).
//!
//! Owns what is decided once all of its words are known: whether a `*` or a `[` is a
//! pattern for the program, whether the output of another command may stand where it
//! does, that `test`, `[` and `printf` mean the programs and not the builtins, and that
//! `sh -c 'TEXT'` means the text. Refuses assignments that change more than the form of
//! the output, and redirections that write. Called by the grammar.

use std::borrow::Cow;

use crate::policy::decision::reason::Code;
use crate::policy::syntax::command::{
    Assignment, Command, Compound, Directory, Redirect, Simple, Word,
};
use crate::policy::syntax::reader::Reader;
use crate::policy::syntax::word::Place;
use crate::policy::syntax::{meaning, program_name};

/// Most simple commands in one text, loops unrolled.
pub const MAX_COMMANDS: usize = 32;

impl<'t> Reader<'t> {
    /// The simple command that begins here; `None` if there is none, which is no fault yet.
    pub(crate) fn simple(&mut self) -> Option<Command<'t>> {
        let start = self.at;
        let replaced = self.replaced;
        let mut assignments = Vec::new();
        let mut words: Vec<Word<'t>> = Vec::new();
        let mut redirects = Vec::new();
        let mut end = start;
        loop {
            self.blanks();
            match self.byte(0) {
                None | Some(b'\n' | b';' | b'|' | b')') => break,
                Some(b'&') if !self.rest().starts_with("&>") => break,
                _ => {}
            }
            let before = self
                .at
                .checked_sub(1)
                .and_then(|at| self.text.as_bytes().get(at));
            let blank = self.at == start || matches!(before, Some(b' ' | b'\n'));
            if !blank && words.len() == 1 && self.byte(0) == Some(b'(') {
                // `name()`: a function, whose body is not read.
                self.fault(Code::Paren, self.at);
                self.at = self.text.len();
                break;
            }
            if let Some(redirect) = self.redirect(blank) {
                if words.is_empty() {
                    self.fault(Code::RedirectFirst, start);
                }
                redirects.extend(redirect);
            } else if words.is_empty()
                && let Some(assignment) = self.assignment()
            {
                assignments.push(assignment);
            } else {
                if !redirects.is_empty() {
                    self.fault(Code::Redirect, self.at);
                }
                let bracket = words.is_empty() && self.keyword() == "[";
                if bracket {
                    let start = self.at;
                    self.at += 1;
                    self.words += 1;
                    words.push(Word {
                        start,
                        ..Word::made("[")
                    });
                } else {
                    let place = if words.is_empty() {
                        Place::Program
                    } else {
                        Place::Operand
                    };
                    words.push(self.word(place));
                }
            }
            end = self.at;
        }
        if words.is_empty() {
            if let Some(first) = assignments.first() {
                let position = first.value.start - first.name.len() - 1;
                self.fault(Code::Assignment, position);
                return Some(Command::Simple(self.commands.len()));
            }
            return (end > start).then_some(Command::Simple(self.commands.len()));
        }
        self.settle(&mut words);
        let text = match replaced == self.replaced {
            true => Cow::Borrowed(self.text.get(start..end).unwrap_or_default()),
            false => Cow::Owned(meaning::readable(&words)),
        };
        // A file that is given to a shell is given to the commands of its text: which of them
        // reads it nobody can tell, so such a shell is judged as it stands.
        let takes_file = |each: &Redirect<'_>| matches!(each, Redirect::InputFrom(_));
        if !redirects.iter().any(takes_file) {
            if let Some(list) = self.shell_text(&assignments, &words) {
                return Some(Command::Compound(Compound::Subshell(list), redirects));
            }
            self.wrapped_text(&mut words);
        }
        if self.commands.len() == MAX_COMMANDS {
            self.fault(Code::Limit, start);
            return None;
        }
        self.commands.push(Simple {
            assignments,
            words,
            redirects,
            input: self.input.clone(),
            directory: Directory::Home,
            start,
            text,
        });
        Some(Command::Simple(self.commands.len() - 1))
    }

    /// What the words mean, now that all of them are there.
    fn settle(&mut self, words: &mut Vec<Word<'t>>) {
        if meaning::is_bracket(words)
            && let Some(last) = words.last_mut().filter(|last| last.text == "]")
        {
            last.globs.clear();
        }
        for index in 0..words.len() {
            self.settle_wildcards(words, index);
        }
        if meaning::is_bracket(words) {
            match words.last() {
                Some(last) if last.text == "]" && words.len() > 1 => {
                    words.pop();
                }
                _ => self.fault(Code::Bracket, words.first().map_or(0, |word| word.start)),
            }
        }
        if let Some((code, position)) = program_name::refusal(words) {
            self.fault(code, position);
        }
        for position in meaning::loose_outputs(words) {
            self.fault(Code::Dollar, position);
        }
        meaning::use_programs(words);
    }

    /// Takes a wildcard for text where no file can be meant, and for one that the shell
    /// expands where the policy allows that.
    fn settle_wildcards(&mut self, words: &mut [Word<'t>], index: usize) {
        let is_pattern = meaning::is_pattern(words, index);
        let prints = meaning::prints(words, index);
        let Some(word) = words.get_mut(index) else {
            return;
        };
        let bytes = word.text.as_bytes();
        let wild = |at: &usize| matches!(bytes.get(*at), Some(b'*' | b'?' | b'[' | b']'));
        let bracket = |at: &usize| matches!(bytes.get(*at), Some(b'[' | b']'));
        let Some(first) = word.globs.iter().find(|at| wild(at)) else {
            return;
        };
        // What the host puts in is no pattern that could be told from here, and to what only
        // prints it anything may be given.
        let held = !word.variables.is_empty();
        if held && prints {
            return;
        }
        if held && is_pattern {
            let start = word.start;
            return self.fault(Code::Dollar, start);
        }
        if is_pattern {
            let others: Vec<usize> = word.globs.iter().filter(|at| !wild(at)).copied().collect();
            word.globs = others;
            return;
        }
        let position = meaning::position_in_text(word, *first, self.text);
        if word.globs.iter().any(bracket) {
            self.fault(Code::Bracket, position);
        } else if !self.globs || !meaning::globs_are_plain(word) {
            self.fault(Code::Glob, position);
        }
    }

    /// `NAME=value`, if that stands here. A name that changes more than the form of the
    /// output is left to be refused as a program.
    fn assignment(&mut self) -> Option<Assignment<'t>> {
        let (name, _) = self.keyword().split_once('=')?;
        if !meaning::is_variable(name) {
            return None;
        }
        let start = self.at;
        self.at += name.len() + 1;
        let value = match Self::ends_word(self.byte(0)) {
            true => Word {
                start: self.at,
                ..Word::default()
            },
            false => self.word(Place::Value),
        };
        if !meaning::changes_form_only(name, &value.text) {
            self.fault(Code::Assignment, start);
        }
        Some(Assignment {
            name: Cow::Borrowed(name),
            value,
        })
    }

    /// A redirection, if one stands here: `Some(None)` for one that is refused.
    #[expect(
        clippy::option_option,
        reason = "none here, and none that counts, differ"
    )]
    pub(crate) fn redirect(&mut self, blank: bool) -> Option<Option<Redirect<'t>>> {
        let start = self.at;
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let sign = rest.get(digits..)?;
        if !(sign.starts_with(['<', '>']) || rest.starts_with("&>")) {
            return None;
        }
        let known: [(&str, Redirect<'t>); 5] = [
            ("&>", Redirect::BothToNull),
            (">", Redirect::OutputToNull),
            ("1>", Redirect::FirstToNull),
            ("2>", Redirect::ErrorsToNull),
            ("<", Redirect::InputFromNull),
        ];
        let found = if let Some(after) = rest.strip_prefix("2>&1") {
            Self::ends_redirect(after).then_some((Redirect::ErrorsToOutput, after))
        } else {
            known.into_iter().find_map(|(sign, redirect)| {
                let after = rest.strip_prefix(sign)?.trim_start_matches(' ');
                let after = after.strip_prefix("/dev/null")?;
                Self::ends_redirect(after).then_some((redirect, after))
            })
        };
        if let (Some((redirect, after)), true) = (found, blank) {
            self.at = self.text.len() - after.len();
            return Some(Some(redirect));
        }
        if blank && digits == 0 && sign.starts_with('<') && !sign.starts_with("<<") {
            let file = sign.get(1..).unwrap_or_default().trim_start_matches(' ');
            if !Self::ends_word(file.bytes().next()) && !file.starts_with('-') {
                self.at = self.text.len() - file.len();
                let file = self.word(Place::Value);
                // No file has an empty name.
                if file.text.is_empty() {
                    self.fault(Code::Redirect, start);
                    return Some(None);
                }
                return Some(Some(Redirect::InputFrom(file)));
            }
        }
        self.skip_redirect(start + digits);
        self.fault(Code::Redirect, start);
        Some(None)
    }

    fn ends_redirect(after: &str) -> bool {
        let next = after.bytes().next();
        Self::ends_word(next) && !matches!(next, Some(b'<' | b'>' | b'('))
    }

    /// Steps over a redirection that is refused, its target too: a here-document to the end.
    fn skip_redirect(&mut self, sign: usize) {
        self.at = sign;
        if self.rest().starts_with("<<") && !self.rest().starts_with("<<<") {
            self.at = self.text.len();
            return;
        }
        while matches!(self.byte(0), Some(b'<' | b'>' | b'&' | b'|' | b'!' | b'-')) {
            self.at += 1;
        }
        while self.byte(0) == Some(b' ') {
            self.at += 1;
        }
        if self.byte(0) == Some(b'(') {
            self.skip_parentheses();
        } else if !Self::ends_word(self.byte(0)) {
            let known = self.faults.len();
            self.word(Place::Operand);
            // What is wrong within the target goes with it.
            self.faults.truncate(known);
        }
    }
}
