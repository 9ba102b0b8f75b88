//! The binary: everything is in `startup`, which also owns the exit codes.

use std::process::ExitCode;

use mcp_ssh_orchestrator::{Outcome, RecordingAllocator, SingleThreaded, run};

#[global_allocator]
static ALLOCATOR: RecordingAllocator = RecordingAllocator;

fn main() -> ExitCode {
    // Cannot fail here: nothing has run before. There would be no way to go on, or to say so
    // in the log's form.
    match SingleThreaded::at_start() {
        Ok(alone) => run(alone, std::env::args_os()).into(),
        Err(_) => Outcome::Problems.into(),
    }
}
