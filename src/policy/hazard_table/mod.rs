//! The table of hazards: what a wildcard never grants, program by program.
//!
//! Owns data only, a file for each theme, made to be read and argued about: short options,
//! long options, words. What a hit means is said in [`super::hazard`]. Nobody should take
//! it for complete; `policy tables` prints it with its version. Called by the tables.

pub(super) mod exceptions;
mod files;
mod hosts;
mod network;
mod packages;
mod storage;
mod tools;

/// What some programs have in common.
#[derive(Debug)]
pub(super) struct Row {
    /// Separated by blanks. `git:branch` is for what follows that word of git's.
    pub(super) programs: &'static str,
    /// Letters that are a hazard anywhere in a cluster; `*` means every argument is.
    pub(super) short: &'static str,
    /// Names of long options, with every abbreviation; separated by blanks.
    pub(super) long: &'static str,
    /// Whole words; separated by blanks. Behind `^`, only right behind the program.
    pub(super) words: &'static str,
}

/// All rows, theme by theme.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [
        files::ROWS,
        hosts::ROWS,
        network::ROWS,
        packages::ROWS,
        storage::ROWS,
        tools::ROWS,
    ]
    .into_iter()
    .flatten()
}

const fn row(
    programs: &'static str,
    short: &'static str,
    long: &'static str,
    words: &'static str,
) -> Row {
    Row {
        programs,
        short,
        long,
        words,
    }
}
