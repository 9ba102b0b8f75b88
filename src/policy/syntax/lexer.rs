//! Text → a tree of commands made of words, or a refusal with all that is wrong.
//!
//! Owns the bounds, the screen over the characters, and the order of faults: characters
//! before words before programs name a refusal, and all of them are told. The grammar is
//! in `grammar`, `simple` and `word`; what is not fully understood is refused, and nothing
//! is guessed. Time and memory are linear in the text, which is at most [`MAX_BYTES`], and
//! in the rounds of its loops. Called by `judge`, by the compiler for examples, and by the
//! fuzz targets.

use crate::policy::decision::reason::Code;
use crate::policy::syntax::command::{Fault, List, Parsed, Refusal};
use crate::policy::syntax::reader::Reader;
use crate::policy::syntax::{chars, directory};

pub(crate) use crate::policy::syntax::command::{Simple, Word};
pub use crate::policy::syntax::simple::MAX_COMMANDS;
pub use crate::policy::syntax::word::MAX_WORDS;

/// Longest text, in bytes.
pub const MAX_BYTES: usize = 8 * 1024;

/// What the policy file may switch on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Accept unquoted `*` and `?` in operands that start with `/` or `./`.
    pub globs: bool,
}

/// Reads bytes that may not be text.
///
/// # Errors
/// `syntax:not-utf8`, or what [`parse`] refuses.
pub fn parse_bytes(bytes: &[u8], options: Options) -> Result<Parsed<'_>, Refusal> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text, options),
        Err(error) => Err(refusal(vec![Fault {
            code: Code::NotUtf8,
            position: error.valid_up_to(),
        }])),
    }
}

/// Reads a text whole.
///
/// # Errors
/// Everything that is not in the grammar.
pub fn parse(text: &str, options: Options) -> Result<Parsed<'_>, Refusal> {
    read(Reader::new(text, options.globs, false))
}

/// The same, with TEXT in a subshell in the place of `sh -c 'TEXT'`.
///
/// # Errors
/// Everything that is not in the grammar, in TEXT too.
pub fn parse_through_shells(text: &str, options: Options) -> Result<Parsed<'_>, Refusal> {
    read(Reader::new(text, options.globs, true))
}

fn read(mut reader: Reader<'_>) -> Result<Parsed<'_>, Refusal> {
    let text = reader.text;
    if text.len() > MAX_BYTES {
        reader.fault(Code::Limit, MAX_BYTES);
        return Err(refusal(reader.faults));
    }
    if text.bytes().all(|byte| matches!(byte, b' ' | b'\n')) {
        reader.fault(Code::Empty, 0);
        return Err(refusal(reader.faults));
    }
    screen(&mut reader);
    let tree: List<'_> = reader.whole();
    if !reader.faults.is_empty() {
        return Err(refusal(reader.faults));
    }
    if reader.commands.is_empty() {
        reader.fault(Code::Empty, 0);
        return Err(refusal(reader.faults));
    }
    let mut parsed = Parsed {
        commands: reader.commands,
        tree,
    };
    directory::place(&mut parsed);
    Ok(parsed)
}

/// Characters, wherever they stand. A line break is left to what is read.
fn screen(reader: &mut Reader<'_>) {
    for (position, c) in reader.text.char_indices() {
        if let Some(code) = chars::refusal(c)
            && code != Code::Newline
        {
            reader.fault(code, position);
        }
    }
}

fn refusal(mut faults: Vec<Fault>) -> Refusal {
    let rank = |fault: &Fault| (fault.code.syntax_rank(), fault.position);
    let first = faults.iter().copied().min_by_key(rank);
    if first.is_some_and(|first| first.code == Code::Limit) {
        // What was not read is not missing.
        faults.retain(|fault| !matches!(fault.code, Code::Unclosed | Code::EmptyCommand));
    }
    faults.sort_by_key(|fault| (fault.position, rank(fault)));
    // One thing at one place: the first that names it.
    faults.dedup_by_key(|fault| fault.position);
    let first = first.unwrap_or(Fault {
        code: Code::Empty,
        position: 0,
    });
    Refusal {
        code: first.code,
        position: first.position,
        faults,
    }
}
