//! Files of any size between a host and the server's own directory for transfers.
//!
//! Owns `ssh_fetch_file` and `ssh_send_file`, from their arguments to the order. The content
//! passes neither the client nor the model; what is sent is hashed first, so that what is
//! judged, approved and recorded is that content and no other. Everything else is as for
//! `ssh_read_file` and `ssh_write_file`. Called by [`crate::mcp::tools::serve`] on a thread of
//! its own.

use std::sync::Arc;

use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::feature::task::Work;
use crate::mcp::tools::answers::moved;
use crate::mcp::tools::files::{self, text};
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::tools::run::{progress_text, waiting_text};
use crate::model::names::TaskId;
use crate::model::stdin::Stdin;
use crate::policy::{
    Doing, EffectiveLimits, Fetching, FilePath, FileWork, How, LocalName, Request,
};
use crate::task::{Kind, Listener, Progress, TaskEvent, Trouble};

/// `ssh_fetch_file`.
pub(crate) fn fetch(call: &Arc<Call>) {
    run(call, |args, _| {
        let path = FilePath::parse(args.text("path")?).map_err(fault)?;
        let to = match args.text("name")? {
            "" => {
                let own = path.as_str().rsplit('/').next().unwrap_or_default();
                LocalName::parse(own).ok_or_else(|| {
                    fault("the file's own name cannot be the local one: give name")
                })?
            }
            name => local(name)?,
        };
        let overwrite = args.flag("overwrite")?.unwrap_or_default();
        let directory = call.session.server.tasks.transfers();
        let directory = directory.ok_or_else(|| moved::refused(&Trouble::NoDirectory))?;
        if !overwrite && directory.holds(&to) {
            return Err(moved::refused(&Trouble::Exists));
        }
        let fetching = Fetching {
            to,
            overwrite,
            expected: text::sha256(args, "expected_sha256")?,
        };
        let work = FileWork {
            path,
            doing: Doing::Fetch(fetching),
            sudo: args.flag("sudo")?.unwrap_or_default(),
        };
        args.accept(Request::of_file(work, None))
    });
}

/// `ssh_send_file`.
pub(crate) fn send(call: &Arc<Call>) {
    run(call, |args, limits| {
        let path = FilePath::parse(args.text("path")?).map_err(fault)?;
        let name = local(args.text("name")?)?;
        let mut writing = text::writing(args)?;
        if writing.how == How::Append {
            return Err(fault("how must be create or replace"));
        }
        let sudo = args.flag("sudo")?.unwrap_or_default();
        let directory = call.session.server.tasks.transfers();
        let directory = directory.ok_or_else(|| moved::refused(&Trouble::NoDirectory))?;
        let given_up = || call.reply.is_cancelled();
        let (size, sha256) = directory
            .hash(&name, limits.max_transfer_bytes, given_up)
            .map_err(|trouble| moved::refused(&trouble))?;
        writing.from = Some(name);
        let work = FileWork {
            path,
            doing: Doing::Write(writing),
            sudo,
        };
        let content = Stdin::elsewhere(size, sha256);
        args.accept(Request::of_file(work, Some(content)))
    });
}

fn local(name: &str) -> Result<LocalName, Answer> {
    LocalName::parse(name).ok_or_else(|| {
        fault(
            "name must be one plain file name in the server's directory for transfers: no /, no \
             leading dot, nothing that does not show, at most 200 bytes",
        )
    })
}

fn run(
    call: &Arc<Call>,
    asked: impl FnOnce(&Args<'_>, &EffectiveLimits) -> Result<Request, Answer>,
) {
    if call.session.server.tasks.transfers().is_none() {
        return call.reply.end(moved::refused(&Trouble::NoDirectory));
    }
    files::run(call, Kind::Transfer, asked, |call, target, authorised| {
        let watch = |call, work| -> Arc<dyn Listener> { Arc::new(Watch { call, work }) };
        files::order(call, target, authorised, Kind::Transfer, watch);
    });
}

/// Answers the call when its task ends, and says how far it has come until then.
struct Watch {
    call: Arc<Call>,
    work: FileWork,
}

impl Listener for Watch {
    fn on_event(&self, id: &TaskId, happened: &TaskEvent) {
        match happened {
            TaskEvent::Created(limits) => self.call.began(Work {
                id: id.to_string(),
                max_seconds: limits.max_seconds,
                keep_seconds: limits.task_result_ttl,
                poll_seconds: limits.task_progress_interval,
            }),
            TaskEvent::Finished(outcome) => {
                self.call.reply.end(moved::answer(outcome, &self.work));
            }
            TaskEvent::Started => {}
            TaskEvent::Waiting(waiting) => {
                self.call.reply.progress(0.0, None, &waiting_text(waiting));
            }
            TaskEvent::Progress(progress) => self.report(progress),
        }
    }
}

impl Watch {
    /// In bytes, once they are known.
    fn report(&self, progress: &Progress) {
        let Some((done, total)) = progress.moved else {
            let text = progress_text(progress);
            return self.call.reply.progress(0.0, None, &text);
        };
        let seconds = progress.elapsed_ms / 1_000;
        let text = format!("{done} of {total} bytes, {seconds} s");
        let reply = &self.call.reply;
        reply.progress(as_number(done), Some(as_number(total)), &text);
    }
}

/// What a client shows a bar of: exact up to 8 PiB.
#[allow(
    clippy::cast_precision_loss,
    reason = "a size of a file is below 2^53 by its limit, 1 TiB"
)]
fn as_number(bytes: u64) -> f64 {
    bytes as f64
}
