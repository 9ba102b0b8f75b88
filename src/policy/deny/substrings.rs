//! `deny_substrings`: a tripwire over everything a command's text could mean.
//!
//! Owns the views that an entry is looked for in: the raw text, the text without quotes,
//! backslashes and doubled blanks (taken away until nothing changes), each command's
//! joined words, the same with base names for paths, with `//` and `/./` collapsed, and
//! without whatever quotes are left inside words. Compared in lower case; an entry also
//! holds for a token that it is without its blanks; one with `*` or `?` is a glob too.
//! What shows only in a later view was hidden: that is told as [`Bypass`]. Decides
//! nothing alone and never allows. Called by `judge`.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::policy::decision::denial::Bypass;
use crate::policy::deny::built_in::{BUILT_IN_DENY_SUBSTRINGS, BuiltIn};
use crate::policy::deny::hit::Hit;
use crate::policy::deny::placed::placed;
use crate::policy::deny::tidy::tidied;
use crate::policy::deny::views::Expansion;
use crate::policy::hazard::wrappers;
use crate::policy::programs::invocation::Invocation;
use crate::policy::rule::glob::{self, Glob, Token};
use crate::policy::syntax::lexer::Simple;

/// How often quotes are taken away before a text is denied for hiding too deep.
const NORMALISATIONS: usize = 16;

/// One list, ready to search.
#[derive(Debug)]
pub(crate) struct DenyList {
    entries: Vec<Entry>,
    /// Entries that are one word, without their blanks.
    tokens: HashMap<String, usize>,
    /// In place of entries: the list that holds where there is no other.
    built_in: Option<BuiltIn>,
}

#[derive(Debug)]
struct Entry {
    /// As the policy file has it.
    written: String,
    folded: String,
    /// Which bytes occur in it, modulo 64: most views lack one.
    bytes: u64,
    glob: Option<Glob>,
}

impl DenyList {
    /// The list of a policy that has none of its own.
    pub(crate) fn built_in() -> Self {
        Self {
            built_in: Some(BuiltIn::new()),
            // What is not understood is looked through as text: it is refused anyway.
            ..Self::compile(&BUILT_IN_DENY_SUBSTRINGS.map(String::from))
        }
    }

    pub(crate) fn compile(entries: &[String]) -> Self {
        let mut list = Self {
            entries: Vec::new(),
            tokens: HashMap::new(),
            built_in: None,
        };
        for written in entries.iter().filter(|entry| !entry.trim().is_empty()) {
            let folded = glob::fold_text(written);
            let token = folded.trim();
            if !token.contains(' ') {
                let index = list.entries.len();
                list.tokens.entry(token.to_owned()).or_insert(index);
            }
            let glob = folded.contains(['*', '?']).then(|| {
                let mut tokens = vec![Token::Star];
                tokens.extend(glob::tokens(&folded));
                tokens.push(Token::Star);
                Glob::new(&tokens).ok()
            });
            list.entries.push(Entry {
                written: written.clone(),
                bytes: bytes_of(&folded),
                folded,
                glob: glob.flatten(),
            });
        }
        list
    }

    /// Whether it is the one that holds where the policy has none of its own.
    pub(crate) fn is_built_in(&self) -> bool {
        self.built_in.is_some()
    }

    /// Looks through the text as a whole, which need not have been understood.
    pub(crate) fn in_text(&self, raw: &str) -> Option<Hit> {
        if self.entries.is_empty() {
            return None;
        }
        let hit = |entry, bypass| Hit {
            entry,
            built_in: self.is_built_in(),
            command: None,
            bypass,
        };
        if let Some(entry) = self.search(raw) {
            return Some(hit(entry.written.clone(), None));
        }
        let Some(normal) = normalised(raw) else {
            // Hidden deeper than anyone would write.
            return Some(hit(String::new(), None));
        };
        let views = [Some(normal.clone()), collapsed(&normal)];
        let changed = views.into_iter().flatten().filter(|view| *view != raw);
        self.first_hidden(raw, changed)
            .map(|(entry, bypass)| hit(entry, Some(bypass)))
    }

    /// Looks through the text and then through each command that was found in it, each of
    /// which is given with what its words are.
    pub(crate) fn find(
        &self,
        raw: &str,
        commands: &[Simple<'_>],
        invocations: &[Invocation<'_>],
    ) -> Option<Hit> {
        if let Some(built_in) = &self.built_in {
            return built_in.find(raw, commands, invocations);
        }
        if self.entries.is_empty() {
            return None;
        }
        let whole = self.in_text(raw);
        type Part<'p> = (usize, (&'p Simple<'p>, &'p Invocation<'p>));
        let part = |(index, (command, invocation)): Part<'_>| {
            let joined = join(command);
            if self.search(&command.text).is_some() {
                return Some((index, None));
            }
            let tidy = collapsed(&joined);
            let normal = normalised(&joined).unwrap_or_default();
            let tidier = collapsed(&normal);
            // `/etc/x/../shadow` names the same file, as far as can be seen from here.
            let climbing = tidied(&command.words).map(|words| {
                join(&Simple {
                    words,
                    ..command.clone()
                })
                .into_owned()
            });
            let views = [
                Some(joined.into_owned()),
                tidy,
                Some(normal),
                tidier,
                climbing,
            ];
            let changed = views.into_iter().flatten();
            let hidden = self
                .first_hidden(raw, changed.filter(|view| *view != command.text))
                .or_else(|| self.base_name(raw, command))
                .or_else(|| self.expanded(raw, command))
                .or_else(|| self.placed(raw, command, invocation));
            hidden.map(|(entry, bypass)| (index, Some((entry, bypass))))
        };
        let mut parts = commands.iter().zip(invocations).enumerate();
        match whole {
            // Found already: only the guilty part is still asked for.
            Some(hit) => Some(Hit {
                command: parts.find_map(part).map(|(index, _)| index),
                ..hit
            }),
            None => parts.find_map(part).map(|(index, hidden)| {
                let (entry, bypass) = hidden.unzip();
                Hit {
                    entry: entry.unwrap_or_default(),
                    built_in: self.is_built_in(),
                    command: Some(index),
                    bypass,
                }
            }),
        }
    }

    fn first_hidden(
        &self,
        raw: &str,
        mut views: impl Iterator<Item = String>,
    ) -> Option<(String, Bypass)> {
        views.find_map(|view| {
            let entry = self.search(&view)?;
            let bypass = Bypass {
                original_command: raw.to_owned(),
                normalized_command: view,
                blocked_pattern: entry.written.clone(),
            };
            Some((entry.written.clone(), bypass))
        })
    }

    /// A token behind a path: `/usr/bin/curl` is `curl`. A path is no disguise, but it is
    /// not in the raw text either.
    fn base_name(&self, raw: &str, command: &Simple<'_>) -> Option<(String, Bypass)> {
        let inner = crate::policy::hazard::inner_starts(&command.words);
        let programs = command.words.iter().enumerate();
        let mut names = programs
            .filter(|(index, _)| *index == 0 || inner.contains(index))
            .filter(|(_, word)| word.text.contains('/'))
            .map(|(_, word)| wrappers::base_name(&word.text));
        names.find_map(|name| {
            let index = self.tokens.get(glob::fold_text(name).as_str())?;
            let written = self.entries.get(*index)?.written.clone();
            let bypass = Bypass {
                original_command: raw.to_owned(),
                normalized_command: name.to_owned(),
                blocked_pattern: written.clone(),
            };
            Some((written, bypass))
        })
    }

    /// An entry that the names of files are below the directory that they are looked up in.
    fn placed(
        &self,
        raw: &str,
        command: &Simple<'_>,
        invocation: &Invocation<'_>,
    ) -> Option<(String, Bypass)> {
        let all = placed(&command.words, invocation, &command.directory);
        all.into_iter().find_map(|words| {
            let moved = Simple {
                words: tidied(&words).unwrap_or(words),
                ..command.clone()
            };
            let view = std::iter::once(join(&moved).into_owned());
            self.first_hidden(raw, view)
                .or_else(|| self.expanded(raw, &moved))
        })
    }

    /// An entry that the remote shell could make of the command's wildcards.
    fn expanded(&self, raw: &str, command: &Simple<'_>) -> Option<(String, Bypass)> {
        let expansion = Expansion::of(command)?;
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| expansion.may_contain(&entry.folded))?;
        let bypass = Bypass {
            original_command: raw.to_owned(),
            normalized_command: join(command).into_owned(),
            blocked_pattern: entry.written.clone(),
        };
        Some((entry.written.clone(), bypass))
    }

    /// One view: substrings, globs, tokens.
    fn search(&self, view: &str) -> Option<&Entry> {
        let folded = glob::fold_text(view);
        let bytes = bytes_of(&folded);
        let contained = self.entries.iter().find(|entry| {
            (entry.bytes & !bytes == 0 && folded.contains(&entry.folded))
                || entry
                    .glob
                    .as_ref()
                    .is_some_and(|glob| glob.matches(&folded))
        });
        contained.or_else(|| {
            if self.tokens.is_empty() {
                return None;
            }
            let mut tokens = folded.split(|c| " ;|&<>(){}'\"`".contains(c));
            let index = tokens.find_map(|token| self.tokens.get(token))?;
            self.entries.get(*index)
        })
    }
}

fn bytes_of(text: &str) -> u64 {
    text.bytes().fold(0, |set, byte| set | 1 << (byte % 64))
}

fn join<'c>(command: &'c Simple<'_>) -> Cow<'c, str> {
    match command.words.as_slice() {
        [only] => Cow::Borrowed(&only.text),
        words => {
            let texts: Vec<&str> = words.iter().map(|word| &*word.text).collect();
            Cow::Owned(texts.join(" "))
        }
    }
}

/// The text without quotes, backslashes and doubled blanks, over and over until nothing
/// changes; `None` if it goes on changing.
pub fn normalised(text: &str) -> Option<String> {
    let mut text = normalised_once(text);
    for _ in 1..NORMALISATIONS {
        let next = normalised_once(&text);
        if next == text {
            return Some(text);
        }
        text = next;
    }
    None
}

/// Takes away quotes, one level of backslashes, and blanks beyond the first of a run.
fn normalised_once(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.trim().chars();
    while let Some(c) = chars.next() {
        let kept = match c {
            '\'' | '"' => continue,
            '\\' => match chars.next() {
                Some(c) => c,
                None => break,
            },
            c => c,
        };
        if !kept.is_whitespace() {
            out.push(kept);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// With `//` and `/./` as `/`, if there are any.
fn collapsed(text: &str) -> Option<String> {
    if !text.contains("//") && !text.contains("/./") {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('/') {
        out.push_str(before);
        if !out.ends_with('/') || !before.is_empty() {
            out.push('/');
        }
        rest = after;
        while let Some(after) = rest.strip_prefix("./") {
            rest = after;
        }
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    fn find(entries: &[&str], command: &str) -> Option<Hit> {
        let entries: Vec<String> = entries.iter().map(|entry| entry.to_string()).collect();
        let parsed = lexer::parse(command, lexer::Options::default()).unwrap();
        let invocations = Invocation::of_each(&parsed.commands);
        DenyList::compile(&entries).find(command, &parsed.commands, &invocations)
    }

    #[test]
    fn views() {
        for (entry, command, hidden) in [
            ("rm -rf /", "rm -rf /", false),
            ("rm -rf /", "RM -rf /x", false),
            ("rm -rf /", "rm  -rf   /", true),
            ("rm -rf /", "rm '-rf' \"/\"", true),
            ("rm -rf /", "rm \\-rf \\/", true),
            ("rm -rf /", "sh -c 'r'\\''m -rf /'\\'", true),
            ("rm -rf /", r"sh -c 'r\\\m -rf /'", true),
            ("dd if=/dev/zero", "dd if=/dev//zero", true),
            ("dd if=/dev/zero", "dd if=/dev/././zero", true),
            ("/etc/shadow", "cat /etc/x/../shadow", true),
            ("dd if=/dev/zero", "dd if='/dev//'zero", true),
            ("curl ", "uptime | curl", false),
            ("curl ", "sudo /usr/bin/curl", true),
            ("curl ", "sh -c curl", false),
            ("nc ", "journalctl -u sync x", false),
            ("reboot", "systemctl status reb\"oo\"t.target", true),
            ("shutdown*", "shutdown now", false),
            ("a?c", "x abc", false),
            ("| sh", "cat x | sh", false),
        ] {
            let hit = find(&[entry], command);
            let hit = hit.unwrap_or_else(|| panic!("{entry} | {command}"));
            assert_eq!(hit.bypass.is_some(), hidden, "{entry} | {command}");
        }
        for (entry, command) in [
            ("curl ", "systemctl status libcurl"),
            ("ssh ", "systemctl status ssh.service"),
            ("mkfs ", "mkfs.ext4 /dev/sda"),
            ("", "uptime"),
            (" ", "uptime -p"),
        ] {
            assert_eq!(find(&[entry], command), None, "{entry} | {command}");
        }
    }

    #[test]
    fn the_guilty_part_is_named() {
        let hit = find(&["rm -rf"], "uptime && rm -rf /tmp").unwrap();
        assert_eq!(hit.command, Some(1));
        assert_eq!(
            find(&["time && rm"], "uptime && rm x").unwrap().command,
            None
        );
    }

    #[test]
    fn a_remote_wildcard_hides_no_entry() {
        let list = DenyList::compile(&["/etc/shadow".to_owned()]);
        let found = |command| {
            let parsed = lexer::parse(command, lexer::Options { globs: true }).unwrap();
            let invocations = Invocation::of_each(&parsed.commands);
            list.find(command, &parsed.commands, &invocations)
        };
        let hit = found("uptime; cat /etc/sh*w").unwrap();
        assert_eq!((hit.entry.as_str(), hit.command), ("/etc/shadow", Some(1)));
        assert!(hit.bypass.is_some());
        assert_eq!(found("cat /etc/host*"), None);
    }

    #[test]
    fn normalisation_ends() {
        assert_eq!(
            normalised("echo \"rm\\ -rf\\ /\"").unwrap(),
            "echo rm -rf /"
        );
        assert_eq!(normalised("re\\boot").unwrap(), "reboot");
        assert_eq!(normalised("rm  \t  -rf").unwrap(), "rm -rf");
        assert_eq!(normalised(&"\\".repeat(8192)).unwrap(), "");
        assert_eq!(normalised(&"\\".repeat(1 << 17)), None);
        assert_eq!(collapsed("a/.//./b//c").unwrap(), "a/b/c");
        assert_eq!(collapsed("//x /./y").unwrap(), "/x /y");
        assert_eq!(collapsed("a/b ./c"), None);
    }
}
