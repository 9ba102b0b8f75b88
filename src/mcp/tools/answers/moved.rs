//! The answer to a file that was transferred, or was not.
//!
//! Owns its members, and which reason counts where several could be given: what was never
//! sent, then this side, then the host's script. Called by
//! [`crate::mcp::tools::files::transfer`].

use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::file;
use crate::mcp::tools::answers::run::not_run;
use crate::mcp::wire::json::Object;
use crate::policy::FileWork;
use crate::task::{Outcome, Trouble};

/// The answer to finished work.
pub(crate) fn answer(outcome: &Outcome, work: &FileWork) -> Answer {
    let facts = outcome.facts();
    if let Some(refusal) = not_run(facts) {
        return refusal;
    }
    let head = || {
        let local = work.local().map(|name| name.as_str());
        file::head(facts, work).maybe("name", local)
    };
    if let Some(trouble) = &facts.trouble {
        let members = troubled(head(), trouble);
        return Answer::refusal(file::tail(members, facts)).task(&facts.id);
    }
    let [stdout, stderr] = outcome.streams();
    let Some(moved) = &facts.moved else {
        return file::not_done(facts, work, &stdout, &stderr);
    };
    let members = head()
        .field("size", &moved.bytes)
        .field("sha256", &moved.sha256);
    let members = file::reported(members, work, &stdout)
        .when(moved.replaced, |members| members.field("replaced", &true));
    Answer::of(file::tail(members, facts)).task(&facts.id)
}

/// The answer where nothing was asked of a host.
pub(crate) fn refused(trouble: &Trouble) -> Answer {
    Answer::refusal(troubled(Object::new(), trouble))
}

fn troubled(members: Object, trouble: &Trouble) -> Object {
    let (why, hint) = trouble.words();
    members
        .field("status", "failed")
        .field("reason", "file")
        .field("code", trouble.code())
        .field("why", why)
        .maybe("detail", trouble.detail())
        .field("hint", hint)
}
