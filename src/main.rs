//! The binary: everything is in `startup`, which also owns the exit codes.

use std::process::ExitCode;

use mcp_ssh_orchestrator::{RecordingAllocator, SingleThreaded, cannot_run, run};

#[global_allocator]
static ALLOCATOR: RecordingAllocator = RecordingAllocator;

fn main() -> ExitCode {
    // Nothing has run before: it fails only where something else runs this program.
    match SingleThreaded::at_start() {
        Ok(alone) => run(alone, std::env::args_os()).into(),
        Err(error) => cannot_run(&error).into(),
    }
}
