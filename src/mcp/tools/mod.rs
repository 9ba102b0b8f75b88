//! What the tools do: a call with its arguments → an answer.
//!
//! Owns how arguments are read and what a bad one is told, and which tools are quick
//! enough for the reading thread. Every value is checked before anything looks at it: the
//! alias first, then the command. Called by `dispatch`.

pub(crate) mod definitions;
pub(crate) mod hosts;
pub(crate) mod plan;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod run_async;
pub(crate) mod run_on_tag;
pub(crate) mod run_on_tag_answer;
pub(crate) mod tasks;

use std::sync::Arc;

use serde_json::{Number, Value};

use crate::audit::Record;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::tools::definitions::Id;
pub(crate) use crate::mcp::tools::run::answer as run_answer;
use crate::model::names::{CommandText, HostAlias, InputError, MaxLines, Tag, TaskId};
use crate::task::Phase;

/// Stack of a thread that serves a call, in bytes. Only what is touched is backed.
const STACK: usize = 512 * 1024;

/// Serves a call, now or later.
pub(crate) fn serve(call: Arc<Call>) {
    match call.tool.id {
        Id::Ping => call.finish(&hosts::ping(&call)),
        Id::ListHosts => call.finish(&hosts::list_hosts(&call)),
        Id::DescribeHost => call.finish(&hosts::describe_host(&call)),
        Id::Plan => call.finish(&plan::plan(&call)),
        Id::Cancel => call.finish(&tasks::cancel(&call)),
        Id::CancelAsync => call.finish(&tasks::cancel_async(&call)),
        Id::TaskStatus => call.finish(&tasks::status(&call)),
        Id::TaskResult => call.finish(&tasks::result(&call)),
        Id::TaskOutput => call.finish(&tasks::output(&call)),
        // Judging is quick; only a question to a person takes a thread.
        Id::Run => run::run(&call),
        Id::RunAsync => spawn(&call, run_async::run),
        Id::RunOnTag => spawn(&call, run_on_tag::run),
        Id::ReloadConfig => spawn(&call, reload::reload),
    }
}

/// Goes on with a call on a thread of its own.
fn spawn(call: &Arc<Call>, work: impl FnOnce(&Arc<Call>) + Send + 'static) {
    let (owned, busy) = (Arc::clone(call), call.session.busy());
    let thread = std::thread::Builder::new()
        .name("mcp-call".to_owned())
        .stack_size(STACK);
    let serve = move || {
        work(&owned);
        drop(busy);
    };
    if let Err(error) = thread.spawn(serve) {
        let audit = &call.session.server.audit;
        audit.emit(Record::error("thread_exception", error));
        let text = "Error: the server is out of threads; nothing was run, try again later";
        call.finish(&Answer::error(text));
    }
}

/// The arguments of a call; what is wrong with one is said in words for the assistant.
struct Args<'a>(&'a Call);

impl<'a> Args<'a> {
    /// # Errors
    /// An argument that the tool does not have.
    fn of(call: &'a Call) -> Result<Self, Answer> {
        let known = |name: &String| call.tool.params.iter().any(|param| param.name == name);
        let Some(unknown) = call.arguments.keys().find(|name| !known(name)) else {
            return Ok(Self(call));
        };
        let names: Vec<&str> = call.tool.params.iter().map(|param| param.name).collect();
        let accepted = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        let unknown: String = unknown
            .chars()
            .take(50)
            .flat_map(char::escape_debug)
            .collect();
        Err(fault(format!(
            "unknown argument '{unknown}' (accepted: {accepted})"
        )))
    }

    /// A text; the empty one where there is none.
    fn text(&self, name: &str) -> Result<&'a str, Answer> {
        match self.0.arguments.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(fault(format!("{name} must be text"))),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Answer> {
        match self.0.arguments.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(fault(format!("{name} must be true or false"))),
        }
    }

    /// A whole number within the bounds that the schema tells, or the default there.
    fn number(&self, name: &str) -> Result<Option<u64>, Answer> {
        let param = self.0.tool.params.iter().find(|param| param.name == name);
        let (min, max, default) =
            param
                .and_then(|param| param.bounds())
                .unwrap_or((0, u64::MAX, None));
        let Some(number) = self.any_number(name)? else {
            return Ok(default);
        };
        whole(number)
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (min..=max).contains(number))
            .map(Some)
            .ok_or_else(|| fault(format!("{name} must be between {min} and {max}")))
    }

    fn any_number(&self, name: &str) -> Result<Option<&'a Number>, Answer> {
        match self.0.arguments.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(_) => Err(fault(format!("{name} must be a whole number"))),
        }
    }

    fn max_lines(&self) -> Result<MaxLines, Answer> {
        match self.any_number("max_lines")? {
            None => Ok(MaxLines::DEFAULT),
            // What is not even a whole number is out of range like 0.
            Some(lines) => self.accept(MaxLines::new(whole(lines).unwrap_or(0))),
        }
    }

    fn alias(&self) -> Result<HostAlias, Answer> {
        self.accept(HostAlias::parse(self.text("alias")?))
    }

    fn command(&self) -> Result<CommandText, Answer> {
        self.accept(CommandText::parse(self.text("command")?))
    }

    fn tag(&self) -> Result<Tag, Answer> {
        self.accept(Tag::parse(self.text("tag")?))
    }

    fn task_id(&self) -> Result<TaskId, Answer> {
        self.accept(TaskId::parse(self.text("task_id")?))
    }

    /// Puts what looks like an attack on the record.
    fn accept<T>(&self, parsed: Result<T, InputError>) -> Result<T, Answer> {
        parsed.map_err(|error| {
            if let Some(record) = Record::injection(&error) {
                self.0.session.server.audit.emit(record);
            }
            fault(error.to_string())
        })
    }
}

/// The value of a whole number, however it is written: to JSON Schema 3.0 is an integer,
/// and so it is to clients whose only numbers are floating ones.
fn whole(number: &Number) -> Option<i64> {
    let text = number.to_string();
    text.strip_suffix(".0").unwrap_or(&text).parse().ok()
}

/// What an invalid argument is answered.
fn fault(text: impl std::fmt::Display) -> Answer {
    Answer::error(format!("Error: {text}"))
}

/// What an alias that no host has is answered; it is an alias, so it may be repeated.
fn unknown_host(prefix: &str, alias: &HostAlias) -> Answer {
    Answer::error(format!("{prefix}: Host alias not found: {alias}"))
}

/// A phase, as the log spells it too.
fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting => "connecting",
        Phase::Connected => "connected",
        Phase::Running => "running",
    }
}
