//! The vocabulary that every room shares: checked names, hashes,
//! security events, and how text is written so that it can be trusted.
//!
//! Types only, each made by one function that checks it. No I/O, no clock, no other room.

pub(crate) mod approval_url;
pub(crate) mod expression;
pub(crate) mod invisible;
pub(crate) mod job;
pub(crate) mod keys;
pub(crate) mod memory;
pub(crate) mod names;
pub(crate) mod room;
pub(crate) mod security_event;
pub(crate) mod stdin;
pub(crate) mod text;
pub(crate) mod threads;
