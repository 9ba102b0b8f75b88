//! A file of a host against one of another host, another file there, or a text.
//!
//! Owns `ssh_diff_file`: its arguments, and the order of its steps. Both sides are read as
//! `ssh_read_file` reads, each judged by `files:` for itself, before either is touched; a
//! person is asked once about both. The comparison is the answer's. Called by
//! [`crate::mcp::tools::serve`] on a thread of its own.

use std::sync::Arc;

use crate::config::Snapshot;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::call::approval::{self, Approvals, Ruling, Subject};
use crate::mcp::tools::answers;
use crate::mcp::tools::answers::diff::Side;
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::tools::input::target::Target;
use crate::mcp::tools::spawn;
use crate::model::names::HostAlias;
use crate::model::stdin::Stdin;
use crate::policy::{
    ApprovalFailure, Authorised, Doing, FilePath, FileWork, NeedsApproval, Part, Request, Verdict,
};
use crate::task::{Kind, NotTaken, TaskHandle};

/// Most bytes of a file that are compared by lines.
const COMPARED_MAX: u64 = 512 * 1024;
/// Bytes that the script's own line takes of an output.
const HEAD: u64 = 1_024;
/// Bytes that a comparison takes beside its thread: both texts, their lines, the way through
/// them.
const COMPARING: usize = 8 * 1024 * 1024;

/// `ssh_diff_file`.
pub(crate) fn diff(call: &Arc<Call>) {
    let (judged, text, snapshot) = match judge(call) {
        Ok(judged) => judged,
        Err(answer) => return call.reply.end(answer),
    };
    if judged.questions().is_empty() {
        return compare(call, judged, None, text);
    }
    let own = Arc::clone(call);
    approval::obtain(call, judged, &snapshot, move |judged, ruling| {
        // Both sides are waited for: that takes a thread, where there was one to wait for.
        match ruling {
            Ruling::Ask(answer) => own.reply.end(answer),
            Ruling::Invalid(failure, answer) => {
                let _ = judged.refuse(&own, failure);
                own.reply.end(answer);
            }
            Ruling::Refused(failure) => own.reply.end(judged.refuse(&own, failure)),
            Ruling::Approved(given) => {
                spawn(&own, move |call| compare(call, judged, Some(given), text));
            }
        }
    });
}

/// The sides, each with its verdict: a permit, or what a person is asked.
struct Judged(Vec<(Target, Result<Authorised, NeedsApproval>)>);

impl Subject for Judged {
    fn questions(&self) -> Vec<&NeedsApproval> {
        let verdicts = self.0.iter();
        verdicts
            .filter_map(|(_, settled)| settled.as_ref().err())
            .collect()
    }
}

impl Judged {
    /// Puts on record that nobody approved, and says so.
    fn refuse(self, call: &Call, failure: ApprovalFailure) -> Answer {
        let mut answers = Vec::new();
        for (target, settled) in self.0 {
            if let Err(question) = settled {
                answers.push(target.deny(call, &question.refuse(failure)));
            }
        }
        let first = answers.into_iter().next();
        first.unwrap_or_else(|| fault("nobody approved it"))
    }
}

/// Every side judged before any is read, and a text that one of them is.
fn judge(call: &Arc<Call>) -> Result<(Judged, Option<Stdin>, Arc<Snapshot>), Answer> {
    let args = Args::of(call)?;
    let snapshot = call.session.server.store.up_to_date();
    let (targets, text) = sides(&args, &snapshot)?;
    call.reserve(COMPARING)?;
    let mut judged = Vec::new();
    for target in targets {
        match target.judge_waited(call)? {
            Verdict::Allow(permit) => judged.push((target, Ok(permit))),
            Verdict::Deny(denial) => return Err(target.deny(call, &denial)),
            Verdict::Ask(question) => {
                let settled = approval::standing(call, question);
                judged.push((target, settled));
            }
        }
    }
    Ok((Judged(judged), text, snapshot))
}

fn compare(call: &Arc<Call>, judged: Judged, given: Option<Approvals>, text: Option<Stdin>) {
    let compared = permits(call, judged, given).and_then(|permits| read(call, permits, text));
    call.reply.end(compared.unwrap_or_else(|answer| answer));
}

fn read(
    call: &Arc<Call>,
    permits: Vec<(Target, Authorised)>,
    text: Option<Stdin>,
) -> Result<Answer, Answer> {
    let chars = permits.iter().map(|(target, _)| target.shape.chars).min();
    let mut begun: Vec<(TaskHandle, Target)> = Vec::new();
    for (target, permit) in permits {
        match start(call, &target, permit) {
            Ok(handle) => begun.push((handle, target)),
            Err(answer) => {
                begun.iter().for_each(|(handle, _)| handle.cancel());
                return Err(answer);
            }
        }
    }
    let read: Vec<_> = begun
        .into_iter()
        .map(|(handle, target)| (handle.wait(), target))
        .collect();
    let mut sides = Vec::new();
    for (outcome, target) in &read {
        let (Some(work), most) = (target.request.file(), most(target)) else {
            return Err(fault("this is no work on a file"));
        };
        sides.push(Side::of(answers::file::held(outcome, work)?, most));
    }
    sides.extend(text.map(|text| {
        let content = String::from_utf8_lossy(text.held()).into_owned();
        Side::given(&content, text.sha256_hex())
    }));
    match sides.as_slice() {
        [from, to] => Ok(answers::diff::answer(from, to, chars.unwrap_or_default())),
        _ => Err(fault("there are not two sides to compare")),
    }
}

/// What is compared: one file and a text, or two files.
fn sides(
    args: &Args<'_>,
    snapshot: &Arc<Snapshot>,
) -> Result<(Vec<Target>, Option<Stdin>), Answer> {
    let text = match args.has("text") {
        true => {
            args.only_one_of(&["text", "other_alias"])?;
            args.only_one_of(&["text", "other_path"])?;
            args.verbatim("text")
        }
        false => None,
    };
    let path = FilePath::parse(args.text("path")?).map_err(fault)?;
    let alias = args.alias()?;
    let mut targets = vec![target(args, snapshot, &alias, &path)?];
    if let Some(text) = text {
        return Ok((targets, Some(args.accept(Stdin::parse(text))?)));
    }
    let other_alias = match args.has("other_alias") {
        true => args.accept(HostAlias::parse(args.text("other_alias")?))?,
        false => alias.clone(),
    };
    let other_path = match args.has("other_path") {
        true => FilePath::parse(args.text("other_path")?)
            .map_err(|why| fault(format!("other_{why}")))?,
        false => path.clone(),
    };
    if (&other_alias, &other_path) == (&alias, &path) {
        return Err(fault(
            "give what to compare with: other_alias, other_path, both, or text",
        ));
    }
    targets.push(target(args, snapshot, &other_alias, &other_path)?);
    Ok((targets, None))
}

fn target(
    args: &Args<'_>,
    snapshot: &Arc<Snapshot>,
    alias: &HostAlias,
    path: &FilePath,
) -> Result<Target, Answer> {
    let sudo = args.flag("sudo")?.unwrap_or_default();
    Target::of_file_on(
        args,
        Kind::Sync,
        Arc::clone(snapshot),
        alias.clone(),
        |limits| {
            let limit = compared(limits.max_output_bytes);
            let work = FileWork {
                path: path.clone(),
                doing: Doing::Read(Part::Bytes { offset: 0, limit }),
                sudo,
            };
            args.accept(Request::of_file(work, None))
        },
    )
}

fn compared(max_output: u64) -> u64 {
    COMPARED_MAX.min(max_output.saturating_sub(HEAD)).max(1)
}

/// How much of this side is read at most.
fn most(target: &Target) -> u64 {
    match target.request.file().map(|work| &work.doing) {
        Some(Doing::Read(Part::Bytes { limit, .. })) => *limit,
        _ => 0,
    }
}

/// What lets each side be read.
///
/// # Errors
/// Another command was shown, or none.
fn permits(
    call: &Call,
    judged: Judged,
    mut given: Option<Approvals>,
) -> Result<Vec<(Target, Authorised)>, Answer> {
    let mut permits = Vec::new();
    for (target, settled) in judged.0 {
        let permit = match (settled, &mut given) {
            (Ok(permit), _) => permit,
            (Err(question), Some(given)) => given
                .spend(question)
                .map_err(|denial| target.deny(call, &denial))?,
            (Err(_), None) => return Err(fault("nobody approved it")),
        };
        permits.push((target, permit));
    }
    Ok(permits)
}

fn start(call: &Arc<Call>, target: &Target, permit: Authorised) -> Result<TaskHandle, Answer> {
    let order = target.order(call, permit, Kind::Sync);
    match call.session.server.tasks.start(order, Arc::new(())) {
        Ok(handle) => {
            let own = handle.clone();
            call.reply.when_cancelled(move || own.cancel());
            Ok(handle)
        }
        Err(NotTaken::Denied(overruled)) => Err(target.deny(call, &overruled.denial)),
        Err(NotTaken::Refused(refused)) => Err(fault(refused)),
    }
}
