//! The binary: everything is in `startup`, which also owns the exit codes.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_ssh_orchestrator::run(std::env::args_os()).into()
}
