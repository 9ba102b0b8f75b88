//! The answer to a comparison of two files: whether they are equal, and where they differ.
//!
//! Owns when lines are compared (text, whole, not too long) and when hashes alone are, and
//! that what is not shown byte for byte is said. What files hold is the hosts' data. Called by
//! [`crate::mcp::tools::files::diff`].

use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::file::Held;
use crate::mcp::tools::answers::unified::{LINES_MAX, Unified, unified};
use crate::mcp::wire::json::{Json, Object};

/// One side of a comparison.
pub(crate) struct Side {
    /// Such as `web1:/etc/hosts`.
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: Option<String>,
    pub(crate) text: Text,
    pub(crate) task_id: Option<String>,
}

/// What of a side can be compared by lines.
pub(crate) enum Text {
    Whole {
        text: String,
        /// Secrets in it are shown otherwise.
        redacted: bool,
    },
    /// It is no text, or has control characters that are not shown.
    Binary,
    TooLarge {
        most: u64,
    },
}

impl Side {
    /// What was read of a host's file.
    pub(crate) fn of(held: Held, most: u64) -> Self {
        let text = match (held.size > most, held.as_sent, held.redacted) {
            (true, ..) => Text::TooLarge { most },
            (_, true, _) if !held.content.contains('\u{fffd}') => whole(held.content, false),
            (_, _, true) => whole(held.content, true),
            _ => Text::Binary,
        };
        Self {
            name: held.name,
            size: held.size,
            sha256: held.sha256,
            text,
            task_id: Some(held.task_id),
        }
    }

    /// A text of the client's.
    pub(crate) fn given(text: &str, sha256: String) -> Self {
        Self {
            name: "text".to_owned(),
            size: text.len() as u64,
            sha256: Some(sha256),
            text: whole(text.to_owned(), false),
            task_id: None,
        }
    }

    fn member(&self) -> Json {
        Object::new()
            .field("name", &self.name)
            .field("size", &self.size)
            .maybe("sha256", self.sha256.as_ref())
            .maybe("task_id", self.task_id.as_ref())
            .end()
    }
}

fn whole(text: String, redacted: bool) -> Text {
    let lines = text.bytes().filter(|byte| *byte == b'\n').count();
    match lines > LINES_MAX {
        true => Text::TooLarge {
            most: LINES_MAX as u64,
        },
        false => Text::Whole { text, redacted },
    }
}

const REDACTED: &str =
    "secrets in a file are shown otherwise: lines that hold them may differ unseen";

/// The answer, with at most so many characters of differences.
pub(crate) fn answer(from: &Side, to: &Side, chars: usize) -> Answer {
    // Hashes are of what the files hold, whatever of it is shown.
    let by_hash = match (&from.sha256, &to.sha256) {
        (Some(one), Some(other)) => Some(one == other),
        _ if from.size != to.size => Some(false),
        _ => None,
    };
    let why = |side: &Side| match &side.text {
        Text::Whole { .. } => None,
        Text::Binary => Some(format!("{} is not text: compared by its hash", side.name)),
        Text::TooLarge { most } => Some(format!(
            "{} is too large to be compared by lines ({most} bytes, {LINES_MAX} lines at most)",
            side.name
        )),
    };
    let mut notes: Vec<String> = [from, to].into_iter().filter_map(why).collect();
    let mut diff = None;
    let mut equal = by_hash;
    if let (
        Text::Whole {
            text: one,
            redacted,
        },
        Text::Whole {
            text: other,
            redacted: too,
        },
    ) = (&from.text, &to.text)
    {
        if *redacted || *too {
            notes.push(REDACTED.to_owned());
        }
        if by_hash != Some(true) {
            let found = unified(one, other, chars);
            // What is equal as it is shown is equal only if nothing of it is hidden.
            equal = by_hash.or_else(|| (!redacted && !too).then(|| one == other));
            diff = Some(found);
        }
    }
    if equal.is_none() {
        notes.push("whether they are equal is not known: a hash is missing".to_owned());
    }
    if let Some(left) = diff
        .as_ref()
        .map(|diff| diff.omitted)
        .filter(|left| *left > 0)
    {
        notes.push(format!(
            "{left} lines of the differences are left out: more with max_chars"
        ));
    }
    let members = Object::new()
        .maybe("equal", equal)
        .json("from", &from.member())
        .json("to", &to.member())
        .maybe("added", diff.as_ref().map(|diff| diff.added))
        .maybe("removed", diff.as_ref().map(|diff| diff.removed))
        .maybe("diff", diff.as_ref().map(|diff| diff.text.as_str()))
        .when(!notes.is_empty(), |answer| answer.field("notes", &notes));
    Answer::readable(in_words(from, to, equal, diff.as_ref(), &notes), members).untrusted(&["diff"])
}

fn in_words(
    from: &Side,
    to: &Side,
    equal: Option<bool>,
    diff: Option<&Unified>,
    notes: &[String],
) -> String {
    let state = match equal {
        Some(true) => "equal",
        Some(false) => "different",
        None => "not known to be equal",
    };
    let mut text = format!("{} and {}: {state}", from.name, to.name);
    for note in notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    if let Some(diff) = diff.filter(|diff| !diff.text.is_empty()) {
        text.push_str(&format!(
            "\n--- {}\n+++ {}\n{}",
            from.name, to.name, diff.text
        ));
    }
    text
}
