//! Grants found by whom they are for.
//!
//! Owns the index of grants that spell out no word (`*`), of which large fleets have one for
//! each of many tags or hosts: what names its hosts or its tags without a wildcard is found
//! by those names, the rest is tried for everybody. That a rule is for a host is decided by
//! [`Rule::is_for`] alone. Called by the rules.

use std::collections::HashMap;

use crate::policy::decision::subject::Subject;
use crate::policy::rule::Rule;
use crate::policy::rule::glob::Glob;

#[derive(Debug, Default)]
pub(crate) struct ByAudience {
    by_alias: HashMap<String, Vec<usize>>,
    by_tag: HashMap<String, Vec<usize>>,
    anybody: Vec<usize>,
}

impl ByAudience {
    pub(crate) fn add(&mut self, grant: usize, rule: &Rule) {
        let (names, index) = match (literals(&rule.aliases), literals(&rule.tags)) {
            (Some(aliases), _) => (aliases, &mut self.by_alias),
            (None, Some(tags)) => (tags, &mut self.by_tag),
            (None, None) => return self.anybody.push(grant),
        };
        for name in names {
            index.entry(name).or_default().push(grant);
        }
    }

    /// How many are tried for everybody.
    pub(crate) fn for_anybody(&self) -> usize {
        self.anybody.len()
    }

    /// Those that may be for this host, in the order in which they were added.
    pub(crate) fn candidates(&self, subject: &Subject<'_>) -> Vec<usize> {
        let mut found = self.anybody.clone();
        found.extend(
            self.by_alias
                .get(subject.alias.as_str())
                .into_iter()
                .flatten(),
        );
        for tag in subject.tags {
            found.extend(self.by_tag.get(tag.as_str()).into_iter().flatten());
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The names, if there are any and none has a wildcard.
fn literals(globs: &[Glob]) -> Option<Vec<String>> {
    let literal = |glob: &Glob| glob.is_literal().then(|| glob.literal_prefix());
    let names: Vec<String> = globs.iter().map(literal).collect::<Option<_>>()?;
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::{HostAlias, Tag};
    use crate::policy::decision::subject::ShellMode;
    use crate::policy::source::Action;

    #[test]
    fn names_lead_to_their_grants_and_wildcards_are_tried() {
        let mut index = ByAudience::default();
        let globs = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Glob::parse(text).unwrap())
                .collect()
        };
        for (grant, (aliases, tags)) in [
            (&["web1", "web2"][..], &[][..]),
            (&["web*"], &[]),
            (&[], &["prod"]),
            (&[], &["prod", "test"]),
            (&["db1"], &["prod"]),
            (&[], &[]),
        ]
        .into_iter()
        .enumerate()
        {
            let rule = Rule {
                action: Action::Allow,
                aliases: globs(aliases),
                tags: globs(tags),
                sudo: false,
                stdin: false,
                trusting: false,
                detach: false,
            };
            index.add(grant, &rule);
        }
        let of = |alias: &str, tags: &[&str]| {
            let alias = HostAlias::parse(alias).unwrap();
            let tags: Vec<Tag> = tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect();
            index.candidates(&Subject {
                alias: &alias,
                tags: &tags,
                shell: ShellMode::Sh,
                detached: false,
                stdin: None,
            })
        };
        assert_eq!(of("web1", &["prod"]), [0, 1, 2, 3, 5]);
        assert_eq!(of("db1", &["test"]), [1, 3, 4, 5]);
        assert_eq!(of("x", &[]), [1, 5]);
    }
}
