//! A command's words as they would be written from the root.
//!
//! Owns one reading for what denies: behind `cd /etc &&`, `cat shadow` names `/etc/shadow`.
//! Only a directory that the text itself tells counts; verbs and programs stay what they are.
//! Makes readings and decides nothing. Called by the rules and by the deny lists.

use std::borrow::Cow;

use crate::policy::programs::invocation::Invocation;
use crate::policy::programs::reading::What;
use crate::policy::syntax::command::{Directory, Word};

/// The words with each relative name put below the directory, for every directory that is
/// known of those in which the command may start.
pub(crate) fn placed<'w>(
    words: &'w [Word<'w>],
    invocation: &Invocation<'_>,
    directory: &Directory,
) -> Vec<Vec<Word<'w>>> {
    let known = directory
        .alternatives()
        .iter()
        .filter_map(|each| match each {
            Directory::Known(path) => Some(path.trim_end_matches('/')),
            _ => None,
        });
    known
        .map(|path| {
            let each = words.iter().enumerate();
            each.map(|(index, word)| match names_no_file(invocation, index) {
                true => word.clone(),
                false => below(path, word),
            })
            .collect()
        })
        .collect()
}

fn names_no_file(invocation: &Invocation<'_>, index: usize) -> bool {
    let (level, role) = invocation.role(index);
    let is_program = invocation
        .levels
        .get(level)
        .is_none_or(|level| level.range.start == index);
    is_program || role.is_some_and(|role| matches!(role.what, What::Verb(_)))
}

/// The word, or the value behind its `=`, below a directory.
fn below<'w>(directory: &str, word: &Word<'w>) -> Word<'w> {
    let start = match (word.text.starts_with('-'), word.text.find('=')) {
        (true, None) => return word.clone(),
        (true, Some(equals)) => equals + 1,
        // `dd if=zero`.
        (false, Some(equals)) if is_key(word.text.get(..equals)) => equals + 1,
        (false, _) => 0,
    };
    let (before, name) = word
        .text
        .split_at_checked(start)
        .unwrap_or((&word.text, ""));
    if name.is_empty() || name.starts_with(['/', '~', '-']) {
        return word.clone();
    }
    let more = directory.len() + 1;
    Word {
        text: Cow::Owned(format!("{before}{directory}/{name}")),
        globs: word
            .globs
            .iter()
            .map(|at| if *at < start { *at } else { at + more })
            .collect(),
        // As for another folder: a wildcard is one without them.
        variables: Vec::new(),
        ..word.clone()
    }
}

fn is_key(name: Option<&str>) -> bool {
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    #[test]
    fn relative_names_are_put_below_the_directory() {
        for (text, expected) in [
            ("cd /etc && cat shadow", "cat /etc/shadow"),
            ("cd / && cat -n etc/shadow", "cat -n /etc/shadow"),
            ("cd /etc && git -q diff x", "git -q diff /etc/x"),
            (
                "cd /etc && tool --file=x /y ~/z -",
                "tool --file=/etc/x /y ~/z -",
            ),
            ("cd /etc && cat ./sh*", "cat /etc/./sh*"),
            ("cd /etc && sudo cat x", "sudo cat /etc/x"),
            ("cd /dev && dd if=zero of=/x", "dd if=/dev/zero of=/x"),
        ] {
            let parsed = lexer::parse(text, lexer::Options { globs: true }).unwrap();
            let command = &parsed.commands[1];
            let invocation = Invocation::of(&command.words);
            let all = placed(&command.words, &invocation, &command.directory);
            let texts: Vec<&str> = all[0].iter().map(|word| &*word.text).collect();
            assert_eq!(texts.join(" "), expected);
            for word in &all[0] {
                let wild = |at: &usize| matches!(word.text.as_bytes()[*at], b'*' | b'~');
                assert!(word.globs.iter().all(wild), "{text}");
            }
        }
        let parsed = lexer::parse("cat shadow", lexer::Options::default()).unwrap();
        let command = &parsed.commands[0];
        let invocation = Invocation::of(&command.words);
        assert!(placed(&command.words, &invocation, &command.directory).is_empty());
    }
}
