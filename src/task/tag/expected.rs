//! What is expected of each host of a run: an exit status, a text, or both.
//!
//! Owns how a host counts: as `succeeded`, or as failed for which reason. Without an
//! expectation exit status 0 is a success. Called by [`crate::task::tag::report`].

use crate::task::outcome::{Facts, State};

/// What a host has to do to count as succeeded.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Exit status; 0 where a text alone is expected.
    pub exit: Option<i64>,
    /// Stands in stdout or stderr, as far as these are kept.
    pub text: Option<String>,
}

/// What a host did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// It ended with another status, or by a signal.
    Exit { expected: i64 },
    /// The text was in none of its streams.
    Text,
}

impl Unmet {
    /// In words, beside how the host ended.
    pub fn words(self) -> String {
        match self {
            Self::Exit { expected } => format!("not as expected: exit {expected} was expected"),
            Self::Text => "not as expected: the expected text is not in its output".to_owned(),
        }
    }
}

impl Expected {
    fn is_any(&self) -> bool {
        self.exit.is_some() || self.text.is_some()
    }

    /// How a host counts that ended like this: its state, and what it did not do. A host that
    /// was not reached, was cancelled or ran out of time counts as that.
    pub(crate) fn judge(&self, facts: &Facts, streams: &[String; 2]) -> (State, Option<Unmet>) {
        let ended = matches!(facts.state, State::Completed | State::Failed)
            && facts.unreached().is_none()
            && !facts.is_denied();
        if !self.is_any() || !ended {
            return (facts.state, None);
        }
        let expected = self.exit.unwrap_or(0);
        if facts.exit_code != expected || facts.exit_signal.is_some() {
            return (State::Failed, Some(Unmet::Exit { expected }));
        }
        let has = |text: &String| streams.iter().any(|stream| stream.contains(text.as_str()));
        match &self.text {
            Some(text) if !has(text) => (State::Failed, Some(Unmet::Text)),
            _ => (State::Completed, None),
        }
    }
}
