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
pub(crate) mod credentials;
pub(crate) mod excerpt;
pub(crate) mod forms;
pub(crate) mod intake;
pub(crate) mod read;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::audit::{Patterns, Redactor};
use crate::model::memory::{Account, Held};
use crate::task::output::clean::Cleaner;
use crate::task::output::credentials::Guard;

/// Which of the two streams of a command (RFC 4254 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// All that is kept of an output so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub text: String,
    /// Whether no more will come.
    pub finished: bool,
    /// Whether the other stream has something too.
    pub is_part: bool,
}

pub(crate) struct Output {
    memory: Arc<Account>,
    inner: Mutex<Inner>,
}

struct Inner {
    text: String,
    /// Where a run of one stream ends and the other begins: (end, stream of the run).
    runs: Vec<(usize, Stream)>,
    newlines: u64,
    /// How many were taken out, once it has ended.
    credentials: u64,
    /// For stdout and stderr, until the end.
    filters: Option<[Filter; 2]>,
    /// As read from the host: of stdout, of stderr.
    bytes: [u64; 2],
    /// What the account of memory knows of.
    held: Held,
    /// What its task takes beside its text.
    aside: usize,
}

/// What a stream passes through before it is kept. Secrets are looked for twice: in what
/// the host sent, for those with characters that cleaning takes away or a sequence could
/// swallow, and in clean text, where nothing that shows nothing is left between their
/// characters.
struct Filter {
    early: Redactor,
    cleaner: Cleaner,
    redactor: Redactor,
    /// Whether also what looks like a credential goes.
    guard: Option<Guard>,
    bytes: Vec<u8>,
    cleaned: String,
    redacted: String,
}

impl Output {
    /// `aside` is what its task takes beside the output, for as long as it is kept.
    pub(crate) fn new(memory: &Arc<Account>, secrets: &Arc<Patterns>, aside: usize) -> Self {
        let inner = Inner {
            text: String::new(),
            runs: Vec::new(),
            newlines: 0,
            credentials: 0,
            filters: Some([Filter::new(secrets), Filter::new(secrets)]),
            bytes: [0, 0],
            held: memory.hold(aside),
            aside,
        };
        Self {
            memory: Arc::clone(memory),
            inner: Mutex::new(inner),
        }
    }

    /// The same without its text, and nothing more to come.
    pub(crate) fn without_text(&self) -> Self {
        let inner = self.lock();
        Self {
            memory: Arc::clone(&self.memory),
            inner: Mutex::new(Inner {
                text: String::new(),
                runs: Vec::new(),
                newlines: inner.newlines,
                credentials: inner.credentials,
                filters: None,
                bytes: inner.bytes,
                held: self.memory.hold(0),
                aside: 0,
            }),
        }
    }

    /// Looks for these secrets from now on, and for what looks like a credential where that
    /// is wanted. To be called before there is any output.
    pub(crate) fn redact(&self, secrets: &Arc<Patterns>, credentials: bool) {
        if let Some(filters) = &mut self.lock().filters {
            *filters = [(); 2].map(|()| Filter {
                guard: credentials.then(Guard::default),
                ..Filter::new(secrets)
            });
        }
    }

    /// How many that looked like credentials were taken out.
    pub(crate) fn credentials(&self) -> u64 {
        self.lock().credentials
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
        inner.account();
    }

    /// Counts bytes of a stream that are not kept here.
    pub(crate) fn count(&self, stream: Stream, bytes: usize) {
        let inner = &mut *self.lock();
        let [out, err] = &mut inner.bytes;
        let total = match stream {
            Stream::Out => out,
            Stream::Err => err,
        };
        *total = total.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// No more will come: what the filters held back is kept, spare memory given up.
    pub(crate) fn finish(&self) {
        let inner = &mut *self.lock();
        let Some([out, err]) = inner.filters.take() else {
            return;
        };
        for (stream, filter) in [(Stream::Out, out), (Stream::Err, err)] {
            let before = inner.text.len();
            inner.credentials += filter.finish(&mut inner.text);
            inner.appended(stream, before);
        }
        inner.text.shrink_to_fit();
        inner.runs.shrink_to_fit();
        inner.account();
    }

    /// Bytes read from the host so far: of stdout, of stderr.
    pub(crate) fn bytes_read(&self) -> (u64, u64) {
        let [out, err] = self.lock().bytes;
        (out, err)
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lock().lines()
    }

    /// Bytes of clean text so far.
    pub(crate) fn len(&self) -> usize {
        self.lock().text.len()
    }

    /// The text of one stream, or of both in the order of arrival.
    pub(crate) fn kept(&self, stream: Option<Stream>) -> Kept {
        let inner = self.lock();
        let text = match stream {
            None => inner.text.clone(),
            Some(stream) => inner.pieces(stream).collect(),
        };
        Kept {
            is_part: text.len() < inner.text.len(),
            text,
            finished: inner.filters.is_none(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filter {
    fn new(secrets: &Arc<Patterns>) -> Self {
        Self {
            early: Redactor::new(secrets),
            cleaner: Cleaner::default(),
            redactor: Redactor::new(secrets),
            guard: None,
            bytes: Vec::new(),
            cleaned: String::new(),
            redacted: String::new(),
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
        match &mut self.guard {
            None => self.redactor.push(&self.cleaned, text),
            Some(guard) => {
                self.redactor.push(&self.cleaned, &mut self.redacted);
                guard.push(&self.redacted, text);
                self.redacted.clear();
            }
        }
        self.cleaned.clear();
    }

    /// How many that looked like credentials there were.
    fn finish(mut self, text: &mut String) -> u64 {
        self.early.finish_bytes(&mut self.bytes);
        self.cleaner.push(&self.bytes, &mut self.cleaned);
        self.cleaner.finish(&mut self.cleaned);
        let Some(mut guard) = self.guard else {
            self.redactor.push(&self.cleaned, text);
            self.redactor.finish(text);
            return 0;
        };
        self.redactor.push(&self.cleaned, &mut self.redacted);
        self.redactor.finish(&mut self.redacted);
        guard.push(&self.redacted, text);
        guard.finish(text);
        guard.found()
    }
}

impl Inner {
    /// Brings the account up to date with what is held.
    fn account(&mut self) {
        let runs = self.runs.capacity() * size_of::<(usize, Stream)>();
        self.held.becomes(self.aside + self.text.capacity() + runs);
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn output(limit: usize, secrets: &[&str]) -> (Output, Arc<Account>) {
        let memory = Account::of(limit, false);
        let secrets = Patterns::new(secrets.iter().map(|secret| secret.as_bytes()));
        (Output::new(&memory, &secrets, 0), memory)
    }

    #[test]
    fn what_was_given_stays_and_what_comes_is_added() {
        let (output, _) = output(usize::MAX, &["hunter22"]);
        let mut before = String::new();
        for piece in ["aé\x1b[3", "1mß\n", "hunt", "er22 日", "本\n", "end"] {
            output.push(Stream::Out, piece.as_bytes());
            let kept = output.kept(None);
            assert!(!kept.finished && kept.text.starts_with(&before));
            before = kept.text;
        }
        output.finish();
        let kept = output.kept(None);
        assert!(kept.finished && !kept.is_part);
        assert_eq!(kept.text, "aéß\n[redacted] 日本\nend");
    }

    #[test]
    fn lines_are_counted_as_people_do() {
        let (output, _) = output(usize::MAX, &[]);
        assert_eq!(output.lines(), 0);
        output.push(Stream::Out, b"1\n2\n3\n4");
        assert_eq!(output.lines(), 4);
        output.push(Stream::Err, b"\n\n");
        assert_eq!(output.lines(), 5);
    }

    #[test]
    fn each_stream_has_its_own_text_and_both_have_their_order() {
        let (output, _) = output(usize::MAX, &[]);
        output.push(Stream::Out, b"\n out1 ");
        output.push(Stream::Err, b"err1 ");
        output.push(Stream::Out, b"out2\n");
        output.push(Stream::Err, b"err2\n\n");
        output.finish();
        let kept = output.kept(Some(Stream::Out));
        assert_eq!(kept.text, "\n out1 out2\n");
        assert!(kept.is_part);
        assert_eq!(output.kept(Some(Stream::Err)).text, "err1 err2\n\n");
        assert_eq!(output.kept(None).text, "\n out1 err1 out2\nerr2\n\n");
        assert_eq!(output.bytes_read(), (12, 11));
    }

    #[test]
    fn the_account_knows_what_is_held_and_what_was_let_go() {
        let (output, memory) = output(1_000, &[]);
        output.push(Stream::Out, &[b'x'; 900]);
        assert!(!memory.is_exceeded());
        output.push(Stream::Err, &[b'y'; 300]);
        assert!(memory.is_exceeded());
        drop(output);
        assert!(!memory.is_exceeded());
    }
}
