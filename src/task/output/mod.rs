//! The output of one task: cleaned as it arrives, kept once, readable at any time.
//!
//! Owns the order of arrival of the two streams, offsets and lines, and the count of
//! bytes that all outputs hold together. Decides nothing about when to stop a command
//! ([`crate::task::worker`] does) and reads no socket. Written by the task's thread, read by
//! whoever asks.
//!
//! The text only ever grows at its end, so that an offset once given stays good: reading
//! on from it misses nothing and gives nothing twice.

pub(crate) mod clean;
pub(crate) mod fit;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::audit::{Patterns, Redactor};
use crate::task::output::clean::Cleaner;

/// Which of the two streams of a command (RFC 4254 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// What all outputs together hold, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            limit,
        }
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.limit
    }
}

/// The last lines of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Oldest first; a last line that has not ended yet is among them.
    pub lines: Vec<String>,
    /// Lines of the whole output so far.
    pub total_lines: u64,
    /// Whether there are lines before these.
    pub has_more: bool,
    /// Where reading by offset goes on after these lines.
    pub next_offset: u64,
    /// Whether no more will come.
    pub finished: bool,
}

/// A piece of an output, from an offset on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub text: String,
    /// Where this piece begins, in bytes of clean text: the offset asked for, or, if that
    /// lay within a character, the beginning of the character; at most `available`.
    pub offset: u64,
    /// Where the next piece begins.
    pub next_offset: u64,
    /// Bytes of clean text there are so far.
    pub available: u64,
    /// Whether no more will come.
    pub finished: bool,
}

pub(crate) struct Output {
    budget: Arc<Budget>,
    inner: Mutex<Inner>,
}

struct Inner {
    text: String,
    /// Where a run of one stream ends and the other begins: (end, stream of the run).
    runs: Vec<(usize, Stream)>,
    newlines: u64,
    /// For stdout and stderr, until the end.
    filters: Option<[Filter; 2]>,
    /// As read from the host: of stdout, of stderr.
    bytes: [u64; 2],
    /// Bytes this holds of the budget.
    held: usize,
}

/// What a stream passes through before it is kept. Secrets are looked for twice: in what
/// the host sent, for those with characters that cleaning takes away or a sequence could
/// swallow, and in clean text, where nothing that shows nothing is left between their
/// characters.
struct Filter {
    early: Redactor,
    cleaner: Cleaner,
    redactor: Redactor,
    bytes: Vec<u8>,
    cleaned: String,
}

impl Output {
    pub(crate) fn new(budget: Arc<Budget>, secrets: &Arc<Patterns>) -> Self {
        let inner = Inner {
            text: String::new(),
            runs: Vec::new(),
            newlines: 0,
            filters: Some([Filter::new(secrets), Filter::new(secrets)]),
            bytes: [0, 0],
            held: 0,
        };
        Self {
            budget,
            inner: Mutex::new(inner),
        }
    }

    /// The same without its text, and nothing more to come.
    pub(crate) fn without_text(&self) -> Self {
        let inner = self.lock();
        Self {
            budget: Arc::clone(&self.budget),
            inner: Mutex::new(Inner {
                text: String::new(),
                runs: Vec::new(),
                newlines: inner.newlines,
                filters: None,
                bytes: inner.bytes,
                held: 0,
            }),
        }
    }

    /// Looks for these secrets from now on. To be called before there is any output.
    pub(crate) fn redact(&self, secrets: &Arc<Patterns>) {
        if let Some(filters) = &mut self.lock().filters {
            *filters = [Filter::new(secrets), Filter::new(secrets)];
        }
    }

    /// Cleans and keeps the next bytes of a stream. Nothing is kept after the end.
    pub(crate) fn push(&self, stream: Stream, bytes: &[u8]) {
        let inner = &mut *self.lock();
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (Some([out, err]), [out_bytes, err_bytes]) = (&mut inner.filters, &mut inner.bytes)
        else {
            return;
        };
        let (filter, total) = match stream {
            Stream::Out => (out, out_bytes),
            Stream::Err => (err, err_bytes),
        };
        *total = total.saturating_add(count);
        let before = inner.text.len();
        filter.push(bytes, &mut inner.text);
        inner.appended(stream, before);
        self.account(inner);
    }

    /// No more will come: what the filters held back is kept, spare memory given up.
    pub(crate) fn finish(&self) {
        let inner = &mut *self.lock();
        let Some([out, err]) = inner.filters.take() else {
            return;
        };
        for (stream, filter) in [(Stream::Out, out), (Stream::Err, err)] {
            let before = inner.text.len();
            filter.finish(&mut inner.text);
            inner.appended(stream, before);
        }
        inner.text.shrink_to_fit();
        inner.runs.shrink_to_fit();
        self.account(inner);
    }

    /// Bytes read from the host so far: of stdout, of stderr.
    pub(crate) fn bytes_read(&self) -> (u64, u64) {
        let [out, err] = self.lock().bytes;
        (out, err)
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lock().lines()
    }

    /// The last `lines` lines.
    pub(crate) fn tail(&self, lines: usize) -> Tail {
        let inner = self.lock();
        let text = inner.text.strip_suffix('\n').unwrap_or(&inner.text);
        let mut last: Vec<String> = match inner.lines() {
            0 => Vec::new(),
            _ => text.rsplit('\n').take(lines).map(str::to_owned).collect(),
        };
        last.reverse();
        let total_lines = inner.lines();
        Tail {
            has_more: total_lines > u64::try_from(last.len()).unwrap_or(u64::MAX),
            lines: last,
            total_lines,
            next_offset: offset(inner.text.len()),
            finished: inner.filters.is_none(),
        }
    }

    /// At most `max_bytes` from `from` on, but at least one character if there is one.
    pub(crate) fn page(&self, from: u64, max_bytes: usize) -> Page {
        let inner = self.lock();
        let text = &inner.text;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let begin = text.floor_char_boundary(from);
        let mut end = text.floor_char_boundary(begin.saturating_add(max_bytes));
        if end <= begin {
            end = text.ceil_char_boundary(begin.saturating_add(1));
        }
        Page {
            text: text.get(begin..end).unwrap_or_default().to_owned(),
            offset: offset(begin),
            next_offset: offset(end),
            available: offset(text.len()),
            finished: inner.filters.is_none(),
        }
    }

    /// The text for a result: stdout, a newline if it does not end in one, stderr; blanks
    /// around it trimmed. Of that at most the first `most` bytes, and how many are left out.
    pub(crate) fn joined(&self, most: usize) -> (String, usize) {
        let inner = self.lock();
        let mut pieces: Vec<&str> = inner.pieces(Stream::Out).collect();
        if pieces.last().is_none_or(|last| !last.ends_with('\n')) {
            pieces.push("\n");
        }
        pieces.extend(inner.pieces(Stream::Err));
        while let Some(last) = pieces.pop_if(|last| last.trim_end().len() < last.len()) {
            let kept = last.trim_end();
            if !kept.is_empty() {
                pieces.push(kept);
            }
        }
        let blank = |piece: &&&str| piece.trim_start().is_empty();
        pieces.drain(..pieces.iter().take_while(blank).count());
        if let Some(first) = pieces.first_mut() {
            *first = first.trim_start();
        }
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut joined = String::with_capacity(length.min(most));
        for piece in pieces {
            let end = piece.floor_char_boundary(most - joined.len());
            joined.push_str(piece.get(..end).unwrap_or_default());
            if end < piece.len() {
                break;
            }
        }
        let left_out = length - joined.len();
        (joined, left_out)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the budget up to date with what is held.
    fn account(&self, inner: &mut Inner) {
        let held = inner.text.capacity() + inner.runs.capacity() * size_of::<(usize, Stream)>();
        let all = &self.budget.held;
        if held >= inner.held {
            all.fetch_add(held - inner.held, Ordering::Relaxed);
        } else {
            all.fetch_sub(inner.held - held, Ordering::Relaxed);
        }
        inner.held = held;
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.budget.held.fetch_sub(inner.held, Ordering::Relaxed);
    }
}

impl Filter {
    fn new(secrets: &Arc<Patterns>) -> Self {
        Self {
            early: Redactor::new(secrets),
            cleaner: Cleaner::default(),
            redactor: Redactor::new(secrets),
            bytes: Vec::new(),
            cleaned: String::new(),
        }
    }

    fn push(&mut self, bytes: &[u8], text: &mut String) {
        if self.early.is_idle() {
            self.cleaner.push(bytes, &mut self.cleaned);
        } else {
            self.early.push_bytes(bytes, &mut self.bytes);
            self.cleaner.push(&self.bytes, &mut self.cleaned);
            self.bytes.clear();
        }
        self.redactor.push(&self.cleaned, text);
        self.cleaned.clear();
    }

    fn finish(mut self, text: &mut String) {
        self.early.finish_bytes(&mut self.bytes);
        self.cleaner.push(&self.bytes, &mut self.cleaned);
        self.cleaner.finish(&mut self.cleaned);
        self.redactor.push(&self.cleaned, text);
        self.redactor.finish(text);
    }
}

impl Inner {
    /// Notes what was appended from `before` on.
    fn appended(&mut self, stream: Stream, before: usize) {
        let end = self.text.len();
        if end == before {
            return;
        }
        let new = self.text.get(before..).unwrap_or_default();
        let newlines = new.bytes().filter(|byte| *byte == b'\n').count();
        self.newlines += u64::try_from(newlines).unwrap_or_default();
        match self.runs.last_mut() {
            Some((last, of)) if *of == stream => *last = end,
            _ => self.runs.push((end, stream)),
        }
    }

    fn lines(&self) -> u64 {
        let unfinished = !self.text.is_empty() && !self.text.ends_with('\n');
        self.newlines + u64::from(unfinished)
    }

    /// The runs of one stream, none of them empty.
    fn pieces(&self, stream: Stream) -> impl Iterator<Item = &str> {
        let mut begin = 0;
        self.runs.iter().filter_map(move |(end, of)| {
            let piece = self.text.get(begin..*end);
            begin = *end;
            piece.filter(|_| *of == stream)
        })
    }
}

fn offset(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(limit: usize, secrets: &[&str]) -> (Output, Arc<Budget>) {
        let budget = Arc::new(Budget::new(limit));
        let secrets = Patterns::new(secrets.iter().map(|secret| secret.as_bytes()));
        (Output::new(Arc::clone(&budget), &secrets), budget)
    }

    #[test]
    fn pages_give_everything_once() {
        let (output, _) = output(usize::MAX, &["hunter22"]);
        let mut read = String::new();
        let mut offset = 0;
        for piece in ["aé\x1b[3", "1mß\n", "hunt", "er22 日", "本\n", "end"] {
            output.push(Stream::Out, piece.as_bytes());
            loop {
                let page = output.page(offset, 3);
                assert_eq!(page.offset, offset);
                assert!(!page.finished);
                read.push_str(&page.text);
                offset = page.next_offset;
                if offset == page.available {
                    break;
                }
            }
        }
        output.finish();
        let last = output.page(offset, usize::MAX);
        read.push_str(&last.text);
        assert!(last.finished && last.next_offset == last.available);
        assert_eq!(read, "aéß\n[redacted] 日本\nend");
        assert_eq!(output.joined(usize::MAX), (read, 0));
    }

    #[test]
    fn a_page_begins_and_ends_between_characters() {
        let (output, _) = output(usize::MAX, &[]);
        output.push(Stream::Out, "日本".as_bytes());
        let page = output.page(1, 1);
        assert_eq!(
            (page.text.as_str(), page.offset, page.next_offset),
            ("日", 0, 3)
        );
        let page = output.page(5, 1);
        assert_eq!(
            (page.text.as_str(), page.offset, page.next_offset),
            ("本", 3, 6)
        );
        let page = output.page(u64::MAX, 10);
        assert_eq!(
            (page.text.as_str(), page.offset, page.next_offset),
            ("", 6, 6)
        );
    }

    #[test]
    fn tails_count_lines_as_people_do() {
        let (output, _) = output(usize::MAX, &[]);
        assert_eq!(output.tail(3).lines, [""; 0]);
        assert_eq!(output.tail(3).total_lines, 0);
        output.push(Stream::Out, b"1\n2\n3\n4");
        let tail = output.tail(2);
        assert_eq!(tail.lines, ["3", "4"]);
        assert_eq!(
            (tail.total_lines, tail.has_more, tail.next_offset),
            (4, true, 7)
        );
        output.push(Stream::Err, b"\n\n");
        let tail = output.tail(9);
        assert_eq!(tail.lines, ["1", "2", "3", "4", ""]);
        assert_eq!((tail.total_lines, tail.has_more), (5, false));
    }

    #[test]
    fn the_result_is_stdout_then_stderr_trimmed() {
        let (output, _) = output(usize::MAX, &[]);
        output.push(Stream::Out, b"\n out1 ");
        output.push(Stream::Err, b"err1 ");
        output.push(Stream::Out, b"out2\n");
        output.push(Stream::Err, b"err2\n\n");
        output.finish();
        let all = "out1 out2\nerr1 err2";
        assert_eq!(output.joined(usize::MAX), (all.to_owned(), 0));
        assert_eq!(output.joined(12), ("out1 out2\ner".to_owned(), 7));
        assert_eq!(output.joined(0), (String::new(), all.len()));
        assert_eq!(output.page(0, 99).text, "\n out1 err1 out2\nerr2\n\n");
        assert_eq!(output.bytes_read(), (12, 11));
    }

    #[test]
    fn blanks_alone_are_no_result_and_characters_stay_whole() {
        let (output, _) = output(usize::MAX, &[]);
        assert_eq!(output.joined(9), (String::new(), 0));
        output.push(Stream::Out, b" \n\n");
        output.push(Stream::Err, b" \n");
        assert_eq!(output.joined(9), (String::new(), 0));
        output.push(Stream::Out, "é".as_bytes());
        output.push(Stream::Err, "\n ß".as_bytes());
        assert_eq!(output.joined(9), ("é\n \n\n ß".to_owned(), 0));
        assert_eq!(output.joined(1), (String::new(), 9));
    }

    #[test]
    fn the_budget_knows_what_is_held_and_what_was_let_go() {
        let (output, budget) = output(1_000, &[]);
        output.push(Stream::Out, &[b'x'; 900]);
        assert!(!budget.is_exceeded());
        output.push(Stream::Err, &[b'y'; 300]);
        assert!(budget.is_exceeded());
        drop(output);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
