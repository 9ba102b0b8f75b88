//! The last line of a server that failed: one JSON record, then the abort.
//!
//! Owns the panic hook. Refuses to take a lock that the panicking thread may hold, and
//! to repeat a formatted message, which may quote a command or a host's output; a literal
//! one is repeated. Installed by `startup`.

use std::io;
use std::panic::{self, PanicHookInfo};
use std::time::Duration;

use serde::Serialize;

use crate::audit::stderr::Sink;
use crate::audit::timestamp::Ts;
use crate::audit::{Audit, Level};

#[derive(Serialize)]
struct Panic<'a> {
    r#type: &'static str,
    level: Level,
    ts: Ts,
    timestamp: String,
    thread: &'a str,
    location: String,
    message: &'a str,
}

/// Turns every panic into one record on stderr. The abort follows from `panic = "abort"`.
pub fn install_panic_hook(audit: &Audit) {
    let stderr = std::sync::Arc::clone(&audit.shared.stderr);
    panic::set_hook(Box::new(move |info| say(info, &stderr)));
}

fn say(info: &PanicHookInfo<'_>, stderr: &Sink) {
    let ts = Ts::now();
    let literal = info.payload().downcast_ref::<&'static str>();
    let thread = std::thread::current();
    let panic = Panic {
        r#type: "panic",
        level: Level::Error,
        ts,
        timestamp: ts.iso(),
        thread: thread.name().unwrap_or("unnamed"),
        location: info.location().map(ToString::to_string).unwrap_or_default(),
        message: literal.copied().unwrap_or("(left out: it may quote data)"),
    };
    let mut line = serde_json::to_string(&panic).unwrap_or_default();
    line.push('\n');
    // Another thread may be in the middle of a line: let it finish. If it is this thread
    // that was writing, the line comes all the same.
    stderr.let_finish(Duration::from_millis(100));
    let _ = nix::unistd::write(io::stderr(), line.as_bytes());
}
