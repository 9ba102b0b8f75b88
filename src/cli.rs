//! argv and environment → [`Options`]: what was asked of the program, as types.
//!
//! Owns the words of the command line and their help. Opens nothing, prints nothing and
//! reads the environment only through the function it is given. Called by `startup`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use crate::config::problem::nearest;

/// What the program was asked to do, and with what.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub command: Command,
    pub settings: Settings,
}

/// One subcommand with its operands.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Serve,
    Check {
        json: bool,
    },
    Init {
        dir: PathBuf,
    },
    Plan {
        alias: String,
        command: String,
        json: bool,
    },
    PolicyTest {
        file: PathBuf,
    },
    PolicyTables,
    Trust {
        alias: String,
        fingerprint: Option<String>,
    },
    AuditVerify {
        files: Vec<PathBuf>,
        head: Option<String>,
    },
    AuditShow {
        file: PathBuf,
        alias: Option<String>,
        since: Option<String>,
        denied: bool,
    },
    Help,
    Version,
}

/// What holds for every subcommand; a flag wins over its environment variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    pub config_dir: PathBuf,
    pub keys_dir: PathBuf,
    pub secrets_dir: PathBuf,
    pub allow_links_beneath: bool,
    pub audit_file: Option<PathBuf>,
    /// Bytes at which the audit file is set aside; 0 is never.
    pub audit_rotate_bytes: u64,
    pub sandbox: Sandbox,
    pub user: Option<User>,
}

/// Bytes at which the audit file is set aside, unless told otherwise.
const ROTATE_BYTES: u64 = 64 * 1_048_576;

/// How much of the sandbox must hold before the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// All of it, or the server does not start.
    Required,
    /// What can be had; what is missing is on the record.
    Degraded,
    /// None of it: for debugging with tools that the sandbox stops.
    Off,
}

/// Whom the process becomes when it was started as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// A command line that was not understood, in words for the person who typed it.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError {
    message: String,
    serving: bool,
}

impl UsageError {
    /// Whether the server was asked for, whose stderr is a log of JSON lines.
    pub fn serving(&self) -> bool {
        self.serving
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; see mcp-ssh-orchestrator --help", self.message)
    }
}

impl std::error::Error for UsageError {}

/// The page that `--help` prints.
pub const HELP: &str = "\
mcp-ssh-orchestrator: an MCP server that runs policy-checked commands over SSH

Usage: mcp-ssh-orchestrator [COMMAND] [OPTIONS]

Commands:
  serve                       speak MCP on stdin and stdout, log on stderr (the default;
                              the word 'stdio' means the same)
  check [--json]              say whether the configuration and this machine would do
  init DIR                    write a commented starting configuration into DIR
  plan ALIAS COMMAND [--json] judge a command as the server would, with the deciding rule
  policy test FILE            compare the policy with a file of expectations
  policy tables               print the built-in tables of programs and hazards
  trust ALIAS [--fingerprint SHA256:...]
                              fetch a host's key, show it, add it to known_hosts
  audit verify FILE... [--head HEX]
                              prove that no record was changed, removed or reordered
  audit show FILE [--alias ALIAS] [--since TIME] [--denied]
                              print the records for people

Options:
  --config-dir DIR       servers.yml, credentials.yml, policy.yml (/app/config)
  --keys-dir DIR         private keys and known_hosts (/app/keys)
  --secrets-dir DIR      .env and secret files (/app/secrets)
  --allow-links-beneath  follow links that stay beneath the directory they are in
  --audit-file PATH      also keep a tamper-evident record in PATH
  --audit-rotate-bytes N begin a new file at this size (64 MiB; 0: never)
  --sandbox LEVEL        required (default), degraded or off
  --user UID[:GID]       become this user when started as root
                         (default: 10001, if it can read the files)
  -h, --help             print this page
  -V, --version          print the versions of the program and its C libraries

Environment, where the flag is absent:
  MCP_SSH_CONFIG_DIR  MCP_SSH_KEYS_DIR  MCP_SSH_SECRETS_DIR
  MCP_SSH_ALLOW_LINKS_BENEATH=1  MCP_SSH_SANDBOX
  MCP_SSH_AUDIT_FILE  MCP_SSH_AUDIT_ROTATE_BYTES
  MCP_SSH_SECRET_<NAME>, <NAME>: values of secrets

Exit codes: 0 done, 1 problems found or the server could not start, 2 usage.
";

/// Reads the command line. `environment` answers for one variable.
///
/// # Errors
/// An unknown word or flag (the nearest known one is named), a missing or surplus
/// operand, a value that is not accepted, a flag that the subcommand does not take.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Options, UsageError> {
    let line = split(args).map_err(|message| UsageError {
        message,
        serving: true,
    })?;
    let name = line.name.unwrap_or(Name::Serve);
    interpret(line, name, &environment).map_err(|message| UsageError {
        message,
        serving: name == Name::Serve,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Serve,
    Check,
    Init,
    Plan,
    PolicyTest,
    PolicyTables,
    Trust,
    AuditVerify,
    AuditShow,
}

/// First word, second word (empty: none), subcommand, its operands as help spells them.
const COMMANDS: &[(&str, &str, Name, &str)] = &[
    ("serve", "", Name::Serve, ""),
    ("stdio", "", Name::Serve, ""),
    ("check", "", Name::Check, ""),
    ("init", "", Name::Init, "DIR"),
    ("plan", "", Name::Plan, "ALIAS COMMAND"),
    ("policy", "test", Name::PolicyTest, "FILE"),
    ("policy", "tables", Name::PolicyTables, ""),
    ("trust", "", Name::Trust, "ALIAS"),
    ("audit", "verify", Name::AuditVerify, "FILE..."),
    ("audit", "show", Name::AuditShow, "FILE"),
];

/// A flag: its name, whether a value follows, and the subcommands that take it.
struct Flag {
    name: &'static str,
    value: bool,
    commands: &'static [Name],
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
const FLAGS: &[Flag] = &[
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
struct Line {
    name: Option<Name>,
    operands: Vec<OsString>,
    flags: Vec<(&'static Flag, OsString)>,
    help: bool,
    version: bool,
}

impl Line {
    fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(flag, _)| flag.name == name)
    }

    /// The last value wins, as people expect of a repeated flag.
    fn value(&self, name: &str) -> Option<&OsStr> {
        let found = self.flags.iter().rev().find(|(flag, _)| flag.name == name);
        found.map(|(_, value)| value.as_os_str())
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.value(name)
            .map(|value| utf8(value, &format!("the value of --{name}")))
            .transpose()
    }
}

fn split(args: impl IntoIterator<Item = OsString>) -> Result<Line, String> {
    let mut line = Line {
        name: None,
        operands: Vec::new(),
        flags: Vec::new(),
        help: false,
        version: false,
    };
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

fn interpret(
    line: Line,
    name: Name,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Options, String> {
    let settings = settings(&line, environment);
    // Help and version answer whatever else is wrong on the line.
    if line.help || line.version {
        let command = if line.help {
            Command::Help
        } else {
            Command::Version
        };
        let settings = settings.or_else(|_| Settings::from_defaults())?;
        return Ok(Options { command, settings });
    }
    if let Some((flag, _)) = line
        .flags
        .iter()
        .find(|(flag, _)| !flag.commands.contains(&name))
    {
        return Err(format!(
            "--{} does not belong to '{}'",
            flag.name,
            spelling(name).0
        ));
    }
    let command = command(line, name)?;
    Ok(Options {
        command,
        settings: settings?,
    })
}

/// How a subcommand and its operands are written.
fn spelling(name: Name) -> (String, &'static str) {
    COMMANDS
        .iter()
        .find(|row| row.2 == name)
        .map(|row| (format!("{} {}", row.0, row.1).trim().to_owned(), row.3))
        .unwrap_or_default()
}

fn command(line: Line, name: Name) -> Result<Command, String> {
    let wrong_count = || {
        let (words, operands) = spelling(name);
        match operands {
            "" => format!("'{words}' takes no operands"),
            _ if name == Name::Plan && line.operands.len() > 2 => {
                format!("'{words}' takes {operands}: quote the command as one argument")
            }
            _ => format!("'{words}' takes {operands}"),
        }
    };
    let json = line.has("json");
    let text = |word: &OsString| utf8(word, "an operand");
    Ok(match (name, line.operands.as_slice()) {
        (Name::Serve, []) => Command::Serve,
        (Name::Check, []) => Command::Check { json },
        (Name::Init, [dir]) => Command::Init { dir: dir.into() },
        (Name::Plan, [alias, command]) => Command::Plan {
            alias: text(alias)?,
            command: text(command)?,
            json,
        },
        (Name::PolicyTest, [file]) => Command::PolicyTest { file: file.into() },
        (Name::PolicyTables, []) => Command::PolicyTables,
        (Name::Trust, [alias]) => Command::Trust {
            alias: text(alias)?,
            fingerprint: line.text("fingerprint")?,
        },
        (Name::AuditVerify, [_, ..]) => Command::AuditVerify {
            files: line.operands.iter().map(PathBuf::from).collect(),
            head: line.text("head")?,
        },
        (Name::AuditShow, [file]) => Command::AuditShow {
            file: file.into(),
            alias: line.text("alias")?,
            since: line.text("since")?,
            denied: line.has("denied"),
        },
        _ => return Err(wrong_count()),
    })
}

fn settings(
    line: &Line,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Settings, String> {
    // An empty variable is one that a compose file left unset.
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let either = |flag: &str, name: &str| {
        let given = line.value(flag).map(OsStr::to_owned);
        given.or_else(|| variable(name))
    };
    let path = |flag: &str, name: &str, default: &str| {
        either(flag, name).map_or_else(|| default.into(), PathBuf::from)
    };
    let audit_file = either("audit-file", "MCP_SSH_AUDIT_FILE").map(PathBuf::from);
    let rotate = either("audit-rotate-bytes", "MCP_SSH_AUDIT_ROTATE_BYTES");
    let sandbox = either("sandbox", "MCP_SSH_SANDBOX");
    let user = line.text("user")?;
    let links = variable("MCP_SSH_ALLOW_LINKS_BENEATH");
    Ok(Settings {
        config_dir: path("config-dir", "MCP_SSH_CONFIG_DIR", "/app/config"),
        keys_dir: path("keys-dir", "MCP_SSH_KEYS_DIR", "/app/keys"),
        secrets_dir: path("secrets-dir", "MCP_SSH_SECRETS_DIR", "/app/secrets"),
        allow_links_beneath: line.has("allow-links-beneath") || switched_on(links.as_deref())?,
        audit_file,
        audit_rotate_bytes: rotate.as_deref().map_or(Ok(ROTATE_BYTES), parse_bytes)?,
        sandbox: sandbox
            .as_deref()
            .map_or(Ok(Sandbox::Required), parse_sandbox)?,
        user: user.as_deref().map(parse_user).transpose()?,
    })
}

impl Settings {
    fn from_defaults() -> Result<Self, String> {
        let line = Line {
            name: None,
            operands: Vec::new(),
            flags: Vec::new(),
            help: false,
            version: false,
        };
        settings(&line, &|_| None)
    }
}

fn switched_on(value: Option<&OsStr>) -> Result<bool, String> {
    match value.map(OsStr::to_str) {
        None | Some(Some("0" | "false" | "no")) => Ok(false),
        Some(Some("1" | "true" | "yes")) => Ok(true),
        Some(_) => Err("MCP_SSH_ALLOW_LINKS_BENEATH is neither 1 nor 0".to_owned()),
    }
}

fn parse_bytes(value: &OsStr) -> Result<u64, String> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{value:?} is not a number of bytes"))
}

fn parse_sandbox(value: &OsStr) -> Result<Sandbox, String> {
    match value.to_str() {
        Some("required") => Ok(Sandbox::Required),
        Some("degraded") => Ok(Sandbox::Degraded),
        Some("off") => Ok(Sandbox::Off),
        _ => Err(format!(
            "sandbox level {value:?} is not one of: required, degraded, off"
        )),
    }
}

fn parse_user(value: &str) -> Result<User, String> {
    let wrong = || format!("user '{value}' is not UID or UID:GID in numbers");
    // u32::MAX means 'leave unchanged' to setresuid(2).
    let number = |text: &str| match text.parse::<u32>() {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(wrong()),
    };
    let (uid, gid) = value.split_once(':').unwrap_or((value, value));
    Ok(User {
        uid: number(uid)?,
        gid: number(gid)?,
    })
}

fn utf8(word: &OsStr, what: &str) -> Result<String, String> {
    word.to_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{what} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_parse(line: &str) -> Result<Options, UsageError> {
        let args = std::iter::once("program").chain(line.split_whitespace());
        parse(args.map(OsString::from), |_| None)
    }

    fn command(line: &str) -> Command {
        try_parse(line).unwrap().command
    }

    fn problem(line: &str) -> String {
        try_parse(line).unwrap_err().message
    }

    #[test]
    fn words_choose_the_command() {
        for line in ["", "serve", "stdio", "serve stdio", "--sandbox=off stdio"] {
            assert_eq!(command(line), Command::Serve, "{line}");
        }
        assert_eq!(command("check --json"), Command::Check { json: true });
        assert_eq!(command("policy tables"), Command::PolicyTables);
        assert_eq!(
            command("plan web1 uptime"),
            Command::Plan {
                alias: "web1".into(),
                command: "uptime".into(),
                json: false
            }
        );
        assert_eq!(
            command("audit verify a b --head 00ff"),
            Command::AuditVerify {
                files: vec!["a".into(), "b".into()],
                head: Some("00ff".into())
            }
        );
    }

    #[test]
    fn help_and_version_answer_whatever_else_is_said() {
        for line in [
            "--help",
            "-h",
            "check --help",
            "nonsense -h",
            "-h --sandbox=x",
        ] {
            assert_eq!(command(line), Command::Help, "{line}");
        }
        assert_eq!(command("-V"), Command::Version);
    }

    #[test]
    fn unknown_words_name_the_nearest() {
        assert!(problem("chek").contains("did you mean 'check'?"));
        assert!(problem("--sandbx=off").contains("did you mean --sandbox?"));
        assert!(problem("policy tset x").contains("did you mean 'test'?"));
        assert!(problem("audit").contains("verify, show"));
        assert!(problem("frobnicate").ends_with("unknown command 'frobnicate'"));
    }

    #[test]
    fn operands_are_counted_and_flags_belong_somewhere() {
        assert!(problem("plan web1 ls -l").contains("unknown flag -l"));
        assert!(problem("plan web1 a b").contains("quote the command"));
        assert!(problem("init").contains("takes DIR"));
        assert!(problem("serve x").contains("takes no operands"));
        assert!(problem("serve --json").contains("--json does not belong to 'serve'"));
        assert!(try_parse("serve x").unwrap_err().serving());
        assert!(!try_parse("init").unwrap_err().serving());
    }

    #[test]
    fn flags_win_over_the_environment() {
        let environment = |name: &str| match name {
            "MCP_SSH_SANDBOX" => Some("off".into()),
            "MCP_SSH_CONFIG_DIR" => Some("/etc/a".into()),
            "MCP_SSH_KEYS_DIR" => Some("".into()),
            "MCP_SSH_ALLOW_LINKS_BENEATH" => Some("1".into()),
            _ => None,
        };
        let args = ["program", "--config-dir=/etc/b", "--user", "7:8"].map(OsString::from);
        let settings = parse(args, environment).unwrap().settings;
        assert_eq!(settings.sandbox, Sandbox::Off);
        assert_eq!(settings.config_dir, PathBuf::from("/etc/b"));
        assert_eq!(settings.keys_dir, PathBuf::from("/app/keys"));
        assert_eq!(settings.user, Some(User { uid: 7, gid: 8 }));
        assert!(settings.allow_links_beneath);
    }

    #[test]
    fn values_are_checked() {
        assert!(problem("--sandbox=strict").contains("required, degraded, off"));
        for user in ["root", "1:", "4294967295", "-1", "1:2:3"] {
            assert!(
                problem(&format!("--user={user}")).contains("in numbers"),
                "{user}"
            );
        }
    }
}
