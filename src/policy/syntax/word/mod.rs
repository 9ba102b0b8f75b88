//! One word of a command: bare text, quotes, escapes, and the few things a host fills in.
//!
//! Owns what may stand in a word and what it stands for (XCU 2.2, 2.6): `"$(COMMAND)"`,
//! `$?`, the variable of a loop, a `~` at the beginning. Takes for itself what a shell
//! leaves alone: `{}`, `x^`, `HEAD~1`. Refuses every other expansion. Whether a `*` or a
//! `[` is a pattern for the program or a name of a file, the simple command decides, which
//! knows the words before. Called by the simple command and by `for`.

mod prints;

use std::borrow::Cow;

use crate::policy::decision::reason::Code;
use crate::policy::syntax::command::{List, STATUS, Variable, Word};
use crate::policy::syntax::reader::{Reader, Value};

/// Most words in one text, programs included.
pub const MAX_WORDS: usize = 256;

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Program,
    Operand,
    /// Behind `NAME=`, in the list of a `for`, behind `<`: text and nothing else.
    Value,
}

/// What was read of a word so far.
struct Draft<'t> {
    place: Place,
    start: usize,
    /// Borrowed as long as nothing was quoted.
    own: Option<String>,
    globs: Vec<usize>,
    outputs: Vec<List<'t>>,
    variables: Vec<Variable<'t>>,
    quoted: bool,
    /// Where the open braces stand.
    braces: Vec<usize>,
}

impl<'t> Reader<'t> {
    /// One word, which starts here.
    pub(crate) fn word(&mut self, place: Place) -> Word<'t> {
        self.words += 1;
        if self.words > MAX_WORDS {
            self.fault(Code::Limit, self.at);
            self.at = self.text.len();
        }
        let mut draft = Draft {
            place,
            start: self.at,
            own: None,
            globs: Vec::new(),
            outputs: Vec::new(),
            variables: Vec::new(),
            quoted: false,
            braces: Vec::new(),
        };
        while let Some(byte) = self.byte(0) {
            match byte {
                b'(' | b')' if place != Place::Program && byte == b'(' => {
                    // `name(…)`: of a function, an array, a pattern of ksh.
                    self.fault(Code::Paren, self.at);
                    self.skip_parentheses();
                }
                byte if Self::ends_word(Some(byte)) => break,
                b'\'' => self.single_quoted(&mut draft),
                b'"' => self.double_quoted(&mut draft),
                b'\\' => self.escaped(&mut draft),
                b'$' => self.dollar(&mut draft, false),
                b'`' => self.backquoted(),
                _ => self.bare(&mut draft, byte),
            }
        }
        if let Some(open) = draft.braces.first() {
            self.fault(Code::Brace, *open);
        }
        let text = match draft.own {
            Some(text) => Cow::Owned(text),
            None => Cow::Borrowed(self.text.get(draft.start..self.at).unwrap_or_default()),
        };
        Word {
            text,
            start: draft.start,
            globs: draft.globs,
            quoted: draft.quoted,
            outputs: draft.outputs,
            variables: draft.variables,
            shell: false,
        }
    }

    fn bare(&mut self, draft: &mut Draft<'t>, byte: u8) {
        let first = self.at == draft.start;
        let empty = draft.own.as_ref().map_or(first, String::is_empty);
        let operand = draft.place != Place::Program;
        let refused = match byte {
            // zsh expands ''=x as it does =x; inside quotes both are plain.
            b'=' if empty => Some(Code::EqualsStart),
            b'%' if empty && !operand => Some(Code::PercentStart),
            b',' if !draft.braces.is_empty() => Some(Code::Brace),
            b'.' if !draft.braces.is_empty() && self.byte(1) == Some(b'.') => Some(Code::Brace),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => None,
            b'_' | b'.' | b'/' | b':' | b',' | b'+' | b'@' | b'%' | b'=' | b'-' => None,
            b'^' => (!operand).then_some(Code::Caret),
            b'~' => self.tilde(draft, first),
            b'#' => (!operand).then_some(Code::Hash),
            b'!' => (!first || !operand || !Self::ends_word(self.byte(1))).then_some(Code::Bang),
            b'{' if operand => {
                draft.braces.push(self.at);
                None
            }
            b'}' if operand => match draft.braces.pop() {
                Some(_) => None,
                None => Some(Code::Brace),
            },
            b'{' | b'}' => Some(Code::Brace),
            b'*' | b'?' | b'[' | b']' if draft.place == Place::Operand => {
                draft.globs.push(draft.length(self.at));
                None
            }
            b'*' | b'?' => Some(Code::Glob),
            b'[' | b']' => Some(Code::Bracket),
            _ => Some(Code::NonAsciiUnquoted),
        };
        if let Some(code) = refused {
            let position = match code {
                Code::EqualsStart | Code::PercentStart => draft.start,
                _ => self.at,
            };
            self.fault(code, position);
        }
        let length = self.rest().chars().next().map_or(1, char::len_utf8);
        self.keep(draft, length);
    }

    /// `~` or `~/…` is the login's home; behind a letter or digit, as in `HEAD~1`, it is
    /// itself; elsewhere a shell may take it for a user or for what `cd` remembers.
    fn tilde(&mut self, draft: &mut Draft<'t>, first: bool) -> Option<Code> {
        let next = self.byte(1);
        if first && draft.place == Place::Operand && (next == Some(b'/') || Self::ends_word(next)) {
            draft.globs.push(0);
            return None;
        }
        let before = self
            .at
            .checked_sub(1)
            .and_then(|at| self.text.as_bytes().get(at));
        let inside = !first && before.is_some_and(u8::is_ascii_alphanumeric);
        (!inside || draft.place == Place::Program).then_some(Code::Tilde)
    }

    fn single_quoted(&mut self, draft: &mut Draft<'t>) {
        let open = self.at;
        draft.own(self.text, self.at);
        self.at += 1;
        let length = self.rest().find('\'').unwrap_or_else(|| {
            self.fault(Code::UnterminatedQuote, open);
            self.rest().len()
        });
        self.refuse_line_breaks(length);
        self.keep(draft, length);
        self.at = (self.at + 1).min(self.text.len());
    }

    fn refuse_line_breaks(&mut self, length: usize) {
        let quoted = self.rest().get(..length).unwrap_or_default();
        if let Some(at) = quoted.find('\n') {
            self.fault(Code::Newline, self.at + at);
        }
    }

    fn escaped(&mut self, draft: &mut Draft<'t>) {
        draft.own(self.text, self.at);
        match self.byte(1) {
            Some(b'\n') => self.at += 2,
            Some(next) if next == b' ' || next.is_ascii_punctuation() => {
                self.at += 1;
                self.keep(draft, 1);
            }
            _ => {
                self.fault(Code::Backslash, self.at);
                self.at += 1;
            }
        }
    }

    /// The inside of `"…"`: `\"`, `\\` and `\$` are escapes, any other `\` stays (XCU
    /// 2.2.3). A backquote is refused even if escaped: shells differ.
    fn double_quoted(&mut self, draft: &mut Draft<'t>) {
        let open = self.at;
        draft.own(self.text, self.at);
        self.at += 1;
        loop {
            match (self.byte(0), self.byte(1)) {
                (None, _) => return self.fault(Code::UnterminatedQuote, open),
                (Some(b'"'), _) => {
                    self.at += 1;
                    return;
                }
                (Some(b'$'), _) => self.dollar(draft, true),
                (Some(b'`'), _) => self.backquoted(),
                (Some(b'\\'), Some(b'\n')) => self.at += 2,
                (Some(b'\n'), _) => {
                    self.fault(Code::Newline, self.at);
                    self.at += 1;
                }
                (Some(b'\\'), Some(b'`')) => {
                    self.fault(Code::Backtick, self.at + 1);
                    self.at += 2;
                }
                (Some(b'\\'), Some(b'"' | b'\\' | b'$')) => {
                    self.at += 1;
                    self.keep(draft, 1);
                }
                _ => {
                    let length = self.rest().chars().next().map_or(1, char::len_utf8);
                    self.keep(draft, length);
                }
            }
        }
    }

    /// `"$(COMMAND)"`, `$?`, a variable of a loop. All else is refused, and stepped over.
    fn dollar(&mut self, draft: &mut Draft<'t>, quoted: bool) {
        draft.own(self.text, self.at);
        let open = self.at;
        self.at += 1;
        let rest = self.rest();
        let operand = draft.place == Place::Operand;
        if rest.starts_with('(')
            && !rest.starts_with("((")
            && operand
            && self.output(draft, open, quoted)
        {
            return;
        }
        if rest.starts_with('?') && operand {
            self.at += 1;
            draft.put(STATUS, self.at);
            return;
        }
        let (name, length) = variable(rest);
        let value = self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name);
        if let (Some((_, Value::OfHost(text, globs))), true) = (value, operand) {
            // It is sent in quotes, so that it stays one word whatever it is.
            let at = draft.length(self.at);
            draft.variables.push(Variable {
                at,
                length: text.len(),
                name: Cow::Borrowed(name),
            });
            draft.globs.extend(globs.iter().map(|glob| at + glob));
            draft.own.get_or_insert_default().push_str(text);
            self.replaced += 1;
            self.at += length;
            return;
        }
        if let (Some((_, Value::Known(value))), true) = (value, draft.place != Place::Program) {
            // Without quotes the shell would cut it, or look for files.
            let safe = |c: char| c.is_ascii_alphanumeric() || "_./:,+@%=-".contains(c);
            let splits = value.is_empty() || !value.chars().all(safe);
            draft.own.get_or_insert_default().push_str(value);
            if splits && !quoted {
                self.fault(Code::Dollar, open);
            }
            self.replaced += 1;
            self.at += length;
            return;
        }
        self.fault(Code::Dollar, open);
        self.at += length;
        if rest.starts_with('(') {
            self.skip_parentheses();
        }
    }

    /// `$(COMMAND)`, whose `$` stands at `open`. Without quotes only where its words are known
    /// for what they are: a shell cuts what it prints, and looks for files; `false` otherwise,
    /// with nothing taken.
    fn output(&mut self, draft: &mut Draft<'t>, open: usize, quoted: bool) -> bool {
        let before = (self.at, self.commands.len(), self.faults.len(), self.words);
        self.at += 1;
        let list = self.deeper(Self::inside_parentheses);
        let whole = open == draft.start && Self::ends_word(self.byte(0));
        let kept = prints::of(&list, &self.commands).stand_in(quoted, whole);
        if let Some(stand_in) = kept {
            draft.outputs.push(list);
            draft.put(stand_in, self.at);
            return true;
        }
        (self.at, _, _, self.words) = before;
        self.commands.truncate(before.1);
        self.faults.truncate(before.2);
        false
    }

    /// Refuses an old-style substitution and steps over it.
    fn backquoted(&mut self) {
        self.fault(Code::Backtick, self.at);
        self.at += 1;
        let rest = self.rest();
        self.at += rest.find('`').map_or(0, |end| end + 1);
    }

    /// From `(` to the `)` that closes it, or to the end.
    pub(crate) fn skip_parentheses(&mut self) {
        let mut depth = 0_usize;
        let mut quote = None;
        for (offset, c) in self.rest().char_indices() {
            match (quote, c) {
                (Some(open), c) if open == c => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '(') => depth += 1,
                (None, ')') => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += offset + 1;
                        return;
                    }
                }
                (None, _) => {}
            }
        }
        self.at = self.text.len();
    }

    /// Takes the next `length` bytes as part of the word.
    fn keep(&mut self, draft: &mut Draft<'t>, length: usize) {
        if let Some(word) = &mut draft.own {
            let kept = self.text.get(self.at..self.at + length);
            word.push_str(kept.unwrap_or_default());
        }
        self.at += length;
    }
}

impl Draft<'_> {
    /// How long the word is, having been read up to `at`.
    fn length(&self, at: usize) -> usize {
        self.own.as_ref().map_or(at - self.start, String::len)
    }

    /// From here on the word is not a slice of the text any more.
    fn own(&mut self, text: &str, at: usize) {
        self.quoted = true;
        let start = self.start;
        self.own.get_or_insert_with(|| {
            let mut word = String::with_capacity(32);
            word.push_str(text.get(start..at).unwrap_or_default());
            word
        });
    }

    /// A stand-in for what the host fills in.
    fn put(&mut self, stand_in: char, at: usize) {
        self.globs.push(self.length(at));
        self.own.get_or_insert_default().push(stand_in);
    }
}

/// The name behind a `$`, with or without braces, and how many bytes that takes.
fn variable(rest: &str) -> (&str, usize) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = |text: &str| text.find(|c| !is_name(c)).unwrap_or(text.len());
    if let Some(inside) = rest.strip_prefix('{') {
        let end = name(inside);
        if inside
            .get(end..)
            .is_some_and(|after| after.starts_with('}'))
        {
            return (inside.get(..end).unwrap_or_default(), end + 2);
        }
        // `${x:-…}` and the like: refused as a whole.
        return ("", rest.find('}').map_or(1, |close| close + 1));
    }
    let end = name(rest);
    if end == 0 && rest.starts_with(['$', '!', '#', '*', '@', '-']) {
        return ("", 1);
    }
    (rest.get(..end).unwrap_or_default(), end)
}
