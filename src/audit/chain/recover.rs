//! What an audit file holds when a server starts: where its chain ends, what was torn,
//! which commands never got their end.
//!
//! Owns the reading of the whole file once, checking every record, so that a chain is
//! never continued from a broken one. Changes nothing. Called by the ledger at the start.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use crate::audit::chain::line_reader::{self, Line};
use crate::audit::chain::seal::{LINE_MAX, Sealed, Tip};
use crate::audit::failure::Failure;

/// Most commands that can be open at once in a file that this server wrote.
const OPEN_MAX: usize = 65_536;

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) tip: Tip,
    /// Bytes of whole, sound records.
    pub(crate) sound: u64,
    /// Bytes after them, of a record that was torn.
    pub(crate) torn: u64,
    /// The last sound record lacks its newline.
    pub(crate) unfinished: bool,
    /// Task ids of commands that started and have no end.
    pub(crate) open: BTreeSet<String>,
}

/// Whether the last record is a server's end, or that of one who closed the chain. Looks at
/// the last line alone: nothing is proved by it.
pub(crate) fn is_closed(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let most = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
    let (mut reader, mut end) = (file, Vec::new());
    // Short lines first: most of them are.
    for bytes in [4_096, most] {
        reader.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        end.clear();
        reader.take(bytes).read_to_end(&mut end)?;
        let Some(text) = end.strip_suffix(b"\n") else {
            return Ok(false);
        };
        let before = text.iter().rposition(|byte| *byte == b'\n');
        let line = before.and_then(|at| text.get(at + 1..)).unwrap_or(text);
        if let Some(sealed) = Sealed::parse(line) {
            let kind = sealed.fields.kind;
            return Ok(matches!(kind.as_ref(), "server_stop" | "audit_closed"));
        }
    }
    Ok(false)
}

/// Reads the file from its beginning.
///
/// # Errors
/// It can't be read, or a whole line of it is not the record that belongs there.
pub(crate) fn read(file: &File) -> Result<Found, Failure> {
    let mut from = file;
    from.seek(SeekFrom::Start(0)).map_err(Failure::Read)?;
    let mut reader = BufReader::with_capacity(1 << 16, from);
    let mut found = Found {
        tip: Tip::START,
        sound: 0,
        torn: 0,
        unfinished: false,
        open: BTreeSet::new(),
    };
    let (mut line, mut length, mut number) = (Vec::new(), 0, 0);
    loop {
        number += 1;
        match line_reader::next(&mut reader, &mut line, &mut length).map_err(Failure::Read)? {
            Line::End => return Ok(found),
            Line::Whole => {
                found
                    .accept(&line)
                    .map_err(|why| Failure::Damaged { line: number, why })?;
                found.sound += length;
            }
            Line::Torn if found.accept(&line).is_ok() => {
                found.sound += length;
                found.unfinished = true;
            }
            Line::Torn | Line::TooLong { torn: true } => found.torn = length,
            Line::TooLong { torn: false } => {
                let why = "is longer than any record";
                return Err(Failure::Damaged { line: number, why });
            }
        }
    }
}

impl Found {
    fn accept(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let sealed = Sealed::parse(line).ok_or("is not a record")?;
        let (kind, first) = (sealed.fields.kind.as_ref(), self.sound == 0);
        if first && kind == "audit_rotate" {
            // Continues a file that is not here.
            self.tip = Tip {
                next: sealed.fields.seq,
                head: sealed.prev,
            };
        } else if first != (kind == "audit_genesis") {
            return Err("does not belong there");
        }
        if !sealed.follows(&self.tip) {
            return Err("was changed, or does not follow the line before");
        }
        self.tip = Tip {
            next: sealed.fields.seq + 1,
            head: sealed.stated,
        };
        match (kind, sealed.fields.task_id) {
            ("audit_start", Some(task)) => drop(self.open.insert(task)),
            ("audit" | "audit_withdrawn", Some(task)) => drop(self.open.remove(&task)),
            ("audit_open", _) => self.open.extend(sealed.fields.tasks),
            _ => {}
        }
        if self.open.len() > OPEN_MAX {
            return Err("opens more commands than a server can");
        }
        Ok(())
    }
}
