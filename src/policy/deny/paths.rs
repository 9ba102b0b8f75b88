//! Deny rules on paths: files that nothing may read, write or name.
//!
//! Owns which words of a command name a file: of a described program those that its
//! description says, and of an undescribed one every word, also behind `=`, `:` or `,`.
//! Generous: what may be such a file is one. Called by the rules.

use crate::policy::hazard::wrappers;
use crate::policy::programs::invocation::{Invocation, Level};
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::{Role, What};
use crate::policy::rule::glob::EXPANDED;
use crate::policy::rule::path_pattern::{self, From, NamedPath, PathPattern};
use crate::policy::syntax::command::Word;

/// The patterns of one deny rule.
#[derive(Debug)]
pub(crate) struct DeniedPaths {
    /// What the rules know it by.
    pub(crate) id: usize,
    pub(crate) paths: Vec<PathPattern>,
}

impl DeniedPaths {
    /// With `below`, also for a directory in whose depths such a file may be read.
    pub(crate) fn hold_for(
        &self,
        words: &[Word<'_>],
        invocation: &Invocation<'_>,
        from: From<'_>,
        below: bool,
    ) -> bool {
        // Behind a wrapper that is not known, every word is looked at.
        invocation
            .levels
            .iter()
            .any(|level| self.hold_for_level(level, words, from, below))
    }

    fn hold_for_level(
        &self,
        level: &Level<'_>,
        words: &[Word<'_>],
        from: From<'_>,
        below: bool,
    ) -> bool {
        let own = words.get(level.range.clone()).unwrap_or_default();
        let program = own.first().map_or("", |word| &*word.text);
        // A shell's text that was not understood: its wildcards are wildcards.
        let is_code = wrappers::is_interpreter(wrappers::base_name(program));
        let any = || {
            let mut words = own.iter().skip(1);
            words.any(|word| self.named_in(word, from, is_code, below))
        };
        let Some(reading) = &level.reading else {
            return any();
        };
        // With a word that is not known, the others may mean something else: the members that
        // `tar t` lists are the files that `tar c` reads.
        let unknown = |role: &Role<'_>| matches!(role.what, What::Unknown(_));
        if reading.roles.iter().any(unknown) && any() {
            return true;
        }
        let is_tree = |kind: &Kind| below && (reading.deep || *kind == Kind::Tree);
        // Without a path, `ls` reads where it stands.
        let here = reading
            .here
            .is_some_and(|kind| self.hold(".", from, is_tree(kind)));
        let mut words = reading.roles.iter().zip(own);
        here || words.any(|(role, word)| match role.what {
            What::Value { kind, text, .. } | What::Operand { kind, text }
                if kind.names_a_file() =>
            {
                // A wildcard is marked in the whole word only.
                let text = match word.globs.is_empty() {
                    true => text.to_owned(),
                    false => path_pattern::text_of_denied(word),
                };
                self.hold(&text, from, is_tree(kind))
            }
            _ => false,
        })
    }

    /// Of a word that nothing is known of.
    fn named_in(&self, word: &Word<'_>, from: From<'_>, is_code: bool, below: bool) -> bool {
        let mut text = path_pattern::text_of_denied(word);
        if is_code {
            text = text.replace(['*', '?'], EXPANDED.encode_utf8(&mut [0; 4]));
        }
        let parts = text.split(['=', ':', ',', '\'', '"', ' ', '@', '<', '>', '(', ')']);
        // The letters of an option may be glued to a path.
        let begins = [text.find("~/"), text.find('/')]
            .into_iter()
            .flatten()
            .min();
        let glued = begins.and_then(|at| text.get(at..));
        // A directory may be read with what is below it.
        let mut whole = std::iter::once(text.as_str()).chain(parts);
        whole.any(|part| !part.is_empty() && self.hold(part, from, below))
            || glued.is_some_and(|part| self.hold(part, from, false))
    }

    fn hold(&self, text: &str, from: From<'_>, below: bool) -> bool {
        let path = NamedPath::new(text, from);
        self.paths.iter().any(|pattern| {
            pattern.may_meet(&path)
                || (below
                    && (pattern.is_placed() || path.is_home())
                    && pattern.may_lie_below(&path))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    #[test]
    fn what_may_name_a_denied_file() {
        let denied = DeniedPaths {
            id: 0,
            paths: vec![PathPattern::parse("/etc/shadow*").unwrap()],
        };
        let holds = |command: &str| {
            let parsed = lexer::parse(command, lexer::Options::default()).unwrap();
            let words = &parsed.commands[0].words;
            denied.hold_for(words, &Invocation::of(words), From::Home, true)
        };
        for command in [
            "cat /etc/shadow",
            "grep -r x /etc",
            "tar czf - /etc/shadow",
            "tar -cf - /etc",
            "zip -r - /etc",
            "mytool --from=/etc",
            "mytool x:/etc/shadow",
            "mytool -f~/../etc/shadow",
        ] {
            assert!(holds(command), "{command}");
        }
        for command in [
            "cat /etc/hosts",
            "ls /etc",
            "tar tf /x.tar etc/shadow",
            "tar -cf - /srv",
            "zip -r - src/",
            "mytool /etc/nginx a/b/ 5/7",
            "mytool --rev=HEAD~1 v1~",
            "grep /etc/shadow /var/log/x",
        ] {
            assert!(!holds(command), "{command}");
        }
    }
}
