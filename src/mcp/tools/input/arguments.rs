//! The arguments of a tool's call, read strictly.
//!
//! Owns what a bad argument is answered. Every value is checked before anything looks at
//! it, the alias first, then the command; what looks like an attack is put on the record.
//! Called by every tool.

use std::time::Duration;

use serde_json::{Number, Value};

use crate::audit::Record;
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::model::names::{CommandText, HostAlias, InputError, MaxLines, TaskId};
use crate::model::stdin::Stdin;
use crate::model::text::visible;
use crate::task::Shape;

/// What clients are known to add to calls of tools without parameters.
const FILLERS: &[&str] = &["random_string"];

/// The arguments of a call; what is wrong with one is said in words for the assistant.
pub(crate) struct Args<'a>(&'a Call);

impl<'a> Args<'a> {
    /// # Errors
    /// An argument that the tool does not have.
    pub(crate) fn of(call: &'a Call) -> Result<Self, Answer> {
        let known = |name: &String| {
            let own = call.tool.params.iter().any(|param| param.name == name);
            // Some clients cannot call a tool without parameters, and make one up.
            own || (call.tool.params.is_empty() && FILLERS.contains(&name.as_str()))
        };
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

    /// Whether there is something under this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        !is_absent(self.0.arguments.get(name))
    }

    /// Arguments that say two different things are refused, not ignored.
    ///
    /// # Errors
    /// More than one of these is there.
    pub(crate) fn only_one_of(&self, names: &[&str]) -> Result<(), Answer> {
        let given: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| self.has(name))
            .collect();
        match given.len() {
            0 | 1 => Ok(()),
            _ => Err(fault(format!(
                "{} do not go together: give one of them",
                given.join(" and ")
            ))),
        }
    }

    /// What of an output is wanted, at most `most` characters.
    pub(crate) fn shape(&self, most: u32) -> Result<Shape, Answer> {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let most = size(most.into());
        Ok(Shape {
            chars: self
                .number("max_chars")?
                .map_or(most, |n| size(n).min(most)),
            head: self.number("head")?.map(size),
            tail: self.number("tail")?.map(size),
        })
    }

    /// The time limit of one call, below the policy's `most` seconds.
    pub(crate) fn seconds(&self, most: u32) -> Result<Option<u32>, Answer> {
        let Some(wanted) = self.number("timeout")? else {
            return Ok(None);
        };
        match u32::try_from(wanted) {
            Ok(seconds) if seconds <= most => Ok(Some(seconds)),
            _ => Err(fault(format!(
                "timeout must be at most {most} s, the policy's limit here; ssh_run_async may run longer"
            ))),
        }
    }

    /// How long to wait for something to happen.
    pub(crate) fn wait(&self) -> Result<Duration, Answer> {
        Ok(Duration::from_secs(
            self.number("wait_seconds")?.unwrap_or(0),
        ))
    }

    /// A list of texts; the empty one where there is none. One text counts as a list of one,
    /// and commas part what is written as one text.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<&'a str>, Answer> {
        let wrong = || fault(format!("{name} must be a list of texts"));
        match self.0.arguments.get(name) {
            None => Ok(Vec::new()),
            value if is_absent(value) => Ok(Vec::new()),
            Some(Value::String(text)) => {
                let parts = text.split(',').map(str::trim);
                Ok(parts.filter(|part| !part.is_empty()).collect())
            }
            Some(Value::Array(list)) => {
                let texts = list.iter().map(|text| text.as_str().map(str::trim));
                texts.collect::<Option<_>>().ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }

    /// A list of sizes, as texts or numbers; one alone counts as a list of one.
    pub(crate) fn sizes(&self, name: &str) -> Result<Vec<String>, Answer> {
        let size = |value: &Value| match value {
            Value::Number(number) => whole(number).map(|number| number.to_string()),
            Value::String(text) => Some(text.trim().to_owned()),
            _ => None,
        };
        match self.0.arguments.get(name) {
            Some(one @ Value::Number(_)) => Ok(size(one).into_iter().collect()),
            Some(Value::Array(list)) => list
                .iter()
                .map(size)
                .collect::<Option<_>>()
                .ok_or_else(|| fault(format!("{name} must be a list of numbers or parts"))),
            _ => {
                let texts = self.texts(name)?;
                Ok(texts.into_iter().map(str::to_owned).collect())
            }
        }
    }

    /// A text; the empty one where there is none.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Answer> {
        match self.0.arguments.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(fault(format!("{name} must be text"))),
        }
    }

    /// A text that may be empty and still be meant.
    pub(crate) fn verbatim(&self, name: &str) -> Option<&'a str> {
        self.0.arguments.get(name)?.as_str()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Answer> {
        match self.0.arguments.get(name) {
            None => Ok(None),
            value if is_absent(value) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            // Models write what they mean as text, and nobody means anything else by it.
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
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
        whole(&number)
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (min..=max).contains(number))
            .map(Some)
            .ok_or_else(|| fault(format!("{name} must be between {min} and {max}")))
    }

    fn any_number(&self, name: &str) -> Result<Option<Number>, Answer> {
        match self.0.arguments.get(name) {
            None => Ok(None),
            value if is_absent(value) => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.clone())),
            Some(Value::String(text)) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(fault(format!("{name} must be a whole number"))),
            },
            Some(_) => Err(fault(format!("{name} must be a whole number"))),
        }
    }

    pub(crate) fn max_lines(&self) -> Result<MaxLines, Answer> {
        match self.any_number("max_lines")? {
            None => Ok(MaxLines::DEFAULT),
            // What is not even a whole number is out of range like 0.
            Some(lines) => self.accept(MaxLines::new(whole(&lines).unwrap_or(0))),
        }
    }

    pub(crate) fn alias(&self) -> Result<HostAlias, Answer> {
        self.accept(HostAlias::parse(self.text("alias")?))
    }

    pub(crate) fn command(&self) -> Result<CommandText, Answer> {
        self.accept(CommandText::parse(self.text("command")?))
    }

    /// What the command is given to read, as it was sent.
    pub(crate) fn stdin(&self) -> Result<Option<Stdin>, Answer> {
        match self.text("stdin")? {
            "" => Ok(None),
            text => self.accept(Stdin::parse(text)).map(Some),
        }
    }

    pub(crate) fn task_id(&self) -> Result<TaskId, Answer> {
        self.accept(TaskId::parse(self.text("task_id")?))
    }

    /// Puts what looks like an attack on the record.
    pub(crate) fn accept<T>(&self, parsed: Result<T, InputError>) -> Result<T, Answer> {
        parsed.map_err(|error| {
            if let Some(record) = Record::injection(&error) {
                self.0.audit.emit(record);
            }
            fault(error.to_string())
        })
    }
}

/// Clients that fill in every argument write the empty text for one that is not meant.
fn is_absent(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
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
