//! Made-up policies of every form that `policy.yml` has, a host, and a command.
//!
//! Input: choices, of which each text may also be one of the fuzzer's own (up to the next
//! zero byte), so that dictionaries reach patterns and words.

use mcp_ssh_orchestrator::testing::model::names::{HostAlias, Tag};
use mcp_ssh_orchestrator::testing::policy::source::{
    Action, LimitsSource, PathArgs, PolicySource, RuleForm, RuleSource, ShellSource,
};
use mcp_ssh_orchestrator::testing::policy::{Quotes, ShellMode};

use super::Dice;

const PATTERNS: &[&str] = &[
    "uptime*",
    "df -h*",
    "cat /var/log/*",
    "find /var/log *",
    "find /var/log -name * -delete",
    "sudo systemctl restart nginx",
    "sudo *",
    "systemctl status *",
    "rm *",
    "sed -n *",
    "grep * /var/log/*",
    "* /tmp/x",
    "tail -n *",
    "ls*",
    "env *",
    "/opt/app/run *",
    "id",
    "docker ps*",
    "*",
    "xargs *",
    "awk *",
    "sort -o /tmp/x *",
    "c?t [/]var*",
];
pub const PROGRAMS: &[&str] = &[
    "uptime",
    "df",
    "cat",
    "/bin/cat",
    "find",
    "sudo",
    "systemctl",
    "rm",
    "sed",
    "grep",
    "tail",
    "ls",
    "env",
    "/opt/app/run",
    "id",
    "docker",
    "xargs",
    "awk",
    "sort",
    "echo",
    "head",
    "sh",
];
const WORDS: &[&str] = &[
    "uptime",
    "df",
    "-h",
    "-hT",
    "cat",
    "/var/log/syslog",
    "/var/log/../x",
    "/var/log/*",
    "/etc/p?sswd",
    "find",
    "/var/log",
    "-name",
    "'*.log'",
    "-exec",
    "-delete",
    "sudo",
    "systemctl",
    "restart",
    "status",
    "nginx",
    "rm",
    "-rf",
    "/",
    "sed",
    "-n",
    "'1,5p'",
    "grep",
    "x",
    "/tmp/x",
    "tail",
    "5",
    "ls",
    "env",
    "/opt/app/run",
    "id",
    "docker",
    "ps",
    "xargs",
    "awk",
    "'{print $1}'",
    "/bin/rm",
    "\"a b\"",
    "echo",
    "true",
    "head",
    "wc",
    "-l",
    "sort",
    "-o",
    "2>&1",
    ">/dev/null",
];
const JOINTS: &[&str] = &[
    " ",
    " ",
    " ",
    " ",
    " ",
    " ",
    " | ",
    "; ",
    " && ",
    " || ",
    "  ",
    "|",
    "\n",
    " && ! ",
    "; { ",
    "; }",
    " | ( ",
    " )",
    "; if ",
    "; then ",
    "; fi",
    "; for v in a b; do ",
    "; done",
];
const TRIPWIRES: &[&str] = &[
    "rm ",
    "-delete",
    "sudo",
    "nginx",
    "log",
    "id",
    "passwd*",
    "D?F",
    "/",
    " ",
    "restart n",
];
const PATHS: &[&str] = &["/var/log/*", "/tmp/x", "*", "-n*", "/var/*/x", "5"];
const ALIASES: &[&str] = &["web*", "db*", "web1", "*1", "*", "w?b1"];
const TAGS: &[&str] = &["web", "prod", "p*", "*"];
/// Whose limits an override may change; `web9` and `none` are nobody's.
const NAMES: [&str; 3] = ["web1", "db1", "web9"];
const OWNED: [&str; 3] = ["web", "prod", "none"];

pub struct Scene {
    pub source: PolicySource,
    pub alias: HostAlias,
    pub tags: Vec<Tag>,
    pub shell: ShellMode,
    pub command: String,
}

impl Scene {
    pub fn new(dice: &mut Dice<'_>) -> Self {
        let flags = dice.byte();
        let flag = |bit: u8| flags >> bit & 1 == 1;
        let tag = |name: &str| Tag::parse(name).expect("a tag");
        let tags = [flag(0).then(|| tag("web")), flag(1).then(|| tag("prod"))];
        let mut tags: Vec<Tag> = tags.into_iter().flatten().collect();
        if flag(2) {
            tags.reverse();
        }
        let alias = if flag(3) { "db1" } else { "web1" };
        let shell = if flag(4) {
            ShellMode::Direct(if flag(0) {
                Quotes::Double
            } else {
                Quotes::None
            })
        } else {
            ShellMode::Sh
        };
        let source = PolicySource {
            shell: ShellSource {
                filters: flag(5),
                globs: flag(6),
            },
            limits: limits(dice),
            rules: (1..=1 + dice.below(5))
                .map(|line| {
                    let actions = [Action::Allow, Action::Allow, Action::Ask, Action::Deny];
                    let action = *dice.pick(&actions);
                    rule(dice, line, action)
                })
                .collect(),
            alias_overrides: overrides(dice, NAMES),
            tag_overrides: overrides(dice, OWNED),
            ..PolicySource::default()
        };
        Scene {
            source,
            alias: HostAlias::parse(alias).expect("an alias"),
            tags,
            shell,
            command: command(dice),
        }
    }
}

/// One of these, or one of the fuzzer's own.
fn text(dice: &mut Dice<'_>, from: &[&str]) -> String {
    match dice.byte() {
        255 => String::from_utf8_lossy(dice.field()).into_owned(),
        number => from[usize::from(number) % from.len()].to_owned(),
    }
}

fn texts(dice: &mut Dice<'_>, from: &[&str], bound: usize) -> Vec<String> {
    (0..dice.below(bound)).map(|_| text(dice, from)).collect()
}

fn command(dice: &mut Dice<'_>) -> String {
    let mut command = String::new();
    for index in 0..1 + dice.below(12) {
        if index > 0 {
            command += *dice.pick(JOINTS);
        }
        command += &text(dice, WORDS);
    }
    command
}

pub fn entry(dice: &mut Dice<'_>) -> String {
    text(dice, TRIPWIRES)
}

pub fn rule(dice: &mut Dice<'_>, line: usize, action: Action) -> RuleSource {
    let (aliases, tags) = match dice.below(4) {
        0 => (texts(dice, ALIASES, 3), texts(dice, TAGS, 3)),
        1 => (Vec::new(), texts(dice, TAGS, 3)),
        2 => (texts(dice, ALIASES, 3), Vec::new()),
        _ => (Vec::new(), Vec::new()),
    };
    RuleSource {
        line,
        action,
        aliases,
        tags,
        form: form(dice, line),
        sudo: false,
        stdin: false,
        trust_arguments: false,
        detach: false,
        examples_allow: Vec::new(),
        examples_deny: Vec::new(),
    }
}

fn form(dice: &mut Dice<'_>, line: usize) -> RuleForm {
    match dice.below(4) {
        0 | 1 => RuleForm::Commands {
            patterns: (0..1 + dice.below(2))
                .map(|_| (line, text(dice, PATTERNS)))
                .collect(),
            legacy_glob: dice.below(4) == 3,
        },
        2 => RuleForm::Simple {
            binaries: (0..1 + dice.below(3))
                .map(|_| text(dice, PROGRAMS))
                .collect(),
            max_args: *dice.pick(&[None, Some(0), Some(1), Some(2)]),
        },
        _ => RuleForm::Structured {
            binary: text(dice, PROGRAMS),
            arg_prefix: texts(dice, WORDS, 3),
            allow_extra_args: dice.yes(),
            path_args: dice.yes().then(|| PathArgs {
                indices: (0..1 + dice.below(2)).map(|_| dice.below(4)).collect(),
                patterns: (0..1 + dice.below(2)).map(|_| text(dice, PATHS)).collect(),
            }),
        },
    }
}

fn limits(dice: &mut Dice<'_>) -> LimitsSource {
    LimitsSource {
        deny_substrings: dice
            .yes()
            .then(|| texts(dice, TRIPWIRES, 3).into_iter().collect()),
        max_seconds: dice.yes().then(|| 1 + u32::from(dice.byte())),
        ..LimitsSource::default()
    }
}

fn overrides(dice: &mut Dice<'_>, names: [&str; 3]) -> Vec<(String, LimitsSource)> {
    let which = dice.below(8);
    let named = names.iter().enumerate();
    named
        .filter(|(index, _)| which >> index & 1 == 1)
        .map(|(_, name)| ((*name).to_owned(), limits(dice)))
        .collect()
}
