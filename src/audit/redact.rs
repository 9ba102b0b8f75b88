//! Takes the values of configured secrets out of text, also where a value is split
//! across reads.
//!
//! Owns one compiled automaton per configuration ([`Patterns`], Aho and Corasick 1975)
//! and a small state per stream ([`Redactor`]). Linear in the text whatever the secrets.
//! Knows no encodings: a secret that a host prints in base64 or backwards passes, as
//! SECURITY.md says. Called by `task` for output and by `audit` for records.

use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";

/// Shortest secret, in bytes, that is looked for. A value of one to three bytes occurs
/// by chance all over any output: replacing it would spoil the text and, by the shape of
/// the spoil, say what the secret is.
pub const SHORTEST: usize = 4;

const ROOT: u32 = 0;

/// The secrets of one configuration, compiled. Holds their bytes, and so has no Debug,
/// no Clone and no Serialize, and is wiped when dropped.
pub struct Patterns {
    nodes: Vec<Node>,
    /// The longest secret, in bytes.
    longest: usize,
    /// By byte: whether a secret begins with it.
    begins: [bool; 256],
}

/// A prefix of some secret.
#[derive(Default)]
struct Node {
    next: Continuations,
    /// The longest proper suffix that is a prefix of some secret too.
    fail: u32,
    /// Bytes of this prefix.
    depth: usize,
    /// Bytes of the longest secret that ends here, or 0.
    matched: usize,
}

/// What may follow a prefix, sorted by byte. These bytes spell secrets: they are wiped when
/// dropped and also where the list grows, which a `Vec` by itself does not do.
#[derive(Default)]
struct Continuations(Vec<(u8, u32)>);

impl Continuations {
    fn child(&self, byte: u8) -> Option<u32> {
        let place = self.0.binary_search_by_key(&byte, |(known, _)| *known);
        self.0.get(place.ok()?).map(|(_, child)| *child)
    }

    fn insert(&mut self, byte: u8, child: u32) {
        if self.0.len() == self.0.capacity() {
            let mut larger = Vec::with_capacity(self.0.len() * 2 + 1);
            larger.extend_from_slice(&self.0);
            self.wipe();
            self.0 = larger;
        }
        let place = self.0.partition_point(|(known, _)| *known < byte);
        self.0.insert(place, (byte, child));
    }

    fn wipe(&mut self) {
        self.0.iter_mut().for_each(|(byte, _)| byte.zeroize());
    }
}

impl Drop for Continuations {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Patterns {
    /// Compiles the values. Those shorter than [`SHORTEST`] are left out; bytes that are
    /// not UTF-8 are looked for in the form in which cleaned text shows them, and so are
    /// ends of lines. A value is also looked for without the blanks around it, which a
    /// variable's line may have brought along.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Arc<Self> {
        let mut patterns = Self {
            nodes: vec![Node::default()],
            longest: 0,
            begins: [false; 256],
        };
        for secret in secrets {
            let text = lossy(secret);
            let lines = with_line_feeds(&text);
            for form in [text.as_str(), text.trim(), &lines, lines.trim()] {
                if form.len() >= SHORTEST {
                    patterns.insert(form.as_bytes());
                }
            }
        }
        patterns.link();
        Arc::new(patterns)
    }

    /// Nothing to look for.
    pub fn none() -> Arc<Self> {
        Self::new([])
    }

    /// The whole text without secrets, or `None` if it holds none.
    pub fn redact(self: &Patterns, text: &str) -> Option<String> {
        if self.longest == 0 || !self.occurs(text) {
            return None;
        }
        let mut state = State::default();
        let mut out = String::with_capacity(text.len());
        state.push(self, text.as_bytes(), &mut out);
        state.finish(&mut out);
        Some(out)
    }

    fn occurs(&self, text: &str) -> bool {
        let mut node = ROOT;
        text.bytes().any(|byte| {
            node = self.step(node, byte);
            self.node(node).matched > 0
        })
    }

    fn insert(&mut self, secret: &[u8]) {
        self.longest = self.longest.max(secret.len());
        let first = secret
            .first()
            .and_then(|first| self.begins.get_mut(usize::from(*first)));
        if let Some(begins) = first {
            *begins = true;
        }
        let mut at = ROOT;
        for (index, byte) in secret.iter().enumerate() {
            at = match self.child(at, *byte) {
                Some(child) => child,
                None => self.grow(at, *byte, index + 1),
            };
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.matched = secret.len();
        }
    }

    fn grow(&mut self, at: u32, byte: u8, depth: usize) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(ROOT);
        self.nodes.push(Node {
            depth,
            ..Node::default()
        });
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.next.insert(byte, new);
        }
        new
    }

    /// Sets `fail` breadth first: a node's link depends on shallower nodes only.
    fn link(&mut self) {
        let mut queue: std::collections::VecDeque<u32> = [ROOT].into();
        while let Some(at) = queue.pop_front() {
            // By index: a copy of the list would be one more place to wipe.
            let mut index = 0;
            while let Some((byte, child)) = self.node(at).next.0.get(index).copied() {
                index += 1;
                let fail = if at == ROOT {
                    ROOT
                } else {
                    self.step(self.node(at).fail, byte)
                };
                let inherited = self.node(fail).matched;
                if let Some(node) = self.nodes.get_mut(child as usize) {
                    node.fail = fail;
                    node.matched = node.matched.max(inherited);
                }
                queue.push_back(child);
            }
        }
    }

    fn step(&self, mut at: u32, byte: u8) -> u32 {
        loop {
            if let Some(child) = self.child(at, byte) {
                return child;
            }
            if at == ROOT {
                return ROOT;
            }
            at = self.node(at).fail;
        }
    }

    fn child(&self, at: u32, byte: u8) -> Option<u32> {
        self.node(at).next.child(byte)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "every u32 handed around here came from grow(), which made that node"
    )]
    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }
}

impl Drop for Patterns {
    fn drop(&mut self) {
        self.begins.zeroize();
    }
}

/// The bytes as cleaned output shows them: what is not UTF-8 is replaced.
fn lossy(secret: &[u8]) -> Zeroizing<String> {
    // A replacement has three bytes and stands for one at least: this never grows.
    let mut text = Zeroizing::new(String::with_capacity(secret.len() * 3));
    for chunk in secret.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

/// A text as a cleaned one ends its lines: CR LF and CR are LF.
fn with_line_feeds(text: &str) -> Zeroizing<String> {
    let mut lines = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\r', Some('\r' | '\n')) => {}
            ('\r', _) => lines.push('\n'),
            _ => lines.push(c),
        }
    }
    lines
}

/// Where text or bytes go that are handed on.
trait Outlet {
    fn put(&mut self, bytes: &[u8]);
}

impl Outlet for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Outlet for String {
    fn put(&mut self, bytes: &[u8]) {
        self.push_str(&String::from_utf8_lossy(bytes));
    }
}

/// One stream on its way through, of text or of raw bytes. Feed it pieces, then finish it.
pub struct Redactor {
    patterns: Arc<Patterns>,
    state: State,
}

impl Redactor {
    pub fn new(patterns: &Arc<Patterns>) -> Self {
        Self {
            patterns: Arc::clone(patterns),
            state: State::default(),
        }
    }

    /// Appends to `out` what is known to hold no secret. The rest, at most as long as the
    /// longest secret, waits for the next piece.
    pub fn push(&mut self, text: &str, out: &mut String) {
        if self.patterns.longest == 0 {
            out.push_str(text);
        } else {
            self.state.push(&self.patterns, text.as_bytes(), out);
        }
    }

    /// Appends what waited: the stream has ended. The redactor can be used anew.
    pub fn finish(&mut self, out: &mut String) {
        self.state.finish(out);
    }

    /// As [`Redactor::push`], for a stream of bytes that are not clean yet: secrets with
    /// characters that cleaning takes away are found here alone.
    pub fn push_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.state.push(&self.patterns, bytes, out);
    }

    /// As [`Redactor::finish`], for a stream of bytes.
    pub fn finish_bytes(&mut self, out: &mut Vec<u8>) {
        self.state.finish(out);
    }

    /// Whether there is nothing to look for, so that bytes need not be copied.
    pub fn is_idle(&self) -> bool {
        self.patterns.longest == 0
    }
}

/// What is held back, and where secrets lie in it.
#[derive(Default)]
struct State {
    node: u32,
    /// Bytes not handed on yet. Begins at a character's edge, because secrets do.
    held: Vec<u8>,
    /// Disjoint ranges of `held` that secrets cover, in order. Overlapping secrets make
    /// one range.
    covered: Vec<(usize, usize)>,
    /// The first range began in bytes that are gone, and was announced then.
    announced: bool,
}

impl State {
    fn push(&mut self, patterns: &Patterns, bytes: &[u8], out: &mut impl Outlet) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.node == ROOT && self.held.is_empty() {
                // Nothing is begun: what no secret begins with passes as it is.
                let begins = |byte: &u8| patterns.begins.get(usize::from(*byte)) == Some(&true);
                let plain = rest.iter().position(begins).unwrap_or(rest.len());
                let (run, after) = rest.split_at(plain);
                out.put(run);
                rest = after;
            }
            if let Some((byte, after)) = rest.split_first() {
                self.take(patterns, *byte);
                rest = after;
            }
            // Text is handed on in whole characters.
            let within = rest.first().is_some_and(|next| next & 0xc0 == 0x80);
            if self.node == ROOT && !within {
                self.hand_on(self.held.len(), out);
            }
        }
        // A secret that is not complete yet cannot begin before the prefix that the
        // automaton is in: everything earlier is decided.
        let decided = self.held.len() - patterns.node(self.node).depth.min(self.held.len());
        self.hand_on(decided, out);
    }

    fn take(&mut self, patterns: &Patterns, byte: u8) {
        self.node = patterns.step(self.node, byte);
        self.hold(byte);
        let matched = patterns.node(self.node).matched;
        if matched > 0 {
            let end = self.held.len();
            self.cover(end - matched.min(end), end);
        }
    }

    /// Keeps a byte that may be a secret's; what the buffer grows out of is wiped.
    fn hold(&mut self, byte: u8) {
        if self.held.len() == self.held.capacity() {
            let mut larger = Vec::with_capacity(self.held.len() * 2 + 16);
            larger.extend_from_slice(&self.held);
            self.held.zeroize();
            self.held = larger;
        }
        self.held.push(byte);
    }

    fn finish(&mut self, out: &mut impl Outlet) {
        self.hand_on(self.held.len(), out);
        *self = Self::default();
    }

    /// Ends of matches only grow, so a new range can merge with the last ones alone.
    fn cover(&mut self, mut start: usize, end: usize) {
        while let Some((last_start, last_end)) = self.covered.last().copied() {
            if last_end <= start {
                break;
            }
            start = start.min(last_start);
            self.covered.pop();
        }
        self.covered.push((start, end));
    }

    fn hand_on(&mut self, decided: usize, out: &mut impl Outlet) {
        let mut done = 0;
        let mut rest = Vec::new();
        for (start, end) in std::mem::take(&mut self.covered) {
            if start >= decided {
                rest.push((start - decided, end - decided));
                continue;
            }
            self.copy(done, start, out);
            if !std::mem::take(&mut self.announced) {
                out.put(REDACTED.as_bytes());
            }
            done = end.min(decided);
            if end > decided {
                self.announced = true;
                rest.push((0, end - decided));
            }
        }
        self.copy(done, decided, out);
        self.covered = rest;
        if let Some(gone) = self.held.get_mut(..decided) {
            gone.zeroize();
        }
        self.held.drain(..decided);
    }

    fn copy(&self, from: usize, to: usize, out: &mut impl Outlet) {
        out.put(self.held.get(from..to).unwrap_or_default());
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(secrets: &[&str]) -> Arc<Patterns> {
        Patterns::new(secrets.iter().map(|secret| secret.as_bytes()))
    }

    /// The text redacted at once, after every split in two, and byte by byte.
    fn every_way(secrets: &[&str], text: &str) -> String {
        let patterns = patterns(secrets);
        let through = |pieces: &[&str]| {
            let (mut redactor, mut out) = (Redactor::new(&patterns), String::new());
            pieces
                .iter()
                .for_each(|piece| redactor.push(piece, &mut out));
            redactor.finish(&mut out);
            out
        };
        let whole = through(&[text]);
        for (at, _) in text.char_indices() {
            let (head, tail) = text.split_at(at);
            assert_eq!(through(&[head, tail]), whole, "split at {at} of {text:?}");
        }
        let singles: Vec<_> = text.split("").collect();
        assert_eq!(through(&singles), whole, "one by one, of {text:?}");
        assert_eq!(patterns.redact(text).unwrap_or(text.to_owned()), whole);
        whole
    }

    #[test]
    fn values_go_wherever_they_are_split() {
        let secrets = ["hunter2!", "Grüße"];
        assert_eq!(
            every_way(&secrets, "a hunter2! b Grüße c"),
            "a [redacted] b [redacted] c"
        );
        assert_eq!(every_way(&secrets, "hunter2hunter2!"), "hunter2[redacted]");
        assert_eq!(every_way(&secrets, "nothing hunter2"), "nothing hunter2");
    }

    #[test]
    fn overlapping_values_leave_nothing_of_either() {
        assert_eq!(every_way(&["abcd", "cdef"], "xabcdefx"), "x[redacted]x");
        assert_eq!(every_way(&["bcde", "abcdefgh"], "abcdefgh"), "[redacted]");
        assert_eq!(
            every_way(&["bcde", "abcdefgh"], "abcdefgx"),
            "a[redacted]fgx"
        );
        assert_eq!(every_way(&["aaaa"], &"a".repeat(50)), "[redacted]");
        assert_eq!(every_way(&["abcd"], "abcdabcd"), "[redacted][redacted]");
    }

    #[test]
    fn characters_stay_whole_beside_begun_secrets() {
        for text in [
            "00\u{e4}1\u{e4}\u{e4}\n",
            "0\u{e4}0\u{e4}\u{fc}0\u{df}",
            "\u{e4}0\u{e4}",
        ] {
            assert_eq!(
                every_way(&["0\u{e4}0\u{e4}\u{e4}0", "\u{e4}0\u{e4}1"], text),
                text
            );
        }
    }

    #[test]
    fn ends_of_lines_and_blanks_around_make_no_difference() {
        assert_eq!(every_way(&["ab\r\ncd"], "x ab\ncd y"), "x [redacted] y");
        assert_eq!(every_way(&[" hunter2\n"], "hunter2!"), "[redacted]!");
        assert_eq!(*with_line_feeds("a\r\n\r\r\nb\rc\r"), "a\n\nb\nc\n");
    }

    #[test]
    fn short_values_are_left_alone() {
        assert_eq!(every_way(&["abc", ""], "abcabc"), "abcabc");
        assert_eq!(every_way(&["abcd"], "abcd"), "[redacted]");
    }

    #[test]
    fn little_is_held_back() {
        let patterns = patterns(&["aaaaaaaa"]);
        let (mut redactor, mut out) = (Redactor::new(&patterns), String::new());
        for _ in 0..10_000 {
            redactor.push("aaaaaaaaaaaaaaaa", &mut out);
            assert!(redactor.state.held.len() <= 8);
            assert!(redactor.state.covered.len() <= 1);
        }
        assert_eq!(out, REDACTED);
    }

    #[test]
    fn agrees_with_a_plain_search_on_many_texts() {
        let secrets = ["abab", "babb", "aabbab", "bbbbb"];
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..3_000 {
            let text: String = (0..24)
                .map(|_| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    if seed % 5 < 2 { 'a' } else { 'b' }
                })
                .collect();
            let mut covered = vec![false; text.len()];
            for secret in secrets {
                for at in 0..text.len() {
                    if text[at..].starts_with(secret) {
                        covered[at..at + secret.len()].fill(true);
                    }
                }
            }
            let kept: String = text
                .chars()
                .zip(&covered)
                .filter_map(|(c, covered)| (!covered).then_some(c))
                .collect();
            assert_eq!(every_way(&secrets, &text).replace(REDACTED, ""), kept);
        }
    }
}
