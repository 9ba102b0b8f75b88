//! The arguments of a tool's call, read strictly.
//!
//! Owns what a bad argument is answered. Every value is checked before anything looks at
//! it, the alias first, then the command; what looks like an attack is put on the record.
//! Called by every tool.

use serde_json::{Number, Value};

use crate::audit::Record;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::model::names::{CommandText, HostAlias, InputError, MaxLines, Tag, TaskId};
use crate::model::text::visible;

/// The arguments of a call; what is wrong with one is said in words for the assistant.
pub(crate) struct Args<'a>(&'a Call);

impl<'a> Args<'a> {
    /// # Errors
    /// An argument that the tool does not have.
    pub(crate) fn of(call: &'a Call) -> Result<Self, Answer> {
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
        let unknown: String = unknown.chars().take(50).collect();
        let unknown = visible(&unknown);
        Err(fault(format!(
            "unknown argument '{unknown}' (accepted: {accepted})"
        )))
    }

    /// A text; the empty one where there is none.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Answer> {
        match self.0.arguments.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(fault(format!("{name} must be text"))),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Answer> {
        match self.0.arguments.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(fault(format!("{name} must be true or false"))),
        }
    }

    /// A whole number within the bounds that the schema tells, or the default there.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Answer> {
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

    pub(crate) fn max_lines(&self) -> Result<MaxLines, Answer> {
        match self.any_number("max_lines")? {
            None => Ok(MaxLines::DEFAULT),
            // What is not even a whole number is out of range like 0.
            Some(lines) => self.accept(MaxLines::new(whole(lines).unwrap_or(0))),
        }
    }

    pub(crate) fn alias(&self) -> Result<HostAlias, Answer> {
        self.accept(HostAlias::parse(self.text("alias")?))
    }

    pub(crate) fn command(&self) -> Result<CommandText, Answer> {
        self.accept(CommandText::parse(self.text("command")?))
    }

    pub(crate) fn tag(&self) -> Result<Tag, Answer> {
        self.accept(Tag::parse(self.text("tag")?))
    }

    pub(crate) fn task_id(&self) -> Result<TaskId, Answer> {
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
pub(crate) fn fault(text: impl std::fmt::Display) -> Answer {
    Answer::error(format!("Error: {text}"))
}
