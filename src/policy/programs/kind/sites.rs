//! What may stand for a place on the web, and for a header of a request to it.
//!
//! Owns the forms that a described `curl` or `wget` takes: no user, no file, no other scheme,
//! nothing that these programs expand. Called by the kinds.

use crate::policy::programs::kind::forms::is_loopback;

pub(crate) fn is_plain_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !authority.is_empty()
        && !authority.contains('@')
        && !authority.starts_with('-')
        && rest
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"{}[]\\\"'<>^`|".contains(&b))
}

/// `localhost:8080/health`: what has no scheme and is read as `http://`.
pub(crate) fn is_bare_site(text: &str) -> bool {
    const OTHERS: [&str; 6] = ["dict.", "ftp.", "imap.", "ldap.", "pop3.", "smtp."];
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    let port = authority.strip_prefix(host).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    let small = host.to_ascii_lowercase();
    host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host.bytes().all(plain)
        && !OTHERS.iter().any(|other| small.starts_with(other))
        && port.strip_prefix(':').map_or(port.is_empty(), |digits| {
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        })
        && is_plain_url(&format!("http://{text}"))
}

pub(crate) fn is_line(text: &str) -> bool {
    // A line break in a header would begin another request.
    !text.starts_with('@') && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

/// `HOST:PORT:ADDRESS` with one address, which is this host's own. A `+` or `-` before it, a `*`
/// and further addresses mean more (curl(1), `--resolve`).
pub(crate) fn is_resolved_here(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let (Some(host), Some(port), Some(address)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    let inside = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host.bytes().all(plain)
        && !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit())
        && address != "localhost"
        && is_loopback(inside.unwrap_or(address))
}

pub(crate) fn is_plain_header(text: &str) -> bool {
    const NAMES: [&str; 14] = [
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "host",
        "if-modified-since",
        "if-none-match",
        "origin",
        "pragma",
        "range",
        "referer",
        "user-agent",
    ];
    let Some((name, _)) = text.split_once(':') else {
        return false;
    };
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || name.starts_with("x-forwarded-") || name == "x-request-id"
}
