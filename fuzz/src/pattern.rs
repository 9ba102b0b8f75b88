//! Patterns of `commands:` against a naive matcher written from the table in the
//! documentation, over few letters, so that matches happen.
//!
//! Input: the pattern, a zero byte, the words; both in letters picked by each byte.

use mcp_ssh_orchestrator::testing::policy::rule::word_pattern::Pattern;
use mcp_ssh_orchestrator::testing::policy::syntax::command::Word;

use super::dice::Dice;

const OF_PATTERNS: &[&str] = &["a", "b", "-", "/", ".", "*", " ", "*", "..", "/bin/"];
const OF_WORDS: &[&str] = &["a", "b", "-", "/", ".", " ", "..", "/bin/"];

pub fn run(data: &[u8]) {
    let mut dice = Dice::new(data);
    let text = letters(dice.field(), OF_PATTERNS);
    let command = letters(dice.rest(), OF_WORDS);
    let Ok(pattern) = Pattern::parse(&text) else {
        assert!(text.trim().is_empty(), "{text:?} is a pattern");
        return;
    };
    let words: Vec<&str> = command.split(' ').filter(|word| !word.is_empty()).collect();
    // The lexer takes no program that ends in a slash.
    if words.first().is_none_or(|program| program.ends_with('/')) {
        return;
    }
    let as_words: Vec<Word<'_>> = words.iter().map(|word| Word::made(*word)).collect();
    let slots: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    assert_eq!(
        pattern.matches(&as_words),
        naive(&slots, &words),
        "{text:?} and {command:?}"
    );
}

fn letters(bytes: &[u8], from: &[&str]) -> String {
    bytes
        .iter()
        .take(40)
        .map(|byte| from[usize::from(*byte) % from.len()])
        .collect()
}

fn naive(slots: &[&str], words: &[&str]) -> bool {
    let (program, operands) = (words[0], &words[1..]);
    match slots {
        ["*"] => true,
        [only] => match beginning(only) {
            // `uptime*`: this program, any operands.
            Some(name) => program_is(name, program),
            None => operands.is_empty() && program_is(only, program),
        },
        [first, middle @ .., last] => {
            if !program_is(first, program) || operands.len() <= middle.len() {
                return false;
            }
            let (fixed, rest) = operands.split_at(middle.len());
            let fits = middle
                .iter()
                .zip(fixed)
                .all(|(slot, word)| word_is(slot, word));
            fits && match (*last, beginning(last)) {
                // One or more further words.
                ("*", _) => true,
                // `-h*`: a word that begins so, then any.
                (_, Some(start)) if !start.contains('/') => {
                    !climbs(rest[0]) && rest[0].starts_with(start)
                }
                // `/var/log/*`: one word, and nothing after it.
                _ => rest.len() == 1 && word_is(last, rest[0]),
            }
        }
        [] => false,
    }
}

/// What stands before a star that is the only one, at the end.
fn beginning(slot: &str) -> Option<&str> {
    slot.strip_suffix('*')
        .filter(|start| !start.is_empty() && !start.contains('*'))
}

fn word_is(slot: &str, word: &str) -> bool {
    if slot == "*" || !slot.contains('*') {
        return slot == "*" || slot == word;
    }
    let option = word.starts_with('-') && !slot.starts_with('-');
    !option && !climbs(word) && fits(slot.as_bytes(), word.as_bytes())
}

/// The program itself, or the same in a directory of the system; another path only where
/// the pattern spells one.
fn program_is(slot: &str, program: &str) -> bool {
    let name = ["/usr/bin/", "/bin/", "/sbin/", "/usr/sbin/"]
        .iter()
        .find_map(|dir| program.strip_prefix(dir));
    let name = name.filter(|name| !name.is_empty() && !name.contains('/'));
    let stem = slot.split('*').next().unwrap_or_default();
    if slot == program && !slot.contains('*') {
        return true;
    }
    if !slot.contains('*') {
        return !slot.contains('/') && name == Some(slot);
    }
    if slot != "*" && stem.contains('/') {
        return !climbs(program) && fits(slot.as_bytes(), program.as_bytes());
    }
    let plain = if program.contains('/') {
        name
    } else {
        Some(program)
    };
    plain.is_some_and(|plain| slot == "*" || fits(slot.as_bytes(), plain.as_bytes()))
}

fn climbs(word: &str) -> bool {
    word.split('/').any(|component| component == "..")
}

/// `*` stands for any letters, everything else for itself: after each sign of the glob,
/// which beginnings of the text it can stand for.
fn fits(glob: &[u8], text: &[u8]) -> bool {
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for sign in glob {
        let before = ends.clone();
        for end in 0..=text.len() {
            ends[end] = match sign {
                b'*' => before[..=end].contains(&true),
                sign => end > 0 && before[end - 1] && text[end - 1] == *sign,
            };
        }
    }
    ends[text.len()]
}
