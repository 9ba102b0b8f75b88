//! A description: what each option, subcommand and operand of a program is.
//!
//! Owns the types, and the reading of the text that reviewers read (`data/*.txt`):
//!
//! ```text
//! program NAME [NAME...]                  the same program under other names
//! programs NAME...                        several programs that take the same, `a=b` is one
//!   source WHAT-WAS-READ                  man page and version, where variants differ
//!   sets SET...                           the ready-made sets that it belongs to
//!   helpers PROGRAM...                    programs that it may start by itself (gzip)
//!   may-write FILE...                     files that it opens for writing by itself (a lock)
//!   through                               changes nothing: what it runs is judged instead
//!   raises                                runs it as another user: only where a rule says sudo
//!   feeds                                 adds words of its input to what it runs
//!   style gnu|posix|long|none             options anywhere; before operands only; `-name` whole; none
//!   does EFFECT...                        what it does by being run at all
//!   unless NAME... : EFFECT...            what it does where none of these options is given
//!   when NAME... [and NAME...] [unless NAME...] : EFFECT...   where one of each is given; twice the same: two of it
//!   bare EFFECT...                        what it does without any operand
//!   having KIND NUMBER : EFFECT...        what it does with so many operands of the kind
//!   operands-unless NAME... : EFFECT...   with an operand, where none of these is given
//!   any-option KIND                       what is not listed: `--name`, with any words behind it
//!   alone [NAME...]                       has subcommands, and may be run without one (with these)
//!   digits                                `-5` is an option, in conditions `-NUMBER`
//!   plus KIND                             `+5` is an option
//!   flag NAME... [: EFFECT...]            an option without a value
//!   value NAME... KIND [: EFFECT...]      a value, glued, behind `=` or in the next word
//!   next NAME... KIND [: EFFECT...]      a value in the next word only
//!   optional NAME... KIND [: EFFECT...]   a value glued or behind `=` only, or none
//!   values NAME... KIND KIND [: EFFECT]   two values, in the next two words
//!   key NAME... KIND [: EFFECT...]        an operand `NAME=VALUE`
//!   pair NAME... KIND [: EFFECT...]       an operand NAME with the next word as its value
//!   word NAME... [: EFFECT...]            an operand that is this word
//!   letters first|any FLAGS [VALUED]      operands such as `aux` are options without a dash
//!   bundle                                the first word of all may be its options without a dash
//!   operand KIND[!|...|+] [: EFFECT...]   by position: one or none, one, any number, at least one
//!   first-by NAME...                      these options stand for the first operand
//!   last-by NAME...                       these options stand for the last operand
//!   instead NAME... KIND [: EFFECT...]    with these options, all operands are of this kind
//!   apart NAME...                         some versions take the value of these glued only
//!   deep NAME...                          these options make trees of the paths
//!   here always|deep                      without a path it reads where it stands
//!   sub NAME... [: EFFECT...]             a subcommand; what is indented below it is its own
//!   each flag|value|optional|sub NAME...  not one under several names: each its own, `a=b` one
//!   without WORD... -- REASON             known, and left out on purpose
//! ```
//!
//! An operand with `!` behind one that repeats is the last word. A word that a repeated operand
//! does not take is the next one's. `a[ddress]` stands for every abbreviation from `a` on. What a description does not list
//! is unknown, and unknown is never granted by a wildcard or a set. Called by the catalogue.

use crate::policy::programs::effects::Effects;
use crate::policy::programs::kind::Kind;

/// A program, as far as it is known.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) names: Vec<&'static str>,
    pub(crate) source: &'static str,
    pub(crate) sets: Vec<&'static str>,
    pub(crate) helpers: Vec<&'static str>,
    pub(crate) may_write: Vec<&'static str>,
    /// Changes nothing: what it runs is judged instead.
    pub(crate) through: bool,
    /// Runs it as another user.
    pub(crate) raises: bool,
    /// Adds words of its input to what it runs.
    pub(crate) feeds: bool,
    pub(crate) form: Form,
}

/// A program or a subcommand with what may stand behind it.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) style: Style,
    /// Of being run at all.
    pub(crate) effects: Effects,
    /// Of being run with some options and without others (`docker stats` without
    /// `--no-stream`).
    pub(crate) conditions: Vec<Condition>,
    /// Of being run without operands.
    pub(crate) bare: Effects,
    /// Of being run with so many operands of the kind.
    pub(crate) having: Vec<(Kind, usize, Effects)>,
    /// What may stand behind any long option that is neither listed nor left out.
    pub(crate) any_option: Option<Kind>,
    /// May be run without a subcommand.
    pub(crate) alone: bool,
    /// May be run without a subcommand if one of these is given.
    pub(crate) alone_with: Vec<&'static str>,
    pub(crate) digits: bool,
    pub(crate) plus: Option<Kind>,
    /// Sorted by name, each with its dashes.
    pub(crate) options: Vec<(&'static str, Opt)>,
    pub(crate) keys: Vec<(&'static str, Opt)>,
    pub(crate) keywords: Vec<(Abbreviable, Opt)>,
    pub(crate) letters: Option<Letters>,
    /// The first word may be options without a dash.
    pub(crate) bundle: bool,
    /// Options that stand for the first and for the last operand.
    pub(crate) first_by: Vec<&'static str>,
    pub(crate) last_by: Vec<&'static str>,
    /// Options that make another kind of all operands.
    pub(crate) instead: Vec<(Vec<&'static str>, Operand)>,
    /// Options whose value some versions take glued only.
    pub(crate) apart: Vec<&'static str>,
    /// Options that make trees of the paths.
    pub(crate) deep: Vec<&'static str>,
    pub(crate) here: Here,
    pub(crate) operands: Vec<Operand>,
    pub(crate) subs: Vec<Sub>,
    /// Names that were left out on purpose, with the reason.
    pub(crate) without: Vec<(&'static str, &'static str)>,
}

/// Where options may stand and how they look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Style {
    /// Anywhere, `-abc` is three of them, `--name=value`.
    #[default]
    Gnu,
    /// The same, before the first operand only.
    Posix,
    /// `-name` is one, wherever it stands.
    Long,
    /// There are none: every word is an operand.
    None,
}

/// Whether the working directory is read where no path is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Here {
    #[default]
    Never,
    Always,
    /// With an option that makes trees of the paths.
    Deep,
}

/// What it does where an option of each of these groups is given, and none of those.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) given: Vec<Vec<&'static str>>,
    pub(crate) missing: Vec<&'static str>,
    /// Only where an operand stands (`git tag v1`).
    pub(crate) with_operand: bool,
    pub(crate) effects: Effects,
}

#[derive(Debug, Clone)]
pub(crate) struct Opt {
    /// The first of its names.
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    pub(crate) effects: Effects,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    None,
    Required(Kind),
    Next(Kind),
    Optional(Kind),
    Two(Kind, Kind),
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    pub(crate) effects: Effects,
}

/// How often an operand may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Maybe,
    One,
    Any,
    Some,
}

#[derive(Debug)]
pub(crate) struct Sub {
    pub(crate) names: Vec<Abbreviable>,
    pub(crate) form: Form,
}

/// A name with the least of it that is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abbreviable {
    least: &'static str,
    rest: &'static str,
}

/// Options without a dash: `ps aux`, `tar tf`.
#[derive(Debug)]
pub(crate) struct Letters {
    pub(crate) first_only: bool,
    pub(crate) flags: &'static str,
    pub(crate) valued: &'static str,
}

impl Abbreviable {
    pub(crate) fn new(text: &'static str) -> Self {
        match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            Some((least, rest)) => Self { least, rest },
            None => Self {
                least: text,
                rest: "",
            },
        }
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        text.strip_prefix(self.least).is_some_and(|more| {
            self.rest == more || (!self.rest.is_empty() && self.rest.starts_with(more))
        })
    }

    /// Spelled out.
    pub(crate) fn whole(&self) -> String {
        format!("{}{}", self.least, self.rest)
    }
}

impl Form {
    /// The option of exactly this name, dashes included.
    pub(crate) fn option(&self, name: &str) -> Option<&Opt> {
        let at = self
            .options
            .binary_search_by(|(known, _)| (*known).cmp(name));
        self.options.get(at.ok()?).map(|(_, option)| option)
    }

    pub(crate) fn keyword(&self, text: &str) -> Option<&Opt> {
        let mut keywords = self.keywords.iter();
        keywords
            .find(|(name, _)| name.is(text))
            .map(|(_, found)| found)
    }

    pub(crate) fn sub(&self, text: &str) -> Option<&Sub> {
        self.subs
            .iter()
            .find(|sub| sub.names.iter().any(|name| name.is(text)))
    }

    /// Why a word is not described, where a description says so.
    pub(crate) fn reason_without(&self, text: &str) -> Option<&'static str> {
        let mut without = self.without.iter();
        without
            .find(|(name, _)| *name == text)
            .map(|(_, reason)| *reason)
    }
}
