//! A line of `known_hosts` → whose key it is about, which one, and what it says of it.
//!
//! Owns the reading of one line and whether its names are a host's. A line that cannot be
//! read grants nothing; one that would have revoked a key revokes as much as can be made
//! of it. Decides nothing. Called by [`crate::ssh::host_keys::KnownHosts`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::ssh::host_keys::public_key::PublicKey;

#[derive(Debug)]
pub(crate) struct Entry {
    /// Where in the file the line begins.
    pub(crate) start: usize,
    pub(crate) marker: Marker,
    pub(crate) names: Names,
    /// `None`: the key cannot be read (kept for revocations only).
    pub(crate) key: Option<PublicKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Plain,
    CertAuthority,
    Revoked,
}

#[derive(Debug)]
pub(crate) enum Names {
    /// `|1|salt|hash`: HMAC-SHA1 of one name, keyed with the salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// Comma-separated patterns with `*`, `?` and `!`, in lower case.
    Patterns(Vec<String>),
    /// Cannot be read (kept for revocations only): whoever it may be.
    Anyone,
}

/// One line; `None` if it says nothing about any key.
///
/// White space is what OpenSSH takes for it: blanks and tabs, and carriage returns at the
/// end alone. A line with a zero byte grants nothing. A line that OpenSSH would pass over
/// although it speaks of a revocation (another spelling, several markers, a byte order mark
/// before it) revokes here, for any host.
pub(crate) fn parse(text: &str, start: usize) -> Option<Entry> {
    let fields: Vec<&str> = text
        .trim_end_matches('\r')
        .split([' ', '\t', '\0'])
        .filter(|field| !field.is_empty())
        .collect();
    let entry = |marker, names, key| Entry {
        start,
        marker,
        names,
        key,
    };
    let (marker, rest) = match fields.as_slice() {
        [] => return None,
        [first, ..] if first.starts_with('#') => return None,
        ["@revoked", rest @ ..] => (Marker::Revoked, rest),
        ["@cert-authority", rest @ ..] => (Marker::CertAuthority, rest),
        all => (Marker::Plain, all),
    };
    let misplaced =
        |field: &&str| field.contains('@') && field.to_ascii_lowercase().contains("@revoked");
    if rest.iter().take(2).any(misplaced) {
        return Some(entry(Marker::Revoked, Names::Anyone, key_among(rest)));
    }
    // At a zero byte OpenSSH stops in some places and goes on in others.
    let is_text = !text.contains('\0');
    let names = rest.first().filter(|_| is_text);
    let names = names.and_then(|field| Names::parse(field, marker));
    let key = match rest {
        [_, kind, text, ..] => read_key(kind, text),
        _ => None,
    };
    if marker == Marker::Revoked && (names.is_none() || key.is_none()) {
        // A key that stands elsewhere shifts the names, too.
        let key = key_among(rest);
        let names = names.filter(|_| key.is_none()).unwrap_or(Names::Anyone);
        return Some(entry(marker, names, key));
    }
    Some(entry(marker, names?, Some(key?)))
}

impl Entry {
    /// The names of a line that grants, if none of them is a pattern or hashed.
    pub(crate) fn plain_names(&self) -> Option<&[String]> {
        match (&self.names, self.marker) {
            (Names::Patterns(names), Marker::Plain) => {
                let is_plain = |name: &String| !name.contains(['*', '?', '!']);
                names.iter().all(is_plain).then_some(names)
            }
            _ => None,
        }
    }
}

fn key_among(fields: &[&str]) -> Option<PublicKey> {
    fields.windows(2).find_map(|pair| match pair {
        [kind, text] => read_key(kind, text),
        _ => None,
    })
}

fn read_key(kind: &str, text: &str) -> Option<PublicKey> {
    let key = PublicKey::from_blob(STANDARD.decode(text).ok()?)?;
    (key.kind() == kind).then_some(key)
}

impl Names {
    /// `None`: it can be no host's.
    fn parse(field: &str, marker: Marker) -> Option<Self> {
        if field.starts_with('@') {
            return None;
        }
        let Some(hashed) = field.strip_prefix('|') else {
            let field = field.to_ascii_lowercase();
            let pattern = |pattern: &str| match bare(pattern) {
                Some(name) if marker == Marker::Revoked => name.to_owned(),
                _ => pattern.to_owned(),
            };
            return Some(Self::Patterns(field.split(',').map(pattern).collect()));
        };
        let (salt, hash) = hashed.strip_prefix("1|")?.split_once('|')?;
        let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
        // As long as SHA-1's, both of them: OpenSSH takes no others.
        (salt.len() == 20 && hash.len() == 20).then_some(Self::Hashed { salt, hash })
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok()),
            Self::Anyone => true,
            Self::Patterns(patterns) => {
                let mut found = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        Some(pattern) if wildcard(pattern.as_bytes(), name.as_bytes()) => {
                            return false;
                        }
                        None if wildcard(pattern.as_bytes(), name.as_bytes()) => found = true,
                        _ => {}
                    }
                }
                found
            }
        }
    }
}

/// The name in `[name]:22`, which is nobody for OpenSSH: it calls that host by its bare
/// name. Who revokes a key there means it.
fn bare(pattern: &str) -> Option<&str> {
    pattern.strip_prefix('[')?.strip_suffix("]:22")
}

/// `*` is any run of characters, `?` is one. Linear in pattern × text: after a mismatch only
/// the last star is tried again.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0_usize, 0_usize);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p = p.saturating_add(1);
            }
            Some(&want) if want == b'?' || want == c => {
                p = p.saturating_add(1);
                t = t.saturating_add(1);
            }
            _ => match retry {
                Some((star, from)) => {
                    p = star.saturating_add(1);
                    t = from.saturating_add(1);
                    retry = Some((star, t));
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_do_not_blow_up() {
        let pattern = "*a".repeat(40) + "b";
        assert!(!wildcard(pattern.as_bytes(), "a".repeat(4000).as_bytes()));
        assert!(wildcard(b"*", b""));
        assert!(wildcard(b"a*b?", b"axxbc"));
    }
}
