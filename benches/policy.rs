//! How long a decision takes under 10 to 10,000 rules, and under patterns and commands
//! made to be slow. Prints a table; asserts nothing.
//!
//! Run with `cargo bench --bench policy`. With `-- judge COMMAND` it judges one command a
//! thousand times under a thousand rules and prints nothing: `valgrind --tool=callgrind` then
//! counts the instructions of a decision, which other work on the machine does not change.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints and stops at the first failure"
)]

use std::hint::black_box;
use std::time::Instant;

use mcp_ssh_orchestrator::testing::model::names::{CommandText, HostAlias, Tag};
use mcp_ssh_orchestrator::testing::policy::source::{Action, PolicySource, RuleForm, RuleSource};
use mcp_ssh_orchestrator::testing::policy::{Policy, ShellMode, Subject};

fn rule(line: usize, action: Action, command: String) -> RuleSource {
    RuleSource {
        line,
        action,
        aliases: vec!["web-*".into()],
        tags: vec!["production".into()],
        form: RuleForm::Commands {
            patterns: vec![(line, command)],
            legacy_glob: false,
        },
        sudo: false,
        stdin: false,
        trust_arguments: false,
        detach: false,
        examples_allow: Vec::new(),
        examples_deny: Vec::new(),
    }
}

fn policy(rules: Vec<RuleSource>) -> Policy {
    let source = PolicySource {
        rules,
        ..PolicySource::default()
    };
    Policy::compile(source).unwrap().policy
}

/// Rules as a large fleet has them: most for other programs, many for the same one.
fn mixed(count: usize) -> Policy {
    let rules = (0..count).map(|n| match n % 4 {
        0 => rule(n, Action::Allow, format!("tool{n} status *")),
        1 => rule(n, Action::Allow, format!("systemctl status svc{n}*")),
        2 => rule(n, Action::Deny, format!("forbidden{n} *")),
        _ => rule(n, Action::Ask, format!("sudo systemctl restart svc{n}")),
    });
    let last = rule(count, Action::Allow, "journalctl -u *".into());
    policy(rules.chain([last]).collect())
}

fn judge_often(command: &str) {
    let policy = mixed(1_000);
    let command = CommandText::parse(command).unwrap();
    with_subject(|subject| {
        for _ in 0..1_000 {
            let _ = black_box(policy.judge(subject, black_box(&command)));
        }
    });
}

/// Median nanoseconds of a decision.
fn measure(policy: &Policy, command: &str) -> u128 {
    let command = CommandText::parse(command).unwrap();
    let mut times: Vec<u128> = Vec::new();
    with_subject(|subject| {
        for _ in 0..101 {
            let start = Instant::now();
            for _ in 0..20 {
                let _ = black_box(policy.judge(subject, black_box(&command)));
            }
            times.push(start.elapsed().as_nanos() / 20);
        }
    });
    times.sort_unstable();
    times[times.len() / 2]
}

fn with_subject(work: impl FnOnce(&Subject<'_>)) {
    let alias = HostAlias::parse("web-1").unwrap();
    let tags = [
        Tag::parse("linux").unwrap(),
        Tag::parse("production").unwrap(),
    ];
    work(&Subject {
        alias: &alias,
        tags: &tags,
        shell: ShellMode::Sh,
        detached: false,
        stdin: None,
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "judge") {
        return judge_often(&arguments[at + 1]);
    }
    let commands = [
        ("one command", "journalctl -u nginx"),
        ("no rule", "touch /tmp/x"),
        (
            "a pipeline",
            "journalctl -u nginx -n 100 | grep -i error | tail -n 5",
        ),
        (
            "quoted words",
            "journalctl -u 'my service' --since \"1 hour ago\"",
        ),
    ];
    println!("{:>8}  {:<16} {:>10}", "rules", "command", "ns");
    for count in [10, 100, 1_000, 10_000] {
        let policy = mixed(count);
        for (name, command) in commands {
            println!("{count:>8}  {name:<16} {:>10}", measure(&policy, command));
        }
    }
    // What begins with a wildcard, against as many rules that do not.
    let forms = [
        ("tool{n} status *", Action::Allow),
        ("*ctl{n} status *", Action::Allow),
        ("* --unit svc{n}*", Action::Allow),
        ("*drop{n}*", Action::Deny),
    ];
    for (form, action) in forms {
        let pattern = |n: usize| form.replace("{n}", &n.to_string());
        let rules = (0..2_000).map(|n| rule(n, action, pattern(n)));
        let policy = policy(rules.collect());
        let command = "myctl7 status nginx";
        println!("{:>8}  {form:<16} {:>10}", 2_000, measure(&policy, command));
    }
    let stars = policy(vec![rule(
        1,
        Action::Allow,
        format!("x {}b", "a*".repeat(500)),
    )]);
    let long = format!("x {}", "a".repeat(8_000));
    println!(
        "{:>8}  {:<16} {:>10}",
        1,
        "500 stars, 8 KB",
        measure(&stars, &long)
    );
    let deny = (0..1_000).map(|n| rule(n, Action::Deny, format!("*a*{n}*b*c")));
    let deny = policy(deny.collect());
    let tails = format!("sudo{}", " rm".repeat(250));
    println!(
        "{:>8}  {:<16} {:>10}",
        1_000,
        "250 tails",
        measure(&deny, &tails)
    );
}
