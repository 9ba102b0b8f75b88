//! The command line in parts: which subcommand, its operands, its flags.
//!
//! Owns the tables of words and flags (help, manual page and completions follow them), and
//! the messages about unknown ones. What the
//! parts mean together, and whether a flag fits, is decided by `cli`, the only caller.

use std::ffi::{OsStr, OsString};

use crate::config::schema::problem::nearest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Serve,
    Check,
    Init,
    ImportSshConfig,
    ImportAnsible,
    Plan,
    PolicyExplain,
    PolicySets,
    PolicySuggest,
    PolicyTest,
    PolicyTables,
    Trust,
    AuditVerify,
    AuditSign,
    AuditShow,
    AuditReport,
    Completions,
    Manual,
    Approvals,
    Approve,
    Deny,
    Reload,
    Status,
    Help,
    Version,
}

/// First word, second word (empty: none), subcommand, its operands as help spells them.
pub(crate) const COMMANDS: &[(&str, &str, Name, &str)] = &[
    ("serve", "", Name::Serve, ""),
    ("stdio", "", Name::Serve, ""),
    ("check", "", Name::Check, ""),
    ("init", "", Name::Init, "DIR"),
    ("import", "ssh-config", Name::ImportSshConfig, "[FILE]"),
    ("import", "ansible", Name::ImportAnsible, "[FILE]"),
    ("plan", "", Name::Plan, "ALIAS COMMAND..."),
    ("approvals", "", Name::Approvals, ""),
    ("approve", "", Name::Approve, "ID"),
    ("deny", "", Name::Deny, "ID"),
    ("reload", "", Name::Reload, ""),
    ("status", "", Name::Status, ""),
    ("policy", "explain", Name::PolicyExplain, "COMMAND..."),
    ("policy", "sets", Name::PolicySets, ""),
    ("policy", "suggest", Name::PolicySuggest, "[FILE|DIR]..."),
    ("policy", "test", Name::PolicyTest, "FILE"),
    ("policy", "tables", Name::PolicyTables, ""),
    ("trust", "", Name::Trust, "[ALIAS...]"),
    ("audit", "verify", Name::AuditVerify, "[FILE|DIR]..."),
    ("audit", "sign", Name::AuditSign, "[FILE|DIR]..."),
    ("audit", "show", Name::AuditShow, "[FILE|DIR]..."),
    ("audit", "report", Name::AuditReport, "[FILE|DIR]..."),
    ("completions", "", Name::Completions, "SHELL"),
    ("manual", "", Name::Manual, ""),
    ("help", "", Name::Help, "[COMMAND]"),
    ("version", "", Name::Version, ""),
];

/// A flag: its name, what its value is called (empty: it has none), the subcommands that
/// take it, and what it does, for the manual page and for completions.
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
    pub(crate) commands: &'static [Name],
    pub(crate) about: &'static str,
}

const CONFIGURED: &[Name] = &[
    Name::Serve,
    Name::Check,
    Name::Plan,
    Name::PolicySuggest,
    Name::PolicyTest,
    Name::Trust,
];
const CONFINED: &[Name] = &[Name::Serve, Name::Check, Name::Trust];
const ANSWERING: &[Name] = &[Name::Serve, Name::Reload, Name::Status];

#[rustfmt::skip]
pub(crate) const FLAGS: &[Flag] = &[
    Flag { name: "config-dir", value: "DIR", commands: CONFIGURED, about: "servers.yml, credentials.yml, policy.yml (/app/config)" },
    Flag { name: "keys-dir", value: "DIR", commands: CONFIGURED, about: "private keys and known_hosts (/app/keys)" },
    Flag { name: "secrets-dir", value: "DIR", commands: CONFIGURED, about: ".env and secret files (/app/secrets)" },
    Flag { name: "allow-links-beneath", value: "", commands: CONFIGURED, about: "follow links that stay beneath the directory they are in" },
    Flag { name: "audit-file", value: "PATH", commands: &[Name::Serve, Name::Check], about: "also keep a tamper-evident record in this file" },
    Flag { name: "audit-dir", value: "DIR", commands: &[Name::Serve, Name::Check], about: "also keep a tamper-evident record in this directory, a chain for each run" },
    Flag { name: "audit-keep-bytes", value: "SIZE", commands: &[Name::Serve, Name::Check], about: "of the directory, remove the oldest files beyond this size, such as 2G (0, the default: keep all)" },
    Flag { name: "audit-keep-days", value: "DAYS", commands: &[Name::Serve, Name::Check], about: "of the directory, remove files that were last written so long ago (0, the default: keep all)" },
    Flag { name: "log-file", value: "PATH", commands: &[Name::Serve, Name::Check], about: "also write the log to this file; it is rotated at --audit-rotate-bytes, five are kept" },
    Flag { name: "log-syslog", value: "FACILITY[:SOCKET]", commands: &[Name::Serve, Name::Check], about: "also send the log to syslog or journald, such as authpriv or local3:/run/systemd/journal/dev-log (/dev/log)" },
    Flag { name: "audit-rotate-bytes", value: "SIZE", commands: &[Name::Serve, Name::Check], about: "begin a new file at this size, such as 64M (the default; 0: never)" },
    Flag { name: "metrics-file", value: "PATH", commands: &[Name::Serve, Name::Check], about: "write figures for Prometheus to this file, for node_exporter's textfile collector" },
    Flag { name: "transfer-dir", value: "DIR", commands: &[Name::Serve, Name::Check], about: "let the assistant transfer files between hosts and this directory, where files: of the policy allows it" },
    Flag { name: "approvals-dir", value: "DIR", commands: &[Name::Serve, Name::Check, Name::Approvals, Name::Approve, Name::Deny], about: "where the operator approves what rules with approval: operator ask about" },
    Flag { name: "watch", value: "", commands: &[Name::Approvals], about: "go on, and ask about each request as it comes" },
    Flag { name: "yes", value: "", commands: &[Name::Approve], about: "approve what is shown, without asking" },
    Flag { name: "runtime-dir", value: "DIR", commands: ANSWERING, about: "where reload and status find the server (/run/user/UID, /dev/shm or /tmp)" },
    Flag { name: "sandbox", value: "LEVEL", commands: CONFINED, about: "strict, required (default), degraded or off" },
    Flag { name: "sandbox-floor", value: "NAME,...", commands: CONFINED, about: "do not start without these: seccomp, files, truncate, tcp, ioctl, scopes" },
    Flag { name: "user", value: "USER[:GROUP]", commands: &[Name::Serve, Name::Check, Name::Trust, Name::Reload, Name::Status], about: "become this user when started as root (default: 10001, if it can read the files); reload, status: whose servers" },
    Flag { name: "json", value: "", commands: &[Name::Check, Name::Plan, Name::AuditShow], about: "print one JSON object; audit show: one a record" },
    Flag { name: "csv", value: "", commands: &[Name::AuditShow], about: "print a table that a spreadsheet reads" },
    Flag { name: "html", value: "PATH", commands: &[Name::AuditReport], about: "the file to write" },
    Flag { name: "follow", value: "", commands: &[Name::AuditShow], about: "go on with what is written from now on" },
    Flag { name: "credentials", value: "", commands: &[Name::ImportSshConfig, Name::ImportAnsible], about: "print credentials.yml in place of servers.yml" },
    Flag { name: "fingerprint", value: "SHA256:...", commands: &[Name::Trust], about: "take the one key with this fingerprint, without asking" },
    Flag { name: "all-types", value: "", commands: &[Name::Trust], about: "of one host, also the keys of other types that it has: a connection each" },
    Flag { name: "all", value: "", commands: &[Name::Trust], about: "every host of servers.yml" },
    Flag { name: "tag", value: "TAG", commands: &[Name::Trust], about: "every host with this tag" },
    Flag { name: "head", value: "HEX", commands: &[Name::AuditVerify], about: "a seal that must be among the records" },
    Flag { name: "signed", value: "PATH", commands: &[Name::AuditVerify], about: "what 'audit sign' wrote: its heads must be among the records" },
    Flag { name: "allowed-signers", value: "PATH", commands: &[Name::AuditVerify], about: "who may have signed, as ssh-keygen(1) has it under ALLOWED SIGNERS" },
    Flag { name: "signer", value: "WHO", commands: &[Name::AuditVerify], about: "the principal that must have signed (default: any that has the key)" },
    Flag { name: "key", value: "PATH", commands: &[Name::AuditSign], about: "the SSH key to sign with: a private key, or the public one of a key in an agent" },
    Flag { name: "out", value: "PATH", commands: &[Name::AuditSign], about: "the file to write, which gets a signature beside it (heads-MOMENT.txt with the records)" },
    Flag { name: "alias", value: "ALIAS", commands: &[Name::AuditShow], about: "records of this host alone" },
    Flag { name: "since", value: "TIME", commands: &[Name::AuditShow], about: "records from this moment on: a date, Unix seconds, or an age such as 2h" },
    Flag { name: "denied", value: "", commands: &[Name::AuditShow], about: "refusals alone" },
];

/// What a subcommand does, in a line.
pub(crate) fn about(name: Name) -> &'static str {
    match name {
        Name::Serve => "speak MCP on stdin and stdout, log on stderr",
        Name::Check => "say whether the configuration and this machine would do",
        Name::Init => "write a commented starting configuration into DIR",
        Name::ImportSshConfig => "print servers.yml from an ssh_config (~/.ssh/config)",
        Name::ImportAnsible => "print servers.yml from an inventory (/etc/ansible/hosts)",
        Name::Plan => "judge a command as the server would, with the deciding rule",
        Name::PolicyExplain => "say what each word of a command is, and what it does",
        Name::PolicySets => "list the ready-made sets of programs",
        Name::PolicySuggest => "propose rules for what the record says was denied",
        Name::PolicyTest => "compare the policy with a file of expectations",
        Name::PolicyTables => "print the built-in tables of programs and hazards",
        Name::Trust => "fetch hosts' keys, show them, add them to known_hosts",
        Name::AuditVerify => "prove that no record was changed, removed or reordered",
        Name::AuditSign => "have the heads of the records signed with an SSH key",
        Name::AuditReport => "write a page for a browser or for paper",
        Name::AuditShow => "print the records for people",
        Name::Completions => "print completions for bash, zsh or fish",
        Name::Manual => "print the manual page",
        Name::Approvals => "list the commands that wait for the operator's approval",
        Name::Approve => "show a command that waits, and approve it",
        Name::Deny => "refuse a command that waits",
        Name::Reload => "have the running servers read everything again, and say what each did",
        Name::Status => "ask the running servers how they do",
        Name::Help => "print the page of options, or that of one command",
        Name::Version => "print the versions of the program and its C libraries",
    }
}

/// The command line in parts; what they mean together is not decided yet.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) name: Option<Name>,
    pub(crate) operands: Vec<OsString>,
    pub(crate) flags: Vec<(&'static Flag, OsString)>,
    pub(crate) help: bool,
    pub(crate) version: bool,
    /// What help was asked about: nothing is everything.
    pub(crate) topics: Vec<Name>,
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
                if begins_a_command(&words) {
                    let rest = parser.raw_args().map_err(|error| error.to_string())?;
                    words.extend(rest);
                    break;
                }
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
                let value = if flag.value.is_empty() {
                    OsString::new()
                } else {
                    parser.value().map_err(|error| error.to_string())?
                };
                line.flags.push((flag, value));
            }
        }
    }
    if line.help {
        line.topics = topics(&words);
    } else if !line.version {
        (line.name, line.operands) = find_command(words)?;
        if line.name == Some(Name::Help) {
            line.topics = topics(&line.operands);
            if let (Some(first), true) = (line.operands.first(), line.topics.is_empty()) {
                let first = utf8(first, "the command")?;
                return Err(unknown("command", &first, COMMANDS.iter().map(|row| row.0)));
            }
            line.help = true;
        }
        line.version |= line.name == Some(Name::Version) && line.operands.is_empty();
    }
    Ok(line)
}

/// Whether the last word begins a command for a host: what follows belongs to that, also
/// what looks like an option of ours.
fn begins_a_command(words: &[OsString]) -> bool {
    match words {
        [first, _, _] if first == "plan" => true,
        [first, second, _] => first == "policy" && second == "explain",
        _ => false,
    }
}

/// The subcommands that words speak of: one, or all that begin with the first.
fn topics(words: &[OsString]) -> Vec<Name> {
    let Some(first) = words.first() else {
        return Vec::new();
    };
    let of_first = || COMMANDS.iter().filter(move |row| first == row.0);
    let second = words.get(1);
    let both = of_first().find(|row| second.is_some_and(|second| second == row.1));
    match both {
        Some(row) => vec![row.2],
        None => of_first().map(|row| row.2).collect(),
    }
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
