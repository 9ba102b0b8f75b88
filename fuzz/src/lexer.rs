//! The reading of a command: what is accepted stays within the bounds, what is refused
//! says where and why, and the canonical form, read by an independent reader, is the tree
//! that was judged, with the same words in the same order and nothing else (P4 of the
//! policy). Nothing panics and nothing takes long (P6; libFuzzer holds the clock).
//!
//! Input: the text.

mod reader;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use mcp_ssh_orchestrator::testing::model::names::HostAlias;
use mcp_ssh_orchestrator::testing::policy::deny::substrings;
use mcp_ssh_orchestrator::testing::policy::source::{
    Action, LimitsSource, PolicySource, RuleForm, RuleSource,
};
use mcp_ssh_orchestrator::testing::policy::syntax::command::{OUTPUTS, Parsed, Refusal, STATUS};
use mcp_ssh_orchestrator::testing::policy::syntax::lexer::{
    self, MAX_BYTES, MAX_COMMANDS, MAX_WORDS, Options,
};
use mcp_ssh_orchestrator::testing::policy::{Policy, ShellMode, Subject, Verdict};

pub fn run(data: &[u8]) {
    for globs in [false, true] {
        match lexer::parse_bytes(data, Options { globs }) {
            Ok(parsed) => {
                let text = std::str::from_utf8(data).expect("what was accepted is text");
                bounded(text, &parsed);
            }
            Err(refusal) => explained(data, &refusal),
        }
    }
    let text = String::from_utf8_lossy(data);
    if let Some(normal) = substrings::normalised(&text) {
        assert_eq!(
            substrings::normalised(&normal).as_ref(),
            Some(&normal),
            "not a fixpoint of {text:?}"
        );
    }
    // Every command is allowed by the first policy, so that `sh -c` is sent as it is written;
    // by the second no shell is, so that its text is read.
    for (patterns, globs, parse) in [
        (EVERYTHING, false, lexer::parse as Parse),
        (EVERYTHING, true, lexer::parse as Parse),
        (NO_SHELL, false, lexer::parse_through_shells),
        (NO_SHELL, true, lexer::parse_through_shells),
    ] {
        let Some(canonical) = canonical(&text, patterns, globs) else {
            continue;
        };
        let before = parse(&text, Options { globs }).expect("what was allowed was understood");
        let (judged, shells) = reader::write(&before);
        assert_eq!(
            reader::read(&canonical, &shells),
            judged,
            "{text:?} became {canonical:?}"
        );
    }
}

type Parse = fn(&str, Options) -> Result<Parsed<'_>, Refusal>;

const EVERYTHING: &[&str] = &["*"];
/// No program whose name begins like that of a shell.
const NO_SHELL: &[&str] = &["[!abds/]*", "[!abds/]* *"];

/// A refusal names its faults in order, each at a place of the text.
fn explained(data: &[u8], refusal: &Refusal) {
    assert!(
        refusal
            .faults
            .iter()
            .any(|fault| fault.code == refusal.code)
    );
    assert!(refusal.faults.is_sorted_by_key(|fault| fault.position));
    let text = std::str::from_utf8(data);
    for fault in &refusal.faults {
        assert!(fault.position <= data.len());
        assert!(text.is_err() || text.is_ok_and(|text| text.is_char_boundary(fault.position)));
        assert!(fault.code.is_syntax() && !fault.code.hint().is_empty());
    }
}

fn bounded(text: &str, parsed: &Parsed<'_>) {
    assert!(
        text.len() <= MAX_BYTES && !text.contains(|c: char| c.is_control() && c != '\n'),
        "{text:?}"
    );
    assert!((1..=MAX_COMMANDS).contains(&parsed.commands.len()));
    let words: usize = parsed
        .commands
        .iter()
        .map(|command| command.words.len())
        .sum();
    assert!(words <= MAX_WORDS);
    for command in &parsed.commands {
        // With the values of a loop it is no slice of the text.
        assert!(
            text[command.start..].starts_with(&*command.text)
                || matches!(command.text, Cow::Owned(_)),
            "{text:?}"
        );
        let program = &command.words[0];
        assert!(!program.quoted && !program.text.is_empty(), "{text:?}");
        // `./run` is a program; a rule has to spell it.
        let path = program.text.strip_prefix("./").unwrap_or(&program.text);
        assert!(
            !path.split('/').any(|part| matches!(part, "." | "..")),
            "{text:?}"
        );
        for word in &command.words {
            assert!(text.is_char_boundary(word.start));
            // Quoted, zsh leaves it alone.
            assert!(word.quoted || !word.text.starts_with('='), "{text:?}");
            // What the host's variables stand for has no list of its own.
            let held = |at: &usize| {
                let mut variables = word.variables.iter();
                variables.any(|each| (each.at..each.at + each.length).contains(at))
            };
            let outputs = word.text.match_indices(OUTPUTS);
            let outputs = outputs.filter(|(at, _)| !held(at)).count();
            assert_eq!(
                outputs + usize::from(word.shell),
                word.outputs.len(),
                "{text:?}"
            );
            assert!(word.globs.iter().all(|at| {
                let marked = word.text[*at..].chars().next();
                matches!(marked, Some('*' | '?' | '~' | STATUS))
                    || marked.is_some_and(|c| OUTPUTS.contains(&c))
            }));
        }
    }
}

/// The canonical form, if a policy that has these patterns allows the text.
fn canonical(text: &str, patterns: &'static [&'static str], globs: bool) -> Option<String> {
    static POLICIES: OnceLock<[[Policy; 2]; 2]> = OnceLock::new();
    let both = |patterns| [false, true].map(|globs| policy(patterns, globs));
    let [everything, no_shell] = POLICIES.get_or_init(|| [EVERYTHING, NO_SHELL].map(both));
    let [plain, globbing] = match patterns.len() {
        1 => everything,
        _ => no_shell,
    };
    let policy = if globs { globbing } else { plain };
    let alias = HostAlias::parse("web1").expect("an alias");
    let subject = Subject {
        alias: &alias,
        tags: &[],
        shell: ShellMode::Sh,
        detached: false,
        stdin: None,
    };
    match policy.judge_text(&subject, text) {
        Verdict::Allow(authorised) => Some(authorised.canonical().to_owned()),
        _ => None,
    }
}

fn policy(patterns: &[&str], globs: bool) -> Policy {
    let form = RuleForm::Commands {
        patterns: patterns
            .iter()
            .map(|text| (1, (*text).to_owned()))
            .collect(),
        legacy_glob: false,
    };
    let rule = RuleSource {
        line: 1,
        action: Action::Allow,
        aliases: Vec::new(),
        tags: Vec::new(),
        form,
        sudo: false,
        stdin: false,
        trust_arguments: false,
        detach: false,
        examples_allow: Vec::new(),
        examples_deny: Vec::new(),
    };
    let limits = LimitsSource {
        deny_substrings: Some(Arc::new([])),
        ..LimitsSource::default()
    };
    let mut source = PolicySource {
        limits,
        rules: vec![rule],
        ..PolicySource::default()
    };
    source.shell.globs = globs;
    Policy::compile(source).expect("the policy compiles").policy
}
