//! What a run is answered: on one host, on many, or not at all.
//!
//! Owns the members of these answers and their order, in two forms that say the same: text
//! that a model reads, and members for programs. What matters comes first; what is false,
//! empty or said already is left out. Runs nothing and asks nothing. Called by the tools
//! that run commands and by those that look after tasks.
//!
//! Both streams of a command stand apart, and their order in time is not marked in a run's
//! answer: a warning between two lines of a table breaks the table, and marks on every line
//! cost a model more than they tell it. Who needs the order reads it with
//! `ssh_get_task_output`, where both come as they came.
//!
//! A client shows a model one of two things: the structure of a success (Claude Code,
//! Codex) or the text (Gemini CLI, opencode, LangChain); of an error Gemini CLI shows both.
//! So text and structure each hold the whole, and an error has the text alone.

pub(crate) mod comparison;
pub(crate) mod counts;
pub(crate) mod diff;
pub(crate) mod file;
pub(crate) mod job;
pub(crate) mod moved;
pub(crate) mod ran;
pub(crate) mod ranges;
pub(crate) mod refusal;
pub(crate) mod run;
pub(crate) mod tag;
pub(crate) mod unified;
