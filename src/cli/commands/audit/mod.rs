//! The record read back: whether it is sound, its records for people and for programs.
//!
//! `verify` proves, `sign` has its heads signed and `signed` compares them, both by
//! `ssh_keygen`; `show` prints record by record, `records` reads several files as one by
//! time, `forms` writes a record as a line, JSON or CSV, `figures` counts and `html` shows it
//! for `report`.

pub(crate) mod figures;
pub(crate) mod forms;
pub(crate) mod html;
pub(crate) mod progress;
pub(crate) mod records;
pub(crate) mod report;
pub(crate) mod show;
pub(crate) mod sign;
pub(crate) mod signed;
pub(crate) mod ssh_keygen;
pub(crate) mod verify;
