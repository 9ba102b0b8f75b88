//! The command line in parts: which subcommand, its operands, its flags.
//!
//! Owns the tables of words and flags, and the messages about unknown ones. What the
//! parts mean together, and whether a flag fits, is decided by `cli`, the only caller.

use std::ffi::{OsStr, OsString};

use crate::config::schema::problem::nearest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Serve,
    Check,
    Init,
    Plan,
    PolicyExplain,
    PolicySets,
    PolicyTest,
    PolicyTables,
    Trust,
    AuditVerify,
    AuditShow,
}

/// First word, second word (empty: none), subcommand, its operands as help spells them.
pub(crate) const COMMANDS: &[(&str, &str, Name, &str)] = &[
    ("serve", "", Name::Serve, ""),
    ("stdio", "", Name::Serve, ""),
    ("check", "", Name::Check, ""),
    ("init", "", Name::Init, "DIR"),
    ("plan", "", Name::Plan, "ALIAS COMMAND"),
    ("policy", "explain", Name::PolicyExplain, "COMMAND"),
    ("policy", "sets", Name::PolicySets, ""),
    ("policy", "test", Name::PolicyTest, "FILE"),
    ("policy", "tables", Name::PolicyTables, ""),
    ("trust", "", Name::Trust, "ALIAS"),
    ("audit", "verify", Name::AuditVerify, "FILE..."),
    ("audit", "show", Name::AuditShow, "FILE"),
];

/// A flag: its name, whether a value follows, and the subcommands that take it.
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    value: bool,
    pub(crate) commands: &'static [Name],
}

const CONFIGURED: &[Name] = &[
    Name::Serve,
    Name::Check,
    Name::Plan,
    Name::PolicyTest,
    Name::Trust,
];
const CONFINED: &[Name] = &[Name::Serve, Name::Check, Name::Trust];

#[rustfmt::skip]
pub(crate) const FLAGS: &[Flag] = &[
    Flag { name: "config-dir", value: true, commands: CONFIGURED },
    Flag { name: "keys-dir", value: true, commands: CONFIGURED },
    Flag { name: "secrets-dir", value: true, commands: CONFIGURED },
    Flag { name: "allow-links-beneath", value: false, commands: CONFIGURED },
    Flag { name: "audit-file", value: true, commands: &[Name::Serve, Name::Check] },
    Flag { name: "audit-rotate-bytes", value: true, commands: &[Name::Serve, Name::Check] },
    Flag { name: "sandbox", value: true, commands: CONFINED },
    Flag { name: "user", value: true, commands: CONFINED },
    Flag { name: "json", value: false, commands: &[Name::Check, Name::Plan] },
    Flag { name: "fingerprint", value: true, commands: &[Name::Trust] },
    Flag { name: "head", value: true, commands: &[Name::AuditVerify] },
    Flag { name: "alias", value: true, commands: &[Name::AuditShow] },
    Flag { name: "since", value: true, commands: &[Name::AuditShow] },
    Flag { name: "denied", value: false, commands: &[Name::AuditShow] },
];

/// The command line in parts; what they mean together is not decided yet.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) name: Option<Name>,
    pub(crate) operands: Vec<OsString>,
    pub(crate) flags: Vec<(&'static Flag, OsString)>,
    pub(crate) help: bool,
    pub(crate) version: bool,
}

impl Line {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(flag, _)| flag.name == name)
    }

    /// The last value wins, as people expect of a repeated flag.
    pub(crate) fn value(&self, name: &str) -> Option<&OsStr> {
        let found = self.flags.iter().rev().find(|(flag, _)| flag.name == name);
        found.map(|(_, value)| value.as_os_str())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.value(name)
            .map(|value| utf8(value, &format!("the value of --{name}")))
            .transpose()
    }
}

/// Whether a word asks for something else than the server.
pub(crate) fn is_no_server(word: &OsString) -> bool {
    COMMANDS
        .iter()
        .any(|(first, _, name, _)| *name != Name::Serve && word == first)
}

pub(crate) fn split(args: impl IntoIterator<Item = OsString>) -> Result<Line, String> {
    let mut line = Line::default();
    let mut words = Vec::new();
    let mut parser = lexopt::Parser::from_iter(args);
    loop {
        let name = match parser.next().map_err(|error| error.to_string())? {
            None => break,
            Some(lexopt::Arg::Value(word)) => {
                words.push(word);
                continue;
            }
            Some(lexopt::Arg::Short('h')) => "help".to_owned(),
            Some(lexopt::Arg::Short('V')) => "version".to_owned(),
            Some(lexopt::Arg::Short(letter)) => return Err(format!("unknown flag -{letter}")),
            Some(lexopt::Arg::Long(name)) => name.to_owned(),
        };
        match name.as_str() {
            "help" => line.help = true,
            "version" => line.version = true,
            _ => {
                let flag = find_flag(&name)?;
                let value = if flag.value {
                    parser.value().map_err(|error| error.to_string())?
                } else {
                    OsString::new()
                };
                line.flags.push((flag, value));
            }
        }
    }
    if !line.help && !line.version {
        (line.name, line.operands) = find_command(words)?;
    }
    Ok(line)
}

fn find_flag(name: &str) -> Result<&'static Flag, String> {
    let found = FLAGS.iter().find(|flag| flag.name == name);
    found.ok_or_else(|| {
        let names = FLAGS.iter().map(|flag| flag.name);
        match nearest(name, names.chain(["help", "version"])) {
            Some(known) => format!("unknown flag --{name}; did you mean --{known}?"),
            None => format!("unknown flag --{name}"),
        }
    })
}

fn find_command(words: Vec<OsString>) -> Result<(Option<Name>, Vec<OsString>), String> {
    let mut words = words.into_iter().peekable();
    let Some(first) = words.next() else {
        return Ok((None, Vec::new()));
    };
    let first = utf8(&first, "the command")?;
    let candidates: Vec<_> = COMMANDS.iter().filter(|row| row.0 == first).collect();
    if let [(_, "", name, _)] = candidates.as_slice() {
        if *name == Name::Serve {
            words.next_if(|word| word == "stdio");
        }
        return Ok((Some(*name), words.collect()));
    }
    if candidates.is_empty() {
        return Err(unknown("command", &first, COMMANDS.iter().map(|row| row.0)));
    }
    let second = words.next().unwrap_or_default();
    let second = utf8(&second, "the command")?;
    let seconds = || candidates.iter().map(|row| row.1);
    match candidates.iter().find(|row| row.1 == second) {
        Some(row) => Ok((Some(row.2), words.collect())),
        None if second.is_empty() => {
            let list: Vec<_> = seconds().collect();
            Err(format!("'{first}' needs one of: {}", list.join(", ")))
        }
        None => Err(unknown(&format!("'{first}' command"), &second, seconds())),
    }
}

fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(word, known) {
        Some(known) => format!("unknown {what} '{word}'; did you mean '{known}'?"),
        None => format!("unknown {what} '{word}'"),
    }
}

/// How a subcommand and its operands are written.
pub(crate) fn spelling(name: Name) -> (String, &'static str) {
    COMMANDS
        .iter()
        .find(|row| row.2 == name)
        .map(|row| (format!("{} {}", row.0, row.1).trim().to_owned(), row.3))
        .unwrap_or_default()
}

pub(crate) fn utf8(word: &OsStr, what: &str) -> Result<String, String> {
    word.to_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{what} is not UTF-8"))
}
