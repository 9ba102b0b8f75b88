//! Deny rules on paths: files that nothing may read, write or name.
//!
//! Owns which words of a command name a file: of a described program those that its
//! description says, and of an undescribed one every word, also behind `=`, `:` or `,`.
//! Generous: what may be such a file is one. Called by the rules.

use crate::policy::hazard::wrappers;
use crate::policy::programs::invocation::{Invocation, Level};
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::What;
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
        let Some(reading) = &level.reading else {
            let mut words = own.iter().skip(1);
            return words.any(|word| self.named_in(word, from, is_code));
        };
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
            What::Unknown(_) => self.named_in(word, from, is_code),
            _ => false,
        })
    }

    /// Of a word that nothing is known of.
    fn named_in(&self, word: &Word<'_>, from: From<'_>, is_code: bool) -> bool {
        let mut text = path_pattern::text_of_denied(word);
        if is_code {
            text = text.replace(['*', '?'], EXPANDED.encode_utf8(&mut [0; 4]));
        }
        let parts = text.split(['=', ':', ',', '\'', '"', ' ', '@', '<', '>', '(', ')']);
        // The letters of an option may be glued to a path.
        let glued = text.find(['/', '~']).and_then(|at| text.get(at..));
        std::iter::once(text.as_str())
            .chain(parts)
            .chain(glued)
            .any(|part| !part.is_empty() && self.hold(part, from, false))
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
