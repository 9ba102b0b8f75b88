//! The whole decision, over made-up policies and commands: a further deny never allows
//! more (P5), the order of the rules does not matter, and what is allowed was matched:
//! each of its commands by a rule that allows, or it is one that needs no rule.
//!
//! Input: choices. See `Scene::new`.

use std::sync::Arc;

use mcp_ssh_orchestrator::config::types::{HostAlias, Tag};
use mcp_ssh_orchestrator::policy::lex::{self, Joint, Options};
use mcp_ssh_orchestrator::policy::pattern::Pattern;
use mcp_ssh_orchestrator::policy::source::{
    Action, LimitsSource, PolicySource, RuleForm, RuleSource, ShellSource,
};
use mcp_ssh_orchestrator::policy::{Policy, ShellMode, Subject, Verdict};

use super::dice::Dice;

const PATTERNS: &[&str] = &[
    "uptime*",
    "df -h*",
    "cat /var/log/*",
    "find /var/log *",
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
];
const WORDS: &[&str] = &[
    "uptime",
    "df",
    "-h",
    "-hT",
    "cat",
    "/var/log/syslog",
    "/var/log/../x",
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
const JOINTS: &[&str] = &[" ", " ", " ", " ", " ", " ", " | ", "; ", " && ", " || "];
const TRIPWIRES: &[&str] = &["rm ", "-delete", "sudo", "nginx", "log", "id", "passwd*"];

struct Scene {
    rules: Vec<(Action, String, bool)>,
    tripwires: Vec<String>,
    filters: bool,
    command: String,
}

impl Scene {
    fn new(dice: &mut Dice<'_>) -> Self {
        let filters = dice.yes();
        let rule = |dice: &mut Dice<'_>| {
            let action = *dice.pick(&[Action::Allow, Action::Allow, Action::Ask, Action::Deny]);
            (
                action,
                (*dice.pick(PATTERNS)).to_owned(),
                dice.below(4) != 0,
            )
        };
        let rules = (0..1 + dice.below(5)).map(|_| rule(dice)).collect();
        let tripwires = (0..dice.below(3))
            .map(|_| (*dice.pick(TRIPWIRES)).to_owned())
            .collect();
        let mut command = String::new();
        if dice.below(8) == 0 {
            command += &String::from_utf8_lossy(dice.take(200));
        } else {
            for index in 0..1 + dice.below(10) {
                if index > 0 {
                    command += *dice.pick(JOINTS);
                }
                command += *dice.pick(WORDS);
            }
        }
        Scene {
            rules,
            tripwires,
            filters,
            command,
        }
    }

    /// The policy of the scene, with a rule and an entry more, or the other way round.
    fn policy(
        &self,
        extra: Option<(usize, &str)>,
        entry: Option<&str>,
        reversed: bool,
    ) -> Option<Policy> {
        let mut rules = self.rules.clone();
        if let Some((at, pattern)) = extra {
            rules.insert(
                at.min(rules.len()),
                (Action::Deny, pattern.to_owned(), true),
            );
        }
        if reversed {
            rules.reverse();
        }
        let tripwires = self
            .tripwires
            .iter()
            .map(String::as_str)
            .chain(entry)
            .map(str::to_owned);
        let source = PolicySource {
            limits: LimitsSource {
                deny_substrings: Some(tripwires.collect()),
                ..LimitsSource::default()
            },
            rules: rules
                .into_iter()
                .enumerate()
                .map(|(line, rule)| self.rule(line, rule))
                .collect(),
            shell: ShellSource {
                filters: self.filters,
                ..ShellSource::default()
            },
            ..PolicySource::default()
        };
        Some(Policy::compile(source).ok()?.policy)
    }

    fn rule(&self, line: usize, (action, pattern, here): (Action, String, bool)) -> RuleSource {
        RuleSource {
            line: line + 1,
            action,
            aliases: vec![if here { "web*" } else { "db*" }.to_owned()],
            tags: Vec::new(),
            form: RuleForm::Commands {
                patterns: vec![(line + 1, pattern)],
                legacy_glob: false,
            },
            examples_allow: Vec::new(),
            examples_deny: Vec::new(),
        }
    }
}

pub fn run(data: &[u8]) {
    let mut dice = Dice::new(data);
    let scene = Scene::new(&mut dice);
    let (at, pattern, entry) = (dice.below(6), *dice.pick(PATTERNS), *dice.pick(TRIPWIRES));
    let Some(policy) = scene.policy(None, None, false) else {
        return;
    };
    let verdict = judge(&policy, &scene.command);
    let rank = rank(&verdict);

    let more = |extra, entry| {
        scene
            .policy(extra, entry, false)
            .map(|policy| self::rank(&judge(&policy, &scene.command)))
    };
    let stricter = more(Some((at, pattern)), None)
        .into_iter()
        .chain(more(None, Some(entry)));
    for other in stricter {
        assert!(
            other <= rank,
            "a deny more ({pattern:?} or {entry:?}) allowed more: {:?}",
            scene.command
        );
    }
    if let Some(reversed) = scene.policy(None, None, true) {
        assert_eq!(
            self::rank(&judge(&reversed, &scene.command)),
            rank,
            "the order matters: {:?}",
            scene.command
        );
    }
    match &verdict {
        Verdict::Allow(_) => each_was_matched(&scene, &[Action::Allow]),
        Verdict::Ask(_) => each_was_matched(&scene, &[Action::Allow, Action::Ask]),
        Verdict::Deny(denial) => assert!(!denial.why().is_empty() && !denial.hint().is_empty()),
    }
}

fn judge(policy: &Policy, command: &str) -> Verdict {
    let alias = HostAlias::parse("web1").expect("an alias");
    let tags = [Tag::parse("web").expect("a tag")];
    let subject = Subject {
        alias: &alias,
        tags: &tags,
        shell: ShellMode::Sh,
    };
    policy.judge_text(&subject, command)
}

fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Deny(_) => 0,
        Verdict::Ask(_) => 1,
        Verdict::Allow(_) => 2,
    }
}

fn each_was_matched(scene: &Scene, actions: &[Action]) {
    let parsed = lex::parse(&scene.command, Options::default()).expect("what runs was understood");
    let patterns: Vec<Arc<Pattern>> = scene
        .rules
        .iter()
        .filter(|(action, _, here)| *here && actions.contains(action))
        .filter_map(|(_, pattern, _)| Pattern::parse(pattern).ok().map(Arc::new))
        .collect();
    for command in &parsed.commands {
        let free = matches!(&*command.words[0].text, "echo" | "true" | "false");
        let filter = scene.filters && command.joint == Joint::Pipe;
        let ruled = patterns
            .iter()
            .any(|pattern| pattern.matches(&command.words));
        assert!(
            free || filter || ruled,
            "nothing allows {:?} of {:?}",
            command.text,
            scene.command
        );
    }
}
