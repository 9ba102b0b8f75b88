//! A compressed file, read back: gzip (RFC 1952) with what it holds (RFC 1951).
//!
//! Owns the reading of archives that logrotate or a person compressed, so that they are
//! verified without being written out. Holds a window of 32 KiB whatever the file says, and
//! refuses what is damaged: the checksum and the length at the end are compared. Writes
//! nothing. Called by [`crate::audit::chain::inputs`].

use std::io::{self, Read};

/// How far back a copy may reach.
const WINDOW: usize = 32 * 1024;
/// Bytes that are made at a time, about.
const PORTION: usize = 32 * 1024;
/// Longest code of a symbol, in bits.
const LONGEST: usize = 15;

/// Base and extra bits of each length symbol from 257 on.
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
/// In this order the lengths of the code for code lengths come.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// A reader of what a gzip file holds, one member after the other.
pub(crate) struct Gunzip<R> {
    bits: Bits<R>,
    stage: Stage,
    /// The last of the file's block.
    last: bool,
    /// What was made: up to [`WINDOW`] bytes that were taken, then those that were not.
    made: Vec<u8>,
    taken: usize,
    /// What of it is in the checksum.
    counted: usize,
    checksum: u32,
    length: u32,
}

enum Stage {
    /// Before the header of a member; the first must be there.
    Member {
        first: bool,
    },
    Block,
    Stored(usize),
    Coded(Box<Codes>),
    End,
}

struct Codes {
    literals: Code,
    distances: Code,
}

struct Bits<R> {
    from: R,
    held: u32,
    count: u32,
}

/// A canonical Huffman code: how many symbols there are of each length, and the symbols.
struct Code {
    counts: [u16; LONGEST + 1],
    symbols: Vec<u16>,
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("gzip: {what}"))
}

impl<R: Read> Gunzip<R> {
    pub(crate) fn new(from: R) -> Self {
        Self {
            bits: Bits {
                from,
                held: 0,
                count: 0,
            },
            stage: Stage::Member { first: true },
            last: false,
            made: Vec::with_capacity(WINDOW + PORTION + 300),
            taken: 0,
            counted: 0,
            checksum: !0,
            length: 0,
        }
    }

    /// Makes some bytes more; none are left when the stage is the end.
    fn make(&mut self) -> io::Result<()> {
        // What is out of reach goes.
        if self.taken > WINDOW {
            let gone = self.taken - WINDOW;
            self.made.drain(..gone);
            self.taken = WINDOW;
            self.counted -= gone;
        }
        let from = self.made.len();
        while self.made.len() - from < PORTION && !matches!(self.stage, Stage::End) {
            self.step()?;
        }
        self.count();
        Ok(())
    }

    fn count(&mut self) {
        let new = self.made.get(self.counted..).unwrap_or_default();
        self.checksum = checksum(self.checksum, new);
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
        self.length = self.length.wrapping_add(count);
        self.counted = self.made.len();
    }

    fn step(&mut self) -> io::Result<()> {
        match &mut self.stage {
            Stage::End => Ok(()),
            Stage::Member { first } => {
                let first = *first;
                self.stage = match self.header(first)? {
                    true => Stage::Block,
                    false => Stage::End,
                };
                Ok(())
            }
            Stage::Block if self.last => self.trailer(),
            Stage::Block => self.block(),
            Stage::Stored(0) => {
                self.stage = Stage::Block;
                Ok(())
            }
            Stage::Stored(left) => {
                *left -= 1;
                let byte = self.bits.byte()?;
                self.made.push(byte);
                Ok(())
            }
            Stage::Coded(codes) => {
                if symbol(codes, &mut self.bits, &mut self.made)? {
                    self.stage = Stage::Block;
                }
                Ok(())
            }
        }
    }

    /// Reads the header of a member; false at the end of the file.
    fn header(&mut self, first: bool) -> io::Result<bool> {
        let Some(magic) = self.bits.maybe_byte()? else {
            return match first {
                true => Err(damaged("the file is empty")),
                false => Ok(false),
            };
        };
        let mut fixed = [magic, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for byte in fixed.iter_mut().skip(1) {
            *byte = self.bits.byte()?;
        }
        let [0x1f, 0x8b, 8, flags, ..] = fixed else {
            return match first {
                true => Err(damaged("it is none")),
                // Padding, as tapes have it.
                false => Ok(false),
            };
        };
        if flags & 4 != 0 {
            let length = u16::from_le_bytes([self.bits.byte()?, self.bits.byte()?]);
            for _ in 0..length {
                self.bits.byte()?;
            }
        }
        for flag in [8, 16] {
            while flags & flag != 0 && self.bits.byte()? != 0 {}
        }
        if flags & 2 != 0 {
            self.bits.byte()?;
            self.bits.byte()?;
        }
        (self.checksum, self.length, self.last) = (!0, 0, false);
        Ok(true)
    }

    fn block(&mut self) -> io::Result<()> {
        self.last = self.bits.take(1)? == 1;
        self.stage = match self.bits.take(2)? {
            0 => {
                self.bits.align();
                let mut four = [0; 4];
                for byte in &mut four {
                    *byte = self.bits.byte()?;
                }
                let [a, b, c, d] = four;
                let length = u16::from_le_bytes([a, b]);
                if length != !u16::from_le_bytes([c, d]) {
                    return Err(damaged("a stored block is torn"));
                }
                Stage::Stored(length.into())
            }
            1 => Stage::Coded(Box::new(fixed_codes())),
            2 => Stage::Coded(Box::new(self.codes()?)),
            _ => return Err(damaged("a block of no kind")),
        };
        Ok(())
    }

    /// The two codes of a block that brings its own.
    fn codes(&mut self) -> io::Result<Codes> {
        let literals = usize::from(self.bits.small(5)?) + 257;
        let distances = usize::from(self.bits.small(5)?) + 1;
        let own = usize::from(self.bits.small(4)?) + 4;
        let mut lengths = [0_u8; 19];
        for place in ORDER.iter().take(own) {
            let length = self.bits.small(3)?;
            if let Some(slot) = lengths.get_mut(*place) {
                *slot = u8::try_from(length).unwrap_or_default();
            }
        }
        let code = Code::of(&lengths);
        let mut lengths: Vec<u8> = Vec::with_capacity(320);
        while lengths.len() < literals + distances {
            let symbol = code.next(&mut self.bits)?;
            let (value, times) = match symbol {
                0..=15 => (u8::try_from(symbol).unwrap_or_default(), 1),
                16 => {
                    let before = lengths.last().copied();
                    let before = before.ok_or_else(|| damaged("a length of none repeated"))?;
                    (before, 3 + self.bits.small(2)?)
                }
                17 => (0, 3 + self.bits.small(3)?),
                _ => (0, 11 + self.bits.small(7)?),
            };
            lengths.extend(std::iter::repeat_n(value, times.into()));
        }
        let (first, rest) = lengths
            .split_at_checked(literals)
            .ok_or_else(|| damaged("too few lengths"))?;
        Ok(Codes {
            literals: Code::of(first),
            distances: Code::of(rest.get(..distances).unwrap_or(rest)),
        })
    }

    /// Compares checksum and length at the end of a member.
    fn trailer(&mut self) -> io::Result<()> {
        self.bits.align();
        self.count();
        let mut eight = [0; 8];
        for byte in &mut eight {
            *byte = self.bits.byte()?;
        }
        let [a, b, c, d, e, f, g, h] = eight;
        let (checksum, length) = (
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        );
        if checksum != !self.checksum || length != self.length {
            return Err(damaged("the checksum at its end is another one"));
        }
        self.stage = Stage::Member { first: false };
        Ok(())
    }
}

/// One symbol of a block; true for its end.
fn symbol<R: Read>(codes: &Codes, bits: &mut Bits<R>, made: &mut Vec<u8>) -> io::Result<bool> {
    let symbol = codes.literals.next(bits)?;
    if let Ok(byte) = u8::try_from(symbol) {
        made.push(byte);
        return Ok(false);
    }
    if symbol == 256 {
        return Ok(true);
    }
    let (base, extra) = LENGTHS
        .get(usize::from(symbol) - 257)
        .ok_or_else(|| damaged("a length of no kind"))?;
    let length = base + bits.small(*extra)?;
    let distance = codes.distances.next(bits)?;
    let (base, extra) = match distance {
        0..=3 => (u32::from(distance) + 1, 0),
        4..=29 => {
            let extra = u32::from(distance) / 2 - 1;
            let base = ((2 + u32::from(distance) % 2) << extra) + 1;
            (base, extra)
        }
        _ => return Err(damaged("a distance of no kind")),
    };
    let distance = base + bits.take(extra)?;
    let distance = usize::try_from(distance).unwrap_or(usize::MAX);
    for _ in 0..length {
        let at = made.len().checked_sub(distance);
        let byte = at.and_then(|at| made.get(at)).copied();
        made.push(byte.ok_or_else(|| damaged("a copy from before its beginning"))?);
    }
    Ok(false)
}

fn fixed_codes() -> Codes {
    let mut lengths = [8_u8; 288];
    for (symbol, length) in lengths.iter_mut().enumerate() {
        *length = match symbol {
            144..=255 => 9,
            256..=279 => 7,
            _ => 8,
        };
    }
    Codes {
        literals: Code::of(&lengths),
        distances: Code::of(&[5; 30]),
    }
}

impl Code {
    fn of(lengths: &[u8]) -> Self {
        let mut counts = [0_u16; LONGEST + 1];
        let mut symbols = Vec::with_capacity(lengths.len());
        for length in 1..=LONGEST {
            for (symbol, own) in lengths.iter().enumerate() {
                if usize::from(*own) == length {
                    symbols.push(u16::try_from(symbol).unwrap_or_default());
                    if let Some(count) = counts.get_mut(length) {
                        *count += 1;
                    }
                }
            }
        }
        Self { counts, symbols }
    }

    fn next<R: Read>(&self, bits: &mut Bits<R>) -> io::Result<u16> {
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for count in self.counts.iter().skip(1) {
            code |= bits.take(1)?;
            let count = u32::from(*count);
            // Within the codes of this length?
            if let Some(offset) = code.checked_sub(first).filter(|offset| *offset < count) {
                let at = usize::try_from(index + offset).unwrap_or(usize::MAX);
                let symbol = self.symbols.get(at).copied();
                return symbol.ok_or_else(|| damaged("a code of no symbol"));
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(damaged("a code of no symbol"))
    }
}

impl<R: Read> Bits<R> {
    fn take(&mut self, count: u32) -> io::Result<u32> {
        while self.count < count {
            let byte = self.next()?.ok_or_else(torn)?;
            self.held |= u32::from(byte) << self.count;
            self.count += 8;
        }
        let value = self.held & ((1 << count) - 1);
        self.held >>= count;
        self.count -= count;
        Ok(value)
    }

    /// At most 16 bits.
    fn small(&mut self, count: u8) -> io::Result<u16> {
        let value = self.take(count.into())?;
        Ok(u16::try_from(value).unwrap_or(u16::MAX))
    }

    /// To the next whole byte.
    fn align(&mut self) {
        let over = self.count % 8;
        self.held >>= over;
        self.count -= over;
    }

    fn byte(&mut self) -> io::Result<u8> {
        self.maybe_byte()?.ok_or_else(torn)
    }

    /// A whole byte, or the end.
    fn maybe_byte(&mut self) -> io::Result<Option<u8>> {
        if self.count >= 8 {
            let byte = self.take(8)?;
            return Ok(u8::try_from(byte).ok());
        }
        self.next()
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        loop {
            match self.from.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    let [byte] = byte;
                    return Ok(Some(byte));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn torn() -> io::Error {
    damaged("the file ends within it")
}

/// CRC-32 as gzip has it, without the inversions at both ends.
fn checksum(mut sum: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = match sum & 1 {
                1 => sum >> 1 ^ 0xedb8_8320,
                _ => sum >> 1,
            };
        }
    }
    sum
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.made.len() {
            if matches!(self.stage, Stage::End) {
                return Ok(0);
            }
            self.make()?;
        }
        let ready = self.made.get(self.taken..).unwrap_or_default();
        let count = ready.len().min(to.len());
        for (to, from) in to.iter_mut().zip(ready) {
            *to = *from;
        }
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Gunzip::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    /// `printf 'aaaaaaaaaaaaaaaaaaaab' | gzip -n9`
    const SMALL: [u8; 24] = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0x4b, 0x4c, 0xc4, 4, 0x49, 0, 0xc5, 0x6f, 0x44, 0xd,
        0x15, 0, 0, 0,
    ];

    #[test]
    fn members_are_read_one_after_the_other() {
        let once = b"aaaaaaaaaaaaaaaaaaaab".as_slice();
        assert_eq!(read(&SMALL).unwrap(), once);
        assert_eq!(
            read(&[SMALL, SMALL].concat()).unwrap(),
            [once, once].concat()
        );
    }

    #[test]
    fn what_is_damaged_is_refused() {
        assert!(read(&[]).is_err());
        assert!(read(b"plain text, and long enough").is_err());
        for length in 1..SMALL.len() {
            assert!(read(&SMALL[..length]).is_err(), "{length}");
        }
    }
}
