//! What may run, for as long as the configuration that says so is in force.
//!
//! Owns the promise that no command runs by an outdated judgement: a [`Permit`] can be
//! kept and queued but not run, and the only way from it to a [`Runnable`] is
//! [`Permit::renew`], which judges anew if the policy in force is not the one that gave the
//! permit. Asks nobody and runs nothing. Called by [`crate::task::registry`] when a command
//! is taken on, and by [`crate::task::worker`] when its turn has come.

use std::sync::Arc;

use crate::audit::Audit;
use crate::config::{Host, Snapshot, Store};
use crate::model::names::CommandText;
use crate::policy::{Authorised, Denial, EffectiveLimits, Purpose, Request, Verdict};
use crate::ssh::Clearance;

/// A command that was judged, to be kept until its turn.
pub struct Permit {
    /// As it came in, because that is what is judged.
    request: Request,
    command: Authorised,
}

/// A permit of the policy in force: what runs, on which host, within which limits.
pub(crate) struct Runnable {
    /// The configuration whose policy gave `command`.
    snapshot: Arc<Snapshot>,
    request: Request,
    command: Authorised,
}

/// A command that was allowed when it was asked for and is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overruled {
    pub command: CommandText,
    pub denial: Denial,
}

impl Permit {
    /// `command` is what a policy made of `request`.
    pub fn new(request: &Request, command: Authorised) -> Self {
        Self {
            request: request.clone(),
            command,
        }
    }

    /// The permit under the configuration in force. It counts as it is only if that very
    /// policy gave it: one that was compiled again from the same files is another one, with
    /// other secrets perhaps.
    ///
    /// # Errors
    /// That configuration does not allow the command any more, or has no such host.
    pub(crate) fn renew(self, store: &Store, audit: &Audit) -> Result<Runnable, Box<Overruled>> {
        let snapshot = store.up_to_date();
        let Self { request, command } = self;
        if command.policy() == snapshot.policy().id() {
            return Ok(Runnable {
                snapshot,
                request,
                command,
            });
        }
        let renewed = match snapshot.host(command.alias()) {
            Some(host) => judge(audit, &snapshot, host, &request).renewing(&command),
            None => Err(command.without_host()),
        };
        match renewed {
            Ok(command) => Ok(Runnable {
                snapshot,
                request,
                command,
            }),
            Err(denial) => Err(Box::new(Overruled {
                command: request.text().clone(),
                denial,
            })),
        }
    }
}

impl Runnable {
    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn purpose(&self) -> &Purpose {
        self.request.purpose()
    }

    pub(crate) fn command(&self) -> &Authorised {
        &self.command
    }

    /// The host it was judged for; that policy's configuration has it.
    pub(crate) fn host(&self) -> Option<&Host> {
        self.snapshot.host(self.command.alias())
    }

    pub(crate) fn limits(&self, host: &Host) -> EffectiveLimits {
        let policy = self.snapshot.policy();
        policy.limits(host.alias.as_str(), &host.tags)
    }

    /// To wait with: what waits has to be renewed.
    pub(crate) fn into_permit(self) -> Permit {
        Permit {
            request: self.request,
            command: self.command,
        }
    }
}

/// Lets a request be sent while the configuration that its permit is of is in force.
pub(crate) struct InForce<'a> {
    pub(crate) store: &'a Store,
    pub(crate) snapshot: &'a Arc<Snapshot>,
}

impl Clearance for InForce<'_> {
    fn send(&self, send: &mut dyn FnMut()) -> bool {
        self.store.while_current(self.snapshot, send).is_some()
    }
}

/// The same for a call that waits for the end: what has none is denied.
pub(crate) fn judge_waited(
    audit: &Audit,
    snapshot: &Snapshot,
    host: &Host,
    request: &Request,
) -> Verdict {
    match judge(audit, snapshot, host, request) {
        denied @ Verdict::Deny(_) => denied,
        // The server's own script ends.
        verdict if request.file().is_some() => verdict,
        verdict => match snapshot.policy().endless(request.text().as_str()) {
            Some(denial) => Verdict::Deny(denial),
            None => verdict,
        },
    }
}

/// Judges a command for one host, and puts on record what the security log is to be told
/// of it.
pub(crate) fn judge(audit: &Audit, snapshot: &Snapshot, host: &Host, request: &Request) -> Verdict {
    let policy = snapshot.policy();
    let verdict = policy.judge_request(&host.subject(), request);
    audit.trail(&host.alias, request.hash(), verdict.trail());
    verdict
}
