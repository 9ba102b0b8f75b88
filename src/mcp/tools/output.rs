//! Reading what a task printed: its last lines, a page, lines by number, what holds a text.
//!
//! Owns `ssh_get_task_output`. Every answer is bounded by the budget of answers, and
//! arguments that do not go together are refused. `has_more` means the same everywhere:
//! what was asked for is there and not shown. Called by [`crate::mcp::tools::serve`].

use std::time::Instant;

use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::tools::jobs;
use crate::mcp::tools::tasks::{answer_chars, not_there};
use crate::mcp::wire::json::Object;
use crate::model::names::TaskId;
use crate::task::read::{self, Piece, Search};
use crate::task::{Kept, Stream};

/// Lines from the end, where nothing else is asked for.
const DEFAULT_LINES: usize = 50;

/// What is to be read.
struct Request<'a> {
    id: TaskId,
    way: Way<'a>,
    stream: Option<Stream>,
    chars: Option<usize>,
}

enum Way<'a> {
    Tail(usize),
    Page(usize),
    Lines { from: usize, count: usize },
    Find(Search<'a>),
}

/// `ssh_get_task_output`.
pub(crate) fn output(call: &Call) -> Answer {
    let request = match read(call) {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    call.reply
        .tell(&Event::new(Level::Debug, "ssh_get_task_output", |fields| {
            fields.field("task_id", request.id.as_str())
        }));
    let job = jobs::asked_for(call).is_some();
    let tasks = &call.session.server.tasks;
    let missing = |missing| {
        let text = "Task not found or no output available";
        not_there(call, "ssh_get_task_output", &request.id, missing, text)
    };
    let (kept, most) = match job {
        // Both outputs are one there.
        true if request.stream.is_some() => return fault("a job has one output: leave stream out"),
        true => match jobs::output(call) {
            Ok(seen) => seen,
            Err(answer) => return answer,
        },
        false => match tasks.kept(&request.id, request.stream) {
            Ok(kept) => (kept, answer_chars(call, &request.id)),
            Err(error) => return missing(error),
        },
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let chars = request.chars.map_or(most, |chars| chars.min(most));
    match request.way {
        Way::Find(search) => found(&request.id, &kept, search, chars),
        way => piece(&request.id, &kept, &way, chars),
    }
}

fn read(call: &Call) -> Result<Request<'_>, Answer> {
    let args = Args::of(call)?;
    let id = args.task_id()?;
    args.only_one_of(&["max_lines", "offset", "from_line", "find"])?;
    for (name, with) in [
        ("limit", "offset"),
        ("lines", "from_line"),
        ("context", "find"),
        ("ignore_case", "find"),
    ] {
        if args.has(name) && !args.has(with) {
            return Err(fault(format!("{name} goes with {with} only")));
        }
    }
    let size = |name: &str| -> Result<Option<usize>, Answer> {
        let number = args.number(name)?;
        Ok(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
    };
    let chars = match size("max_chars")? {
        Some(chars) => Some(chars),
        None => size("limit")?,
    };
    let find = args.text("find")?;
    let way = if !find.is_empty() {
        Way::Find(Search {
            text: find,
            ignore_case: args.flag("ignore_case")?.unwrap_or(false),
            context: size("context")?.unwrap_or(0),
        })
    } else if let Some(offset) = size("offset")? {
        Way::Page(offset)
    } else if let Some(from) = size("from_line")? {
        Way::Lines {
            from,
            count: size("lines")?.unwrap_or(usize::MAX),
        }
    } else {
        Way::Tail(match args.has("max_lines") {
            true => args.max_lines()?.get(),
            false => DEFAULT_LINES,
        })
    };
    let stream = match args.text("stream")? {
        "" | "both" => None,
        "stdout" => Some(Stream::Out),
        "stderr" => Some(Stream::Err),
        _ => return Err(fault("stream must be stdout, stderr or both")),
    };
    wait(call, &id, &way, args.wait()?);
    Ok(Request {
        id,
        way,
        stream,
        chars,
    })
}

/// Waits for the end, or for output beyond the offset that is read from.
fn wait(call: &Call, id: &TaskId, way: &Way<'_>, most: std::time::Duration) {
    let beyond = match way {
        Way::Page(offset) => Some(*offset),
        Way::Tail(_) | Way::Lines { .. } | Way::Find(_) => None,
    };
    let given_up = || call.reply.is_cancelled() || call.session.is_closing();
    let until = Instant::now() + most;
    call.session
        .server
        .tasks
        .wait_for(id, beyond, until, given_up);
}

fn piece(id: &TaskId, kept: &Kept, way: &Way<'_>, chars: usize) -> Answer {
    let text = kept.text.as_str();
    let total = read::count(text);
    let (piece, offset) = match way {
        Way::Page(offset) => (read::page(text, *offset, chars), Some(*offset)),
        Way::Lines { from, count } => (read::lines(text, *from, *count, chars), None),
        Way::Tail(count) => (read::tail(text, *count, chars), None),
        Way::Find(_) => (Piece::default(), None),
    };
    let head = Object::new().field("task_id", id.as_str());
    let head = match offset {
        Some(_) => head
            .field("offset", &piece.offset)
            .field("next_offset", &piece.next_offset)
            .field("available", &text.len()),
        None => head
            .when(piece.from_line > 0, |head| {
                head.field("from_line", &piece.from_line)
            })
            .field("total_lines", &total)
            .field("next_offset", &piece.next_offset),
    };
    let head = head
        .field("has_more", &piece.has_more)
        .field("finished", &kept.finished);
    let members = match offset {
        Some(_) => head.field("text", &piece.lines.concat()),
        None => head.field("output_lines", &piece.lines),
    };
    let shown = match (offset, piece.lines.len()) {
        (Some(_), _) => format!(
            "bytes {} to {} of {}",
            piece.offset,
            piece.next_offset,
            text.len()
        ),
        (None, 0) => format!("no lines of {total}"),
        (None, count) => format!(
            "lines {} to {} of {total}",
            piece.from_line,
            piece.from_line + count - 1
        ),
    };
    let more = match (piece.has_more, way) {
        (false, _) => String::new(),
        (true, Way::Page(_)) => format!("; go on with offset {}", piece.next_offset),
        (true, Way::Lines { .. }) if piece.lines.is_empty() => {
            format!(
                "; the next line is too long, read it with offset {}",
                piece.next_offset
            )
        }
        (true, Way::Lines { .. }) => {
            format!(
                "; go on with from_line {}",
                piece.from_line + piece.lines.len()
            )
        }
        (true, _) => "; earlier ones with from_line 1".to_owned(),
    };
    let end = if kept.finished { "" } else { "; still running" };
    let body = match offset {
        Some(_) => piece.lines.concat(),
        None => piece.lines.join("\n"),
    };
    let text = format!("{shown}{more}{end}\n{body}");
    Answer::readable(text, members).untrusted(&["output_lines", "text"])
}

fn found(id: &TaskId, kept: &Kept, search: Search<'_>, chars: usize) -> Answer {
    let found = read::find(&kept.text, search, chars);
    let more = found.shown < found.matches;
    let members = Object::new()
        .field("task_id", id.as_str())
        .field("matches", &found.matches)
        .field("total_lines", &read::count(&kept.text))
        .field("has_more", &more)
        .field("finished", &kept.finished)
        .field("output_lines", &found.lines);
    let shown = match more {
        true => format!(
            ", {} shown; narrow the text, or read with from_line",
            found.shown
        ),
        false => String::new(),
    };
    let text = format!(
        "{} lines hold it{shown}\n{}",
        found.matches,
        found.lines.join("\n")
    );
    Answer::readable(text, members).untrusted(&["output_lines"])
}
