//! What may run, for as long as the configuration that says so is in force.
//!
//! Owns the promise that no command runs by an outdated judgement: a [`Permit`] can be
//! kept and queued but not run, and the only way from it to a [`Runnable`] is
//! [`Permit::renew`], which judges anew if the configuration is another one by then. Asks
//! nobody and runs nothing. Called by [`crate::task::registry`] when a command is taken on, and
//! by [`crate::task::worker`] when its turn has come.

use std::sync::Arc;

use crate::audit::Audit;
use crate::config::{Host, Snapshot, Store};
use crate::model::names::{CommandText, HostAlias};
use crate::policy::{Authorised, Denial, EffectiveLimits, Verdict};

/// A command that may run on a host by the configuration that it was judged by.
pub struct Permit {
    snapshot: Arc<Snapshot>,
    /// As it came in, because that is what is judged.
    text: CommandText,
    command: Authorised,
}

/// A permit of the configuration in force: what runs, on which host, within which limits.
pub(crate) struct Runnable(Permit);

/// A command that was allowed when it was asked for and is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overruled {
    pub command: CommandText,
    pub denial: Denial,
}

impl Permit {
    /// `command` is what `snapshot` made of `text`.
    pub fn new(snapshot: &Arc<Snapshot>, text: &CommandText, command: Authorised) -> Self {
        Self {
            snapshot: Arc::clone(snapshot),
            text: text.clone(),
            command,
        }
    }

    fn alias(&self) -> &HostAlias {
        self.command.alias()
    }

    /// The permit under the configuration in force. Compares configurations by identity:
    /// the same files may come with other secrets.
    ///
    /// # Errors
    /// That configuration does not allow the command any more, or has no such host.
    pub(crate) fn renew(self, store: &Store, audit: &Audit) -> Result<Runnable, Box<Overruled>> {
        let current = store.current();
        if Arc::ptr_eq(&current, &self.snapshot) {
            return Ok(Runnable(self));
        }
        let renewed = match current.host(self.alias()) {
            Some(host) => self
                .command
                .renewed(judge(audit, &current, host, &self.text)),
            None => Err(self.command.without_host()),
        };
        match renewed {
            Ok(command) => Ok(Runnable(Self {
                snapshot: current,
                text: self.text,
                command,
            })),
            Err(denial) => Err(Box::new(Overruled {
                command: self.text,
                denial,
            })),
        }
    }
}

impl Runnable {
    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.0.snapshot
    }

    pub(crate) fn command(&self) -> &Authorised {
        &self.0.command
    }

    /// `None` for a permit that was made with another configuration than its own.
    pub(crate) fn host(&self) -> Option<&Host> {
        self.0.snapshot.host(self.0.alias())
    }

    pub(crate) fn limits(&self, host: &Host) -> EffectiveLimits {
        let policy = self.0.snapshot.policy();
        policy.limits(host.alias.as_str(), &host.tags)
    }

    /// To wait with: what waits has to be renewed.
    pub(crate) fn into_permit(self) -> Permit {
        self.0
    }
}

/// Judges a command for one host, and puts on record what the security log is to be told
/// of it.
pub(crate) fn judge(
    audit: &Audit,
    snapshot: &Snapshot,
    host: &Host,
    command: &CommandText,
) -> Verdict {
    let verdict = snapshot.policy().judge(&host.subject(), command);
    audit.trail(&host.alias, command.hash(), verdict.trail());
    verdict
}
