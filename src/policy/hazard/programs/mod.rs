//! The table of hazards: what a wildcard never grants, program by program.
//!
//! Owns data only, a file for each theme, made to be read and argued about: short options,
//! long options, words. What a hit means is said in [`crate::policy::hazard`]. Nobody should take
//! it for complete; `policy tables` prints it with its version. Called by the tables.

pub(crate) mod exceptions;
pub(crate) mod files;
pub(crate) mod hosts;
pub(crate) mod network;
pub(crate) mod packages;
pub(crate) mod storage;
pub(crate) mod tools;

/// What some programs have in common.
#[derive(Debug)]
pub(crate) struct Row {
    /// Separated by blanks. `git:branch` is for what follows that word of git's.
    pub(crate) programs: &'static str,
    /// Letters that are a hazard anywhere in a cluster; `*` means every argument is.
    pub(crate) short: &'static str,
    /// Names of long options, with every abbreviation; separated by blanks.
    pub(crate) long: &'static str,
    /// Whole words; separated by blanks. Behind `^`, only right behind the program.
    pub(crate) words: &'static str,
}

/// All rows, theme by theme.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
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
