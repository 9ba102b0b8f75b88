//! Bytes → lines: bounded, and back in step after one that is too long.
//!
//! Owns the only reader of the protocol's input. Strips a byte order mark and a carriage
//! return, leaves blank lines out, and never holds more than one line plus one read.
//! Knows nothing of JSON. Called by the reading thread of `serve`, and by fuzz targets.

use std::io::{BufRead, BufReader, ErrorKind, Read};

/// Longest accepted line, in bytes without its newline.
pub const MAX_LINE: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What the input held up to a newline.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A line that is not blank, without its line ending.
    Line(Vec<u8>),
    /// A line longer than [`MAX_LINE`], passed over up to its newline.
    TooLong { bytes: u64 },
}

/// Reads lines off a byte stream.
#[derive(Debug)]
pub struct LineReader<R> {
    input: BufReader<R>,
}

impl<R: Read> LineReader<R> {
    pub fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(64 * 1024, input),
        }
    }

    /// The next line, or `None` at the end of input. A last line without a newline
    /// counts as one.
    ///
    /// # Errors
    /// The stream's own; an interrupted read is tried again.
    pub fn read(&mut self) -> std::io::Result<Option<Frame>> {
        loop {
            match self.read_one()? {
                Some(Frame::Line(line)) if is_blank(&line) => {}
                other => return Ok(other),
            }
        }
    }

    /// The next line and those that were read along with it; none at the end of input. They
    /// have no more bytes together than a line and a read.
    ///
    /// # Errors
    /// As [`LineReader::read`].
    pub(crate) fn read_some(&mut self) -> std::io::Result<Vec<Frame>> {
        let mut frames: Vec<Frame> = self.read()?.into_iter().collect();
        while !frames.is_empty() && self.input.buffer().contains(&b'\n') {
            match self.read_one()? {
                Some(Frame::Line(line)) if is_blank(&line) => {}
                other => frames.extend(other),
            }
        }
        Ok(frames)
    }

    fn read_one(&mut self) -> std::io::Result<Option<Frame>> {
        let mut line = Vec::new();
        let mut bytes: u64 = 0;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                let nothing = bytes == 0;
                return Ok((!nothing).then(|| finish(line, bytes)));
            }
            let newline = available.iter().position(|byte| *byte == b'\n');
            let part = available.split_at(newline.unwrap_or(available.len())).0;
            bytes += part.len() as u64;
            // One byte past the cap is kept: it tells a full line from a longer one.
            let room = (MAX_LINE + 1).saturating_sub(line.len());
            line.extend(part.iter().take(room));
            let used = part.len() + usize::from(newline.is_some());
            self.input.consume(used);
            if newline.is_some() {
                return Ok(Some(finish(line, bytes)));
            }
        }
    }
}

fn finish(mut line: Vec<u8>, bytes: u64) -> Frame {
    if line.len() > MAX_LINE {
        return Frame::TooLong { bytes };
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    match line.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => Frame::Line(rest.to_vec()),
        None => Frame::Line(line),
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(input: &[u8]) -> Vec<Frame> {
        let mut reader = LineReader::new(input);
        std::iter::from_fn(|| reader.read().unwrap()).collect()
    }

    fn line(text: &[u8]) -> Frame {
        Frame::Line(text.to_vec())
    }

    #[test]
    fn line_endings_blanks_and_the_mark_are_stripped() {
        let input = b"\xef\xbb\xbfone\r\n\n  \r\ntwo\nlast";
        assert_eq!(frames(input), [line(b"one"), line(b"two"), line(b"last")]);
        assert_eq!(frames(b""), []);
        assert_eq!(frames(b"\n\n"), []);
    }

    #[test]
    fn lines_that_come_together_are_handed_on_together() {
        let some = |input: &[u8]| {
            let mut reader = LineReader::new(input);
            let next = || reader.read_some().unwrap();
            let all = std::iter::repeat_with(next).take_while(|some| !some.is_empty());
            all.map(|some| some.len()).collect::<Vec<_>>()
        };
        assert_eq!(some(b"one\n\ntwo\nthree\nla"), [3, 1]);
        assert_eq!(some(b"one\ntwo\n"), [2]);
        assert!(some(b"").is_empty());
        let mut long = vec![b'x'; MAX_LINE + 1];
        long.extend(b"\none\ntwo\n");
        assert_eq!(some(&long), [3]);
        // What is read is a bound: no more is handed on at once.
        let many = some(&b"line\n".repeat(100_000));
        assert!(many.len() > 7 && many.iter().sum::<usize>() == 100_000);
    }

    #[test]
    fn a_long_line_is_passed_over_and_the_next_one_is_read() {
        let mut input = vec![b'x'; MAX_LINE + 1];
        input.extend(b"\nnext\n");
        let bytes = MAX_LINE as u64 + 1;
        assert_eq!(frames(&input), [Frame::TooLong { bytes }, line(b"next")]);
    }

    #[test]
    fn a_line_of_exactly_the_cap_is_a_line() {
        let mut input = vec![b'x'; MAX_LINE];
        input.push(b'\n');
        assert_eq!(frames(&input), [line(&input[..MAX_LINE])]);
    }
}
