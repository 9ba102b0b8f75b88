//! The five revisions of the protocol, and which fields each of them knows.
//!
//! Owns every difference in shape between revisions that is a matter of 'since when', so
//! that the rest asks a question instead of comparing dates. Called throughout `mcp`.

/// A revision, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Version {
    /// The newest revision that has a handshake: the answer to an unknown one.
    pub(crate) const NEWEST_LEGACY: Self = Self::V2025_11_25;
    /// The only revision without one.
    pub(crate) const MODERN: Self = Self::V2026_07_28;

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// What `initialize` settles on: the version asked for if it has a handshake, else
    /// the newest that has one.
    pub(crate) fn negotiate(requested: &str) -> Self {
        [
            Self::V2024_11_05,
            Self::V2025_03_26,
            Self::V2025_06_18,
            Self::V2025_11_25,
        ]
        .into_iter()
        .find(|version| version.as_str() == requested)
        .unwrap_or(Self::NEWEST_LEGACY)
    }

    /// Stateless: every request carries its version and capabilities.
    pub(crate) fn is_modern(self) -> bool {
        self == Self::MODERN
    }

    pub(crate) fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Tool annotations, `completions`, `message` in progress.
    pub(crate) fn has_annotations(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// `title`, `outputSchema`, `structuredContent`, elicitation.
    pub(crate) fn has_structure(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// `description` and `websiteUrl` of an implementation, `mode` of an elicitation.
    pub(crate) fn has_descriptions(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Elicitation by a link: `mode` is `url`.
    pub(crate) fn has_links(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// `elicitationId` of such a link, and `notifications/elicitation/complete`.
    pub(crate) fn has_link_ids(self) -> bool {
        self == Self::V2025_11_25
    }

    /// `tasks` in the core: `params.task`, `execution`, `tasks/list`, `tasks/result`.
    pub(crate) fn has_core_tasks(self) -> bool {
        self == Self::V2025_11_25
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_never_settles_on_the_modern_revision() {
        assert_eq!(Version::negotiate("2024-11-05"), Version::V2024_11_05);
        assert_eq!(Version::negotiate("2026-07-28"), Version::V2025_11_25);
        assert_eq!(Version::negotiate(""), Version::V2025_11_25);
    }
}
