//! Which characters may stand in a command at all, quoted or not.
//!
//! Owns the screen that runs before anything is parsed: control characters, invisible
//! and format characters, exotic blanks, and code points that stand for no character.
//! Refuses them wherever they stand, because what a person sees must be what is judged.
//! Called by the lexer.

use crate::policy::decision::reason::Code;

/// Why `c` may not stand in a command, if it may not.
pub(crate) fn refusal(c: char) -> Option<Code> {
    match c {
        ' '..='~' => None,
        '\0' => Some(Code::Nul),
        '\t' => Some(Code::Tab),
        '\n' => Some(Code::Newline),
        '\r' => Some(Code::CarriageReturn),
        '\x1b' => Some(Code::Escape),
        c if c.is_control() => Some(Code::ControlChar),
        c if is_invisible(c) || is_blank(c) || is_no_character(c) => Some(Code::InvisibleChar),
        _ => None,
    }
}

/// Format characters (category Cf) and the default ignorable ones of other categories
/// (Unicode 16, DerivedCoreProperties.txt).
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2
        | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F
        | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F
        | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB
        | 0x110BD | 0x110CD | 0x13430..=0x1345F | 0x1BCA0..=0x1BCAF | 0x1D173..=0x1D17A
        | 0xE0000..=0xE0FFF)
}

/// Blanks and separators (Zs, Zl, Zp) but U+0020, and the one letter that looks like one.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

/// Private use, noncharacters, and the planes that hold nothing.
fn is_no_character(c: char) -> bool {
    let c = u32::from(c);
    matches!(c, 0xE000..=0xF8FF | 0xFDD0..=0xFDEF | 0x40000..=0xDFFFF | 0xF0000..)
        || c & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_passes_and_what_hides_does_not() {
        for c in "aZ~ éß中ошибка→✓—’😀".chars() {
            assert_eq!(refusal(c), None, "{c}");
        }
        let hidden = "\u{a0}\u{ad}\u{2028}\u{2029}\u{200b}\u{200d}\u{202e}\u{2066}\u{feff}\u{3000}\u{180e}\u{fe0f}\u{e0041}\u{e000}\u{ffff}\u{2800}\u{3164}";
        for c in hidden.chars() {
            assert_eq!(
                refusal(c),
                Some(Code::InvisibleChar),
                "U+{:04X}",
                u32::from(c)
            );
        }
        for (c, code) in [
            ('\0', Code::Nul),
            ('\t', Code::Tab),
            ('\n', Code::Newline),
            ('\r', Code::CarriageReturn),
            ('\x1b', Code::Escape),
            ('\x0b', Code::ControlChar),
            ('\x7f', Code::ControlChar),
            ('\u{85}', Code::ControlChar),
            ('\u{9b}', Code::ControlChar),
        ] {
            assert_eq!(refusal(c), Some(code));
        }
    }
}
