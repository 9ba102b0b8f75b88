//! Records of any number of files, in the order of their moments.
//!
//! Owns the merging of chains: one line of each is held at a time. Proves nothing beyond
//! each record's own seal, and hands over what is no record as that. Called by `show` and
//! by what counts records.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::audit::chain::inputs::{self, Input};
use crate::audit::chain::line_reader::{self, Line};
use crate::audit::chain::seal::Sealed;
use crate::audit::timestamp::Ts;

/// A record as it was written.
pub(crate) struct Record {
    pub(crate) members: Map<String, Value>,
    /// Its content matches its seal.
    pub(crate) intact: bool,
}

/// The next thing of a file.
pub(crate) enum Read {
    Record(Record),
    /// A line that is none, at this place.
    NoRecord(String),
}

/// Whether an approval with this outcome let its command run.
pub(crate) fn is_a_yes(outcome: &str) -> bool {
    matches!(outcome, "accepted" | "accepted_for_a_while" | "standing")
}

impl Record {
    pub(crate) fn text(&self, key: &str) -> &str {
        let value = self.members.get(key).and_then(Value::as_str);
        value.unwrap_or_default()
    }

    pub(crate) fn is(&self, key: &str) -> bool {
        self.members.get(key) == Some(&Value::Bool(true))
    }

    pub(crate) fn moment(&self) -> Ts {
        let written = self.members.get("ts").map(ToString::to_string);
        written
            .and_then(|ts| Ts::parse_seconds(&ts))
            .unwrap_or(Ts::from_micros(0))
    }

    fn of(line: &[u8]) -> Option<Self> {
        let sealed = Sealed::parse(line)?;
        Some(Self {
            intact: sealed.actual == sealed.stated,
            members: serde_json::from_slice(line).ok()?,
        })
    }
}

/// The files of one chain, with the record that comes next.
struct Chain {
    inputs: VecDeque<Input<'static>>,
    line: Vec<u8>,
    number: u64,
    next: Option<Read>,
}

impl Chain {
    fn advance(&mut self) -> io::Result<()> {
        self.next = None;
        while let Some(input) = self.inputs.front_mut() {
            let mut length = 0;
            self.number += 1;
            let read = line_reader::next(&mut input.reader, &mut self.line, &mut length);
            let shown = &input.shown;
            let read =
                read.map_err(|error| io::Error::new(error.kind(), format!("{shown}: {error}")))?;
            let record = match read {
                Line::End => {
                    self.number = 0;
                    self.inputs.pop_front();
                    continue;
                }
                Line::Whole => Record::of(&self.line),
                Line::Torn | Line::TooLong { .. } => None,
            };
            let at = || format!("{shown}: line {}", self.number);
            self.next = Some(record.map_or_else(|| Read::NoRecord(at()), Read::Record));
            return Ok(());
        }
        Ok(())
    }

    fn moment(&self) -> Ts {
        match &self.next {
            Some(Read::Record(record)) => record.moment(),
            // Where it stands is all that is known of it.
            _ => Ts::from_micros(0),
        }
    }
}

/// Hands over every record, the earliest first.
///
/// # Errors
/// A file that cannot be read, and what `take` gives.
pub(crate) fn each(
    paths: &[PathBuf],
    mut take: impl FnMut(Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut chains = Vec::new();
    for group in inputs::groups(paths)? {
        let mut inputs = Vec::new();
        for path in &group.files {
            let input = Input::open(path);
            let of_path = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            inputs.push(input.map_err(of_path)?);
        }
        inputs.sort_by_key(|input| input.first.map_or(u64::MAX, |(seq, _)| seq));
        let mut chain = Chain {
            inputs: inputs.into(),
            line: Vec::new(),
            number: 0,
            next: None,
        };
        chain.advance()?;
        chains.push(chain);
    }
    loop {
        let waiting = chains.iter_mut().filter(|chain| chain.next.is_some());
        let Some(first) = waiting.min_by_key(|chain| chain.moment()) else {
            return Ok(());
        };
        if let Some(read) = first.next.take() {
            take(read)?;
        }
        first.advance()?;
    }
}

/// What was read of each file so far, by device and inode: a file that gets another name is
/// not read again.
#[derive(Default)]
pub(crate) struct Followed(HashMap<(u64, u64), u64>);

impl Followed {
    /// Whole lines that came since, the earliest first.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn new_ones(&mut self, paths: &[PathBuf]) -> io::Result<Vec<Read>> {
        let mut found = Vec::new();
        for path in inputs::groups(paths)?
            .into_iter()
            .flat_map(|group| group.files)
        {
            // Gone since the listing: under another name it comes along next time.
            let Ok(mut file) = File::open(&path) else {
                continue;
            };
            let status = file.metadata()?;
            let at = self.0.entry((status.dev(), status.ino())).or_default();
            file.seek(SeekFrom::Start(*at))?;
            let (mut reader, mut line, mut length) = (BufReader::new(file), Vec::new(), 0);
            loop {
                match line_reader::next(&mut reader, &mut line, &mut length)? {
                    Line::Whole => {
                        *at += length;
                        let shown = || Read::NoRecord(path.display().to_string());
                        found.push(Record::of(&line).map_or_else(shown, Read::Record));
                    }
                    Line::TooLong { torn: false } => *at += length,
                    // It is being written.
                    Line::Torn | Line::TooLong { torn: true } | Line::End => break,
                }
            }
        }
        found.sort_by_key(|read| match read {
            Read::Record(record) => record.moment(),
            Read::NoRecord(_) => Ts::from_micros(0),
        });
        Ok(found)
    }
}
