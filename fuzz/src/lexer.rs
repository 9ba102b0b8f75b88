//! The reading of a command: what is accepted stays within the bounds, and its canonical
//! form, read as a POSIX shell reads it, has the same words (P4 of the policy). Nothing
//! panics and nothing takes long (P6; libFuzzer holds the clock).
//!
//! Input: the text.

use std::sync::{Arc, OnceLock};

use mcp_ssh_orchestrator::testing::model::names::HostAlias;
use mcp_ssh_orchestrator::testing::policy::deny::substrings;
use mcp_ssh_orchestrator::testing::policy::source::{
    Action, LimitsSource, PolicySource, RuleForm, RuleSource,
};
use mcp_ssh_orchestrator::testing::policy::syntax::lexer::{
    self, MAX_BYTES, MAX_COMMANDS, MAX_WORDS, Options, Parsed,
};
use mcp_ssh_orchestrator::testing::policy::{Policy, ShellMode, Subject, Verdict};

pub fn run(data: &[u8]) {
    for globs in [false, true] {
        let Ok(parsed) = lexer::parse_bytes(data, Options { globs }) else {
            continue;
        };
        let text = std::str::from_utf8(data).expect("what was accepted is text");
        bounded(text, &parsed);
    }
    let text = String::from_utf8_lossy(data);
    if let Some(normal) = substrings::normalised(&text) {
        assert_eq!(
            substrings::normalised(&normal).as_ref(),
            Some(&normal),
            "not a fixpoint of {text:?}"
        );
    }
    let Some(canonical) = canonical(&text) else {
        return;
    };
    let before = lexer::parse(&text, Options::default()).expect("what was allowed was understood");
    assert_eq!(
        read(&canonical),
        shape(&before),
        "{text:?} became {canonical:?}"
    );
}

fn bounded(text: &str, parsed: &Parsed<'_>) {
    assert!(
        text.len() <= MAX_BYTES && !text.contains(|c: char| c.is_control()),
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
        assert!(text[command.start..].starts_with(command.text), "{text:?}");
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
            // Quoted, zsh leaves them alone.
            assert!(
                word.quoted || !word.text.starts_with(['=', '%']),
                "{text:?}"
            );
            assert!(
                word.globs
                    .iter()
                    .all(|at| matches!(word.text.as_bytes()[*at], b'*' | b'?'))
            );
        }
    }
}

type Shape = Vec<(String, Vec<String>, Vec<String>)>;

/// All that a shell will make of it.
fn shape(parsed: &Parsed<'_>) -> Shape {
    let texts = |command: &lexer::Simple<'_>| {
        let words = command
            .words
            .iter()
            .map(|word| word.text.clone().into_owned());
        let redirects = command
            .redirects
            .iter()
            .map(|redirect| redirect.as_str().to_owned());
        (
            command.joint.as_str().to_owned(),
            words.collect(),
            redirects.collect(),
        )
    };
    parsed.commands.iter().map(texts).collect()
}

/// Reads a canonical form by the few rules of POSIX that it uses (XCU 2.2 and 2.3), knowing
/// nothing of the lexer: single quotes, backslashes, blanks, operators, redirections.
fn read(canonical: &str) -> Shape {
    let mut shape: Shape = vec![(String::new(), Vec::new(), Vec::new())];
    for token in tokens(canonical) {
        let (_, words, redirects) = shape.last_mut().expect("there is one");
        match token {
            (word, true) => words.push(word),
            (operator, false) if [";", "&&", "||", "|"].contains(&operator.as_str()) => {
                shape.push((format!(" {operator} "), Vec::new(), Vec::new()));
            }
            (redirect, false) => redirects.push(redirect),
        }
    }
    shape
}

/// Tokens between blanks, and whether they hold a quote: all words do, nothing else does.
fn tokens(text: &str) -> Vec<(String, bool)> {
    let mut all: Vec<(String, bool)> = Vec::new();
    let (mut token, mut quoted) = (String::new(), false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' => {
                all.push((std::mem::take(&mut token), quoted));
                quoted = false;
            }
            '\'' => {
                quoted = true;
                token.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '\\' => {
                quoted = true;
                token.extend(chars.next());
            }
            c => token.push(c),
        }
    }
    all.push((token, quoted));
    all
}

/// The canonical form, if a policy that trusts everything allows the text.
fn canonical(text: &str) -> Option<String> {
    static TRUSTING: OnceLock<Policy> = OnceLock::new();
    let policy = TRUSTING.get_or_init(|| {
        let form = RuleForm::Commands {
            patterns: vec![(1, "*".into())],
            legacy_glob: false,
        };
        let rule = RuleSource {
            line: 1,
            action: Action::Allow,
            aliases: Vec::new(),
            tags: Vec::new(),
            form,
            examples_allow: Vec::new(),
            examples_deny: Vec::new(),
        };
        let limits = LimitsSource {
            deny_substrings: Some(Arc::new([])),
            ..LimitsSource::default()
        };
        let source = PolicySource {
            limits,
            rules: vec![rule],
            ..PolicySource::default()
        };
        Policy::compile(source).expect("the policy compiles").policy
    });
    let alias = HostAlias::parse("web1").expect("an alias");
    let subject = Subject {
        alias: &alias,
        tags: &[],
        shell: ShellMode::Sh,
    };
    match policy.judge_text(&subject, text) {
        Verdict::Allow(authorised) => Some(authorised.canonical().to_owned()),
        _ => None,
    }
}
