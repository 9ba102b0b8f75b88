//! The statement that `audit sign` has signed: how far each chain had come.
//!
//! ```text
//! mcp-ssh-orchestrator audit heads 1
//! time 2026-11-29T17:15:03+0000
//! head 41 9f86d081…0a08 20261129T171101Z-4be1….jsonl
//! ```
//!
//! Owns that form, which is read back as strictly as it is written: a line that is not
//! understood is no statement. A head is the number of a record (the first of a chain is 0)
//! and its seal, which seals every record before it too. The name is for people: what a
//! statement is about is found by its seal. Holds no key and proves nothing. Called by
//! `audit sign` and `audit verify`.

use std::fmt::Write as _;

use crate::audit::chain::seal::Digest;
use crate::audit::timestamp::Ts;
use crate::model::text::visible;

/// First line, with the version of the form.
const TITLE: &str = "mcp-ssh-orchestrator audit heads 1";

/// How far chains had come at a moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    pub(crate) time: Ts,
    pub(crate) heads: Vec<Head>,
}

/// How far one chain had come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Number of its last record.
    pub(crate) seq: u64,
    pub(crate) seal: Digest,
    /// What its files were called, escaped.
    pub(crate) name: String,
}

impl Head {
    pub(crate) fn new(seq: u64, seal: Digest, name: &str) -> Self {
        // No name can be taken for a line.
        let name = visible(name);
        Self { seq, seal, name }
    }
}

impl Heads {
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{TITLE}\ntime {}\n", self.time.iso());
        for Head { seq, seal, name } in &self.heads {
            let _ = writeln!(text, "head {seq} {seal} {name}");
        }
        text
    }

    /// Reads what [`Heads::to_text`] writes.
    ///
    /// # Errors
    /// It is something else, and in which line.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let whole = text
            .strip_suffix('\n')
            .ok_or("its last line does not end".to_owned())?;
        let mut lines = whole.split('\n');
        if lines.next() != Some(TITLE) {
            return Err(format!("line 1 is not '{TITLE}'"));
        }
        let time = lines.next().and_then(|line| line.strip_prefix("time "));
        let time = time.and_then(|time| Ts::parse_iso(time).filter(|ts| ts.iso() == time));
        let time = time.ok_or("line 2 is not 'time' and a moment in UTC".to_owned())?;
        let heads: Vec<Head> = lines
            .enumerate()
            .map(|(at, line)| head(line).ok_or_else(|| format!("line {} is no head", at + 3)))
            .collect::<Result<_, _>>()?;
        if heads.is_empty() {
            return Err("it names no head".to_owned());
        }
        Ok(Self { time, heads })
    }
}

fn head(line: &str) -> Option<Head> {
    let mut parts = line.strip_prefix("head ")?.splitn(3, ' ');
    let seq: u64 = parts.next()?.parse().ok()?;
    let seal = Digest::parse(parts.next()?.as_bytes())?;
    let name = parts.next()?.to_owned();
    let head = Head { seq, seal, name };
    let written = format!("head {seq} {seal} {}", head.name);
    (written == line && !head.name.contains(char::is_control)).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads() -> Heads {
        Heads {
            time: Ts::from_micros(1_762_094_167_000_000),
            heads: vec![
                Head::new(41, Digest::of(b"a"), "20251102T143607Z-00ff.jsonl"),
                Head::new(0, Digest::of(b"b"), "two\nhead 9 lines"),
            ],
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = heads().to_text();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert_eq!(Heads::parse(text.as_bytes()), Ok(heads()));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let text = heads().to_text();
        let mut wrong: Vec<String> = vec![
            String::new(),
            "\n".to_owned(),
            text.replace("heads 1", "heads 2"),
            text.replace("time", "Time"),
            text.replace("+0000", "Z"),
            text.replace("head 41", "head 041"),
            text.replace("head 41", "head +41"),
            text.replace("head 41", "head  41"),
            text.replace("head 0", "tail 0"),
            text.replace('\n', "\r\n"),
            format!("{text}\n"),
            format!("{text}note: and so on\n"),
            format!("\u{feff}{text}"),
        ];
        wrong.push(text.trim_end().to_owned());
        wrong.push(text.lines().take(2).collect::<Vec<_>>().join("\n") + "\n");
        for wrong in wrong {
            assert!(Heads::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(Heads::parse(b"\xff").is_err());
    }
}
