//! What is wrong with the configuration, and what is merely surprising, as data.
//!
//! Owns the two kinds of finding and how they read. A problem stops a load; a warning
//! does not. Neither is printed here: the report, the log and the reload reply choose
//! between the operator's text (everything) and the assistant's (the place and the kind
//! of fault, nothing that the file says). Called by every reader of this module.

use std::fmt;

use crate::model::text::visible;

/// Where a finding is: a file of the configuration, and the position if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// `servers.yml`, `credentials.yml`, `policy.yml`, `.env`, or what the directory is
    /// called in messages (`keys directory`).
    pub file: &'static str,
    /// Line and column, both counted from 1, the column in characters.
    pub at: Option<Mark>,
}

/// A position in a file: line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub fn file(file: &'static str) -> Self {
        Self { file, at: None }
    }

    pub fn at(file: &'static str, at: Mark) -> Self {
        Self { file, at: Some(at) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file)?;
        match self.at {
            // A finding of a whole line (the policy compiler keeps no columns).
            Some(Mark { line, column: 0 }) => write!(f, ":{line}"),
            Some(Mark { line, column }) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// The kind of a fault: all that the assistant is told of it beside its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The file or directory can't be opened, or isn't what it should be.
    Unreadable,
    /// Not YAML, or more of it than is accepted.
    Syntax,
    UnknownKey,
    Missing,
    WrongType,
    /// A value that isn't one of those accepted, or out of bounds.
    BadValue,
    Duplicate,
    /// A name that nothing has.
    NoSuchName,
    /// A path or name that was refused for safety.
    Refused,
    /// A rule or an example that the policy compiler refused.
    Rule,
    /// Valid, but not to be had without a restart.
    NeedsRestart,
}

impl Fault {
    fn for_assistant(self) -> &'static str {
        match self {
            Self::Unreadable => "can't be read",
            Self::Syntax => "isn't the YAML that is accepted",
            Self::UnknownKey => "has an unknown key",
            Self::Missing => "is missing",
            Self::WrongType => "has the wrong type",
            Self::BadValue => "isn't an accepted value",
            Self::Duplicate => "is there twice",
            Self::NoSuchName => "names something that doesn't exist",
            Self::Refused => "was refused",
            Self::Rule => "isn't a rule that can be used",
            Self::NeedsRestart => "needs a restart of the server",
        }
    }

    /// The word for scripts, stable.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown_key",
            Self::Missing => "missing",
            Self::WrongType => "wrong_type",
            Self::BadValue => "bad_value",
            Self::Duplicate => "duplicate",
            Self::NoSuchName => "no_such_name",
            Self::Refused => "refused",
            Self::Rule => "rule",
            Self::NeedsRestart => "needs_restart",
        }
    }
}

/// Something that has to be mended before the configuration loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// The path of the key, such as `hosts[2].port`; empty for a whole file.
    pub key: String,
    pub fault: Fault,
    /// What the file says there, in words; never a secret.
    pub found: String,
    /// What would be accepted there, in words; may be empty.
    pub accepted: String,
    /// The known word that what was found resembles most.
    pub nearest: Option<String>,
}

impl Problem {
    /// Everything, for a person with the files at hand.
    pub fn for_operator(&self) -> String {
        self.to_string()
    }

    /// The place and the kind of fault, and nothing that the file says.
    pub fn for_assistant(&self) -> String {
        let Self {
            place, key, fault, ..
        } = self;
        if key.is_empty() {
            format!("{place} {}", fault.for_assistant())
        } else {
            format!("{place}: {key} {}", fault.for_assistant())
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.found)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean '{nearest}'?")?;
        }
        if !self.accepted.is_empty() {
            write!(f, "; accepted: {}", self.accepted)?;
        }
        Ok(())
    }
}

/// What sort of surprise a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningKind {
    /// `host_key_auto_add: true` or `require_known_host: false`: ignored, with a record
    /// of its own in the log.
    HostKeyPolicy,
    /// A key or secret file that others can read, or write.
    Permissions,
    /// A secret or key that isn't there (yet).
    Absent,
    /// A password in the YAML file.
    InlinePassword,
    /// Something of the policy, such as a rule that can never take effect.
    Policy,
    /// A private key that no login can use.
    UnusableKey,
    /// A secret that is hardly what its author sees.
    OddSecret,
    /// A host whose key isn't known.
    UnknownHostKey,
    /// A name that only multicast DNS knows.
    MulticastName,
    /// Text that was read but has no effect.
    NoEffect,
}

impl WarningKind {
    /// The word for scripts and records, stable.
    pub fn code(self) -> &'static str {
        match self {
            Self::HostKeyPolicy => "host_key_policy_deprecated",
            Self::Permissions => "insecure_file_permissions",
            Self::Absent => "absent",
            Self::InlinePassword => "inline_password",
            Self::Policy => "policy",
            Self::UnusableKey => "unusable_key",
            Self::OddSecret => "odd_secret",
            Self::UnknownHostKey => "host_key_unknown",
            Self::MulticastName => "multicast_name",
            Self::NoEffect => "no_effect",
        }
    }

    pub(crate) fn for_assistant(self) -> &'static str {
        match self {
            Self::HostKeyPolicy => "asks for unknown host keys to be accepted, which is ignored",
            Self::Permissions => "can be read or changed by others",
            Self::Absent => "names something that isn't there",
            Self::InlinePassword => "holds a password",
            Self::Policy => "may not do what its author thinks",
            Self::UnusableKey => "names a key that no login can use",
            Self::OddSecret => "names a secret that begins with a mark that nobody sees",
            Self::UnknownHostKey => "is about a host whose key isn't known",
            Self::MulticastName => "names a host that multicast DNS alone knows",
            Self::NoEffect => "has no effect",
        }
    }
}

/// Something that loads, but not as its author may think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub place: Place,
    pub key: String,
    pub kind: WarningKind,
    pub text: String,
}

impl Warning {
    /// Where and what, without what the file says.
    pub fn for_assistant(&self) -> String {
        let (place, what) = (self.place, self.kind.for_assistant());
        match self.entry() {
            Some((list, number)) => format!("{place}: {list}[{number}] {what}"),
            None => format!("{place}: {what}"),
        }
    }

    /// The rule, host or credentials entry that it is about: the name of its list and its
    /// number there, from 0.
    pub fn entry(&self) -> Option<(&str, usize)> {
        let (list, rest) = self.key.split_once('[')?;
        let (number, _) = rest.split_once(']')?;
        Some((list, number.parse().ok()?))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// Text of a file as it appears in a message: one line, escaped, at most 60 characters.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 60;
    let (shown, more) = match text.char_indices().nth(SHOWN) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), "…"),
        None => (text, ""),
    };
    format!("'{}{more}'", visible(shown))
}

/// The candidate that differs least from `word`, if it is near enough to be what was
/// meant: at most a third of its letters; or else the one most like it that holds it, or
/// that it holds (`user` for `username`, `hostname` for `host`).
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if word.chars().nth(LONGEST).is_some() {
        return None;
    }
    const SHORTEST: usize = 3;
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .filter_map(|candidate| {
            let known = candidate.to_ascii_lowercase();
            let (distance, longer) = (distance(&word, &known), known.len().max(word.len()));
            let near = distance <= longer.div_ceil(3);
            let within =
                longer - distance >= SHORTEST && (known.contains(&word) || word.contains(&known));
            (near || within).then_some((!near, distance, candidate))
        })
        .min()
        .map(|(.., candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, substitutions, and swaps of
/// neighbours, each counting one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
    for (i, &ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &cb) in b.iter().enumerate() {
            let changed = at(&last, j) + usize::from(ca != cb);
            let mut best = changed.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(&cb) && b.get(j - 1) == Some(&ca);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("port", "port"), 0);
        assert_eq!(distance("prot", "port"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("credentals", "credentials"), 1);
    }

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(nearest("Prot", ["host", "port", "tags"]), Some("port"));
        assert_eq!(nearest("hostname", ["alias", "host", "port"]), Some("host"));
        assert_eq!(nearest("key", ["name", "key_path"]), Some("key_path"));
        assert_eq!(nearest("passwd", ["path", "password"]), Some("password"));
        assert_eq!(nearest("x", ["alias", "port", "x-y-z"]), None);
        assert_eq!(nearest("owner", ["alias", "port"]), None);
    }

    #[test]
    fn what_a_file_says_stays_with_the_operator() {
        let problem = Problem {
            place: Place::at("servers.yml", Mark { line: 3, column: 7 }),
            key: "hosts[0].host".into(),
            fault: Fault::BadValue,
            found: "found '10.0.0.256'".into(),
            accepted: "an address or a name".into(),
            nearest: None,
        };
        assert_eq!(
            problem.for_operator(),
            "servers.yml:3:7: hosts[0].host: found '10.0.0.256'; accepted: an address or a name"
        );
        assert_eq!(
            problem.for_assistant(),
            "servers.yml:3:7: hosts[0].host isn't an accepted value"
        );
    }
}
