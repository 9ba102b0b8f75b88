//! Taking in what the operator changed, without the assistant.
//!
//! Owns the thread that looks at the files every second and at each SIGHUP, the record of
//! every attempt, whoever made it, and the answers to an operator who asks. Decides nothing:
//! whether a change counts is the store's business. Called by `serve`.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::audit::{Audit, Record, Reload, Ts};
use crate::config::{Attempt, Problem, Store, Trigger};
use crate::startup::presence::own::Presence;
use crate::startup::presence::{Answer, Question, moment};

/// How often the files are looked at where nothing is decided.
const LOOK: Duration = Duration::from_secs(1);
/// Most problems that an operator is told at once.
const PROBLEMS: usize = 20;

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

/// What an operator wants of the thread.
pub(crate) enum Wish {
    /// SIGHUP. With it, why the audit file could not be reopened.
    Reload(Option<String>),
    /// SIGUSR1
    Report,
}

/// Who looks after the configuration, and answers for it.
pub(crate) struct Watcher {
    pub(crate) store: Arc<Store>,
    pub(crate) audit: Audit,
    pub(crate) presence: Option<Presence>,
}

/// Starts the thread; each message on the channel makes it do as it says.
///
/// # Errors
/// No thread can be made.
pub(crate) fn start(watcher: Watcher) -> io::Result<Sender<Wish>> {
    // A few that wait are enough: signals of one kind are one while they wait.
    let (sender, wishes) = bounded(8);
    let thread = thread::Builder::new().name("configuration".to_owned());
    thread.spawn(move || watcher.watch(&wishes))?;
    Ok(sender)
}

impl Watcher {
    fn watch(mut self, wishes: &Receiver<Wish>) {
        loop {
            match wishes.recv_timeout(LOOK) {
                Ok(Wish::Reload(audit)) => {
                    let begun = moment();
                    let outcome = self.store.reload_for(Trigger::Signal);
                    // They are on the record, too.
                    let problems = outcome.err().map_or_else(Vec::new, |error| {
                        error.problems.iter().map(Problem::for_operator).collect()
                    });
                    self.answer(Question::Reload, begun, problems, audit);
                }
                Ok(Wish::Report) => {
                    let begun = moment();
                    drop(self.store.up_to_date());
                    let rejected = self.store.rejected().as_deref().map(str::to_owned);
                    let audit = self.audit.trouble();
                    self.answer(
                        Question::Status,
                        begun,
                        rejected.into_iter().collect(),
                        audit,
                    );
                }
                Err(RecvTimeoutError::Timeout) => drop(self.store.up_to_date()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn answer(
        &mut self,
        question: Question,
        begun: u64,
        mut problems: Vec<String>,
        audit: Option<String>,
    ) {
        let Some(presence) = &mut self.presence else {
            return;
        };
        let in_force = problems.is_empty();
        let left_out = problems.len().saturating_sub(PROBLEMS);
        problems.truncate(PROBLEMS);
        if left_out > 0 {
            problems.push(format!("and {left_out} more, in the log"));
        }
        let secrets = self.audit.secrets();
        for problem in &mut problems {
            if let Some(redacted) = secrets.redact(problem) {
                *problem = redacted;
            }
        }
        let snapshot = self.store.current();
        presence.answer(&Answer {
            question,
            begun,
            in_force,
            config_hash: snapshot.hash(),
            hosts: snapshot.hosts().len(),
            problems,
            audit,
        });
    }
}
