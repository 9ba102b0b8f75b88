//! One line of the audit file: a record, its place in the chain, and the seal over both.
//!
//! ```text
//! {…the plain record…,"seq":7,"boot":"…","prev":"…","sha256":"…"}
//! ```
//!
//! Owns that form. The seal is the SHA-256 of the bytes of the line up to, and without,
//! `,"sha256":`. Those bytes are the canonical form: nothing is parsed and written anew
//! on the way, so no two texts share a seal. They hold `prev`, the seal before, which
//! makes the chain. Does no I/O. Called by the ledger to write and by `verify`, `show`
//! and the recovery to read.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::text::hex;

/// Longest line that is ever written or read, in bytes, with its newline.
pub(crate) const LINE_MAX: usize = 1_048_576;

/// `,"sha256":"` before and `"}` after 64 hex digits end each line.
const SEAL: &[u8] = b",\"sha256\":\"";
const CLOSE: &[u8] = b"\"}";
const HEX: usize = 64;

/// A SHA-256, in hex when shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// What the first record of a chain follows.
    pub(crate) const ZERO: Self = Self([0; 32]);

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub(crate) fn from_hasher(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// Reads 64 lower-case hex digits, and nothing else.
    pub(crate) fn parse(hex: &[u8]) -> Option<Self> {
        let mut digest = [0; 32];
        let (pairs, rest) = hex.as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self(digest))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a chain has come to: what the next record gets and follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tip {
    /// Sequence number of the next record.
    pub(crate) next: u64,
    /// Seal of the last one.
    pub(crate) head: Digest,
}

impl Tip {
    /// Before the first record.
    pub(crate) const START: Self = Self {
        next: 0,
        head: Digest::ZERO,
    };

    /// Appends `body`, a JSON object, to `lines` as the next record.
    pub(crate) fn seal(&mut self, body: &str, boot: &str, lines: &mut Vec<u8>) {
        let from = lines.len();
        let seq = self.next;
        let prev = self.head.to_string();
        let place = ChainMembers { seq, boot, prev };
        let sealed = with_members(body, &place);
        // What follows the seal's own members closes the object.
        let open = sealed.strip_suffix('}').unwrap_or(&sealed);
        lines.extend_from_slice(open.as_bytes());
        let head = Digest::of(lines.get(from..).unwrap_or_default());
        lines.extend_from_slice(SEAL);
        lines.extend_from_slice(head.to_string().as_bytes());
        lines.extend_from_slice(CLOSE);
        lines.push(b'\n');
        *self = Self {
            next: seq + 1,
            head,
        };
    }
}

/// A record's place in its chain.
#[derive(Serialize)]
struct ChainMembers<'a> {
    seq: u64,
    boot: &'a str,
    prev: String,
}

/// The JSON object `object` with the members of `more` after its own.
pub(crate) fn with_members(object: &str, more: &impl Serialize) -> String {
    // Neither has a map with keys that are not text, so serialising cannot fail.
    let more = serde_json::to_string(more).unwrap_or_default();
    let open = object.strip_suffix('}').unwrap_or(object);
    let more = more.strip_prefix('{').unwrap_or("}");
    let comma = match open.ends_with('{') || more == "}" {
        true => "",
        false => ",",
    };
    format!("{open}{comma}{more}")
}

/// A line taken apart. Whether it is true is another question: compare `stated` with
/// `actual`, and `seq` and `prev` with the record before.
#[derive(Debug)]
pub(crate) struct Sealed<'a> {
    pub(crate) stated: Digest,
    pub(crate) actual: Digest,
    pub(crate) fields: Fields<'a>,
    pub(crate) prev: Digest,
}

/// Most records of one chain. None that a server wrote comes near: a thousand a second
/// are as many in 285,000 years.
const RECORDS_MAX: u64 = (1 << 53) - 1;

/// The fields of a record that the chain, the recovery and the reports need. A record
/// names a field once: a second one of a name is an error.
#[derive(Debug, Deserialize)]
pub(crate) struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: std::borrow::Cow<'a, str>,
    pub(crate) seq: u64,
    #[serde(default)]
    pub(crate) ts: f64,
    #[serde(borrow)]
    prev: std::borrow::Cow<'a, str>,
    pub(crate) task_id: Option<String>,
    #[serde(default)]
    pub(crate) interrupted: bool,
    /// The end of a command whose start is not on record.
    #[serde(default)]
    pub(crate) start_unrecorded: bool,
    #[serde(default)]
    pub(crate) tasks: Vec<String>,
}

impl<'a> Sealed<'a> {
    /// Takes a line apart, without its newline. `None`: not a sealed record at all.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_suffix(CLOSE)?;
        let (rest, hex) = rest.split_at_checked(rest.len().checked_sub(HEX)?)?;
        let stated = Digest::parse(hex)?;
        let canonical = rest.strip_suffix(SEAL)?;
        let fields: Fields<'a> = serde_json::from_slice(line).ok()?;
        if fields.seq > RECORDS_MAX {
            return None;
        }
        let prev = Digest::parse(fields.prev.as_bytes())?;
        Some(Self {
            stated,
            actual: Digest::of(canonical),
            fields,
            prev,
        })
    }

    /// Whether it is unchanged and follows `tip`.
    pub(crate) fn follows(&self, tip: &Tip) -> bool {
        self.stated == self.actual && self.fields.seq == tip.next && self.prev == tip.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_reads_back_and_any_changed_byte_shows() {
        let (mut tip, mut lines) = (Tip::START, Vec::new());
        tip.seal(
            r#"{"type":"policy_decision","alias":"a"}"#,
            "b0",
            &mut lines,
        );
        let line = lines.strip_suffix(b"\n").unwrap();
        let sealed = Sealed::parse(line).unwrap();
        assert!(sealed.follows(&Tip::START));
        assert_eq!(sealed.stated, tip.head);
        assert_eq!(tip.next, 1);
        for at in 0..line.len() {
            for change in [1_u8, 0x20, 0x80] {
                let mut changed = line.to_vec();
                changed[at] ^= change;
                let sound = Sealed::parse(&changed).is_some_and(|s| s.follows(&Tip::START));
                let same = Sealed::parse(&changed).map(|s| s.stated) == Some(tip.head);
                assert!(!sound || !same, "byte {at} changed by {change:#x}");
            }
        }
    }

    #[test]
    fn a_number_that_no_chain_reaches_is_refused() {
        for (next, sound) in [(RECORDS_MAX, true), (RECORDS_MAX + 1, false)] {
            let (mut tip, mut lines) = (Tip { next, ..Tip::START }, Vec::new());
            tip.seal(r#"{"type":"x"}"#, "b", &mut lines);
            let line = lines.strip_suffix(b"\n").unwrap();
            assert_eq!(Sealed::parse(line).is_some(), sound, "{next}");
        }
    }

    #[test]
    fn a_field_given_twice_is_refused() {
        let (mut tip, mut lines) = (Tip::START, Vec::new());
        tip.seal(r#"{"type":"x","seq":9}"#, "b", &mut lines);
        assert!(Sealed::parse(lines.strip_suffix(b"\n").unwrap()).is_none());
    }
}
