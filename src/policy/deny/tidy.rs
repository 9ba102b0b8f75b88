//! Paths without what a file system would skip: `//`, `/./` and `x/../`.
//!
//! Owns that reading of texts and of words, whose wildcards stay marked. Links are unknown
//! here: this is for denying only. Called by the other readings of a deny.

use std::borrow::Cow;

use crate::policy::syntax::command::Word;

/// The words with untidy paths put in order, if there are any.
pub(crate) fn tidied<'w>(words: &[Word<'w>]) -> Option<Vec<Word<'w>>> {
    words.iter().any(|word| is_untidy(&word.text)).then(|| {
        let each = words.iter().map(|word| match is_untidy(&word.text) {
            true => tidy_word(word),
            false => word.clone(),
        });
        each.collect()
    })
}

/// The same of a text.
pub(crate) fn tidy(text: &str) -> Option<String> {
    is_untidy(text).then(|| {
        let parts: Vec<&str> = kept(text).into_iter().map(|(_, part)| part).collect();
        format!("{}{}", root(text), parts.join("/"))
    })
}

/// Most words have no slash, and few have one before a dot or a slash.
fn is_untidy(text: &str) -> bool {
    let mut pairs = text.as_bytes().windows(2);
    pairs.any(|pair| matches!(pair, b"//" | b"/."))
        && (["//", "/./", "/../"].iter().any(|part| text.contains(part))
            || text.ends_with("/..")
            || text.ends_with("/."))
}

fn root(text: &str) -> &'static str {
    if text.starts_with('/') { "/" } else { "" }
}

/// The components that count, each with its place.
fn kept(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut start = 0;
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push((start, name)),
        }
        start += component.len() + 1;
    }
    kept
}

fn tidy_word<'w>(word: &Word<'w>) -> Word<'w> {
    let mut text = root(&word.text).to_owned();
    let mut globs = Vec::new();
    for (index, (start, name)) in kept(&word.text).into_iter().enumerate() {
        if index > 0 {
            text.push('/');
        }
        let own = |at: &&usize| (start..start + name.len()).contains(*at);
        globs.extend(
            word.globs
                .iter()
                .filter(own)
                .map(|at| text.len() + at - start),
        );
        text.push_str(name);
    }
    Word {
        text: Cow::Owned(text),
        globs,
        // They stand elsewhere now; a wildcard is one without them.
        variables: Vec::new(),
        ..word.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_system_skips() {
        for (text, expected) in [
            ("/etc//shadow", "/etc/shadow"),
            ("/etc/./shadow", "/etc/shadow"),
            ("/var/log/../../etc/shadow", "/etc/shadow"),
            ("a/b/..", "a"),
            ("/..", "/"),
        ] {
            assert_eq!(tidy(text).as_deref(), Some(expected));
        }
        for text in ["/etc/shadow", "/etc/.x", "x", "../x"] {
            assert_eq!(tidy(text), None, "{text}");
        }
    }

    #[test]
    fn wildcards_stay_where_they_are_meant() {
        let word = Word {
            globs: vec![5, 14],
            ..Word::made("/var/*/../etc/?h")
        };
        let tidy = &tidied(&[word]).unwrap()[0];
        assert_eq!((&*tidy.text, &*tidy.globs), ("/var/etc/?h", &[9][..]));
    }
}
