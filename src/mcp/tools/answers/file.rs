//! The answer to work on a file of a host: what the script reported, in members.
//!
//! Owns how the script's lines are read, and the words for each way in which it refuses. What
//! a file holds is shown as the host's data; where it is not shown byte for byte, that is
//! said, so that nobody writes it back. Called by [`crate::mcp::tools::files::text`].

use sha2::{Digest, Sha256};

use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::run::not_run;
use crate::mcp::wire::json::Object;
use crate::model::text::hex;
use crate::policy::{Doing, FileWork, MARK, Part};
use crate::task::{Facts, Outcome, State};

/// Most characters shown of what the host said beside the script.
const SAID_MAX: usize = 500;
const NOT_KEPT: &str =
    "access lists and extended attributes, if the old file had any, are not all kept";
const NOT_AS_IS: &str = "content is not byte for byte what the file holds (control characters, secrets, what is no UTF-8 or was cut off \
    are shown otherwise or left out): do not write it back";

/// The answer to finished work.
pub(crate) fn answer(outcome: &Outcome, work: &FileWork) -> Answer {
    let facts = outcome.facts();
    if let Some(refusal) = not_run(facts) {
        return refusal;
    }
    let [stdout, stderr] = outcome.streams();
    match (report(&stdout), &work.doing) {
        (Some(("ok", fields, rest)), Doing::Read(part)) if facts.exit_code == 0 => {
            // Cleaning and redaction leave nothing as long as it was.
            let as_sent = facts.bytes_out == stdout.len() as u64;
            read(facts, work, *part, &fields, rest, as_sent)
        }
        (Some(("ok", ..)), Doing::Write(_)) if facts.exit_code == 0 => {
            Answer::of(tail(reported(head(facts, work), work, &stdout), facts)).task(&facts.id)
        }
        _ => not_done(facts, work, &stdout, &stderr),
    }
}

/// The script refused, or did not come to its end.
pub(crate) fn not_done(facts: &Facts, work: &FileWork, stdout: &str, stderr: &str) -> Answer {
    match report(stdout) {
        Some((code, fields, _)) if code != "ok" => refused(facts, work, code, &fields.join(" ")),
        _ => failed(facts, work, stderr),
    }
}

/// What the script reported of a file that was written or fetched.
pub(crate) fn reported(members: Object, work: &FileWork, stdout: &str) -> Object {
    match (report(stdout), &work.doing) {
        (Some((_, fields, _)), Doing::Write(_)) => written(members, work, &fields),
        (Some((_, fields, _)), _) => match fields.as_slice() {
            [_, mode, owner, modified, ..] => members
                .field("mode", mode)
                .field("owner", owner)
                .field("modified", &modified.parse::<u64>().unwrap_or_default()),
            _ => members,
        },
        (None, _) => members,
    }
}

/// What was read of a file, from its beginning on.
pub(crate) struct Held {
    /// Host and path.
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: Option<String>,
    /// As it may be shown.
    pub(crate) content: String,
    /// Byte for byte what the host sent.
    pub(crate) as_sent: bool,
    pub(crate) redacted: bool,
    pub(crate) task_id: String,
}

/// What finished work has read.
///
/// # Errors
/// It has read nothing: the answer that says why.
pub(crate) fn held(outcome: &Outcome, work: &FileWork) -> Result<Held, Answer> {
    let facts = outcome.facts();
    if let Some(refusal) = not_run(facts) {
        return Err(refusal);
    }
    let [stdout, stderr] = outcome.streams();
    match report(&stdout) {
        Some(("ok", fields, content)) if facts.exit_code == 0 => Ok(Held {
            name: format!("{}:{}", facts.alias, work.path.as_str()),
            size: fields
                .first()
                .and_then(|size| size.parse().ok())
                .unwrap_or_default(),
            sha256: fields
                .get(4)
                .filter(|hash| !hash.is_empty())
                .map(|hash| (*hash).to_owned()),
            content: content.to_owned(),
            as_sent: facts.bytes_out == stdout.len() as u64 && facts.truncated.is_none(),
            redacted: facts.redacted > 0,
            task_id: facts.id.to_string(),
        }),
        _ => Err(not_done(facts, work, &stdout, &stderr)),
    }
}

/// The first line of the script's: its word, its fields, and what follows it.
fn report(stdout: &str) -> Option<(&str, Vec<&str>, &str)> {
    let at = match stdout.starts_with(MARK) {
        true => 0,
        // A login shell may have had something to say first.
        false => stdout.find(&format!("\n{MARK}"))? + 1,
    };
    let (line, rest) = stdout.get(at + MARK.len()..)?.split_once('\n')?;
    let mut fields = line.split(' ');
    let code = fields.next()?;
    Some((code, fields.collect(), rest))
}

pub(crate) fn head(facts: &Facts, work: &FileWork) -> Object {
    Object::new()
        .field("alias", facts.alias.as_str())
        .field("path", work.path.as_str())
}

pub(crate) fn tail(members: Object, facts: &Facts) -> Object {
    members
        .field("duration_ms", &facts.duration_ms)
        .maybe("target_ip", facts.target_ip.map(|ip| ip.to_string()))
        .field("hash", &facts.hash.to_string())
}

fn read(
    facts: &Facts,
    work: &FileWork,
    part: Part,
    fields: &[&str],
    content: &str,
    as_sent: bool,
) -> Answer {
    let [size, mode, owner, modified, rest @ ..] = fields else {
        return failed(facts, work, "");
    };
    let number = |text: &str| text.parse::<u64>().unwrap_or_default();
    let size = number(size);
    let hash = rest.first().copied().filter(|hash| !hash.is_empty());
    let shown = content.len() as u64;
    let (expected, next) = match part {
        Part::Bytes { offset, limit } => {
            let left = size.saturating_sub(offset);
            let sent = left.min(limit);
            (Some(sent), (sent < left).then(|| offset + sent))
        }
        Part::Lines { .. } => (None, None),
    };
    let whole = matches!(part, Part::Bytes { offset: 0, limit } if limit >= size);
    let altered = !as_sent
        || facts.redacted > 0
        || facts.truncated.is_some()
        || expected.is_some_and(|expected| expected != shown)
        || content.contains('\u{fffd}')
        || (whole && hash.is_some_and(|hash| hash != hex(&Sha256::digest(content.as_bytes()))));
    let members = head(facts, work)
        .field("size", &size)
        .field("mode", mode)
        .field("owner", owner)
        .field("modified", &number(modified))
        .maybe("sha256", hash)
        .field("content", content)
        .maybe("next_offset", next)
        .maybe("altered", altered.then_some(true))
        .maybe("note", altered.then_some(NOT_AS_IS));
    let more = match next {
        Some(next) => format!(", more from offset {next}"),
        None => String::new(),
    };
    let note = if altered { NOT_AS_IS } else { "" };
    let text = format!(
        "{}:{} ({size} bytes, mode {mode}, sha256 {}{more})\n{note}\n{content}",
        facts.alias,
        work.path.as_str(),
        hash.unwrap_or("unknown"),
    );
    Answer::readable(text, tail(members, facts))
        .untrusted(&["content"])
        .task(&facts.id)
}

fn written(members: Object, work: &FileWork, fields: &[&str]) -> Object {
    let [size, hash, old, kept, backup @ ..] = fields else {
        return members;
    };
    let backup = backup.join(" ");
    let backup = (!backup.is_empty()).then(|| {
        let path = work.path.as_str();
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        format!("{directory}/{backup}")
    });
    // A transfer has counted and hashed for itself.
    let members = match work.local() {
        Some(_) => members,
        None => members
            .field("size", &size.parse::<u64>().unwrap_or_default())
            .field("sha256", hash),
    };
    members
        .maybe("replaced_sha256", Some(*old).filter(|old| *old != "-"))
        .maybe("backup", backup)
        .maybe("note", (*kept == "-").then_some(NOT_KEPT))
}

/// The script refused; nothing was changed but where it says so.
fn refused(facts: &Facts, work: &FileWork, code: &str, detail: &str) -> Answer {
    let (why, hint) = words(code);
    let members = head(facts, work)
        .field("status", "failed")
        .field("reason", "file")
        .field("code", &format!("file:{code}"))
        .field("why", why)
        .maybe("detail", Some(detail).filter(|detail| !detail.is_empty()))
        .field("hint", hint);
    Answer::refusal(tail(members, facts)).task(&facts.id)
}

/// The script did not come to its end.
fn failed(facts: &Facts, work: &FileWork, stderr: &str) -> Answer {
    let said: String = stderr.trim().chars().take(SAID_MAX).collect();
    let why = match facts.state {
        State::Timeout => "The time limit was reached before it was done.".to_owned(),
        State::Cancelled => "It was cancelled.".to_owned(),
        _ => format!("The host did not do it (exit {}).", facts.exit_code),
    };
    let hint = match work.doing {
        Doing::Read(_) | Doing::Fetch(_) => "Detail is what the host said; tell the operator",
        Doing::Write(_) => {
            "The file is as it was or as it was to be, never in between: read its sha256 to know which"
        }
    };
    let members = head(facts, work)
        .field("status", facts.state.as_str())
        .field("reason", "file")
        .field("code", "file:failed")
        .field("why", &why)
        .maybe("detail", Some(&said).filter(|said| !said.is_empty()))
        .field("hint", hint);
    Answer::refusal(tail(members, facts))
        .task(&facts.id)
        .cancelled(facts.state == State::Cancelled)
}

/// What a word of the script means, and what to do.
fn words(code: &str) -> (&'static str, &'static str) {
    match code {
        "directory" => (
            "The directory is not there, or the login may not enter it.",
            "Look at the path; by sudo where the policy allows it",
        ),
        "real" => (
            "The path leads through a link; detail is the real one.",
            "Ask for the real path: the policy judges that one by itself",
        ),
        "link" => (
            "The file is a link; detail is where it leads.",
            "Ask for that path: the policy judges it by itself",
        ),
        "moved" => (
            "Somebody moved or replaced the file meanwhile.",
            "Read it again, and decide anew",
        ),
        "missing" => (
            "The file is not there.",
            "Look at the path; to make a new file, how is create",
        ),
        "exists" => (
            "The file is there already, and nothing was changed.",
            "Read it first; to write over it, how is replace, with its sha256 in expected_sha256",
        ),
        "changed" => (
            "The file holds something else than expected_sha256 says, and nothing was changed; detail is its hash.",
            "Read it again, and decide anew",
        ),
        "kind" => (
            "It is a directory, a device or another thing that is no regular file.",
            "Only regular files are read and written",
        ),
        "unreadable" => (
            "The login may not read the file.",
            "By sudo, where the policy allows it",
        ),
        "temporary" => (
            "No file can be made beside it: the directory is not open to the login, or the disk is full.",
            "By sudo where the policy allows it, or tell the operator",
        ),
        "full" => (
            "It could not be written whole, mostly for want of room; nothing was changed.",
            "Tell the operator that the disk is full",
        ),
        "incomplete" => (
            "What arrived was not what was sent; nothing was changed.",
            "Send it again",
        ),
        "names" => (
            "The file has other names (hard links), which would keep the old content; nothing was changed.",
            "Tell the operator",
        ),
        "special" => (
            "The file has special rights (setuid, setgid, sticky), which no other content may take over.",
            "Tell the operator",
        ),
        "owner" => (
            "The owner of the file could not be kept; nothing was changed.",
            "By sudo, where the policy allows it",
        ),
        "large" => (
            "The file is too large: 64 MiB to be rewritten, max_transfer_bytes to be transferred; nothing was changed.",
            "ssh_send_file, if the operator has given the server a directory for it",
        ),
        "backup" => (
            "The old file could not be kept under another name; nothing was changed.",
            "Leave backup out, or tell the operator",
        ),
        "rename" | "mode" => (
            "The new file could not take its place; nothing was changed.",
            "Tell the operator",
        ),
        "proc" | "stat" | "sha256sum" => (
            "The host lacks what is needed to be sure of a file (/proc, stat, sha256sum); nothing was done.",
            "Use a command that the policy allows",
        ),
        _ => (
            "The host refused in words that are not known.",
            "Tell the operator",
        ),
    }
}
