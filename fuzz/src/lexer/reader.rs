//! Reads a canonical form by the few rules of POSIX that it uses (XCU 2.2, 2.3, 2.9 and
//! 2.10), knowing nothing of the lexer: quotes, blanks, operators, keywords that stand
//! where a command may begin. Both this and the judged tree are written down in one
//! notation, to be compared.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;

use mcp_ssh_orchestrator::testing::policy::syntax::command::{
    AndOr, Command, Compound, Connective, For, List, NAME, NAMES, NUMBER, NUMBERS, OUTPUTS, Parsed,
    Pipeline, Redirect, STATUS, Simple, Word,
};

/// What the variables of a canonical form begin with: none means anything to a program.
const EACH: &str = "mcp_ssh_each_";

/// A canonical form in the notation. Which words are the text of a shell is for the tree to
/// say (their numbers, in the order of the text); what such a text is, is read here.
pub fn read(canonical: &str, shells: &[usize]) -> String {
    let mut reader = Reader {
        rest: canonical.chars().collect(),
        at: 0,
        words: 0,
        shells,
    };
    reader.whole()
}

struct Reader<'s> {
    rest: Vec<char>,
    at: usize,
    /// How many words were begun.
    words: usize,
    shells: &'s [usize],
}

impl Reader<'_> {
    fn whole(&mut self) -> String {
        let list = self.list(&[]);
        let left: String = self.rest[self.at..].iter().collect();
        assert_eq!(left, "", "not read whole");
        list
    }

    fn char(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn takes(&mut self, text: &str) -> bool {
        let length = text.chars().count();
        let found = self.rest[self.at..]
            .iter()
            .take(length)
            .copied()
            .eq(text.chars());
        self.at += if found { length } else { 0 };
        found
    }

    /// Up to one of these, which is not taken; or to the end.
    fn list(&mut self, stops: &[&str]) -> String {
        let mut list = String::from("(");
        loop {
            list += &self.and_or();
            if !self.takes(" ; ") && !self.takes(" ;") {
                break;
            }
            let at = self.at;
            let stopped = stops.iter().any(|stop| self.takes(stop));
            self.at = at;
            if stopped {
                break;
            }
            list += ";";
        }
        list + ")"
    }

    fn and_or(&mut self) -> String {
        let mut text = self.pipeline();
        loop {
            if self.takes(" && ") {
                text += "&&";
            } else if self.takes(" || ") {
                text += "||";
            } else {
                return text;
            }
            text += &self.pipeline();
        }
    }

    fn pipeline(&mut self) -> String {
        let mut text = String::from(if self.takes("! ") { "!" } else { "" });
        text += &self.command();
        while self.takes(" | ") {
            text += "|";
            text += &self.command();
        }
        text
    }

    fn command(&mut self) -> String {
        let compound = if self.takes("{ ") {
            let list = self.list(&["}"]);
            assert!(self.takes("}"));
            format!("group{list}")
        } else if self.takes("( ") {
            let list = self.list(&[]);
            assert!(self.takes(" )"));
            format!("subshell{list}")
        } else if self.takes("if ") {
            let mut text = String::from("if");
            loop {
                text += &self.list(&["then "]);
                assert!(self.takes("then "));
                text += &self.list(&["elif ", "else ", "fi"]);
                if !self.takes("elif ") {
                    break;
                }
            }
            if self.takes("else ") {
                text += "else";
                text += &self.list(&["fi"]);
            }
            assert!(self.takes("fi"));
            text
        } else if self.takes("for ") {
            let name = self.name();
            assert!(name.starts_with(EACH) && self.takes(" in "), "{name}");
            let values = self.word();
            assert!(self.takes(" ; do "));
            let body = self.list(&["done"]);
            assert!(self.takes("done"));
            format!("for {name} {values}{body}")
        } else {
            return self.simple();
        };
        compound + &self.redirects()
    }

    /// The letters of a variable's name.
    fn name(&mut self) -> String {
        let is_name = |c: &&char| c.is_ascii_alphanumeric() || **c == '_';
        let name: String = self.rest[self.at..].iter().take_while(is_name).collect();
        self.at += name.len();
        name
    }

    fn simple(&mut self) -> String {
        let mut text = String::from("[");
        let name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        loop {
            let length = self.rest[self.at..].iter().take_while(|c| name(c)).count();
            if length == 0 || self.rest.get(self.at + length) != Some(&'=') {
                break;
            }
            let name: String = self.rest[self.at..self.at + length].iter().collect();
            self.at += length + 1;
            let _ = write!(text, "{name}={},", self.word());
            assert!(self.takes(" "));
        }
        loop {
            text += &self.word();
            text += ",";
            let at = self.at;
            let next = self.takes(" ").then(|| self.char()).flatten();
            if !matches!(next, Some('\'' | '\\' | '"' | '~' | '*' | '?' | '$')) {
                self.at = at;
                break;
            }
        }
        text += "]";
        text + &self.redirects()
    }

    fn redirects(&mut self) -> String {
        let mut text = String::new();
        loop {
            if self.takes(" >/dev/null 2>&1") {
                text += "><";
            } else if self.takes(" 2>&1") {
                text += "2>1";
            } else if self.takes(" >/dev/null") {
                text += ">0";
            } else if self.takes(" 1>/dev/null") {
                text += "1>0";
            } else if self.takes(" 2>/dev/null") {
                text += "2>0";
            } else if self.takes(" </dev/null") {
                text += "<0";
            } else if self.takes(" <") {
                text += "<";
                text += &self.word();
            } else {
                return text;
            }
        }
    }

    fn word(&mut self) -> String {
        let mut text = String::new();
        let start = self.at;
        let number = self.words;
        self.words += 1;
        while let Some(c) = self.char() {
            match c {
                '\'' => {
                    self.at += 1;
                    while let Some(c) = self.char().filter(|c| *c != '\'') {
                        text.push(c);
                        self.at += 1;
                    }
                    self.at += 1;
                }
                '\\' => {
                    text.extend(self.rest.get(self.at + 1));
                    self.at += 2;
                }
                '"' if self.takes("\"$?\"") => text += "\0status\0",
                '"' if self.takes("\"$mcp") => {
                    let _ = write!(text, "\0each mcp{}\0", self.name());
                    assert!(self.takes("\""));
                }
                '"' => {
                    assert!(self.takes("\"$( "));
                    let list = self.list(&[]);
                    assert!(self.takes(" )\""));
                    let _ = write!(text, "\0{list}\0");
                }
                '$' if self.at == start && self.takes("$( ") => {
                    let list = self.list(&[]);
                    assert!(self.takes(" )"));
                    let _ = write!(text, "\0several{list}\0");
                    break;
                }
                '~' if self.at == start => {
                    text += "\0home\0";
                    self.at += 1;
                }
                '*' | '?' => {
                    let _ = write!(text, "\0{c}\0");
                    self.at += 1;
                }
                '/' if text == "\0home\0" => {
                    text.push('/');
                    self.at += 1;
                }
                _ => break,
            }
        }
        assert!(self.at > start, "no word where one belongs");
        if self.shells.contains(&number) {
            let mut inner = Reader {
                rest: text.chars().collect(),
                at: 0,
                words: self.words,
                shells: self.shells,
            };
            let list = inner.whole();
            self.words = inner.words;
            return format!("shell{list}");
        }
        format!("{text:?}")
    }
}

/// What was judged, in the notation.
/// And which words are the text of a shell.
pub fn write(parsed: &Parsed<'_>) -> (String, Vec<usize>) {
    let writer = Writer {
        commands: &parsed.commands,
        words: Cell::new(0),
        shells: RefCell::default(),
        loops: RefCell::default(),
    };
    let text = list(&writer, &parsed.tree);
    (text, writer.shells.into_inner())
}

struct Writer<'p> {
    commands: &'p [Simple<'p>],
    words: Cell<usize>,
    shells: RefCell<Vec<usize>>,
    /// The variables of the loops around a place, with the text that stands for each.
    loops: RefCell<Vec<(String, String)>>,
}

/// A loop that the host runs, and that what stands for its variable is what its rounds get.
fn each(all: &Writer<'_>, each: &For<'_>) -> String {
    let values = word(all, &each.values);
    let stand_in = match each.values.text.chars().next() {
        Some(NUMBERS) => NUMBER.to_string(),
        Some(NAMES) => NAME.to_string(),
        Some(NUMBER | NAME) => panic!("it may be empty: {:?}", each.values),
        _ => each.values.text.to_string(),
    };
    all.loops
        .borrow_mut()
        .push((each.name.to_string(), stand_in));
    let body = list(all, &each.body);
    all.loops.borrow_mut().pop();
    format!("for {} {values}{body}", on_host(&each.name))
}

fn on_host(name: &str) -> String {
    format!("{EACH}{name}")
}

fn list(all: &Writer<'_>, list: &List<'_>) -> String {
    let items: Vec<String> = list.items.iter().map(|item| and_or(all, item)).collect();
    format!("({})", items.join(";"))
}

fn and_or(all: &Writer<'_>, item: &AndOr<'_>) -> String {
    let mut text = pipeline(all, &item.first);
    for (connective, next) in &item.rest {
        text += match connective {
            Connective::And => "&&",
            Connective::Or => "||",
        };
        text += &pipeline(all, next);
    }
    text
}

fn pipeline(all: &Writer<'_>, pipeline: &Pipeline<'_>) -> String {
    let commands = pipeline.commands.iter().map(|each| command(all, each));
    let commands: Vec<String> = commands.collect();
    let negated = if pipeline.negated { "!" } else { "" };
    format!("{negated}{}", commands.join("|"))
}

fn command(all: &Writer<'_>, command: &Command<'_>) -> String {
    let (compound, redirects) = match command {
        Command::Simple(index) => return simple(all, &all.commands[*index]),
        Command::Compound(compound, redirects) => (compound, redirects),
    };
    let mut text = match compound {
        Compound::Group(body) => format!("group{}", list(all, body)),
        Compound::Subshell(body) => format!("subshell{}", list(all, body)),
        Compound::If(branches, otherwise) => {
            let mut text = String::from("if");
            for (condition, consequence) in branches {
                text += &list(all, condition);
                text += &list(all, consequence);
            }
            if let Some(body) = otherwise {
                text += "else";
                text += &list(all, body);
            }
            text
        }
        Compound::For(body) => each(all, body),
    };
    for redirect in redirects {
        text += &redirected(all, redirect);
    }
    text
}

fn simple(all: &Writer<'_>, simple: &Simple<'_>) -> String {
    let mut text = String::from("[");
    for each in &simple.assignments {
        let _ = write!(text, "{}={},", each.name, word(all, &each.value));
    }
    for each in &simple.words {
        let _ = write!(text, "{},", word(all, each));
    }
    text += "]";
    for redirect in &simple.redirects {
        text += &redirected(all, redirect);
    }
    text
}

fn redirected(all: &Writer<'_>, redirect: &Redirect<'_>) -> String {
    match redirect {
        Redirect::ErrorsToOutput => "2>1".into(),
        Redirect::OutputToNull => ">0".into(),
        Redirect::FirstToNull => "1>0".into(),
        Redirect::ErrorsToNull => "2>0".into(),
        Redirect::BothToNull => "><".into(),
        Redirect::InputFromNull => "<0".into(),
        Redirect::InputFrom(file) => format!("<{}", word(all, file)),
    }
}

fn word(all: &Writer<'_>, word: &Word<'_>) -> String {
    let mut text = String::new();
    let number = all.words.replace(all.words.get() + 1);
    if word.shell {
        all.shells.borrow_mut().push(number);
        return format!("shell{}", list(all, &word.outputs[0]));
    }
    let mut outputs = word.outputs.iter();
    let mut behind = 0;
    for (at, c) in word.text.char_indices() {
        if let Some(variable) = word.variables.iter().find(|each| each.at == at) {
            behind = at + variable.length;
            let loops = all.loops.borrow();
            let around = loops.iter().rev().find(|(name, _)| *name == variable.name);
            let stand_in = around.map(|(_, text)| text.as_str());
            assert_eq!(stand_in, word.text.get(at..behind), "{word:?}");
            let _ = write!(text, "\0each {}\0", on_host(&variable.name));
        }
        match c {
            _ if at < behind => {}
            c if OUTPUTS.contains(&c) => {
                let body = outputs.next().expect("what the stand-in is for");
                let several = [NUMBERS, NAMES].contains(&c);
                let several = if several { "several" } else { "" };
                let _ = write!(text, "\0{several}{}\0", list(all, body));
            }
            STATUS => text += "\0status\0",
            '~' if word.globs.contains(&at) => text += "\0home\0",
            c if word.globs.contains(&at) => {
                let _ = write!(text, "\0{c}\0");
            }
            c => text.push(c),
        }
    }
    format!("{text:?}")
}
