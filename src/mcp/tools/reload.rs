//! Taking in a changed configuration.
//!
//! Owns `ssh_reload_config`: whole or not at all. The record of it, and what the client is
//! told of the change, are the store's observers', as for a change that nobody asked for.
//! The assistant learns where the problems are, not what the files say. Called by [`crate::mcp::tools::serve`] on a thread of its own.

use std::sync::Arc;

use crate::config::{LoadError, Reloaded, Warning};
use crate::mcp::call::Call;
use crate::mcp::call::answer::Answer;
use crate::mcp::feature::logging::{Event, Level};
use crate::mcp::tools::input::arguments::Args;
use crate::mcp::wire::json::Object;

/// Most problems that an answer lists.
const MOST: usize = 100;

/// `ssh_reload_config`.
pub(crate) fn reload(call: &Arc<Call>) {
    if let Err(answer) = Args::of(call) {
        return call.reply.end(answer);
    }
    let answer = match call.session.server.store.reload() {
        Ok(reloaded) => taken_in(call, &reloaded),
        Err(error) => refused(call, &error),
    };
    call.reply.end(answer);
}

fn taken_in(call: &Call, reloaded: &Reloaded) -> Answer {
    let snapshot = &reloaded.snapshot;
    call.reply
        .tell(&Event::new(Level::Info, "ssh_reload_config", |fields| {
            fields.field("status", "reloaded")
        }));
    let warnings = snapshot.warnings().iter();
    let mut warnings: Vec<String> = warnings.map(Warning::for_assistant).collect();
    // A line can hold many patterns.
    warnings.dedup();
    let omitted = warnings.len().saturating_sub(MOST);
    warnings.truncate(MOST);
    Answer::of(
        Object::new()
            .field("status", "reloaded")
            .when(!warnings.is_empty(), |answer| {
                answer.field("warnings", &warnings)
            })
            .when(omitted > 0, |answer| {
                answer.field("warnings_omitted", &omitted)
            }),
    )
}

fn refused(call: &Call, error: &LoadError) -> Answer {
    let text = error.for_assistant();
    call.reply.tell(&Event::new(
        Level::Debug,
        "ssh_reload_config_error",
        |fields| fields.field("error", &text),
    ));
    let problems: Vec<String> = error
        .problems
        .iter()
        .take(MOST)
        .map(|problem| problem.for_assistant())
        .collect();
    let text = format!("Nothing was changed, the configuration in force stays. {text}");
    Answer::refusal(
        Object::new()
            .field("status", "error")
            .field("error", &text)
            .field("problems", &problems),
    )
}
