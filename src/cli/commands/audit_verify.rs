//! `audit verify FILE...`: whether a chain of records is sound.
//!
//! Owns the exit code; what is said of each break is `audit`'s. Called by `startup`.

use std::path::PathBuf;

use crate::audit;
use crate::cli::Outcome;
use crate::cli::commands::output;

pub(crate) fn run(files: &[PathBuf], head: Option<&str>) -> Outcome {
    output::print(|out| audit::verify(files, head, out))
}
