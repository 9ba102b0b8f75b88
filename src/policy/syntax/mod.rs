//! The shell's words: what a text is, and how it is written down again.
//!
//! `lexer` reads a text whole or refuses it, `chars` and `program_name` say which
//! characters and names may stand where, `render` builds the canonical form that is sent.
//! Called by the decision, and by the fuzz targets.

pub(crate) mod chars;
pub(crate) mod lexer;
pub(crate) mod program_name;
pub(crate) mod render;
