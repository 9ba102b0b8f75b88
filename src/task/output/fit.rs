//! Many outputs in one reply: how much of each is shown, and which are the same.
//!
//! Owns the sharing of one size among the outputs of a tag run. Knows neither tasks nor
//! frames: what a text costs is for its caller to say. Called by [`crate::task::tag::fanout`].
//!
//! The share of each is the same, and what one does not use goes to the others: the
//! largest level such that all outputs, cut at that level, fit. More outputs never raise
//! the level, so what is cut while results still come in would have been cut at the end
//! as well.

/// What a text costs in a reply, in bytes. Has to grow with the text.
pub(crate) type Cost = fn(&str) -> usize;

/// The beginning of an output, and how much of it is missing after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    /// Bytes.
    pub(crate) left_out: usize,
    /// Of the text.
    cost: usize,
}

impl Excerpt {
    pub(crate) fn whole(text: String, cost: Cost) -> Self {
        Self {
            cost: cost(&text),
            text,
            left_out: 0,
        }
    }

    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// Cuts it so that it costs at most `most`.
    pub(crate) fn cut(&mut self, most: usize, cost: Cost) {
        if self.cost <= most {
            return;
        }
        // Costs grow with the text: search for the longest beginning that fits.
        let (mut fits, mut too_long) = (0, self.text.len());
        while too_long - fits > 1 {
            let middle = fits + (too_long - fits) / 2;
            let begin = self.text.get(..self.text.floor_char_boundary(middle));
            if cost(begin.unwrap_or_default()) <= most {
                fits = middle;
            } else {
                too_long = middle;
            }
        }
        let end = self.text.floor_char_boundary(fits);
        self.left_out += self.text.len() - end;
        self.text.truncate(end);
        self.text.shrink_to_fit();
        self.cost = cost(&self.text);
    }
}

/// Cuts the costliest so that all together cost at most `budget`.
pub(crate) fn fit<'a>(excerpts: impl Iterator<Item = &'a mut Excerpt>, budget: usize, cost: Cost) {
    let mut excerpts: Vec<_> = excerpts.collect();
    excerpts.sort_by_key(|excerpt| excerpt.cost);
    let mut left = budget;
    let mut others = excerpts.len();
    for excerpt in excerpts {
        let share = left / others.max(1);
        excerpt.cut(share, cost);
        left = left.saturating_sub(excerpt.cost);
        others -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpts(lengths: &[usize]) -> Vec<Excerpt> {
        let text = |length: &usize| Excerpt::whole("x".repeat(*length), str::len);
        lengths.iter().map(text).collect()
    }

    fn fitted(lengths: &[usize], budget: usize) -> Vec<usize> {
        let mut all = excerpts(lengths);
        fit(all.iter_mut(), budget, str::len);
        for (excerpt, length) in all.iter().zip(lengths) {
            assert_eq!(excerpt.text.len() + excerpt.left_out, *length);
        }
        all.iter().map(|excerpt| excerpt.text.len()).collect()
    }

    #[test]
    fn what_fits_is_left_alone_and_the_rest_shares_equally() {
        assert_eq!(fitted(&[10, 20, 30], 60), [10, 20, 30]);
        assert_eq!(fitted(&[100, 5, 100], 65), [30, 5, 30]);
        assert_eq!(fitted(&[100, 100], 0), [0, 0]);
        assert_eq!(fitted(&[], 10), [0; 0]);
    }

    #[test]
    fn cutting_early_loses_nothing_that_would_be_shown() {
        let lengths = [50, 400, 3, 900, 77, 900, 12];
        let mut early = Vec::new();
        for excerpt in excerpts(&lengths) {
            early.push(excerpt);
            fit(early.iter_mut(), 300, str::len);
        }
        let early: Vec<_> = early.iter().map(|excerpt| excerpt.text.len()).collect();
        let late = fitted(&lengths, 300);
        for (early, late) in early.iter().zip(&late) {
            assert!(early.abs_diff(*late) <= lengths.len(), "{early} {late}");
        }
    }

    #[test]
    fn cuts_fall_between_characters_and_obey_the_cost() {
        let escaped: Cost = |text| text.chars().map(|c| if c == '\n' { 3 } else { 1 }).sum();
        let mut excerpt = Excerpt::whole("é\n".repeat(10), escaped);
        excerpt.cut(10, escaped);
        assert_eq!(excerpt.text, "é\né\né");
        assert_eq!(excerpt.left_out, 30 - excerpt.text.len());
        excerpt.cut(4, escaped);
        assert_eq!(excerpt.text, "é\n");
        assert_eq!(excerpt.left_out, 27);
    }
}
