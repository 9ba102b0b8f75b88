//! The audit file: appended to by every thread, on disk before a command is sent.
//!
//! Owns the one writer's lock, the chain's tip, and what happens when the disk says no:
//! a failed write is cut off again, so that the file always ends with a whole record;
//! records that report something are kept in memory, bounded by [`BEHIND_MAX`], and
//! written first when the disk says yes again; a start is refused. Each append makes
//! sure that the file is still the one its name stands for. Called by [`crate::audit::Audit`].

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::sys::statfs::fstatfs;
use nix::unistd::{fdatasync, ftruncate};

use crate::audit::chain::directory::{Locked, Place, same_file};
use crate::audit::chain::group_commit::Group;
use crate::audit::chain::recover;
use crate::audit::chain::seal::Tip;
use crate::audit::failure::Failure;
use crate::audit::record::chain_mark::{Mark, OPEN_PER_RECORD, Origin};
use crate::audit::space::Free;
use crate::audit::timestamp::Ts;
use crate::model::names::TaskId;

/// Most bytes of records that wait in memory for a disk.
const BEHIND_MAX: usize = 1_048_576;

/// Most waiting records written at once.
const BATCH: usize = 64;

/// The file and everything known about it.
pub(crate) struct Ledger {
    place: Place,
    boot: String,
    state: Mutex<State>,
    group: Group,
}

struct State {
    file: Arc<Locked>,
    /// Bytes of whole records.
    length: u64,
    /// Bytes of an unfinished record may follow them.
    torn: bool,
    tip: Tip,
    /// Commands with a start and no end, by task id.
    open: BTreeSet<String>,
    behind: VecDeque<Entry>,
    behind_bytes: usize,
    lost: u64,
    /// Size at which the file is set aside next.
    rotate_at: u64,
    /// Why the file could not be set aside. Records still go into it.
    unrotated: Option<Failure>,
}

/// What the file's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Ours,
    /// For nothing, or for an empty file.
    Renamed,
}

/// A record on its way to the file, as JSON.
pub(crate) struct Entry {
    body: String,
    meaning: Meaning,
}

enum Meaning {
    Report,
    Start(String),
    End(String),
}

impl Entry {
    pub(crate) fn report(body: String) -> Self {
        let meaning = Meaning::Report;
        Self { body, meaning }
    }

    pub(crate) fn start(body: String, task: &TaskId) -> Self {
        let meaning = Meaning::Start(task.to_string());
        Self { body, meaning }
    }

    /// The end of a start whose command was not sent after all.
    pub(crate) fn withdrawal(body: String, task: &TaskId) -> Self {
        let meaning = Meaning::End(task.to_string());
        Self { body, meaning }
    }

    /// The end of a command; the record says of which.
    pub(crate) fn end(body: String, task: &TaskId) -> Self {
        let meaning = Meaning::End(task.to_string());
        Self { body, meaning }
    }
}

/// What a start found to mend.
pub(crate) struct Begun {
    pub(crate) ledger: Ledger,
    /// Task ids of commands that an earlier server left open, to be closed by the caller.
    pub(crate) interrupted: Vec<String>,
}

impl Ledger {
    /// Takes a locked file into use: reads it whole, cuts off what was torn, and
    /// writes where the chain begins or goes on, durably.
    ///
    /// # Errors
    /// As [`Failure`] says. Nothing is written to a file whose chain is broken.
    pub(crate) fn begin(
        place: Place,
        file: Locked,
        origin: &Origin,
        boot: String,
    ) -> Result<Begun, Failure> {
        let found = recover::read(&file)?;
        let mut state = State::new(file, found.tip, found.open, place.rotate_at(0));
        (state.length, state.torn) = (found.sound, found.torn > 0);
        // What a crash tore off is cut away before anything is added to it.
        state.mend()?;
        if found.unfinished {
            state.raw(b"\n")?;
        }
        // The first record says whether a chain begins or goes on.
        let mark = if state.tip == Tip::START {
            Mark::Genesis(origin)
        } else {
            Mark::Boot {
                origin,
                closed: state.open.len(),
                mended_bytes: found.torn,
            }
        };
        state.write(&[&Entry::report(mark.to_json())], &boot)?;
        state.sync().map_err(Failure::Sync)?;
        let group = Group::default();
        group.renew(state.tip, Ok(()), 0);
        let interrupted = state.open.iter().cloned().collect();
        let state = Mutex::new(state);
        let ledger = Self {
            place,
            boot,
            state,
            group,
        };
        Ok(Begun {
            ledger,
            interrupted,
        })
    }

    /// The file, for messages.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Hands a record to the operating system; says the number after its own.
    ///
    /// # Errors
    /// It is not in the file. A start is forgotten then, anything else is kept and comes
    /// first at the next append.
    pub(crate) fn append(&self, entry: Entry) -> Result<u64, Failure> {
        let mut state = self.lock();
        match state.catch_up(Some(&entry), self) {
            Ok(()) => Ok(state.tip.next),
            Err(failure) => {
                if !matches!(entry.meaning, Meaning::Start(_)) {
                    state.keep(entry);
                }
                Err(failure)
            }
        }
    }

    /// Writes what waits in memory, if anything does.
    pub(crate) fn retry(&self) -> Result<(), Failure> {
        let mut state = self.lock();
        if state.behind.is_empty() {
            return Ok(());
        }
        state.catch_up(None, self)
    }

    /// Whether records wait in memory.
    pub(crate) fn is_behind(&self) -> bool {
        !self.lock().behind.is_empty()
    }

    /// Returns once every record before number `next` is on disk.
    pub(crate) fn reach_disk(&self, next: u64) -> Result<(), Failure> {
        // One sync serves all that wait for records before it (group commit).
        let sync = || {
            let (file, tip) = {
                let state = self.lock();
                (Arc::clone(&state.file), state.tip)
            };
            fdatasync(&**file).map(|()| tip)
        };
        self.group.reach(next, sync).map_err(Failure::Sync)
    }

    /// Brings everything written so far to disk and says where the chain then is.
    pub(crate) fn settle(&self) -> Result<Tip, Failure> {
        let next = self.lock().tip.next;
        self.reach_disk(next)?;
        Ok(self.group.durable())
    }

    /// Why the file could not be set aside when it was large enough, said once.
    pub(crate) fn unrotated(&self) -> Option<Failure> {
        self.lock().unrotated.take()
    }

    /// Room on the file's disk.
    pub(crate) fn free(&self) -> Result<Free, Errno> {
        let file = Arc::clone(&self.lock().file);
        let status = fstatfs(&**file)?;
        let unit = u64::try_from(status.block_size()).unwrap_or_default();
        Ok(Free {
            bytes: status.blocks_available().saturating_mul(unit),
            of: status.blocks().saturating_mul(unit),
        })
    }

    /// Begins the next file if the current one was renamed, deleted or given up.
    ///
    /// # Errors
    /// The next file can't be begun, or the name stands for one that is not empty. The
    /// file in use stays in use.
    pub(crate) fn reopen(&self) -> Result<(), Failure> {
        self.lock().reopen(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(file: Locked, tip: Tip, open: BTreeSet<String>, rotate_at: u64) -> Self {
        Self {
            file: Arc::new(file),
            length: 0,
            torn: false,
            tip,
            open,
            behind: VecDeque::new(),
            behind_bytes: 0,
            lost: 0,
            rotate_at,
            unrotated: None,
        }
    }

    /// Writes what waits in memory and then `entry`.
    fn catch_up(&mut self, entry: Option<&Entry>, ledger: &Ledger) -> Result<(), Failure> {
        // First: is this still the file whose name the operator knows?
        if self.check(&ledger.place)? == Named::Renamed {
            self.mend()?;
            self.reopen(ledger)?;
        }
        self.mend()?;
        if self.length >= self.rotate_at
            && let Err(failure) = self.rotate(ledger)
        {
            self.rotate_at = ledger.place.rotate_at(self.length);
            self.unrotated = Some(failure);
        }
        // In small batches: while the disk is full, each try costs one of them.
        while !self.behind.is_empty() {
            let batch: Vec<_> = self.behind.drain(..self.behind.len().min(BATCH)).collect();
            if let Err(failure) = self.write(&batch.iter().collect::<Vec<_>>(), &ledger.boot) {
                batch
                    .into_iter()
                    .rev()
                    .for_each(|kept| self.behind.push_front(kept));
                return Err(failure);
            }
            let written: usize = batch.iter().map(|entry| entry.body.len()).sum();
            self.behind_bytes -= written;
        }
        let (ts, lost) = (Ts::now(), self.lost);
        // What memory could not hold is counted in the chain, so that its absence is proved too.
        let gap = (lost > 0).then(|| Entry::report(Mark::Gap { ts, lost }.to_json()));
        let entries: Vec<&Entry> = gap.iter().chain(entry).collect();
        self.write(&entries, &ledger.boot)?;
        self.lost = 0;
        Ok(())
    }

    /// Begins the next file where the name stands for none, or for an empty one.
    fn reopen(&mut self, ledger: &Ledger) -> Result<(), Failure> {
        match ledger.place.status()? {
            Some(named) if same_file(&named, &self.status()?) => return Ok(()),
            Some(named) if named.st_size != 0 => return Err(Failure::Replaced),
            _ => {}
        }
        // What is left of the old file's records goes to disk if it still can. Its failure
        // may be what the next file is begun for; who waits for one of them is told.
        let synced = self.sync();
        self.switch(ledger, "reopened", None, synced)
    }

    /// Makes sure that the bytes will be found where the operator looks for them.
    fn check(&self, place: &Place) -> Result<Named, Failure> {
        let own = self.status()?;
        if own.st_nlink == 0 {
            return Err(Failure::Deleted);
        }
        let found = u64::try_from(own.st_size).unwrap_or(0);
        if found != self.length && !self.torn {
            let expected = self.length;
            return Err(Failure::Changed { expected, found });
        }
        match place.status()? {
            Some(named) if same_file(&own, &named) => Ok(Named::Ours),
            // Somebody renamed it, and perhaps made an empty one (logrotate's 'create').
            None => Ok(Named::Renamed),
            Some(named) if named.st_size == 0 => Ok(Named::Renamed),
            Some(_) => Err(Failure::Replaced),
        }
    }

    fn status(&self) -> Result<nix::sys::stat::FileStat, Failure> {
        fstat(&**self.file).map_err(Failure::Open)
    }

    /// Cuts off what a failed write left.
    fn mend(&mut self) -> Result<(), Failure> {
        if self.torn {
            let length = i64::try_from(self.length).unwrap_or(i64::MAX);
            ftruncate(&**self.file, length).map_err(Failure::Mend)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Seals the entries and writes them in one piece. On failure nothing has happened.
    fn write(&mut self, entries: &[&Entry], boot: &str) -> Result<(), Failure> {
        let (mut tip, mut lines) = (self.tip, Vec::new());
        for entry in entries {
            // Sealed on a copy of the tip: if the write fails, the chain is where it was.
            tip.seal(&entry.body, boot, &mut lines);
        }
        self.raw(&lines)?;
        self.tip = tip;
        for entry in entries {
            match &entry.meaning {
                Meaning::Report => {}
                Meaning::Start(task) => drop(self.open.insert(task.clone())),
                Meaning::End(task) => drop(self.open.remove(task)),
            }
        }
        Ok(())
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut file: &File = &self.file;
        if let Err(error) = file.write_all(bytes) {
            self.torn = true;
            self.mend()?;
            return Err(Failure::Write(error));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&self) -> Result<(), Errno> {
        fdatasync(&**self.file)
    }

    fn keep(&mut self, entry: Entry) {
        if self.behind_bytes + entry.body.len() > BEHIND_MAX {
            self.lost += 1;
        } else {
            self.behind_bytes += entry.body.len();
            self.behind.push_back(entry);
        }
    }

    fn rotate(&mut self, ledger: &Ledger) -> Result<(), Failure> {
        // Renamed already: that file has got its name, and the next one is begun without
        // moving anything.
        let named = ledger.place.status()?;
        let ours = match &named {
            Some(named) => same_file(named, &self.status()?),
            None => false,
        };
        self.sync().map_err(Failure::Sync)?;
        let last = self.tip.next.saturating_sub(1);
        let aside = ours.then(|| format!("{}-{last:012}", Ts::now().compact()));
        self.switch(ledger, "size", aside.as_deref(), Ok(()))
    }

    /// Begins the next file: it is whole and on disk before it gets its name. `synced` is
    /// what the last sync of the current one came to.
    fn switch(
        &mut self,
        ledger: &Ledger,
        reason: &'static str,
        aside: Option<&str>,
        synced: Result<(), Errno>,
    ) -> Result<(), Failure> {
        let place = &ledger.place;
        let end = self.tip.next;
        // An empty file in the place says how the next one is to be.
        let like = match place.status()? {
            Some(named) => named,
            None => self.status()?,
        };
        let file = place.prepare_next(Some(&like))?;
        let mut next = Self::new(file, self.tip, self.open.clone(), place.rotate_at(0));
        let begun = next
            .announce(reason, &ledger.boot)
            .and_then(|()| place.switch(aside));
        if let Err(failure) = begun {
            // Left behind, it would be taken for the file that follows at the next start.
            let _ = place.discard_next();
            return Err(failure);
        }
        self.file = next.file;
        (self.length, self.torn, self.tip) = (next.length, false, next.tip);
        self.rotate_at = next.rotate_at;
        match place.sync_directory() {
            Ok(()) => ledger.group.renew(self.tip, synced, end),
            // The new name may not survive a power cut: nothing is durable any more.
            Err(errno) => ledger.group.fail(errno),
        }
        Ok(())
    }

    fn announce(&mut self, reason: &'static str, boot: &str) -> Result<(), Failure> {
        let ts = Ts::now();
        let open: Vec<String> = self.open.iter().cloned().collect();
        let mark = Mark::Rotate {
            ts,
            reason,
            open: open.len(),
        };
        let mut entries = vec![Entry::report(mark.to_json())];
        for tasks in open.chunks(OPEN_PER_RECORD) {
            entries.push(Entry::report(Mark::Open { ts, tasks }.to_json()));
        }
        self.write(&entries.iter().collect::<Vec<_>>(), boot)?;
        self.sync().map_err(Failure::Sync)
    }
}
