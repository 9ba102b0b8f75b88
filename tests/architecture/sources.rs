//! The sources as the checks read them: without comments, without what is in quotes,
//! without tests.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct Source {
    /// Relative to `src/`.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Without comments and without what is in quotes, tests left out.
    pub(crate) code: String,
}

impl Source {
    /// `policy::syntax::lexer`
    pub(crate) fn module(&self) -> String {
        let path = self.name.trim_end_matches(".rs").trim_end_matches("/mod");
        path.replace('/', "::")
    }

    pub(crate) fn lines_without_tests(&self) -> usize {
        without_tests(&self.text).lines().count()
    }
}

pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        Source {
            name: path.strip_prefix(&root).unwrap().display().to_string(),
            code: strip(without_tests(&text)),
            text,
        }
    };
    paths.into_iter().map(read).collect()
}

pub(crate) fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn without_tests(text: &str) -> &str {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    &text[..end]
}

/// Takes out comments and the contents of literals.
pub(crate) fn strip(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = |i: usize| characters.get(i).copied().unwrap_or('\0');
    let mut code = String::new();
    let mut i = 0;
    while i < characters.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < characters.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                i += 2;
                while i < characters.len() && (at(i), at(i + 1)) != ('*', '/') {
                    i += 1;
                }
                i += 2;
            }
            ('r', '"' | '#') if !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') => {
                let hashes = (i + 1..).take_while(|i| at(*i) == '#').count();
                if at(i + 1 + hashes) != '"' {
                    code.push('r');
                    i += 1;
                    continue;
                }
                i += hashes + 2;
                let closes = |i: usize| at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#');
                while i < characters.len() && !closes(i) {
                    i += 1;
                }
                i += hashes + 1;
            }
            ('"', _) => {
                i += 1;
                while i < characters.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character, not a lifetime.
            ('\'', '\\') => {
                i += 3;
                while i < characters.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (character, _) => {
                code.push(character);
                i += 1;
            }
        }
    }
    code
}

pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, found)| {
        let ends_open = word.ends_with(|c: char| !(c.is_alphanumeric() || c == '_'));
        let after = code[at + found.len()..].chars().next();
        !name(code[..at].chars().next_back()) && (ends_open || !name(after))
    })
}
