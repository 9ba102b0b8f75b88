//! Lists, pipelines and compound commands, by recursive descent (XCU 2.10.2).
//!
//! ```text
//! list     := and_or { (";" | line break) and_or } [";" | line break]
//! and_or   := pipeline { ("&&" | "||") pipeline }
//! pipeline := ["!"] command { "|" command }
//! command  := simple | compound { SP redirect }
//! compound := "{" list "}" | "(" list ")"
//!           | "if" list "then" list { "elif" list "then" list } ["else" list] "fi"
//!           | "for" NAME "in" { literal | "$(" NUMBERS-OR-NAMES ")" | PATH-WITH-WILDCARDS }
//!             ";" "do" list "done"
//! ```
//!
//! A `for` is read once for each of its words, with the word in place of the variable, so
//! that every round is judged for itself; what the host makes of a word (`$(pgrep nginx)`,
//! `/var/log/*.log`) is judged in one round as all that it may be, and stays a loop. Refuses what runs unseen (`&`), what has no end
//! that can be told (`while`, `until`), and what defines something (functions). Called by
//! the lexer and, for `"$(…)"`, by the words.

use crate::policy::decision::reason::Code;
use crate::policy::syntax::command::{
    AndOr, Command, Compound, Connective, For, Input, List, NAME, NAMES, NUMBER, NUMBERS, OUTPUTS,
    Pipeline, Redirect, STATUS, Word,
};
use crate::policy::syntax::meaning;
use crate::policy::syntax::reader::{Reader, Value};
use crate::policy::syntax::word::Place;

/// Words that end the list they stand in, where a command may begin.
const CLOSERS: &[&str] = &["}", "then", "elif", "else", "fi", "do", "done"];

impl<'t> Reader<'t> {
    /// The whole text. What closes something that was never opened is a fault.
    pub(crate) fn whole(&mut self) -> List<'t> {
        let mut list = self.list();
        while self.at < self.text.len() && !self.is_over() {
            let closer = self.keyword();
            let code = match closer {
                "" => Code::Paren,
                "}" => Code::Brace,
                _ => Code::ReservedWord,
            };
            self.fault(code, self.at);
            self.at += closer.len().max(1);
            list.items.extend(self.list().items);
        }
        list
    }

    /// Up to the end, a `)` or a keyword that closes something; neither is taken.
    pub(crate) fn list(&mut self) -> List<'t> {
        let mut list = List::default();
        loop {
            self.lines();
            if self.is_at_closer() {
                return list;
            }
            let start = self.at;
            list.items.extend(self.and_or());
            self.blanks();
            match self.byte(0) {
                Some(b';') => {
                    self.at += 1;
                    if self.takes(";") {
                        self.fault(Code::EmptyCommand, self.at - 1);
                    }
                }
                Some(b'&') => {
                    self.fault(Code::Background, self.at);
                    self.at += 1;
                }
                Some(b'\n') => self.at += 1,
                _ if self.at == start => {
                    // Nothing that a command may begin with.
                    self.fault(Code::Paren, self.at);
                    self.at += self.rest().chars().next().map_or(1, char::len_utf8);
                }
                _ => {}
            }
            if self.is_over() {
                self.at = self.text.len();
            }
        }
    }

    fn is_at_closer(&self) -> bool {
        matches!(self.byte(0), None | Some(b')')) || CLOSERS.contains(&self.keyword())
    }

    fn and_or(&mut self) -> Option<AndOr<'t>> {
        let first = self.pipeline();
        let mut rest = Vec::new();
        loop {
            self.blanks();
            let connective = match self.rest() {
                text if text.starts_with("&&") => Connective::And,
                text if text.starts_with("||") => Connective::Or,
                _ => break,
            };
            self.at += 2;
            self.lines();
            rest.extend(self.pipeline().map(|pipeline| (connective, pipeline)));
        }
        let first = first?;
        Some(AndOr { first, rest })
    }

    fn pipeline(&mut self) -> Option<Pipeline<'t>> {
        let negated = self.takes_keyword("!");
        self.blanks();
        let outer = self.input.clone();
        let mut commands = Vec::new();
        loop {
            let before = self.commands.len();
            match self.command() {
                Some(command) => commands.push(command),
                None => self.nothing_here(),
            }
            self.blanks();
            let rest = self.rest();
            if !rest.starts_with('|') || rest.starts_with("||") {
                break;
            }
            self.at += 1;
            if self.takes("&") {
                self.fault(Code::Background, self.at - 1);
            }
            self.lines();
            self.input = Input::Pipe(before..self.commands.len());
        }
        self.input = outer;
        (!commands.is_empty()).then_some(Pipeline { negated, commands })
    }

    /// No command where one belongs: that is told where nothing graver stands there.
    fn nothing_here(&mut self) {
        let rest = self.rest();
        let lone = rest.starts_with('&') && !rest.starts_with("&&") && !rest.starts_with("&>");
        let code = match lone {
            true => Code::Background,
            false => Code::EmptyCommand,
        };
        self.fault(code, self.at);
        if lone {
            self.at += 1;
        }
    }

    fn command(&mut self) -> Option<Command<'t>> {
        let start = self.at;
        let compound = match self.keyword() {
            "" if self.rest().starts_with("((") => {
                // Arithmetic to bash and ksh.
                self.fault(Code::Paren, start);
                self.skip_parentheses();
                return Some(Command::Simple(self.commands.len()));
            }
            "" if self.takes("(") => Compound::Subshell(self.deeper(Self::inside_parentheses)),
            "{" => {
                self.at += 1;
                Compound::Group(self.deeper(|reader| reader.body(start, &["}"])))
            }
            "if" => {
                self.at += 2;
                self.deeper(|reader| Some(reader.branches(start)))?
            }
            "for" => {
                self.at += 3;
                Compound::Group(self.deeper(|reader| reader.rounds(start)))
            }
            "[[" => {
                // To ksh and its heirs a language of its own, up to `]]`.
                self.fault(Code::Bracket, start);
                let rest = self.rest();
                self.at += rest.find("]]").map_or(rest.len(), |end| end + 2);
                self.blanks();
                return Some(Command::Simple(self.commands.len()));
            }
            "case" | "while" | "until" | "select" | "function" => {
                self.refuse_compound(start);
                return Some(Command::Simple(self.commands.len()));
            }
            word if CLOSERS.contains(&word) => return None,
            _ => return self.simple(),
        };
        Some(Command::Compound(compound, self.redirects()))
    }

    /// Steps over a loop or a `case` that cannot be judged, to the word that ends it.
    fn refuse_compound(&mut self, start: usize) {
        let closer = match self.keyword() {
            "case" => "esac",
            "function" => "}",
            _ => "done",
        };
        let code = match self.keyword() {
            "case" => Code::Case,
            "while" | "until" => Code::Loop,
            _ => Code::ReservedWord,
        };
        self.fault(code, start);
        // What else is wrong within it is told; what it runs is not read.
        while self.at < self.text.len() && self.keyword() != closer {
            match self.byte(0) {
                Some(b'\'' | b'"') => {
                    self.word(Place::Value);
                }
                _ => self.at += self.rest().chars().next().map_or(1, char::len_utf8),
            }
            let between = self.text.as_bytes().get(self.at.wrapping_sub(1));
            if !between.is_some_and(|byte| Self::ends_word(Some(*byte))) {
                self.at += self.keyword().len();
            }
        }
        self.takes_keyword(closer);
    }

    /// The list behind a `(`, with the `)`.
    pub(crate) fn inside_parentheses(&mut self) -> List<'t> {
        let open = self.at.saturating_sub(1);
        let list = self.list();
        if list.items.is_empty() {
            self.fault(Code::EmptyCommand, self.at);
        }
        if !self.takes(")") {
            self.fault(Code::Paren, open);
            if CLOSERS.contains(&self.keyword()) {
                self.fault(Code::ReservedWord, self.at);
                self.at += self.keyword().len();
            }
        }
        list
    }

    /// A list that one of these keywords must end, which is taken if it is the only one.
    fn body(&mut self, open: usize, closers: &[&str]) -> List<'t> {
        let list = self.list();
        let found = self.keyword();
        if list.items.is_empty() {
            self.fault(Code::EmptyCommand, self.at);
        }
        if !closers.contains(&found) {
            self.fault(Code::Unclosed, open);
        } else if closers.len() == 1 {
            self.at += found.len();
        }
        list
    }

    fn branches(&mut self, open: usize) -> Compound<'t> {
        let mut branches = Vec::new();
        loop {
            let condition = self.body(open, &["then"]);
            let consequence = self.body(open, &["elif", "else", "fi"]);
            branches.push((condition, consequence));
            if !self.takes_keyword("elif") || self.is_over() {
                break;
            }
        }
        let otherwise = self.takes_keyword("else").then(|| self.body(open, &["fi"]));
        if otherwise.is_none() {
            self.takes_keyword("fi");
        }
        Compound::If(branches, otherwise)
    }

    /// `NAME in WORDS; do LIST; done`, as one list of all rounds.
    fn rounds(&mut self, open: usize) -> List<'t> {
        self.blanks();
        let name = self.keyword();
        if !meaning::is_variable(name) {
            self.fault(Code::ReservedWord, open);
            self.at = self.text.len();
            return List::default();
        }
        self.at += name.len();
        self.blanks();
        // Behind an inner loop of the same name a shell has that one's last value.
        if self.variables.iter().any(|(known, _)| *known == name) {
            self.fault(Code::Loop, open);
        }
        if !self.takes_keyword("in") {
            self.fault(Code::Loop, open);
            self.at = self.text.len();
            return List::default();
        }
        let mut values: Vec<(Value, Option<Word<'t>>)> = Vec::new();
        let known = self.faults.len();
        loop {
            self.blanks();
            if Self::ends_word(self.byte(0)) {
                break;
            }
            match self.counted() {
                Some(numbers) => {
                    values.extend(numbers.into_iter().map(|n| (Value::Known(n), None)));
                }
                None => values.push(self.value_of_loop()),
            }
        }
        self.takes(";");
        self.lines();
        if values.is_empty() || !self.takes_keyword("do") {
            self.fault(Code::Unclosed, open);
            self.at = self.text.len();
            return List::default();
        }
        if self.faults.len() > known {
            // The rounds of such a loop are told nothing of it: a word that needs no quotes.
            values = vec![(Value::Known("x".to_owned()), None)];
        }
        let body = self.at;
        let mut all = List::default();
        for (value, of_host) in values {
            let faults = self.faults.len();
            self.at = body;
            self.variables.push((name, value));
            let round = self.body(open, &["done"]);
            self.variables.pop();
            match of_host {
                None => all.items.extend(round.items),
                Some(values) => {
                    let name = name.into();
                    let body = round;
                    let compound = Compound::For(Box::new(For { name, values, body }));
                    let commands = vec![Command::Compound(compound, Vec::new())];
                    let first = Pipeline {
                        negated: false,
                        commands,
                    };
                    let rest = Vec::new();
                    all.items.push(AndOr { first, rest });
                }
            }
            // What is wrong with one round is wrong with the others.
            if self.faults.len() > faults {
                break;
            }
        }
        all
    }

    /// One word of a `for`, and itself where the host makes its values.
    fn value_of_loop(&mut self) -> (Value, Option<Word<'t>>) {
        let mut word = self.word(Place::Operand);
        if word.is_literal() {
            return (Value::Known(word.text.into_owned()), None);
        }
        let mut chars = word.text.chars();
        let stand_ins = match (chars.next(), chars.next()) {
            (Some(NUMBER | NUMBERS), None) => Some((NUMBER, NUMBERS)),
            (Some(NAME | NAMES), None) => Some((NAME, NAMES)),
            _ => None,
        };
        if let (Some((one, several)), true) = (stand_ins, word.variables.is_empty()) {
            // Always without quotes: where nothing is printed there is no round.
            word.text = several.to_string().into();
            return (Value::OfHost(one.into(), vec![0]), Some(word));
        }
        let wildcard = |at: &usize| word.is_wildcard(*at);
        let first = word.globs.first().copied().unwrap_or_default();
        let code = match word.text.as_bytes().get(first) {
            _ if !word.variables.is_empty() || word.text.contains(STATUS) => Code::Dollar,
            _ if word.text.contains(OUTPUTS) => Code::Dollar,
            Some(b'~') => Code::Tilde,
            _ if !word.globs.iter().all(wildcard) => Code::Bracket,
            _ if !self.globs || !meaning::globs_are_plain(&word) => Code::Glob,
            _ => {
                let value = Value::OfHost(word.text.to_string(), word.globs.clone());
                return (value, Some(word));
            }
        };
        let position = match code {
            Code::Dollar => word.start,
            _ => meaning::position_in_text(&word, first, self.text),
        };
        self.fault(code, position);
        (Value::Known(String::new()), None)
    }

    /// `$(seq FIRST LAST)` among the words of a `for`: its numbers, which are known before it runs.
    fn counted(&mut self) -> Option<Vec<String>> {
        let (inside, after) = self.rest().strip_prefix("$(")?.split_once(')')?;
        let words: Vec<&str> = inside.split(' ').filter(|word| !word.is_empty()).collect();
        let numbers =
            meaning::sequence(&words).filter(|_| Self::ends_word(after.bytes().next()))?;
        self.at = self.text.len() - after.len();
        self.words += numbers.len();
        Some(numbers)
    }

    /// What may follow a compound command: nothing that opens a file.
    fn redirects(&mut self) -> Vec<Redirect<'t>> {
        let mut redirects = Vec::new();
        loop {
            let before = self.at;
            self.blanks();
            let start = self.at;
            let Some(redirect) = self.redirect(start > before) else {
                break;
            };
            match redirect {
                Some(Redirect::InputFrom(_)) => self.fault(Code::Redirect, start),
                redirect => redirects.extend(redirect),
            }
        }
        self.blanks();
        if !matches!(self.byte(0), None | Some(b'\n' | b';' | b'&' | b'|' | b')'))
            && !CLOSERS.contains(&self.keyword())
        {
            // `} x`: no shell knows what that is.
            self.fault(Code::BadProgram, self.at);
        }
        redirects
    }
}
