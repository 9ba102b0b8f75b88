//! The sed scripts that need no rule to spell them out.
//!
//! Owns a grammar that can neither execute, write nor read another file: commands `p`,
//! `d`, `q`, `=` and `s///` with the flags `g`, `p`, `I`, each behind at most two
//! addresses. Refuses whatever GNU, BSD and busybox sed could cut in different places.
//! Called by the hazards (a wildcard that covers a script) and by the filters.

use crate::policy::filter::bounds;

/// The first of the `free` words that makes this sed more than a reader: an option beyond
/// `-n` and `-e`, or a script beyond the grammar. `words` begins with the program.
pub(crate) fn hazard(words: &[&str], free: impl Fn(usize) -> bool) -> Option<usize> {
    let parts = Parts::of(words);
    let bad_option = parts.options.iter().copied().find(|index| free(*index));
    let bad_script = || {
        parts.scripts.iter().copied().find(|index| {
            let script = words.get(*index).copied().unwrap_or_default();
            free(*index) && !is_plain(script)
        })
    };
    bad_option.or_else(bad_script)
}

/// Whether these words read standard input alone, with plain scripts.
pub(crate) fn is_filter(words: &[&str]) -> bool {
    let parts = Parts::of(words);
    parts.operands == 0 && !parts.scripts.is_empty() && hazard(words, |_| true).is_none()
}

/// What the words of a sed command are.
struct Parts {
    /// Options beyond `-n` and `-e`, and values of `-f`.
    options: Vec<usize>,
    scripts: Vec<usize>,
    /// File operands.
    operands: usize,
}

impl Parts {
    fn of(words: &[&str]) -> Self {
        let mut parts = Self {
            options: Vec::new(),
            scripts: Vec::new(),
            operands: 0,
        };
        let mut operands = Vec::new();
        let mut given = false;
        let mut only_operands = false;
        let mut next = Next::Word;
        for (index, text) in words.iter().enumerate().skip(1) {
            match std::mem::replace(&mut next, Next::Word) {
                Next::Script => parts.scripts.push(index),
                Next::File => parts.options.push(index),
                // `-l 5` and BSD's `-i ''`: no script, wherever the value belongs.
                Next::Value if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                    parts.options.push(index);
                }
                Next::Word | Next::Value
                    if only_operands || !text.starts_with('-') || *text == "-" =>
                {
                    // Some seds read no option behind the first operand, which is then the
                    // script, whatever -e follows.
                    if !given && operands.is_empty() {
                        parts.scripts.push(index);
                    }
                    operands.push(index);
                }
                Next::Word | Next::Value => match *text {
                    "--" => only_operands = true,
                    "-n" | "--quiet" | "--silent" => {}
                    "-e" | "-ne" => {
                        given = true;
                        next = Next::Script;
                    }
                    other => {
                        // Its value, if it has one, is another word that must not be free.
                        if !other.starts_with("--") && other.ends_with('f') || other == "--file" {
                            given = true;
                            next = Next::File;
                        } else if other.ends_with(['l', 'i', 'I']) {
                            next = Next::Value;
                        }
                        parts.options.push(index);
                    }
                },
            }
        }
        parts.operands = operands.len() - usize::from(!given && !operands.is_empty());
        parts
    }
}

enum Next {
    Word,
    Script,
    File,
    Value,
}

/// Whether a script keeps to the grammar.
pub(crate) fn is_plain(script: &str) -> bool {
    // In some encodings the last byte of a character is a backslash.
    if !script.is_ascii() {
        return false;
    }
    let mut rest = Some(script.trim_start_matches([' ', ';']));
    let mut growth = 1_usize;
    while let Some(text) = rest {
        if text.is_empty() {
            return true;
        }
        let after = command(text).map(|text| text.trim_start_matches([' ', ';']));
        let written = text.len() - after.map_or(0, str::len);
        growth = growth.saturating_mul(grows(text.get(..written).unwrap_or_default()));
        if bounds::is_too_much(growth) {
            return false;
        }
        rest = after;
    }
    false
}

/// What a command may multiply a line by, as far as its text shows: the replacement is what
/// stands between the last two delimiters.
fn grows(command: &str) -> usize {
    let text = command.trim_end_matches([' ', ';', 'g', 'p', 'I']);
    let flags = command.get(text.len()..).unwrap_or_default();
    let mut chars = text.chars();
    let Some(delimiter) = chars.next_back().filter(char::is_ascii_punctuation) else {
        return 1;
    };
    let replacement = chars.as_str().rsplit(delimiter).next().unwrap_or_default();
    bounds::growth_of_sed(replacement, flags.contains('g'))
}

/// One command with its addresses; what follows its end.
fn command(text: &str) -> Option<&str> {
    let text = addresses(text)?.trim_start_matches(' ');
    let text = text
        .strip_prefix('!')
        .unwrap_or(text)
        .trim_start_matches(' ');
    let mut chars = text.chars();
    let after = match chars.next()? {
        'p' | 'd' | 'q' | '=' => chars.as_str(),
        's' => substitution(chars.as_str())?,
        _ => return None,
    };
    let after = after.trim_start_matches(' ');
    (after.is_empty() || after.starts_with(';')).then_some(after)
}

fn addresses(text: &str) -> Option<&str> {
    let Some(after) = address(text)? else {
        return Some(text);
    };
    match after.trim_start_matches(' ').strip_prefix(',') {
        None => Some(after),
        Some(second) => {
            let second = second.trim_start_matches(' ');
            match second.strip_prefix(['+', '~']) {
                Some(count) => number(count),
                None => address(second)?,
            }
        }
    }
}

/// What follows an address: `Some(None)` if there is none here, `None` if it is a bad one.
#[expect(
    clippy::option_option,
    reason = "no address and a bad address are different answers"
)]
fn address(text: &str) -> Option<Option<&str>> {
    if let Some(regex) = text.strip_prefix('/') {
        let after = delimited(regex, '/', true)?;
        return Some(Some(after.strip_prefix('I').unwrap_or(after)));
    }
    if let Some(after) = text.strip_prefix('$') {
        return Some(Some(after));
    }
    match number(text) {
        None => Some(None),
        Some(after) => match after.strip_prefix('~') {
            Some(step) => Some(Some(number(step)?)),
            None => Some(Some(after)),
        },
    }
}

/// What follows a number, which there must be.
fn number(text: &str) -> Option<&str> {
    let after = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (after.len() < text.len()).then_some(after)
}

/// What follows `s/regex/replacement/flags`, from the delimiter on.
fn substitution(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    let delimiter = chars
        .next()
        .filter(|c| c.is_ascii_punctuation() && !matches!(c, '\\' | ';'))?;
    let replacement = delimited(chars.as_str(), delimiter, true)?;
    let flags = delimited(replacement, delimiter, false)?;
    Some(flags.trim_start_matches(['g', 'p', 'I']))
}

/// What follows the next unescaped delimiter. In a regex, a delimiter within `[…]` ends it
/// for some seds and not for others: refused.
fn delimited(text: &str, delimiter: char, regex: bool) -> Option<&str> {
    let mut chars = text.chars();
    let mut bracket: Option<usize> = None;
    while let Some(c) = chars.next() {
        match (&mut bracket, c) {
            (None, c) if c == delimiter => return Some(chars.as_str()),
            (None, '\\') => {
                chars.next()?;
            }
            (None, '[') if regex => bracket = Some(0),
            (Some(_), c) if c == delimiter || c == '\\' => return None,
            // First in a bracket, a ] is a member; so it is behind a first ^.
            (Some(members), ']') if *members > 0 => bracket = None,
            (Some(members), '^') if *members == 0 => {}
            (Some(_), '[') if delimiter == ':' => return None,
            (Some(members), '[') => {
                chars = behind_class(chars.as_str())?.chars();
                *members += 1;
            }
            (Some(members), _) => *members += 1,
            (None, _) => {}
        }
    }
    None
}

/// What follows the rest of `[:name:]`, from behind its `[`. Within `[…]`, any other `[`
/// is refused.
pub(crate) fn behind_class(text: &str) -> Option<&str> {
    let name = text.strip_prefix(':')?;
    let after = name.trim_start_matches(|c: char| c.is_ascii_lowercase());
    after.strip_prefix(":]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scripts() {
        for script in [
            "1,50p",
            "$p",
            "/err/p",
            "/a/,/b/p",
            "/a/Ip",
            "5q",
            "1d;$d",
            "/x/!d",
            "=",
            "$=",
            "p",
            "s/a/b/",
            "s/a/b/gpI",
            "s|a|b|g",
            "s#/x#/y#",
            "s/[0-9]*//g",
            "s/\\(a\\)/\\1/p",
            "2~3p",
            "/a/,+3p",
            "1,5 p ; 9 q",
            "s/ *$//",
            "",
            "0,/re/p",
            "s/[^]x]/y/",
            "s/[[:space:]]*$//",
            "s/^[^[:alnum:]_]//g",
            "/^[[:space:]]*#/d",
        ] {
            assert!(is_plain(script), "{script}");
        }
        for script in [
            "s/a/b/e",
            "s/a/b/w /x",
            "w /x",
            "r /x",
            "1e id",
            "e",
            "a\\x",
            "i x",
            "c x",
            "y/a/b/",
            "{p;w /x}",
            "p}",
            "s/a/b",
            "/a",
            "\\%a%w x",
            "s/[/]/w x/",
            "s/a/b/2",
            "F",
            "l",
            "n",
            "1,p",
            "p w",
            "s/[\\]/x/e",
            "s/a[[:x:]/b/",
            "s:[[:space:]]:x:",
            "s/[[.x.]]/y/",
            "s/[a[]/y/",
            "R x",
            "W x",
            "b",
            "t",
            ":a",
            "D;G;H;x",
            "s;a;b;",
            "p\\",
            "1,5w /x",
            "z",
            "v",
            "Q",
            "M",
            "s/x/y/m",
            "s/é/e/",
            "s/a/aaaaaaaa/g;s/a/aaaaaaaa/g;s/a/aaaaaaaa/g;s/a/aaaaaaaa/g;s/a/aaaaaaaa/g",
            "s/.*/&&&&/;s/.*/&&&&/;s/.*/&&&&/;s/.*/&&&&/;s/.*/&&&&/;s/.*/&&&&/;s/.*/&&&&/",
        ] {
            assert!(!is_plain(script), "{script}");
        }
    }

    #[test]
    fn words_of_sed() {
        let free = |words: &[&str]| hazard(words, |_| true);
        assert_eq!(free(&["sed", "-n", "1p", "/var/log/x"]), None);
        assert_eq!(free(&["sed", "-n", "-i", "1p", "x"]), Some(2));
        assert_eq!(free(&["sed", "-n", "-f", "/x", "y"]), Some(2));
        assert_eq!(free(&["sed", "-n", "p", "x", "-i"]), Some(4));
        assert_eq!(free(&["sed", "-n", "-e", "p", "-e", "w x"]), Some(5));
        assert_eq!(free(&["sed", "-Ei", "p"]), Some(1));
        // A script file that the rule names by option but not by name.
        assert_eq!(hazard(&["sed", "-f", "/x", "y"], |i| i > 1), Some(2));
        // BSD takes the first operand for the script, GNU what -e gives.
        assert_eq!(free(&["sed", "-n", "w /x", "-e", "p"]), Some(2));
        assert_eq!(free(&["sed", "-n", "p", "-e", "w /x"]), Some(4));
        // The value of an option that the rule spells is no script.
        let spelled = |words: &[&str]| hazard(words, |index| index > 2);
        assert_eq!(spelled(&["sed", "-l", "5", "w /x", "y"]), Some(3));
        assert_eq!(spelled(&["sed", "-i", "", "w /x", "y"]), Some(3));
        assert_eq!(spelled(&["sed", "-l", "5", "p", "y"]), None);
        assert_eq!(spelled(&["sed", "-i", "p", "y"]), None);
        // A script that the rule spells.
        assert_eq!(hazard(&["sed", "w /x", "y"], |i| i > 1), None);
        assert!(is_filter(&["sed", "-n", "1,5p"]));
        assert!(is_filter(&["sed", "s/a/b/"]));
        assert!(!is_filter(&["sed", "1p", "/etc/shadow"]));
        assert!(!is_filter(&["sed", "p", "-e", "p"]));
        assert!(!is_filter(&["sed", "-n"]));
        assert!(!is_filter(&["sed", "-E", "p"]));
        assert!(!is_filter(&["sed", "--expression=w x"]));
    }
}
