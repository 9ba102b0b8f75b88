//! Files of a host: read in part, written whole.
//!
//! Owns `ssh_read_file` and `ssh_write_file`, from their arguments to the order. What is sent
//! is the server's own script, judged by `files:` of the policy; the content travels beside
//! it. Everything else is as for a command: queue, record, limits, approval. Called by
//! [`crate::mcp::tools::serve`].

use std::sync::Arc;

use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::feature::task::Work;
use crate::mcp::tools::answers;
use crate::mcp::tools::files;
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::model::names::TaskId;
use crate::model::stdin::Stdin;
use crate::policy::{
    Doing, EffectiveLimits, FilePath, FileWork, How, Mode, Part, Request, Sha256Hex, Writing,
};
use crate::task::{Kind, Listener, TaskEvent};

/// `ssh_read_file`.
pub(crate) fn read(call: &Arc<Call>) {
    run(call, |args, most| {
        args.only_one_of(&["offset", "from_line"])?;
        let limit = args.number("limit")?.map_or(most, |limit| limit.min(most));
        let doing = match args.number("from_line")? {
            Some(from) => Part::Lines {
                from,
                count: args.number("lines")?.unwrap_or(u64::MAX >> 1),
                limit,
            },
            None if args.has("lines") => Part::Lines {
                from: 1,
                count: args.number("lines")?.unwrap_or(u64::MAX >> 1),
                limit,
            },
            None => Part::Bytes {
                offset: args.number("offset")?.unwrap_or_default(),
                limit,
            },
        };
        request(args, Doing::Read(doing), None)
    });
}

/// `ssh_write_file`.
pub(crate) fn write(call: &Arc<Call>) {
    run(call, |args, _| {
        let Some(content) = args.verbatim("content") else {
            return Err(fault(
                "content must be text; the empty one makes an empty file",
            ));
        };
        let writing = writing(args)?;
        let content = args.accept(Stdin::parse(content))?;
        request(args, Doing::Write(writing), Some(content))
    });
}

/// How a file is to be written.
pub(crate) fn writing(args: &Args<'_>) -> Result<Writing, Answer> {
    let how = match args.text("how")? {
        "" | "create" => How::Create,
        "replace" => How::Replace,
        "append" => How::Append,
        _ => return Err(fault("how must be create, replace or append")),
    };
    let mode = match args.text("mode")? {
        "" => None,
        text => {
            Some(Mode::parse(text).ok_or_else(|| fault("mode must be three octal digits: 644"))?)
        }
    };
    Ok(Writing {
        how,
        mode,
        expected: sha256(args, "expected_sha256")?,
        backup: args.flag("backup")?.unwrap_or_default(),
        from: None,
    })
}

/// A hash, where one is given.
pub(crate) fn sha256(args: &Args<'_>, name: &str) -> Result<Option<Sha256Hex>, Answer> {
    match args.text(name)? {
        "" => Ok(None),
        text => Sha256Hex::parse(text)
            .map(Some)
            .ok_or_else(|| fault(format!("{name} must be 64 hex digits"))),
    }
}

fn request(args: &Args<'_>, doing: Doing, content: Option<Stdin>) -> Result<Request, Answer> {
    let work = FileWork {
        path: FilePath::parse(args.text("path")?).map_err(fault)?,
        doing,
        sudo: args.flag("sudo")?.unwrap_or_default(),
    };
    args.accept(Request::of_file(work, content))
}

fn run(call: &Arc<Call>, asked: impl FnOnce(&Args<'_>, u64) -> Result<Request, Answer>) {
    let asked = |args: &Args<'_>, limits: &EffectiveLimits| asked(args, limits.answer_chars.into());
    files::run(call, Kind::Sync, asked, |call, target, authorised| {
        let watch = |call, work| -> Arc<dyn Listener> { Arc::new(Watch { call, work }) };
        files::order(call, target, authorised, Kind::Sync, watch);
    });
}

/// Answers the call when its task ends.
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
                let answer = answers::file::answer(outcome, &self.work);
                self.call.reply.end(answer);
            }
            TaskEvent::Started | TaskEvent::Waiting(_) | TaskEvent::Progress(_) => {}
        }
    }
}
