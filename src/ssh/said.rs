//! What a host said when it would not have us, in a form that an assistant may read.
//!
//! Owns what is left of such words: letters that show, a bounded length, and no word that may
//! be an address, a path or a name. Who wrote them is not trusted, and they say nothing but
//! why: they are quoted, and nothing is decided by them. Called by `error`.

/// How a cause begins that is the host's farewell (RFC 4253 section 11.1).
pub(crate) const HUNG_UP: &str = "the host hung up: ";
/// What stands before a line that the host wrote instead of its version.
pub(crate) const IT_SAID: &str = "; it said: ";

/// Most characters that are shown.
const LONGEST: usize = 120;

/// The host's words in the cause of a lost link, if there are some.
pub(crate) fn in_cause(cause: &str) -> Option<String> {
    if let Some((_, said)) = cause.split_once(IT_SAID) {
        return quoted(said);
    }
    let farewell = cause.strip_prefix(HUNG_UP)?;
    quoted(farewell.split(" (libssh2").next().unwrap_or(farewell))
}

/// Whether it hung up because it had said no often enough (`MaxAuthTries`): sshd says so in
/// place of a last no.
pub(crate) fn is_a_no(cause: &str) -> bool {
    cause.starts_with(HUNG_UP) && cause.contains("authentication failures")
}

/// The same of words that are nothing else.
pub(crate) fn quoted(words: &str) -> Option<String> {
    // What follows names somebody: `for root from 192.0.2.7`.
    let words = words.split(" for ").next().unwrap_or(words);
    let shown: Vec<String> = words
        .split_whitespace()
        .map(|word| match tells_something(word) {
            true => "…".to_owned(),
            false => word.chars().filter(char::is_ascii_graphic).collect(),
        })
        .collect();
    let text: String = shown.join(" ").chars().take(LONGEST).collect();
    (!text.is_empty()).then(|| format!("the host said: {text}"))
}

/// Whether a word may be an address, a path, a name or a key.
fn tells_something(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let inner = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    word.len() > 32
        || word.contains(['/', '@', '\\', '='])
        || (digits > 0 && (inner.contains(['.', ':']) || digits > 4))
        || inner.contains(['.', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_stays_and_who_and_where_go() {
        for (cause, shown) in [
            (
                "the host hung up: protocol error (2): Too many authentication failures (libssh2 -13)",
                "protocol error (2): Too many authentication failures",
            ),
            (
                "the host hung up: by application (11): Too many failures for root from 192.0.2.7 port 5",
                "by application (11): Too many failures",
            ),
            (
                "closed; it said: Exceeded MaxStartups",
                "Exceeded MaxStartups",
            ),
            (
                "closed; it said: see /etc/motd, ask ops@example.org or db1.example.org: 10.0.0.1 2001:db8::1",
                "see … ask … or … … …",
            ),
        ] {
            let expected = format!("the host said: {shown}");
            assert_eq!(in_cause(cause), Some(expected), "{cause}");
        }
        assert_eq!(in_cause("Connection reset by peer"), None);
        assert_eq!(quoted(" \u{1b} "), None);
        assert!(quoted(&"a ".repeat(500)).unwrap().len() < 150);
    }
}
