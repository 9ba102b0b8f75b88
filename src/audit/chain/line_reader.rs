//! Lines of a file that may be anything: bounded, one at a time.
//!
//! Owns the reading of audit files of any size in the memory of one line. Refuses to
//! hold more than [`LINE_MAX`] bytes of what has no newline. Called by the recovery,
//! `verify` and `show`.

use std::io::{self, BufRead};

use crate::audit::chain::seal::LINE_MAX;

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A whole line; the buffer holds it without its newline.
    Whole,
    /// The end came before a newline.
    Torn,
    /// More than [`LINE_MAX`] bytes, skipped up to its newline or the end.
    TooLong { torn: bool },
    /// Nothing is left.
    End,
}

/// Reads the next line into `line`. `length` counts the bytes that were consumed.
pub(crate) fn next(
    reader: &mut impl BufRead,
    line: &mut Vec<u8>,
    length: &mut u64,
) -> io::Result<Line> {
    line.clear();
    *length = 0;
    let mut too_long = false;
    loop {
        let chunk = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if chunk.is_empty() {
            return Ok(match (*length, too_long) {
                (0, _) => Line::End,
                (_, true) => Line::TooLong { torn: true },
                (_, false) => Line::Torn,
            });
        }
        let newline = chunk.iter().position(|byte| *byte == b'\n');
        let text = chunk.get(..newline.unwrap_or(chunk.len())).unwrap_or(chunk);
        if line.len() + text.len() >= LINE_MAX {
            too_long = true;
            line.clear();
        } else if !too_long {
            line.extend_from_slice(text);
        }
        let used = text.len() + usize::from(newline.is_some());
        *length += used as u64;
        reader.consume(used);
        if newline.is_some() {
            return Ok(if too_long {
                Line::TooLong { torn: false }
            } else {
                Line::Whole
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn all(text: &[u8]) -> Vec<(Line, usize, u64)> {
        let mut reader = BufReader::with_capacity(7, text);
        let (mut line, mut length, mut found) = (Vec::new(), 0, Vec::new());
        loop {
            let kind = next(&mut reader, &mut line, &mut length).unwrap();
            if kind == Line::End {
                return found;
            }
            found.push((kind, line.len(), length));
        }
    }

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\n"), [(Line::Whole, 0, 1)]);
        assert_eq!(
            all(b"a longer line\nand"),
            [(Line::Whole, 13, 14), (Line::Torn, 3, 3)]
        );
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut text = vec![b'x'; 3 * LINE_MAX];
        let length = text.len() as u64;
        assert_eq!(all(&text), [(Line::TooLong { torn: true }, 0, length)]);
        text.extend_from_slice(b"\nok\n");
        let rest = (Line::Whole, 2, 3);
        assert_eq!(
            all(&text),
            [(Line::TooLong { torn: false }, 0, length + 1), rest]
        );
    }
}
