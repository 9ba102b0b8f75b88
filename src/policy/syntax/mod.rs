//! The shell's words: what a text is, and how it is written down again.
//!
//! `lexer` reads a text whole or says all that is wrong with it; `grammar`, `simple` and
//! `word` (with what comes out of `$(…)`) are its parts, `reader` the place up to which it was
//! read, `chars`, `program_name` and `meaning` say what may stand where, `shell_text` and
//! `directory` see through `sh -c` and `cd`. `command` is the tree that comes of it, `render`
//! builds the canonical form that is sent. Called by the decision, and by the fuzz targets.

pub(crate) mod chars;
pub(crate) mod command;
pub(crate) mod directory;
pub(crate) mod grammar;
pub(crate) mod lexer;
pub(crate) mod meaning;
pub(crate) mod program_name;
pub(crate) mod reader;
pub(crate) mod render;
pub(crate) mod shell_text;
pub(crate) mod simple;
pub(crate) mod word;
