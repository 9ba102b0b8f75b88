//! What an invocation does beyond printing, as a small set.
//!
//! Owns the names that descriptions and `also:` use. Called by the reader and the rules.

use std::fmt;

/// A set of effects. Empty means `reads`: looks at the host's state or at the named files,
/// prints, ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(crate) struct Effects(u8);

impl Effects {
    pub(crate) const READS: Self = Self(0);
    /// Reads and does not end by itself.
    pub(crate) const FOLLOWS: Self = Self(1);
    /// Contacts another host.
    pub(crate) const NETWORK: Self = Self(1 << 1);
    /// May print what logs in somewhere.
    pub(crate) const SECRETS: Self = Self(1 << 2);
    /// Creates, changes or removes something.
    pub(crate) const WRITES: Self = Self(1 << 3);
    /// Runs a program or code of the caller's choice, loads a library, starts a pager.
    pub(crate) const EXECUTES: Self = Self(1 << 4);

    const NAMES: [(&'static str, Self); 6] = [
        ("reads", Self::READS),
        ("follows", Self::FOLLOWS),
        ("network", Self::NETWORK),
        ("secrets", Self::SECRETS),
        ("writes", Self::WRITES),
        ("executes", Self::EXECUTES),
    ];

    /// The effect of this name; `None` for any other word.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut names = Self::NAMES.iter();
        names.find(|(known, _)| *known == name).map(|(_, set)| *set)
    }

    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether each of these effects is among the granted ones.
    pub(crate) fn within(self, granted: Self) -> bool {
        self.0 & !granted.0 == 0
    }

    pub(crate) fn has(self, effect: Self) -> bool {
        self.0 & effect.0 == effect.0 && effect.0 != 0
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::READS {
            return f.write_str("reads");
        }
        let mut comma = "";
        for (name, effect) in Self::NAMES {
            if self.has(effect) {
                write!(f, "{comma}{name}")?;
                comma = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sets() {
        let both = Effects::NETWORK.and(Effects::named("writes").unwrap());
        assert_eq!(both.to_string(), "network, writes");
        assert_eq!(Effects::READS.to_string(), "reads");
        assert!(Effects::READS.within(Effects::READS));
        assert!(!both.within(Effects::NETWORK));
        assert!(both.within(both));
        assert!(!both.has(Effects::READS));
        assert_eq!(Effects::named("runs"), None);
    }
}
