//! Takes out of an output what looks like a credential, whoever's it is.
//!
//! Owns the forms that are known by their look: bearer tokens, JSON web tokens, private
//! keys, keys of AWS and of code hosts, `password=…` and the like, and passwords in URLs. A
//! help, not a wall: what has none of these forms passes, and so does a secret that is
//! printed in pieces. Secrets of the configuration are [`crate::audit::Redactor`]'s. Called
//! by [`crate::task::output`] with clean text, one guard for each stream of each task.
//!
//! Text goes through as whole words: only an unfinished one waits for what comes next.

use crate::audit::REDACTED;
use crate::task::output::forms::{
    has_sign, is_between, is_key_line, is_name, is_plain, is_strong, is_token, known_token,
    login_of, name_of, names_a_secret, web_token,
};

/// Bytes of an unfinished word that are waited with.
const LONGEST: usize = 16 * 1024;
/// Fewest characters of a bearer token: "the bearer of bad news" is none.
const BEARER_LEAST: usize = 16;
/// Fewest characters of what an `Authorization` header carries.
const BASIC_LEAST: usize = 6;
/// After so many lines without a part of it a private key is over: its headers are fewer.
const OTHER_LINES: u8 = 4;

/// What the next word is, by those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Anything,
    /// After a name that holds a secret: `=` or `:` may follow.
    Name,
    /// The value of such a name; within these quotes, once they have begun.
    Value(Option<char>),
    /// After `Authorization:`: the scheme, then the credential.
    Scheme,
    /// A credential of at least so many characters.
    Token(usize),
    /// After `-----BEGIN`; whether `PRIVATE` was said.
    Begin {
        private: bool,
    },
    /// Within a private key.
    Key(Line),
}

/// A line within a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Line {
    /// Something of it was shown.
    shown: bool,
    /// A part of the key was in it.
    hidden: bool,
    /// How many lines before it had none.
    other: u8,
}

/// A whole text without what looks like a credential.
pub(crate) fn taken_out(text: &str) -> String {
    let (mut guard, mut out) = (Guard::default(), String::with_capacity(text.len()));
    guard.push(text, &mut out);
    guard.finish(&mut out);
    out
}

/// One stream on its way through.
pub(crate) struct Guard {
    held: String,
    next: Next,
    /// How many were taken out.
    found: u64,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            held: String::new(),
            next: Next::Anything,
            found: 0,
        }
    }
}

impl Guard {
    pub(crate) fn found(&self) -> u64 {
        self.found
    }

    pub(crate) fn push(&mut self, text: &str, out: &mut String) {
        let Some(at) = text.rfind(is_between) else {
            self.held.push_str(text);
            if self.held.len() > LONGEST {
                let held = std::mem::take(&mut self.held);
                self.line(&held, out);
            }
            return;
        };
        let (whole, rest) = text.split_at(text.ceil_char_boundary(at + 1));
        let mut all = std::mem::take(&mut self.held);
        all.push_str(whole);
        rest.clone_into(&mut self.held);
        // Looked at as one first: short lines by the million would cost their time otherwise.
        if self.next == Next::Anything && !has_sign(&all) {
            out.push_str(&all);
            return;
        }
        for line in all.split_inclusive('\n') {
            self.line(line, out);
        }
    }

    /// A line or a part of one, of whole words.
    fn line(&mut self, line: &str, out: &mut String) {
        // Almost every line is nothing but what it is.
        if self.next == Next::Anything && !has_sign(line) {
            out.push_str(line);
            return;
        }
        for piece in line.split_inclusive(is_between) {
            let word = piece.trim_end_matches(is_between);
            if !word.is_empty() {
                self.word(word, out);
            }
            for between in piece.get(word.len()..).unwrap_or_default().chars() {
                self.between(between, out);
            }
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.word(&held, out);
        }
        self.next = Next::Anything;
    }

    /// A character between words.
    fn between(&mut self, c: char, out: &mut String) {
        match self.next {
            Next::Key(line) => return self.between_keys(c, line, out),
            // A line's end is the end of what was begun on it.
            _ if c == '\n' => self.next = Next::Anything,
            // Within quotes, everything belongs to the value.
            Next::Value(Some(_)) => return,
            Next::Value(None) if !c.is_whitespace() && c != '[' => self.next = Next::Anything,
            _ => {}
        }
        out.push(c);
    }

    /// A character between the words of a key: lines of which nothing is shown leave none.
    fn between_keys(&mut self, c: char, line: Line, out: &mut String) {
        if line.shown || c != '\n' && !line.hidden {
            out.push(c);
        }
        if c == '\n' {
            let other = if line.hidden { 0 } else { line.other + 1 };
            self.next = match other > OTHER_LINES {
                true => Next::Anything,
                false => Next::Key(Line {
                    other,
                    ..Line::default()
                }),
            };
        }
    }

    fn word(&mut self, word: &str, out: &mut String) {
        match self.next {
            Next::Anything => self.scan(word, out),
            Next::Name => {
                let value = word
                    .strip_prefix(":=")
                    .or_else(|| word.strip_prefix("=>"))
                    .or_else(|| word.strip_prefix(['=', ':']));
                self.next = Next::Anything;
                match value {
                    Some(value) => {
                        let sign = word.len() - value.len();
                        out.push_str(word.get(..sign).unwrap_or_default());
                        self.value(value, out);
                    }
                    None => self.scan(word, out),
                }
            }
            Next::Value(None) => self.value(word, out),
            Next::Value(Some(quote)) => self.quoted(word, quote, out),
            Next::Scheme => {
                self.next = Next::Token(BASIC_LEAST);
                out.push_str(word);
            }
            Next::Token(least) => {
                self.next = Next::Anything;
                let token = word.trim_start_matches(['"', '\'']);
                let end = token.find(|c: char| !is_token(c)).unwrap_or(token.len());
                if end < least {
                    return self.scan(word, out);
                }
                self.take_out(out);
                self.scan(token.get(end..).unwrap_or_default(), out);
            }
            Next::Begin { private } => self.begin(word, private, out),
            Next::Key(line) => self.key(word, line, out),
        }
    }

    /// Looks for the beginning of something, and for what is known by itself.
    fn scan(&mut self, word: &str, out: &mut String) {
        let mut shown = 0;
        let mut before = ' ';
        for (at, c) in word.char_indices() {
            let last = std::mem::replace(&mut before, c);
            if at < shown {
                continue;
            }
            let rest = word.get(at..).unwrap_or_default();
            let up_to = word.get(shown..at).unwrap_or_default();
            if matches!(c, '=' | ':') && !rest.starts_with("://") {
                let name = word.get(..at).unwrap_or_default();
                if names_a_secret(name, c) {
                    let (sign, value) = rest.split_at(1);
                    out.push_str(up_to);
                    out.push_str(sign);
                    return self.value(value, out);
                }
                if name_of(name).0.eq_ignore_ascii_case("authorization") {
                    self.next = Next::Scheme;
                }
            }
            let length = match c {
                _ if is_name(last) => 0,
                'e' => web_token(rest),
                _ => known_token(rest),
            };
            if length > 0 {
                out.push_str(up_to);
                self.take_out(out);
                shown = at + length;
            } else if rest.starts_with("://")
                && let Some((user, password)) = login_of(rest)
            {
                out.push_str(up_to);
                out.push_str(rest.get(..user).unwrap_or_default());
                self.take_out(out);
                shown = at + user + password;
            }
        }
        out.push_str(word.get(shown..).unwrap_or_default());
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let last = bare.rsplit(['"', '\'', ':', '=']).next().unwrap_or(bare);
        if last.eq_ignore_ascii_case("bearer") {
            self.next = Next::Token(BEARER_LEAST);
        } else if self.next == Next::Scheme && last.eq_ignore_ascii_case("basic") {
            self.next = Next::Token(BASIC_LEAST);
        } else if word.ends_with("-----BEGIN") {
            self.next = Next::Begin { private: false };
        } else if self.next == Next::Anything && is_strong(name_of(word).0) {
            self.next = Next::Name;
        }
    }

    /// The value of a name that holds a secret, from its first character on.
    fn value(&mut self, value: &str, out: &mut String) {
        self.next = Next::Anything;
        if value.is_empty() {
            self.next = Next::Value(None);
            return;
        }
        let unescaped = value.strip_prefix('\\').unwrap_or(value);
        if let Some(quote) = unescaped.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let open = value.len() - unescaped.len() + 1;
            let (open, rest) = value.split_at(open);
            out.push_str(open);
            if let Some(end) = rest.find(quote)
                && is_plain(rest.get(..end).unwrap_or_default())
            {
                return self.scan(rest, out);
            }
            if rest.is_empty() {
                self.next = Next::Value(Some(quote));
                return;
            }
            self.take_out(out);
            return self.rest_of_quoted(rest, quote, out);
        }
        let end = value.find(['"', '\'']).unwrap_or(value.len());
        let (secret, rest) = value.split_at(end);
        match is_plain(secret) {
            true => out.push_str(secret),
            false => self.take_out(out),
        }
        self.scan(rest, out);
    }

    /// A further word of a value in quotes, of which nothing was shown.
    fn quoted(&mut self, word: &str, quote: char, out: &mut String) {
        if !out.ends_with(REDACTED) {
            self.take_out(out);
        }
        self.rest_of_quoted(word, quote, out);
    }

    fn rest_of_quoted(&mut self, rest: &str, quote: char, out: &mut String) {
        match rest.find(quote) {
            Some(end) => {
                self.next = Next::Anything;
                self.scan(rest.get(end..).unwrap_or_default(), out);
            }
            None => self.next = Next::Value(Some(quote)),
        }
    }

    /// A word of the line that may begin a private key.
    fn begin(&mut self, word: &str, private: bool, out: &mut String) {
        if let Some(rest) = word.strip_prefix("KEY-----").filter(|_| private) {
            out.push_str("KEY-----");
            self.take_out(out);
            let line = Line {
                shown: true,
                ..Line::default()
            };
            self.next = Next::Key(line);
            if !rest.is_empty() {
                self.key(rest, line, out);
            }
            return;
        }
        let is_kind = word
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        self.next = match is_kind {
            true => Next::Begin {
                private: private || word == "PRIVATE",
            },
            false => Next::Anything,
        };
        match is_kind {
            true => out.push_str(word),
            false => self.scan(word, out),
        }
    }

    /// A word within a private key. What stands beside the key's own lines, such as the
    /// numbers that a tool adds, is shown; after some lines that are none it is over.
    fn key(&mut self, word: &str, line: Line, out: &mut String) {
        if let Some(at) = word.find("-----END") {
            self.next = Next::Anything;
            out.push_str(word.get(at..).unwrap_or_default());
            return;
        }
        // What searches prints the file's name before each line.
        let begin = word.rfind(':').map_or(0, |at| at + 1);
        let (before, content) = word.split_at(begin);
        let hides = is_key_line(content);
        out.push_str(if hides { before } else { word });
        self.next = Next::Key(Line {
            shown: line.shown || !hides || begin > 0,
            other: if hides { 0 } else { line.other },
            hidden: line.hidden || hides,
        });
    }

    fn take_out(&mut self, out: &mut String) {
        self.found += 1;
        out.push_str(REDACTED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let (mut guard, mut out) = (Guard::default(), String::new());
        guard.push(text, &mut out);
        guard.finish(&mut out);
        out
    }

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N";

    #[test]
    fn what_looks_like_a_credential_is_taken_out() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\nAAAAB3NzaC1yc2EAAAADAQ\nAB==\n-----END OPENSSH PRIVATE KEY-----";
        for (text, want) in [
            ("DB_PASSWORD=hunter2\nnext", "DB_PASSWORD=[redacted]\nnext"),
            ("password: hunter2", "password: [redacted]"),
            ("password = 'a b c' rest", "password = '[redacted]' rest"),
            (
                r#"{"password":"a,b","n":1}"#,
                r#"{"password":"[redacted]","n":1}"#,
            ),
            (
                r#"{"token": "abc def", "x": 2}"#,
                r#"{"token": "[redacted]", "x": 2}"#,
            ),
            ("GET /?token=abc&x=1", "GET /?token=[redacted]&x=1"),
            ("--password=x9 --port=1", "--password=[redacted] --port=1"),
            (
                "Authorization: Bearer 0123456789abcdef0",
                "Authorization: Bearer [redacted]",
            ),
            (
                "authorization: Basic dXNlcjpw",
                "authorization: Basic [redacted]",
            ),
            (r#""Bearer 0123456789abcdef0""#, r#""Bearer [redacted]""#),
            ("postgres://me:pw@db/x", "postgres://me:[redacted]@db/x"),
            ("id AKIAIOSFODNN7EXAMPLE.", "id [redacted]."),
            (
                "aws_secret_access_key = wJalrXUtn/K7MDENG",
                "aws_secret_access_key = [redacted]",
            ),
            ("ghp_0123456789abcdefghij", "[redacted]"),
        ] {
            assert_eq!(shown(text), want);
        }
        assert_eq!(shown(&format!("t={TOKEN}!")), "t=[redacted]!");
        let begin = "-----BEGIN OPENSSH PRIVATE KEY-----[redacted]";
        let end = "-----END OPENSSH PRIVATE KEY-----";
        assert_eq!(
            shown(&format!("{key}\nafter")),
            format!("{begin}\n{end}\nafter")
        );
        assert_eq!(shown(&key.replace('\n', "\\n")), format!("{begin}{end}"));
        let numbered = key.replace('\n', "\n  2\t");
        assert_eq!(
            shown(&numbered),
            format!("{begin}\n  2\t\n  2\t\n  2\t\n  2\t{end}")
        );
        let headers = key.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1);
        assert_eq!(
            shown(&headers),
            format!("{begin}\nProc-Type: 4,ENCRYPTED\n{end}")
        );
    }

    #[test]
    fn what_does_not_is_left_alone() {
        for text in [
            "Accepted password for root from 10.0.0.1 port 22\n",
            "PasswordAuthentication yes",
            "password: \nuser: me",
            "password=\"\" token=$TOKEN secret=***",
            "unexpected token: foo; the bearer of bad news",
            "max_tokens=4096 compass=north monkey=1 pass:2",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "http://host:8080/@x user@host eyJust a word AKIA1",
            "  two  blanks,\tand [brackets] <here> (x|y)\n\n",
            "",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn a_key_that_never_ends_hides_nothing_but_itself() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nMIIEMIIEMIIEMIIEMIIE\nhello, world\nmore";
        assert!(shown(text).ends_with("[redacted]\nhello, world\nmore"));
        let lines = "a\n".repeat(9) + "MIIEMIIEMIIEMIIEMIIE";
        assert!(shown(&format!("{text}\n{lines}")).ends_with(&lines));
    }

    #[test]
    fn cuts_between_reads_change_nothing() {
        let text = format!(
            "a password = 'x y' b {TOKEN}\n{{\"token\":\"q\"}} Bearer 0123456789abcdef é,ü\n-----BEGIN EC PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAAAA\n-----END EC PRIVATE KEY-----\nend"
        );
        let whole = shown(&text);
        for size in 1..40 {
            let (mut guard, mut out) = (Guard::default(), String::new());
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
                guard.push(piece, &mut out);
                rest = after;
            }
            guard.finish(&mut out);
            assert_eq!(out, whole, "read by {size}");
            assert_eq!(guard.found(), 5);
        }
    }
}
