//! YAML → nodes with positions: the only place that knows the parser.
//!
//! `node` bounds size, depth and aliases and keeps line numbers; `tree` is what it makes, `input`
//! what it reads; `scalar` says what a plain text means. Called by [`crate::config::schema`].

pub(crate) mod input;
pub(crate) mod node;
pub(crate) mod scalar;
pub(crate) mod tree;
