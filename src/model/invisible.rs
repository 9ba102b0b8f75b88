//! Characters that show nothing, or that change how others are shown.
//!
//! Owns the one table of them, made from the properties of Unicode. Says nothing of what
//! becomes of such a character: the policy refuses a command that holds one, the cleaner
//! of output writes it out. A test compares the table with what the machine's Unicode data
//! say (`scripts/invisible-characters`). Called by [`crate::policy`], [`crate::task`] and
//! [`crate::model::text`].

use std::cmp::Ordering;

/// First and last code point, in order. Each has one of the properties
/// Default_Ignorable_Code_Point, Bidi_Control, General_Category Cf, Zl or Zp
/// (DerivedCoreProperties.txt, PropList.txt, UnicodeData.txt), or is among those that
/// [`BLANK_LOOKING`] lists. Blocks made for such characters are in it whole, so that what
/// a later version of Unicode assigns there is known already.
const INVISIBLE: &[(u32, u32)] = &[
    (0x00AD, 0x00AD),   // soft hyphen
    (0x034F, 0x034F),   // combining grapheme joiner
    (0x0600, 0x0605),   // Arabic signs that span digits
    (0x061C, 0x061C),   // Arabic letter mark
    (0x06DD, 0x06DD),   // Arabic end of ayah
    (0x070F, 0x070F),   // Syriac abbreviation mark
    (0x0890, 0x0891),   // Arabic pound and piastre marks
    (0x08E2, 0x08E2),   // Arabic disputed end of ayah
    (0x115F, 0x1160),   // Hangul fillers
    (0x17B4, 0x17B5),   // Khmer inherent vowels
    (0x180B, 0x180F),   // Mongolian variation selectors and vowel separator
    (0x200B, 0x200F),   // zero width space, joiners, direction marks
    (0x2028, 0x202E),   // line and paragraph separator, embeddings and overrides
    (0x2060, 0x206F),   // word joiner, invisible operators, isolates
    (0x2800, 0x2800),   // Braille pattern blank
    (0x3164, 0x3164),   // Hangul filler
    (0xFE00, 0xFE0F),   // variation selectors
    (0xFEFF, 0xFEFF),   // zero width no-break space
    (0xFFA0, 0xFFA0),   // halfwidth Hangul filler
    (0xFFF0, 0xFFFB),   // reserved; interlinear annotation
    (0x110BD, 0x110BD), // Kaithi number sign
    (0x110CD, 0x110CD), // Kaithi number sign above
    (0x13430, 0x1345F), // Egyptian hieroglyph format controls, blanks among them
    (0x16FE4, 0x16FE4), // Khitan small script filler
    (0x1BCA0, 0x1BCAF), // shorthand format controls
    (0x1D159, 0x1D159), // musical symbol null notehead
    (0x1D173, 0x1D17A), // musical symbol format controls
    (0xE0000, 0xE0FFF), // tags, variation selectors supplement
];

/// What Unicode counts as a letter, a mark or a symbol though its shape is empty: no
/// property says so, the names and the code charts do.
pub const BLANK_LOOKING: &[(u32, u32)] = &[
    (0x2800, 0x2800),
    (0x13439, 0x1345F),
    (0x16FE4, 0x16FE4),
    (0x1D159, 0x1D159),
];

/// Whether a character shows nothing or changes how others are shown. Not control
/// characters (category Cc), which have their own treatment wherever they can occur.
pub fn is_invisible(c: char) -> bool {
    let code = u32::from(c);
    // The first range begins there; nearly all text is below it.
    code >= 0xAD && contains(INVISIBLE, code)
}

/// Whether a character is a blank (categories Zs, Zl, Zp, and the controls that are white
/// space) other than U+0020.
pub(crate) fn is_blank(c: char) -> bool {
    c != ' ' && c.is_whitespace()
}

fn contains(ranges: &[(u32, u32)], code: u32) -> bool {
    let place = |(first, last): &(u32, u32)| match code {
        _ if *last < code => Ordering::Less,
        _ if *first > code => Ordering::Greater,
        _ => Ordering::Equal,
    };
    ranges.binary_search_by(place).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_disjoint() {
        for table in [INVISIBLE, BLANK_LOOKING] {
            assert!(table.iter().all(|(first, last)| first <= last));
            assert!(table.is_sorted_by(|(_, last), (first, _)| last < first));
        }
    }

    #[test]
    fn both_ends_of_each_range_are_found_and_their_neighbours_are_not() {
        for (first, last) in INVISIBLE {
            let is = |code: u32| is_invisible(char::from_u32(code).unwrap());
            assert!(is(*first) && is(*last), "{first:x}");
            assert!(!is(first - 1) && !is(last + 1), "{first:x}");
        }
        assert!(!"aé中✓😀".chars().any(is_invisible));
    }
}
