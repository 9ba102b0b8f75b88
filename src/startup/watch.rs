//! Taking in what the operator changed, without the assistant.
//!
//! Owns the thread that looks at the files every second and at each SIGHUP, and the record of
//! every attempt, whoever made it. Decides nothing: whether a change counts is the store's
//! business. Called by `serve`.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::audit::{Audit, Record, Reload, Ts};
use crate::config::{Attempt, Store, Trigger};

/// How often the files are looked at where nothing is decided.
const LOOK: Duration = Duration::from_secs(1);

/// Puts every attempt on the record.
pub(crate) fn record_attempts(store: &Arc<Store>, audit: &Audit) {
    let (audit, kept) = (audit.clone(), Arc::downgrade(store));
    store.observe(Box::new(move |attempt| {
        if let Some(store) = kept.upgrade() {
            record(&audit, &store, attempt);
        }
    }));
}

fn record(audit: &Audit, store: &Store, attempt: &Attempt<'_>) {
    let (events, warnings, problems) = match attempt.outcome {
        Ok(reloaded) => (&reloaded.events, reloaded.snapshot.warnings(), &[][..]),
        Err(error) => (
            &error.events,
            error.warnings.as_slice(),
            error.problems.as_slice(),
        ),
    };
    for problem in problems {
        audit.emit(Record::config_problem(problem));
    }
    for event in events {
        audit.emit(Record::security(event.clone()));
    }
    for warning in warnings {
        audit.emit(Record::config_surprise(warning));
    }
    audit.emit(Record::Reload(Reload {
        ts: Ts::now(),
        status: match attempt.outcome {
            Ok(_) => "reloaded",
            Err(_) => "error",
        },
        config_hash: store.current().hash(),
        problems: problems.len(),
        trigger: attempt.trigger.name(),
    }));
}

/// Starts the thread; each message on the channel makes it read the files again.
///
/// # Errors
/// No thread can be made.
pub(crate) fn start(store: Arc<Store>) -> io::Result<Sender<()>> {
    // One that waits is enough: it is dealt with by reading what is there then.
    let (hang_up, hung_up) = bounded(1);
    let watcher = thread::Builder::new().name("configuration".to_owned());
    watcher.spawn(move || watch(&store, &hung_up))?;
    Ok(hang_up)
}

fn watch(store: &Store, hung_up: &Receiver<()>) {
    loop {
        match hung_up.recv_timeout(LOOK) {
            // Its problems are on the record.
            Ok(()) => drop(store.reload_for(Trigger::Signal)),
            Err(RecvTimeoutError::Timeout) => drop(store.up_to_date()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
