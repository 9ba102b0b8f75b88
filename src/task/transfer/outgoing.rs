//! A local file that is sent: read again, piece by piece, while the host takes it.
//!
//! Owns that what is sent is what was judged: its hash is made again of the bytes that are
//! handed over, and the host's script compares its own. Refuses to read on where the file
//! ends early. Called by [`crate::ssh`] while the command runs.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::stdin::Stdin;
use crate::model::text::hex;
use crate::policy::LocalName;
use crate::ssh::Source;
use crate::task::transfer::directory::{TransferDir, system};
use crate::task::transfer::trouble::Trouble;
use crate::task::transfer::{Counter, Moved};

/// The file, and what was read of it so far.
pub(crate) struct Outgoing {
    content: Stdin,
    counter: Arc<Counter>,
    reading: RefCell<Reading>,
}

struct Reading {
    file: File,
    at: u64,
    digest: Sha256,
    trouble: Option<Trouble>,
}

impl Outgoing {
    /// Opens what was judged, if it can still be that.
    ///
    /// # Errors
    /// It is gone, has another size, or is larger than `most` bytes.
    pub(crate) fn open(
        directory: &TransferDir,
        name: &LocalName,
        content: &Stdin,
        most: u64,
        counter: &Arc<Counter>,
    ) -> Result<Self, Trouble> {
        let (file, size) = directory.file(name, most)?;
        if size != content.size() {
            return Err(Trouble::Changed);
        }
        counter.expect(size);
        Ok(Self {
            content: content.clone(),
            counter: Arc::clone(counter),
            reading: RefCell::new(Reading {
                file,
                at: 0,
                digest: Sha256::new(),
                trouble: None,
            }),
        })
    }

    /// What came of it; `done` says whether the host's script says that it is in its place.
    ///
    /// # Errors
    /// What was read was not what was judged: then the host has refused it.
    pub(crate) fn settle(self, done: bool) -> Result<Option<Moved>, Trouble> {
        let reading = self.reading.into_inner();
        let all = reading.at == self.content.size();
        let hash: [u8; 32] = reading.digest.finalize().into();
        match reading.trouble {
            Some(trouble) => Err(trouble),
            None if all && hash != *self.content.sha256() => Err(Trouble::Changed),
            None => Ok(done.then(|| Moved {
                bytes: self.content.size(),
                sha256: hex(&hash),
                replaced: false,
            })),
        }
    }
}

impl Source for Outgoing {
    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let reading = &mut *self.reading.borrow_mut();
        if at != reading.at {
            // From the beginning, for a session that was refused; never from the middle.
            reading.file.seek(SeekFrom::Start(at))?;
            (reading.at, reading.digest) = (at, Sha256::new());
        }
        let count = match reading.file.read(buffer) {
            Ok(count) => count,
            Err(error) => {
                reading.trouble = Some(system(&error));
                return Err(error);
            }
        };
        if count == 0 {
            reading.trouble = Some(Trouble::Changed);
        }
        reading
            .digest
            .update(buffer.get(..count).unwrap_or_default());
        reading.at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        self.counter.reach(reading.at);
        Ok(count)
    }
}
