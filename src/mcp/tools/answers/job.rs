//! What a host tells of a job, and the answers made of it.
//!
//! Owns the reading of the one line that a job is told in (it comes from the host: what does
//! not parse is not known), and which state that is. A job that is gone and left no status was
//! ended by the host. Called by [`crate::mcp::tools::jobs`].

use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::run::{Shown, UNTRUSTED, texts};
use crate::mcp::wire::json::{Json, Object};
use crate::model::job::JobId;
use crate::model::names::{HostAlias, TaskId};
use crate::policy::KEPT_DAYS;
use crate::task::{Excerpt, Facts, Shape, State, share};

/// How long an ended job stays on its host, in seconds.
const KEPT_SECONDS: u32 = KEPT_DAYS * 86_400;

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    alive: bool,
    /// Somebody wanted its end.
    cancelled: bool,
    start: Option<i64>,
    exit: Option<i64>,
    end: Option<i64>,
    now: Option<i64>,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl Told {
    /// `alive=1 start=… exit=… …`.
    pub(crate) fn of(line: &str) -> Option<Self> {
        let mut told = Self::default();
        let mut is_one = false;
        for (name, value) in line.split(' ').filter_map(|word| word.split_once('=')) {
            let number = value.parse::<i64>().ok();
            let count = value.parse::<u64>().unwrap_or_default();
            match name {
                "alive" => {
                    is_one = true;
                    told.alive = value == "1";
                }
                "cancelled" => told.cancelled = value == "1",
                "start" => told.start = number,
                "exit" => told.exit = number,
                "end" => told.end = number,
                "now" => told.now = number,
                "lines" => told.lines = count,
                "bytes" => told.bytes = count,
                _ => {}
            }
        }
        is_one.then_some(told)
    }

    pub(crate) fn state(&self) -> State {
        match (self.exit, self.alive) {
            (None, true) => State::Running,
            _ if self.cancelled => State::Cancelled,
            (Some(0), _) => State::Completed,
            _ => State::Failed,
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state().is_finished()
    }

    /// Its status; -1 where it left none, or was ended.
    fn exit_code(&self) -> i64 {
        match self.cancelled {
            true => -1,
            false => self.exit.unwrap_or(-1),
        }
    }

    /// By the host's clock, in whole seconds.
    fn elapsed_ms(&self) -> i64 {
        let until = self.end.or(self.now);
        let seconds = until
            .zip(self.start)
            .map(|(until, start)| until.saturating_sub(start));
        seconds.unwrap_or_default().max(0).saturating_mul(1000)
    }

    /// When it began, in seconds since 1970.
    pub(crate) fn start(&self) -> i64 {
        self.start.unwrap_or_default()
    }

    fn notes(&self) -> Vec<&'static str> {
        let mut notes = Vec::new();
        if self.is_finished() && self.exit.is_none() && !self.cancelled {
            notes.push(
                "It is gone and left no exit status: the host was restarted, or something there \
                 killed it.",
            );
        }
        let since_end = self
            .now
            .zip(self.end)
            .map(|(now, end)| now.saturating_sub(end));
        // What reads its output goes a moment later.
        if self.alive && since_end.is_some_and(|seconds| seconds > 2) {
            notes.push(
                "The command has ended, but something that it started still runs and holds its \
                 output; ssh_cancel ends that.",
            );
        }
        if self.cancelled && !self.is_finished() {
            notes.push("It was told to end and has not: the login may not end what it runs.");
        }
        notes
    }

    /// The members that say how it stands.
    fn members(&self, head: Object) -> Object {
        let notes = self.notes();
        head.when(self.is_finished(), |head| {
            head.field("exit_code", &self.exit_code())
        })
        .when(!notes.is_empty(), |head| head.field("notes", &notes))
    }
}

/// The answer to its start.
pub(crate) fn started(alias: &HostAlias, command: &str, job: &JobId) -> Answer {
    Answer::of(
        Object::new()
            .field("task_id", job.task_id(alias).as_str())
            .field("status", State::Running.as_str())
            .field("detached", &true)
            .field("keepAlive", &KEPT_SECONDS)
            .field("alias", alias.as_str())
            .field("command", command)
            .field("hash", &job.hash().to_string())
            .field(
                "note",
                "It goes on without this client. ssh_get_task_result, ssh_get_task_output and \
                 ssh_cancel take its task_id, also later; ssh_list_tasks with alias finds it again.",
            ),
    )
}

/// The answer to a start that the host could not do. `word` is what it said.
pub(crate) fn not_started(facts: &Facts, word: Option<&str>) -> Answer {
    let (code, why, hint) = match word {
        Some("setsid") => (
            "setsid",
            "This host has no setsid, which a job needs to outlive its connection; nothing was run",
            "Start it without detach, or ask the operator to install setsid (util-linux, busybox).",
        ),
        Some("home") => (
            "home",
            "The login has no home directory of its own to write to, where a job's output would be \
             kept; nothing was run",
            "Start it without detach, or tell the operator.",
        ),
        Some("start") => (
            "start",
            "The host could not start it (no more processes, or no space); nothing was run",
            "Try again later, or start it without detach.",
        ),
        _ => (
            "unknown",
            "The host did not say whether it started",
            "Look with ssh_list_tasks and this alias before you start it again.",
        ),
    };
    Answer::refusal(
        Object::new()
            .field("alias", facts.alias.as_str())
            .field("status", State::Failed.as_str())
            .field("reason", "detach")
            .field("code", code)
            .field("why", why)
            .field("hint", hint)
            .field("hash", &facts.hash.to_string()),
    )
    .task(&facts.id)
}

/// The answer of `ssh_get_task_status`.
pub(crate) fn status(id: &TaskId, told: &Told, poll_seconds: u32) -> Answer {
    let head = Object::new()
        .field("task_id", id.as_str())
        .field("status", told.state().as_str())
        .field("detached", &true);
    Answer::of(
        told.members(head)
            .field("keepAlive", &KEPT_SECONDS)
            .field("pollFrequency", &poll_seconds)
            .field("elapsed_ms", &told.elapsed_ms())
            .field("bytes_read", &told.bytes)
            .field("output_lines_available", &told.lines),
    )
}

/// The answer of `ssh_get_task_result`; both outputs are one, in the order they came.
pub(crate) fn result(id: &TaskId, facts: &Facts, told: &Told, text: &str, shape: Shape) -> Answer {
    let (mut out, mut none) = (Excerpt::of(text, shape), Excerpt::of("", shape));
    share([&mut out, &mut none].into_iter(), shape.chars);
    let shown = Shown {
        stdout: &out,
        stderr: &none,
    };
    let (output, _) = texts(id, &shown);
    let head = Object::new()
        .field("status", told.state().as_str())
        .field("alias", facts.alias.as_str());
    let members = told
        .members(head)
        .field("duration_ms", &told.elapsed_ms())
        .when(out.bytes_left_out > 0, |members| {
            members
                .field("truncated", &true)
                .field("omitted_bytes", &out.bytes_left_out)
        })
        .when(!out.is_empty(), |members| members.field("output", &output))
        .maybe("task_id", (!out.is_whole()).then_some(id.as_str()))
        .field("hash", &facts.hash.to_string());
    let mut lines = vec![format!(
        "{}: {}, exit {}, {} s",
        facts.alias,
        told.state().as_str(),
        told.exit_code(),
        told.elapsed_ms() / 1000
    )];
    lines.extend(told.notes().iter().map(|note| format!("note: {note}")));
    lines.push(match out.is_empty() {
        true => "(no output)".to_owned(),
        false => output,
    });
    Answer::readable(lines.join("\n"), members)
        .untrusted(UNTRUSTED)
        .task(id)
}

/// One row of `ssh_list_tasks`.
pub(crate) fn row(alias: &HostAlias, job: &JobId, told: &Told, command: &str) -> Json {
    let head = Object::new()
        .field("task_id", job.task_id(alias).as_str())
        .field("alias", alias.as_str())
        .field("status", told.state().as_str())
        .field("detached", &true);
    told.members(head)
        .field("elapsed_ms", &told.elapsed_ms())
        .field("command", command)
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_a_job_stands() {
        let told = |line: &str| Told::of(line).unwrap();
        let running = told("alive=1 start=100 exit= end= cancelled=0 lines=2 bytes=9 now=160");
        assert_eq!(running.state(), State::Running);
        assert_eq!((running.lines, running.bytes), (2, 9));
        assert_eq!(running.elapsed_ms(), 60_000);
        let ended = told("alive=0 start=100 exit=3 end=105 cancelled=0 lines= bytes= now=160");
        assert_eq!((ended.state(), ended.exit_code()), (State::Failed, 3));
        assert_eq!(ended.elapsed_ms(), 5_000);
        let lost = told("alive=0 start=100 exit= end= cancelled=0 lines=0 bytes=0 now=160");
        assert_eq!((lost.state(), lost.exit_code()), (State::Failed, -1));
        assert_eq!(lost.notes().len(), 1);
        let killed = told("alive=0 start=1 exit=143 end=2 cancelled=1 lines=0 bytes=0 now=3");
        assert_eq!((killed.state(), killed.exit_code()), (State::Cancelled, -1));
        let clock = told("alive=1 start=100 exit= end= cancelled=0 lines=0 bytes=0 now=5");
        assert_eq!(clock.elapsed_ms(), 0);
        for line in ["missing", "", "exit=0 lines=1"] {
            assert_eq!(Told::of(line), None, "{line}");
        }
    }
}
