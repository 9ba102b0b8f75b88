//! What credentials look like.
//!
//! Owns the names that hold one, the beginnings of tokens, and how far each goes. Keeps no
//! state and takes nothing out. Called by [`crate::task::output::credentials`].

/// Characters of a line of a private key, at least.
const KEY_LEAST: usize = 20;

/// Names that hold a secret, as their last part.
const STRONG: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret_key",
    "secretkey",
    "secret_access_key",
    "secretaccesskey",
    "client_secret",
    "clientsecret",
    "api_key",
    "apikey",
    "api-key",
    "private_key",
    "auth_token",
    "access_token",
    "refresh_token",
];
/// Names that hold one where it is plain that a value follows: before `=`, or in quotes.
const WEAK: &[&str] = &["secret", "token", "pwd", "pass", "access_key"];
/// Values that are none.
const PLAIN: &[&str] = &[
    "",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "null",
    "none",
    "nil",
    "undefined",
    "x",
    "0",
    "1",
    "redacted",
    "required",
    "optional",
    "unset",
    "empty",
    "string",
    "never",
];
/// What begins the token of a code host or a messenger, and how long the rest is at least.
const PREFIXES: &[(&str, usize)] = &[
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("AKIA", 16),
    ("ASIA", 16),
];

/// Without one of these there is nothing to find in a line.
const SIGNS: &[&str] = &[
    "pass",
    "PASS",
    "Pass",
    "secret",
    "SECRET",
    "Secret",
    "token",
    "TOKEN",
    "Token",
    "key",
    "KEY",
    "Key",
    "pwd",
    "PWD",
    "Pwd",
    "uthorization",
    "UTHORIZATION",
    "earer",
    "EARER",
    "eyJ",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "BEGIN",
    "://",
];

/// Whether there may be anything to find in a text.
pub(crate) fn has_sign(text: &str) -> bool {
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// Between two words: blanks, and what separates members of lists and of queries.
pub(crate) fn is_between(c: char) -> bool {
    c.is_whitespace() || ",;&(){}[]<>|".contains(c)
}

/// A part of a private key, its lines perhaps joined by `\\n`.
pub(crate) fn is_key_line(word: &str) -> bool {
    let all = |more: &str| {
        word.chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    (word.len() >= KEY_LEAST && all("+/=-\\")) || (word.ends_with('=') && all("+/="))
}

pub(crate) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

pub(crate) fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/=".contains(c)
}

/// The name that a text ends with, and whether it is in quotes.
pub(crate) fn name_of(text: &str) -> (&str, bool) {
    let bare = text.trim_end_matches(['"', '\'', '\\']);
    let begin = bare.rfind(|c: char| !is_name(c)).map_or(0, |at| {
        at + bare
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map_or(1, char::len_utf8)
    });
    (
        bare.get(begin..).unwrap_or_default(),
        bare.len() < text.len(),
    )
}

pub(crate) fn is_strong(name: &str) -> bool {
    ends_with_any(name, STRONG)
}

pub(crate) fn names_a_secret(before: &str, sign: char) -> bool {
    let (name, quoted) = name_of(before);
    is_strong(name) || ((sign == '=' || quoted) && ends_with_any(name, WEAK))
}

/// Whether its last part is one of these: `DB_PASSWORD`, `db-password`, `dbPassword`.
pub(crate) fn ends_with_any(name: &str, list: &[&str]) -> bool {
    list.iter().any(|end| {
        let Some(begin) = name.len().checked_sub(end.len()) else {
            return false;
        };
        let Some((before, last)) = name.split_at_checked(begin) else {
            return false;
        };
        let apart = before.is_empty()
            || before.ends_with(['_', '-'])
            || last.starts_with(|c: char| c.is_ascii_uppercase())
            || end.len() > 7;
        apart && last.eq_ignore_ascii_case(end)
    })
}

pub(crate) fn is_plain(value: &str) -> bool {
    let value = value.trim_end_matches('.');
    PLAIN.iter().any(|plain| value.eq_ignore_ascii_case(plain))
        || value.chars().all(|c| c == '*')
        || value.starts_with(['$', '%', '/'])
}

/// Bytes of the JSON web token that a text begins with, or 0 (RFC 7519: three parts in
/// base64url, the first of which is an object).
pub(crate) fn web_token(text: &str) -> usize {
    if !text.starts_with("eyJ") {
        return 0;
    }
    let part = |text: &str| text.find(|c: char| !is_name(c)).unwrap_or(text.len());
    let first = part(text);
    let Some(rest) = text.get(first..).and_then(|rest| rest.strip_prefix('.')) else {
        return 0;
    };
    let second = part(rest);
    let Some(last) = rest.get(second..).and_then(|rest| rest.strip_prefix('.')) else {
        return 0;
    };
    match first > 10 && second > 4 {
        true => first + second + 2 + part(last),
        false => 0,
    }
}

/// Bytes of the token that a text begins with by its prefix, or 0.
pub(crate) fn known_token(text: &str) -> usize {
    let Some((prefix, least)) = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)) else {
        return 0;
    };
    let rest = text.get(prefix.len()..).unwrap_or_default();
    let length = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
    match length >= *least {
        true => prefix.len() + length,
        false => 0,
    }
}

/// Of `://user:password@host`: the bytes before the password, and its own.
pub(crate) fn login_of(text: &str) -> Option<(usize, usize)> {
    let authority = text.get(3..)?;
    let end = authority
        .find(['/', '?', '#', '"', '\''])
        .unwrap_or(authority.len());
    let (login, _) = authority.get(..end)?.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    (!is_plain(password)).then_some((user.len() + 4, password.len()))
}
