//! Files of hosts: read and written through the client, compared, or transferred past it.
//!
//! Owns what reading, writing and transferring have in common: arguments, host, verdict,
//! approval and order, as for a command. Called by the files beside this one.

pub(crate) mod diff;
pub(crate) mod text;
pub(crate) mod transfer;

use std::sync::Arc;

use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::tools::input::target::Target;
use crate::policy::{Authorised, EffectiveLimits, FileWork, Request};
use crate::task::{Kind, Listener, NotTaken};

/// What is `asked` for in the arguments, judged; then `order` with the permit, or the answer.
fn run(
    call: &Arc<Call>,
    kind: Kind,
    asked: impl FnOnce(&Args<'_>, &EffectiveLimits) -> Result<Request, Answer>,
    order: fn(&Arc<Call>, &Target, Authorised),
) {
    let judged = Target::of_file(call, kind, asked)
        .and_then(|target| Ok((target.judge_waited(call)?, target)));
    match judged {
        Ok((verdict, target)) => target.follow(call, verdict, order),
        Err(answer) => call.reply.end(answer),
    }
}

/// Orders the work. Its task tells the rest to what `watch` makes, which answers the call.
fn order(
    call: &Arc<Call>,
    target: &Target,
    authorised: Authorised,
    kind: Kind,
    watch: fn(Arc<Call>, FileWork) -> Arc<dyn Listener>,
) {
    let Some(work) = authorised.file().cloned() else {
        return call.reply.end(fault("this is no work on a file"));
    };
    let watch = watch(Arc::clone(call), work);
    let order = target.order(call, authorised, kind);
    match call.session.server.tasks.start(order, watch) {
        Ok(handle) => call.reply.when_cancelled(move || handle.cancel()),
        Err(NotTaken::Denied(overruled)) => {
            call.reply.end(target.deny(call, &overruled.denial));
        }
        Err(NotTaken::Refused(refused)) => call.reply.end(fault(refused)),
    }
}
