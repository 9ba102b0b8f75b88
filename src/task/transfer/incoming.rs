//! A file that is fetched: what the host's script prints, taken apart as it comes.
//!
//! Owns the three parts of that: a line with the size, so many bytes as they are, a line with
//! the hash of what the file holds now. The bytes go into a file beside, and into nothing
//! else; the lines go with the output. Only when all has come, is what it was, and the script
//! ended well, the file gets its name. Called by [`crate::task::output::intake`].

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::text::hex;
use crate::policy::{END, Fetching, MARK};
use crate::ssh::Flow;
use crate::task::transfer::directory::{Making, TransferDir};
use crate::task::transfer::trouble::Trouble;
use crate::task::transfer::{Counter, Moved};

/// Most bytes before the first line of the script's: what a login shell may say.
const HEAD_MAX: usize = 64 * 1024;
/// Most bytes of its last line.
const TAIL_MAX: usize = 128;

/// A file on its way.
pub(crate) struct Incoming {
    directory: Arc<TransferDir>,
    fetching: Fetching,
    most: u64,
    counter: Arc<Counter>,
    stage: Stage,
    trouble: Option<Trouble>,
}

enum Stage {
    /// What was said so far.
    Head(Vec<u8>),
    Body(Body),
    Tail(Body, Vec<u8>),
    /// The script refused; all of it is output.
    Refused,
}

struct Body {
    making: Making,
    size: u64,
    got: u64,
    digest: Sha256,
}

impl Incoming {
    pub(crate) fn new(
        directory: &Arc<TransferDir>,
        fetching: &Fetching,
        most: u64,
        counter: &Arc<Counter>,
    ) -> Self {
        Self {
            directory: Arc::clone(directory),
            fetching: fetching.clone(),
            most,
            counter: Arc::clone(counter),
            stage: Stage::Head(Vec::new()),
            trouble: None,
        }
    }

    /// Takes what the host printed; what of it is output goes to `text`.
    pub(crate) fn take(&mut self, bytes: &[u8], text: &mut Vec<u8>) -> Flow {
        if self.trouble.is_some() {
            return Flow::Stop;
        }
        match self.go_on(bytes, text) {
            Ok(()) => Flow::Continue,
            Err(trouble) => {
                // What lies beside is taken away now, not when the command has ended.
                self.stage = Stage::Refused;
                self.trouble = Some(trouble);
                Flow::Stop
            }
        }
    }

    fn go_on(&mut self, mut bytes: &[u8], text: &mut Vec<u8>) -> Result<(), Trouble> {
        while !bytes.is_empty() {
            match &mut self.stage {
                Stage::Head(head) => {
                    // A byte at a time, until the line is whole: it is short.
                    let (first, rest) = bytes.split_at(1);
                    head.extend_from_slice(first);
                    bytes = rest;
                    if head.len() > HEAD_MAX {
                        return Err(Trouble::Garbled);
                    }
                    if first == b"\n" {
                        self.read_head(text)?;
                    }
                }
                Stage::Body(body) => {
                    let left = usize::try_from(body.size - body.got).unwrap_or(usize::MAX);
                    let (content, rest) = bytes.split_at(left.min(bytes.len()));
                    body.making.write(content)?;
                    body.digest.update(content);
                    body.got += u64::try_from(content.len()).unwrap_or_default();
                    self.counter.reach(body.got);
                    bytes = rest;
                    self.close_body();
                }
                Stage::Tail(_, tail) => {
                    tail.extend_from_slice(bytes);
                    text.extend_from_slice(bytes);
                    if tail.len() > TAIL_MAX {
                        return Err(Trouble::Garbled);
                    }
                    bytes = &[];
                }
                Stage::Refused => {
                    text.extend_from_slice(bytes);
                    bytes = &[];
                }
            }
        }
        Ok(())
    }

    /// Looks at the line that has just become whole.
    fn read_head(&mut self, text: &mut Vec<u8>) -> Result<(), Trouble> {
        let Stage::Head(head) = &mut self.stage else {
            return Ok(());
        };
        let lines = head.strip_suffix(b"\n").unwrap_or(head);
        let begin = lines.iter().rposition(|byte| *byte == b'\n');
        let line = lines
            .get(begin.map_or(0, |at| at + 1)..)
            .unwrap_or_default();
        let Some(said) = line.strip_prefix(MARK.as_bytes()) else {
            return Ok(());
        };
        let size = std::str::from_utf8(said)
            .ok()
            .and_then(|said| said.strip_prefix("ok "))
            .map(|fields| fields.split(' ').next().unwrap_or_default().parse::<u64>());
        text.append(head);
        self.stage = match size {
            None => Stage::Refused,
            Some(Err(_)) => return Err(Trouble::Garbled),
            Some(Ok(size)) if size > self.most => return Err(Trouble::Large(size, self.most)),
            Some(Ok(size)) => {
                self.counter.expect(size);
                Stage::Body(Body {
                    making: self.directory.make()?,
                    size,
                    got: 0,
                    digest: Sha256::new(),
                })
            }
        };
        // An empty file has no bytes to wait for.
        self.close_body();
        Ok(())
    }

    fn close_body(&mut self) {
        if matches!(&self.stage, Stage::Body(body) if body.got == body.size)
            && let Stage::Body(body) = std::mem::replace(&mut self.stage, Stage::Refused)
        {
            self.stage = Stage::Tail(body, Vec::new());
        }
    }

    /// Gives the file its name, if the script ended well (`done`) and all of it has come.
    ///
    /// # Errors
    /// What is the matter on this side, or with what came. Nothing is kept then.
    pub(crate) fn settle(self, done: bool) -> Result<Option<Moved>, Trouble> {
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        let (body, tail) = match self.stage {
            _ if !done => return Ok(None),
            Stage::Refused => return Ok(None),
            Stage::Head(_) => return Err(Trouble::Garbled),
            // It became shorter while it was read.
            Stage::Body(_) => return Err(Trouble::Torn),
            Stage::Tail(body, tail) => (body, tail),
        };
        let sha256 = hex(&<[u8; 32]>::from(body.digest.finalize()));
        if tail != format!("{END}{sha256}\n").into_bytes() {
            return Err(Trouble::Torn);
        }
        if let Some(expected) = &self.fetching.expected
            && expected.as_str() != sha256
        {
            return Err(Trouble::Unexpected(sha256));
        }
        let (name, overwrite) = (&self.fetching.to, self.fetching.overwrite);
        Ok(Some(Moved {
            bytes: body.size,
            sha256,
            replaced: body.making.place(name, overwrite)?,
        }))
    }
}
