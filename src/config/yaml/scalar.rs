//! A YAML scalar and what it stands for.
//!
//! Owns YAML 1.1's spellings of null, booleans and numbers, as the Python loader read
//! them: `yes` and `off` are booleans, `017` and `12:30` are numbers. Only decimal numbers
//! are ever taken as numbers, and what merely looks like one is no text, so nothing is
//! read as something else than its author saw. Called by `raw` and `shape`.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

/// The text of a scalar, and whether YAML lets it stand for something else. A copy is wiped
/// when dropped, because it may be a password that someone wrote into the file.
#[derive(Clone)]
pub struct Scalar<'t> {
    text: Text<'t>,
    plain: bool,
}

#[derive(Clone)]
enum Text<'t> {
    /// A part of the file.
    File(&'t str),
    Copy(Zeroizing<String>),
}

/// What a scalar means in YAML 1.1, as the Python loader read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning<'a> {
    Null,
    Boolean(bool),
    /// A number in any of YAML's spellings; the text as written.
    Number(&'a str),
    Text(&'a str),
}

impl fmt::Debug for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scalar")
            .field("plain", &self.plain)
            .finish_non_exhaustive()
    }
}

impl<'t> Scalar<'t> {
    pub(crate) fn new(text: Cow<'t, str>, plain: bool) -> Self {
        let text = match text {
            Cow::Borrowed(text) => Text::File(text),
            Cow::Owned(text) => Text::Copy(Zeroizing::new(text)),
        };
        Self { text, plain }
    }

    pub fn text(&self) -> &str {
        match &self.text {
            Text::File(text) => text,
            Text::Copy(text) => text,
        }
    }

    /// Written without quotes.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    pub fn meaning(&self) -> Meaning<'_> {
        let text = self.text();
        if !self.plain {
            return Meaning::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
                Meaning::Boolean(true)
            }
            "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
                Meaning::Boolean(false)
            }
            _ if is_number(text) => Meaning::Number(text),
            _ => Meaning::Text(text),
        }
    }
}

/// A decimal number, with `_` between digits as YAML 1.1 has it. A leading zero is
/// octal there, so it is refused rather than read as one or the other.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let leading_zero = digits.starts_with('0') && digits.len() > 1;
    if leading_zero || !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('_') {
        return None;
    }
    match digits.contains('_') {
        true => digits.replace('_', "").parse().ok(),
        false => digits.parse().ok(),
    }
}

/// Whether YAML 1.1 reads a plain scalar as a number: decimal, binary, octal,
/// hexadecimal, base 60, floating point, infinity, not-a-number
/// (<https://yaml.org/type/int.html>, <https://yaml.org/type/float.html>).
fn is_number(text: &str) -> bool {
    // What most texts and most numbers are.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return false;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let all = |text: &str, accept: fn(char) -> bool| {
        !text.is_empty() && text.chars().all(|c| c == '_' || accept(c))
    };
    if let Some(digits) = unsigned.strip_prefix("0b") {
        return all(digits, |c| matches!(c, '0' | '1'));
    }
    if let Some(digits) = unsigned.strip_prefix("0x") {
        return all(digits, |c| c.is_ascii_hexdigit());
    }
    let mut exponent = unsigned.splitn(2, ['e', 'E']);
    let mantissa = exponent.next().unwrap_or_default();
    if let Some(exponent) = exponent.next() {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if !all(digits, |c| c.is_ascii_digit()) || !mantissa.contains('.') {
            return false;
        }
    }
    // Digits with at most one point; base 60 puts colons between groups of two digits.
    let starts = mantissa
        .strip_prefix('.')
        .unwrap_or(mantissa)
        .starts_with(|c: char| c.is_ascii_digit());
    let mut groups = mantissa.split(':');
    let first = groups.next().unwrap_or_default();
    let sixties = |group: &str| {
        let whole = group.split('.').next().unwrap_or_default();
        matches!(whole.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
    };
    starts
        && mantissa.matches('.').count() <= 1
        && all(&first.replace('.', ""), |c| c.is_ascii_digit())
        && groups
            .all(|group| sixties(group) && all(&group.replace('.', "0"), |c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Meaning<'_> {
        // Leaked so that the meaning can borrow; a few bytes in a test.
        let scalar = Box::leak(Box::new(Scalar::new(Cow::Borrowed(text), true)));
        scalar.meaning()
    }

    #[test]
    fn scalars_mean_what_yaml_1_1_says() {
        for text in [
            "1",
            "0",
            "-7",
            "+3",
            "1_000",
            "0x1F",
            "0b101",
            "017",
            "190:20:30",
            "1.5",
            "1.",
            ".5",
            "6.8523015e+5",
            ".inf",
            "-.INF",
            ".nan",
            "190:20:30.15",
        ] {
            assert_eq!(plain(text), Meaning::Number(text), "{text}");
        }
        for text in [
            "10.0.0.1",
            "1e5",
            "v1",
            "12a",
            ".",
            "-",
            "+",
            "::1",
            "2024-01-01",
            "1.2.3",
            "_1",
            "1:99",
            "e5",
            ".e5",
            "0xZZ",
            "y",
            "n",
            "1.5e",
        ] {
            assert_eq!(plain(text), Meaning::Text(text), "{text}");
        }
        assert_eq!(plain("Yes"), Meaning::Boolean(true));
        assert_eq!(plain("OFF"), Meaning::Boolean(false));
        assert_eq!(plain("~"), Meaning::Null);
    }

    #[test]
    fn only_plain_decimals_are_numbers() {
        for (text, number) in [("0", 0), ("22", 22), ("+5", 5), ("1_048_576", 1_048_576)] {
            assert_eq!(decimal(text), Some(number), "{text}");
        }
        for text in [
            "",
            "-1",
            "022",
            "0x16",
            "1.0",
            "12:30",
            "1_",
            "_1",
            "1e3",
            "99999999999999999999",
            "½",
            "٣",
        ] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
