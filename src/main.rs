//! The binary: everything is in `startup`, which also owns the exit codes.

use std::process::ExitCode;

use mcp_ssh_orchestrator::{RecordingAllocator, SingleThreaded, run};

#[global_allocator]
static ALLOCATOR: RecordingAllocator = RecordingAllocator;

fn main() -> ExitCode {
    run(SingleThreaded::at_start(), std::env::args_os()).into()
}
