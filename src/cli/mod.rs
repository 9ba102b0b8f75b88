//! argv and environment → [`Options`]: what was asked of the program, as types.
//!
//! Owns the words of the command line, their help and the exit codes; `commands` owns what
//! is printed for a person. Reading a line opens nothing, prints nothing and asks for the
//! environment only through the function it is given. Called by `startup`.

pub(crate) mod args;
pub(crate) mod commands;
pub(crate) mod help;
pub(crate) mod sandbox;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) use help::HELP;
pub(crate) use sandbox::{Right, Sandbox};

use crate::audit;

use crate::cli::args::{Line, Name, spelling, split, utf8};
use crate::cli::commands::import::Source;
use crate::cli::sandbox::{parse_floor, parse_level};

/// The variables that stand for an absent flag, and the one that has none.
pub(crate) const VARIABLES: [&str; 9] = [
    "MCP_SSH_CONFIG_DIR",
    "MCP_SSH_KEYS_DIR",
    "MCP_SSH_SECRETS_DIR",
    "MCP_SSH_ALLOW_LINKS_BENEATH",
    "MCP_SSH_SANDBOX",
    "MCP_SSH_SANDBOX_FLOOR",
    "MCP_SSH_AUDIT_FILE",
    "MCP_SSH_AUDIT_ROTATE_BYTES",
    "MCP_SSH_DEBUG",
];

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Problems,
    Usage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Problems => 1,
            Outcome::Usage => 2,
        })
    }
}

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
    Import {
        source: Source,
        /// The person's own, or the system's, where none is named.
        file: Option<PathBuf>,
        credentials: bool,
    },
    Plan {
        alias: String,
        command: String,
        json: bool,
    },
    PolicyTest {
        file: PathBuf,
    },
    /// What each word of a command is.
    PolicyExplain {
        command: String,
    },
    PolicySets,
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
    Completions {
        shell: Shell,
    },
    Manual,
    Help,
    Version,
}

/// A shell that completions are printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
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
    /// What must hold whatever the level says.
    pub sandbox_floor: Vec<Right>,
    pub user: Option<User>,
    /// Whether the log says what is only there to find a fault.
    pub debug: bool,
}

/// Whom the process becomes when it was started as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
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

/// Reads the command line. `environment` answers for one variable.
///
/// # Errors
/// An unknown word or flag (the nearest known one is named), a missing or surplus
/// operand, a value that is not accepted, a flag that the subcommand does not take.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Options, UsageError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let serving = !args.iter().skip(1).any(args::is_no_server);
    let line = split(args).map_err(|message| UsageError { message, serving })?;
    let name = line.name.unwrap_or(Name::Serve);
    interpret(line, name, &environment).map_err(|message| UsageError {
        message,
        serving: name == Name::Serve,
    })
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
        (Name::ImportSshConfig, files @ ([] | [_])) => Command::Import {
            source: Source::SshConfig,
            file: files.first().map(PathBuf::from),
            credentials: line.has("credentials"),
        },
        (Name::ImportAnsible, files @ ([] | [_])) => Command::Import {
            source: Source::Ansible,
            file: files.first().map(PathBuf::from),
            credentials: line.has("credentials"),
        },
        (Name::Plan, [alias, command]) => Command::Plan {
            alias: text(alias)?,
            command: text(command)?,
            json,
        },
        (Name::PolicyTest, [file]) => Command::PolicyTest { file: file.into() },
        (Name::PolicyExplain, [command]) => Command::PolicyExplain {
            command: text(command)?,
        },
        (Name::PolicySets, []) => Command::PolicySets,
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
        (Name::Completions, [shell]) => Command::Completions {
            shell: parse_shell(&text(shell)?)?,
        },
        (Name::Manual, []) => Command::Manual,
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
    let sandbox = sandbox
        .as_deref()
        .map_or(Ok(Sandbox::Required), parse_level)?;
    let floor = either("sandbox-floor", "MCP_SSH_SANDBOX_FLOOR");
    let sandbox_floor = floor.as_deref().map_or(Ok(Vec::new()), parse_floor)?;
    if sandbox == Sandbox::Off && !sandbox_floor.is_empty() {
        return Err("--sandbox-floor asks for what --sandbox=off leaves away".to_owned());
    }
    let user = line.text("user")?;
    let switch = |name: &str| switched_on(name, variable(name).as_deref());
    let links = switch("MCP_SSH_ALLOW_LINKS_BENEATH")?;
    Ok(Settings {
        config_dir: path("config-dir", "MCP_SSH_CONFIG_DIR", "/app/config"),
        keys_dir: path("keys-dir", "MCP_SSH_KEYS_DIR", "/app/keys"),
        secrets_dir: path("secrets-dir", "MCP_SSH_SECRETS_DIR", "/app/secrets"),
        allow_links_beneath: line.has("allow-links-beneath") || links,
        audit_file,
        audit_rotate_bytes: rotate
            .as_deref()
            .map_or(Ok(audit::ROTATE_BYTES), parse_bytes)?,
        sandbox,
        sandbox_floor,
        user: user.as_deref().map(parse_user).transpose()?,
        debug: switch("MCP_SSH_DEBUG")?,
    })
}

impl Settings {
    fn from_defaults() -> Result<Self, String> {
        settings(&Line::default(), &|_| None)
    }
}

fn switched_on(name: &str, value: Option<&OsStr>) -> Result<bool, String> {
    let lower = value.map(OsStr::to_ascii_lowercase);
    match lower.as_deref().map(OsStr::to_str) {
        None | Some(Some("0" | "false" | "no" | "off")) => Ok(false),
        Some(Some("1" | "true" | "yes" | "on")) => Ok(true),
        Some(_) => Err(format!("{name} is neither 1 nor 0")),
    }
}

fn parse_bytes(value: &OsStr) -> Result<u64, String> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("audit-rotate-bytes: {value:?} is not a number of bytes"))
}

fn parse_shell(value: &str) -> Result<Shell, String> {
    match value {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err(format!(
            "there are completions for bash, zsh and fish, and none for '{value}'"
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
    fn switches_are_on_or_off_and_nothing_else() {
        let with = |value: &'static str| {
            parse(["program".into()], move |name| {
                (name == "MCP_SSH_DEBUG").then(|| value.into())
            })
        };
        for (value, on) in [("1", true), ("True", true), ("off", false), ("", false)] {
            assert_eq!(with(value).unwrap().settings.debug, on, "{value}");
        }
        assert!(!try_parse("").unwrap().settings.debug);
        let problem = with("verbose").unwrap_err().message;
        assert_eq!(problem, "MCP_SSH_DEBUG is neither 1 nor 0");
    }

    #[test]
    fn values_are_checked() {
        assert!(problem("--sandbox=whole").contains("strict, required, degraded, off"));
        assert!(problem("--sandbox-floor=tcp,x").contains("'x' is not one of: seccomp, files"));
        assert!(problem("--sandbox=off --sandbox-floor=tcp").contains("leaves away"));
        let floor = try_parse("--sandbox-floor=tcp,seccomp").unwrap().settings;
        assert_eq!(floor.sandbox_floor, [Right::Tcp, Right::Seccomp]);
        for user in ["root", "1:", "4294967295", "-1", "1:2:3"] {
            assert!(
                problem(&format!("--user={user}")).contains("in numbers"),
                "{user}"
            );
        }
    }
}
