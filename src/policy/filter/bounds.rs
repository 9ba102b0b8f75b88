//! Programs for awk, sed and jq that would use up a host's time or memory.
//!
//! Owns what can be seen of that before: loops without rounds that can be told, functions
//! that may call themselves, texts that double. Refuses in doubt; what it lets through
//! takes time and memory in proportion to its input. Called by the checkers of the three.

/// Most that a value may grow by one run through a sed script.
const GROWTH_MAX: usize = 4096;
/// Longest count in a loop's header, in digits.
const DIGITS_MAX: usize = 5;

/// Whether the header of a `for` of awk, from behind its name, has rounds that can be told,
/// and which variable counts them (none where it walks over an array).
pub(crate) fn rounds_of_awk(rest: &str) -> Option<Option<&str>> {
    let inside = rest.trim_start_matches(' ').strip_prefix('(')?;
    let (header, _) = inside.split_once(')')?;
    let parts: Vec<&str> = header.split(';').map(str::trim).collect();
    match parts.as_slice() {
        [walk] => {
            let (key, array) = walk.split_once(" in ")?;
            (is_name(key.trim()) && is_name(array.trim())).then_some(None)
        }
        [first, condition, step] => {
            let (name, _) = first.split_once('=')?;
            let name = name.trim();
            let up = step_of(step, name)?;
            let rest = condition.strip_prefix(name)?.trim_start_matches(' ');
            let bound = match up {
                true => rest.strip_prefix('<')?,
                false => rest.strip_prefix('>')?,
            };
            let bound = bound.strip_prefix('=').unwrap_or(bound).trim();
            let counted = |text: &str| {
                matches!(text, "FNR" | "NF" | "NR")
                    || (!text.is_empty()
                        && text.len() <= DIGITS_MAX
                        && text.bytes().all(|byte| byte.is_ascii_digit()))
            };
            let start = first.split_once('=').map_or("", |(_, start)| start.trim());
            // Counting down ends at the bound, so the start must be known.
            let known = counted(bound) && (up || counted(start));
            (is_name(name) && known).then_some(Some(name))
        }
        _ => None,
    }
}

/// Whether a step counts `name` up; `None` if it does something else.
fn step_of(step: &str, name: &str) -> Option<bool> {
    let step: String = step.chars().filter(|c| *c != ' ').collect();
    if step == format!("{name}++") || step == format!("++{name}") {
        return Some(true);
    }
    if step == format!("{name}--") || step == format!("--{name}") {
        return Some(false);
    }
    let (left, amount) = step.split_once('=')?;
    let sign = left.strip_prefix(name)?;
    let counts = !amount.starts_with('0') && amount.bytes().all(|byte| byte.is_ascii_digit());
    match sign {
        "+" if counts && !amount.is_empty() => Some(true),
        "-" if counts && !amount.is_empty() => Some(false),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a format asks for a width that no line has, or leaves it to a value.
pub(crate) fn is_wide_format(text: &str) -> bool {
    text.split('%').skip(1).any(|after| {
        let spec = after.trim_start_matches(['-', '+', ' ', '#', '0', '.']);
        let digits = spec.len() - spec.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = spec.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        digits > 3 || rest.starts_with('*') || spec.starts_with('*') || spec.len() - rest.len() > 7
    })
}

/// What a sed substitution may multiply a line by.
pub(crate) fn growth_of_sed(replacement: &str, global: bool) -> usize {
    let copies = replacement.matches('&').count() + replacement.matches('\\').count();
    match global {
        true => replacement.len().max(1),
        false => copies.max(1),
    }
}

/// Whether a script may go on growing so much.
pub(crate) fn is_too_much(growth: usize) -> bool {
    growth > GROWTH_MAX
}

/// A word of a jq program that may never end, or fill the memory.
pub(crate) fn is_endless_in_jq(word: &str) -> bool {
    matches!(
        word,
        "combinations"
            | "def"
            | "infinite"
            | "label"
            | "range"
            | "recurse"
            | "recurse_down"
            | "repeat"
            | "until"
            | "walk"
            | "while"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_loops() {
        for header in [
            "(k in a) print",
            "(i=11;i<=NF;i++) x",
            " (i = 1; i < 100; i += 2)",
            "(i=NF;i>0;i--)",
        ] {
            assert!(rounds_of_awk(header).is_some(), "{header}");
        }
        for header in [
            "(;;)",
            "(i=0;;i++)",
            "(i=0;i<1e9;i++)",
            "(i=0;i<9999999;i++)",
            "(i=0;i<n;i++)",
            "(i=0;i>NF;i++)",
            "(i=0;i<NF;i--)",
            "(i=0;i<NF;j++)",
            "(i=0;i<NF;i+=0)",
            "(i=n;i>0;i--)",
            "(i=0;i<length(x);i++)",
        ] {
            assert!(rounds_of_awk(header).is_none(), "{header}");
        }
    }

    #[test]
    fn formats() {
        assert!(!is_wide_format("%-20s %5.1f%%\\n"));
        for wide in ["%99999d", "%*d", "%.*f", "%0999999d", "%1.99999999f"] {
            assert!(is_wide_format(wide), "{wide}");
        }
    }
}
