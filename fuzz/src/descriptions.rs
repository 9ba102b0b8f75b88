//! Descriptions of programs: any words behind any described program.
//!
//! - Reading them ends, and says the same each time.
//! - A word that a description leaves out on purpose, first behind the program, makes the
//!   whole unknown or says what it does: it never leaves a reading that only reads.
//! - What a rule of all sets allows is what is read as `reads`, word by word.
//!
//! Input: the program, then words, each picked out of the descriptions or taken as bytes.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use mcp_ssh_orchestrator::testing::model::names::HostAlias;
use mcp_ssh_orchestrator::testing::policy::programs::probe;
use mcp_ssh_orchestrator::testing::policy::source::{
    Action, LimitsSource, PolicySource, ReadsSource, RuleForm, RuleSource, ShellSource,
};
use mcp_ssh_orchestrator::testing::policy::syntax::lexer;
use mcp_ssh_orchestrator::testing::policy::{Policy, ShellMode, Subject, Verdict};

use super::dice::Dice;

/// Most words of an invocation; the lexer takes 256.
const MOST_WORDS: usize = 24;

/// What is in the descriptions' own text.
struct Vocabulary {
    programs: Vec<&'static str>,
    /// Of a program: what it leaves out on purpose, at its first level.
    left_out: BTreeMap<&'static str, Vec<&'static str>>,
    words: Vec<&'static str>,
    sets: Vec<&'static str>,
}

pub fn run(data: &[u8]) {
    let known = vocabulary();
    let mut dice = Dice::new(data);
    let index = dice.below(256) * 256 + dice.below(256);
    let program = known.programs[index % known.programs.len()];
    let mut words = vec![program.to_owned()];
    while !dice.is_empty() && words.len() < MOST_WORDS {
        words.push(word(&mut dice, known, program));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(look) = probe::look(&words) else {
        panic!("{program} is described");
    };
    let again = probe::look(&words).and_then(|look| look.effects);
    assert_eq!(look.effects, again, "{words:?}");
    if let Some(inner) = &look.inner {
        assert!(inner.start > 0 && inner.end <= words.len(), "{words:?}");
    }
    let left_out = known.left_out.get(program).into_iter().flatten();
    for word in left_out.filter(|word| words.get(1) == Some(word)) {
        assert_ne!(
            look.effects.as_deref(),
            Some("reads"),
            "{word} of {words:?}"
        );
    }
    what_is_allowed_only_reads(&words, &look);
}

/// Quoted as one plain command, under a rule of all sets without files.
fn what_is_allowed_only_reads(words: &[&str], look: &probe::Look) {
    let quoted = words.iter().map(|word| match word.contains('\'') {
        true => None,
        false => Some(format!("'{word}'")),
    });
    let Some(mut quoted) = quoted.collect::<Option<Vec<String>>>() else {
        return;
    };
    // A program is never quoted.
    quoted[0] = words[0].to_owned();
    let text = quoted.join(" ");
    let alias = HostAlias::parse("h").expect("a plain name");
    let subject = Subject {
        alias: &alias,
        tags: &[],
        shell: ShellMode::Sh,
        detached: false,
        stdin: None,
    };
    let Verdict::Allow(_) = policy().judge_text(&subject, &text) else {
        return;
    };
    let parsed = lexer::parse(&text, lexer::Options::default()).expect("what is allowed was read");
    let one = parsed.commands.len() == 1;
    let needs_no_rule = ["echo", "printf", "true", "false"].contains(&words[0]);
    // What runs something else is judged by that.
    if one && !needs_no_rule && look.inner.is_none() {
        assert_eq!(look.effects.as_deref(), Some("reads"), "{text}");
    }
}

fn word(dice: &mut Dice<'_>, known: &Vocabulary, program: &str) -> String {
    match dice.below(8) {
        0 => String::from_utf8_lossy(dice.field()).into_owned(),
        1 => match known.left_out.get(program) {
            Some(words) => (*dice.pick(words)).to_owned(),
            None => "-x".to_owned(),
        },
        // Glued: `-n5`, `--lines=5`, `NAME=VALUE`.
        2 => {
            let glue = ["", "=", "/", ":"][dice.below(4)];
            format!("{}{glue}{}", any(dice, known), any(dice, known))
        }
        3 => {
            ["--", "-", "/etc/shadow", "5", "a", ".", "x=y", "http://h/"][dice.below(8)].to_owned()
        }
        _ => any(dice, known).to_owned(),
    }
}

fn any(dice: &mut Dice<'_>, known: &Vocabulary) -> &'static str {
    let index = dice.below(256) * 256 + dice.below(256);
    known.words[index % known.words.len()]
}

fn vocabulary() -> &'static Vocabulary {
    static KNOWN: OnceLock<Vocabulary> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known = Vocabulary {
            programs: Vec::new(),
            left_out: BTreeMap::new(),
            words: Vec::new(),
            sets: Vec::new(),
        };
        for (_, text) in probe::families() {
            let mut names: Vec<&'static str> = Vec::new();
            for line in text.lines() {
                let fact = line.split(" -- ").next().unwrap_or_default();
                let mut words = fact.split_whitespace();
                let head = words.next().unwrap_or_default();
                let rest: Vec<&'static str> = words.collect();
                match head {
                    "program" | "programs" => {
                        names = rest.iter().flat_map(|name| name.split('=')).collect();
                        let described = |name: &&&str| probe::look(&[name]).is_some();
                        known.programs.extend(names.iter().filter(described));
                    }
                    "sets" => known.sets.extend(&rest),
                    "without" if line.starts_with("  without") => {
                        for name in &names {
                            known.left_out.entry(name).or_default().extend(&rest);
                        }
                    }
                    _ => known.words.extend(rest),
                }
            }
        }
        known.sets.sort_unstable();
        known.sets.dedup();
        assert!(known.programs.len() > 200 && known.words.len() > 1_000);
        known
    })
}

fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| {
        let sets = vocabulary().sets.iter().map(|set| (1, (*set).to_owned()));
        let rule = RuleSource {
            line: 1,
            action: Action::Allow,
            aliases: Vec::new(),
            tags: Vec::new(),
            form: RuleForm::Reads(ReadsSource {
                sets: sets.collect(),
                ..ReadsSource::default()
            }),
            sudo: false,
            stdin: false,
            trust_arguments: false,
            detach: false,
            examples_allow: Vec::new(),
            examples_deny: Vec::new(),
        };
        let source = PolicySource {
            rules: vec![rule],
            limits: LimitsSource {
                deny_substrings: Some([].into()),
                ..LimitsSource::default()
            },
            shell: ShellSource {
                globs: false,
                filters: false,
            },
            ..PolicySource::default()
        };
        Policy::compile(source).expect("all sets exist").policy
    })
}
