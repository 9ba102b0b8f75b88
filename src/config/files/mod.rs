//! Reading files that others may try to swap: beneath one directory, bounded, regular.
//!
//! `beneath` opens a path without leaving its directory, `directories` holds the three of
//! the configuration, `error` says what went wrong. Called by the loader and the login.

pub(crate) mod beneath;
pub(crate) mod directories;
pub(crate) mod error;
pub(crate) mod walk;
