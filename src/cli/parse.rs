//! A command line taken apart → [`Options`]: what the parts mean together.
//!
//! Owns which operands and flags a subcommand takes, and what an absent flag stands for. Reading
//! a line opens nothing, prints nothing and asks for the environment only through the function
//! it is given. Called by `startup`, through the parent, whose types it fills.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use crate::audit;
use crate::cli::args::{self, Line, Name, spelling, split, utf8};
use crate::cli::commands::audit::signed::Trusted;
use crate::cli::commands::import::Source;
use crate::cli::sandbox::{Sandbox, parse_floor, parse_level};
use crate::cli::values::{self, size, switched_on};
use crate::cli::{Command, Options, Selection, Settings, Shown, UsageError};

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
            Command::Help {
                topics: line.topics,
            }
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
    let kept = settings.as_ref().ok().and_then(|settings| {
        let directory = settings.audit_dir.as_ref();
        directory.or(settings.audit_file.as_ref()).cloned()
    });
    let command = command(line, name, kept)?;
    let settings = settings?;
    let approves = matches!(command, Command::Approvals { .. } | Command::Answer { .. });
    if approves && settings.approvals_dir.is_none() {
        return Err("give the directory with --approvals-dir or MCP_SSH_APPROVALS_DIR".to_owned());
    }
    Ok(Options { command, settings })
}

/// `kept` is where the environment says that records are.
fn command(line: Line, name: Name, kept: Option<PathBuf>) -> Result<Command, String> {
    let wrong_count = || {
        let (words, operands) = spelling(name);
        match operands {
            "" => format!("'{words}' takes no operands"),
            "[FILE|DIR]..." => format!(
                "'{words}' takes {operands}, or MCP_SSH_AUDIT_DIR or _FILE in the environment"
            ),
            _ => format!("'{words}' takes {operands}"),
        }
    };
    let json = line.has("json");
    let files: Vec<PathBuf> = match line.operands.as_slice() {
        [] => kept.into_iter().collect(),
        named => named.iter().map(PathBuf::from).collect(),
    };
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
        (Name::Plan, [alias, words @ ..]) if !words.is_empty() => Command::Plan {
            alias: text(alias)?,
            command: one_command(words)?,
            json,
        },
        (Name::PolicyTest, [file]) => Command::PolicyTest { file: file.into() },
        (Name::PolicyExplain, words @ [_, ..]) => Command::PolicyExplain {
            command: one_command(words)?,
        },
        (Name::PolicySuggest, _) if !files.is_empty() => Command::PolicySuggest { files },
        (Name::PolicySets, []) => Command::PolicySets,
        (Name::PolicyTables, []) => Command::PolicyTables,
        (Name::Trust, aliases) => trust(&line, aliases)?,
        (Name::Approvals, []) => Command::Approvals {
            watch: line.has("watch"),
        },
        (Name::Approve | Name::Deny, [id]) => Command::Answer {
            id: text(id)?,
            approved: name == Name::Approve,
            sure: line.has("yes"),
        },
        (Name::Reload, []) => Command::Reload,
        (Name::Status, []) => Command::Status,
        (Name::AuditVerify, _) if !files.is_empty() => Command::AuditVerify {
            files,
            head: line.text("head")?,
            signed: trusted(&line)?,
        },
        (Name::AuditSign, _) if !files.is_empty() => Command::AuditSign {
            files,
            key: line.value("key").map(PathBuf::from).ok_or_else(|| {
                "'audit sign' takes --key PATH, the SSH key to sign with".to_owned()
            })?,
            out: line.value("out").map(PathBuf::from),
        },
        (Name::AuditShow, _) if !files.is_empty() => Command::AuditShow {
            files,
            shown: match (json, line.has("csv")) {
                (true, true) => return Err("--json and --csv: give one of them".to_owned()),
                (true, false) => Shown::Json,
                (false, true) => Shown::Csv,
                (false, false) => Shown::Lines,
            },
            follow: line.has("follow"),
            alias: line.text("alias")?,
            since: line.text("since")?,
            denied: line.has("denied"),
        },
        (Name::AuditReport, _) if !files.is_empty() => Command::AuditReport {
            files,
            html: line
                .value("html")
                .map(PathBuf::from)
                .ok_or_else(|| "'audit report' takes --html PATH, the file to write".to_owned())?,
        },
        (Name::Completions, [shell]) => Command::Completions {
            shell: values::shell(&text(shell)?)?,
        },
        (Name::Manual, []) => Command::Manual,
        _ => return Err(wrong_count()),
    })
}

fn trusted(line: &Line) -> Result<Option<Trusted>, String> {
    let path = |name| line.value(name).map(PathBuf::from);
    let signer = line.text("signer")?;
    match (path("signed"), path("allowed-signers")) {
        (Some(statement), Some(allowed)) => Ok(Some(Trusted {
            statement,
            allowed,
            signer,
        })),
        (None, None) if signer.is_none() => Ok(None),
        (Some(_), None) => Err("--signed takes --allowed-signers PATH: who may have signed".into()),
        (None, _) => Err("--allowed-signers and --signer are of --signed PATH".to_owned()),
    }
}

fn trust(line: &Line, aliases: &[OsString]) -> Result<Command, String> {
    let aliases = aliases.iter().map(|alias| utf8(alias, "an alias"));
    let aliases: Vec<String> = aliases.collect::<Result<_, _>>()?;
    let fingerprint = line.text("fingerprint")?;
    let hosts = match (line.has("all"), line.text("tag")?, aliases.as_slice()) {
        (true, None, []) => Selection::All,
        (false, Some(tag), []) => Selection::Tag(tag),
        (false, None, [_, ..]) => Selection::Aliases(aliases),
        _ => return Err("'trust' takes ALIAS..., --tag TAG or --all".to_owned()),
    };
    if fingerprint.is_some() && !matches!(&hosts, Selection::Aliases(one) if one.len() == 1) {
        return Err("--fingerprint is of one host: 'trust ALIAS --fingerprint …'".to_owned());
    }
    let all_types = line.has("all-types");
    if all_types && !matches!(&hosts, Selection::Aliases(one) if one.len() == 1) {
        return Err("--all-types is of one host: 'trust ALIAS --all-types'".to_owned());
    }
    Ok(Command::Trust {
        hosts,
        fingerprint,
        all_types,
    })
}

/// The command for a host: one word is its whole text; several are its words, each of which
/// stays one.
fn one_command(words: &[OsString]) -> Result<String, String> {
    let words = match words {
        // The way to say that what follows is the command.
        [first, rest @ ..] if first == "--" && !rest.is_empty() => rest,
        words => words,
    };
    let words = words.iter().map(|word| utf8(word, "the command"));
    let words: Vec<String> = words.collect::<Result<_, _>>()?;
    match words.as_slice() {
        [whole] => Ok(whole.clone()),
        [first, second, ..] if first.contains(char::is_whitespace) => Err(format!(
            "'{first}' is a whole command, and '{second}' follows it: options come before the \
             command"
        )),
        words => Ok(words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" ")),
    }
}

/// The word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
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
    let audit_dir = either("audit-dir", "MCP_SSH_AUDIT_DIR").map(PathBuf::from);
    if audit_file.is_some() && audit_dir.is_some() {
        return Err("--audit-file and --audit-dir: give one of them".to_owned());
    }
    let rotate = either("audit-rotate-bytes", "MCP_SSH_AUDIT_ROTATE_BYTES");
    let keep_bytes = either("audit-keep-bytes", "MCP_SSH_AUDIT_KEEP_BYTES");
    let keep_bytes = keep_bytes
        .as_deref()
        .map_or(Ok(0), |value| size("audit-keep-bytes", value))?;
    let keep_days = either("audit-keep-days", "MCP_SSH_AUDIT_KEEP_DAYS");
    let keep_days = keep_days.as_deref().map_or(Ok(0), values::days)?;
    let audit_keep = audit::Keep {
        bytes: keep_bytes,
        age: Duration::from_secs(keep_days * 86_400),
    };
    if audit_dir.is_none() && audit_keep != audit::Keep::default() {
        return Err("--audit-keep-bytes and --audit-keep-days are of --audit-dir".to_owned());
    }
    let syslog = either("log-syslog", "MCP_SSH_LOG_SYSLOG");
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
        audit_dir,
        audit_keep,
        metrics_file: either("metrics-file", "MCP_SSH_METRICS_FILE").map(PathBuf::from),
        transfer_dir: either("transfer-dir", "MCP_SSH_TRANSFER_DIR").map(PathBuf::from),
        approvals_dir: either("approvals-dir", "MCP_SSH_APPROVALS_DIR").map(PathBuf::from),
        log_file: either("log-file", "MCP_SSH_LOG_FILE").map(PathBuf::from),
        log_syslog: syslog.as_deref().map(values::syslog).transpose()?,
        audit_rotate_bytes: rotate.as_deref().map_or(Ok(audit::ROTATE_BYTES), |value| {
            size("audit-rotate-bytes", value)
        })?,
        sandbox,
        sandbox_floor,
        user: user.as_deref().map(values::account).transpose()?,
        runtime_dir: either("runtime-dir", "MCP_SSH_RUNTIME_DIR").map(PathBuf::from),
        debug: switch("MCP_SSH_DEBUG")?,
    })
}

impl Settings {
    fn from_defaults() -> Result<Self, String> {
        settings(&Line::default(), &|_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sandbox::Right;
    use crate::cli::values::{Account, Id};

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
                head: Some("00ff".into()),
                signed: None
            }
        );
        let told = problem("audit verify a --signed s");
        assert!(told.contains("--allowed-signers PATH"), "{told}");
        let told = problem("audit verify a --allowed-signers s");
        assert!(told.contains("of --signed"), "{told}");
        assert!(problem("audit sign a").contains("--key PATH"));
    }

    #[test]
    fn help_and_version_answer_whatever_else_is_said() {
        for line in ["--help", "-h", "help", "nonsense -h", "-h --sandbox=x"] {
            assert_eq!(command(line), Command::Help { topics: vec![] }, "{line}");
        }
        for line in ["check --help", "help check", "--help check", "check -h x"] {
            let topics = vec![Name::Check];
            assert_eq!(command(line), Command::Help { topics }, "{line}");
        }
        let topics = vec![
            Name::AuditVerify,
            Name::AuditSign,
            Name::AuditShow,
            Name::AuditReport,
        ];
        assert_eq!(command("help audit"), Command::Help { topics });
        assert!(problem("help chek").contains("did you mean 'check'?"));
        for line in ["-V", "version", "check --version"] {
            assert_eq!(command(line), Command::Version, "{line}");
        }
    }

    #[test]
    fn a_command_for_a_host_keeps_its_words() {
        let planned = |line: &[&str]| {
            let args = [&["program", "plan", "web1"], line].concat();
            match parse(args.into_iter().map(OsString::from), |_| None) {
                Ok(Options {
                    command: Command::Plan { command, .. },
                    ..
                }) => command,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(planned(&["df", "-h"]), "df -h");
        assert_eq!(planned(&["df", "--help", "-V"]), "df --help -V");
        assert_eq!(planned(&["df -h | head"]), "df -h | head");
        assert_eq!(planned(&["--json", "df", "--json"]), "df --json");
        assert_eq!(planned(&["--", "df", "-h"]), "df -h");
        assert_eq!(
            planned(&["grep", "a b'c", "$x", ""]),
            r"grep 'a b'\''c' '$x' ''"
        );
        assert!(problem("plan web1").contains("takes ALIAS COMMAND..."));
        let late = ["program", "plan", "web1", "df -h", "--json"].map(OsString::from);
        let told = parse(late, |_| None).unwrap_err().message;
        assert!(told.contains("options come before"), "{told}");
        let explain = Command::PolicyExplain {
            command: "tar -tf x".into(),
        };
        assert_eq!(command("policy explain tar -tf x"), explain);
    }

    #[test]
    fn hosts_to_trust_are_named_one_way() {
        let hosts = |line: &str| match command(line) {
            Command::Trust { hosts, .. } => hosts,
            other => panic!("{other:?}"),
        };
        assert_eq!(hosts("trust --all"), Selection::All);
        assert_eq!(hosts("trust --tag web"), Selection::Tag("web".into()));
        let two = Selection::Aliases(vec!["a".into(), "b".into()]);
        assert_eq!(hosts("trust a b"), two);
        for wrong in [
            "trust",
            "trust a --all",
            "trust --tag t --all",
            "trust --tag t a",
        ] {
            assert!(problem(wrong).contains("takes ALIAS"), "{wrong}");
        }
        assert!(problem("trust a b --fingerprint x").contains("of one host"));
        assert!(problem("trust a b --all-types").contains("of one host"));
    }

    #[test]
    fn unknown_words_name_the_nearest() {
        assert!(problem("chek").contains("did you mean 'check'?"));
        assert!(problem("--sandbx=off").contains("did you mean --sandbox?"));
        assert!(problem("policy tset x").contains("did you mean 'test'?"));
        assert!(problem("audit").contains("verify, sign, show, report"));
        assert!(problem("frobnicate").ends_with("unknown command 'frobnicate'"));
    }

    #[test]
    fn operands_are_counted_and_flags_belong_somewhere() {
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
        let account = Account {
            user: Id::Number(7),
            group: Some(Id::Number(8)),
        };
        assert_eq!(settings.user, Some(account));
        assert!(settings.allow_links_beneath);
    }

    #[test]
    fn records_are_where_the_environment_says() {
        let asked = |line: &[&str]| {
            let args = [&["program"], line].concat();
            let environment = |name: &str| (name == "MCP_SSH_AUDIT_DIR").then(|| "/kept".into());
            match parse(args.into_iter().map(OsString::from), environment) {
                Ok(Options {
                    command: Command::AuditVerify { files, .. },
                    ..
                }) => files,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(asked(&["audit", "verify"]), [PathBuf::from("/kept")]);
        assert_eq!(asked(&["audit", "verify", "a"]), [PathBuf::from("a")]);
        assert!(problem("audit show").contains("MCP_SSH_AUDIT_DIR"));
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
        assert!(problem("--user=1:2:3").contains("names or numbers"));
        assert!(problem("--audit-rotate-bytes=1T").contains("is not a size"));
    }
}
