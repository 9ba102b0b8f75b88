//! Lines of the protocol: the same whatever pieces they came in, none over the bound, and
//! in step again after one that was.
//!
//! Input: sizes of the pieces, a zero byte, the stream. `@` in it stands for 300,000
//! letters, so that the bound is within reach.

use std::io::{self, Read};

use mcp_ssh_orchestrator::testing::mcp::{Frame, LineReader, MAX_LINE};

use super::dice::Dice;

pub fn run(data: &[u8]) {
    let mut dice = Dice::new(data);
    let sizes = dice.field();
    let mut stream = Vec::new();
    for byte in dice.rest() {
        match byte {
            b'@' if stream.len() < 4 * MAX_LINE => stream.resize(stream.len() + 300_000, b'x'),
            byte => stream.push(*byte),
        }
    }
    let whole = frames(&stream, &[]);
    assert_eq!(
        frames(&stream, sizes),
        whole,
        "the lines depend on the pieces"
    );
    assert_eq!(whole, naive(&stream));
}

fn frames(stream: &[u8], sizes: &[u8]) -> Vec<Frame> {
    let mut reader = LineReader::new(Pieces {
        stream,
        sizes,
        next: 0,
    });
    let mut all = Vec::new();
    while let Some(frame) = reader.read().expect("this stream has no errors") {
        all.push(frame);
    }
    all
}

/// A stream that comes in pieces of the given sizes, over and over, with interruptions.
struct Pieces<'a> {
    stream: &'a [u8],
    sizes: &'a [u8],
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = match self.sizes {
            [] => into.len(),
            sizes => {
                self.next += 1;
                let size = sizes[self.next % sizes.len()];
                if size == 255 && self.next % 2 == 1 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                usize::from(size) * 64
            }
        };
        let size = size.max(1).min(into.len()).min(self.stream.len());
        let (piece, rest) = self.stream.split_at(size);
        into[..size].copy_from_slice(piece);
        self.stream = rest;
        Ok(size)
    }
}

fn naive(stream: &[u8]) -> Vec<Frame> {
    let lines = stream.split(|byte| *byte == b'\n');
    let frame = |line: &[u8]| {
        if line.len() > MAX_LINE {
            return Some(Frame::TooLong {
                bytes: line.len() as u64,
            });
        }
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.trim_ascii().is_empty()).then(|| Frame::Line(line.to_vec()))
    };
    lines.filter_map(frame).collect()
}
