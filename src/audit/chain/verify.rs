//! Whether records are one chain: that none was changed, removed, reordered, duplicated,
//! spliced in or cut off, or which was.
//!
//! Owns the reading of any number of files of any size as one chain, in the memory of
//! one line. Reports every break and goes on behind it, so that one damaged record does
//! not hide another. What it cannot prove alone: that nothing was cut off at the end, or
//! that the whole was not written anew by somebody who can also compute seals. For that
//! it takes a head that was kept elsewhere. Says nothing in words: `audit verify` does,
//! in `cli`, which calls it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::audit::chain::inputs::Input;
use crate::audit::chain::line_reader::{self, Line};
use crate::audit::chain::seal::{Digest, Sealed, Tip};

/// Something that is not as a server wrote it. `at` is a file and a line of it.
#[derive(Debug)]
pub(crate) enum Broken {
    NoRecords {
        file: String,
    },
    Unreadable {
        file: String,
        error: io::Error,
    },
    Torn {
        at: String,
    },
    TooLong {
        at: String,
    },
    NoRecord {
        at: String,
    },
    Changed {
        at: String,
        seq: u64,
    },
    OutOfPlace {
        at: String,
        seq: u64,
        before: u64,
    },
    Missing {
        at: String,
        seq: u64,
        from: u64,
        to: u64,
    },
    Unlinked {
        at: String,
        seq: u64,
    },
    NoBeginning {
        at: String,
        seq: u64,
    },
    AnotherChain {
        at: String,
    },
}

/// What came up.
#[derive(Debug)]
pub(crate) enum Finding {
    Broken(Broken),
    /// The first file goes on where another one ended, whose head this is.
    Continues {
        at: String,
        head: String,
    },
}

/// What a chain came to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Verified {
    pub(crate) breaks: u64,
    /// How many of the breaks are a file that ends within a record.
    pub(crate) torn: u64,
    pub(crate) records: u64,
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) interrupted: u64,
    pub(crate) withdrawn: u64,
    /// Ends without a start on record.
    pub(crate) startless: u64,
    /// Number and seal of the last record.
    pub(crate) last: Option<(u64, Digest)>,
    /// The last record is that of a server's end.
    pub(crate) closed: bool,
    /// The heads that were looked for and are there.
    pub(crate) heads: BTreeMap<Digest, Reached>,
}

/// Where a head is that was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Number of its record.
    pub(crate) seq: u64,
    /// How many records came after it.
    pub(crate) after: u64,
    /// Nothing before it is broken.
    pub(crate) whole: bool,
}

/// Reads the inputs as one chain, in the order of their records whatever the order they
/// are given in. `heads` are seals to look for, as the server hands them out (`audit_head`).
pub(crate) fn verify(
    mut inputs: Vec<Input<'_>>,
    heads: &BTreeSet<Digest>,
    found: &mut dyn FnMut(Finding),
) -> Verified {
    let mut check = Check {
        found,
        tip: None,
        blind: 0,
        so_far: Verified::default(),
        wanted: heads,
    };
    inputs.sort_by_key(|input| input.first.map_or(u64::MAX, |(seq, _)| seq));
    for input in inputs {
        let Input {
            shown, mut reader, ..
        } = input;
        if let Err(error) = check.lines(&shown, &mut *reader) {
            check.broken(Broken::Unreadable { file: shown, error });
        }
    }
    check.conclude()
}

struct Check<'a> {
    found: &'a mut dyn FnMut(Finding),
    /// What the next record has to follow; nothing before the first one.
    tip: Option<Tip>,
    /// How many lines before could not be read: each was a record, or came in between.
    blind: u64,
    so_far: Verified,
    wanted: &'a BTreeSet<Digest>,
}

impl Check<'_> {
    fn lines(&mut self, shown: &str, mut reader: &mut dyn io::BufRead) -> io::Result<()> {
        let (mut line, mut length, mut number) = (Vec::new(), 0, 0_u64);
        loop {
            number += 1;
            let at = format!("{shown}: line {number}");
            match line_reader::next(&mut reader, &mut line, &mut length)? {
                Line::End if number == 1 => self.broken(Broken::NoRecords {
                    file: shown.to_owned(),
                }),
                Line::End => {}
                Line::Whole => {
                    self.record(at, &line);
                    continue;
                }
                Line::Torn | Line::TooLong { torn: true } => self.broken(Broken::Torn { at }),
                Line::TooLong { torn: false } => {
                    self.unread(Broken::TooLong { at });
                    continue;
                }
            }
            return Ok(());
        }
    }

    fn record(&mut self, at: String, line: &[u8]) {
        let Some(sealed) = Sealed::parse(line) else {
            return self.unread(Broken::NoRecord { at });
        };
        self.count(&sealed);
        let seq = sealed.fields.seq;
        let mut expected = self.begin(&at, &sealed);
        let unread = seq.saturating_sub(expected.next);
        let unread = unread.min(std::mem::take(&mut self.blind));
        expected.next += unread;
        let mut next = Tip {
            next: expected.next + 1,
            head: sealed.stated,
        };
        if sealed.actual != sealed.stated {
            let seq = expected.next;
            self.broken(Broken::Changed { at, seq });
        } else if seq < expected.next {
            let before = expected.next;
            self.broken(Broken::OutOfPlace { at, seq, before });
            next = expected;
        } else if seq > expected.next {
            let (from, to) = (expected.next, seq - 1);
            self.broken(Broken::Missing { at, seq, from, to });
            next.next = seq.saturating_add(1);
        } else if unread == 0 && sealed.prev != expected.head {
            self.broken(Broken::Unlinked { at, seq });
        }
        self.tip = Some(next);
        self.look(&sealed);
    }

    /// What this record has to follow.
    fn begin(&mut self, at: &str, sealed: &Sealed<'_>) -> Tip {
        let (kind, seq) = (sealed.fields.kind.as_ref(), sealed.fields.seq);
        let (at, own) = (
            at.to_owned(),
            Tip {
                next: seq,
                head: sealed.prev,
            },
        );
        match self.tip {
            None if kind == "audit_genesis" => Tip::START,
            None if kind == "audit_rotate" => {
                let head = sealed.prev.to_string();
                (self.found)(Finding::Continues { at, head });
                own
            }
            None => {
                self.broken(Broken::NoBeginning { at, seq });
                own
            }
            Some(_) if kind == "audit_genesis" => {
                self.broken(Broken::AnotherChain { at });
                Tip::START
            }
            Some(tip) => tip,
        }
    }

    fn count(&mut self, sealed: &Sealed<'_>) {
        let (fields, so_far) = (&sealed.fields, &mut self.so_far);
        so_far.records += 1;
        match fields.kind.as_ref() {
            "audit_start" => so_far.started += 1,
            "audit" if fields.task_id.is_some() && !fields.start_unrecorded => {
                so_far.ended += 1;
                so_far.interrupted += u64::from(fields.interrupted);
            }
            // Cancelled before its start, or its start could not be written and the
            // configuration said to go on.
            "audit" => so_far.startless += 1,
            "audit_withdrawn" => so_far.withdrawn += 1,
            _ => {}
        }
        so_far.closed = matches!(fields.kind.as_ref(), "server_stop" | "audit_closed");
    }

    /// Whether this record is one that was looked for. To be asked after its place was judged.
    fn look(&mut self, sealed: &Sealed<'_>) {
        if sealed.actual == sealed.stated && self.wanted.contains(&sealed.actual) {
            let reached = Reached {
                seq: sealed.fields.seq,
                after: 0,
                whole: self.so_far.breaks == 0,
            };
            // A copy of it further down changes nothing.
            self.so_far.heads.entry(sealed.actual).or_insert(reached);
        }
    }

    fn unread(&mut self, what: Broken) {
        self.blind += 1;
        self.broken(what);
    }

    fn broken(&mut self, what: Broken) {
        self.so_far.breaks += 1;
        self.so_far.torn += u64::from(matches!(what, Broken::Torn { .. }));
        (self.found)(Finding::Broken(what));
    }

    fn conclude(self) -> Verified {
        let Self {
            mut so_far, tip, ..
        } = self;
        so_far.last = tip.map(|tip| (tip.next.saturating_sub(1), tip.head));
        for reached in so_far.heads.values_mut() {
            reached.after = tip.map_or(0, |tip| tip.next.saturating_sub(reached.seq + 1));
        }
        so_far
    }
}
