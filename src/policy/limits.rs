//! What a run may use up: built-in value, then global, then tag, then alias, per key.
//!
//! Owns the defaults and the order of overrides: of a host's tags the last one that has
//! the key wins, and the alias wins over every tag. Names of overrides are exact, never
//! globs. Called by `judge` for the deny list and by `task`, `ssh` and `mcp` for the
//! rest.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::names::Tag;
use crate::policy::deny::built_in::BUILT_IN_DENY_SUBSTRINGS;
use crate::policy::deny::substrings::DenyList;
use crate::policy::source::{LimitsSource, OutputCap};
/// The limits of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveLimits {
    /// Seconds a command may take.
    pub max_seconds: u32,
    /// Seconds a command may take that its caller does not wait for.
    pub max_async_seconds: u32,
    /// Characters that one answer shows; the rest stays to be read on.
    pub answer_chars: u32,
    /// Bytes kept of stdout and stderr together.
    pub max_output_bytes: u64,
    /// What happens at that many bytes.
    pub on_output_cap: OutputCap,
    /// Bytes of a file that may be transferred.
    pub max_transfer_bytes: u64,
    /// Seconds a finished result is kept.
    pub task_result_ttl: u32,
    /// Seconds between progress notifications.
    pub task_progress_interval: u32,
    /// Seconds an idle session is kept; 0 means not at all.
    pub session_idle_seconds: u32,
    /// Whether what looks like a credential is taken out of outputs.
    pub redact: bool,
    /// Texts denied everywhere.
    pub deny_substrings: Arc<[String]>,
}

/// The compiled `limits:` and `overrides:`.
#[derive(Debug)]
pub(crate) struct Limits {
    base: EffectiveLimits,
    base_deny: DenyList,
    aliases: HashMap<String, Override>,
    tags: HashMap<String, Override>,
}

/// What one alias or tag has otherwise.
#[derive(Debug)]
struct Override {
    source: LimitsSource,
    deny: Option<DenyList>,
}

impl Limits {
    pub(crate) fn compile(
        global: &LimitsSource,
        aliases: Vec<(String, LimitsSource)>,
        tags: Vec<(String, LimitsSource)>,
    ) -> Self {
        let mut base = EffectiveLimits {
            // Clients give up after 60 s: they are to see the answer of this server first.
            max_seconds: 50,
            max_async_seconds: 3_600,
            answer_chars: 16_000,
            max_output_bytes: 1024 * 1024,
            on_output_cap: OutputCap::Stop,
            max_transfer_bytes: 1024 * 1024 * 1024,
            task_result_ttl: 3_600,
            task_progress_interval: 5,
            session_idle_seconds: 60,
            redact: true,
            deny_substrings: BUILT_IN_DENY_SUBSTRINGS.map(String::from).into(),
        };
        base.apply(global);
        let compile = |overrides: Vec<(String, LimitsSource)>| {
            let compiled = overrides.into_iter().map(|(name, source)| {
                let deny = source.deny_substrings.as_deref().map(DenyList::compile);
                (name, Override { source, deny })
            });
            compiled.collect()
        };
        Self {
            base_deny: match &global.deny_substrings {
                Some(own) => DenyList::compile(own),
                None => DenyList::built_in(),
            },
            base,
            aliases: compile(aliases),
            tags: compile(tags),
        }
    }

    /// What holds for a host.
    pub(crate) fn of(&self, alias: &str, tags: &[Tag]) -> EffectiveLimits {
        let mut limits = self.base.clone();
        self.overrides(alias, tags)
            .for_each(|each| limits.apply(&each.source));
        limits
    }

    /// The deny list alone, ready to search.
    pub(crate) fn deny_list(&self, alias: &str, tags: &[Tag]) -> &DenyList {
        self.overrides(alias, tags)
            .filter_map(|each| each.deny.as_ref())
            .last()
            .unwrap_or(&self.base_deny)
    }

    /// The list that holds for every host, and whether it is the built-in one; `None` where
    /// an override may replace it.
    pub(crate) fn deny_list_everywhere(&self) -> Option<(&DenyList, bool)> {
        let mut overrides = self.aliases.values().chain(self.tags.values());
        let replaced = overrides.any(|each| each.deny.is_some());
        (!replaced).then(|| (&self.base_deny, self.base_deny.is_built_in()))
    }

    /// Weakest first.
    fn overrides<'a, 'h>(
        &'a self,
        alias: &'h str,
        tags: &'h [Tag],
    ) -> impl Iterator<Item = &'a Override> + use<'a, 'h> {
        tags.iter()
            .filter_map(|tag| self.tags.get(tag.as_str()))
            .chain(self.aliases.get(alias))
    }
}

impl EffectiveLimits {
    /// Seconds that a command may take at most; one that nobody waits for may take longer.
    pub(crate) fn most_seconds(&self, in_background: bool) -> u32 {
        match in_background {
            true => self.max_async_seconds,
            false => self.max_seconds,
        }
    }

    fn apply(&mut self, source: &LimitsSource) {
        fn set<T: Clone>(target: &mut T, source: &Option<T>) {
            if let Some(value) = source {
                target.clone_from(value);
            }
        }
        set(&mut self.max_seconds, &source.max_seconds);
        set(&mut self.max_async_seconds, &source.max_async_seconds);
        set(&mut self.answer_chars, &source.answer_chars);
        set(&mut self.max_output_bytes, &source.max_output_bytes);
        set(&mut self.on_output_cap, &source.on_output_cap);
        set(&mut self.max_transfer_bytes, &source.max_transfer_bytes);
        set(&mut self.task_result_ttl, &source.task_result_ttl);
        set(
            &mut self.task_progress_interval,
            &source.task_progress_interval,
        );
        set(&mut self.session_idle_seconds, &source.session_idle_seconds);
        set(&mut self.redact, &source.redact);
        set(&mut self.deny_substrings, &source.deny_substrings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(max_seconds: u32) -> LimitsSource {
        LimitsSource {
            max_seconds: Some(max_seconds),
            ..LimitsSource::default()
        }
    }

    #[test]
    fn alias_beats_the_last_tag_beats_global_beats_built_in() {
        let tag = |text: &str| Tag::parse(text).unwrap();
        let limits = Limits::compile(
            &seconds(10),
            vec![("db".into(), seconds(5))],
            vec![("a".into(), seconds(1)), ("b".into(), seconds(2))],
        );
        assert_eq!(limits.of("web", &[]).max_seconds, 10);
        assert_eq!(limits.of("web", &[tag("a"), tag("b")]).max_seconds, 2);
        assert_eq!(limits.of("web", &[tag("b"), tag("a")]).max_seconds, 1);
        assert_eq!(limits.of("db", &[tag("b")]).max_seconds, 5);
        assert_eq!(limits.of("db", &[]).max_output_bytes, 1_048_576);
    }

    #[test]
    fn a_configured_deny_list_replaces_the_built_in_one() {
        let list = |entries: &[&str]| LimitsSource {
            deny_substrings: Some(entries.iter().map(|e| e.to_string()).collect()),
            ..LimitsSource::default()
        };
        let limits = Limits::compile(&list(&["x"]), vec![("off".into(), list(&[]))], vec![]);
        assert_eq!(*limits.of("web", &[]).deny_substrings, ["x".to_string()]);
        assert!(limits.of("off", &[]).deny_substrings.is_empty());
        assert!(limits.deny_list("web", &[]).in_text("a x").is_some());
        assert!(limits.deny_list("off", &[]).in_text("a x").is_none());
    }
}
