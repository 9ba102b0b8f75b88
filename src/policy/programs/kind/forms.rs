//! What numbers, formats, paths into documents and revisions look like.
//!
//! Owns the forms that need more than a set of characters. Strict: what another version of the
//! program could read otherwise is none of them. Called by the kinds.

pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let unit = digits.trim_start_matches(|c: char| c.is_ascii_digit() || ".,:".contains(c));
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().any(|b| b.is_ascii_digit())
        && unit.len() <= 3
        && unit.bytes().all(|b| b.is_ascii_alphabetic() || b == b'%')
}

/// Whether so many rounds come to an end: of a number that is too large to be one, who knows.
pub(crate) fn ends(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    number.parse::<i32>().is_ok_and(|number| number > 0)
}

/// What apt takes for no file: it looks for one where a `/` stands, and a release stands behind
/// that, too.
pub(crate) fn is_deb(text: &str) -> bool {
    let name = |text: &str| !text.is_empty() && !text.starts_with(['.', '-']);
    let release = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-+*".contains(&b);
        !text.is_empty() && text.bytes().all(plain)
    };
    match text.split_once('/') {
        None => name(text),
        Some((package, behind)) => name(package) && release(behind),
    }
}

/// What npm asks its registry for (npm-package-arg 10: all with another `/`, a `:`, a point in
/// front or the end of an archive's name is something else).
pub(crate) fn is_npm(text: &str) -> bool {
    let name = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(plain)
    };
    let version = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-^~<>=*+| ".contains(&b);
        !text.starts_with(['.', '-', ' ']) && text.bytes().all(plain)
    };
    let lower = text.to_ascii_lowercase();
    let archive = [".tgz", ".tar.gz", ".tar"];
    let (scope, rest) = match text.strip_prefix('@') {
        None => (None, text),
        Some(scoped) => match scoped.split_once('/') {
            Some((scope, rest)) => (Some(scope), rest),
            None => return false,
        },
    };
    let (package, asked) = rest.split_once('@').unwrap_or((rest, "1"));
    let known = scope.is_none_or(name) && name(package) && version(asked);
    known && !archive.iter().any(|end| lower.ends_with(end))
}

/// Only conversions that print a text as it is: `%s`, `%b`, `%q`, `%c`, `%%`.
pub(crate) fn is_text_format(text: &str) -> bool {
    let mut pieces = text.split('%');
    if pieces.next().is_none_or(|first| first.starts_with('-')) {
        return false;
    }
    while let Some(piece) = pieces.next() {
        if piece.is_empty() {
            // `%%`: what follows belongs to no conversion.
            if pieces.next().is_none() {
                return false;
            }
            continue;
        }
        let conversion =
            piece.trim_start_matches(|c: char| c.is_ascii_digit() || "-+ .".contains(c));
        if !conversion.starts_with(['s', 'b', 'q', 'c']) {
            return false;
        }
    }
    true
}

/// `.a.b[0]`, `.["x"]`, `.items[]`, with `| length` or `| keys` behind it.
pub(crate) fn is_yq_path(text: &str) -> bool {
    let mut parts = text.split('|').map(str::trim);
    let path = parts.next().unwrap_or_default();
    path.starts_with('.')
        && parts.all(|part| matches!(part, "length" | "keys"))
        && path.split('[').enumerate().all(|(at, piece)| {
            let name = |text: &str| {
                text.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            };
            if at == 0 {
                return name(piece);
            }
            // A name without quotes within brackets would be a function.
            let Some((index, rest)) = piece.split_once(']') else {
                return false;
            };
            let quoted = index
                .strip_prefix('"')
                .and_then(|index| index.strip_suffix('"'));
            let plain = match quoted {
                Some(key) => name(key),
                None => index
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b"-*".contains(&b)),
            };
            plain && name(rest) && (rest.is_empty() || rest.starts_with('.'))
        })
}

/// A revision that no file of a repository is likely to be called: `HEAD~2`, `main..dev`.
pub(crate) fn is_revision(text: &str) -> bool {
    let hash = text.len() >= 7 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let branch = ["main", "master", "develop", "@"].contains(&text);
    let begins = [
        "HEAD",
        "FETCH_HEAD",
        "ORIG_HEAD",
        "origin/",
        "refs/",
        "upstream/",
        "stash@",
    ];
    let counts = |(_, rest): (&str, &str)| rest.starts_with(|c: char| c.is_ascii_digit());
    let back = text.ends_with('^') || text.split_once('~').is_some_and(counts);
    let marked = text.contains("..") || text.contains("@{") || back;
    hash || branch || marked || begins.iter().any(|known| text.starts_with(known))
}

/// Whether some piece of it is a name that a server of names would be asked for: one with a
/// point that is no address. A name without points leads no farther than the host's own domain.
pub(crate) fn names_a_host(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    text.split(|c| !inner(c)).any(|piece| {
        piece.contains('.') && piece.bytes().any(|b| !(b.is_ascii_digit() || b == b'.'))
    })
}

/// The same, of what stands behind the mark of a host.
pub(crate) fn socket_names_a_host(text: &str) -> bool {
    text.split_once(['@', ','])
        .is_some_and(|(before, host)| !before.contains('/') && names_a_host(host))
}

/// `localhost`, 127.0.0.0/8 and `::1` (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3).
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
