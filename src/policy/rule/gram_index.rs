//! Patterns found by something that they spell out, wherever it stands in them.
//!
//! Owns the index of what begins with a wildcard, so that thousands of such patterns cost a
//! decision little more than one. Each is kept under one gram (up to three bytes) of what
//! every text must hold that it takes: of those the one that the fewest others are under. The
//! grams of a text then lead to all patterns that may take it. Never leaves out one that would
//! match: what spells nothing out is tried for every text. Called by the rules, for what
//! allows and for what denies.

use std::collections::HashMap;

/// Longest gram, in bytes.
const LONGEST: usize = 3;

#[derive(Debug, Default)]
pub(crate) struct GramIndex {
    by_gram: HashMap<Gram, Vec<usize>>,
    /// Which lengths occur, so that others are not looked up.
    lengths: [bool; LONGEST],
    always: Vec<usize>,
}

/// Up to three bytes: its length is the first member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Gram(u8, [u8; LONGEST]);

impl GramIndex {
    /// Adds a pattern. Every text that it takes has to hold each of the `spelled`.
    pub(crate) fn add(&mut self, pattern: usize, spelled: &[&str]) {
        // The longer a gram, the fewer texts hold it; the fewer patterns under it, the fewer
        // are tried.
        let lengths = (1..=LONGEST).rev();
        let found = lengths.into_iter().find_map(|length| {
            let texts = spelled.iter();
            let all = texts.flat_map(|text| grams(text.as_bytes(), length));
            all.min_by_key(|gram| self.by_gram.get(gram).map_or(0, Vec::len))
        });
        let Some(gram) = found else {
            self.always.push(pattern);
            return;
        };
        if let Some(occurs) = self.lengths.get_mut(usize::from(gram.0) - 1) {
            *occurs = true;
        }
        self.by_gram.entry(gram).or_default().push(pattern);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_gram.is_empty() && self.always.is_empty()
    }

    /// The patterns that may take this text, in the order in which they were added.
    pub(crate) fn candidates(&self, text: &str) -> Vec<usize> {
        let mut found = self.always.clone();
        for (length, _) in (1..).zip(self.lengths).filter(|(_, occurs)| *occurs) {
            let mut seen: Vec<Gram> = grams(text.as_bytes(), length)
                .filter(|gram| self.by_gram.contains_key(gram))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            let lists = seen.iter().filter_map(|gram| self.by_gram.get(gram));
            found.extend(lists.flatten());
        }
        found.sort_unstable();
        found
    }
}

fn grams(text: &[u8], length: usize) -> impl Iterator<Item = Gram> {
    text.windows(length).map(move |window| {
        let mut bytes = [0; LONGEST];
        for (place, byte) in bytes.iter_mut().zip(window) {
            *place = *byte;
        }
        Gram(u8::try_from(length).unwrap_or_default(), bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_take_a_text_is_found() {
        let mut index = GramIndex::default();
        for (pattern, spelled) in [
            &["status", "x"][..],
            &["zz"],
            &["q"],
            &[],
            &["é"],
            &["status"],
        ]
        .iter()
        .enumerate()
        {
            index.add(pattern, spelled);
        }
        assert_eq!(index.candidates("is-status"), [0, 3, 5]);
        assert_eq!(index.candidates("pizza"), [1, 3]);
        assert_eq!(index.candidates("q"), [2, 3]);
        assert_eq!(index.candidates("café"), [3, 4]);
        assert_eq!(index.candidates(""), [3]);
    }

    #[test]
    fn patterns_of_one_shape_are_spread_over_what_tells_them_apart() {
        let mut index = GramIndex::default();
        let texts: Vec<String> = (0..2_000).map(|n| format!("tool{n}")).collect();
        for (pattern, text) in texts.iter().enumerate() {
            index.add(pattern, &[text, "status"]);
        }
        for (pattern, text) in texts.iter().enumerate() {
            let found = index.candidates(&format!("x-{text} status nginx"));
            assert!(found.contains(&pattern));
            assert!(found.len() <= 100, "{text}: {}", found.len());
        }
    }
}
