//! `audit verify`: proves that no record of a chain was changed, removed, reordered,
//! duplicated, spliced in or cut off, or says which was.
//!
//! Owns the reading of any number of files of any size as one chain, in the memory of
//! one line. Reports every break and goes on behind it, so that one damaged record does
//! not hide another. What it cannot prove alone: that nothing was cut off at the end, or
//! that the whole was not written anew by somebody who can also compute seals. For that
//! it takes a head that was kept elsewhere. Called by `startup` for the subcommand.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::audit::chain::line_reader::{self, Line};
use crate::audit::chain::seal::{Digest, Sealed, Tip};

/// Most breaks that are described one by one.
const DESCRIBED: u64 = 50;

/// Reads the files as one chain, in the order of their records whatever the order they
/// are given in, and writes a report for people. Says whether the chain is sound.
///
/// `head` is a seal in hex as the server wrote it to stderr (`audit_head`): a record
/// with it must be there.
///
/// # Errors
/// The report can't be written. A file that can't be read is a finding, not an error.
pub fn verify(files: &[PathBuf], head: Option<&str>, out: &mut dyn Write) -> io::Result<bool> {
    let mut check = Check::new(head, out)?;
    let mut ordered = Vec::new();
    for path in files {
        // One file needs no order, and may be a pipe, which can be read only once.
        let first = if files.len() == 1 {
            Ok(None)
        } else {
            first_number(path)
        };
        match first {
            Ok(first) => ordered.push((first.unwrap_or(u64::MAX), path)),
            Err(error) => check.unreachable(path, &error)?,
        }
    }
    ordered.sort_by_key(|(first, _)| *first);
    for (_, path) in ordered {
        let shown = path.display().to_string();
        let read = File::open(path).map(|file| BufReader::with_capacity(1 << 16, file));
        if let Err(error) = read.and_then(|mut reader| check.lines(&shown, &mut reader)) {
            check.unreachable(path, &error)?;
        }
    }
    check.conclude()
}

/// The same for one file that is open, or for bytes in memory.
///
/// # Errors
/// As [`verify`], and what reading gives.
pub fn verify_reader(
    mut reader: impl BufRead,
    head: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let mut check = Check::new(head, out)?;
    check.lines("input", &mut reader)?;
    check.conclude()
}

/// The number of a file's first record, if it has one.
fn first_number(path: &Path) -> io::Result<Option<u64>> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut line, mut length) = (Vec::new(), 0);
    line_reader::next(&mut reader, &mut line, &mut length)?;
    Ok(Sealed::parse(&line).map(|sealed| sealed.fields.seq))
}

struct Check<'a> {
    out: &'a mut dyn Write,
    /// What the next record has to follow; nothing before the first one.
    tip: Option<Tip>,
    /// How many lines before could not be read: each was a record, or came in between.
    blind: u64,
    breaks: u64,
    records: u64,
    started: u64,
    ended: u64,
    interrupted: u64,
    withdrawn: u64,
    startless: u64,
    last_kind: String,
    wanted: Option<Digest>,
    wanted_at: Option<u64>,
}

impl<'a> Check<'a> {
    fn new(head: Option<&str>, out: &'a mut dyn Write) -> io::Result<Self> {
        let mut check = Self {
            out,
            tip: None,
            blind: 0,
            breaks: 0,
            records: 0,
            started: 0,
            ended: 0,
            interrupted: 0,
            withdrawn: 0,
            startless: 0,
            last_kind: String::new(),
            wanted: None,
            wanted_at: None,
        };
        if let Some(head) = head {
            check.wanted = Digest::parse(head.trim().to_ascii_lowercase().as_bytes());
            if check.wanted.is_none() {
                check.broken("--head is not 64 hex digits")?;
            }
        }
        Ok(check)
    }

    fn lines(&mut self, shown: &str, reader: &mut impl BufRead) -> io::Result<()> {
        let (mut line, mut length, mut number) = (Vec::new(), 0, 0_u64);
        loop {
            number += 1;
            let at = format!("{shown}: line {number}");
            match line_reader::next(reader, &mut line, &mut length)? {
                Line::End if number == 1 => self.broken(&format!("{shown}: holds no records"))?,
                Line::End => {}
                Line::Whole => {
                    self.record(&at, &line)?;
                    continue;
                }
                Line::Torn | Line::TooLong { torn: true } => {
                    self.broken(&format!("{at} is torn: the file ends within a record"))?;
                }
                Line::TooLong { torn: false } => {
                    self.unreadable(&format!("{at} is longer than any record"))?;
                    continue;
                }
            }
            return Ok(());
        }
    }

    fn record(&mut self, at: &str, line: &[u8]) -> io::Result<()> {
        let Some(sealed) = Sealed::parse(line) else {
            return self.unreadable(&format!("{at} is not a record"));
        };
        self.count(&sealed);
        let seq = sealed.fields.seq;
        let mut expected = self.begin(at, &sealed)?;
        let unread = seq.saturating_sub(expected.next);
        let unread = unread.min(std::mem::take(&mut self.blind));
        expected.next += unread;
        let mut next = Tip {
            next: expected.next + 1,
            head: sealed.stated,
        };
        if sealed.actual != sealed.stated {
            self.broken(&format!(
                "{at}: record {} was changed: its content does not match its seal",
                expected.next
            ))?;
        } else if seq < expected.next {
            self.broken(&format!(
                "{at}: record {seq} is out of place: duplicated, or moved from before record {}",
                expected.next
            ))?;
            next = expected;
        } else if seq > expected.next {
            let (from, to) = (expected.next, seq - 1);
            self.broken(&format!(
                "{at}: before record {seq}, records {from} to {to} are missing"
            ))?;
            next.next = seq.saturating_add(1);
        } else if unread == 0 && sealed.prev != expected.head {
            self.broken(&format!(
                "{at}: record {seq} does not follow the one before it: \
                 one of the two was replaced or comes from another file"
            ))?;
        }
        self.tip = Some(next);
        Ok(())
    }

    /// What this record has to follow.
    fn begin(&mut self, at: &str, sealed: &Sealed<'_>) -> io::Result<Tip> {
        let (kind, seq) = (sealed.fields.kind.as_ref(), sealed.fields.seq);
        let own = Tip {
            next: seq,
            head: sealed.prev,
        };
        match self.tip {
            None if kind == "audit_genesis" => Ok(Tip::START),
            None if kind == "audit_rotate" => {
                writeln!(
                    self.out,
                    "note: {at}: continues a file that was not given, whose head is {}",
                    sealed.prev
                )?;
                Ok(own)
            }
            None => {
                self.broken(&format!(
                    "{at}: record {seq} is not the beginning of a file: what was before it is missing"
                ))?;
                Ok(own)
            }
            Some(_) if kind == "audit_genesis" => {
                self.broken(&format!(
                    "{at}: another chain begins here: nothing ties it to the records before"
                ))?;
                Ok(Tip::START)
            }
            Some(tip) => Ok(tip),
        }
    }

    fn count(&mut self, sealed: &Sealed<'_>) {
        let fields = &sealed.fields;
        self.records += 1;
        match fields.kind.as_ref() {
            "audit_start" => self.started += 1,
            "audit" if fields.task_id.is_some() => {
                self.ended += 1;
                self.interrupted += u64::from(fields.interrupted);
            }
            // Cancelled before its start, or its start could not be written and the
            // configuration said to go on.
            "audit" => self.startless += 1,
            "audit_withdrawn" => self.withdrawn += 1,
            _ => {}
        }
        self.last_kind.clear();
        self.last_kind.push_str(&fields.kind);
        if self.wanted == Some(sealed.actual) && sealed.actual == sealed.stated {
            self.wanted_at = Some(fields.seq);
        }
    }

    fn unreachable(&mut self, path: &Path, error: &io::Error) -> io::Result<()> {
        self.broken(&format!("{}: cannot read it: {error}", path.display()))
    }

    fn unreadable(&mut self, what: &str) -> io::Result<()> {
        self.blind += 1;
        self.broken(what)
    }

    fn broken(&mut self, what: &str) -> io::Result<()> {
        self.breaks += 1;
        match self.breaks {
            ..=DESCRIBED => writeln!(self.out, "BROKEN: {what}"),
            _ => Ok(()),
        }
    }

    fn conclude(mut self) -> io::Result<bool> {
        if let Some(wanted) = self.wanted {
            match self.wanted_at {
                None => self.broken(&format!(
                    "no record has the head {wanted}: what was written up to it \
                     was cut off or written anew"
                ))?,
                Some(seq) => {
                    let after = self.tip.map_or(0, |tip| tip.next.saturating_sub(seq + 1));
                    writeln!(
                        self.out,
                        "the given head is record {seq}; {after} came after it"
                    )?;
                }
            }
        }
        if self.breaks > DESCRIBED {
            writeln!(self.out, "and {} more", self.breaks - DESCRIBED)?;
        }
        let Self {
            records,
            started,
            ended,
            interrupted,
            withdrawn,
            startless,
            ..
        } = self;
        writeln!(
            self.out,
            "{records} records; {started} commands started, {ended} ended \
             ({interrupted} interrupted), {withdrawn} refused at the start"
        )?;
        if startless > 0 {
            writeln!(
                self.out,
                "{startless} more ended without a start on record: cancelled before it, or run \
                 with on_audit_failure: warn while the file could not be written"
            )?;
        }
        if self.breaks > 0 {
            writeln!(self.out, "NOT SOUND: {} breaks", self.breaks)?;
            return Ok(false);
        }
        if let Some(tip) = self.tip {
            writeln!(
                self.out,
                "sound up to record {}, head {}",
                tip.next - 1,
                tip.head
            )?;
        }
        if self.last_kind != "server_stop" {
            writeln!(
                self.out,
                "note: the last record is not a server's end: it is still running, or it was killed"
            )?;
        }
        Ok(true)
    }
}
