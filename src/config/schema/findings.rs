//! What reading one file has found: problems and warnings, each with its place.
//!
//! Owns their collection, bounded, and what is said of a file that isn't YAML. Called by
//! `shape` and by the readers of the three files.

use crate::config::schema::problem::{
    Fault, Mark, Place, Problem, Warning, WarningKind, nearest, quote,
};
use crate::config::schema::section::Text;
use crate::config::yaml::node::{Document, RawFault, RawFaultKind, parse};
use crate::config::yaml::tree::Held;

/// What reading one file has found.
pub(crate) struct Findings {
    pub(crate) file: &'static str,
    problems: Vec<Problem>,
    /// Problems that were found and not kept.
    more: usize,
    warnings: Vec<Warning>,
}

/// Most problems of one file that are kept; a person mends the first few and asks again.
const PROBLEMS_MAX: usize = 200;

impl Findings {
    pub(crate) fn new(file: &'static str) -> Self {
        Self {
            file,
            problems: Vec::new(),
            more: 0,
            warnings: Vec::new(),
        }
    }

    /// The problems of the file, with a last one for those that were not kept.
    pub(crate) fn into_parts(self) -> (Vec<Problem>, Vec<Warning>) {
        let Self {
            file,
            mut problems,
            more,
            warnings,
        } = self;
        if more > 0 {
            problems.push(Problem {
                place: Place::file(file),
                key: String::new(),
                fault: Fault::BadValue,
                found: format!("found {more} more problems"),
                accepted: String::new(),
                nearest: None,
            });
        }
        (problems, warnings)
    }

    /// How many problems there are so far.
    pub(crate) fn count(&self) -> usize {
        self.problems.len() + self.more
    }

    /// Keeps a problem, with the nearest of some words, which are looked at only then.
    fn keep(&mut self, problem: Problem, near: impl FnOnce() -> Option<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            let nearest = near();
            self.problems.push(Problem { nearest, ..problem });
        } else {
            self.more += 1;
        }
    }

    /// Reads the file's bytes as YAML; what is wrong with it on that level becomes
    /// problems.
    pub(crate) fn document<'t>(&mut self, bytes: &'t [u8]) -> Option<Held<'t>> {
        match parse(bytes) {
            Ok(Document { root, faults }) => {
                for fault in faults {
                    self.raw_fault(fault);
                }
                Some(root)
            }
            Err(fault) => {
                self.raw_fault(fault);
                None
            }
        }
    }

    fn raw_fault(&mut self, fault: RawFault) {
        let RawFault { at, kind } = fault;
        match kind {
            RawFaultKind::Syntax(text) => {
                let accepted = remedy(&text);
                self.problem(at, "", Fault::Syntax, text, accepted);
            }
            RawFaultKind::DuplicateKey { key, first } => self.problem(
                at,
                "",
                Fault::Duplicate,
                format!(
                    "found the key {} a second time (first at line {})",
                    quote(&key),
                    first.line
                ),
                "each key once in a mapping",
            ),
            RawFaultKind::Merge => self.problem(
                at,
                "<<",
                Fault::WrongType,
                "found something that can't be merged",
                "a mapping, or a list of mappings",
            ),
        }
    }

    pub(crate) fn problem(
        &mut self,
        at: Mark,
        key: impl Into<String>,
        fault: Fault,
        found: impl Into<String>,
        accepted: impl Into<String>,
    ) {
        self.near(at, key, fault, found, accepted, || None);
    }

    /// As [`Self::problem`], with a word that may have been meant.
    pub(crate) fn near(
        &mut self,
        at: Mark,
        key: impl Into<String>,
        fault: Fault,
        found: impl Into<String>,
        accepted: impl Into<String>,
        near: impl FnOnce() -> Option<String>,
    ) {
        let problem = Problem {
            place: Place::at(self.file, at),
            key: key.into(),
            fault,
            found: found.into(),
            accepted: accepted.into(),
            nearest: None,
        };
        self.keep(problem, near);
    }

    /// A name that nothing has; `known` are those that something has.
    pub(crate) fn no_such_name<'a>(
        &mut self,
        text: Text<'_>,
        key: impl Into<String>,
        known: impl IntoIterator<Item = &'a str>,
        accepted: &str,
    ) {
        self.near(
            text.at,
            key,
            Fault::NoSuchName,
            format!("found {}, which nothing is called", quote(text.value)),
            accepted,
            || nearest(text.value, known).map(str::to_owned),
        );
    }

    pub(crate) fn warning(
        &mut self,
        at: Mark,
        key: impl Into<String>,
        kind: WarningKind,
        text: impl Into<String>,
    ) {
        self.warnings.push(Warning {
            place: Place::at(self.file, at),
            key: key.into(),
            kind,
            text: text.into(),
        });
    }
}

/// What mends the mistakes of syntax that people make, by a part of the parser's words.
const REMEDIES: &[(&str, &str)] = &[
    ("tabs", "blanks for indentation, no tabs"),
    (
        "mapping values are not allowed",
        "one 'key: value' a line, in the same column as its neighbours; a value that holds \
         ': ' in quotes",
    ),
    ("simple key expect", "'key: value'"),
    ("expected '-'", SAME_COLUMN),
    ("expected key", SAME_COLUMN),
    ("placement of ':'", "a ']' or '}' before the next key"),
    ("while parsing a flow", "a ',' or the closing ']' or '}'"),
    (
        "unexpected character",
        "a value that begins with it in quotes",
    ),
    (
        "unknown anchor",
        "'&name' before '*name'; a value that begins with '*' in quotes",
    ),
    ("unexpected end of stream", "a closing quote"),
    ("escape", "a text with '\\' in single quotes"),
    ("not UTF-8", "a file in UTF-8"),
];

const SAME_COLUMN: &str = "all entries of a list or a mapping in the same column";

fn remedy(fault: &str) -> &'static str {
    let found = REMEDIES.iter().find(|(part, _)| fault.contains(part));
    found.map_or("", |(_, remedy)| remedy)
}
