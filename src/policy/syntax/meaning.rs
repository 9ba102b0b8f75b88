//! What the words of a simple command are meant as, where a shell could take them for more.
//!
//! Owns small tables: where a pattern stands that is no name of a file (`grep [i]ndexer`,
//! `find -name *.conf`), which variables change the form of an output and nothing else,
//! which programs stand for a builtin. Refuses in doubt. Called by the simple command.

use std::borrow::Cow;

use crate::policy::hazard::wrappers;
use crate::policy::syntax::command::{OUTPUT, OUTPUTS, STATUS, Word};

/// Programs whose first operand is a pattern or a script, not a file.
const PATTERN_FIRST: &[&str] = &[
    "egrep", "fgrep", "grep", "pgrep", "pidof", "pkill", "rg", "tr", "zgrep",
];

/// Programs, each with the word behind it if only that one counts, whose operands are names
/// of packages, units, keys or containers, or patterns of such.
const NAMES_ONLY: &[(&str, &str)] = &[
    ("apt", "list"),
    ("apt-cache", ""),
    ("dnf", "list"),
    ("docker", "ps"),
    ("dpkg", "-l"),
    ("dpkg-query", ""),
    ("journalctl", ""),
    ("podman", "ps"),
    ("redis-cli", ""),
    ("rpm", "-qa"),
    ("systemctl", ""),
    ("yum", "list"),
];

/// Options of `find` and `locate` that a pattern follows.
const PATTERN_OPTIONS: &[&str] = &[
    "-name",
    "-iname",
    "-path",
    "-ipath",
    "-wholename",
    "-iwholename",
    "-lname",
    "-ilname",
    "-regex",
    "-iregex",
];

/// What `seq LAST`, `seq FIRST LAST` or `seq FIRST STEP LAST` prints, of whole numbers without a
/// sign or a zero in front; `None` for nothing, and for more than a thousand, far beyond what a
/// text may have.
pub(crate) fn sequence(words: &[&str]) -> Option<Vec<String>> {
    let [program, numbers @ ..] = words else {
        return None;
    };
    let plain = |text: &&str| text.len() <= 9 && (**text == *"0" || !text.starts_with('0'));
    let number = |text: &&str| {
        text.parse::<usize>()
            .ok()
            .filter(|_| plain(text) && !text.starts_with('+'))
    };
    let numbers: Vec<usize> = numbers.iter().map(number).collect::<Option<_>>()?;
    let (first, step, last) = match numbers.as_slice() {
        [last] => (1, 1, *last),
        [first, last] => (*first, 1, *last),
        [first, step, last] => (*first, *step, *last),
        _ => return None,
    };
    if *program != "seq" || step == 0 || first > last || (last - first) / step >= 1000 {
        return None;
    }
    Some(
        (first..=last)
            .step_by(step)
            .map(|n| n.to_string())
            .collect(),
    )
}

/// Programs whose operands are URLs.
const CLIENTS_OF_URLS: &[&str] = &["curl", "wget"];

/// Whether the only wildcard of a URL is the `?` of its query (RFC 3986 section 3.4): a shell
/// would look for a folder called `http:` or `localhost:9200`.
fn is_query(text: &str) -> bool {
    let Some((before, query)) = text.split_once('?') else {
        return false;
    };
    let authority = before.split('/').next().unwrap_or_default();
    let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
    });
    (before.starts_with("http://") || before.starts_with("https://") || has_port)
        && !before.contains(['*', '[', ']'])
        && !query.contains(['*', '?', '[', ']'])
}

/// Whether the word at `index` is a pattern or a URL that the program itself reads.
pub(crate) fn is_pattern(words: &[Word<'_>], index: usize) -> bool {
    let text = |index: usize| words.get(index).map_or("", |word| &*word.text);
    let at = match (text(0), text(1)) {
        ("sudo", "-n") => 2,
        ("sudo", _) => 1,
        _ => 0,
    };
    let program = wrappers::base_name(text(at));
    if index <= at {
        return false;
    }
    if CLIENTS_OF_URLS.contains(&program) && is_query(text(index)) {
        return true;
    }
    if text(index).contains('/') {
        return false;
    }
    if program == "find" {
        return PATTERN_OPTIONS.contains(&text(index - 1));
    }
    let first = text(at + 1);
    if NAMES_ONLY.contains(&(program, "")) || NAMES_ONLY.contains(&(program, first)) {
        return true;
    }
    // The first word that is no option; with an option's value before it, that is refused.
    PATTERN_FIRST.contains(&program)
        && !text(index).starts_with('-')
        && (at + 1..index).all(|before| text(before).starts_with('-') && text(before) != "--")
}

/// Wildcards only in a path that starts with `/` or `./` (so that no result is an option),
/// without `..`, and not in a component that starts with a dot (so that none becomes `..`).
pub(crate) fn globs_are_plain(word: &Word<'_>) -> bool {
    let text = &*word.text;
    let mut offset = 0;
    (text.starts_with('/') || text.starts_with("./"))
        && !text.contains(OUTPUTS)
        && !text.contains(STATUS)
        && text.split('/').all(|component| {
            let range = offset..=offset + component.len();
            offset += component.len() + 1;
            let globbed = word.globs.iter().any(|at| range.contains(at));
            // `**` goes down to every depth in fish and zsh.
            component != ".."
                && !component.contains("**")
                && !(globbed && component.starts_with('.'))
        })
}

/// Where in the text a byte of a word stands, as nearly as quotes let it be told.
pub(crate) fn position_in_text(word: &Word<'_>, offset: usize, text: &str) -> usize {
    let sought = word.text.as_bytes().get(offset).copied();
    let found = text.as_bytes().iter().enumerate().skip(word.start + offset);
    found
        .take(64)
        .find(|(_, byte)| Some(**byte) == sought)
        .map_or(word.start, |(at, _)| at)
}

/// Whether the word at `index` is an operand of a program that prints it and does nothing else.
pub(crate) fn prints(words: &[Word<'_>], index: usize) -> bool {
    let program = words
        .first()
        .map_or("", |word| wrappers::base_name(&word.text));
    (program == "echo" && index > 0) || (program == "printf" && index > 1)
}

/// Most outputs of commands within the words of one command, each of which may be empty.
const OUTPUTS_MAX: usize = 3;

/// The places of words that hold another command's output, or `$?`, where that could be an
/// option or another file than the policy knows: the word must begin with text of its own,
/// or be an operand of a program that only prints it. An output that is no option by its form
/// may begin a word, and be the value of a long option.
pub(crate) fn loose_outputs(words: &[Word<'_>]) -> Vec<usize> {
    let program = words
        .first()
        .map_or("", |word| wrappers::base_name(&word.text));
    let prints = |index: usize| prints(words, index);
    let is_loose = |(index, word): &(usize, &Word<'_>)| {
        let begins = !word.text.starts_with([OUTPUT, '-']);
        let output = word.text.contains(OUTPUT) && !begins && !prints(*index);
        let typed =
            word.text.contains(OUTPUTS) && !prints(*index) && !cannot_be_an_option(&word.text);
        // A number is no danger to what compares numbers.
        let compares = matches!(program, "test" | "[") && word.text.chars().eq([STATUS]);
        let status = word.text.contains(STATUS) && !prints(*index) && !compares;
        output || typed || status
    };
    let count = |word: &Word<'_>| word.text.matches(OUTPUTS).count();
    let several = words.iter().filter(|word| word.is_several());
    let too_many =
        words.iter().map(count).sum::<usize>() > OUTPUTS_MAX && !prints(2) || several.count() > 1;
    let all = words.iter().enumerate();
    all.filter(|word| is_loose(word) || (too_many && word.1.text.contains(OUTPUTS)))
        .map(|(_, word)| word.start)
        .collect()
}

/// Whether no output, an empty one included, makes an option of it, or another one.
fn cannot_be_an_option(text: &str) -> bool {
    let rest = text.trim_start_matches(OUTPUTS);
    match rest.strip_prefix("--").filter(|_| rest.len() == text.len()) {
        Some(long) => {
            let name = long.split(OUTPUTS).next().unwrap_or_default();
            name.contains('=')
        }
        None => !rest.starts_with('-'),
    }
}

/// `NAME` of an assignment.
pub(crate) fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether setting this variable to this value changes how something is printed and
/// nothing else.
pub(crate) fn changes_form_only(name: &str, value: &str) -> bool {
    let plain = |extra: &str| {
        value.len() <= 64
            && value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.@+-".contains(c) || extra.contains(c))
    };
    let number = value.bytes().all(|byte| byte.is_ascii_digit());
    match name {
        "LANG" | "LANGUAGE" => plain(":"),
        "TZ" => plain("/,<>") && !value.starts_with('/') && !value.contains(".."),
        "COLUMNS" | "LINES" | "NO_COLOR" | "CLICOLOR" | "SYSTEMD_COLORS" => number,
        "PAGER" | "GIT_PAGER" | "MANPAGER" | "SYSTEMD_PAGER" => matches!(value, "" | "cat"),
        "TERM" => matches!(
            value,
            "dumb" | "linux" | "xterm" | "xterm-256color" | "vt100"
        ),
        "DEBIAN_FRONTEND" => matches!(value, "noninteractive" | "readline" | "teletype"),
        _ => name.starts_with("LC_") && plain(""),
    }
}

/// Whether this is `[`, whose last word must be `]`.
pub(crate) fn is_bracket(words: &[Word<'_>]) -> bool {
    words
        .first()
        .is_some_and(|word| word.text == "[" && !word.quoted)
}

/// Puts programs in the place of builtins of the same name, which evaluate operands.
pub(crate) fn use_programs(words: &mut [Word<'_>]) {
    let Some(program) = words.first_mut() else {
        return;
    };
    let instead = match &*program.text {
        "test" | "[" => "/usr/bin/test",
        "printf" => "/usr/bin/printf",
        _ => return,
    };
    program.text = Cow::Borrowed(instead);
}

/// Words as a person would write them, with quotes where they need some.
pub(crate) fn readable(words: &[Word<'_>]) -> String {
    let mut out = String::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        let text = word.shown();
        let bare = |c: char| c.is_ascii_alphanumeric() || "_./:,+@%=-".contains(c);
        if !text.is_empty() && text.chars().all(bare) {
            out.push_str(&text);
        } else if text.contains('\'') {
            out.push_str(&format!("{text:?}"));
        } else {
            out.push_str(&format!("'{text}'"));
        }
    }
    out
}
