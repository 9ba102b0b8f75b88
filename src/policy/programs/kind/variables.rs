//! Variables of the environment that change how something is printed and nothing else.
//!
//! Owns their names and the values that do no more than that. Called by the kinds.

/// Variables that change how something is printed and nothing else.
const FORM_VARIABLES: &[&str] = &[
    "CLICOLOR",
    "COLUMNS",
    "DEBIAN_FRONTEND",
    "LANG",
    "LANGUAGE",
    "LINES",
    "NO_COLOR",
    "TERM",
    "TZ",
];

/// Variables that switch a pager off by these values, and do nothing else by them.
const PAGER_VARIABLES: &[&str] = &["GIT_PAGER", "MANPAGER", "PAGER", "SYSTEMD_PAGER"];

/// Whether `NAME=VALUE` changes only the form of what is printed.
pub(crate) fn is_form_assignment(name: &str, value: &str) -> bool {
    let plain = value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_.,:@+-".contains(&b));
    if PAGER_VARIABLES.contains(&name) {
        return matches!(value, "" | "cat");
    }
    // LC_* are categories of a locale, TZ=:file and TZ=/file name files.
    let known = FORM_VARIABLES.contains(&name)
        || name.strip_prefix("LC_").is_some_and(|category| {
            !category.is_empty()
                && category
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b == b'_')
        });
    let zone = name == "TZ"
        && !value.starts_with(['/', ':'])
        && !value.contains("..")
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_/,+-".contains(&b));
    known && (if name == "TZ" { zone } else { plain })
}
