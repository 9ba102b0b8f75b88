//! Which characters may stand in a command at all, quoted or not.
//!
//! Owns the screen that runs before anything is parsed: control characters, invisible
//! and format characters, exotic blanks, and code points that stand for no character.
//! Refuses them wherever they stand, because what a person sees must be what is judged.
//! Called by the lexer.

use crate::model::invisible::{is_blank, is_invisible};
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
