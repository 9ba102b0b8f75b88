//! What a word may stand for of which the host fills in a part whose form is known.
//!
//! Owns the kinds for which every number, or every name, is as harmless as any other. Strict:
//! of a kind that is not named here, and of a file of which nothing is spelled, nothing is
//! taken. Called by the reader.

use crate::policy::programs::kind::Kind;
use crate::policy::syntax::command::{NAME, NUMBER, OUTPUTS, TEXT};

impl Kind {
    /// The same as [`Kind::takes`] for a text with outputs in it.
    pub(crate) fn takes_filled(&self, text: &str) -> bool {
        if text.contains(|c| OUTPUTS.contains(&c) && ![NUMBER, NAME, TEXT].contains(&c)) {
            return *self == Self::Text;
        }
        let whole = text.chars().count() == 1;
        let numbers = !text.contains([NAME, TEXT]);
        let names = !text.contains(TEXT);
        let form = || self.takes(&text.replace([NUMBER, NAME], "1"));
        match self {
            Self::Text => true,
            // awk reads escapes in it, and nothing else.
            Self::AwkVariable => {
                self.takes(&text.replace([NUMBER, NAME, TEXT], "1"))
                    && !text.starts_with([NUMBER, NAME, TEXT])
            }
            Self::Number
            | Self::Pid
            | Self::Name
            | Self::Unit
            | Self::Host
            | Self::Peer
            | Self::Atom => numbers && form(),
            Self::Word | Self::Object | Self::Names => names && form(),
            Self::Path
            | Self::Tree
            | Self::Place
            | Self::Socket
            | Self::Local
            | Self::Opened
            | Self::Near => names && !whole && form(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_output_may_stand_for() {
        let is_taken = |kind: &'static str, text: &str| {
            let text = text.replace('1', &NUMBER.to_string());
            let text = text
                .replace('N', &NAME.to_string())
                .replace('T', &TEXT.to_string());
            Kind::named(kind).unwrap().takes_filled(&text)
        };
        for (kind, text) in [
            ("text", "T"),
            ("awk-variable", "d=T"),
            ("awk-variable", "pid=1"),
            ("number", "1"),
            ("number", "+1M"),
            ("pid", "1"),
            ("atom", "1"),
            ("object", "N"),
            ("path", "/proc/1/limits"),
            ("local", "/var/log/app-N.log"),
            ("place", "/proc/1"),
        ] {
            assert!(is_taken(kind, text), "{kind} {text}");
        }
        for (kind, text) in [
            ("number", "N"),
            ("pid", "T"),
            ("atom", "N"),
            ("awk-variable", "N=x"),
            ("awk-variable", "N"),
            ("path", "1"),
            ("path", "N"),
            ("path", "/var/T"),
            ("local", "@N"),
            ("program", "N"),
            ("{a,1}", "1"),
            ("awk", "1"),
            ("sql", "select 1"),
            ("resource", "N"),
            ("write", "/srv/N"),
            ("output", "/srv/N"),
            ("url", "http://localhost/1"),
        ] {
            assert!(!is_taken(kind, text), "{kind} {text}");
        }
    }
}
