//! Words that the remote shell expands, held against `deny_substrings`.
//!
//! Owns one question: can some expansion of a command contain an entry? `cat /etc/sh*w`
//! reads what `cat /etc/shadow` does. Generous: the files of the host are not known, so
//! any name counts. A match must rest on a letter or digit that is written out, or else
//! every `*` would contain every entry that is one name: `/etc/*` is not held to contain
//! `shadow`, though it is `/etc/shadow`. Called by `deny` for commands with wildcards.

use crate::policy::rule::glob;
use crate::policy::syntax::command::{OUTPUTS, STATUS, Simple};

/// One character of a command, or what the shell puts in its place.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Text(char),
    /// Any one character of a name.
    One,
    /// Any characters of a name.
    Many,
    /// Any characters at all: the output of a command, the login's home.
    Anything,
}

/// The joined words of a command, its wildcards kept apart from quoted ones.
#[derive(Debug)]
pub(crate) struct Expansion(Vec<Part>);

impl Expansion {
    /// `None` if the shell will expand nothing.
    pub(crate) fn of(command: &Simple<'_>) -> Option<Self> {
        if command.words.iter().all(|word| word.globs.is_empty()) {
            return None;
        }
        let mut parts = Vec::new();
        for (index, word) in command.words.iter().enumerate() {
            if index > 0 {
                parts.push(Part::Text(' '));
            }
            parts.extend(word.text.char_indices().map(|(at, c)| match c {
                '*' if word.globs.contains(&at) => Part::Many,
                '?' if word.globs.contains(&at) => Part::One,
                c if c == STATUS || OUTPUTS.contains(&c) => Part::Anything,
                '~' if word.globs.contains(&at) => Part::Anything,
                c => Part::Text(glob::fold(c)),
            }));
        }
        Some(Self(parts))
    }

    /// Whether some expansion contains `entry`, which is in lower case. Takes time in
    /// proportion to the product of both lengths.
    pub(crate) fn may_contain(&self, entry: &str) -> bool {
        // For each place before a part: reached without, and with, a written letter.
        let mut places = vec![(true, false); self.0.len() + 1];
        for wanted in entry.chars() {
            let mut next = vec![(false, false); places.len()];
            let mut slipped = (false, false);
            for (at, part) in self.0.iter().enumerate() {
                let Some(place) = places.get(at) else { break };
                // A `*` may also stand for nothing more.
                let here = (place.0 || slipped.0, place.1 || slipped.1);
                slipped = (false, false);
                let many = matches!(part, Part::Many | Part::Anything);
                let target = if many { at } else { at + 1 };
                let reached = match part {
                    Part::Text(c) if *c == wanted => {
                        let written = c.is_alphanumeric();
                        (here.0 && !written, here.1 || (here.0 && written))
                    }
                    Part::Anything => here,
                    Part::One | Part::Many if wanted != '/' && wanted != ' ' => here,
                    _ => (false, false),
                };
                if many {
                    slipped = here;
                }
                if let Some(place) = next.get_mut(target) {
                    *place = (place.0 || reached.0, place.1 || reached.1);
                }
            }
            places = next;
        }
        places.iter().any(|place| place.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    fn may_contain(command: &str, entry: &str) -> bool {
        let parsed = lexer::parse(command, lexer::Options { globs: true }).unwrap();
        Expansion::of(&parsed.commands[0]).is_some_and(|expansion| expansion.may_contain(entry))
    }

    #[test]
    fn what_an_expansion_could_be() {
        for command in [
            "cat /etc/sh*w",
            "cat /etc/shado?",
            "cat /etc/*",
            "cat /e*/s*",
            "cat /*/shadow",
            "cat /etc/*shadow*",
            "cat /etc/s?a?o?",
            "cat /ETC/SH*",
            "cat /var/x* /etc/sh*",
        ] {
            assert!(may_contain(command, "/etc/shadow"), "{command}");
        }
        for command in [
            "cat /etc/shadow",
            "cat /etc/host*",
            "cat /etc/shad?",
            "cat /var/*",
            "cat /etc/sh/*w",
            "cat '/etc/sh*w'",
            "cat /etc/ssh/*",
        ] {
            assert!(!may_contain(command, "/etc/shadow"), "{command}");
        }
        assert!(!may_contain("ls /var/log/*", "reboot"));
        assert!(!may_contain("ls /var/*/log", "rm -rf /"));
        assert!(!may_contain("ls /var/*", "mkfs "));
        assert!(may_contain("ls /var/re*", "reboot"));
    }
}
