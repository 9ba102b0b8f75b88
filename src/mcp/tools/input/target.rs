//! The steps before a run on one host: arguments, host, verdict, approval, order.
//!
//! Owns what `ssh_run` and `ssh_run_async` share of them, each with the answer where it
//! ends there. Runs nothing. Called by [`crate::mcp::tools::run`] and
//! [`crate::mcp::tools::run_async`].

use std::sync::Arc;
use std::time::Instant;

use crate::config::{Host, Snapshot};
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::approval::{self, Ruling};
use crate::mcp::tools::answers::refusal::denied;
use crate::mcp::tools::input::arguments::Args;
use crate::mcp::tools::unknown_host;
use crate::model::names::{CommandHash, CommandText, HostAlias};
use crate::policy::{
    Authorised, Denial, EffectiveLimits, NeedsApproval, Purpose, Request, Verdict,
};
use crate::task::{Kind, Order, Permit, Shape, judge_waited, of_denial};

/// What a run is about, once arguments and host are settled.
pub(crate) struct Target {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) alias: HostAlias,
    pub(crate) command: CommandText,
    /// The command with what it is fed: what is judged and ordered.
    pub(crate) request: Request,
    pub(crate) hash: CommandHash,
    /// Whether it is to be run, or started as a job.
    pub(crate) purpose: Purpose,
    /// What of the output is wanted in the answer.
    pub(crate) shape: Shape,
    /// A time limit below the policy's.
    pub(crate) seconds: Option<u32>,
    pub(crate) begun: Instant,
}

impl Target {
    /// # Errors
    /// A bad argument, or a host that is not there: what to answer.
    pub(crate) fn of(call: &Call, prefix: &str, kind: Kind) -> Result<Self, Answer> {
        let begun = Instant::now();
        let args = Args::of(call)?;
        let (alias, command) = (args.alias()?, args.command()?);
        let request = Request::new(&command, args.stdin()?);
        let snapshot = call.session.server.store.up_to_date();
        let Some(host) = snapshot.host(&alias) else {
            return Err(unknown_host(prefix, &alias, &snapshot));
        };
        let limits = snapshot.policy().limits(alias.as_str(), &host.tags);
        let shape = args.shape(limits.answer_chars)?;
        let seconds = args.seconds(limits.most_seconds(kind.may_take_long()))?;
        Ok(Self {
            shape,
            seconds,
            snapshot,
            hash: command.hash(),
            purpose: Purpose::Run,
            alias,
            command,
            request,
            begun,
        })
    }

    /// The same for work on a file: `asked` reads what is to be done, under the host's limits.
    ///
    /// # Errors
    /// As for a command.
    pub(crate) fn of_file(
        call: &Call,
        kind: Kind,
        asked: impl FnOnce(&Args<'_>, &EffectiveLimits) -> Result<Request, Answer>,
    ) -> Result<Self, Answer> {
        let args = Args::of(call)?;
        let alias = args.alias()?;
        let snapshot = call.session.server.store.up_to_date();
        Self::of_file_on(&args, kind, snapshot, alias, |limits| asked(&args, limits))
    }

    /// The same on a host that the call names otherwise, under its limits.
    ///
    /// # Errors
    /// As for a command.
    pub(crate) fn of_file_on(
        args: &Args<'_>,
        kind: Kind,
        snapshot: Arc<Snapshot>,
        alias: HostAlias,
        asked: impl FnOnce(&EffectiveLimits) -> Result<Request, Answer>,
    ) -> Result<Self, Answer> {
        let begun = Instant::now();
        let Some(host) = snapshot.host(&alias) else {
            return Err(unknown_host("Error", &alias, &snapshot));
        };
        let limits = snapshot.policy().limits(alias.as_str(), &host.tags);
        let request = asked(&limits)?;
        Ok(Self {
            shape: args.shape(limits.answer_chars)?,
            seconds: args.seconds(limits.most_seconds(kind.may_take_long()))?,
            snapshot,
            hash: request.hash(),
            purpose: Purpose::Run,
            alias,
            command: request.text().clone(),
            request,
            begun,
        })
    }

    /// The host, which was found when this was made.
    ///
    /// # Errors
    /// As for a host that is not there.
    pub(crate) fn host(&self) -> Result<&Host, Answer> {
        let host = self.snapshot.host(&self.alias);
        host.ok_or_else(|| unknown_host("Run error", &self.alias, &self.snapshot))
    }

    /// What is judged and ordered, with what it is wanted for.
    fn asked(&self) -> Request {
        self.request.clone().wanted_for(self.purpose.clone())
    }

    /// Judges the command and puts on record what has to be there.
    pub(crate) fn judge(&self, call: &Call) -> Result<Verdict, Answer> {
        let tasks = &call.session.server.tasks;
        Ok(tasks.judge(&call.audit, &self.snapshot, self.host()?, &self.asked()))
    }

    /// The same for a call that waits for the command's end.
    pub(crate) fn judge_waited(&self, call: &Call) -> Result<Verdict, Answer> {
        Ok(judge_waited(
            &call.audit,
            &self.snapshot,
            self.host()?,
            &self.request,
        ))
    }

    /// What a denial is answered, put on the record first.
    pub(crate) fn deny(&self, call: &Call, denial: &Denial) -> Answer {
        let tasks = &call.session.server.tasks;
        let grounds = of_denial(denial, &self.command);
        tasks.record_denial(&call.audit, &self.alias, self.hash, grounds, self.begun);
        denied(&self.alias, self.hash, self.command.as_str(), denial)
    }

    /// What is to be run, as far as the judged configuration goes.
    pub(crate) fn order(&self, call: &Call, command: Authorised, kind: Kind) -> Order {
        Order {
            permit: Permit::new(&self.asked(), command),
            kind,
            seconds: self.seconds,
            audit: call.audit.clone(),
        }
    }

    /// Goes on as the verdict says: `order` with the permit, at once or when a person has given
    /// it; else the call is answered.
    pub(crate) fn follow(
        self,
        call: &Arc<Call>,
        verdict: Verdict,
        order: fn(&Arc<Call>, &Self, Authorised),
    ) {
        match verdict {
            Verdict::Allow(authorised) => order(call, &self, authorised),
            Verdict::Deny(denial) => call.reply.end(self.deny(call, &denial)),
            Verdict::Ask(question) => {
                self.ask(call, question, move |call, target, settled| match settled {
                    Ok(authorised) => order(call, &target, authorised),
                    Err(answer) => call.reply.end(answer),
                });
            }
        }
    }

    /// Asks a person, which can take minutes: the answer says nothing of a configuration
    /// that was changed meanwhile, by which the command is judged anew before it runs. `then`
    /// goes on, perhaps on the thread of the connection's questions: with the permit, or with
    /// what to answer, which is a denial or the question to a modern client.
    pub(crate) fn ask(
        self,
        call: &Arc<Call>,
        question: NeedsApproval,
        then: impl FnOnce(&Arc<Call>, Self, Result<Authorised, Answer>) + Send + 'static,
    ) {
        let question = match approval::standing(call, question) {
            Ok(authorised) => return then(call, self, Ok(authorised)),
            Err(question) => question,
        };
        let (own, snapshot) = (Arc::clone(call), Arc::clone(&self.snapshot));
        approval::obtain(call, question, &snapshot, move |question, ruling| {
            let settled = match ruling {
                Ruling::Approved(mut given) => given
                    .spend(question)
                    .map_err(|denial| self.deny(&own, &denial)),
                Ruling::Refused(failure) => Err(self.deny(&own, &question.refuse(failure))),
                Ruling::Ask(answer) => Err(answer),
                Ruling::Invalid(failure, answer) => {
                    // The denial is on record, the error is the answer.
                    let _ = self.deny(&own, &question.refuse(failure));
                    Err(answer)
                }
            };
            then(&own, self, settled);
        });
    }
}
