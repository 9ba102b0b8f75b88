//! What may run.

pub mod source;
