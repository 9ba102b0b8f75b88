//! The thread that looks after the audit file between commands.
//!
//! Owns five chores: ends of commands reach the disk soon ([`SOON`]) without anybody
//! waiting for it, records that a full disk kept out are tried again, and the chain's
//! head is handed out on stderr from time to time, so that it can be kept where the file
//! is not. A head is handed out only when it is on disk, or a power cut would make a
//! liar of it. In a directory, what is too old or too much is removed. The disk's room is looked at. Started by [`crate::audit::Audit::begin`], ends with the ledger.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use crate::audit::chain::archive::Archive;
use crate::audit::chain::ledger::Ledger;
use crate::audit::chain::seal::Tip;
use crate::audit::record::Record;
use crate::audit::timestamp::Ts;

/// How long an end may wait for company on its way to the disk.
const SOON: Duration = Duration::from_millis(50);

/// How long records stay untried after the disk refused them.
const RETRY: Duration = Duration::from_secs(1);

/// Longest time and most records between two heads on stderr.
const HEAD_PERIOD: Duration = Duration::from_secs(60);
const HEAD_RECORDS: u64 = 1_000;

/// Wakes the committer.
pub(crate) struct Wakeup(Sender<()>);

impl Wakeup {
    /// Something was written that nobody waits for.
    pub(crate) fn send(&self) {
        match self.0.try_send(()) {
            // One is enough for all.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// Starts the thread. It ends when the ledger or the sender is gone.
pub(crate) fn start(
    ledger: &Arc<Ledger>,
    archive: Option<Archive>,
    say: impl Fn(Record) + Send + 'static,
    look_at_space: impl Fn() + Send + 'static,
) -> io::Result<Wakeup> {
    let (sender, receiver) = bounded(1);
    let committer = Committer {
        ledger: Arc::downgrade(ledger),
        say: Box::new(say),
        look_at_space: Box::new(look_at_space),
        archive,
        kept: None,
        announced: Tip::START,
        at: Instant::now(),
    };
    std::thread::Builder::new()
        .name("audit".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || committer.run(&receiver))?;
    Ok(Wakeup(sender))
}

struct Committer {
    ledger: Weak<Ledger>,
    /// Writes to the log.
    say: Box<dyn Fn(Record) + Send>,
    look_at_space: Box<dyn Fn() + Send>,
    archive: Option<Archive>,
    /// When it was last looked at what is old.
    kept: Option<Instant>,
    announced: Tip,
    at: Instant,
}

impl Committer {
    fn run(mut self, wakeups: &Receiver<()>) {
        self.retain();
        let mut period = HEAD_PERIOD;
        loop {
            match wakeups.recv_timeout(period) {
                // The next commands' ends come along.
                Ok(()) => std::thread::sleep(SOON),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let Some(ledger) = self.ledger.upgrade() else {
                return;
            };
            // A failure is on stderr already, from the append that met it first, and the
            // next start meets it again.
            let _ = ledger.retry();
            if let Some(failure) = ledger.unrotated() {
                let path = ledger.place().shown().display();
                let text = format!("audit file {path}: {failure}");
                let record = Record::warning("audit_not_rotated", text);
                (self.say)(record);
            }
            if let Ok(tip) = ledger.settle() {
                self.consider(tip);
            }
            self.retain();
            (self.look_at_space)();
            period = if ledger.is_behind() {
                RETRY
            } else {
                HEAD_PERIOD
            };
        }
    }

    /// Removes what is too old or too much, at most once in a period.
    fn retain(&mut self) {
        let Some(archive) = &self.archive else {
            return;
        };
        if self.kept.is_some_and(|at| at.elapsed() < HEAD_PERIOD) {
            return;
        }
        self.kept = Some(Instant::now());
        if let Err(failure) = archive.retain(Ts::now()) {
            let text = format!("{}: {failure}", archive.path().display());
            (self.say)(Record::warning("audit_not_removed", text));
        }
    }

    fn consider(&mut self, tip: Tip) {
        let new = tip.next.saturating_sub(self.announced.next);
        if new >= HEAD_RECORDS || (new > 0 && self.at.elapsed() >= HEAD_PERIOD) {
            (self.say)(Record::audit_head(tip.next.saturating_sub(1), tip.head));
            self.announced = tip;
            self.at = Instant::now();
        }
    }
}
